/**
 * Why a request failed:
 *
 * - `refused`: The app-server does not know the method, or the parameters do not fit (-32600, -32601, -32602). The same request
 *   fails again.
 * - `overloaded`: Too many requests are being answered (-32001), or the connection takes no more. Send the request again later.
 * - `failed`: The app-server reports another error. `reason` is a stable value if the app-server has one.
 * - `timedOut`: No response arrived in time.
 * - `closed`: The connection has ended.
 * - `invalidResponse`: The response does not have the form that its method requires.
 */
export type AppServerErrorKind = "refused" | "overloaded" | "failed" | "timedOut" | "closed" | "invalidResponse";

/** Thrown if a request has no result. */
export class AppServerError extends Error {
  override readonly name = "AppServerError";
  /** The kind of error, as a stable value. */
  readonly kind: AppServerErrorKind;
  /** The method of the request, or `null` if the error belongs to the connection. */
  readonly method: string | null;
  /** The code in the response (JSON-RPC 2.0, section 5.1), or `null` if the app-server sent none. */
  readonly code: number | null;
  /** The `data` of the error in the response. `undefined` if there is none. */
  readonly data: unknown;

  constructor(
    kind: AppServerErrorKind,
    message: string,
    { method = null, code = null, data }: { method?: string | null; code?: number | null; data?: unknown } = {},
  ) {
    super(message);
    this.kind = kind;
    this.method = method;
    this.code = code;
    this.data = data;
  }

  /** `data.reason`, a stable value such as `notConnected`, or `null`. */
  get reason(): string | null {
    const reason = (this.data as { reason?: unknown } | null | undefined)?.reason;
    return typeof reason === "string" ? reason : null;
  }
}

/**
 * Whether the app-server does not know the method of the request.
 *
 * Codex answers -32600, as it does to invalid parameters. Only its message (`` unknown variant `METHOD` ``) tells them apart. In
 * the error of a tool call or of a resource, -32601 does not count: Codex passes on the code of the MCP server.
 */
export function isUnknownMethod(error: unknown): error is AppServerError {
  if (!(error instanceof AppServerError)) return false;
  if (error.code === METHOD_NOT_FOUND) return !RELAYED.has(error.method);
  return error.code === INVALID_REQUEST && error.message.includes(`unknown variant \`${error.method}\``);
}

const RELAYED: ReadonlySet<string | null> = /* @__PURE__ */ new Set(["mcpServer/tool/call", "mcpServer/resource/read"]);
const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;
const OVERLOADED = -32001;

/** The error of a response. */
export function errorOfResponse(method: string, error: unknown): AppServerError {
  const { code, message, data } = (error ?? {}) as { code?: unknown; message?: unknown; data?: unknown };
  if (typeof code !== "number" || typeof message !== "string") {
    return new AppServerError("invalidResponse", "The error in the response has no code or no message.", { method });
  }
  return new AppServerError(kindOf(code), message, { method, code, data });
}

function kindOf(code: number): AppServerErrorKind {
  switch (code) {
    case INVALID_REQUEST:
    case METHOD_NOT_FOUND:
    case INVALID_PARAMS:
      return "refused";
    case OVERLOADED:
      return "overloaded";
    default:
      return "failed";
  }
}
