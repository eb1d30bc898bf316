// The notifications that a host sends, one function for each, as in Rust. Everything that they make can be encoded.

import type { McpServerStatusUpdatedNotification } from "./generated/contract.js";

/** The start of `name` has begun. */
export function starting(name: string, threadId: string | null = null): McpServerStatusUpdatedNotification {
  return { threadId, name, status: "starting", error: null, failureReason: null };
}

/** `name` can be used. */
export function ready(name: string, threadId: string | null = null): McpServerStatusUpdatedNotification {
  return { threadId, name, status: "ready", error: null, failureReason: null };
}

/** The start of `name` was given up by the host. */
export function cancelled(name: string, threadId: string | null = null): McpServerStatusUpdatedNotification {
  return { threadId, name, status: "cancelled", error: null, failureReason: null };
}

/** The start of `name` failed for a reason that no new sign-in mends. `error` is a sentence for a person. */
export function failed(
  name: string,
  error: string,
  threadId: string | null = null,
): McpServerStatusUpdatedNotification {
  return { threadId, name, status: "failed", error, failureReason: null };
}

/**
 * The start of `name` failed because what is stored for it is spent: the user has to sign in again. To be said only when
 * that is certain.
 */
export function reauthenticationRequired(
  name: string,
  error: string,
  threadId: string | null = null,
): McpServerStatusUpdatedNotification {
  return { threadId, name, status: "failed", error, failureReason: "reauthenticationRequired" };
}
