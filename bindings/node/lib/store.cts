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

/** A store as the addon asks for it. */
export function asking(store: CredentialStore): Ask {
  const held = new Map<string, () => void | Promise<void>>();
  let locks = 0;
  return async (operation, [first, second, third]) => {
    // The addon gives each operation the words that it takes.
    const key = first as string;
    switch (operation) {
      case "load":
        return (await store.load(key)) ?? null;
      case "replace":
        return (await store.replace(key, second ?? null, third ?? null)) ? "" : null;
      case "lock": {
        const release = await store.lock(key);
        const token = String(locks++);
        held.set(token, release);
        return token;
      }
      default: {
        const release = held.get(key);
        held.delete(key);
        try {
          await release?.();
        } catch (error) {
          // Nobody waits for a release; and a lock that stays is worth a word.
          process.emitWarning(`a lock of a credential store could not be released: ${error}`, "McpStartupWarning");
        }
        return null;
      }
    }
  };
}
