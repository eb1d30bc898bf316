// The option `store: { postgres, … }` with PostgreSQL, which scripts/with-postgres starts, and a real authorization server.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import test, { after } from "node:test";
import { authorization, authStatus, check, McpStartupError, signIn, signOut, testCredentialStore } from "mcp-startup";
import { all, thrown } from "./lab.mjs";
import { browse, needsOidc, startOidc } from "./oidc.mjs";
import { project } from "./places.mjs";

const POSTGRES = process.env.MCP_STARTUP_TEST_POSTGRES;
const needsPostgres = { skip: POSTGRES ? false : "run it with scripts/with-postgres" };
const needsBoth = { skip: needsPostgres.skip || needsOidc.skip };

const oidc = POSTGRES ? await startOidc(after) : undefined;
const keyOf = (byte) => Buffer.alloc(32, byte).toString("base64");
const KEYS = `k1:${keyOf(1)}`;
const CANARY = "canary-password";

/** Makes the release of each lock take 0.5 s, so that a process could end before it. */
const SLOW_RELEASE = `
  create function slow_release() returns trigger language plpgsql as $$ begin
    if new.holder is null then perform pg_sleep(0.5); end if; return new; end $$;
  create trigger slow_release before update on mcp_startup_lease for each row execute function slow_release()`;

/** A store of a new user. Each test has its own. */
let users = 0;
const newUser = () => ({ postgres: POSTGRES, tenant: "acme", user: `node-${process.pid}-${users++}`, keys: KEYS });
const optionsOf = (name, store) => ({ mcpServers: oidc.servers(name), store });
const signInTo = (name, store) => signIn(name, { ...optionsOf(name, store), openBrowser: (url) => browse(url) });

test("the store passes both halves of the conformance suite", needsPostgres, async (t) => {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: POSTGRES });
  await client.connect();
  t.after(() => client.end());
  const store = newUser();
  await testCredentialStore(store);
  // Other keys in another order, as on a host on which the key is being changed: with a connection pool of its own.
  const other = { ...store, keys: `${KEYS} k2:${keyOf(2)}` };
  const lapse = () =>
    client.query("update mcp_startup_lease set expires_at = clock_timestamp() - interval '1 ms' where holder is not null");
  await testCredentialStore({ ...store, user: `${store.user}-leases` }, { leases: { other: { ...other, user: `${store.user}-leases` }, lapse } });
});

test("a sign-in belongs to its user and tenant", needsBoth, async () => {
  const [ann, bob] = [newUser(), newUser()];
  await signInTo("notes", ann);
  assert.equal((await all(check(optionsOf("notes", ann)))).at(-1).status, "ready");
  const status = await authStatus("notes", optionsOf("notes", ann));
  assert.deepEqual([status.status, status.store, status.storeError], ["oAuth", "postgres", null]);
  for (const stranger of [bob, { ...ann, tenant: "other" }, { ...ann, tenant: undefined }]) {
    const { worth, storeError } = await authStatus("notes", optionsOf("notes", stranger));
    assert.deepEqual([worth, storeError], [null, null]);
  }
  await signInTo("notes", bob);
  assert.deepEqual(await signOut("notes", optionsOf("notes", ann)), { wasStored: true, revocation: "revoked" });
  assert.equal((await all(check(optionsOf("notes", bob)))).at(-1).status, "ready");
});

test("a wrong or missing key is an error of the record, and the record stays", needsBoth, async () => {
  const ann = newUser();
  await signInTo("notes", ann);
  for (const [keys, reason] of [
    [`k1:${keyOf(9)}`, /is not the key that encrypts the record/],
    [`k2:${keyOf(2)}`, /the key `k1`, which encrypts the record, is missing/],
  ]) {
    const options = optionsOf("notes", { ...ann, keys });
    const { storeError } = await authStatus("notes", options);
    assert.equal(storeError.trouble, "unreadable");
    assert.match(storeError.detail, reason);
    const { failure } = (await all(check(options))).at(-1);
    assert.deepEqual([failure.kind, failure.recovery], ["credentialStoreUnavailable", "fixCredentialStore"]);
  }
  // The second key of a host that changes its key still decrypts.
  const rotating = { ...ann, keys: `k2:${keyOf(2)} ${KEYS}` };
  assert.equal((await authStatus("notes", optionsOf("notes", rotating))).status, "oAuth");
});

test("calls at the same time refresh a token once", needsBoth, async () => {
  const [name, ann] = ["refreshed", newUser()];
  await signInTo(name, ann);
  const options = optionsOf(name, ann);
  const expired = await authorization(name, null, options);
  await oidc.post("expire", { accessToken: expired.replace("Bearer ", "") });
  const before = await oidc.stats();
  const headers = await Promise.all(Array.from({ length: 8 }, () => authorization(name, { authorization: expired }, options)));
  const now = await oidc.stats();
  assert.deepEqual([now.refreshes - before.refreshes, now.reuses - before.reuses], [1, 0]);
  assert.equal(new Set(headers).size, 1);
  assert.notEqual(headers[0], expired);
});

test("a process that ends right after a refresh leaves no lock behind", needsBoth, async (t) => {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: POSTGRES });
  await client.connect();
  t.after(async () => {
    await client.query("drop function if exists slow_release cascade");
    await client.end();
  });
  const [name, ann] = ["ended", newUser()];
  await signInTo(name, ann);
  await client.query(SLOW_RELEASE);
  for (const end of ["", "process.exit(0);"]) {
    const expired = await authorization(name, null, optionsOf(name, ann));
    await oidc.post("expire", { accessToken: expired.replace("Bearer ", "") });
    const code = `
      import { authorization } from "mcp-startup";
      await authorization("${name}", { authorization: "${expired}" }, ${JSON.stringify(optionsOf(name, ann))});
      ${end}`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], { cwd: project, stdio: "inherit", timeout: 60_000 });
    const [status] = await once(child, "close");
    assert.equal(status, 0);
    const { rows } = await client.query("select from mcp_startup_lease where holder is not null");
    assert.equal(rows.length, 0, `after \`${end}\``);
  }
});

test("a database that can't be used is an error without the URL", needsPostgres, async () => {
  const { MCP_STARTUP_STORE_KEYS: before } = process.env;
  delete process.env.MCP_STARTUP_STORE_KEYS;
  const status = (store) => thrown(() => authStatus("s", { mcpServers: { s: { url: "http://127.0.0.1:1/mcp" } }, store }));
  const user = { user: "ann", tenant: "acme" };
  for (const [store, reason] of [
    [{ ...user, postgres: POSTGRES }, /MCP_STARTUP_STORE_KEYS is not set/],
    [{ ...user, postgres: POSTGRES, keys: `k1:${CANARY}` }, /key 1 is not 32 bytes in base64/],
    [{ ...user, postgres: `postgres://app:${CANARY}@127.0.0.1:1/d`, keys: KEYS }, /connection to the database at 127.0.0.1:1 failed/],
    [{ ...user, postgres: `${CANARY}?`, keys: KEYS }, /the URL is not a PostgreSQL URL/],
    [{ ...user, user: "", postgres: POSTGRES, keys: KEYS }, /the name of the user must have 1 to 255 bytes/],
  ]) {
    const error = await status(store);
    assert.ok(error instanceof McpStartupError);
    assert.equal(error.code, "MCP_STARTUP_CREDENTIAL_STORE", error.message);
    assert.match(error.message, reason);
    assert.ok(!error.stack.includes(CANARY), error.stack);
  }
  // The next call tries again, with keys that are set meanwhile.
  process.env.MCP_STARTUP_STORE_KEYS = KEYS;
  const options = { mcpServers: { s: { url: "http://127.0.0.1:1/mcp" } }, store: { ...user, postgres: POSTGRES } };
  assert.equal((await authStatus("s", options)).worth, null);
  if (before === undefined) delete process.env.MCP_STARTUP_STORE_KEYS;
});

test("an invalid description of a store is refused when it is passed", async () => {
  for (const [store, reason] of [
    [{ postgres: "postgres://localhost/d" }, /`store` must have the field `user`/],
    [{ postgres: "postgres://localhost/d", user: "ann", tennant: "acme" }, /`store.tennant` is not known; did you mean `tenant`\?/],
    [{ postgres: 1, user: "ann" }, /`store.postgres` must be a string, not 1/],
    [`postgres://app:${CANARY}@db.example/d`, /`store` must be a `PostgresStore`, or have the methods/],
  ]) {
    const error = await thrown(async () => check({ mcpServers: {}, store }));
    assert.equal(error.code, "MCP_STARTUP_INVALID_ARGUMENT", error.message);
    assert.match(error.message, reason);
    assert.ok(!error.message.includes(CANARY));
  }
});
