import { argument, callable, optionsOf, type Rules, text } from "./arguments.cjs";
import { nativeOptions, nativeRefusal, type Options, OPTIONS_OF_CHECK, type Rejected, saveFirst } from "./engine.cjs";
import { answer, InsufficientScopeError, McpStartupError } from "./errors.cjs";
import * as native from "../native.cjs";

/** A start tries at most three credentials: none, the refreshed and the stored one. Another process can store one more. */
const MAX_REQUESTS = 4;

/** The options of `authorizedFetch`. Each request has a `signal` of its own. */
export type AuthorizedFetchOptions = Omit<Options, "signal"> & {
  /**
   * The function that sends the requests. By default, the global `fetch`. It must remove the `Authorization` header if a redirect leads
   * to another origin, as the Fetch standard requires (section 4.4, HTTP-redirect fetch).
   */
  fetch?: typeof globalThis.fetch | undefined;
};

const { signal: _, ...SHARED_OPTIONS } = OPTIONS_OF_CHECK;
const FETCH_OPTIONS: Rules<AuthorizedFetchOptions> = { ...SHARED_OPTIONS, fetch: callable() };

/**
 * Returns a `fetch` that authorizes the requests to a server with its configured or stored credentials, for example for the transports of
 * the MCP SDKs.
 *
 * It refreshes an expired token before the request. If the server answers 401, it refreshes the token, and sends the request again, unless
 * its body is a stream. It uses the same store, lock and refresh as a start. Only requests to the origin of the server get the header.
 *
 * The returned function throws an `McpStartupError` with the verdict (`failure`) if no credential is left to try, and an
 * `InsufficientScopeError` if the server requires more scopes.
 *
 * @throws {McpStartupError} If an option is invalid.
 */
export function authorizedFetch(server: string, options: AuthorizedFetchOptions = {}): typeof globalThis.fetch {
  const { fetch: send = globalThis.fetch, ...checked } = optionsOf(FETCH_OPTIONS, options);
  const name = text(argument("server"), server);
  const [json, ask] = nativeOptions(checked);

  /** Returns the header for a request to this URL: `null` to send none, and `undefined` for another origin. */
  async function headerFor(url: string, rejected: Rejected | null, signal: AbortSignal | undefined) {
    const refused = rejected === null ? null : nativeRefusal(rejected);
    const authorized = await answer((done) => native.requestAuthorization(json, ask, name, url, refused, done), signal);
    saveFirst();
    return (authorized as { header: string | null } | null)?.header;
  }

  return async (input, init) => {
    const request = typeof input === "object" && input !== null && "url" in input ? input : null;
    const url = request?.url ?? String(input);
    const signal = init?.signal ?? request?.signal;
    let header = await headerFor(url, null, signal);
    if (header === undefined) return send(input, init);
    for (let requests = 1; ; requests++) {
      const headers = new Headers(init?.headers ?? request?.headers);
      if (header !== null) headers.set("Authorization", header);
      // The clone keeps the body of the request, to send it again.
      const response = await send(request?.clone() ?? input, { ...init, headers });
      const rejected = rejection(headers, response);
      if (rejected === null || requests === MAX_REQUESTS) return response;
      try {
        // After a redirect, the response may be from another origin.
        header = await headerFor(response.url || url, rejected, signal);
      } catch (error) {
        const failure = error instanceof McpStartupError ? error.failure : null;
        if (rejected.status === 403 && failure !== null && failure.kind !== "insufficientScope") return response;
        await response.body?.cancel();
        throw rejected.status === 403 && failure !== null ? new InsufficientScopeError(failure, rejected.challenge) : error;
      }
      if (header === undefined || !isRepeatable(init?.body)) return response;
      await response.body?.cancel();
    }
  };
}

/** Returns the refusal that another credential, or more scopes, may change. */
function rejection(sent: Headers, { status, headers }: Response): (Rejected & { status: number; challenge: string }) | null {
  const challenge = headers.get("WWW-Authenticate") ?? "";
  if (status !== 401 && !(status === 403 && challenge.includes("insufficient_scope"))) return null;
  return { status, authorization: sent.get("Authorization"), challenge };
}

/** A stream, and any other iterable, can be read only once. */
function isRepeatable(body: unknown): boolean {
  if (body == null || typeof body === "string") return true;
  return [ArrayBuffer, Blob, FormData, URLSearchParams].some((type) => body instanceof type) || ArrayBuffer.isView(body);
}
