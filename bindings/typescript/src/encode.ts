import { flawOf } from "./flaw.js";
import {
  isMcpServerStatusUpdatedNotification,
  type LenientNotification,
  METHOD,
  received,
} from "./notification.js";

/** Thrown for a notification that violates the contract. */
export class EncodeError extends Error {
  override readonly name = "EncodeError";
  readonly code = "MCP_STARTUP_ENCODE_ERROR";
  /** The path of the invalid field: `params.failureReason`, …; `null` if no single field is at fault. */
  readonly field: string | null;

  constructor(field: string | null, message: string) {
    super(message);
    this.field = field;
  }
}

/**
 * Encodes the whole notification as one line of JSON, without a line ending.
 *
 * The line has all five fields in the order of the contract. Missing fields are written as `null`, and unknown states
 * and reasons are written unchanged. `environmentId` is written only if it is present.
 *
 * @throws {EncodeError} If `failureReason` is set on a known state other than `failed`, or if `decode` would reject the
 *   result.
 */
export function encode(notification: LenientNotification): string {
  if (!isMcpServerStatusUpdatedNotification(notification)) {
    const { field, message } = flawOf(notification);
    throw new EncodeError(field, message);
  }
  const params = received(notification);
  if (params.failureReason !== (notification.failureReason ?? null)) {
    const message = `\`params.failureReason\` must be null if \`params.status\` is ${params.status}`;
    throw new EncodeError("params.failureReason", message);
  }
  return JSON.stringify({ method: METHOD, params });
}
