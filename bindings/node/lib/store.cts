import { invalidArgument } from "./json.cjs";

/**
 * A custom store for OAuth credentials.
 *
 * A record is an opaque string. Store it unchanged, in a place that is safe for secrets.
 *
 * Refreshes rely on every rule of this interface. `testCredentialStore` checks them.
 *
 * - An error never means "no record". Throw it if the store can't be read or written.
 * - Error messages are shown to users. They must not contain any part of a record.
 * - The caller may abandon a call at any time. The call must still run to completion.
 */
export interface CredentialStore {
  /** Returns the record under `key`, or `null` if, and only if, there is no such record. */
  load(key: string): Promise<string | null>;

  /**
   * Replaces the record under `key` with `next` if the current record is `expected`; `null` means "no record" in both.
   *
   * The comparison and the write must be one atomic step across all processes.
   *
   * @returns `true` if the change is durable, so that a crash can't lose it; `false`, without a change, if the current
   *   record is not `expected`.
   */
  replace(key: string, expected: string | null, next: string | null): Promise<boolean>;

  /**
   * Acquires the exclusive lock of `key`, and returns the function that releases it.
   *
   * The lock excludes every other task and process that can reach the same record. It is held for the duration of a refresh.
   * Wait for it without a time limit.
   */
  lock(key: string): Promise<() => void | Promise<void>>;
}

/** Runs one operation of a store for the addon. */
export type Ask = (operation: string, args: (string | null)[]) => Promise<string | null>;

/** Adapts a store to the addon. A result of the wrong type is an error, and never counts as "no record". */
export function adaptStore(store: CredentialStore): Ask {
  for (const method of ["load", "replace", "lock"] as const) {
    if (typeof (store as CredentialStore | null | undefined)?.[method] !== "function") {
      throw invalidArgument(
        `the store must have the methods \`load\`, \`replace\` and \`lock\` of \`CredentialStore\`; it has no \`${method}\``,
      );
    }
  }
  const locks = new HeldLocks();
  return async (operation, [first, second, third]) => {
    // The addon passes the arguments that each operation takes.
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

/** The release functions of the held locks, by the token that the addon holds for each lock. */
class HeldLocks {
  readonly #held = new Map<string, Release>();
  #next = 0;
  #alive: NodeJS.Timeout | undefined;

  keep(release: Release): string {
    const token = String(this.#next++);
    this.#held.set(token, release);
    // The addon may release the lock at any time, from another thread. Keep the process alive until then.
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
      // No caller waits for a release, so there is no one to throw to.
      process.emitWarning(`A lock of the credential store could not be released: ${error}`, "McpStartupWarning");
    }
  }
}

const LONGEST_DELAY_MS = 2 ** 31 - 1;

function refuse(operation: string, expected: string, actual: unknown): never {
  throw new Error(`\`${operation}\` must return ${expected}, not ${actual === null ? "null" : typeof actual}`);
}
