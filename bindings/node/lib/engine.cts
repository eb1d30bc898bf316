import type {
  CredentialStoreTrouble,
  CredentialWorth,
  McpAuthStatus,
  McpServerStatusUpdatedNotification,
  StartPhase,
  StartupFailure,
} from "@mcp-startup/protocol" with { "resolution-mode": "import" };
import { called, unwrap } from "./errors.cjs";
import * as native from "../native.cjs";
import { type Ask, asking, type CredentialStore } from "./store.cjs";

/** Which servers, and how they are started. All of it may be left out. */
export type Options = {
  /** The configuration: Codex's `config.toml` or an `mcpServers` JSON. `~/` is the user's folder. Codex's own, unless told otherwise. */
  config?: string | undefined;
  /** The servers themselves, in place of a file: what stands under `mcpServers` in a `.mcp.json`. */
  mcpServers?: Record<string, ServerEntry> | undefined;
  /** The names of those that are meant; those that are enabled, unless told otherwise. */
  servers?: string[] | undefined;
  /** How long each start may take, in ms, over what the configuration says. */
  timeoutMs?: number | undefined;
  /** How many servers start at once. */
  concurrency?: number | undefined;
  /** The URL of the application's client id metadata document, where it publishes one. */
  clientMetadataUrl?: string | undefined;
  /** A credential store of the application's own, in place of where Codex keeps credentials. */
  store?: CredentialStore | undefined;
};

/** A server, as it stands in a `.mcp.json`. */
export type ServerEntry = {
  /** A server at a URL. */
  url?: string;
  /** Headers to send to it. */
  headers?: Record<string, string>;
  /** A program to start. */
  command?: string;
  /** Its arguments. */
  args?: string[];
  /** Variables for it. */
  env?: Record<string, string>;
  [key: string]: unknown;
};

/** The same, for what can be given up. */
export type CheckOptions = Options & {
  /** Gives everything up: the loop throws the signal's reason. */
  signal?: AbortSignal | undefined;
};

/** The state of one server's start has changed. For each start: one with `starting`, and then exactly one more. */
export type StartupEvent = {
  /** The notification, as it goes over the wire. */
  notification: McpServerStatusUpdatedNotification;
  /** How far the start had come; on `ready`, the last phase it went through. */
  phase: StartPhase;
  /** The time since the start began, in ms. */
  elapsedMs: number;
  /** Whether the configuration says that the app can't do without this server. */
  required: boolean;
  /** Why it failed: on `failed`, and on nothing else. */
  failure: StartupFailure | null;
  /** Why a token that was refreshed in this start could not be saved. */
  notSaved: string | null;
};

/**
 * Starts under way: an async iterable of events. Nothing begins before the first event is asked for. Leaving the loop ends every
 * start at once; no program and no request is left.
 */
export interface Check extends AsyncIterableIterator<StartupEvent, undefined> {
  /** Gives up what is still starting: each such start says `cancelled`, and there are no events after that. */
  cancel(): void;
  /** Ends every start at once, as leaving the loop does. */
  return(): Promise<IteratorResult<StartupEvent, undefined>>;
}

/** Starts that go on: it ends when it is cancelled or left. */
export interface Watch extends Check {
  /** Starts the server of this name again now, if it has failed. Does nothing if it is starting or ready. */
  retry(name: string): void;
}

// A process that is told to end (`process.exit`, an error that nobody has caught) collects nothing, and would leave the programs.
process.on("exit", () => native.endAll());

class Starts implements Watch {
  readonly #events: native.Events;
  #signal: AbortSignal | undefined;
  readonly #abort = () => this.#stop();
  #ready: StartupEvent[] = [];
  #isStopped = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(events: native.Events, signal: AbortSignal | undefined) {
    this.#events = events;
    this.#signal = signal;
  }

  cancel(): void {
    this.#events.cancel();
  }

  retry(name: string): void {
    called(() => this.#events.retry(name));
  }

  /** One after another: the answers of the addon may overtake each other, and its "no more" the last event. */
  next(): Promise<IteratorResult<StartupEvent, undefined>> {
    const next = this.#last.then(() => this.#nextInTurn());
    this.#last = next.catch(() => {});
    return next;
  }

  async #nextInTurn(): Promise<IteratorResult<StartupEvent, undefined>> {
    this.#throwIfAborted();
    // Only now, for what is never asked for leaves no listener. The same one again is not added again.
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
    if (this.#ready.length === 0 && !this.#isStopped) {
      try {
        this.#ready = (await answer((done) => this.#events.next(done))) as StartupEvent[];
      } catch (error) {
        this.#leave();
        throw error;
      }
      this.#throwIfAborted();
    }
    const event = this.#isStopped ? undefined : this.#ready.shift();
    if (event !== undefined) return { done: false, value: event };
    this.#leave();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<StartupEvent, undefined>> {
    this.#leave();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The loop throws once, and is over then. */
  #throwIfAborted(): void {
    if (!this.#signal?.aborted) return;
    const { reason } = this.#signal;
    this.#leave();
    throw reason;
  }

  #leave(): void {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#signal = undefined;
    this.#stop();
  }

  #stop(): void {
    this.#isStopped = true;
    this.#events.close();
    saveFirst();
  }
}

/**
 * Starts every enabled server, says what each start came to, and closes each when its state is known.
 *
 * The loop throws a `McpStartupError` where there is no such configuration.
 */
export function check(options: CheckOptions = {}): Check {
  const { signal, ...rest } = options;
  return new Starts(called(() => native.Events.ofCheck(...nativeOptions(rest))), signal);
}

/**
 * The same, and goes on: a server that failed is started again when `retry` asks for it; when what is stored for it has changed, a
 * sign-in by any process; and by itself, where the failure's recovery is `retry`: after 1 s, then 2 s, 4 s and so on up to 5 min.
 */
export function watch(options: CheckOptions = {}): Watch {
  const { signal, ...rest } = options;
  return new Starts(called(() => native.Events.ofWatch(...nativeOptions(rest))), signal);
}

/** A request that a server has answered with 401. */
export type Rejected = {
  /** The value of its `Authorization` header; `null` where it had none. */
  authorization: string | null;
  /** The `WWW-Authenticate` of the answer. */
  challenge?: string | null;
};

/**
 * The `Authorization` header for a request that the application makes itself, with another SDK; `null` where it is to have none.
 *
 * Asked without `rejected`, it is what to send first. Where the server answers 401 all the same, what was sent goes in as `rejected`,
 * and out comes what to send once more: through the same store, lock and refresh as that of a start.
 *
 * @throws {McpStartupError} With the verdict as `failure`, where nothing is left to send.
 */
export async function authorization(
  server: string,
  rejected?: Rejected | null,
  options: Options = {},
): Promise<string | null> {
  const [text, ask] = nativeOptions(options);
  const [wasRejected, sent, challenge] = [rejected != null, rejected?.authorization, rejected?.challenge];
  const header = await answer((done) =>
    native.authorization(text, ask, server, wasRejected, sent ?? null, challenge ?? null, done),
  );
  saveFirst();
  return header as string | null;
}

/** How a client is authorized at a server, and what is stored for it. No secret is in it. */
export type AuthStatus = {
  /** `null` where that can't be known: nothing usable is stored, and the server was not asked or did not answer. */
  status: McpAuthStatus | null;
  /** What is stored is worth this; `null` where nothing is stored for exactly this server. */
  worth: CredentialWorth | null;
  /** When the stored access token expires, in ms since the Unix epoch, where the record says. */
  expiresAtMs: number | null;
  /** The scopes that were granted. */
  scopes: string[];
  /** Who granted it. */
  issuer: string | null;
  /** The place where it is stored: `file`, `keyring` or `host`. */
  store: string | null;
  /** Why it can't be known what is stored. */
  storeError: { store: string; trouble: CredentialStoreTrouble; detail: string } | null;
};

/** How a client is authorized at a server, and what is stored for it. Without `online` nothing is sent. */
export async function authStatus(server: string, options: Options & { online?: boolean } = {}): Promise<AuthStatus> {
  const { online, ...rest } = options;
  const [text, ask] = nativeOptions(rest);
  return (await answer((done) => native.authStatus(text, ask, server, online ?? false, done))) as AuthStatus;
}

/** A sign-in that has begun. Both parts hold secrets. */
export type SignInBegun = {
  /** Where the user signs in: to be opened in their browser. */
  authorizationUrl: string;
  /** What finishes it, once and within 15 minutes, in this process or another. */
  pending: string;
};

/**
 * Begins a sign-in: gives the URL to open in the user's browser, and what finishes it. `redirectUri` is where they come back to: `http`
 * on loopback, `https`, or a scheme of the app's own. Nothing is stored before it is finished.
 */
export async function beginSignIn(server: string, redirectUri: string, options: Options = {}): Promise<SignInBegun> {
  const [text, ask] = nativeOptions(options);
  return (await answer((done) => native.beginSignIn(text, ask, server, redirectUri, done))) as SignInBegun;
}

/** Finishes a sign-in with the whole URL that the browser came back with, and stores what is granted. */
export async function finishSignIn(pending: string, callbackUrl: string, options: Options = {}): Promise<void> {
  const [text, ask] = nativeOptions(options);
  await answer((done) => native.finishSignIn(text, ask, pending, callbackUrl, done));
}

/** What signing out came to. */
export type SignedOut = {
  /** Whether anything was stored. */
  wasStored: boolean;
  /** What became of the tokens at the authorization server: it says that they are revoked, it offers no revocation, or it did not say. */
  revocation: "revoked" | "notOffered" | "failed";
};

/** Signs out: what was granted is revoked where that is offered, and what is stored is removed, whatever came of that. */
export async function signOut(server: string, options: Options = {}): Promise<SignedOut> {
  const [text, ask] = nativeOptions(options);
  return (await answer((done) => native.signOut(text, ask, server, done))) as SignedOut;
}

/**
 * Holds a store to what every store must do. It is to be empty, and what is left in it afterwards is rubbish.
 *
 * @throws {McpStartupError} With the first thing that it does not do.
 */
export async function testCredentialStore(store: CredentialStore): Promise<void> {
  await answer((done) => native.testCredentialStore(asking(store), done));
}

/** The options as JSON, and the store. */
function nativeOptions({ store, ...options }: Options): [string, Ask | null] {
  return [called(() => JSON.stringify(options)), store == null ? null : asking(store)];
}

/** Waits for what the addon answers. */
async function answer(begin: (done: (answer: string) => void) => void): Promise<unknown> {
  return unwrap(await new Promise<string>((done) => called(() => begin(done))));
}

/** Where a refresh was sent, its new token is stored before the process ends by itself. */
function saveFirst(): void {
  native.finish(() => {});
}
