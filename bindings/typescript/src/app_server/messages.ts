import type { McpAuthStatus, McpServerConnectionStatus, McpServerStartupState } from "../generated/contract.js";
import type { ConfigurationEvidence, StartPhase, StartupFailure, StartupWarning } from "../generated/verdict.js";
import type { OrNewer } from "../notification.js";

/** The parameters and the result of each request that this version knows. */
export type Requests = {
  /** Starts a thread. Codex sends notifications only after it. */
  "thread/start": { params: ThreadStartParams; result: ThreadStartResponse };
  /** One page of the servers. `servers` reads all pages. */
  "mcpServerStatus/list": { params: ListMcpServerStatusParams; result: ListMcpServerStatusResponse };
  /** Begins a sign-in. `login` also waits for its end. */
  "mcpServer/oauth/login": { params: McpServerOauthLoginParams; result: McpServerOauthLoginResponse };
  /** Reads the configuration again, starts what has changed, and ends what is gone. */
  "config/mcpServer/reload": { params: NoParams; result: EmptyResponse };
  /** Calls a tool of a connected server. */
  "mcpServer/tool/call": { params: McpServerToolCallParams; result: McpServerToolCallResponse };
  /** Reads a resource of a connected server. */
  "mcpServer/resource/read": { params: McpResourceReadParams; result: McpResourceReadResponse };
  /** Returns the result of the last start of a server. Only mcp-startup has it. */
  "mcpStartup/failure/read": { params: ServerParams; result: FailureReadResponse };
  /** Starts a server again that has failed. Only mcp-startup has it. */
  "mcpStartup/retry": { params: ServerParams; result: EmptyResponse };
  /** Revokes the tokens, removes the sign-in, and starts the server again. Only mcp-startup has it. */
  "mcpStartup/signOut": { params: ServerParams; result: SignOutResponse };
  /** Ends a sign-in. Only mcp-startup has it. */
  "mcpStartup/login/cancel": { params: { loginId: string }; result: CancelResponse };
  /** Cancels a request. A request with a `signal` sends it by itself. Only mcp-startup has it. */
  "mcpStartup/request/cancel": { params: { requestId: number | string }; result: CancelResponse };
  /** Returns where each server comes from. Only mcp-startup has it. */
  "mcpStartup/servers/list": { params: NoParams; result: ServersListResponse };
  /** Lists the configuration files of the MCP clients on the machine. Only mcp-startup has it. */
  "mcpStartup/clients/list": { params: NoParams; result: ClientsListResponse };
};

/** A JSON object whose fields this version does not describe. */
export type JsonObject = { [field: string]: unknown };

/** The method has no parameters. */
export type NoParams = { [field: string]: never };

/** The method returns no value. */
export type EmptyResponse = { [field: string]: unknown };

export type ThreadStartParams = {
  cwd?: string | null;
  model?: string | null;
  modelProvider?: string | null;
  /** Codex: do not store the thread. */
  ephemeral?: boolean | null;
};

export type ThreadStartResponse = { thread: { id: string } & JsonObject } & JsonObject;

export type ListMcpServerStatusParams = {
  /** The cursor of the previous page. */
  cursor?: string | null;
  /** How many servers a page has at most. */
  limit?: number | null;
  /** The lists to return for each server. By default, `full`. */
  detail?: "full" | "toolsAndAuthOnly" | null;
  /** Only this server. */
  serverName?: string | null;
  /** With a thread, the states are those of this moment. Without one, the response waits for starts. */
  threadId?: string | null;
  environmentId?: string | null;
};

export type ListMcpServerStatusResponse = {
  /** The servers, sorted by name. */
  data: McpServerStatus[];
  /** The cursor of the next page. `null` if this is the last one. */
  nextCursor: string | null;
};

/** The state of a server, with its tools and resources. */
export type McpServerStatus = {
  name: string;
  environmentId?: string | null;
  /** The state of the connection. Codex writes `null` without a thread. */
  runtimeStatus: OrNewer<McpServerConnectionStatus> | null;
  pluginId: string | null;
  /** The origin of the URL. `null` for a program. */
  httpOrigin: string | null;
  /** The name and the version of the server. `null` if it is not connected. */
  serverInfo: JsonObject | null;
  /** The capabilities of the server. `null` if it is not connected. */
  serverCapabilities: JsonObject | null;
  /** The `_meta` of the first page of tools. */
  toolListMeta: JsonObject | null;
  /** The tools by name. */
  tools: { [name: string]: JsonObject };
  /** Why there are no tools. `null` if they are listed. */
  toolsError: string | null;
  resources: JsonObject[];
  resourceTemplates: JsonObject[];
  /** How the user is signed in. */
  authStatus: OrNewer<McpAuthStatus>;
};

export type McpServerOauthLoginParams = {
  name: string;
  environmentId?: string | null;
  threadId?: string | null;
  /** Where the OAuth client comes from. By default, `auto`. */
  clientRegistration?: "auto" | "cimd" | "dcr" | null;
  /** Scopes to request in addition to the configured ones. */
  scopes?: string[] | null;
  /** How long the app-server waits for the browser, in seconds. */
  timeoutSecs?: number | null;
};

export type McpServerOauthLoginResponse = {
  /** The URL to open in a browser. */
  authorizationUrl: string;
  /** Identifies this sign-in in the notification about its end. Older versions of Codex do not send it. */
  loginId?: string | null;
};

export type McpServerToolCallParams = {
  threadId: string;
  server: string;
  environmentId?: string | null;
  tool: string;
  arguments?: unknown;
  _meta?: unknown;
};

export type McpServerToolCallResponse = {
  content: JsonObject[];
  structuredContent?: unknown;
  isError?: boolean | null;
  _meta?: unknown;
};

export type McpResourceReadParams = {
  server: string;
  uri: string;
  threadId?: string | null;
  environmentId?: string | null;
  _meta?: unknown;
};

export type McpResourceReadResponse = { contents: JsonObject[] } & JsonObject;

/** The parameters of a request about one server. */
export type ServerParams = { name: string; environmentId?: string | null; threadId?: string | null };

/** The result of a start, beyond its notification. */
export type StartDetails = {
  /** Why the last start failed, and what to do. `null` if it did not fail. */
  failure: StartupFailure | null;
  /** What is wrong with a server that is ready. */
  warning: StartupWarning | null;
  /** Why a refreshed token could not be stored. */
  notSaved: string | null;
  /** Parts of the server's entry that do not have the effect that the user may expect. */
  configurationWarnings: ConfigurationEvidence[];
  /** The time until the server starts again by itself, in ms. `null` if it does so only after a change. */
  retryInMs: number | null;
};

export type FailureReadResponse = StartDetails & {
  name: string;
  /** The state of the last start. `null` if there was none. */
  status: OrNewer<McpServerStartupState> | null;
  /** The phase that the last complete start had reached. */
  phase: StartPhase | null;
  /** How long it took, in ms. */
  elapsedMs: number | null;
  /** Whether the configuration marks the server as required. */
  required: boolean;
  /** What happened in the last complete start, as `mcp-startup explain --format json` prints it. */
  timeline: StartTimeline | null;
};

/** What happened during a start, in order. */
export type StartTimeline = {
  /** The entries, at most 200, with ascending times. */
  entries: TimelineEntry[];
  /** The number of later entries that were left out. */
  omitted: number;
};

/** One step of a start. It has more fields, depending on the step. */
export type TimelineEntry = {
  /** The time since the start began, in ms. */
  atMs: number;
  /** For example `requestSent`. */
  step: string;
  /** The step in words, on one line without hidden characters. */
  text: string;
} & JsonObject;

/** A client that has a server. */
export type ServerOwner = {
  /** The ID of the client, for example `claude-code`. */
  client: string;
  /** The name of the client, for example `Claude Code`. */
  clientName: string;
  /** The scope of its file, for example `user`. */
  scope: string;
  /** The path of its file. */
  path: string;
  /** The name of the server in the client. */
  name: string;
};

/** Where a server comes from. */
export type ConfiguredServer = {
  name: string;
  /** Whether it is enabled. A disabled server does not start. */
  enabled: boolean;
  /** The path of the file that has the entry. `null` if it comes from no file. */
  path: string | null;
  /** The line of the entry, or of the problem in it, starting at 1. */
  line: number | null;
  /** The key of the entry, or of the problem in it, for example `mcpServers.linear`. */
  key: string | null;
  /** The clients that have the server. The entry is that of the first one. */
  owners: ServerOwner[];
};

/** A server of a client that is not started, and why. */
export type NotCheckedServer = ServerOwner & { why: string };

export type ServersListResponse = {
  /** The servers, in the order of the configuration. */
  servers: ConfiguredServer[];
  /** The servers of clients that are not started. */
  notChecked: NotCheckedServer[];
  /** The files of clients that can't be read, each as a message that names the client and the file. */
  unreadable: string[];
};

export type SignOutResponse = {
  /** Whether a sign-in was stored. */
  wasStored: boolean;
  /** The answer of the authorization server to the revocation. */
  revocation: unknown;
};

/** Whether there was something to cancel. */
export type CancelResponse = { status: OrNewer<"canceled" | "notFound"> };

/** The files as `mcp-startup clients --format json` prints them. */
export type ClientsListResponse = { files: JsonObject[] };

/** The result of `initialize`. */
export type InitializeResponse = {
  /** The app-server and its version. */
  userAgent: string;
  /** The folder with the configuration and the sign-ins. */
  codexHome: string;
  /** For example `unix`. */
  platformFamily: string;
  /** For example `linux`. */
  platformOs: string;
};
