import type {
  LenientNotification,
  McpServerStatusUpdatedNotification,
  ReceivedNotification,
  TrackedServer,
  TrackerUpdate,
} from "@mcp-startup/protocol" with { "resolution-mode": "import" };
import { answerOf, called, DecodeError, type DecodeErrorOfJson } from "./errors.cjs";
import * as native from "../native.cjs";

/** A bad line among many. */
export type LineError = {
  /** Its number, from 1; blank lines and lines of other messages count. */
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

/** What the bytes of many lines did to the tracker. */
export type AppliedLines = {
  /** How many lines were notifications of ours. */
  notifications: number;
  /** The servers that are different now, as [threadId, name], each once, in the order of their first change. */
  changed: [string | null, string][];
  /** The names of the servers to ask the user about, now, in order. */
  prompts: string[];
  /** The bad lines. */
  errors: LineError[];
};

/**
 * Reads one line. `null` is a well-formed message of another method, or a blank line.
 *
 * @throws {DecodeError} It names the field.
 */
export function decode(line: string | Uint8Array): ReceivedNotification | null {
  return answerOf(() => native.decode(bytesOf(line))) as ReceivedNotification | null;
}

/** Reads many lines (LF or CRLF; the last one needs no end). A bad line is reported with its number and the others are kept. */
export function decodeLines(lines: string | Uint8Array): DecodedLines {
  return withErrors(answerOf(() => native.decodeLines(bytesOf(lines))) as WithErrors<DecodedLines>);
}

/**
 * The whole notification as one line of JSON, without the line's end: five fields in order, nulls written out.
 *
 * @throws {McpStartupError} For a `failureReason` on a state that is not `failed`: reading drops it, and writing refuses it.
 */
export function encode(
  notification: McpServerStatusUpdatedNotification | ReceivedNotification | LenientNotification,
): string {
  return answerOf(() => native.encode(JSON.stringify(notification))) as string;
}

/**
 * Folds notifications into what a client shows: the state of each server, which ones want a sign-in *again*, and when to ask the
 * user.
 *
 * The user is asked once per **name** and episode, which begins at the first failure with that reason and ends at `ready`. At most
 * `limit` servers are held (10,000 unless told otherwise), and the oldest finished is forgotten first.
 */
export class StartupTracker {
  readonly #native: native.Tracker;

  constructor(options: { limit?: number } = {}) {
    this.#native = called(() => new native.Tracker(options.limit ?? null));
  }

  /** Takes the bytes of whole lines; lines of other messages are passed over, bad ones reported by number. */
  apply(lines: string | Uint8Array): AppliedLines;
  /** Takes one notification. */
  apply(notification: McpServerStatusUpdatedNotification | ReceivedNotification | LenientNotification): TrackerUpdate;
  apply(
    said: string | Uint8Array | McpServerStatusUpdatedNotification | ReceivedNotification | LenientNotification,
  ): AppliedLines | TrackerUpdate {
    if (typeof said === "string" || said instanceof Uint8Array) {
      return withErrors(answerOf(() => this.#native.applyLines(bytesOf(said))) as WithErrors<AppliedLines>);
    }
    return answerOf(() => this.#native.apply(JSON.stringify(said))) as TrackerUpdate;
  }

  /** Every server, in the order in which they were first heard of. */
  servers(): TrackedServer[] {
    return answerOf(() => this.#native.servers()) as TrackedServer[];
  }

  /** One server; `threadId` is `null` where it belongs to the whole app. */
  server(threadId: string | null, name: string): TrackedServer | null {
    return answerOf(() => this.#native.server(threadId, name)) as TrackedServer | null;
  }

  /** The names of the servers that want a sign-in again, in the order in which that began. */
  reauthenticationRequired(): string[] {
    return this.#native.reauthenticationRequired();
  }

  /** Forgets the servers of one thread, and says how many there were. An episode goes on. */
  remove(threadId: string): number {
    return called(() => this.#native.remove(threadId));
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
  return typeof text === "string" ? Buffer.from(text) : text;
}
