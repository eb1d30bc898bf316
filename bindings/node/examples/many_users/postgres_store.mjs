// The sign-ins of many users on many hosts, in PostgreSQL, over the driver `pg`. Copy it and adapt it to your schema.
//
//   const pool = new pg.Pool();
//   await pool.query(SCHEMA);
//   const store = new PostgresStore(pool, { tenant: "acme", user: "user-1", keys: { "2026-11": key } });
//   for await (const event of check({ mcpServers, store })) …
//
// The lock of a record is a lease on the clock of the database, so the clocks of hosts do not matter. No connection is held while a
// host waits. Each call is one or two statements, which also work through PgBouncer in transaction mode.

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

export const SCHEMA = `
  create table if not exists mcp_credential (
    tenant text not null,
    user_id text not null,
    key text not null,
    record bytea not null,
    -- The ID of the key that encrypts the record.
    key_id text not null,
    -- New at each save, for the compare-and-swap.
    revision uuid not null,
    primary key (tenant, user_id, key)
  );
  create table if not exists mcp_credential_lease (
    tenant text not null,
    user_id text not null,
    key text not null,
    -- One UUID for each acquisition; null if the lock is free.
    holder uuid,
    -- How often the lock was acquired.
    epoch bigint not null,
    expires_at timestamptz not null,
    -- The last refresh whose outcome is not known.
    attempt text,
    attempt_at timestamptz,
    attempt_epoch bigint,
    primary key (tenant, user_id, key)
  )`;

/** Longer than a refresh may take. A host that was killed excludes others for this long. */
const LEASE_MS = 60_000;
const EXPIRY = `clock_timestamp() + interval '${LEASE_MS} ms'`;
const THIS = "tenant = $1 and user_id = $2 and key = $3";

// The condition on the selection makes a failed attempt a read, so that hosts that wait do not write.
const ACQUIRE = `
  insert into mcp_credential_lease as lease (tenant, user_id, key, holder, epoch, expires_at)
  select $1::text, $2::text, $3::text, $4::uuid, 1, ${EXPIRY}
  where not exists (select from mcp_credential_lease where ${THIS} and holder is not null and expires_at >= clock_timestamp())
  on conflict (tenant, user_id, key) do update
  set holder = excluded.holder, epoch = lease.epoch + 1, expires_at = ${EXPIRY}
  where lease.holder is null or lease.expires_at < clock_timestamp()`;

// A lease that ended and that no other host took still belongs to its holder. An earlier attempt with the same token keeps its time.
const RENEW = `
  with earlier as (select attempt, attempt_at, attempt_epoch from mcp_credential_lease where ${THIS})
  update mcp_credential_lease as lease set
    expires_at = ${EXPIRY},
    attempt = coalesce($5::text, lease.attempt),
    attempt_at = case when coalesce($5, lease.attempt) = lease.attempt then lease.attempt_at else clock_timestamp() end,
    attempt_epoch = case when coalesce($5, lease.attempt) = lease.attempt then lease.attempt_epoch else lease.epoch end
  from earlier where ${THIS} and holder = $4::uuid
  returning case when earlier.attempt = $5 and earlier.attempt_epoch <> lease.epoch
    then extract(epoch from earlier.attempt_at) * 1000 end as sent_before`;

const RELEASE = `
  update mcp_credential_lease set holder = null, attempt = case when $5::boolean then null else attempt end
  where ${THIS} and holder = $4::uuid`;

/** The records of one user. Implements `CredentialStore`. */
export class PostgresStore {
  #pool;
  #place;
  #keys;

  /** `keys` has keys of 32 bytes by their ID. The first one encrypts, and all of them decrypt. */
  constructor(pool, { tenant, user, keys }) {
    this.#pool = pool;
    this.#place = [tenant, user];
    this.#keys = new Map(Object.entries(keys));
  }

  async load(key) {
    return (await this.#stored(key))?.text ?? null;
  }

  async replace(key, expected, next) {
    const stored = await this.#stored(key);
    if ((stored?.text ?? null) !== expected) return false;
    if (stored === null && next === null) return true;
    if (next === null) return await this.#changes(`delete from mcp_credential where ${THIS} and revision = $4`, key, stored.revision);
    const [keyId] = this.#keys.keys();
    const columns = [this.#encrypt(key, keyId, next), keyId, randomUUID()];
    if (stored === null) {
      const insert = "insert into mcp_credential (tenant, user_id, key, record, key_id, revision) values ($1, $2, $3, $4, $5, $6)";
      return await this.#changes(`${insert} on conflict do nothing`, key, ...columns);
    }
    const update = "update mcp_credential set record = $4, key_id = $5, revision = $6";
    return await this.#changes(`${update} where ${THIS} and revision = $7`, key, ...columns, stored.revision);
  }

  async lock(key) {
    // A new holder for each acquisition, so that two tasks of a process are two holders.
    const holder = randomUUID();
    while (!(await this.#changes(ACQUIRE, key, holder))) await sleep(50 + Math.random() * 200);
    let attemptHasEnded = false;
    return {
      renew: async (attempt) => {
        const { rows } = await this.#query(RENEW, key, holder, attempt);
        if (rows.length === 0) return null;
        const sent = rows[0].sent_before;
        return { remainingMs: LEASE_MS, sentBeforeAtMs: sent === null ? null : Number(sent) };
      },
      endAttempt: () => {
        attemptHasEnded = true;
      },
      release: async () => {
        await this.#query(RELEASE, key, holder, attemptHasEnded);
      },
    };
  }

  #query(sql, key, ...values) {
    return this.#pool.query(sql, [...this.#place, key, ...values]);
  }

  async #changes(sql, key, ...values) {
    return (await this.#query(sql, key, ...values)).rowCount === 1;
  }

  async #stored(key) {
    const { rows } = await this.#query(`select record, key_id, revision from mcp_credential where ${THIS}`, key);
    if (rows.length === 0) return null;
    return { text: this.#decrypt(key, rows[0].key_id, rows[0].record), revision: rows[0].revision };
  }

  /** The key of one record, and the identity that its encryption authenticates: a row can't be moved to another user. */
  #keyOf(key, keyId) {
    const secret = this.#keys.get(keyId);
    if (secret === undefined) throw new Error(`the key "${keyId}" that encrypts the record is missing`);
    const identity = Buffer.from(JSON.stringify([...this.#place, key, keyId]));
    return [Buffer.from(hkdfSync("sha256", secret, "", identity.subarray(0, 1024), 32)), identity];
  }

  #encrypt(key, keyId, text) {
    const [secret, identity] = this.#keyOf(key, keyId);
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", secret, nonce).setAAD(identity);
    return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
  }

  #decrypt(key, keyId, bytes) {
    const [secret, identity] = this.#keyOf(key, keyId);
    const cipher = createDecipheriv("aes-256-gcm", secret, bytes.subarray(0, 12)).setAAD(identity);
    cipher.setAuthTag(bytes.subarray(-16));
    try {
      return Buffer.concat([cipher.update(bytes.subarray(12, -16)), cipher.final()]).toString("utf8");
    } catch {
      throw new Error("the record was changed after it was encrypted, or its key is another one");
    }
  }
}
