// Users with a home folder: many servers at once, several readers, servers that recover, and a refresh after the loop ends.

import assert from "node:assert/strict";
import test from "node:test";
import { check, watch } from "mcp-startup";
import { Lab, runModule, signIn, User } from "./users.mjs";

// One row for each kind of server. The rows contain the expected results.
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

/** Checks that each server has one `starting` event and one closing event, as its row expects. */
function assertResults(lab, events, rows) {
  const grouped = byName(events);
  assert.deepEqual([...grouped.keys()].sort(), [...rows].sort());
  for (const [name, ofOne] of grouped) {
    assert.equal(ofOne.length, 2, name);
    const [starting, closing] = ofOne;
    const { expect } = lab.rows.get(name);
    assert.deepEqual([starting.notification.status, starting.failure], ["starting", null]);
    assert.ok(starting.elapsedMs <= closing.elapsedMs);
    const { status, failureReason, error, threadId } = closing.notification;
    assert.deepEqual([status, failureReason, threadId], [expect.state, expect.reason ?? null, null], name);
    if (status === "ready") {
      assert.deepEqual([closing.failure, error], [null, null]);
    } else {
      const { kind, recovery, message, evidence } = closing.failure;
      assert.deepEqual([kind, recovery], [expect.kind, expect.recovery], name);
      assert.equal(message, error);
      assert.equal(evidence.server, name);
    }
    const fields = ["name", "status", "notification", "phase", "elapsedMs", "required", "failure", "warning", "tools", "notSaved", "configurationWarnings"];
    assert.deepEqual(Object.keys(closing), fields, "the fields of StartupEvent");
  }
}

test("starting", { concurrency: true }, async (all) => {
  const lab = await Lab.start(all);
  const it = (name, body) => all.test(name, { timeout: 60_000 }, body);
  const tests = [];
  const add = (name, body) => tests.push(it(name, body));

  add("every server has the result that its row expects", async (t) => {
    const user = new User(t, lab).has(...ROWS);
    assertResults(lab, await collect(check({ config: user.config })), ROWS);
  });

  add("two checks at once do not affect each other", async (t) => {
    const rows = ["ready", "first-sign-in", "expired-no-refresh", "stdio-ready"];
    const user = new User(t, lab).has(...rows);
    const both = await Promise.all([1, 2].map(() => collect(check({ config: user.config }))));
    for (const events of both) assertResults(lab, events, rows);
  });

  add("two readers can share one check", async (t) => {
    const rows = ["ready", "ready-sse", "server-500", "first-sign-in"];
    const user = new User(t, lab).has(...rows);
    const events = check({ config: user.config });
    const all = [];
    const read = async () => {
      for await (const event of events) all.push(event);
    };
    await Promise.all([read(), read()]);
    assertResults(lab, all, rows);
  });

  add("a watch starts a server again after a sign-in and on retry", async (t) => {
    const own = await Lab.start(t);
    const user = new User(t, own).has("first-sign-in");
    const events = watch({ config: user.config });
    const states = [];
    for await (const { notification } of events) {
      states.push(notification.status);
      if (states.length === 2) events.retry("first-sign-in");
      if (states.length === 4) await signIn("first-sign-in", { config: user.config });
      if (notification.status === "ready") break;
    }
    assert.deepEqual(states, ["starting", "failed", "starting", "failed", "starting", "ready"]);
  });

  add("a refreshed token is stored before the process exits, even if the loop has ended", async (t) => {
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
