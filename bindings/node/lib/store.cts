import { callable, json, kindOf, mustBe, type Rule } from "./arguments.cjs";
import { InvalidArgumentError } from "./errors.cjs";

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
   *
   * If the lock can be lost, for example because its holder was paused, return a `Lease` instead. `testCredentialStore` has tests
   * for stores with leases.
   */
  lock(key: string): Promise<(() => void | Promise<void>) | Lease>;
}

/**
 * A lock that ends by itself, at the latest one lease after its holder stopped. The engine renews it while it is held.
 *
 * A holder that lost its lock sends no refresh. It still saves tokens that it has received, with `replace`.
 */
export interface Lease {
  /**
   * Extends the lease, unless the lock was lost. If `attempt` is a string, a refresh token that it represents is about to be sent: store
   * it with the current time, durably and beyond the end of the lock.
   *
   * @returns `null`, without a change, if another holder has taken the lock.
   */
  renew(attempt: string | null): Promise<LeaseState | null>;

  /** Notes that the outcome of the attempt is known, so that `release` removes it. */
  endAttempt(): void;

  /** Releases the lock, unless another holder has taken it. */
  release(): void | Promise<void>;
}

/** The state of a lease that was renewed. */
export interface LeaseState {
  /** How long the lease lasts from the beginning of the call, in ms. At least 30,000. */
  remainingMs: number;
  /** When an earlier holder stored the same attempt, in ms since the Unix epoch. Such an attempt keeps its first time. */
  sentBeforeAtMs?: number | null;
}

/**
 * The sign-ins of one user in PostgreSQL 13 or later, for applications with many users on several machines.
 *
 * The calls of a process share the connections to a database. The first call creates the tables, or updates them. Records are encrypted,
 * and a refresh is sent by one machine at a time. The guide is `docs/many-users.md` in the repository.
 *
 * If the database can't be used when the first call connects, that call throws an `McpStartupError` with the code
 * `MCP_STARTUP_CREDENTIAL_STORE`. The next call tries to connect again.
 */
export type PostgresStore = {
  /** The URL, such as `postgres://app@db.example/credentials`. TLS is required unless the database is on this machine. */
  postgres: string;
  /** The stable ID of the user. Never use a name that someone else could get later. */
  user: string;
  /** The tenant of the user. By default, `default`. */
  tenant?: string | undefined;
  /**
   * The keys that encrypt the records: `ID:KEY`, separated by white space or commas. A key is 32 bytes in base64. The first one encrypts,
   * and all of them decrypt. By default, the environment variable `MCP_STARTUP_STORE_KEYS` has them.
   */
  keys?: string | undefined;
};

/** Whether a store is described, and not implemented by the application. */
export function isPostgresStore(store: unknown): store is PostgresStore {
  return typeof store === "object" && store !== null && "postgres" in store && !("load" in store);
}

/** The other half of the test of a store whose `lock` returns a `Lease`. */
export interface LeaseTest {
  /** Another instance of the store, as on another host. */
  other: CredentialStore | PostgresStore;
  /** Ends the lease of `key` now, for example by moving its expiry into the past. */
  lapse(key: string): Promise<unknown>;
}

/** A store is described, or has the methods of `CredentialStore`. */
export const credentialStore: Rule<CredentialStore | PostgresStore> = (place, value) => {
  if (isPostgresStore(value)) return json<PostgresStore>()(place, value);
  for (const method of ["load", "replace", "lock"] as const) {
    if (typeof (value as CredentialStore | null | undefined)?.[method] === "function") continue;
    const problem = "must be a `PostgresStore`, or have the methods `load`, `replace` and `lock` of `CredentialStore`";
    throw new InvalidArgumentError(`${place} ${problem}; it has no \`${method}\``);
  }
  return value as CredentialStore;
};

export const leaseTest: Rule<LeaseTest> = (place, value) => {
  if (typeof value !== "object" || value === null) throw mustBe(place, "an object with `other` and `lapse`", value);
  const { other, lapse } = value as Partial<LeaseTest>;
  credentialStore(place.at("other"), other);
  callable()(place.at("lapse"), lapse);
  return value as LeaseTest;
};

/** Runs one operation of a store for the addon. */
export type Ask = (operation: string, args: (string | null)[]) => Promise<string | null>;

/** Adapts a store to the addon. A result of the wrong type is an error, and never counts as "no record". */
export function adaptStore(store: CredentialStore): Ask {
  const locks = new HeldLocks();
  return waitedFor(async (operation, [first, second = null, third = null]) => {
    // The addon passes the arguments that each operation takes.
    const key = first as string;
    switch (operation) {
      case "load": {
        const record: unknown = await store.load(key);
        return record === null || typeof record === "string" ? record : refuse("load", "a string or null", record);
      }
      case "replace": {
        const isReplaced: unknown = await store.replace(key, second, third);
        if (typeof isReplaced !== "boolean") return refuse("replace", "a boolean", isReplaced);
        return isReplaced ? "" : null;
      }
      case "lock": {
        const lock: unknown = await store.lock(key);
        if (typeof lock === "function") return locks.keep({ release: lock as Release });
        const isLease = typeof (lock as Lease | null)?.renew === "function";
        return isLease ? locks.keep(lock as Lease) : refuse("lock", "a function or a lease", lock);
      }
      case "renew":
        return await locks.renew(key, second);
      default:
        await locks.release(key, second !== null);
        return null;
    }
  });
}

/**
 * Keeps the promise of each operation until it has settled. The addon's own reference is too weak: a promise that never settles would be
 * garbage-collected, which ends the operation before its time limit.
 */
function waitedFor(ask: Ask): Ask {
  const waiting = new Set<Promise<unknown>>();
  return (operation, args) => {
    const asked = ask(operation, args);
    waiting.add(asked);
    const forget = () => waiting.delete(asked);
    asked.then(forget, forget);
    return asked;
  };
}

type Release = () => void | Promise<void>;

/** The held locks, by the token that the addon holds for each. */
class HeldLocks {
  readonly #held = new Map<string, Lease | { release: Release }>();
  #next = 0;
  #alive: NodeJS.Timeout | undefined;

  keep(lock: Lease | { release: Release }): string {
    const token = `${"renew" in lock ? "lease " : ""}${this.#next++}`;
    this.#held.set(token, lock);
    // The addon may release the lock at any time, from another thread. Keep the process alive until then.
    this.#alive ??= setInterval(() => {}, LONGEST_DELAY_MS);
    return token;
  }

  async renew(token: string, attempt: string | null): Promise<string | null> {
    const lock = this.#held.get(token);
    if (lock === undefined || !("renew" in lock)) return null;
    const state: unknown = await lock.renew(attempt);
    if (state === null) return null;
    const { remainingMs, sentBeforeAtMs } = (state ?? {}) as Partial<LeaseState>;
    if (typeof remainingMs !== "number") return refuse("renew", "an object with `remainingMs`, or null", state);
    return [remainingMs, ...(sentBeforeAtMs == null ? [] : [sentBeforeAtMs])].map(Math.floor).join(" ");
  }

  async release(token: string, attemptHasEnded: boolean): Promise<void> {
    const lock = this.#held.get(token);
    this.#held.delete(token);
    if (this.#held.size === 0) {
      clearInterval(this.#alive);
      this.#alive = undefined;
    }
    try {
      if (attemptHasEnded && lock !== undefined && "renew" in lock) lock.endAttempt();
      await lock?.release();
    } catch (error) {
      // No caller waits for a release, so there is no one to throw to.
      process.emitWarning(`A lock of the credential store could not be released: ${error}`, "McpStartupWarning");
    }
  }
}

const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** Adapts the function that ends a lease to the addon. */
export function adaptLapse(lapse: LeaseTest["lapse"]): Ask {
  return waitedFor(async (_operation, [key]) => {
    await lapse(key as string);
    return null;
  });
}

function refuse(operation: string, expected: string, actual: unknown): never {
  throw new Error(`\`${operation}\` must return ${expected}, not ${kindOf(actual)}`);
}
