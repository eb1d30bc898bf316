/// <reference lib="esnext.disposable" preserve="true" />
import type {
  ConfigurationEvidence,
  CredentialStoreTrouble,
  CredentialWorth,
  McpAuthStatus,
  McpServerStartupState,
  McpServerStatusUpdatedNotification,
  StartPhase,
  StartupFailure,
  StartupWarning,
} from "@mcp-startup/protocol" with { "resolution-mode": "import" };
import {
  argument,
  fieldsOf,
  flag,
  json,
  mustBe,
  number,
  optionsOf,
  type Place,
  path,
  type Rule,
  type Rules,
  signal,
  text,
  texts,
  url,
} from "./arguments.cjs";
import type { Clients } from "./clients.cjs";
import { answer, InvalidArgumentError, unwrap } from "./errors.cjs";
import * as native from "../native.cjs";
import {
  type Ask,
  adaptLapse,
  adaptStore,
  type CredentialStore,
  credentialStore,
  isPostgresStore,
  type LeaseTest,
  leaseTest,
  type PostgresStore,
} from "./store.cjs";

/** Selects the servers and controls how they start. Every option is optional. */
export type Options = {
  /**
   * The path of the configuration, or its `file:` URL: Codex's `config.toml`, or a JSON file with `mcpServers`. A leading `~/` is the
   * user's home folder. By default, the user's Codex configuration.
   */
  config?: string | URL | undefined;
  /** The servers, instead of a file: the same object as `mcpServers` in a `.mcp.json`. */
  mcpServers?: Record<string, ServerEntry> | undefined;
  /**
   * The servers of the MCP clients on this machine, instead of a file: `"all"`, or the IDs of clients, such as `["claude-code",
   * "cursor"]`. A server that several clients have in the same way is started once. If servers have the same name, their names are
   * `CLIENT:SERVER`, as in `cursor:linear`. `discover` lists the servers, and `notChecked` those that are left out.
   */
  clients?: Clients | undefined;
  /**
   * Only with `clients`: the folder whose project files are read too. A leading `~/` is the user's home folder. By default, the
   * current folder.
   */
  folder?: string | URL | undefined;
  /**
   * Only with `clients`: whether to start the servers of project files that the user has not approved in their client. These files
   * may be part of someone else's repository, and name programs to start. By default, `false`.
   */
  trustProject?: boolean | undefined;
  /** The names of the servers to start. By default, all enabled servers. With `clients`, a name can be `CLIENT:SERVER`. */
  servers?: readonly string[] | undefined;
  /** The time limit for each start, in milliseconds. It overrides the configuration. */
  timeoutMs?: number | undefined;
  /** The maximum number of servers that start at the same time. */
  concurrency?: number | undefined;
  /** The URL of the application's OAuth client ID metadata document, if it publishes one. */
  clientMetadataUrl?: string | URL | undefined;
  /** The user's sign-ins in PostgreSQL, or a custom credential store. By default, credentials are stored where Codex stores them. */
  store?: CredentialStore | PostgresStore | undefined;
  /**
   * Aborts the call, or every start of a `check` or `watch`. The call or the loop then throws the signal's reason. Tokens that an
   * authorization server has granted are still stored.
   */
  signal?: AbortSignal | undefined;
};

const servers: Rule<Record<string, ServerEntry>> = json("an object with the servers by name");

/** Whether a text is a known word is decided by the addon. */
export const clients: Rule<Clients> = (place, value) => {
  if (typeof value === "string") return value as Clients;
  if (Array.isArray(value)) return texts(place, value);
  throw mustBe(place, '"all" or a list of client IDs', value);
};

/** The rule for each option. */
export const OPTIONS_OF_CHECK: Rules<Options> = {
  config: path,
  mcpServers: servers,
  clients,
  folder: path,
  trustProject: flag,
  servers: texts,
  timeoutMs: number,
  concurrency: number,
  clientMetadataUrl: url,
  store: credentialStore,
  signal,
};

/** A server entry of a `.mcp.json`. */
export type ServerEntry = {
  /** The URL of a remote server. */
  url?: string | URL;
  /** The headers to send to the remote server. */
  headers?: Record<string, string>;
  /** The command that starts a local server. */
  command?: string;
  /** The arguments of the command. */
  args?: string[];
  /** Environment variables for the command. */
  env?: Record<string, string>;
  [key: string]: unknown;
};

/**
 * A change in the state of one server's start. Each start emits one event with `starting`, and then exactly one with
 * `ready`, `failed` or `cancelled`.
 */
export type StartupEvent = {
  /** The name of the server. */
  name: string;
  /** The state of the start. */
  status: McpServerStartupState;
  /** The notification to send to clients, unchanged. */
  notification: McpServerStatusUpdatedNotification;
  /** The phase that the start had reached. On `ready`, the last phase of the start. */
  phase: StartPhase;
  /** The time since the start began, in milliseconds. */
  elapsedMs: number;
  /** Whether the configuration marks this server as required. */
  required: boolean;
  /** Why the start failed. Set only on `failed`. */
  failure: StartupFailure | null;
  /** What is wrong with a server that is ready. Set only on `ready`. */
  warning: StartupWarning | null;
  /** The number of tools of a server that is ready, or `null` if it did not list them: then there is a `warning`. */
  tools: number | null;
  /** Why a token that was refreshed during this start could not be saved, or `null`. */
  notSaved: string | null;
  /**
   * Parts of the server's entry that do not have the effect that the user may expect, such as keys that are not read. Empty on
   * `starting`.
   */
  configurationWarnings: ConfigurationEvidence[];
};

/**
 * An async iterable of startup events.
 *
 * Nothing starts until you iterate. Leaving the loop immediately ends every start, including its process and requests.
 */
export interface Check extends AsyncIterableIterator<StartupEvent, undefined> {
  /** Cancels the starts that have not finished. Each of them emits `cancelled`, and then the iteration ends. */
  cancel(): void;
  /** Immediately ends every start, as leaving the loop does. */
  return(): Promise<IteratorResult<StartupEvent, undefined>>;
  /** Immediately ends every start, at the end of the block of `await using events = check()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** An async iterable of startup events that continues until you cancel it or leave the loop. */
export interface Watch extends Check {
  /** Starts the named server again now if it has failed. Does nothing if it is starting or ready. */
  retry(name: string): void;
}

// `process.exit` and uncaught errors run no destructors, which would leave the servers' processes running.
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
    this.#events.retry(text(argument("name"), name));
  }

  /** Serializes the calls: otherwise the addon's end of iteration could overtake the last event. */
  next(): Promise<IteratorResult<StartupEvent, undefined>> {
    const next = this.#last.then(() => this.#nextInTurn());
    this.#last = next.catch(() => {});
    return next;
  }

  async #nextInTurn(): Promise<IteratorResult<StartupEvent, undefined>> {
    this.#throwIfAborted();
    // Not in the constructor: an iterator that is never used must leave no listener. Adding the same listener again is a no-op.
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
    if (this.#ready.length === 0 && !this.#isStopped) {
      try {
        const events = (await answer((done) => this.#events.next(done))) as Omit<StartupEvent, "name" | "status">[];
        this.#ready = events.map((event) => ({ name: event.notification.name, status: event.notification.status, ...event }));
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave();
  }

  /** Throws the signal's reason once and ends the iteration. */
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
 * Starts every enabled server, emits an event for each state, and closes each server when its start has ended.
 *
 * A server that fails to start is an event, not an error.
 *
 * @throws {McpStartupError} If an option is invalid. If the configuration can't be read, the loop throws it, not this call.
 */
export function check(options: Options = {}): Check {
  const checked = optionsOf(OPTIONS_OF_CHECK, options);
  return new Starts(native.Events.ofCheck(...nativeOptions(checked)), checked.signal);
}

/**
 * Starts every enabled server like `check`, and continues: it starts a failed server again
 *
 * - when you call `retry`;
 * - when its stored credentials change, for example after a sign-in by any process;
 * - automatically, if the failure's recovery is `retry`: after a random pause of up to 1 s, then up to 2 s, 4 s and so on
 *   up to 5 min.
 *
 * @throws {McpStartupError} If an option is invalid. If the configuration can't be read, the loop throws it, not this call.
 */
export function watch(options: Options = {}): Watch {
  const checked = optionsOf(OPTIONS_OF_CHECK, options);
  return new Starts(native.Events.ofWatch(...nativeOptions(checked)), checked.signal);
}

/** A request that the server rejected with HTTP 401 or 403. */
export type Rejected = {
  /** The value of the request's `Authorization` header, or `null` if it had none. */
  authorization: string | null;
  /** The value of the response's `WWW-Authenticate` header. */
  challenge?: string | null;
  /**
   * The status of the response: 401, which is the default, or 403. After 403, nothing is refreshed, and the verdict is thrown unless
   * another sign-in is stored: `insufficientScope` if the challenge requires more scopes.
   */
  status?: number;
};

const REJECTED: Rules<Rejected> = { authorization: text, challenge: text, status: statusOfRejected };

function statusOfRejected(place: Place, value: unknown): number {
  if (value === 401 || value === 403) return value;
  throw mustBe(place, "the number 401 or 403", value);
}

/**
 * Returns the `Authorization` header for a request that the application sends itself, for example with another SDK.
 *
 * For the first request, call it without `rejected`. If the server answers 401, call it again with the rejected request: it
 * returns the header for the next attempt. It uses the same store, lock and refresh as a start.
 *
 * @returns The value of the header, or `null` to send the request without one.
 * @throws {McpStartupError} If no credential is left to try. Its `failure` is the verdict.
 */
export async function authorization(
  server: string,
  rejected?: Rejected | null,
  options: Options = {},
): Promise<string | null> {
  const checked = optionsOf(OPTIONS_OF_CHECK, options);
  const [name, refused] = [text(argument("server"), server), rejected == null ? null : rejectedRequest(rejected)];
  const [json, ask] = nativeOptions(checked);
  const header = await answer((done) => native.authorization(json, ask, name, refused, done), checked.signal);
  saveFirst();
  return header as string | null;
}

/** Checks a rejected request. An object without `authorization` is something else, such as the options of the call. */
function rejectedRequest(rejected: unknown): native.Refused {
  const place = argument("rejected");
  const checked = fieldsOf(place, REJECTED, rejected);
  if ("authorization" in (rejected as Rejected)) return nativeRefusal(checked);
  throw new InvalidArgumentError(`${place.at("authorization")} is missing; pass the options as the third argument`);
}

/** Returns a rejected request as the addon takes it. */
export function nativeRefusal({ authorization = null, challenge = null, status = 401 }: Rejected): native.Refused {
  return { authorization, challenge, status };
}

/** How a client is authorized at a server, and the state of the stored credentials. It contains no secret. */
export type AuthStatus = {
  /**
   * The status, or `null` if it is unknown: no usable credentials are stored, and the server was not queried or did not
   * answer.
   */
  status: McpAuthStatus | null;
  /** Whether the stored credentials can be used or refreshed; `null` if none are stored for exactly this server. */
  worth: CredentialWorth | null;
  /** When the stored access token expires, in milliseconds since the Unix epoch; `null` if the record does not specify it. */
  expiresAtMs: number | null;
  /** The granted scopes. */
  scopes: string[];
  /** The issuer identifier of the authorization server that granted the credentials. */
  issuer: string | null;
  /** Where the credentials are stored: `file`, `keyring`, `postgres`, or `host` for a custom store. */
  store: string | null;
  /** Why the store could not be read, or `null`. */
  storeError: { store: string; trouble: CredentialStoreTrouble; detail: string } | null;
};

/** The options of `authStatus`. */
export type AuthStatusOptions = Options & {
  /** Whether to ask the server whether it publishes OAuth metadata. By default, `false`: no request is sent. */
  online?: boolean | undefined;
};

const AUTH_STATUS_OPTIONS: Rules<AuthStatusOptions> = { ...OPTIONS_OF_CHECK, online: flag };

/**
 * Returns how a client is authorized at a server, and the state of the stored credentials. It sends requests only if
 * `online` is `true`.
 */
export async function authStatus(server: string, options: AuthStatusOptions = {}): Promise<AuthStatus> {
  const { online = false, ...checked } = optionsOf(AUTH_STATUS_OPTIONS, options);
  const name = text(argument("server"), server);
  const [json, ask] = nativeOptions(checked);
  return (await answer((done) => native.authStatus(json, ask, name, online, done), checked.signal)) as AuthStatus;
}

/** The options of `beginSignIn`. */
export type SignInOptions = Options & {
  /**
   * The value of the `WWW-Authenticate` header of the response with which the server rejected the application's own request,
   * for example a 403 with `insufficient_scope`. It can name the required scopes (RFC 6750, section 3) and the server's
   * metadata (RFC 9728, section 5.1). By default, the sign-in sends a request to get a challenge.
   */
  challenge?: string | null | undefined;
  /**
   * Scopes to request in addition. The requested scopes are the union of the configured, the granted, the challenged and
   * these. By default, none.
   */
  scopes?: readonly string[] | undefined;
};

/** The rule for each option of `beginSignIn`. */
export const SIGN_IN_OPTIONS: Rules<SignInOptions> = { ...OPTIONS_OF_CHECK, challenge: text, scopes: texts };

/** A sign-in that has begun. Both fields contain secrets. */
export type SignInBegun = {
  /** The URL to open in the user's browser. */
  authorizationUrl: string;
  /**
   * The value to pass to `finishSignIn`, in this process or another. It is single-use and expires after 15 minutes.
   */
  pending: string;
};

/**
 * Begins a sign-in. It stores nothing; `finishSignIn` does.
 *
 * @param redirectUri The URI that the browser is redirected to: `http` on loopback, `https`, or the app's custom scheme.
 * @param options The options. `challenge` and `scopes` apply only to this call; every other call refuses them.
 * @throws {McpStartupError} If the sign-in can't begin. Its `code` is `MCP_STARTUP_SIGN_IN`.
 */
export async function beginSignIn(
  server: string,
  redirectUri: string | URL,
  options: SignInOptions = {},
): Promise<SignInBegun> {
  const checked = optionsOf(SIGN_IN_OPTIONS, options);
  const [name, redirect] = [text(argument("server"), server), url(argument("redirectUri"), redirectUri)];
  const [json, ask] = nativeOptions(checked);
  return (await answer((done) => native.beginSignIn(json, ask, name, redirect, done), checked.signal)) as SignInBegun;
}

/**
 * Finishes a sign-in and stores the granted credentials.
 *
 * @param pending The `pending` value that `beginSignIn` returned.
 * @param callbackUrl The whole URL that the browser was redirected to.
 * @throws {McpStartupError} If the sign-in failed. Its `code` is `MCP_STARTUP_SIGN_IN`; stored credentials are unchanged.
 */
export async function finishSignIn(pending: string, callbackUrl: string | URL, options: Options = {}): Promise<void> {
  const checked = optionsOf(OPTIONS_OF_CHECK, options);
  const [begun, callback] = [text(argument("pending"), pending), url(argument("callbackUrl"), callbackUrl)];
  const [json, ask] = nativeOptions(checked);
  await answer((done) => native.finishSignIn(json, ask, begun, callback, done), checked.signal);
  saveFirst();
}

/** The result of a sign-out. */
export type SignedOut = {
  /** Whether credentials were stored. */
  wasStored: boolean;
  /**
   * Whether the authorization server revoked the tokens: it confirmed the revocation, it offers none, or it did not confirm
   * it.
   */
  revocation: "revoked" | "notOffered" | "failed";
};

/**
 * Signs out: revokes the tokens if the authorization server supports it, and removes the stored credentials even if the
 * revocation fails.
 */
export async function signOut(server: string, options: Options = {}): Promise<SignedOut> {
  const checked = optionsOf(OPTIONS_OF_CHECK, options);
  const name = text(argument("server"), server);
  const [json, ask] = nativeOptions(checked);
  const signedOut = await answer((done) => native.signOut(json, ask, name, done), checked.signal);
  saveFirst();
  return signedOut as SignedOut;
}

/** The options of `testCredentialStore`. */
export type TestCredentialStoreOptions = {
  /** The other half of the test of a store whose `lock` returns a `Lease`. By default, leases are not tested. */
  leases?: LeaseTest | undefined;
  /** Aborts the call, which then throws the signal's reason. */
  signal?: AbortSignal | undefined;
};

const TEST_OPTIONS: Rules<TestCredentialStoreOptions> = { leases: leaseTest, signal };

/**
 * Checks that a credential store meets the contract of `CredentialStore`. Call it from your tests.
 *
 * @param store An empty store. The check leaves test data in it.
 * @throws {McpStartupError} With the first violation.
 */
export async function testCredentialStore(
  store: CredentialStore | PostgresStore,
  options: TestCredentialStoreOptions = {},
): Promise<void> {
  const { leases, signal } = optionsOf(TEST_OPTIONS, options);
  const [json, ask] = nativeOptions({ store: credentialStore(argument("store"), store) });
  const [otherJson, otherAsk] = nativeOptions({ store: leases?.other });
  const lapse = leases === undefined ? null : adaptLapse((key) => leases.lapse(key));
  await answer((done) => native.testCredentialStore(json, ask, otherJson, otherAsk, lapse, done), signal);
  saveFirst();
}

/**
 * Returns checked options as JSON, and the store as the addon calls it.
 *
 * @throws {InvalidArgumentError} If the addon does not take a value. So no call begins with options that can't be used.
 */
export function nativeOptions({ store, signal: _, ...options }: Options): [string, Ask | null] {
  const isDescribed = isPostgresStore(store);
  const text = JSON.stringify(isDescribed ? { ...options, store } : options);
  unwrap(native.checkOptions(text));
  return [text, isDescribed || store === undefined ? null : adaptStore(store)];
}

/** Keeps the process alive until every refresh that was sent has stored its new token, and every lock in a database is released. */
export function saveFirst(): void {
  native.finish(() => {});
}
