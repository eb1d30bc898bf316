import {
  isMcpServerStatusUpdatedNotification,
  METHOD,
  type ReceivedNotification,
  received,
} from "../notification.js";
import type { StartDetails } from "./messages.js";

/** A notification of the app-server. `type` narrows it. */
export type AppServerNotification = {
  /** When the app-server wrote it, in ms since the Unix epoch, or `null`. */
  emittedAtMs: number | null;
} & (
  | { type: "startupStatus"; method: typeof METHOD; params: ReceivedNotification }
  | { type: "loginCompleted"; method: typeof LOGIN_COMPLETED; params: LoginCompleted }
  | { type: "failure"; method: typeof FAILURE_UPDATED; params: FailureUpdated }
  /** The configuration was read again, by any client: list the servers again. */
  | { type: "serversUpdated"; method: typeof SERVERS_UPDATED; params: Record<string, never> }
  | { type: "toolCallProgress"; method: typeof TOOL_CALL_PROGRESS; params: ToolCallProgress }
  /** A method that this version does not know. */
  | { type: "unknown"; method: string; params: unknown }
);

/** The end of a sign-in. */
export type LoginCompleted = {
  name: string;
  threadId?: string | null;
  loginId?: string | null;
  /** Whether the user is signed in now. */
  success: boolean;
  /** Why not. */
  error?: string | null;
};

/** The result of `mcpStartup/failure/read`, as soon as it has changed. */
export type FailureUpdated = StartDetails & { threadId: string | null; name: string };

/** The progress of a tool call. Only mcp-startup sends it, and all of it before the result of the call. */
export type ToolCallProgress = {
  /** The ID of the request. The option `onProgress` of a request receives only the progress of that request. */
  requestId: number | string;
  /** The thread of the request. */
  threadId: string;
  /** The name of the server. */
  server: string;
  /** How much is done, in a unit of the server's choice. According to MCP, it grows with each notification. */
  progress: number;
  /** How much there is to do, in the same unit. `null` if the server does not report it. */
  total: number | null;
  /** The current step, as text for the user, of at most 1,000 characters. `null` if the server reports none. */
  message: string | null;
};

const LOGIN_COMPLETED = "mcpServer/oauthLogin/completed";
const FAILURE_UPDATED = "mcpStartup/failure/updated";
const SERVERS_UPDATED = "mcpStartup/servers/updated";
const TOOL_CALL_PROGRESS = "mcpStartup/toolCall/progress";

/** Reads a notification. Returns `null` if its parameters do not have the form that its method requires. */
export function readNotification(method: string, params: unknown, emittedAt: unknown): AppServerNotification | null {
  const emittedAtMs = typeof emittedAt === "number" ? emittedAt : null;
  const { name, success, failure } = Object(params) as { name?: unknown; success?: unknown; failure?: unknown };
  switch (method) {
    case METHOD:
      if (!isMcpServerStatusUpdatedNotification(params)) return null;
      return { type: "startupStatus", method, params: received(params), emittedAtMs };
    case LOGIN_COMPLETED:
      if (typeof name !== "string" || typeof success !== "boolean") return null;
      return { type: "loginCompleted", method, params: params as LoginCompleted, emittedAtMs };
    case FAILURE_UPDATED:
      if (typeof name !== "string" || typeof failure !== "object") return null;
      return { type: "failure", method, params: params as FailureUpdated, emittedAtMs };
    case SERVERS_UPDATED:
      return { type: "serversUpdated", method, params: {}, emittedAtMs };
    case TOOL_CALL_PROGRESS:
      if (!isToolCallProgress(params)) return null;
      return { type: "toolCallProgress", method, params, emittedAtMs };
    default:
      return { type: "unknown", method, params, emittedAtMs };
  }
}

function isToolCallProgress(params: unknown): params is ToolCallProgress {
  const { requestId, threadId, server, progress, total, message } = Object(params) as {
    [Field in keyof ToolCallProgress]?: unknown;
  };
  return (
    (typeof requestId === "string" || Number.isInteger(requestId)) &&
    typeof threadId === "string" &&
    typeof server === "string" &&
    Number.isFinite(progress) &&
    (total === null || Number.isFinite(total)) &&
    (message === null || typeof message === "string")
  );
}
