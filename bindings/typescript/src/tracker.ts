import { type LineError, readLines } from "./decode.js";
import { isFinished, type LenientNotification, type ReceivedNotification, received } from "./notification.js";

/**
 * One server as a client shows it: the latest notification for a (threadId, name).
 *
 * The tracker replaces the object if anything changes, so an identical object means an unchanged server.
 */
export type TrackedServer = Readonly<ReceivedNotification>;

/** The effect of one notification on the tracker. */
export type TrackerUpdate = {
  /** Whether anything that a client shows has changed. */
  changed: boolean;
  /** Whether to ask the user now to sign in to this server again. */
  prompt: boolean;
};

/** The effect of many lines on the tracker. */
export type AppliedLines = {
  /** The number of lines that held a startup notification. */
  notifications: number;
  /** The servers that changed, each once, in the order of their first change. */
  changed: [threadId: string | null, name: string][];
  /** The names of the servers to ask the user about now, in line order. */
  prompts: string[];
  /** The invalid lines, in line order. */
  errors: LineError[];
};

/** Options of a `StartupTracker`. */
export type TrackerOptions = {
  /** The maximum number of servers, and of episodes, that the tracker keeps: at least 1, by default 10,000. */
  limit?: number;
};

/**
 * Tracks what a client shows: the state of each server, the servers that need the user to sign in *again*, and when to
 * prompt the user.
 *
 * The tracker prompts once per server **name** and episode, even if many threads and retries report the failure. An
 * episode begins with the first failure whose reason is `reauthenticationRequired`, and ends when a server with this name
 * is ready.
 *
 * Memory is bounded. Past the limit, the tracker forgets the oldest finished server first.
 */
export class StartupTracker {
  readonly #limit: number;
  readonly #threads = new Map<string | null, Map<string, Entry>>();
  // Both in the order in which the servers were first seen, so that the entry to forget is at the front.
  readonly #running: Entry[] = [];
  readonly #finished: Entry[] = [];
  #next = 0;
  /** The names that have an open episode, in the order in which the episodes began. */
  readonly #episodes = new Set<string>();

  constructor({ limit = 10_000 }: TrackerOptions = {}) {
    this.#limit = limit >= 1 ? limit : 1;
  }

  /** Applies one notification. Like `decode`, it drops a reason on a known state other than `failed`. */
  apply(notification: LenientNotification): TrackerUpdate {
    return this.#fold(received(notification));
  }

  /** Applies whole lines. It skips other messages and reports invalid lines by number. */
  applyLines(lines: string | Uint8Array): AppliedLines {
    const applied: AppliedLines = { notifications: 0, changed: [], prompts: [], errors: [] };
    const seen = new Map<string | null, Set<string>>();
    applied.errors = readLines(lines, (notification) => {
      const { threadId, name } = notification;
      const { changed, prompt } = this.#fold(notification);
      applied.notifications += 1;
      if (prompt) applied.prompts.push(name);
      if (!changed) return;
      const names = getOrInsert(seen, threadId, () => new Set());
      if (names.has(name)) return;
      names.add(name);
      applied.changed.push([threadId, name]);
    });
    return applied;
  }

  /** Returns every server, in the order in which the servers were first seen. */
  servers(): TrackedServer[] {
    const entries = [...this.#running, ...this.#finished].sort((a, b) => a.number - b.number);
    return entries.map(({ server }) => server);
  }

  /** Returns one server, or `null` if the tracker does not know it. */
  server(threadId: string | null, name: string): TrackedServer | null {
    return this.#threads.get(threadId)?.get(name)?.server ?? null;
  }

  /** Returns the names of the servers that need the user to sign in again, in the order in which their episodes began. */
  reauthenticationRequired(): string[] {
    return [...this.#episodes];
  }

  /**
   * Forgets the servers of one thread and returns how many there were. Open episodes continue, so that the same server in
   * the next thread does not prompt the user again.
   */
  remove(threadId: string): number {
    const names = this.#threads.get(threadId);
    if (names === undefined) return 0;
    this.#threads.delete(threadId);
    for (const entry of names.values()) removeFrom(this.#listOf(entry.server), entry);
    return names.size;
  }

  #fold(notification: ReceivedNotification): TrackerUpdate {
    const { threadId, name, status, failureReason } = notification;
    const entry = this.#threads.get(threadId)?.get(name);
    const changed = entry === undefined ? this.#insert(notification) : this.#replace(entry, notification);
    if (status === "ready") this.#episodes.delete(name);
    const needsSignIn = status === "failed" && failureReason === "reauthenticationRequired";
    return { changed, prompt: needsSignIn && this.#beginEpisode(name) };
  }

  #insert(server: ReceivedNotification): true {
    if (this.#running.length + this.#finished.length >= this.#limit) this.#forgetOne();
    const entry = { number: this.#next++, server };
    this.#listOf(server).push(entry);
    getOrInsert(this.#threads, server.threadId, () => new Map()).set(server.name, entry);
    return true;
  }

  #replace(entry: Entry, next: ReceivedNotification): boolean {
    const { server } = entry;
    if (
      server.status === next.status &&
      server.error === next.error &&
      server.failureReason === next.failureReason
    ) {
      return false;
    }
    const from = this.#listOf(server);
    const to = this.#listOf(next);
    if (from !== to) {
      removeFrom(from, entry);
      to.splice(position(to, entry), 0, entry);
    }
    entry.server = next;
    return true;
  }

  #listOf({ status }: TrackedServer): Entry[] {
    return isFinished(status) ? this.#finished : this.#running;
  }

  #forgetOne(): void {
    const oldest = this.#finished.shift() ?? this.#running.shift();
    if (oldest === undefined) return;
    const { threadId, name } = oldest.server;
    const names = this.#threads.get(threadId);
    names?.delete(name);
    if (names?.size === 0) this.#threads.delete(threadId);
  }

  #beginEpisode(name: string): boolean {
    if (this.#episodes.has(name)) return false;
    if (this.#episodes.size >= this.#limit) {
      for (const oldest of this.#episodes) {
        this.#episodes.delete(oldest);
        break;
      }
    }
    this.#episodes.add(name);
    return true;
  }
}

/** A server, and its number in the order in which the servers were first seen. */
type Entry = { readonly number: number; server: TrackedServer };

/** The index of `entry`, or the index to insert it at, in a list that is sorted by number. */
function position(list: readonly Entry[], { number }: Entry): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as Entry).number < number) low = middle + 1;
    else high = middle;
  }
  return low;
}

function removeFrom(list: Entry[], entry: Entry): void {
  list.splice(position(list, entry), 1);
}

function getOrInsert<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
