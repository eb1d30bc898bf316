// One function for each notification that a host sends. `encode` accepts every result.

import type { McpServerStatusUpdatedNotification } from "./generated/contract.js";

/** The server `name` is starting. */
export function starting(name: string, threadId: string | null = null): McpServerStatusUpdatedNotification {
  return { threadId, name, status: "starting", error: null, failureReason: null };
}

/** The server `name` is ready to use. */
export function ready(name: string, threadId: string | null = null): McpServerStatusUpdatedNotification {
  return { threadId, name, status: "ready", error: null, failureReason: null };
}

/** The host cancelled the start of the server `name`. */
export function cancelled(name: string, threadId: string | null = null): McpServerStatusUpdatedNotification {
  return { threadId, name, status: "cancelled", error: null, failureReason: null };
}

/** The server `name` failed to start, and signing in again would not help. `error` is a human-readable message. */
export function failed(
  name: string,
  error: string,
  threadId: string | null = null,
): McpServerStatusUpdatedNotification {
  return { threadId, name, status: "failed", error, failureReason: null };
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
  return { threadId, name, status: "failed", error, failureReason: "reauthenticationRequired" };
}
