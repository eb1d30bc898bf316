import { InvalidArgumentError, object, optionsOf, text } from "../arguments.js";
import { AppServerError, errorOfResponse, METHOD_NOT_FOUND } from "./error.js";
import type {
  InitializeResponse,
  ListMcpServerStatusParams,
  McpServerOauthLoginParams,
  McpServerStatus,
  Requests,
} from "./messages.js";
import { type AppServerNotification, type LoginCompleted, readNotification, type ToolCallProgress } from "./notification.js";
import { CONNECT_OPTIONS, connection, REQUEST_OPTIONS } from "./options.js";
import { overStreams, overWebSocket, type Streams, type Transport, type WebSocketLike } from "./transport.js";

/** Options of every request. */
export type RequestOptions = {
  /** Ends the request: the app-server is asked to cancel it, and the promise rejects with the reason of the signal. */
  signal?: AbortSignal | undefined;
  /** How long to wait for the response, in ms. By default, the `timeoutMs` of the client. */
  timeoutMs?: number | undefined;
  /**
   * Receives the progress of this request, in order, before the promise resolves. Only the calls of tools have progress, and only with
   * mcp-startup. It does not extend the time limit. The app-server leaves some of it out if this program reads slowly.
   */
  onProgress?: ((progress: ToolCallProgress) => void) | undefined;
};

/** Options of a client. */
export type ConnectOptions = {
  /** The name and the version of the program that connects. */
  clientInfo: { name: string; title?: string | null; version: string };
  /** The token of a WebSocket, sent in the first frame. Leave it out if a header of the WebSocket has it. */
  token?: string | undefined;
  /** Receives each notification, in order. */
  onNotification?: ((notification: AppServerNotification) => void) | undefined;
  /**
   * Receives each message that is not JSON-RPC, or whose parameters are not valid, as text, or `null` for a binary frame. Such
   * messages are ignored.
   */
  onInvalidMessage?: ((message: string | null) => void) | undefined;
  /** The exact methods of the notifications that the app-server should not send. */
  optOutNotificationMethods?: readonly string[] | undefined;
  /** How long a request waits for its response by default, in ms. By default, 120,000. */
  timeoutMs?: number | undefined;
  /** Ends the connection attempt. It has no effect afterwards. */
  signal?: AbortSignal | undefined;
  /** The length of the longest message, in UTF-16 code units. A longer one ends the connection. By default, 64 Mi. */
  maxMessageLength?: number | undefined;
};

/** A sign-in that has begun. */
export type Login = {
  /** The URL to open in a browser. */
  readonly authorizationUrl: string;
  /** Identifies the sign-in, for `mcpStartup/login/cancel`. `null` if the app-server sends none. */
  readonly loginId: string | null;
  /** The end of the sign-in. Rejects if the connection or the signal ends before it, or if it is overdue. */
  readonly completed: Promise<LoginCompleted>;
};

type Ending<T> = { resolve: (value: T) => void; reject: (error: unknown) => void };
type Pending = Ending<unknown> & { method: string; options: RequestOptions };
type WaitingLogin = Ending<LoginCompleted> & { name: string; loginId: string | null };
type Message = { id?: unknown; method?: unknown; params?: unknown; result?: unknown; error?: unknown; emittedAtMs?: unknown };

const TIMEOUT_MS = 120_000;
const MAX_MESSAGE_LENGTH = 64 * 1024 * 1024;
// The app-server answers at most this many requests of a client at once.
const MAX_PENDING = 1024;
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;
// A sign-in ends by itself after at most 900 s. The rest is for its notification.
const LOGIN_TIMEOUT_MS = 930_000;

/**
 * A client of an app-server: of `mcp-startup app-server`, or of Codex's.
 *
 * It answers the requests of the app-server with an error, because it has no user to ask.
 */
export class AppServerClient {
  /** The answer of the app-server to `initialize`. */
  readonly server!: InitializeResponse;
  /** Resolves when the connection has ended, with the reason. Never rejects. */
  readonly closed: Promise<AppServerError>;

  #transport!: Transport;
  #options: ConnectOptions;
  #end!: (error: AppServerError) => void;
  #ended: AppServerError | null = null;
  #lastId = -1;
  #pending = new Map<number, Pending>();
  #logins = new Set<WaitingLogin>();

  private constructor(options: ConnectOptions) {
    this.#options = options;
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /**
   * Connects over a WebSocket, or over a pair of streams with one message a line, and initializes the connection.
   *
   * The client closes what it was given if it can't connect.
   *
   * @throws {AppServerError} If the app-server refuses the client or its token, or does not answer in time.
   * @throws {InvalidArgumentError} If an argument can't be used.
   */
  static async connect(over: WebSocketLike | Streams, options: ConnectOptions): Promise<AppServerClient> {
    const checked = optionsOf(CONNECT_OPTIONS, options);
    if (checked.clientInfo === undefined) throw new InvalidArgumentError("the options: `clientInfo` is missing");
    const checkedOver = connection("`over`", over);
    const client = new AppServerClient(checked);
    try {
      await client.#open(checkedOver);
      await client.#initialize();
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /**
   * Sends a request, and returns its result. The type of the result is that of the documentation; it is not checked.
   *
   * @throws {AppServerError} If the response is an error, or if there is none.
   */
  request<Method extends keyof Requests>(
    method: Method,
    // A method whose parameters are all optional needs none.
    ...[params, options]: {} extends Requests[Method]["params"]
      ? [params?: Requests[Method]["params"], options?: RequestOptions]
      : [params: Requests[Method]["params"], options?: RequestOptions]
  ): Promise<Requests[Method]["result"]>;
  /** Sends a request that this version does not know. */
  request<Method extends string>(
    method: Method extends keyof Requests ? never : Method,
    params?: unknown,
    options?: RequestOptions,
  ): Promise<unknown>;
  request(method: string, params?: unknown, options: RequestOptions = {}): Promise<unknown> {
    return this.#request(method, params, options, (result) => result);
  }

  /**
   * Reads the states of all servers, one page after the other.
   *
   * @throws {AppServerError} If a request fails.
   */
  async *servers(
    params: ListMcpServerStatusParams = {},
    options: RequestOptions = {},
  ): AsyncGenerator<McpServerStatus, void, undefined> {
    const method = "mcpServerStatus/list";
    const seen = new Set<string>();
    for (let cursor = params.cursor ?? null; ; ) {
      const page = await this.request(method, cursor === null ? params : { ...params, cursor }, options);
      if (!Array.isArray(page?.data)) throw invalid(method, "`data` is not an array");
      yield* page.data;
      cursor = page.nextCursor ?? null;
      if (cursor === null) return;
      if (seen.has(cursor)) throw invalid(method, "`nextCursor` is that of an earlier page");
      seen.add(cursor);
    }
  }

  /**
   * Begins a sign-in. Open the URL in a browser, and wait for `completed`. After a success, the server starts again by itself.
   *
   * If the signal ends the waiting, the app-server is asked to cancel the sign-in.
   *
   * @throws {AppServerError} If no sign-in can begin.
   */
  async login(params: McpServerOauthLoginParams, options: RequestOptions = {}): Promise<Login> {
    const { name } = object("`params`", params) as McpServerOauthLoginParams;
    text("`params.name`", name);
    const method = "mcpServer/oauth/login";
    return this.#request(method, params, options, (result) => {
      const { authorizationUrl, loginId = null } = Object(result) as { authorizationUrl?: unknown; loginId?: unknown };
      if (typeof authorizationUrl !== "string") throw invalid(method, "`authorizationUrl` is not a string");
      if (loginId !== null && typeof loginId !== "string") throw invalid(method, "`loginId` is not a string");
      const completed = this.#completed(params.name, loginId, options.signal);
      // A caller that does not wait for the end must not get an unhandled rejection.
      completed.catch(() => {});
      return { authorizationUrl, loginId, completed };
    });
  }

  /** Ends the connection. Requests without a response reject with the kind `closed`. */
  close(): void {
    this.#close(new AppServerError("closed", "The connection was closed by this program."));
  }

  async #open(over: WebSocketLike | Streams): Promise<void> {
    const receiver = {
      receive: (message: string | null) => this.#receive(message),
      ended: (error: AppServerError) => this.#close(error),
      maxMessageLength: this.#options.maxMessageLength ?? MAX_MESSAGE_LENGTH,
    };
    if (!("addEventListener" in over)) {
      this.#transport = overStreams(over, receiver);
      return;
    }
    const { transport, opened } = overWebSocket(over, receiver);
    this.#transport = transport;
    await this.#within<void>("the WebSocket", this.#options, ({ resolve, reject }) => {
      void opened.then(resolve);
      void this.closed.then(reject);
    });
  }

  async #initialize(): Promise<void> {
    const { clientInfo, token, optOutNotificationMethods, signal } = this.#options;
    if (token !== undefined) await this.request("mcpStartup/authenticate", { token }, { signal });
    const capabilities = { optOutNotificationMethods: optOutNotificationMethods ?? null, experimentalApi: false };
    const server = await this.request("initialize", { clientInfo, capabilities }, { signal });
    Object.assign(this, { server });
    this.#transport.send(JSON.stringify({ method: "initialized" }));
  }

  /** Sends a request. `read` runs as soon as the response is received, and before any later message. */
  async #request<T>(
    method: string,
    params: unknown,
    unchecked: RequestOptions,
    read: (result: unknown) => T,
  ): Promise<T> {
    text("`method`", method);
    const options = optionsOf(REQUEST_OPTIONS, unchecked);
    const id = ++this.#lastId;
    const message = JSON.stringify({ id, method, params });
    const begin = ({ resolve, reject }: Ending<T>) => {
      if (this.#ended !== null) return reject(this.#ended);
      if (this.#pending.size >= MAX_PENDING || this.#transport.unsent() > MAX_UNSENT_BYTES) {
        const why = "Too many requests wait for the app-server. Send this one again later.";
        return reject(new AppServerError("overloaded", why, { method }));
      }
      // Registered first: the response may arrive before `send` returns.
      this.#pending.set(id, {
        method,
        options,
        reject,
        resolve: (result) => {
          try {
            resolve(read(result));
          } catch (error) {
            reject(error);
          }
        },
      });
      this.#transport.send(message);
    };
    try {
      return await this.#within<T>(`\`${method}\``, options, begin);
    } catch (error) {
      // Still pending: the signal or the time limit has ended the request.
      if (this.#pending.delete(id)) this.#cancel("mcpStartup/request/cancel", { requestId: id });
      throw error;
    }
  }

  /** Asks for a cancellation. Whether it was possible makes no difference: nothing waits for the result any more. */
  #cancel(method: string, params: unknown): void {
    if (this.#ended === null) this.#transport.send(JSON.stringify({ id: ++this.#lastId, method, params }));
  }

  async #completed(name: string, loginId: string | null, signal: AbortSignal | undefined): Promise<LoginCompleted> {
    let login: WaitingLogin | undefined;
    const options = { signal, timeoutMs: LOGIN_TIMEOUT_MS };
    try {
      return await this.#within<LoginCompleted>("the end of the sign-in", options, (ending) => {
        login = { ...ending, name, loginId };
        this.#logins.add(login);
      });
    } catch (error) {
      if (loginId !== null) this.#cancel("mcpStartup/login/cancel", { loginId });
      throw error;
    } finally {
      if (login !== undefined) this.#logins.delete(login);
    }
  }

  /** Waits until `begin` resolves or rejects, the signal is aborted, or the time is over. */
  #within<T>(what: string, options: RequestOptions, begin: (ending: Ending<T>) => void): Promise<T> {
    const { signal, timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    let stop = () => {};
    const ended = new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new AppServerError("timedOut", `No response to ${what} within ${timeoutMs} ms.`));
      }, timeoutMs);
      const abort = () => reject(signal?.reason);
      signal?.addEventListener("abort", abort, { once: true });
      stop = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      };
      begin({ resolve, reject });
    });
    return ended.finally(() => stop());
  }

  #receive(text: string | null): void {
    if (this.#ended !== null) return;
    const message = text === null ? null : parse(text);
    if (message === null || !this.#take(message)) this.#tell(this.#options.onInvalidMessage, text);
  }

  /** Takes a message. Returns whether it is valid. */
  #take({ id, method, params, result, error, emittedAtMs }: Message): boolean {
    if (typeof method === "string") {
      if (id !== undefined) return this.#refuse(id, method);
      const notification = readNotification(method, params, emittedAtMs);
      if (notification === null) return false;
      if (notification.type === "loginCompleted") this.#loginCompleted(notification.params);
      this.#tell(this.#options.onNotification, notification);
      if (notification.type === "toolCallProgress") this.#progressed(notification.params);
      return true;
    }
    if (method !== undefined || typeof id !== "number" || (result === undefined) === (error === undefined)) return false;
    const pending = this.#pending.get(id);
    // A response to a request that was cancelled.
    if (pending === undefined) return id <= this.#lastId;
    this.#pending.delete(id);
    if (error === undefined) pending.resolve(result);
    else pending.reject(errorOfResponse(pending.method, error));
    return true;
  }

  #refuse(id: unknown, method: string): boolean {
    if (typeof id !== "number" && typeof id !== "string") return false;
    const error = { code: METHOD_NOT_FOUND, message: `This client does not answer \`${method}\`.` };
    // An app-server that does not read its responses gets no more of them.
    if (this.#transport.unsent() <= MAX_UNSENT_BYTES) this.#transport.send(JSON.stringify({ id, error }));
    return true;
  }

  #loginCompleted(params: LoginCompleted): void {
    for (const login of this.#logins) {
      const isThis = login.loginId === null ? login.name === params.name : login.loginId === params.loginId;
      if (isThis) login.resolve(params);
    }
  }

  #progressed(progress: ToolCallProgress): void {
    const { requestId } = progress;
    const options = typeof requestId === "number" ? this.#pending.get(requestId)?.options : undefined;
    // A request whose signal is aborted is pending until its promise rejects.
    if (options?.signal?.aborted !== true) this.#tell(options?.onProgress, progress);
  }

  /** Calls a function of the host. Its error is reported as uncaught, and does not end the connection. */
  #tell<T>(listener: ((value: T) => void) | undefined, value: T): void {
    try {
      listener?.(value);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #close(error: AppServerError): void {
    if (this.#ended !== null) return;
    this.#ended = error;
    const waiting = [...this.#pending.values(), ...this.#logins];
    this.#pending.clear();
    this.#logins.clear();
    for (const { reject } of waiting) reject(error);
    this.#end(error);
    this.#transport?.close();
  }
}

/** The JSON object of a message, or `null`. */
function parse(text: string): Message | null {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === "object" && !Array.isArray(message) ? message : null;
  } catch {
    return null;
  }
}

function invalid(method: string, why: string): AppServerError {
  return new AppServerError("invalidResponse", `The response to \`${method}\` can't be used: ${why}.`, { method });
}
