// A check: what comes out of the lab's servers, and that nothing is left of it, however it is left.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { check, McpStartupError, StartupTracker } from "mcp-startup";
import { all, MemoryStore, recordOf, silentServer, startLab, thrown, words } from "./lab.mjs";

const lab = await startLab(after);

test("each server comes to what the lab's row says: starting, and one closing", async () => {
  const names = ["ready", "ready-modern", "stdio-ready", "first-sign-in", "expired-no-refresh", "expired-rotates"];
  names.push("bearer-ok", "bearer-rejected", "api-key", "access-denied", "server-500", "html-page", "stdio-exits-3");
  const store = lab.storeOf("expired-no-refresh", "expired-rotates", "access-denied");
  const events = await all(check({ mcpServers: lab.servers(...names), store }));
  for (const name of names) {
    const [starting, closing, ...more] = events.filter(({ notification }) => notification.name === name);
    assert.deepEqual(more, []);
    const common = { threadId: null, name };
    const quiet = { error: null, failureReason: null };
    assert.deepEqual(starting.notification, { ...common, status: "starting", ...quiet });
    assert.equal(starting.failure, null);
    const { state, kind, recovery, reason } = lab.row(name).expect;
    const said = { error: closing.failure?.message ?? null, failureReason: reason };
    assert.deepEqual(closing.notification, { ...common, status: state, ...said });
    assert.deepEqual([closing.failure?.kind ?? null, closing.failure?.recovery ?? null], [kind, recovery], name);
    if (closing.failure) assert.equal(closing.failure.evidence.server, name);
    assert.deepEqual([typeof closing.elapsedMs, closing.required, closing.notSaved], ["number", false, null]);
  }
  assert.equal(events.length, 2 * names.length);
  assert.equal(store.records()["expired-rotates"].refresh_token, "fresh-refresh-1");
});

test("the sign-in again is the one reason on the wire, and the tracker asks about it", async () => {
  const tracker = new StartupTracker();
  const names = ["first-sign-in", "expired-years-ago"];
  const asked = [];
  for await (const { notification } of check({ mcpServers: lab.servers(...names), store: lab.storeOf(names[1]) })) {
    if (tracker.apply(notification).prompt) asked.push(notification.name);
  }
  assert.deepEqual(asked, ["expired-years-ago"]);
  assert.deepEqual(tracker.reauthenticationRequired(), ["expired-years-ago"]);
});

test("Codex's own configuration and credentials are read, from a folder of the user's", async (t) => {
  const home = mkdtempSync(join(tmpdir(), "mcp-startup-"));
  t.after(() => rmSync(home, { recursive: true }));
  const row = lab.row("expired-refreshes");
  const config = join(home, "config.toml");
  writeFileSync(config, `mcp_oauth_credentials_store = "file"\n[mcp_servers.${row.name}]\nurl = "${row.url}"\nrequired = true\n`);
  const [key, record] = recordOf(row);
  const credentials = join(home, ".credentials.json");
  writeFileSync(credentials, `{${JSON.stringify(key)}:${record}}`, { mode: 0o600 });
  const events = await all(check({ config }));
  assert.deepEqual(events.map(words), [`${row.name} starting`, `${row.name} ready`]);
  assert.ok(events.every(({ required }) => required));
  assert.equal(JSON.parse(readFileSync(credentials))[key].access_token, row.expect.stored.accessToken);
});

test("`servers` chooses among them", async () => {
  const mcpServers = { ...lab.servers("ready", "first-sign-in"), off: { url: lab.url("ready-sse"), disabled: true } };
  const names = async (servers) => (await all(check({ mcpServers, servers }))).map(words);
  assert.deepEqual(await names(["first-sign-in"]), ["first-sign-in starting", "first-sign-in failed"]);
  assert.deepEqual(await names([]), []);
});

test("leaving the loop ends every start", async (t) => {
  const ways = {
    break: async (events, server) => {
      for await (const _ of events) {
        await server.started;
        break;
      }
    },
    return: async (events, server) => {
      for await (const _ of events) {
        await server.started;
        return;
      }
    },
    throw: async (events, server) => {
      const wanted = new Error("the loop's own");
      const got = await thrown(async () => {
        for await (const _ of events) {
          await server.started;
          throw wanted;
        }
      });
      assert.equal(got, wanted);
    },
    "return while another waits": async (events, server) => {
      await events.next();
      const waits = events.next();
      await server.started;
      await events.return();
      assert.deepEqual(await waits, { done: true, value: undefined });
    },
  };
  for (const [way, leave] of Object.entries(ways)) {
    await t.test(way, async (t) => {
      const server = await silentServer(t.after.bind(t));
      const events = check({ mcpServers: { silent: server.entry } });
      await leave(events, server);
      await server.ended;
      assert.deepEqual(await events.next(), { done: true, value: undefined });
    });
  }
});

test("a signal that was aborted before: the loop throws its reason, and nothing begins", async () => {
  const reason = new Error("not wanted");
  const signal = AbortSignal.abort(reason);
  const before = await lab.requests("ready-sse");
  const events = check({ mcpServers: lab.servers("ready-sse"), signal });
  assert.equal(await thrown(() => all(events)), reason);
  assert.deepEqual(await lab.requests("ready-sse"), before);
  assert.deepEqual(getEventListeners(signal, "abort"), []);
  assert.deepEqual(await events.next(), { done: true, value: undefined });
});

test("a signal that is aborted: the loop throws its reason at once, and nothing is left running", async (t) => {
  for (const when of ["while the loop waits", "while the loop's body runs"]) {
    await t.test(when, async (t) => {
      const server = await silentServer(t.after.bind(t));
      const controller = new AbortController();
      const { signal } = controller;
      const reason = { any: "value" };
      const got = await thrown(async () => {
        for await (const _ of check({ mcpServers: { silent: server.entry }, signal })) {
          const abort = server.started.then(() => controller.abort(reason));
          if (when === "while the loop's body runs") await abort;
        }
      });
      assert.equal(got, reason);
      await server.ended;
      assert.deepEqual(getEventListeners(signal, "abort"), []);
    });
  }
});

test("no listener is left on a signal that nobody aborts", async () => {
  const { signal } = new AbortController();
  const mcpServers = lab.servers("ready");
  check({ mcpServers, signal });
  assert.deepEqual(getEventListeners(signal, "abort"), []);
  const events = check({ mcpServers, signal });
  await events.next();
  assert.equal(getEventListeners(signal, "abort").length, 1);
  await all(events);
  for await (const _ of check({ mcpServers, signal })) break;
  await thrown(() => all(check({ config: "/no/such/file", signal })));
  assert.deepEqual(getEventListeners(signal, "abort"), []);
});

test("`cancel`: each start says so, and the loop ends by itself", async (t) => {
  const server = await silentServer(t.after.bind(t));
  const events = check({ mcpServers: { silent: server.entry, ...lab.servers("ready") } });
  const said = [];
  for await (const event of events) {
    said.push(words(event));
    if (said.includes("ready ready")) {
      await server.started;
      events.cancel();
    }
  }
  assert.deepEqual(said.sort(), ["ready ready", "ready starting", "silent cancelled", "silent starting"]);
  await server.ended;
});

test("two checks at once, and two that wait for the same", async () => {
  const mcpServers = lab.servers("ready", "ready-sse", "first-sign-in");
  const [one, other] = await Promise.all([all(check({ mcpServers })), all(check({ mcpServers }))]);
  assert.deepEqual(one.map(words).sort(), other.map(words).sort());
  assert.equal(one.length, 6);

  const events = check({ mcpServers });
  const said = [];
  const read = async () => {
    for (let next = await events.next(); !next.done; next = await events.next()) said.push(words(next.value));
  };
  await Promise.all([read(), read(), read()]);
  assert.deepEqual(said.sort(), one.map(words).sort());
});

test("a limit of time", async () => {
  const [, { failure, elapsedMs }] = await all(check({ mcpServers: lab.servers("hangs"), timeoutMs: 200 }));
  assert.deepEqual([failure.kind, failure.evidence.limitMs], ["timedOut", 200]);
  assert.ok(elapsedMs >= 200);
});

test("the event loop is never blocked", async () => {
  const ready = Array.from({ length: 49 }, (_, at) => [`ready-${at}`, { url: lab.url("ready") }]);
  const limitMs = 1500;
  const mcpServers = { ...Object.fromEntries(ready), ...lab.servers("hangs") };
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 5);
  const events = await all(check({ mcpServers, timeoutMs: limitMs }));
  clearInterval(timer);
  assert.equal(events.length, 100);
  // Whoever waits in the loop's thread waits for the one that hangs, too.
  assert.ok(longest < limitMs / 3, `${longest} ms without a tick`);
});

test("what can't be used is an error with a code, and the loop is over", async () => {
  const rows = [
    [{ config: "/no/such/file" }, "MCP_STARTUP_CONFIGURATION", "notFound"],
    [{ mcpServers: lab.servers("ready"), servers: ["reday"] }, "MCP_STARTUP_CONFIGURATION", "unknownServer"],
    [{ mcpServers: [] }, "MCP_STARTUP_CONFIGURATION", "notAConfiguration"],
    [{ mcpServer: {} }, "MCP_STARTUP_INVALID_ARGUMENT", null],
    [{ config: 7 }, "MCP_STARTUP_INVALID_ARGUMENT", null],
    [{ mcpServers: {}, timeoutMs: 0 }, "MCP_STARTUP_INVALID_ARGUMENT", null],
    [{ timeoutMs: -1 }, "MCP_STARTUP_INVALID_ARGUMENT", null],
    [{ config: "a", mcpServers: {} }, "MCP_STARTUP_INVALID_ARGUMENT", null],
    [{ concurrency: 10n }, "MCP_STARTUP_INVALID_ARGUMENT", null],
  ];
  for (const [options, code, kind] of rows) {
    const error = await thrown(() => all(check(options)));
    assert.ok(error instanceof McpStartupError && error instanceof Error, error.stack);
    assert.deepEqual([error.code, error.kind, error.failure], [code, kind, null], error.message);
  }
  const events = check({ config: "/no/such/file" });
  await thrown(() => events.next());
  assert.deepEqual(await events.next(), { done: true, value: undefined });
});

test("an entry that can't be used is that server's failure, and no other's", async () => {
  const mcpServers = { bad: { url: "not a URL" }, ...lab.servers("ready"), none: { command: "no-such-program-here" } };
  const events = await all(check({ mcpServers }));
  const kinds = events.map(({ notification, failure }) => [notification.name, failure?.kind]).filter(([, kind]) => kind);
  assert.deepEqual(Object.fromEntries(kinds), { bad: "invalidConfiguration", none: "programNotFound" });
  assert.ok(events.map(words).includes("ready ready"));
});

test("a store is only asked for what is at a URL", async () => {
  const store = new MemoryStore();
  const asked = [];
  store.load = async (key) => {
    asked.push(key.split("|")[0]);
    return null;
  };
  await all(check({ mcpServers: lab.servers("ready", "stdio-ready"), store }));
  assert.deepEqual([...new Set(asked)], ["ready"]);
});
