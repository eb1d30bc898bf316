import { flawOf } from "./flaw.js";
import {
  isMcpServerStatusUpdatedNotification,
  type LenientNotification,
  METHOD,
  received,
} from "./notification.js";

/** A notification that breaks the contract, and so is not written. */
export class EncodeError extends Error {
  override readonly name = "EncodeError";
  readonly code = "MCP_STARTUP_ENCODE_ERROR";
  /** The field it is about, as a path: `params.failureReason`, … */
  readonly field: string | null;

  constructor(field: string | null, message: string) {
    super(message);
    this.field = field;
  }
}

/**
 * The whole notification as one line of JSON, without the line's end: the five fields in their order, nulls written out,
 * unknown values as they came in.
 *
 * @throws {EncodeError} for a `failureReason` on a known state other than `failed`, and for what `decode` would not read.
 */
export function encode(notification: LenientNotification): string {
  if (!isMcpServerStatusUpdatedNotification(notification)) {
    const { field, message } = flawOf(notification);
    throw new EncodeError(field, message);
  }
  const params = received(notification);
  if (params.failureReason !== (notification.failureReason ?? null)) {
    const message = `\`params.failureReason\` must be null where \`params.status\` is ${params.status}`;
    throw new EncodeError("params.failureReason", message);
  }
  return JSON.stringify({ method: METHOD, params });
}
