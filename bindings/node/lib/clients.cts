import { optionsOf, path, type Rules, signal } from "./arguments.cjs";
import { clients, nativeOptions, type Options, OPTIONS_OF_CHECK } from "./engine.cjs";
import { answer } from "./errors.cjs";
import * as native from "../native.cjs";

/**
 * The MCP clients whose files are read: `"all"`, or the IDs of clients, such as `["claude-code", "cursor"]`. `mcp-startup clients`
 * and the documentation list the IDs.
 */
export type Clients = "all" | readonly string[];

/** The options of `discover`. */
export type DiscoverOptions = {
  /** The folder whose project files are read too. A leading `~/` is the user's home folder. By default, the current folder. */
  folder?: string | URL | undefined;
  /** The clients whose files are read. By default, all. */
  clients?: Clients | undefined;
  /** Aborts the call, which then throws the signal's reason. */
  signal?: AbortSignal | undefined;
};

const DISCOVER_OPTIONS: Rules<DiscoverOptions> = { folder: path, clients, signal };

/** One configuration file of an MCP client. */
export type ClientFile = {
  /** The ID of the client, such as `claude-code`. */
  readonly client: string;
  /** Whose servers the file configures. A project file may be part of someone else's repository. */
  readonly scope: "user" | "local" | "project" | "managed" | "plugin" | "system";
  /** The path of the file. */
  readonly path: string;
  /** The syntax of the file. */
  readonly format: "json" | "jsonc" | "toml" | "yaml" | "script";
  /** Whether the user has approved the file in the client; `null` if that is not known or not needed. */
  readonly approved: boolean | null;
  /** Why the file can't be used, or `null`. */
  readonly error: ClientFileProblem | null;
  /** Why the file is not read, even though the client uses it: it is a script. Otherwise `null`. */
  readonly notRead: string | null;
  /** The warnings about the file as a whole, for example about servers below a key that the client does not read. */
  readonly warnings: readonly ClientFileProblem[];
  /** The servers, in the order of the file. Empty if the file can't be used. */
  readonly servers: readonly ClientServer[];
};

/** Why a file of a client can't be used, or a warning about it. */
export type ClientFileProblem = {
  /** The line number, starting at 1, or `null`. */
  readonly line: number | null;
  /** The column in characters, starting at 1, or `null`. */
  readonly column: number | null;
  /** A human-readable message that names the file. */
  readonly message: string;
};

/** A server in a configuration file of an MCP client. */
export type ClientServer = {
  /** The name of the server in the client. */
  readonly name: string;
  /** The transport that the client uses; `unknown` if the entry names none that is known here. */
  readonly transport: "stdio" | "http" | "sse" | "unknown";
  /** Whether the server is enabled in the client. */
  readonly enabled: boolean;
  /** Whether `check` can start the server: it has no problem, and everything that it needs is known. */
  readonly checkable: boolean;
  /** Why `check` can't start the server, or `null`. */
  readonly why: string | null;
  /** Whether the user has approved the server in the client; `null` if that is not known or not needed. */
  readonly approved: boolean | null;
};

/**
 * Finds the configuration files of the MCP clients on this machine, and reads each as its client does. Starts nothing.
 *
 * Files that do not exist are left out. A file that can't be read is part of the result, with its `error`.
 *
 * @returns The files with their servers. The result is frozen, and is the same as that of `mcp-startup clients --format json`.
 * @throws {McpStartupError} If an option is invalid.
 */
export async function discover(options: DiscoverOptions = {}): Promise<readonly ClientFile[]> {
  const { signal, ...checked } = optionsOf(DISCOVER_OPTIONS, options);
  const text = JSON.stringify(checked);
  return freeze((await answer((done) => native.discover(text, done), signal)) as ClientFile[]);
}

/** A server of an MCP client that `check` leaves out. */
export type NotChecked = {
  /** The ID of the client, such as `claude-code`. */
  readonly client: string;
  /** Whose servers the client's file configures. */
  readonly scope: ClientFile["scope"];
  /** The path of the client's file. */
  readonly path: string;
  /** The name of the server in the client. */
  readonly name: string;
  /** Why the server is left out. */
  readonly why: string;
  /** Whether `check` starts the server with the option `trustProject`. */
  readonly needsApproval: boolean;
};

/**
 * Returns the servers that `check` and `watch` leave out with the same options, and why: for example because only the client knows a
 * secret, or because the user has not approved a project's file. Starts nothing. Without the option `clients`, the list is empty.
 *
 * @returns A frozen list, with the same fields as `notChecked` in the report of `mcp-startup check --format json`.
 * @throws {McpStartupError} If an option is invalid, or if no client has a server with a name in `servers`.
 */
export async function notChecked(options: Options = {}): Promise<readonly NotChecked[]> {
  const { store: _, signal, ...checked } = optionsOf(OPTIONS_OF_CHECK, options);
  const [text] = nativeOptions(checked);
  return freeze((await answer((done) => native.notChecked(text, done), signal)) as NotChecked[]);
}

/** Freezes a value and everything in it. */
function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(freeze);
  return Object.freeze(value);
}
