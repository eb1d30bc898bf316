import type { DecodeErrorKind, StartupFailure } from "@mcp-startup/protocol" with { "resolution-mode": "import" };

/**
 * What went wrong, as a stable value: the `code` of every error of this package.
 *
 * - `MCP_STARTUP_INVALID_ARGUMENT`: What was asked for makes no sense: an unknown option, evidence that is none.
 * - `MCP_STARTUP_DECODE_ERROR`: A line is no message of ours and no other well-formed message either.
 * - `MCP_STARTUP_CONFIGURATION`: There is no such configuration, it can't be read, or it has no such server.
 * - `MCP_STARTUP_CLIENT`: No request can be sent from this process.
 * - `MCP_STARTUP_SIGN_IN`: A sign-in or a sign-out failed; what was stored before is stored still.
 * - `MCP_STARTUP_FAILURE`: A server can't be used: `failure` is the verdict.
 * - `MCP_STARTUP_CREDENTIAL_STORE`: A credential store does not do what it must.
 * - `MCP_STARTUP_FORKED`: The process was forked from one in which this runs.
 * - `MCP_STARTUP_INTERNAL`: An error of this package's own.
 */
export type McpStartupErrorCode = (typeof CODES)[keyof typeof CODES];

const CODES = {
  invalidArgument: "MCP_STARTUP_INVALID_ARGUMENT",
  decode: "MCP_STARTUP_DECODE_ERROR",
  configuration: "MCP_STARTUP_CONFIGURATION",
  client: "MCP_STARTUP_CLIENT",
  signIn: "MCP_STARTUP_SIGN_IN",
  failure: "MCP_STARTUP_FAILURE",
  credentialStore: "MCP_STARTUP_CREDENTIAL_STORE",
  forked: "MCP_STARTUP_FORKED",
  internal: "MCP_STARTUP_INTERNAL",
} as const;

/** Anything that this package throws. */
export class McpStartupError extends Error {
  override readonly name: string = "McpStartupError";
  /** What went wrong, as a stable value. */
  readonly code: McpStartupErrorCode;
  /** More of it, as a stable value: of a configuration `notFound`, `syntax`, `unknownServer`, …; of a sign-in `denied`, `expired`, … */
  readonly kind: string | null;
  /** The verdict, where a server can't be used. */
  readonly failure: StartupFailure | null;

  constructor(error: ErrorOfJson) {
    super(error.message);
    this.code = CODES[error.code];
    this.kind = error.kind ?? null;
    this.failure = error.failure ?? null;
  }
}

/** A line is no message of ours and no other well-formed message either. */
export class DecodeError extends McpStartupError {
  override readonly name = "DecodeError";
  declare readonly kind: DecodeErrorKind;
  /** The field it is about, as a path such as `params.name`. */
  readonly field: string | null;

  constructor(error: DecodeErrorOfJson) {
    super({ ...error, code: "decode" });
    this.field = error.field;
  }
}

export type DecodeErrorOfJson = { kind: DecodeErrorKind; field: string | null; message: string };

type ErrorOfJson = {
  code: keyof typeof CODES;
  message: string;
  kind?: string;
  failure?: StartupFailure;
};

/** Calls the addon. Its own error for an argument of a wrong type would show the argument, which may be a secret. */
export function called<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const problem = code === undefined ? message : `an argument has the wrong type (${code})`;
    throw new McpStartupError({ code: "invalidArgument", message: problem });
  }
}

/** What the addon answers to a call, or its error. */
export function answerOf(call: () => string): unknown {
  return unwrap(called(call));
}

/** What is in an answer of the addon, or its error. */
export function unwrap(answer: string): unknown {
  const { ok, error } = JSON.parse(answer) as { ok?: unknown; error?: ErrorOfJson };
  if (error === undefined) return ok;
  throw error.code === "decode" ? new DecodeError(error as unknown as DecodeErrorOfJson) : new McpStartupError(error);
}
