// One function for each notification that a host sends. `encode` accepts every result.

import { text, textOrNull } from "./arguments.js";
import type { McpServerStartupFailureReason, McpServerStartupState, McpServerStatusUpdatedNotification } from "./generated/contract.js";

/** The server `name` is starting. */
export function starting(name: string, threadId: string | null = null): McpServerStatusUpdatedNotification {
  return notification(threadId, name, "starting");
}

/** The server `name` is ready to use. */
export function ready(name: string, threadId: string | null = null): McpServerStatusUpdatedNotification {
  return notification(threadId, name, "ready");
}

/** The host cancelled the start of the server `name`. */
export function cancelled(name: string, threadId: string | null = null): McpServerStatusUpdatedNotification {
  return notification(threadId, name, "cancelled");
}

/** The server `name` failed to start, and signing in again would not help. `error` is a human-readable message. */
export function failed(
  name: string,
  error: string,
  threadId: string | null = null,
): McpServerStatusUpdatedNotification {
  return notification(threadId, name, "failed", text("`error`", error));
}

/**
 * The server `name` failed to start because its stored credentials can no longer be used or refreshed: the user has to
 * sign in again. `error` is a human-readable message.
 *
 * Send it only if credentials were stored for exactly this server and the start failed because of them.
 */
export function reauthenticationRequired(
  name: string,
  error: string,
  threadId: string | null = null,
): McpServerStatusUpdatedNotification {
  return notification(threadId, name, "failed", text("`error`", error), "reauthenticationRequired");
}

function notification(
  threadId: string | null,
  name: string,
  status: McpServerStartupState,
  error: string | null = null,
  failureReason: McpServerStartupFailureReason | null = null,
): McpServerStatusUpdatedNotification {
  return { threadId: textOrNull("`threadId`", threadId), name: text("`name`", name), status, error, failureReason };
}
