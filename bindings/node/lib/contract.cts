import type {
  LenientNotification,
  McpServerStatusUpdatedNotification,
  ReceivedNotification,
  ServerKey,
  ServerKeyInput,
  TrackedServer,
  TrackerUpdate,
} from "@mcp-startup/protocol" with { "resolution-mode": "import" };
import { nativeResult, callNative, DecodeError, type DecodeErrorOfJson } from "./errors.cjs";
import { invalidArgument, jsonOf, optionalStringOf, stringOf } from "./json.cjs";
import * as native from "../native.cjs";

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

/** The effect of many lines on the tracker. */
export type AppliedLines = {
  /** The number of lines that held a startup notification. */
  notifications: number;
  /** The servers that changed, each once, in the order of their first change. */
  changed: ServerKey[];
  /** The servers to ask the user about now, in line order. The thread is the one whose failure led to the prompt. */
  prompts: ServerKey[];
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
  return nativeResult(() => native.decode(bytesOf(line))) as ReceivedNotification | null;
}

/**
 * Decodes many lines, which end in LF or CRLF. The last line needs no line ending.
 *
 * An invalid line is reported with its number and does not affect the other lines.
 */
export function decodeLines(lines: string | Uint8Array): DecodedLines {
  return withErrors(nativeResult(() => native.decodeLines(bytesOf(lines))) as WithErrors<DecodedLines>);
}

/**
 * Encodes the whole notification as one line of JSON, without a line ending.
 *
 * The line has all five fields in the order of the contract. Missing fields are written as `null`. `environmentId` is
 * written only if it is present.
 *
 * @throws {McpStartupError} If `failureReason` is set on a known state other than `failed`. (`decode` drops such a reason.)
 */
export function encode(
  notification: McpServerStatusUpdatedNotification | ReceivedNotification | LenientNotification,
): string {
  return nativeResult(() => native.encode(jsonOf("the notification", notification))) as string;
}

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

  constructor(options: { limit?: number } = {}) {
    const limit: unknown = options.limit ?? null;
    if (limit !== null && typeof limit !== "number") {
      throw invalidArgument(`\`limit\` must be a number, not ${typeof limit}`);
    }
    this.#native = callNative(() => new native.Tracker(limit));
  }

  /** Applies one notification. */
  apply(notification: McpServerStatusUpdatedNotification | ReceivedNotification | LenientNotification): TrackerUpdate {
    return nativeResult(() => this.#native.apply(jsonOf("the notification", notification))) as TrackerUpdate;
  }

  /** Applies whole lines. It skips other messages and reports invalid lines by number. */
  applyLines(lines: string | Uint8Array): AppliedLines {
    return withErrors(nativeResult(() => this.#native.applyLines(bytesOf(lines))) as WithErrors<AppliedLines>);
  }

  /** Returns every server, in the order in which the servers were first seen. */
  servers(): TrackedServer[] {
    return nativeResult(() => this.#native.servers()) as TrackedServer[];
  }

  /** Returns one server, or `null` if the tracker does not know it. A thread or an environment that is absent is `null`. */
  server({ threadId = null, environmentId = null, name }: ServerKeyInput): TrackedServer | null {
    const [thread, environment] = [optionalStringOf("threadId", threadId), optionalStringOf("environmentId", environmentId)];
    return nativeResult(() => this.#native.server(thread, environment, stringOf("name", name))) as TrackedServer | null;
  }

  /**
   * Returns the servers that need the user to sign in again, once for each environment and name, in the order in which
   * their episodes began. The thread is the one whose failure began the episode.
   */
  reauthenticationRequired(): ServerKey[] {
    return nativeResult(() => this.#native.reauthenticationRequired()) as ServerKey[];
  }

  /** Forgets the servers of one thread and returns how many there were. Open episodes continue. */
  remove(threadId: string): number {
    return this.#native.remove(stringOf("threadId", threadId));
  }
}

type WithErrors<T extends { errors: LineError[] }> = Omit<T, "errors"> & {
  errors: { line: number; error: DecodeErrorOfJson }[];
};

function withErrors<T extends { errors: LineError[] }>(read: WithErrors<T>): T {
  const errors = read.errors.map(({ line, error }) => ({ line, error: new DecodeError(error) }));
  return { ...read, errors } as unknown as T;
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  if (typeof text === "string") return Buffer.from(text);
  if ((text as unknown) instanceof Uint8Array) return text;
  throw invalidArgument(`lines must be a string or a Uint8Array, not ${text === null ? "null" : typeof text}`);
}
