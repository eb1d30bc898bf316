/**
 * A place of the application's own where sign-ins are kept. A record is a text, to be kept as it is, in a place for secrets.
 *
 * Whoever refreshes a credential relies on each sentence here: `testCredentialStore` holds a store to them.
 *
 * An error never means "nothing stored". Its message is shown to people; nothing of a record belongs in it. A call may be given up
 * at any time, and goes on to its end.
 */
export interface CredentialStore {
  /** The record under `key`; `null` where nothing is stored, and only there. */
  load(key: string): Promise<string | null>;

  /**
   * Stores `next` under `key`, or deletes what is there if `next` is `null`, if what is stored is `expected`.
   *
   * Comparing and storing are one step among all processes. `false` where something else is stored: nothing is changed then. `true`
   * means that no crash takes the record away.
   */
  replace(key: string, expected: string | null, next: string | null): Promise<boolean>;

  /**
   * Waits until nobody else holds the lock of `key`, in any process that can reach the same record, and gives what releases it. It is
   * held for as long as a refresh takes, and waited for without a limit.
   */
  lock(key: string): Promise<() => void | Promise<void>>;
}

/** Answers one question of the addon about a store: a text or null, or an error. */
export type Ask = (operation: string, words: (string | null)[]) => Promise<string | null>;

/** A store as the addon asks for it. What the store throws or gives that is not what it must is an error, and never "nothing stored". */
export function asking(store: CredentialStore): Ask {
  const locks = new HeldLocks();
  return async (operation, [first, second, third]) => {
    // The addon gives each operation the words that it takes.
    const key = first as string;
    switch (operation) {
      case "load": {
        const record: unknown = await store.load(key);
        return record === null || typeof record === "string" ? record : refuse("load", "a string or null", record);
      }
      case "replace": {
        const isReplaced: unknown = await store.replace(key, second ?? null, third ?? null);
        if (typeof isReplaced !== "boolean") return refuse("replace", "a boolean", isReplaced);
        return isReplaced ? "" : null;
      }
      case "lock": {
        const release: unknown = await store.lock(key);
        return typeof release === "function" ? locks.keep(release as Release) : refuse("lock", "a function", release);
      }
      default:
        await locks.release(key);
        return null;
    }
  };
}

type Release = () => void | Promise<void>;

/** What releases the locks that are held, by the token that the addon has for each. */
class HeldLocks {
  readonly #held = new Map<string, Release>();
  #next = 0;
  #alive: NodeJS.Timeout | undefined;

  keep(release: Release): string {
    const token = String(this.#next++);
    this.#held.set(token, release);
    // The addon may give it back at once, from another thread: the process must not end by itself before it is released.
    this.#alive ??= setInterval(() => {}, LONGEST_DELAY_MS);
    return token;
  }

  async release(token: string): Promise<void> {
    const release = this.#held.get(token);
    this.#held.delete(token);
    if (this.#held.size === 0) {
      clearInterval(this.#alive);
      this.#alive = undefined;
    }
    try {
      await release?.();
    } catch (error) {
      // Nobody waits for a release; and a lock that stays is worth a word.
      process.emitWarning(`a lock of a credential store could not be released: ${error}`, "McpStartupWarning");
    }
  }
}

const LONGEST_DELAY_MS = 2 ** 31 - 1;

function refuse(operation: string, wanted: string, given: unknown): never {
  throw new Error(`\`${operation}\` must give ${wanted}, not ${given === null ? "null" : typeof given}`);
}
