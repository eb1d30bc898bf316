// Starting servers: what comes out, and that nothing is left of it.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import test from "node:test";
import { Worker } from "node:worker_threads";
import { check, McpStartupError, watch } from "mcp-startup";
import { ended, Lab, pidIn, runModule, signIn, User } from "./lab.mjs";

// One of each kind of answer; what must come out stands in the rows.
const ROWS = [
  "ready", "ready-modern", "ready-stored-token", "expired-but-served", "first-sign-in", "expired-no-refresh", "bearer-ok",
  "bearer-rejected", "insufficient-scope", "access-denied", "api-key", "server-500", "html-page", "wrong-resource",
  "damaged-record", "unknown-protocol-version", "discovery-500", "drops", "stdio-ready", "stdio-exits-3", "stdio-junk",
];

async function collect(events) {
  const all = [];
  for await (const event of events) all.push(event);
  return all;
}

function byName(events) {
  const grouped = new Map();
  for (const event of events) {
    const name = event.notification.name;
    grouped.set(name, [...(grouped.get(name) ?? []), event]);
  }
  return grouped;
}

/** For each server one `starting`, and one of the others, as its row says. */
function comesOutAsExpected(lab, events, rows) {
  const grouped = byName(events);
  assert.deepEqual([...grouped.keys()].sort(), [...rows].sort());
  for (const [name, ofOne] of grouped) {
    assert.equal(ofOne.length, 2, name);
    const [starting, closing] = ofOne;
    const wanted = lab.rows.get(name).expect;
    assert.deepEqual([starting.notification.status, starting.failure], ["starting", null]);
    assert.ok(starting.elapsedMs <= closing.elapsedMs);
    const { status, failureReason, error, threadId } = closing.notification;
    assert.deepEqual([status, failureReason, threadId], [wanted.state, wanted.reason ?? null, null], name);
    if (status === "ready") {
      assert.deepEqual([closing.failure, error], [null, null]);
    } else {
      const { kind, recovery, message, evidence } = closing.failure;
      assert.deepEqual([kind, recovery], [wanted.kind, wanted.recovery], name);
      assert.equal(message, error);
      assert.equal(evidence.server, name);
    }
    const fields = ["notification", "phase", "elapsedMs", "required", "failure", "notSaved"];
    assert.deepEqual(Object.keys(closing), fields, "what index.d.cts says of an event");
  }
}

test("starting", { concurrency: true }, async (all) => {
  const lab = await Lab.start(all);
  const it = (name, body) => all.test(name, { timeout: 60_000 }, body);
  const tests = [];
  const add = (name, body) => tests.push(it(name, body));

  add("every server comes to what its row says", async (t) => {
    const user = new User(t, lab).has(...ROWS);
    comesOutAsExpected(lab, await collect(check({ config: user.config })), ROWS);
  });

  add("servers may stand in code, and only those that are named are started", async () => {
    const mcpServers = { one: { url: lab.url("ready") }, two: { url: lab.url("server-500") } };
    const events = byName(await collect(check({ mcpServers })));
    assert.deepEqual([...events].map(([name, ofOne]) => [name, ofOne[1].notification.status]).sort(), [
      ["one", "ready"],
      ["two", "failed"],
    ]);
    assert.deepEqual([...byName(await collect(check({ mcpServers, servers: ["two"] }))).keys()], ["two"]);
    assert.deepEqual(await collect(check({ mcpServers, servers: [] })), []);
  });

  add("two checks at once do not meet", async (t) => {
    const rows = ["ready", "first-sign-in", "expired-no-refresh", "stdio-ready"];
    const user = new User(t, lab).has(...rows);
    const both = await Promise.all([1, 2].map(() => collect(check({ config: user.config }))));
    for (const events of both) comesOutAsExpected(lab, events, rows);
  });

  add("two may read one check", async (t) => {
    const rows = ["ready", "ready-sse", "server-500", "first-sign-in"];
    const user = new User(t, lab).has(...rows);
    const events = check({ config: user.config });
    const all = [];
    const read = async () => {
      for await (const event of events) all.push(event);
    };
    await Promise.all([read(), read()]);
    comesOutAsExpected(lab, all, rows);
  });

  add("a time-out is one", async (t) => {
    const user = new User(t, lab);
    user.configure(`\n[mcp_servers.hangs]\nurl = "${lab.url("hangs")}"\n`);
    const [, closing] = await collect(check({ config: user.config, timeoutMs: 300 }));
    assert.equal(closing.failure.kind, "timedOut");
    assert.equal(closing.failure.evidence.limitMs, 300);
    assert.ok(closing.failure.evidence.elapsedMs < 30_000);
  });

  add("an entry that can't be used fails alone", async (t) => {
    const user = new User(t, lab).has("ready");
    user.configure("\n[mcp_servers.odd]\nurl = 7\n");
    const events = byName(await collect(check({ config: user.config })));
    assert.equal(events.get("ready")[1].notification.status, "ready");
    assert.equal(events.get("odd")[1].failure.kind, "invalidConfiguration");
  });

  for (const [how, leave] of [
    ["break", async (events, pid) => { for await (const _ of events) return await pid(); }],
    ["throw", async (events, pid) => {
      let found;
      await assert.rejects(async () => {
        for await (const _ of events) { found = await pid(); throw new RangeError("out"); }
      }, RangeError);
      return found;
    }],
    ["return", async (events, pid) => { await events.next(); const found = await pid(); await events.return(); return found; }],
    ["cancel", async (events, pid) => {
      await events.next();
      const found = await pid();
      events.cancel();
      assert.deepEqual((await collect(events)).map((event) => event.notification.status), ["cancelled"]);
      return found;
    }],
  ]) {
    for (const begin of [check, watch]) {
      add(`${how} ends what ${begin.name} has started`, async (t) => {
        const user = new User(t, lab);
        const pidFile = user.hasSilentProgram();
        const events = begin({ config: user.config });
        await ended(await leave(events, () => pidIn(pidFile)));
        assert.deepEqual(await events.next(), { done: true, value: undefined });
      });
    }
  }

  add("a signal ends it with its reason, and keeps no listener", async (t) => {
    const user = new User(t, lab);
    const pidFile = user.hasSilentProgram();
    const controller = new AbortController();
    const events = check({ config: user.config, signal: controller.signal });
    await events.next();
    const pid = await pidIn(pidFile);
    const waiting = events.next();
    controller.abort(new RangeError("enough"));
    await assert.rejects(waiting, RangeError);
    await ended(pid);
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
    await assert.rejects(check({ config: user.config, signal: controller.signal }).next(), RangeError);

    const unused = new AbortController();
    user.has("ready");
    await collect(check({ config: user.config, servers: ["ready"], signal: unused.signal }));
    assert.equal(getEventListeners(unused.signal, "abort").length, 0);
  });

  add("cancelled before it begins nothing starts", async (t) => {
    const user = new User(t, lab);
    user.hasSilentProgram();
    const events = check({ config: user.config });
    events.cancel();
    assert.deepEqual(await collect(events), []);
  });

  add("a check that is forgotten ends", async (t) => {
    const user = new User(t, lab);
    const pidFile = user.hasSilentProgram();
    const text = `
      import { check } from "mcp-startup";
      import { setTimeout as pause } from "node:timers/promises";
      import { ended, pidIn } from "./lab.mjs";
      const pid = await (async () => {
        await check({ config: ${JSON.stringify(user.config)} }).next();
        return await pidIn(${JSON.stringify(pidFile)});
      })();
      const collecting = setInterval(gc, 20);
      await ended(pid);
      clearInterval(collecting);
    `;
    const { status, err } = await runModule(text, [], ["--expose-gc"]);
    assert.equal(status, 0, err);
  });

  add("the event loop is never blocked", async (t) => {
    const mcpServers = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`s${at}`, { url: lab.url("ready") }]));
    let [longest, before] = [0, performance.now()];
    const ticking = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - before);
      before = now;
    }, 1);
    t.after(() => clearInterval(ticking));
    const events = await collect(check({ mcpServers }));
    assert.equal(events.filter(({ notification }) => notification.status === "ready").length, 50);
    // Other tests share this loop; a start that blocked it would do so for as long as its server takes.
    assert.ok(longest < 1000, `${longest} ms`);
  });

  add("a process with nothing else to do ends by itself", async (t) => {
    const user = new User(t, lab).has("ready", "first-sign-in", "stdio-ready");
    user.hasSilentProgram();
    const config = JSON.stringify(user.config);
    for (const body of [
      `for await (const _ of check({ config: ${config}, timeoutMs: 500 }));`,
      `for await (const _ of check({ config: ${config} })) break;`,
      `for await (const _ of check({ config: ${config}, store: new MemoryStore(), timeoutMs: 500 }));`,
      `for await (const _ of check({ config: ${config}, store: new MemoryStore() })) break;`,
      `check({ config: ${config} });`,
      `await authorization("ready", null, { config: ${config} });`,
    ]) {
      const text = `
        import { authorization, check } from "mcp-startup";
        import { MemoryStore } from "./lab.mjs";
        ${body}
        console.log("done");`;
      const { status, out, err } = await runModule(text);
      assert.deepEqual([status, out], [0, "done\n"], `${body}\n${err}`);
    }
  });

  add("a worker starts servers too, and one that is terminated leaves nothing", async (t) => {
    const user = new User(t, lab).has("ready");
    const text = `
      const { workerData } = require("node:worker_threads");
      import("mcp-startup").then(async ({ check }) => {
        const { parentPort } = require("node:worker_threads");
        for await (const event of check(workerData)) parentPort.postMessage(event.notification.status);
      });`;
    const from = (workerData) => new Worker(text, { eval: true, workerData });
    const statuses = [];
    const worker = from({ config: user.config });
    worker.on("message", (status) => statuses.push(status));
    const code = await new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject));
    assert.deepEqual([code, statuses], [0, ["starting", "ready"]]);

    const pidFile = user.hasSilentProgram();
    const terminated = from({ config: user.config, servers: ["silent"] });
    const pid = await pidIn(pidFile);
    await terminated.terminate();
    await ended(pid);
  });

  add("a configuration that can't be used is named", async (t) => {
    for (const [content, kind] of [
      [null, "notFound"],
      ["[mcp_servers.a\n", "syntax"],
      [Buffer.from([0xff, 0xfe]), "notUtf8"],
    ]) {
      const user = new User(t, lab);
      const config = content === null ? `${user.config}.not` : user.config;
      if (content !== null) user.configure(content);
      for (const begin of [check, watch]) {
        const events = begin({ config });
        await assert.rejects(events.next(), (error) => {
          assert.ok(error instanceof McpStartupError && error instanceof Error);
          assert.deepEqual([error.code, error.kind], ["MCP_STARTUP_CONFIGURATION", kind]);
          return error.message.includes(config);
        });
        assert.deepEqual(await events.next(), { done: true, value: undefined });
      }
    }
    const unknown = { code: "MCP_STARTUP_CONFIGURATION", kind: "unknownServer", message: /`reday`.*ready/ };
    const user = new User(t, lab).has("ready");
    await assert.rejects(check({ config: user.config, servers: ["reday"] }).next(), unknown);
  });

  add("an option that does not exist is named", async () => {
    const wrong = { code: "MCP_STARTUP_INVALID_ARGUMENT", message: /timout/ };
    await assert.rejects(check({ timout: 1 }).next(), wrong);
    await assert.rejects(check({ config: "a", mcpServers: {} }).next(), { message: /either `config` or `mcpServers`/ });
    await assert.rejects(check({ mcpServers: {}, timeoutMs: 0 }).next(), { code: "MCP_STARTUP_INVALID_ARGUMENT" });
  });

  add("a watch starts a server again after a sign-in, and when it is asked to", async (t) => {
    const own = await Lab.start(t);
    const user = new User(t, own).has("first-sign-in");
    const events = watch({ config: user.config });
    const said = [];
    for await (const { notification } of events) {
      said.push(notification.status);
      if (said.length === 2) events.retry("first-sign-in");
      if (said.length === 4) await signIn("first-sign-in", { config: user.config });
      if (notification.status === "ready") break;
    }
    assert.deepEqual(said, ["starting", "failed", "starting", "failed", "starting", "ready"]);
  });

  await Promise.all(tests);
});
