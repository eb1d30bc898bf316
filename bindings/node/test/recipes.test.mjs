// The store of examples/many_users with PostgreSQL, which scripts/with-postgres starts.

import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";
import { McpStartupError, testCredentialStore } from "mcp-startup";
import { MemoryStore, thrown } from "./lab.mjs";

const EXAMPLES = process.env.MCP_STARTUP_EXAMPLES ?? join(import.meta.dirname, "../examples");
const POSTGRES = process.env.MCP_STARTUP_TEST_POSTGRES;
const skip = POSTGRES ? false : "run it with scripts/with-postgres";

const OWNER = { tenant: "acme", user: "ann", keys: { k1: Buffer.alloc(32) } };
const LAPSE = "update mcp_credential_lease set expires_at = clock_timestamp() - interval '1 ms' where key = $1";

test("the store over `pg`", { skip }, async (t) => {
  const { default: pg } = await import("pg");
  const { PostgresStore, SCHEMA } = await import(pathToFileURL(join(EXAMPLES, "many_users/postgres_store.mjs")));
  const pools = [0, 1].map(() => new pg.Pool({ connectionString: POSTGRES }));
  t.after(() => Promise.all(pools.map((pool) => pool.end())));
  const [pool] = pools;
  await pool.query("drop table if exists mcp_credential, mcp_credential_lease");
  await pool.query(SCHEMA);

  await t.test("passes both halves of the conformance suite", async () => {
    const [store, other] = pools.map((pool) => new PostgresStore(pool, OWNER));
    await testCredentialStore(store, { leases: { other, lapse: (key) => pool.query(LAPSE, [key]) } });
  });

  await t.test("encrypts records, keeps them to their user, and changes keys", async () => {
    const store = new PostgresStore(pool, OWNER);
    assert.ok(await store.replace("canary", null, "canary-token"));
    const { rows } = await pool.query("select record from mcp_credential");
    assert.ok(rows.length > 0 && rows.every(({ record }) => !record.includes("token")));
    const stranger = new PostgresStore(pool, { ...OWNER, user: "bob" });
    assert.equal(await stranger.load("canary"), null);
    await pool.query("update mcp_credential set user_id = 'bob' where key = 'canary'");
    await assert.rejects(stranger.load("canary"), /was changed/);
    await pool.query("update mcp_credential set user_id = 'ann' where key = 'canary'");
    const rotated = new PostgresStore(pool, { ...OWNER, keys: { k2: Buffer.alloc(32, 2), ...OWNER.keys } });
    assert.ok(await rotated.replace("canary", "canary-token", "new"));
    await assert.rejects(store.load("canary"), /"k2"/);
  });
});

test("a store without leases fails the tests of leases", async () => {
  const leases = { other: new MemoryStore(), lapse: async () => {} };
  const error = await thrown(() => testCredentialStore(new MemoryStore(), { leases }));
  assert.ok(error instanceof McpStartupError, error.stack);
  assert.match(error.message, /"a lock excludes other hosts until its lease ends"/);
});

test("an invalid state of a lease is reported", async () => {
  class Broken extends MemoryStore {
    async lock(key) {
      const release = await super.lock(key);
      return { renew: async () => ({}), endAttempt: () => {}, release };
    }
  }
  const error = await thrown(() => testCredentialStore(new Broken()));
  assert.match(error.message, /`renew` must return an object with `remainingMs`, or null, not an object/);
});
