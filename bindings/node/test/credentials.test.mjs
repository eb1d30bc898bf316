// What a server is authorized with: the header for an application's own requests, signing in and out, a store of its own.

import assert from "node:assert/strict";
import test from "node:test";
import { inspect } from "node:util";
import {
  authorization,
  authStatus,
  beginSignIn,
  check,
  finishSignIn,
  McpStartupError,
  signOut,
  testCredentialStore,
} from "mcp-startup";
import { comeBack, keyOf, Lab, MemoryStore, REDIRECT_URI, runModule, signIn, until, User } from "./users.mjs";

/** What a server comes to, with a store. */
async function cameTo(lab, name, options) {
  let last;
  for await (const event of check({ mcpServers: { [name]: { url: lab.url(name) } }, ...options })) last = event;
  return last;
}

test("what a server is authorized with", { concurrency: true }, async (all) => {
  const lab = await Lab.start(all);
  const tests = [];
  const add = (name, body) => tests.push(all.test(name, { timeout: 60_000 }, body));

  for (const row of ["ready-stored-token", "revoked-refreshes", "expired-rotates", "ready"]) {
    add(`the header for a request of one's own: ${row}`, async (t) => {
      const own = await Lab.start(t);
      const user = new User(t, own).has(row);
      const options = { config: user.config };
      let header = await authorization(row, null, options);
      for (;;) {
        const answer = await fetch(own.url(row), {
          method: "POST",
          headers: {
            accept: "application/json, text/event-stream",
            "content-type": "application/json",
            ...(header === null ? {} : { authorization: header }),
          },
          body: JSON.stringify({
            jsonrpc: "2.0", id: 1, method: "initialize",
            params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } },
          }),
        });
        await answer.arrayBuffer();
        if (answer.status !== 401) {
          assert.equal(answer.status, 200);
          break;
        }
        const challenge = answer.headers.get("www-authenticate");
        header = await authorization(row, { authorization: header, challenge }, options);
      }
      const wanted = own.rows.get(row).expect;
      assert.deepEqual(await own.tokensSent(row), wanted.tokensSent);
      assert.deepEqual(await own.refreshes(row), wanted.refreshTokensSent ?? []);
    });
  }

  add("where nothing is left to send, the verdict is thrown, without a secret in it", async (t) => {
    const user = new User(t, lab).has("expired-no-refresh", "first-sign-in");
    const options = { config: user.config };
    const record = lab.record("expired-no-refresh");
    const sent = `Bearer ${record.access_token}`;
    const rejections = [
      ["expired-no-refresh", { authorization: sent, challenge: `Bearer error="${record.access_token}"` }, "reauthenticationRequired"],
      ["first-sign-in", { authorization: null }, "signInRequired"],
    ];
    for (const [server, rejected, kind] of rejections) {
      await assert.rejects(authorization(server, rejected, options), (error) => {
        assert.ok(error instanceof McpStartupError);
        assert.deepEqual([error.code, error.failure.kind], ["MCP_STARTUP_FAILURE", kind]);
        assert.ok(!inspect(error, { depth: 20 }).includes(record.access_token));
        return true;
      });
    }
  });

  add("signing in and out, and what is said of it", async (t) => {
    const own = await Lab.start(t);
    const user = new User(t, own).has("first-sign-in");
    const options = { config: user.config };
    assert.equal((await authStatus("first-sign-in", options)).status, null);
    assert.equal((await authStatus("first-sign-in", { ...options, online: true })).status, "notLoggedIn");
    await signIn("first-sign-in", options);
    const status = await authStatus("first-sign-in", options);
    assert.deepEqual([status.status, status.store, status.storeError], ["oAuth", "file", null]);
    const fields = ["status", "worth", "expiresAtMs", "scopes", "issuer", "store", "storeError"];
    assert.deepEqual(Object.keys(status), fields, "what index.d.cts says of a status");
    assert.ok(user.record("first-sign-in").access_token);
    assert.deepEqual(Object.keys(await signOut("first-sign-in", options)), ["wasStored", "revocation"]);
    assert.equal(user.record("first-sign-in"), undefined);
    assert.equal((await signOut("first-sign-in", options)).wasStored, false);
  });

  add("a sign-in that goes wrong says how, and changes nothing", async (t) => {
    const user = new User(t, lab).has("first-sign-in", "api-key", "expired-no-refresh");
    const options = { config: user.config };
    const wrong = (kind) => ({ code: "MCP_STARTUP_SIGN_IN", kind });
    await assert.rejects(beginSignIn("api-key", REDIRECT_URI, options), wrong("notOffered"));
    await assert.rejects(beginSignIn("first-sign-in", "http://example.com/", options), wrong("invalidConfiguration"));
    await assert.rejects(finishSignIn("{}", "", options), wrong("invalidPending"));
    const before = user.record("expired-no-refresh");
    const begun = await beginSignIn("expired-no-refresh", REDIRECT_URI, options);
    await assert.rejects(finishSignIn(begun.pending, `${REDIRECT_URI}?code=a&state=b`, options), wrong("invalidCallback"));
    const denied = new URL(await comeBack(begun.authorizationUrl));
    denied.searchParams.delete("code");
    denied.searchParams.set("error", "access_denied");
    await assert.rejects(finishSignIn(begun.pending, denied.href, options), wrong("denied"));
    assert.deepEqual(user.record("expired-no-refresh"), before);
  });

  add("a sign-in is finished once", async (t) => {
    const user = new User(t, lab).has("first-sign-in");
    const options = { config: user.config };
    const begun = await beginSignIn("first-sign-in", REDIRECT_URI, options);
    const back = await comeBack(begun.authorizationUrl);
    await finishSignIn(begun.pending, back, options);
    await assert.rejects(finishSignIn(begun.pending, back, options), { code: "MCP_STARTUP_SIGN_IN", kind: "used" });
  });

  add("a store in JavaScript does what every store must", async () => {
    await testCredentialStore(new MemoryStore());
  });

  add("a store that does not is told so", async () => {
    const broken = (change) => Object.assign(new MemoryStore(), change);
    for (const store of [
      broken({ load: async () => null }),
      broken({ async replace(key, _, next) { this.records.set(key, next); return true; } }),
      broken({ lock: async () => () => {} }),
      broken({ load() { throw new Error("not now"); } }),
      broken({ load: undefined }),
      broken({ lock: async () => undefined }),
      {},
    ]) {
      await assert.rejects(testCredentialStore(store), { code: "MCP_STARTUP_CREDENTIAL_STORE" });
    }
  });

  add("a store that rejects is no sign-out, and shows nothing of what it was given", async () => {
    const row = "ready-stored-token";
    for (const load of [
      async () => { throw new Error("the vault is locked"); },
      () => { throw new Error("the vault is locked"); },
    ]) {
      const { failure } = await cameTo(lab, row, { store: Object.assign(new MemoryStore(), { load }) });
      assert.equal(failure.kind, "credentialStoreUnavailable");
      assert.match(failure.message + JSON.stringify(failure.evidence), /the vault is locked/);
    }
    const own = MemoryStore.with(lab, "expired-rotates");
    const { refresh_token } = lab.record("expired-rotates");
    own.replace = async (_, expected) => { throw new Error(`can't write over ${expected}`); };
    const { failure } = await cameTo(lab, "expired-rotates", { store: own });
    assert.ok(failure !== null && !JSON.stringify(failure).includes(refresh_token));
  });

  add("a store in JavaScript keeps a rotated token, and one refresh serves all", async (t) => {
    const own = await Lab.start(t);
    const row = "expired-rotates";
    const store = MemoryStore.with(own, row);
    const before = JSON.parse(store.records.get(keyOf(row, own.url(row))));
    const events = await Promise.all(Array.from({ length: 8 }, () => cameTo(own, row, { store })));
    assert.deepEqual(new Set(events.map(({ notification }) => notification.status)), new Set(["ready"]));
    assert.equal((await own.refreshes(row)).length, 1);
    const after = JSON.parse(store.records.get(keyOf(row, own.url(row))));
    assert.notEqual(after.refresh_token, before.refresh_token);
    assert.equal((await cameTo(own, row, { store })).notification.status, "ready");
  });

  add("a lock that somebody holds is waited for, and given back by who gives up", async () => {
    const row = "expired-rotates";
    const store = MemoryStore.with(lab, row);
    const release = await store.lock(keyOf(row, lab.url(row)));
    const lock = store.lock.bind(store);
    let asked = 0;
    store.lock = (key) => {
      asked += 1;
      return lock(key);
    };
    const controller = new AbortController();
    const events = check({ mcpServers: { [row]: { url: lab.url(row) } }, store, signal: controller.signal });
    await events.next();
    const closing = events.next();
    await until("the lock is asked for", () => asked > 0);
    controller.abort();
    await assert.rejects(closing, { name: "AbortError" });
    release();
    // It goes to who has given up, and comes back.
    (await lock(keyOf(row, lab.url(row))))();
    assert.equal((await cameTo(lab, row, { store })).notification.status, "ready");
  });

  add("a new token is stored before the process ends, though nobody reads on", async (t) => {
    const own = await Lab.start(t);
    const user = new User(t, own).has("expired-rotates");
    const before = user.record("expired-rotates").refresh_token;
    const text = `
      import { check } from "mcp-startup";
      const events = check({ config: ${JSON.stringify(user.config)} });
      await events.next();
      const closing = events.next();
      while ((await (await fetch("${own.base}/expired-rotates/requests")).json()).every(({ to }) => to !== "token"));
      await events.return();
      await closing;`;
    const { status, err } = await runModule(text);
    assert.equal(status, 0, err);
    assert.notEqual(user.record("expired-rotates").refresh_token, before);
  });

  await Promise.all(tests);
});
