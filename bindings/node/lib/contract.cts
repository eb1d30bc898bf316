import type {
  AppliedLines,
  DecodedLines,
  DecodeErrorKind,
  LenientNotification,
  LineError,
  McpServerStatusUpdatedNotification,
  ReceivedNotification,
  ServerKey,
  ServerKeyInput,
  TrackedServer,
  TrackerOptions,
  TrackerUpdate,
} from "@mcp-startup/protocol" with { "resolution-mode": "import" };
import { argument, mustBe, optionsOf, orNull, type Place, type Rules, text, wholeNumberAboveZero } from "./arguments.cjs";
import { DecodeError, type DecodeErrorOfJson, EncodeError, InvalidArgumentError, unwrap } from "./errors.cjs";
import * as native from "../native.cjs";

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
  return unwrap(native.decode(bytesOf(argument("line"), line))) as ReceivedNotification | null;
}

/**
 * Decodes many lines, which end in LF or CRLF. The last line needs no line ending.
 *
 * An invalid line is reported with its number and does not affect the other lines.
 */
export function decodeLines(lines: string | Uint8Array): DecodedLines {
  return withErrors(unwrap(native.decodeLines(bytesOf(argument("lines"), lines))) as WithErrors<DecodedLines>);
}

/**
 * Encodes the whole notification as one line of JSON, without a line ending.
 *
 * The line has all five fields in the order of the contract. Missing fields are written as `null`. `environmentId` is
 * written only if it is present.
 *
 * @throws {EncodeError} If `failureReason` is set on a known state other than `failed`, or if `decode` would reject the
 *   result.
 */
export function encode(
  notification: McpServerStatusUpdatedNotification | ReceivedNotification | LenientNotification,
): string {
  try {
    return unwrap(native.encode(paramsOf(notification))) as string;
  } catch (error) {
    if (error instanceof DecodeError) throw new EncodeError(error.field, error.message);
    // The parameters are valid, so it is the reason.
    if (!(error instanceof InvalidArgumentError)) throw error;
    const field = "params.failureReason";
    throw new EncodeError(field, `\`${field}\` must be null if \`params.status\` is ${notification.status}`);
  }
}

const TRACKER_OPTIONS: Rules<TrackerOptions> = { limit: wholeNumberAboveZero };

/**
 * Tracks what a client shows: the state of each server, the servers that need the user to sign in *again*, and when to
 * prompt the user.
 *
 * A server is identified by its thread, its environment and its name. The tracker prompts once per **environment and
 * name** and episode, even if many threads and retries report the failure. An episode begins with the first failure whose
 * reason is `reauthenticationRequired`, and ends when a server with this environment and name is ready.
 *
 * The tracker keeps at most `limit` servers, by default 10,000. Past the limit, it forgets the oldest finished server
 * first.
 */
export class StartupTracker {
  readonly #native: native.Tracker;

  constructor(options: TrackerOptions = {}) {
    const { limit = null } = optionsOf(TRACKER_OPTIONS, options);
    this.#native = new native.Tracker(limit);
  }

  /** Applies one notification. */
  apply(notification: McpServerStatusUpdatedNotification | ReceivedNotification | LenientNotification): TrackerUpdate {
    return unwrap(this.#native.apply(paramsOf(notification))) as TrackerUpdate;
  }

  /** Applies whole lines. It skips other messages and reports invalid lines by number. */
  applyLines(lines: string | Uint8Array): AppliedLines {
    return withErrors(unwrap(this.#native.applyLines(bytesOf(argument("lines"), lines))) as WithErrors<AppliedLines>);
  }

  /** Returns every server, in the order in which the servers were first seen. */
  servers(): TrackedServer[] {
    return unwrap(this.#native.servers()) as TrackedServer[];
  }

  /** Returns one server, or `null` if the tracker does not know it. A thread or an environment that is absent is `null`. */
  server(key: ServerKeyInput): TrackedServer | null {
    const place = argument("key");
    if (typeof key !== "object" || key === null) throw mustBe(place, "an object", key);
    const threadId = orNull(text)(place.at("threadId"), key.threadId);
    const environmentId = orNull(text)(place.at("environmentId"), key.environmentId);
    return unwrap(this.#native.server(threadId, environmentId, text(place.at("name"), key.name))) as TrackedServer | null;
  }

  /**
   * Returns the servers that need the user to sign in again, once for each environment and name, in the order in which
   * their episodes began. The thread is the one whose failure began the episode.
   */
  reauthenticationRequired(): ServerKey[] {
    return unwrap(this.#native.reauthenticationRequired()) as ServerKey[];
  }

  /** Forgets the servers of one thread and returns how many there were. Open episodes continue. */
  remove(threadId: string): number {
    return this.#native.remove(text(argument("threadId"), threadId));
  }
}

type WithErrors<T extends { errors: LineError[] }> = Omit<T, "errors"> & {
  errors: { line: number; error: DecodeErrorOfJson }[];
};

function withErrors<T extends { errors: LineError[] }>(read: WithErrors<T>): T {
  const errors = read.errors.map(({ line, error }) => ({ line, error: new DecodeError(error) }));
  return { ...read, errors } as unknown as T;
}

function bytesOf(place: Place, lines: unknown): Uint8Array {
  if (typeof lines === "string") return Buffer.from(lines);
  if (lines instanceof Uint8Array) return lines;
  throw mustBe(place, "a string or a Uint8Array", lines);
}

/** The fields of the params, and whether each is required. */
const FIELDS = { threadId: false, name: true, environmentId: false, status: true, error: false, failureReason: false };

/**
 * Returns the params of a notification as JSON for the addon.
 *
 * @throws {DecodeError} If a field has a type that can't be decoded, in the words of the decoder.
 */
function paramsOf(notification: unknown): string {
  if (notification === undefined) throw flaw("missingField", "params", "is missing");
  if (typeof notification !== "object" || notification === null || Array.isArray(notification)) {
    throw flaw("invalidType", "params", `must be an object, not ${typeName(notification)}`);
  }
  const params: Record<string, unknown> = {};
  for (const [name, isRequired] of Object.entries(FIELDS)) {
    const value = (notification as Record<string, unknown>)[name];
    if (value == null && isRequired) throw flaw("missingField", `params.${name}`, "is missing");
    if (value != null && typeof value !== "string") {
      const takes = isRequired ? "a string" : "a string or null";
      throw flaw("invalidType", `params.${name}`, `must be ${takes}, not ${typeName(value)}`);
    }
    if (typeof value === "string" && !value.isWellFormed()) {
      throw new DecodeError({ kind: "invalidJson", field: null, message: `not valid JSON: a lone surrogate in \`params.${name}\`` });
    }
    if (value !== undefined) params[name] = value;
  }
  return JSON.stringify(params);
}

function flaw(kind: DecodeErrorKind, field: string, problem: string): DecodeError {
  return new DecodeError({ kind, field, message: `\`${field}\` ${problem}` });
}

/** The type of a value, as the decoder names it: only the types of JSON. */
function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
