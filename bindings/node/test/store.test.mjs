// A credential store that is written in JavaScript: what it is held to, and what it is asked for.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test, { after } from "node:test";
import { authorization, authStatus, check, McpStartupError, testCredentialStore } from "mcp-startup";
import { all, MemoryStore, startLab, thrown, withResolvers } from "./lab.mjs";
import { project } from "./places.mjs";

const lab = await startLab(after);

test("a good store passes, and so does one that is slow", async () => {
  await testCredentialStore(new MemoryStore());
  const later = () => new Promise((resolve) => setImmediate(resolve));
  class Slow extends MemoryStore {
    async load(key) {
      await later();
      return super.load(key);
    }
    async replace(...words) {
      await later();
      const isReplaced = await super.replace(...words);
      await later();
      return isReplaced;
    }
    async lock(key) {
      const release = await super.lock(key);
      await later();
      return async () => {
        await later();
        release();
      };
    }
  }
  await testCredentialStore(new Slow());
});

/** Stores that are not what they must be, and what is said of each. */
const BROKEN = {
  "forgets what it stores": [{ replace: async () => true }, /must/],
  "stores whatever was expected": [
    {
      async replace(key, _expected, next) {
        return MemoryStore.prototype.replace.call(this, key, await this.load(key), next);
      },
    },
    /must/,
  ],
  "locks nobody out": [{ lock: async () => () => {} }, /must/],
  "changes what it keeps": [
    {
      async load(key) {
        const record = await MemoryStore.prototype.load.call(this, key);
        return record && JSON.stringify({ ...JSON.parse(record), scopes: [] });
      },
    },
    /must/,
  ],
  "rejects": [{ load: async () => Promise.reject(new Error("the vault is closed")) }, /the vault is closed/],
  "rejects with nothing": [{ load: () => Promise.reject() }, /must/],
  "rejects with a text": [{ load: () => Promise.reject("closed") }, /closed/],
  "throws before there is a promise": [
    {
      load() {
        throw new Error("the vault is closed");
      },
    },
    /the vault is closed/,
  ],
  "gives nothing": [{ load: () => {} }, /`load` must give a string or null, not undefined/],
  "gives a record": [{ load: async () => ({}) }, /`load` must give a string or null, not object/],
  "does not say whether it has stored": [{ replace: async () => {} }, /`replace` must give a boolean, not undefined/],
  "gives nothing to release": [{ lock: async () => {} }, /`lock` must give a function, not undefined/],
  "has no function": [{ replace: undefined }, /replace is not a function/],
};

for (const [what, [fault, says]] of Object.entries(BROKEN)) {
  test(`a store that ${what} is named`, async () => {
    const error = await thrown(() => testCredentialStore(Object.assign(new MemoryStore(), fault)));
    assert.ok(error instanceof McpStartupError, error.stack);
    assert.equal(error.code, "MCP_STARTUP_CREDENTIAL_STORE");
    assert.match(error.message, says);
  });
}

test("a store that can't be read is not one in which nothing is stored", async () => {
  const name = "ready-stored-token";
  const faults = Object.entries(BROKEN).filter(([, [fault]]) => fault.load);
  assert.ok(faults.length > 4);
  for (const [what, [fault]] of faults.filter(([what]) => what !== "changes what it keeps")) {
    const store = Object.assign(lab.storeOf(name), fault);
    const options = { mcpServers: lab.servers(name), store };
    const [, { failure, notification }] = await all(check(options));
    assert.deepEqual([failure?.kind, failure?.recovery], ["credentialStoreUnavailable", "fixCredentialStore"], what);
    assert.equal(notification.failureReason, null);
    const { status, storeError } = await authStatus(name, options);
    assert.deepEqual([status, storeError.store, storeError.trouble], [null, "host", "unreadable"], what);
    // Without a token first, for the server may want none.
    assert.equal(await authorization(name, null, options), null);
    const error = await thrown(() => authorization(name, { authorization: null }, options));
    assert.equal(error.failure.kind, "credentialStoreUnavailable");
  }
});

test("nothing of a record is in what is said of a store", async () => {
  const name = "expired-refreshes";
  const store = lab.storeOf(name);
  store.replace = async (_key, expected, next) => {
    const secrets = [expected, next].filter(Boolean).map((text) => JSON.parse(text).access_token);
    throw new Error(`could not write: ${secrets}`);
  };
  const events = await all(check({ mcpServers: lab.servers(name), store }));
  assert.match(JSON.stringify(events), /could not write/);
  assert.doesNotMatch(JSON.stringify(events), /expired-token|good-refresh\b|fresh-token-1/);
});

test("a rotated token is kept, under the lock", async () => {
  const name = "expired-rotates";
  const store = lab.storeOf(name);
  const calls = [];
  for (const operation of ["load", "replace", "lock"]) {
    const original = store[operation].bind(store);
    store[operation] = async (...words) => {
      calls.push(operation);
      const answer = await original(...words);
      if (operation !== "lock") return answer;
      return () => {
        calls.push("release");
        answer();
      };
    };
  }
  await all(check({ mcpServers: lab.servers(name), store }));
  const { access_token, refresh_token } = store.records()[name];
  assert.deepEqual([access_token, refresh_token], ["fresh-token-1", "fresh-refresh-1"]);
  const [locked, replaced, released] = ["lock", "replace", "release"].map((call) => calls.indexOf(call));
  assert.ok(locked !== -1 && locked < replaced && calls.lastIndexOf("replace") < released, calls.join());
  assert.equal(calls.filter((call) => call === "lock").length, calls.filter((call) => call === "release").length);
});

test("many that want the same token at once make one refresh", async () => {
  const name = "refresh-new-scope";
  const options = { mcpServers: lab.servers(name), store: lab.storeOf(name) };
  const checks = Array.from({ length: 8 }, () => all(check(options)));
  for (const [, { notification }] of await Promise.all(checks)) assert.equal(notification.status, "ready");
  assert.equal((await lab.requests(name)).filter(({ to }) => to === "token").length, 1);
});

test("a lock that somebody else holds is waited for, and what they have stored is used", async () => {
  const name = "revoked-refreshes";
  const store = lab.storeOf(name);
  const [key] = store.keys();
  const release = await store.lock(key);
  const { promise: asked, resolve: ask } = withResolvers();
  const lock = store.lock.bind(store);
  store.lock = (key) => {
    ask();
    return lock(key);
  };
  const events = all(check({ mcpServers: lab.servers(name), store }));
  await asked;
  // The other one has refreshed meanwhile.
  const record = JSON.parse(await store.load(key));
  const options = { mcpServers: lab.servers(name), store: lab.storeOf(name) };
  const header = await authorization(name, { authorization: `Bearer ${record.access_token}` }, options);
  const next = JSON.stringify({ ...record, access_token: header.replace("Bearer ", "") });
  assert.ok(await store.replace(key, await store.load(key), next));
  release();
  const [, { notification }] = await events;
  assert.equal(notification.status, "ready");
  const refreshes = (await lab.requests(name)).filter(({ to }) => to === "token");
  assert.equal(refreshes.length, 1, "nobody refreshes what is fresh");
});

test("aborted while it waits for a lock, it gives it back", async () => {
  const name = "revoked-refresh-503";
  const store = lab.storeOf(name);
  const [key] = store.keys();
  const release = await store.lock(key);
  const { promise: asked, resolve: ask } = withResolvers();
  const lock = store.lock.bind(store);
  store.lock = (key) => {
    ask();
    return lock(key);
  };
  const abort = new AbortController();
  const checked = thrown(() => all(check({ mcpServers: lab.servers(name), store, signal: abort.signal })));
  await asked;
  abort.abort();
  assert.equal((await checked).name, "AbortError");
  release();
  // Whoever comes next gets it.
  (await lock(key))();
  assert.deepEqual((await lab.requests(name)).filter(({ to }) => to === "token"), []);
});

test("a process whose check was aborted gives back a lock that it gets late, and ends", () => {
  const name = "expired-refreshes";
  const code = `
    const { check } = await import("mcp-startup");
    const { MemoryStore, recordOf } = await import(${JSON.stringify(new URL("lab.mjs", import.meta.url))});
    const [key, record] = recordOf(${JSON.stringify(lab.row(name))});
    const store = new MemoryStore({ [key]: record });
    const abort = new AbortController();
    store.lock = () => {
      abort.abort();
      return new Promise((resolve) => setTimeout(() => resolve(() => console.log("released")), 100));
    };
    const options = { mcpServers: ${JSON.stringify(lab.servers(name))}, store, signal: abort.signal };
    try { for await (const _ of check(options)) ; } catch (error) { console.log(error.name); }
  `;
  const words = ["--input-type=module", "-e", code];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { cwd: project, encoding: "utf8", timeout: 60_000 });
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: "AbortError\nreleased\n", stderr: "" });
});

test("a release that fails is a warning, and nothing else", () => {
  const code = `
    const { check } = await import("mcp-startup");
    const { MemoryStore, recordOf } = await import(${JSON.stringify(new URL("lab.mjs", import.meta.url))});
    const row = ${JSON.stringify(lab.row("refresh-created"))};
    const [key, record] = recordOf(row);
    const store = new MemoryStore({ [key]: record });
    store.lock = async () => () => { throw new Error("it is stuck"); };
    const options = { mcpServers: { [row.name]: { url: row.url } }, store };
    for await (const { notification } of check(options)) console.log(notification.status);
  `;
  const words = ["--input-type=module", "-e", code];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { cwd: project, encoding: "utf8", timeout: 60_000 });
  assert.deepEqual({ status, stdout }, { status: 0, stdout: "starting\nready\n" });
  assert.match(stderr, /McpStartupWarning: a lock of a credential store could not be released: Error: it is stuck/);
});
