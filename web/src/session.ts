// The connection to the app-server, and the servers as it reports them.

import { StartupTracker } from "@mcp-startup/protocol";
import {
  AppServerClient,
  AppServerError,
  type AppServerNotification,
  type FailureReadResponse,
  isUnknownMethod,
} from "@mcp-startup/protocol/app-server";
import type { Server } from "./server.js";

export type Connection =
  | { state: "connecting" | "open" | "withoutToken" }
  /** The token was refused, or the app-server can't be reached. */
  | { state: "refused" | "lost"; why: string };

/** Everything that the page shows. A new object for each change. */
export type Snapshot = {
  readonly connection: Connection;
  /** In the order of the configuration. */
  readonly servers: readonly Server[];
  /** Why the configuration could not be read again. */
  readonly problem: string | null;
};

/** The shortest pause between two updates of the page, in ms. */
const PAUSE_MS = 50;
/** How many changes of servers one update shows at most, so that a page with many servers stays responsive. */
const CHANGES_AT_ONCE = 100;

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
  #client: AppServerClient | null = null;
  #connection: Connection = { state: "connecting" };
  #servers = new Map<string, Server>();
  #tracker = new StartupTracker();
  #problem: string | null = null;
  #waiting: AppServerNotification[] = [];
  #signIns = new Map<string, AbortController>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #show: (snapshot: Snapshot) => void = () => {};

  /** Calls `show` now, and after each change. */
  subscribe(show: (snapshot: Snapshot) => void): void {
    this.#show = show;
    show(this.#snapshot());
  }

  /** Connects, and starts the servers. Resolves when the connection has ended. */
  async run(token: string | null): Promise<void> {
    if (token === null) return this.#connected({ state: "withoutToken" });
    this.#connected({ state: "connecting" });
    try {
      this.#client = await AppServerClient.connect(new WebSocket(`ws://${location.host}/`), {
        clientInfo: { name: "mcp-startup-page", title: "The page of mcp-startup", version: "1" },
        token,
        onNotification: (notification) => {
          this.#waiting.push(notification);
          this.#changed();
        },
      });
    } catch (error) {
      const refused = error instanceof AppServerError && error.kind !== "closed";
      return this.#connected({ state: refused ? "refused" : "lost", why: messageOf(error) });
    }
    this.#connected({ state: "open" });
    const { message } = await this.#client.closed;
    this.#client = null;
    this.#connected({ state: "lost", why: message });
  }

  async signIn(name: string): Promise<void> {
    const client = this.#client;
    if (client === null || this.#signIns.has(name)) return;
    const ending = new AbortController();
    this.#signIns.set(name, ending);
    this.#change(name, { signIn: { step: "beginning" }, problem: null });
    let problem: string | null = null;
    try {
      const { authorizationUrl, completed } = await client.login({ name }, { signal: ending.signal });
      // A server chooses the URL.
      if (!/^https?:/.test(authorizationUrl)) throw new Error("The sign-in service has no usable address.");
      this.#change(name, { signIn: { step: "waiting", url: authorizationUrl } });
      // A browser that blocks it leaves the link.
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

  async retry(name: string): Promise<void> {
    await this.#act(name, (client) => client.request("mcpStartup/retry", { name }));
  }

  /** Reads the configuration again, and starts each server again that has failed, or only this one. */
  async checkAgain(only?: string): Promise<void> {
    const client = this.#client;
    if (client === null) return;
    try {
      await client.request("config/mcpServer/reload");
      this.#problem = null;
    } catch (error) {
      this.#problem = messageOf(error);
    }
    this.#changed();
    const failed = [...this.#servers.values()].filter(({ status }) => status === "failed" || status === "cancelled");
    for (const { name } of failed) if (only === undefined || name === only) await this.retry(name);
  }

  /** The result of the last start, with its timeline. */
  async read(name: string): Promise<FailureReadResponse> {
    if (this.#client === null) throw new Error("The connection has ended.");
    return this.#client.request("mcpStartup/failure/read", { name });
  }

  async #act(name: string, act: (client: AppServerClient) => Promise<unknown>): Promise<void> {
    if (this.#client === null) return;
    try {
      await act(this.#client);
      this.#change(name, { problem: null });
    } catch (error) {
      this.#change(name, { problem: isUnknownMethod(error) ? "This version of mcp-startup can't do that." : messageOf(error) });
    }
  }

  #apply({ type, params }: AppServerNotification): void {
    if (type === "startupStatus") {
      const { name, status, error } = params;
      this.#tracker.apply(params);
      this.#change(name, status === "failed" || status === "starting" ? { status, error, nextTryAt: null } : { status, error, details: null, nextTryAt: null });
    } else if (type === "failure") {
      const { retryInMs } = params;
      this.#change(params.name, { details: params, nextTryAt: retryInMs === null ? null : Date.now() + retryInMs });
    }
  }

  #change(name: string, change: Partial<Server>): void {
    this.#servers.set(name, { ...(this.#servers.get(name) ?? { ...UNKNOWN, name }), ...change });
    this.#changed();
  }

  #connected(connection: Connection): void {
    this.#connection = connection;
    this.#changed();
  }

  /** Shows the changes soon, many at once. */
  #changed(): void {
    this.#timer ??= setTimeout(() => {
      for (const notification of this.#waiting.splice(0, CHANGES_AT_ONCE)) this.#apply(notification);
      this.#show(this.#snapshot());
      this.#timer = null;
      if (this.#waiting.length > 0) this.#changed();
    }, PAUSE_MS);
  }

  #snapshot(): Snapshot {
    return { connection: this.#connection, servers: [...this.#servers.values()], problem: this.#problem };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
