import { bytes } from "./arguments.js";
import type { DecodeErrorKind } from "./generated/contract.js";
import { type Flaw, flawOf, invalidType, loneSurrogate } from "./flaw.js";
import { forEachLine, textOf } from "./lines.js";
import {
  isMcpServerStatusUpdatedNotification,
  METHOD,
  type ReceivedNotification,
  received,
} from "./notification.js";

/** Thrown for a line that is not a well-formed JSON-RPC message, or whose notification has invalid fields. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  readonly code = "MCP_STARTUP_DECODE_ERROR";
  /** The kind of error, as a stable value. */
  readonly kind: DecodeErrorKind;
  /** The path of the invalid field: `method`, `params`, `params.name`, …; `null` if no single field is at fault. */
  readonly field: string | null;

  constructor(kind: DecodeErrorKind, field: string | null, message: string) {
    super(message);
    this.kind = kind;
    this.field = field;
  }
}

/** An invalid line in a batch. */
export type LineError = {
  /** The line number, starting at 1. Blank lines and other messages count. */
  line: number;
  /** Why the line could not be read. */
  error: DecodeError;
};

/** The result of `decodeLines`. */
export type DecodedLines = {
  /** The notifications, in line order. */
  notifications: ReceivedNotification[];
  /** The invalid lines, in line order. */
  errors: LineError[];
};

/**
 * Decodes one line, which must hold a whole JSON-RPC message.
 *
 * A state or a reason that this version does not know is kept as text. Unknown fields are dropped.
 *
 * @returns The notification, or `null` for a blank line and for any other well-formed message (another method, a
 *   response).
 * @throws {DecodeError} If the line is not valid JSON, if `name` or `status` is missing, or if a field has the wrong
 *   type. The error names the field.
 */
export function decode(line: string | Uint8Array): ReceivedNotification | null {
  const text = typeof line === "string" ? line : textOf(bytes("`line`", line));
  if (text === undefined) throw new DecodeError("invalidJson", null, "not valid JSON: not UTF-8");
  if (text.charCodeAt(0) !== OPENING_BRACE && BLANK.test(text)) return null;
  const message = parse(text);
  // Check the method first. All other checks are on the rare path.
  const { method, params } = (message ?? {}) as { method?: unknown; params?: unknown };
  if (method !== METHOD) return otherMessage(message, method);
  if (!isMcpServerStatusUpdatedNotification(params)) throw errorOf(params);
  return received(params);
}

/**
 * Decodes many lines, which end in LF or CRLF. The last line needs no line ending.
 *
 * An invalid line is reported with its number and does not affect the other lines.
 */
export function decodeLines(lines: string | Uint8Array): DecodedLines {
  const notifications: ReceivedNotification[] = [];
  const errors = readLines(lines, (notification) => notifications.push(notification));
  return { notifications, errors };
}

/** Decodes many lines, passes each notification to `take`, and returns the invalid lines. */
export function readLines(
  lines: string | Uint8Array,
  take: (notification: ReceivedNotification) => void,
): LineError[] {
  const errors: LineError[] = [];
  forEachLine(typeof lines === "string" ? lines : bytes("`lines`", lines), (text, line) => {
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
    // The JavaScript engine's message quotes the line, which may hold data that must not reach a log.
    throw new DecodeError("invalidJson", null, "not valid JSON");
  }
}

/** Accepts a message with another method if it is an object whose method is a string or absent. */
function otherMessage(message: unknown, method: unknown): null {
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    throw new DecodeError("notAnObject", null, "a JSON-RPC message must be an object");
  }
  if (method === undefined) return null;
  if (typeof method !== "string") throw decodeError(invalidType("method", "a string", method));
  if (!method.isWellFormed()) throw decodeError(loneSurrogate("method"));
  return null;
}

/** Returns the error for params that are not valid. */
export function errorOf(params: unknown): DecodeError {
  return decodeError(flawOf(params));
}

function decodeError({ kind, field, message }: Flaw): DecodeError {
  return new DecodeError(kind, field, message);
}
