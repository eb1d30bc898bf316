import { object, optionsOf, type Rules, text, textOrNull, wholeNumberAboveZero } from "./arguments.js";
import { errorOf, type LineError, readLines } from "./decode.js";
import {
  isFinished,
  isMcpServerStatusUpdatedNotification,
  type LenientNotification,
  type ReceivedNotification,
  received,
} from "./notification.js";

/**
 * One server as a client shows it: the latest notification for a (threadId, environmentId, name).
 *
 * The tracker replaces the object if anything changes, so an identical object means an unchanged server.
 */
export type TrackedServer = Readonly<Required<ReceivedNotification>>;

/** The identity of a server in the tracker. */
export type ServerKey = {
  /** The thread that the server belongs to, or `null` if it belongs to the whole app. */
  threadId: string | null;
  /** The environment whose configuration contains the server, or `null` if it belongs to no environment. */
  environmentId: string | null;
  /** The name of the server in the user's configuration. */
  name: string;
};

/** A `ServerKey` in which an absent field means `null`. */
export type ServerKeyInput = { [Field in "threadId" | "environmentId"]?: string | null } & { name: string };

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
  changed: ServerKey[];
  /** The servers to ask the user about now, in line order. The thread is the one whose failure led to the prompt. */
  prompts: ServerKey[];
  /** The invalid lines, in line order. */
  errors: LineError[];
};

/** Options of a `StartupTracker`. */
export type TrackerOptions = {
  /** The maximum number of servers, and of episodes, that the tracker keeps: at least 1, by default 10,000. */
  limit?: number | undefined;
};

const OPTIONS: Rules<TrackerOptions> = { limit: wholeNumberAboveZero };

/**
 * Tracks what a client shows: the state of each server, the servers that need the user to sign in *again*, and when to
 * prompt the user.
 *
 * A server is identified by its thread, its environment and its name. The tracker prompts once per **environment and
 * name** and episode, even if many threads and retries report the failure. An episode begins with the first failure whose
 * reason is `reauthenticationRequired`, and ends when a server with this environment and name is ready.
 *
 * Memory is bounded. Past the limit, the tracker forgets the oldest finished server first.
 */
export class StartupTracker {
  readonly #limit: number;
  /** By thread, environment and name. */
  readonly #servers = new Map<string | null, Map<string | null, Map<string, Entry>>>();
  // Both in the order in which the servers were first seen, so that the entry to forget is at the front.
  readonly #running: Entry[] = [];
  readonly #finished: Entry[] = [];
  #next = 0;
  /** The open episodes by environment and name, in the order in which they began. */
  readonly #episodes = new Map<string, ServerKey>();

  /** @throws {InvalidArgumentError} If an option can't be used. */
  constructor(options: TrackerOptions = {}) {
    this.#limit = optionsOf(OPTIONS, options).limit ?? 10_000;
  }

  /**
   * Applies one notification. Like `decode`, it drops a reason on a known state other than `failed`.
   *
   * @throws {DecodeError} If the argument is not a notification, for example a line: `applyLines` applies lines.
   */
  apply(notification: LenientNotification): TrackerUpdate {
    if (!isMcpServerStatusUpdatedNotification(notification)) throw errorOf(notification);
    return this.#fold(received(notification));
  }

  /** Applies whole lines. It skips other messages and reports invalid lines by number. */
  applyLines(lines: string | Uint8Array): AppliedLines {
    const applied: AppliedLines = { notifications: 0, changed: [], prompts: [], errors: [] };
    const seen = new Set<string>();
    applied.errors = readLines(lines, (notification) => {
      const { changed, prompt } = this.#fold(notification);
      applied.notifications += 1;
      if (prompt) applied.prompts.push(keyOf(notification));
      if (!changed) return;
      const server = keyOf(notification);
      const text = idText(server.threadId) + idText(server.environmentId) + server.name;
      if (seen.has(text)) return;
      seen.add(text);
      applied.changed.push(server);
    });
    return applied;
  }

  /** Returns every server, in the order in which the servers were first seen. */
  servers(): TrackedServer[] {
    const entries = [...this.#running, ...this.#finished].sort((a, b) => a.number - b.number);
    return entries.map(({ server }) => server);
  }

  /** Returns one server, or `null` if the tracker does not know it. A thread or an environment that is absent is `null`. */
  server(key: ServerKeyInput): TrackedServer | null {
    object("`key`", key);
    const [threadId, environmentId] = [textOrNull("`key.threadId`", key.threadId), textOrNull("`key.environmentId`", key.environmentId)];
    return this.#find({ threadId, environmentId, name: text("`key.name`", key.name) })?.server ?? null;
  }

  /**
   * Returns the servers that need the user to sign in again, once for each environment and name, in the order in which
   * their episodes began. The thread is the one whose failure began the episode.
   */
  reauthenticationRequired(): ServerKey[] {
    return [...this.#episodes.values()];
  }

  /**
   * Forgets the servers of one thread and returns how many there were. Open episodes continue, so that the same server in
   * the next thread does not prompt the user again.
   */
  remove(threadId: string): number {
    const environments = this.#servers.get(text("`threadId`", threadId));
    if (environments === undefined) return 0;
    this.#servers.delete(threadId);
    let removed = 0;
    for (const names of environments.values()) {
      for (const entry of names.values()) removeFrom(this.#listOf(entry.server), entry);
      removed += names.size;
    }
    return removed;
  }

  #find({ threadId, environmentId, name }: Pick<ReceivedNotification, "threadId" | "environmentId" | "name">) {
    return this.#servers.get(threadId)?.get(environmentId ?? null)?.get(name);
  }

  #fold(notification: ReceivedNotification): TrackerUpdate {
    const { status, failureReason } = notification;
    const entry = this.#find(notification);
    const changed = entry === undefined ? this.#insert(notification) : this.#replace(entry, notification);
    if (status === "ready" && this.#episodes.size > 0) this.#episodes.delete(episodeOf(keyOf(notification)));
    const needsSignIn = status === "failed" && failureReason === "reauthenticationRequired";
    return { changed, prompt: needsSignIn && this.#beginEpisode(keyOf(notification)) };
  }

  #insert(notification: ReceivedNotification): true {
    if (this.#running.length + this.#finished.length >= this.#limit) this.#forgetOne();
    const server = tracked(notification);
    const entry = { number: this.#next++, server };
    this.#listOf(server).push(entry);
    const environments = getOrInsert(this.#servers, server.threadId, () => new Map());
    getOrInsert(environments, server.environmentId, () => new Map()).set(server.name, entry);
    return true;
  }

  #replace(entry: Entry, notification: ReceivedNotification): boolean {
    const { server } = entry;
    if (
      server.status === notification.status &&
      server.error === notification.error &&
      server.failureReason === notification.failureReason
    ) {
      return false;
    }
    const next = tracked(notification);
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
    const { threadId, environmentId, name } = oldest.server;
    const environments = this.#servers.get(threadId);
    const names = environments?.get(environmentId);
    names?.delete(name);
    if (names?.size === 0) environments?.delete(environmentId);
    if (environments?.size === 0) this.#servers.delete(threadId);
  }

  #beginEpisode(server: ServerKey): boolean {
    const episode = episodeOf(server);
    if (this.#episodes.has(episode)) return false;
    if (this.#episodes.size >= this.#limit) {
      for (const oldest of this.#episodes.keys()) {
        this.#episodes.delete(oldest);
        break;
      }
    }
    this.#episodes.set(episode, server);
    return true;
  }
}

function keyOf({ threadId = null, environmentId = null, name }: ServerKeyInput): ServerKey {
  return { threadId, environmentId, name };
}

function tracked({ threadId, name, environmentId, status, error, failureReason }: ReceivedNotification): TrackedServer {
  return { threadId, environmentId: environmentId ?? null, name, status, error, failureReason };
}

/** The text that identifies an episode, which is the same in every thread. */
function episodeOf({ environmentId, name }: ServerKey): string {
  return idText(environmentId) + name;
}

/** A prefix that ends unambiguously: two different IDs never give the same text with any name. */
function idText(id: string | null): string {
  return id === null ? "-" : `${id.length}:${id}`;
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
