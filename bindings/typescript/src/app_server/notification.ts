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

const LOGIN_COMPLETED = "mcpServer/oauthLogin/completed";
const FAILURE_UPDATED = "mcpStartup/failure/updated";

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
    default:
      return { type: "unknown", method, params, emittedAtMs };
  }
}
