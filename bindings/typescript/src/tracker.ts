import { type LineError, readLines } from "./decode.js";
import { isFinished, type LenientNotification, type ReceivedNotification, received } from "./notification.js";

/**
 * One server as a client shows it: the latest of what was said about a (threadId, name). A change puts a new object in
 * its place, so that an object which is the same says the same.
 */
export type TrackedServer = Readonly<ReceivedNotification>;

/** What one notification did to the tracker. */
export type TrackerUpdate = {
  /** Something that a client shows is different now. */
  changed: boolean;
  /** The user is to be asked, now, to sign in again to this server. */
  prompt: boolean;
};

/** What many lines did to the tracker. */
export type AppliedLines = {
  /** How many lines were notifications of ours. */
  notifications: number;
  /** The servers that are different now, each once, in the order of their first change. */
  changed: [threadId: string | null, name: string][];
  /** The names of the servers to ask the user about, now, in order. */
  prompts: string[];
  /** The bad lines. */
  errors: LineError[];
};

export type TrackerOptions = {
  /** How many servers it holds at most (at least one), and how many episodes. 10,000 unless told otherwise. */
  limit?: number;
};

/**
 * Folds notifications into what a client shows: the state of each server, which ones want a sign-in *again*, and when to
 * ask the user.
 *
 * The user is asked once per **name** and episode, however many threads and retries repeat the failure: an episode begins
 * at the first failure with that reason and ends when a server of that name is ready.
 *
 * Memory is bounded: past the limit the oldest finished server is forgotten first.
 */
export class StartupTracker {
  readonly #limit: number;
  readonly #threads = new Map<string | null, Map<string, Entry>>();
  // Each in the order of coming: what is forgotten is found at the start of one of them.
  readonly #running: Entry[] = [];
  readonly #finished: Entry[] = [];
  #next = 0;
  /** The names whose episode is under way, in the order in which they began. */
  readonly #episodes = new Set<string>();

  constructor({ limit = 10_000 }: TrackerOptions = {}) {
    this.#limit = limit >= 1 ? limit : 1;
  }

  /** Takes one notification. A reason on a known state other than `failed` is dropped, as `decode` does. */
  apply(notification: LenientNotification): TrackerUpdate {
    return this.#fold(received(notification));
  }

  /** Takes whole lines; lines of other messages are passed over, bad ones reported by number. */
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

  /** Every server, in the order in which they were first heard of. */
  servers(): TrackedServer[] {
    const entries = [...this.#running, ...this.#finished].sort((a, b) => a.number - b.number);
    return entries.map(({ server }) => server);
  }

  /** One server. */
  server(threadId: string | null, name: string): TrackedServer | null {
    return this.#threads.get(threadId)?.get(name)?.server ?? null;
  }

  /** The names of the servers that want a sign-in again, in the order in which that began. */
  reauthenticationRequired(): string[] {
    return [...this.#episodes];
  }

  /**
   * Forgets the servers of one thread, and says how many there were. An episode goes on: the same server in the next
   * thread does not ask the user again.
   */
  remove(threadId: string): number {
    const names = this.#threads.get(threadId);
    if (names === undefined) return 0;
    this.#threads.delete(threadId);
    for (const entry of names.values()) take(this.#listOf(entry.server), entry);
    return names.size;
  }

  #fold(said: ReceivedNotification): TrackerUpdate {
    const { threadId, name, status, failureReason } = said;
    const entry = this.#threads.get(threadId)?.get(name);
    const changed = entry === undefined ? this.#insert(said) : this.#replace(entry, said);
    if (status === "ready") this.#episodes.delete(name);
    const spent = status === "failed" && failureReason === "reauthenticationRequired";
    return { changed, prompt: spent && this.#beginEpisode(name) };
  }

  #insert(said: ReceivedNotification): true {
    if (this.#running.length + this.#finished.length >= this.#limit) this.#forgetOne();
    const entry = { number: this.#next++, server: said };
    this.#listOf(said).push(entry);
    getOrInsert(this.#threads, said.threadId, () => new Map()).set(said.name, entry);
    return true;
  }

  #replace(entry: Entry, said: ReceivedNotification): boolean {
    const { server } = entry;
    if (
      server.status === said.status &&
      server.error === said.error &&
      server.failureReason === said.failureReason
    ) {
      return false;
    }
    const from = this.#listOf(server);
    const to = this.#listOf(said);
    if (from !== to) {
      take(from, entry);
      to.splice(position(to, entry), 0, entry);
    }
    entry.server = said;
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

/** A server, and its number in the order of coming. */
type Entry = { readonly number: number; server: TrackedServer };

/** Where `entry` stands, or would stand, in a list that is in the order of coming. */
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

function take(list: Entry[], entry: Entry): void {
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
