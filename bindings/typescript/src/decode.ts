import type { DecodeErrorKind } from "./generated/contract.js";
import { type Flaw, flawOf, invalidType, loneSurrogate } from "./flaw.js";
import { forEachLine, textOf } from "./lines.js";
import {
  isMcpServerStatusUpdatedNotification,
  METHOD,
  type ReceivedNotification,
  received,
} from "./notification.js";

/** A line that is no message of ours and no other well-formed message either. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  readonly code = "MCP_STARTUP_DECODE_ERROR";
  /** What is wrong, as a stable value. */
  readonly kind: DecodeErrorKind;
  /** The field it is about, as a path: `method`, `params`, `params.name`, … */
  readonly field: string | null;

  constructor(kind: DecodeErrorKind, field: string | null, message: string) {
    super(message);
    this.kind = kind;
    this.field = field;
  }
}

/** A bad line among many. */
export type LineError = {
  /** The number of the line, from 1, blank lines and lines of other messages counted. */
  line: number;
  /** What is wrong with it. */
  error: DecodeError;
};

/** What `decodeLines` read. */
export type DecodedLines = {
  /** The notifications, in the order of their lines. */
  notifications: ReceivedNotification[];
  /** The bad lines, in order. */
  errors: LineError[];
};

/**
 * Reads one line: the whole JSON-RPC message.
 *
 * `null` is a well-formed message that is not this notification (another method, a response) or a blank line. A state or
 * a reason that this version does not know is kept as its text; fields that it does not know are dropped.
 *
 * @throws {DecodeError} for malformed JSON, a missing `name` or `status`, or a value of a wrong type; it names the field.
 */
export function decode(line: string | Uint8Array): ReceivedNotification | null {
  const text = typeof line === "string" ? line : textOf(line);
  if (text === undefined) throw new DecodeError("invalidJson", null, "not valid JSON: not UTF-8");
  if (text.charCodeAt(0) !== OPENING_BRACE && BLANK.test(text)) return null;
  const message = parse(text);
  // The method first: whatever else is wrong with the message is found on the way that is seldom taken.
  const { method, params } = (message ?? {}) as { method?: unknown; params?: unknown };
  if (method !== METHOD) return otherMessage(message, method);
  if (!isMcpServerStatusUpdatedNotification(params)) throw decodeError(flawOf(params));
  return received(params);
}

/**
 * Reads many lines (LF or CRLF; the last one needs no end). A bad line is reported with its number and the others are
 * kept.
 */
export function decodeLines(lines: string | Uint8Array): DecodedLines {
  const notifications: ReceivedNotification[] = [];
  const errors = readLines(lines, (notification) => notifications.push(notification));
  return { notifications, errors };
}

/** Hands on the notifications among many lines as they are read, and returns the bad lines. */
export function readLines(
  lines: string | Uint8Array,
  take: (notification: ReceivedNotification) => void,
): LineError[] {
  const errors: LineError[] = [];
  forEachLine(lines, (text, line) => {
    let notification: ReceivedNotification | null;
    try {
      notification = decode(text);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      errors.push({ line, error });
      return;
    }
    if (notification !== null) take(notification);
  });
  return errors;
}

const OPENING_BRACE = 0x7b;
const BLANK = /^[\t\n\f\r ]*$/;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What the engine says quotes the line, and what stands on a foreign line does not belong into a log.
    throw new DecodeError("invalidJson", null, "not valid JSON");
  }
}

/** A message whose method is not ours: passed over if it is an object and its method a text or absent. */
function otherMessage(message: unknown, method: unknown): null {
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    throw new DecodeError("notAnObject", null, "a JSON-RPC message must be an object");
  }
  if (method === undefined) return null;
  if (typeof method !== "string") throw decodeError(invalidType("method", "a string", method));
  if (!method.isWellFormed()) throw decodeError(loneSurrogate("method"));
  return null;
}

function decodeError({ kind, field, message }: Flaw): DecodeError {
  return new DecodeError(kind, field, message);
}
