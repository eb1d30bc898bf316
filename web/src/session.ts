// The connection to the app-server, and the servers as it reports them.

import { StartupTracker } from "@mcp-startup/protocol";
import {
  AppServerClient,
  type AppServerError,
  type AppServerNotification,
  type FailureReadResponse,
  isUnknownMethod,
  type McpServerStatus,
  type NotCheckedServer,
  type ServersListResponse,
} from "@mcp-startup/protocol/app-server";
import { attentionOf, needsAttention, type Server, stateOf } from "./server.js";

export type Connection =
  | { state: "connecting" | "open" | "withoutToken" }
  /** The app-server refused the page, does not answer, or has ended. */
  | { state: "refused" | "lost"; why: string };

/** Everything that the page shows. A new object for each change. */
export type Snapshot = {
  readonly connection: Connection;
  /** In the order of the configuration. */
  readonly servers: readonly Server[];
  readonly notChecked: readonly NotCheckedServer[];
  /** The files that can't be read, each as a message. */
  readonly unreadable: readonly string[];
  /** Whether the configuration is being read again. */
  readonly isChecking: boolean;
  /** Why the configuration could not be read again. */
  readonly problem: string | null;
  /** The name and the version of the program. */
  readonly program: string | null;
  /** The last changes, for a screen reader. */
  readonly announcement: string;
};

/** The shortest pause between two updates of the page, in ms. */
const PAUSE_MS = 50;
/** How many changed servers one update shows at most, so that a page with many servers stays responsive. */
const CHANGES_AT_ONCE = 60;
/** How long to collect changes for an announcement, in ms. */
const ANNOUNCEMENT_MS = 1000;
/** How many servers an announcement names at most. */
const NAMES_AT_ONCE = 3;

const UNKNOWN: Omit<Server, "name"> = {
  status: null,
  error: null,
  details: null,
  nextTryAt: null,
  origin: null,
  signIn: null,
  problem: null,
};

export class Session {
  #show: (snapshot: Snapshot) => void;
  #client: AppServerClient | null = null;
  #connection: Connection = { state: "connecting" };
  #servers = new Map<string, Server>();
  /** The same servers as they are shown: those of `#unshown` are older. */
  #shown = new Map<string, Server>();
  #unshown = new Set<string>();
  #notChecked: readonly NotCheckedServer[] = [];
  #unreadable: readonly string[] = [];
  #tracker = new StartupTracker();
  /** The name and the version of the program. */
  program: string | null = null;
  #isChecking = false;
  #problem: string | null = null;
  #announcement = "";
  #signIns = new Map<string, AbortController>();
  #thread: Promise<string> | null = null;
  #update: ReturnType<typeof setTimeout> | undefined;
  /** The servers to announce. */
  #announced = new Set<string>();
  #announce: ReturnType<typeof setTimeout> | undefined;

  /** Calls `show` for each change. */
  constructor(show: (snapshot: Snapshot) => void) {
    this.#show = show;
  }

  /** Connects, which starts the servers. Resolves when the connection has ended. */
  async run(token: string | null): Promise<void> {
    if (token === null) return this.#connected({ state: "withoutToken" });
    this.#connected({ state: "connecting" });
    try {
      const client = await AppServerClient.connect(new WebSocket(`ws://${location.host}`), {
        clientInfo: { name: "mcp-startup-page", title: "The page of mcp-startup", version: "1" },
        token,
        timeoutMs: 30_000,
        onNotification: (notification) => this.#apply(notification),
      });
      this.#client = client;
      this.program = client.server.userAgent.split(" ")[0]?.replace("/", " ") ?? null;
      this.#configured(await client.request("mcpStartup/servers/list"));
      this.#connected({ state: "open" });
      this.#ended(await client.closed);
    } catch (error) {
      this.#client?.close();
      this.#ended(error);
    }
  }

  /** Connects again. All states are those of new starts. */
  async runAgain(token: string | null): Promise<void> {
    if (this.#client !== null) return;
    this.#servers.clear();
    this.#shown.clear();
    this.#unshown.clear();
    this.#tracker = new StartupTracker();
    await this.run(token);
  }

  /** Signs in, in a new tab. After a success, the server starts again by itself. */
  async signIn(name: string): Promise<void> {
    const client = this.#client;
    if (client === null || this.#signIns.has(name)) return;
    const ending = new AbortController();
    this.#signIns.set(name, ending);
    this.#change(name, { signIn: { step: "beginning" }, problem: null });
    let problem: string | null = null;
    try {
      const { authorizationUrl, completed } = await client.login({ name }, { signal: ending.signal });
      // The metadata of the sign-in service chooses the URL.
      if (!/^https?:/.test(authorizationUrl)) throw new Error("The address of the sign-in page is not a web address.");
      this.#change(name, { signIn: { step: "waiting", url: authorizationUrl } });
      // If the browser does not open it, the page has a link.
      window.open(authorizationUrl, "_blank", "noopener,noreferrer");
      const { success, error } = await completed;
      if (!success) problem = error ?? "The sign-in failed.";
    } catch (error) {
      if (!ending.signal.aborted) problem = messageOf(error);
    }
    this.#signIns.delete(name);
    this.#change(name, { signIn: null, problem });
  }

  cancelSignIn(name: string): void {
    this.#signIns.get(name)?.abort();
  }

  /** Starts a server again that has failed. */
  async retry(name: string): Promise<void> {
    await this.#act(name, (client) => client.request("mcpStartup/retry", { name }));
  }

  async signOut(name: string): Promise<void> {
    await this.#act(name, (client) => client.request("mcpStartup/signOut", { name }));
  }

  /** Reads the configuration again, and starts each server again that has failed, or only this one. */
  async checkAgain(only?: string): Promise<void> {
    const client = this.#client;
    if (client === null || this.#isChecking) return;
    this.#isChecking = true;
    this.#problem = null;
    this.#changed();
    try {
      await client.request("config/mcpServer/reload");
    } catch (error) {
      this.#problem = messageOf(error);
    }
    // After an error too: other files may have been reloaded.
    await this.#list(client);
    // A server that the reload has started is not started twice.
    const failed = [...this.#servers.values()].filter((server) => needsAttention(server) || server.status === "cancelled");
    const names = failed.map(({ name }) => name).filter((name) => only === undefined || name === only);
    for (const name of names) await this.retry(name);
    this.#isChecking = false;
    this.#changed();
  }

  /** The result of the last start, with its timeline. */
  async lastStart(name: string): Promise<FailureReadResponse> {
    return this.#connectedClient().request("mcpStartup/failure/read", { name });
  }

  /** The tools of a server that is ready, and how the user is signed in. */
  async offers(name: string): Promise<McpServerStatus | null> {
    const client = this.#connectedClient();
    // With a thread, the response does not wait for starts.
    this.#thread ??= client.request("thread/start").then(({ thread }) => thread.id);
    const threadId = await this.#thread;
    const params = { serverName: name, threadId, detail: "toolsAndAuthOnly" } as const;
    return (await client.request("mcpServerStatus/list", params)).data[0] ?? null;
  }

  /** Takes the servers of the configuration. */
  async #list(client: AppServerClient): Promise<void> {
    try {
      this.#configured(await client.request("mcpStartup/servers/list"));
    } catch (error) {
      this.#problem ??= messageOf(error);
      this.#changed();
    }
  }

  #connectedClient(): AppServerClient {
    if (this.#client === null) throw new Error("The connection has ended.");
    return this.#client;
  }

  async #act(name: string, act: (client: AppServerClient) => Promise<unknown>): Promise<void> {
    if (this.#client === null) return;
    let problem: string | null = null;
    try {
      await act(this.#client);
    } catch (error) {
      problem = isUnknownMethod(error) ? "This version of mcp-startup can't do that." : messageOf(error);
    }
    if (this.#servers.get(name)?.problem !== problem) this.#change(name, { problem });
  }

  /** Takes the servers of the configuration, in its order. */
  #configured({ servers, notChecked, unreadable }: ServersListResponse): void {
    const [before, shown] = [this.#servers, this.#shown];
    [this.#servers, this.#shown] = [new Map(), new Map()];
    for (const { name, enabled, path, line, key, owners } of servers) {
      const origin = { enabled, place: path === null ? null : { path, line, key }, owners };
      const unknown = { ...UNKNOWN, name };
      this.#servers.set(name, { ...(before.get(name) ?? unknown), origin });
      this.#shown.set(name, shown.get(name) ?? { ...unknown, origin });
      this.#unshown.add(name);
    }
    this.#notChecked = notChecked;
    this.#unreadable = unreadable;
    this.#changed();
  }

  #apply({ type, params }: AppServerNotification): void {
    if (type === "serversUpdated") {
      if (this.#client !== null) void this.#list(this.#client);
    } else if (type === "startupStatus") {
      const { name, status, error } = params;
      this.#tracker.apply(params);
      // The details of the last failure stay until the start ends.
      const details = status === "starting" || status === "failed" ? {} : { details: null };
      this.#change(name, { status, error, nextTryAt: null, ...details });
      if (status !== "starting") this.#toAnnounce(name);
    } else if (type === "failure") {
      const { retryInMs } = params;
      this.#change(params.name, {
        details: params,
        nextTryAt: retryInMs === null ? null : Date.now() + retryInMs,
      });
    }
  }

  #change(name: string, change: Partial<Server>): void {
    this.#servers.set(name, { ...(this.#servers.get(name) ?? { ...UNKNOWN, name }), ...change });
    this.#unshown.add(name);
    this.#changed();
  }

  #connected(connection: Connection): void {
    this.#connection = connection;
    this.#changed();
  }

  #ended(error: AppServerError | unknown): void {
    this.#client = null;
    this.#thread = null;
    const isRefused = (error as { kind?: unknown }).kind !== "closed";
    this.#connected({ state: isRefused ? "refused" : "lost", why: messageOf(error) });
  }

  /** Shows the changes soon. */
  #changed(pauseMs = PAUSE_MS): void {
    this.#update ??= setTimeout(() => {
      const began = performance.now();
      let left = CHANGES_AT_ONCE;
      for (const name of this.#unshown) {
        if (left-- === 0) break;
        this.#unshown.delete(name);
        const server = this.#servers.get(name);
        // A server that is not configured any more, or whose configuration follows, is not shown.
        if (server !== undefined && this.#shown.has(name)) this.#shown.set(name, server);
      }
      this.#update = undefined;
      this.#show(this.#snapshot());
      // The page has at least half of the time for its user.
      if (this.#unshown.size > 0) this.#changed(Math.max(PAUSE_MS, performance.now() - began));
    }, pauseMs);
  }

  #toAnnounce(name: string): void {
    this.#announced.add(name);
    clearTimeout(this.#announce);
    this.#announce = setTimeout(() => {
      const servers = [...this.#announced].flatMap((one) => this.#servers.get(one) ?? []);
      this.#announced.clear();
      this.#announcement =
        servers.length <= NAMES_AT_ONCE
          ? servers.map((server) => `${server.name}: ${stateOf(server).label}.`).join(" ")
          : summaryOf([...this.#servers.values()]);
      this.#changed();
    }, ANNOUNCEMENT_MS);
  }

  #snapshot(): Snapshot {
    return {
      connection: this.#connection,
      servers: [...this.#shown.values()],
      notChecked: this.#notChecked,
      unreadable: this.#unreadable,
      isChecking: this.#isChecking,
      problem: this.#problem,
      program: this.program,
      announcement: this.#announcement,
    };
  }
}

/** The states of all servers in one sentence. */
export function summaryOf(servers: readonly Server[]): string {
  const enabled = servers.filter(({ origin }) => origin?.enabled !== false);
  const count = (status: string | null) => enabled.filter((server) => server.status === status && !needsAttention(server)).length;
  const attention = attentionOf(enabled).length;
  const parts = [
    attention === 0 ? null : `${attention} ${attention === 1 ? "needs" : "need"} attention`,
    count("starting") + count(null) === 0 ? null : `${count("starting") + count(null)} starting`,
    attention === 0 && count("ready") === enabled.length
      ? `All ${enabled.length} ready`
      : `${count("ready")} of ${enabled.length} ready`,
  ];
  return parts.filter((part) => part !== null).join(" · ");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
