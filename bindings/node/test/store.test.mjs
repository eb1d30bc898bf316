// Credential stores written in JavaScript: `testCredentialStore`, and how the engine uses a store.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test, { after } from "node:test";
import { authorization, authStatus, check, McpStartupError, testCredentialStore } from "mcp-startup";
import { all, MemoryStore, startLab, thrown, withResolvers } from "./lab.mjs";
import { project } from "./places.mjs";

const lab = await startLab(after);

test("a correct store passes, and so does a slow one", async () => {
  await testCredentialStore(new MemoryStore());
  const later = () => new Promise((resolve) => setImmediate(resolve));
  class Slow extends MemoryStore {
    async load(key) {
      await later();
      return super.load(key);
    }
    async replace(...args) {
      await later();
      const isReplaced = await super.replace(...args);
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

/** Stores that violate the contract, and the expected message of the error. */
const BROKEN = {
  "forgets its records": [
    { replace: async () => true },
    /test "every field of a record is kept": `load` must return \{.*, but returned no record/,
  ],
  "ignores the expected record": [
    {
      async replace(key, _expected, next) {
        return MemoryStore.prototype.replace.call(this, key, await this.load(key), next);
      },
    },
    /failed the conformance test/,
  ],
  "does not lock": [
    { lock: async () => () => {} },
    /test "the lock is exclusive until it is dropped": the call must wait for the holder of the lock, but succeeded/,
  ],
  "changes its records": [
    {
      async load(key) {
        const record = await MemoryStore.prototype.load.call(this, key);
        return record && JSON.stringify({ ...JSON.parse(record), scopes: [] });
      },
    },
    /failed the conformance test/,
  ],
  "rejects": [{ load: async () => Promise.reject(new Error("the vault is closed")) }, /the vault is closed/],
  "rejects with nothing": [{ load: () => Promise.reject() }, /failed the conformance test/],
  "rejects with a string": [{ load: () => Promise.reject("closed") }, /closed/],
  "throws instead of rejecting": [
    {
      load() {
        throw new Error("the vault is closed");
      },
    },
    /the vault is closed/,
  ],
  "returns undefined": [{ load: () => {} }, /`load` must return a string or null, not undefined/],
  "returns an object": [{ load: async () => ({}) }, /`load` must return a string or null, not an object/],
  "returns no boolean": [{ replace: async () => {} }, /`replace` must return a boolean, not undefined/],
  "returns no release function": [{ lock: async () => {} }, /`lock` must return a function or a lease, not undefined/],
};

for (const [what, [fault, message]] of Object.entries(BROKEN)) {
  test(`a store that ${what} is reported`, async () => {
    const error = await thrown(() => testCredentialStore(Object.assign(new MemoryStore(), fault)));
    assert.ok(error instanceof McpStartupError, error.stack);
    assert.equal(error.code, "MCP_STARTUP_CREDENTIAL_STORE");
    assert.match(error.message, message);
  });
}

test("a store that lacks a method is refused when it is passed", async () => {
  for (const method of ["load", "replace", "lock"]) {
    const store = Object.assign(new MemoryStore(), { [method]: undefined });
    for (const call of [() => testCredentialStore(store), async () => check({ store }), () => authStatus("a", { store })]) {
      const error = await thrown(call);
      assert.equal(error.code, "MCP_STARTUP_INVALID_ARGUMENT", error.stack);
      assert.match(error.message, new RegExp(`it has no \`${method}\``));
    }
  }
});

test("a store that can't be read is not treated as an empty store", async () => {
  const name = "ready-stored-token";
  const faults = Object.entries(BROKEN).filter(([, [fault]]) => fault.load);
  assert.ok(faults.length > 4);
  for (const [what, [fault]] of faults.filter(([what]) => what !== "changes its records")) {
    const store = Object.assign(lab.storeOf(name), fault);
    const options = { mcpServers: lab.servers(name), store };
    const [, { failure, notification }] = await all(check(options));
    assert.deepEqual([failure?.kind, failure?.recovery], ["credentialStoreUnavailable", "fixCredentialStore"], what);
    assert.equal(notification.failureReason, null);
    const { status, storeError } = await authStatus(name, options);
    assert.deepEqual([status, storeError.store, storeError.trouble], [null, "host", "unreadable"], what);
    // The first request has no token, because the server may not require one.
    assert.equal(await authorization(name, null, options), null);
    const error = await thrown(() => authorization(name, { authorization: null }, options));
    assert.equal(error.failure.kind, "credentialStoreUnavailable");
  }
});

test("the events for a failing store contain no part of a record", async () => {
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

test("a rotated token is stored under the lock", async () => {
  const name = "expired-rotates";
  const store = lab.storeOf(name);
  const calls = [];
  for (const operation of ["load", "replace", "lock"]) {
    const original = store[operation].bind(store);
    store[operation] = async (...args) => {
      calls.push(operation);
      const answer = await original(...args);
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

test("concurrent checks that need the same token send one refresh", async () => {
  const name = "refresh-new-scope";
  const options = { mcpServers: lab.servers(name), store: lab.storeOf(name) };
  const checks = Array.from({ length: 8 }, () => all(check(options)));
  for (const [, { notification }] of await Promise.all(checks)) assert.equal(notification.status, "ready");
  assert.equal((await lab.requests(name)).filter(({ to }) => to === "token").length, 1);
});

test("a check waits for the lock and uses the token that the previous holder stored", async () => {
  const name = "revoked-refreshes";
  const store = lab.storeOf(name);
  const [key] = store.keys();
  const release = await store.lock(key);
  const { promise: requested, resolve: request } = withResolvers();
  const lock = store.lock.bind(store);
  store.lock = (key) => {
    request();
    return lock(key);
  };
  const events = all(check({ mcpServers: lab.servers(name), store }));
  await requested;
  // Meanwhile, the holder of the lock refreshes the token.
  const record = JSON.parse(await store.load(key));
  const options = { mcpServers: lab.servers(name), store: lab.storeOf(name) };
  const header = await authorization(name, { authorization: `Bearer ${record.access_token}` }, options);
  const next = JSON.stringify({ ...record, access_token: header.replace("Bearer ", "") });
  assert.ok(await store.replace(key, await store.load(key), next));
  release();
  const [, { notification }] = await events;
  assert.equal(notification.status, "ready");
  const refreshes = (await lab.requests(name)).filter(({ to }) => to === "token");
  assert.equal(refreshes.length, 1, "a fresh token is not refreshed again");
});

test("a check that is aborted while it waits for a lock releases the lock", async () => {
  const name = "revoked-refresh-503";
  const store = lab.storeOf(name);
  const [key] = store.keys();
  const release = await store.lock(key);
  const { promise: requested, resolve: request } = withResolvers();
  const lock = store.lock.bind(store);
  store.lock = (key) => {
    request();
    return lock(key);
  };
  const abort = new AbortController();
  const checked = thrown(() => all(check({ mcpServers: lab.servers(name), store, signal: abort.signal })));
  await requested;
  abort.abort();
  assert.equal((await checked).name, "AbortError");
  release();
  // The next caller acquires the lock.
  (await lock(key))();
  assert.deepEqual((await lab.requests(name)).filter(({ to }) => to === "token"), []);
});

test("a process whose check was aborted releases a lock that it acquires late, and exits", () => {
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
  const args = ["--input-type=module", "-e", code];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: "utf8", timeout: 60_000 });
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: "AbortError\nreleased\n", stderr: "" });
});

test("a release that fails only emits a warning", () => {
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
  const args = ["--input-type=module", "-e", code];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: "utf8", timeout: 60_000 });
  assert.deepEqual({ status, stdout }, { status: 0, stdout: "starting\nready\n" });
  assert.match(stderr, /McpStartupWarning: A lock of the credential store could not be released: Error: it is stuck/);
});
