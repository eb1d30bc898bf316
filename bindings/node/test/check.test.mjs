// Tests the results of a check for the servers of the lab, and that no process or request is left when it ends.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { check, McpStartupError, StartupTracker, watch } from "mcp-startup";
import { all, MemoryStore, recordOf, silentServer, startLab, summary, thrown } from "./lab.mjs";

const lab = await startLab(after);

test("each server emits starting and then the state that its row expects", async () => {
  const names = ["ready", "ready-modern", "stdio-ready", "first-sign-in", "expired-no-refresh", "expired-rotates"];
  names.push("bearer-ok", "bearer-rejected", "api-key", "access-denied", "server-500", "html-page", "stdio-exits-3");
  names.push("tools-insufficient-scope", "tools-500");
  const store = lab.storeOf("tools-insufficient-scope", "expired-no-refresh", "expired-rotates", "access-denied");
  const events = await all(check({ mcpServers: lab.servers(...names), store }));
  for (const name of names) {
    const [starting, closing, ...more] = events.filter(({ notification }) => notification.name === name);
    assert.deepEqual(more, []);
    const common = { threadId: null, name };
    const noFailure = { error: null, failureReason: null };
    assert.deepEqual(starting.notification, { ...common, status: "starting", ...noFailure });
    assert.equal(starting.failure, null);
    const { state, kind, recovery, reason } = lab.row(name).expect;
    const outcome = { error: closing.failure?.message ?? null, failureReason: reason };
    assert.deepEqual(closing.notification, { ...common, status: state, ...outcome });
    assert.deepEqual([closing.failure?.kind ?? null, closing.failure?.recovery ?? null], [kind, recovery], name);
    if (closing.failure) assert.equal(closing.failure.evidence.server, name);
    // A server that does not list its tools has a warning instead of their number.
    if (state === "ready") assert.equal(closing.tools === null, closing.warning !== null, name);
    assert.deepEqual([typeof closing.elapsedMs, closing.required, closing.notSaved], ["number", false, null]);
  }
  assert.equal(events.length, 2 * names.length);
  assert.equal(store.records()["expired-rotates"].refresh_token, "fresh-refresh-1");
});

test("the tracker prompts for a sign-in again, and not for a first sign-in", async () => {
  const tracker = new StartupTracker();
  const names = ["first-sign-in", "expired-years-ago"];
  const prompted = [];
  for await (const { notification } of check({ mcpServers: lab.servers(...names), store: lab.storeOf(names[1]) })) {
    if (tracker.apply(notification).prompt) prompted.push(notification.name);
  }
  assert.deepEqual(prompted, ["expired-years-ago"]);
  assert.deepEqual(tracker.reauthenticationRequired(), [{ threadId: null, environmentId: null, name: "expired-years-ago" }]);
});

test("a check reads Codex's configuration and credentials from their folder", async (t) => {
  const home = mkdtempSync(join(tmpdir(), "mcp-startup-"));
  t.after(() => rmSync(home, { recursive: true }));
  const row = lab.row("expired-refreshes");
  const config = join(home, "config.toml");
  writeFileSync(config, `mcp_oauth_credentials_store = "file"\n[mcp_servers.${row.name}]\nurl = "${row.url}"\nrequired = true\n`);
  const [key, record] = recordOf(row);
  const credentials = join(home, ".credentials.json");
  writeFileSync(credentials, `{${JSON.stringify(key)}:${record}}`, { mode: 0o600 });
  const events = await all(check({ config }));
  assert.deepEqual(events.map(summary), [`${row.name} starting`, `${row.name} ready`]);
  assert.ok(events.every(({ required }) => required));
  assert.equal(JSON.parse(readFileSync(credentials))[key].access_token, row.expect.stored.accessToken);
});

test("`servers` selects servers", async () => {
  const mcpServers = { ...lab.servers("ready", "first-sign-in"), off: { url: lab.url("ready-sse"), disabled: true } };
  const names = async (servers) => (await all(check({ mcpServers, servers }))).map(summary);
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
      const expected = new Error("thrown by the loop");
      const got = await thrown(async () => {
        for await (const _ of events) {
          await server.started;
          throw expected;
        }
      });
      assert.equal(got, expected);
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

test("if the signal is already aborted, the loop throws its reason and nothing starts", async () => {
  const reason = new Error("aborted before the start");
  const signal = AbortSignal.abort(reason);
  const before = await lab.requests("ready-sse");
  const events = check({ mcpServers: lab.servers("ready-sse"), signal });
  assert.equal(await thrown(() => all(events)), reason);
  assert.deepEqual(await lab.requests("ready-sse"), before);
  assert.deepEqual(getEventListeners(signal, "abort"), []);
  assert.deepEqual(await events.next(), { done: true, value: undefined });
});

test("when the signal aborts, the loop immediately throws its reason and every start ends", async (t) => {
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

test("a check leaves no listener on a signal that is never aborted", async () => {
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

test("`cancel` emits cancelled for each unfinished start, and the loop ends", async (t) => {
  const server = await silentServer(t.after.bind(t));
  const events = check({ mcpServers: { silent: server.entry, ...lab.servers("ready") } });
  const seen = [];
  for await (const event of events) {
    seen.push(summary(event));
    if (seen.includes("ready ready")) {
      await server.started;
      events.cancel();
    }
  }
  assert.deepEqual(seen.sort(), ["ready ready", "ready starting", "silent cancelled", "silent starting"]);
  await server.ended;
});

test("two checks can run at once, and several readers can share one check", async () => {
  const mcpServers = lab.servers("ready", "ready-sse", "first-sign-in");
  const [one, other] = await Promise.all([all(check({ mcpServers })), all(check({ mcpServers }))]);
  assert.deepEqual(one.map(summary).sort(), other.map(summary).sort());
  assert.equal(one.length, 6);

  const events = check({ mcpServers });
  const seen = [];
  const read = async () => {
    for (let next = await events.next(); !next.done; next = await events.next()) seen.push(summary(next.value));
  };
  await Promise.all([read(), read(), read()]);
  assert.deepEqual(seen.sort(), one.map(summary).sort());
});

test("a start that exceeds the time limit fails with timedOut", async () => {
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
  // A check that blocks the event loop would block it until the server that hangs times out.
  assert.ok(longest < limitMs / 3, `${longest} ms without a tick`);
});

test("an invalid option is refused when it is passed, with its name, the values that it takes and the one that it got", async () => {
  const rows = [
    [{ mcpServers: [] }, "`mcpServers` must be an object with the servers by name, not an array"],
    [{ mcpServers: new Map([["a", {}]]) }, "`mcpServers` must be an object with the servers by name, not a Map"],
    [{ mcpServer: {} }, "`mcpServer` is not known; did you mean `mcpServers`?"],
    [{ config: 7 }, "`config` must be a path, as a string or a `file:` URL, not a number"],
    [{ config: "a", mcpServers: {} }, "`config` and `mcpServers` exclude each other; set only one of them"],
    [{ servers: "linear" }, "`servers` must be a list of strings, not a string"],
    [{ timeoutMs: 0 }, "`timeoutMs` must be a whole number from 1 to 2592000000, not 0"],
    [{ timeoutMs: -1 }, "`timeoutMs` must be a whole number from 1 to 2592000000, not -1"],
    [{ timeoutMs: "5" }, "`timeoutMs` must be a number, not a string"],
    [{ timeoutMs: Number.NaN }, "`timeoutMs` must be a number, not NaN"],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, "`timeoutMs` must be a number, not Infinity"],
    [{ concurrency: 0 }, "`concurrency` must be a whole number from 1 to 1000000, not 0"],
    [{ concurrency: 10n }, "`concurrency` must be a number, not a bigint"],
    [{ clientMetadataUrl: "app" }, "`clientMetadataUrl` must be an https URL with a path, not `app`"],
    [{ signal: 7 }, "`signal` must be an AbortSignal, not a number"],
  ];
  for (const [options, message] of rows) {
    for (const call of [check, watch]) {
      // Not awaited, and not iterated.
      const error = await thrown(async () => void call(options));
      assert.ok(error instanceof McpStartupError && error instanceof Error, error.stack);
      assert.deepEqual([error.code, error.message], ["MCP_STARTUP_INVALID_ARGUMENT", `the options: ${message}`]);
    }
  }
});

test("an error of the configuration has its kind, path, line and key, and ends the loop", async () => {
  const folder = mkdtempSync(join(tmpdir(), "mcp-startup-"));
  try {
    const config = join(folder, "config.toml");
    writeFileSync(config, "[mcp_servers]\nlinear = = 7\n");
    const rows = [
      [{ config: "/no/such/file" }, ["notFound", "/no/such/file", null, null]],
      [{ mcpServers: lab.servers("ready"), servers: ["reday"] }, ["unknownServer", "mcpServers", null, null]],
      [{ config }, ["syntax", config, 2, null]],
    ];
    for (const [options, expected] of rows) {
      const error = await thrown(() => all(check(options)));
      assert.equal(error.code, "MCP_STARTUP_CONFIGURATION", error.stack);
      assert.deepEqual([error.kind, error.path, error.line, error.key], expected, error.message);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  const events = check({ config: "/no/such/file" });
  await thrown(() => events.next());
  assert.deepEqual(await events.next(), { done: true, value: undefined });
});

test("a misspelled key of an entry fails its server and suggests the right key", async () => {
  const [, failed] = await all(check({ mcpServers: { a: { url: "https://mcp.example.com/mcp", header: {} } } }));
  assert.deepEqual([failed.name, failed.status, failed.failure.kind], ["a", "failed", "invalidConfiguration"]);
  assert.match(failed.failure.message, /`mcpServers\.a\.header`.*did you mean `headers`\?/);
});

test("no servers are an empty check, not the user's configuration", async () => {
  assert.deepEqual(await all(check({ mcpServers: {} })), []);
});

test("an invalid entry fails only its own server", async () => {
  const mcpServers = { bad: { url: "not a URL" }, ...lab.servers("ready"), none: { command: "no-such-program-here" } };
  const events = await all(check({ mcpServers }));
  const kinds = events.map(({ notification, failure }) => [notification.name, failure?.kind]).filter(([, kind]) => kind);
  assert.deepEqual(Object.fromEntries(kinds), { bad: "invalidConfiguration", none: "programNotFound" });
  assert.ok(events.map(summary).includes("ready ready"));
});

test("a store is queried only for servers at a URL", async () => {
  const store = new MemoryStore();
  const loaded = [];
  store.load = async (key) => {
    loaded.push(key.split("|")[0]);
    return null;
  };
  await all(check({ mcpServers: lab.servers("ready", "stdio-ready"), store }));
  assert.deepEqual([...new Set(loaded)], ["ready"]);
});
