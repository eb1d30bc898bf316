import type { DecodeErrorKind, StartupFailure } from "@mcp-startup/protocol" with { "resolution-mode": "import" };
import type * as native from "../native.cjs";

/**
 * The stable `code` of an error of this package.
 *
 * - `MCP_STARTUP_INVALID_ARGUMENT`: An argument is invalid, for example an unknown option or malformed evidence.
 * - `MCP_STARTUP_DECODE_ERROR`: A line is not a well-formed message, or its notification has invalid fields.
 * - `MCP_STARTUP_ENCODE_ERROR`: A notification can't be encoded, because it has invalid fields.
 * - `MCP_STARTUP_CONFIGURATION`: The configuration does not exist, can't be read, or does not contain the server.
 * - `MCP_STARTUP_CLIENT`: This process can't send requests.
 * - `MCP_STARTUP_SIGN_IN`: A sign-in or a sign-out failed. The stored credentials are unchanged.
 * - `MCP_STARTUP_FAILURE`: A server can't be used. `failure` is the verdict.
 * - `MCP_STARTUP_CREDENTIAL_STORE`: A credential store violates its contract, or the database of a `PostgresStore` can't be used.
 * - `MCP_STARTUP_FORKED`: The process was forked from a process that had already used the engine.
 * - `MCP_STARTUP_INTERNAL`: A bug in this package.
 */
export type McpStartupErrorCode = (typeof CODES)[keyof typeof CODES];

const CODES = {
  invalidArgument: "MCP_STARTUP_INVALID_ARGUMENT",
  decode: "MCP_STARTUP_DECODE_ERROR",
  encode: "MCP_STARTUP_ENCODE_ERROR",
  configuration: "MCP_STARTUP_CONFIGURATION",
  client: "MCP_STARTUP_CLIENT",
  signIn: "MCP_STARTUP_SIGN_IN",
  failure: "MCP_STARTUP_FAILURE",
  credentialStore: "MCP_STARTUP_CREDENTIAL_STORE",
  forked: "MCP_STARTUP_FORKED",
  internal: "MCP_STARTUP_INTERNAL",
} as const;

/** The base class of every error that this package throws. */
export class McpStartupError extends Error {
  override readonly name: string = "McpStartupError";
  /** The category of the error, as a stable value. */
  readonly code: McpStartupErrorCode;
  /**
   * The specific error within its `code`, as a stable value: `notFound`, `syntax`, `unknownServer`, … for a configuration;
   * `denied`, `expired`, … for a sign-in; `null` for other codes.
   */
  readonly kind: string | null;
  /** The verdict if a server can't be used, or `null`. */
  readonly failure: StartupFailure | null;
  /** The path of the configuration file, or `null` for other codes. */
  readonly path: string | null;
  /** The line in the configuration file, starting at 1, or `null`. */
  readonly line: number | null;
  /** The path of the key in the configuration file, or `null`. */
  readonly key: string | null;

  constructor(error: ErrorOfJson) {
    super(error.message);
    this.code = CODES[error.code];
    this.kind = error.kind ?? null;
    this.failure = error.failure ?? null;
    this.path = error.path ?? null;
    this.line = error.line ?? null;
    this.key = error.key ?? null;
  }
}

/** Thrown for an argument that can't be used. The message names the argument and the values that it takes. */
export class InvalidArgumentError extends McpStartupError {
  override readonly name = "InvalidArgumentError";
  declare readonly code: "MCP_STARTUP_INVALID_ARGUMENT";

  constructor(message: string) {
    super({ code: "invalidArgument", message });
  }
}

/** Thrown for a line that is not a well-formed JSON-RPC message, or whose notification has invalid fields. */
export class DecodeError extends McpStartupError {
  override readonly name = "DecodeError";
  declare readonly code: "MCP_STARTUP_DECODE_ERROR";
  declare readonly kind: DecodeErrorKind;
  /** The path of the invalid field, such as `params.name`; `null` if no single field is at fault. */
  readonly field: string | null;

  constructor(error: DecodeErrorOfJson) {
    super({ ...error, code: "decode" });
    this.field = error.field;
  }
}

/** Thrown for a notification that violates the contract. */
export class EncodeError extends McpStartupError {
  override readonly name = "EncodeError";
  declare readonly code: "MCP_STARTUP_ENCODE_ERROR";
  /** The path of the invalid field: `params.failureReason`, …; `null` if no single field is at fault. */
  readonly field: string | null;

  constructor(field: string | null, message: string) {
    super({ code: "encode", message });
    this.field = field;
  }
}

/**
 * Thrown by an adapter if the server requires more scopes: 403 with `insufficient_scope` (RFC 6750, section 3.1). Sign in with the
 * `challenge`, and send the request again.
 */
export class InsufficientScopeError extends McpStartupError {
  override readonly name = "InsufficientScopeError";
  declare readonly code: "MCP_STARTUP_FAILURE";
  declare readonly failure: StartupFailure;
  /** The value of the response's `WWW-Authenticate` header, for `signIn` or `beginSignIn`. */
  readonly challenge: string;

  constructor(failure: StartupFailure, challenge: string) {
    super({ code: "failure", message: failure.message, failure });
    this.challenge = challenge;
  }
}

export type DecodeErrorOfJson = { kind: DecodeErrorKind; field: string | null; message: string };

type ErrorOfJson = {
  code: keyof typeof CODES;
  message: string;
  kind?: string;
  failure?: StartupFailure;
  path?: string;
  line?: number | null;
  key?: string | null;
};

/** Returns the result in an answer of the addon, or throws its error. */
export function unwrap(answer: string): unknown {
  const { ok, error } = JSON.parse(answer) as { ok?: unknown; error?: ErrorOfJson };
  if (error === undefined) return ok;
  if (error.code === "decode") throw new DecodeError(error as unknown as DecodeErrorOfJson);
  throw error.code === "invalidArgument" ? new InvalidArgumentError(error.message) : new McpStartupError(error);
}

/** Waits for an answer of the addon, and returns its result or throws its error. Aborting the signal ends the call. */
export async function answer(
  begin: (done: (answer: string) => void) => native.Call,
  signal?: AbortSignal | undefined,
): Promise<unknown> {
  signal?.throwIfAborted();
  let abort = () => {};
  try {
    const text = await new Promise<string>((resolve, reject) => {
      const call = begin(resolve);
      abort = () => {
        reject(signal?.reason);
        call.abort();
      };
      signal?.addEventListener("abort", abort, { once: true });
    });
    return unwrap(text);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
