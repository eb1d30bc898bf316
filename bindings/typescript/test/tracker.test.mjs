// Compares the tracker with a simple model on random notifications, and tests what is specific to JavaScript.

import assert from "node:assert/strict";
import test from "node:test";
import { isDeepStrictEqual } from "node:util";
import { DecodeError, encode, StartupTracker, startupNotification } from "@mcp-startup/protocol";

/** The documented behavior of the tracker, as one list that is searched linearly. */
class Model {
  servers = [];
  episodes = [];

  constructor(limit) {
    this.limit = limit;
  }

  apply(notification) {
    const server = { ...notification, environmentId: notification.environmentId ?? null };
    const same = (other) => isDeepStrictEqual(keyOf(other), keyOf(server));
    const at = this.servers.findIndex(same);
    const changed = at === -1 || !isDeepStrictEqual(this.servers[at], server);
    if (at !== -1) this.servers[at] = server;
    else {
      if (this.servers.length >= this.limit) {
        const finished = this.servers.findIndex(({ status }) => ["ready", "failed", "cancelled"].includes(status));
        this.servers.splice(Math.max(finished, 0), 1);
      }
      this.servers.push(server);
    }
    const { status, failureReason } = notification;
    const { environmentId, name } = server;
    const ofServer = (episode) => episode.environmentId === environmentId && episode.name === name;
    if (status === "ready") this.episodes = this.episodes.filter((episode) => !ofServer(episode));
    const needsSignIn = status === "failed" && failureReason === "reauthenticationRequired";
    const prompt = needsSignIn && !this.episodes.some(ofServer);
    if (prompt) this.episodes = [...this.episodes, keyOf(server)].slice(-this.limit);
    return { changed, prompt };
  }

  remove(threadId) {
    const before = this.servers.length;
    this.servers = this.servers.filter((server) => server.threadId !== threadId);
    return before - this.servers.length;
  }
}

function keyOf({ threadId, environmentId = null, name }) {
  return { threadId, environmentId, name };
}

/** mulberry32: the same seed gives the same sequence on every machine. */
function random(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function randomNotification(below) {
  const pick = (values) => values[below(values.length)];
  const status = pick(["starting", "ready", "failed", "failed", "cancelled", "paused"]);
  const mayHaveReason = status === "failed" || status === "paused";
  return {
    threadId: pick([null, null, "t1", "t2", ""]),
    name: pick(["a", "b", "c", "d", "e", "f", "__proto__", ""]),
    ...pick([{}, {}, { environmentId: null }, { environmentId: "e1" }, { environmentId: "" }]),
    status,
    error: pick([null, "x", "y"]),
    failureReason: mayHaveReason ? pick([null, ...Array(2).fill("reauthenticationRequired"), "quotaExceeded"]) : null,
  };
}

test("a value that is not a notification is refused, and changes nothing", () => {
  const tracker = new StartupTracker();
  const line = JSON.stringify({ method: "mcpServer/startupStatus/updated", params: { name: "a", status: "ready" } });
  const rows = [
    [line, "params"],
    [undefined, "params"],
    [null, "params"],
    [{}, "params.name"],
    [{ name: "a" }, "params.status"],
    [{ name: "a", status: "ready", threadId: 5 }, "params.threadId"],
  ];
  for (const [value, field] of rows) {
    const isExpected = (error) => error instanceof DecodeError && error.field === field;
    assert.throws(() => tracker.apply(value), isExpected, String(value));
  }
  assert.deepEqual(tracker.servers(), []);
});

test("the tracker behaves like the model", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const below = random(seed);
    const limit = 1 + below(12);
    const tracker = new StartupTracker({ limit });
    const batched = new StartupTracker({ limit });
    const model = new Model(limit);
    let batch = [];
    const flush = () => {
      const changed = new Map();
      for (const { notification, ...update } of batch) {
        const key = keyOf(notification);
        if (update.changed) changed.set(JSON.stringify(key), key);
      }
      assert.deepEqual(batched.applyLines(batch.map(({ notification }) => encode(notification)).join("\r\n")), {
        notifications: batch.length,
        changed: [...changed.values()],
        prompts: batch.filter(({ prompt }) => prompt).map(({ notification }) => keyOf(notification)),
        errors: [],
      });
      batch = [];
    };
    for (let step = 0; step < 120; step++) {
      if (below(15) === 0) {
        flush();
        const removed = model.remove("t1");
        assert.equal(tracker.remove("t1"), removed);
        assert.equal(batched.remove("t1"), removed);
      } else {
        const notification = randomNotification(below);
        const update = model.apply(notification);
        assert.deepEqual(tracker.apply(notification), update, `seed ${seed}, step ${step}`);
        batch.push({ notification, ...update });
        if (below(6) === 0) flush();
      }
      assert.deepEqual(tracker.servers(), model.servers, `seed ${seed}, step ${step}`);
      assert.deepEqual(tracker.reauthenticationRequired(), model.episodes, `seed ${seed}, step ${step}`);
    }
    flush();
    assert.deepEqual(batched.servers(), model.servers);
    for (const server of model.servers) assert.deepEqual(tracker.server(server), server);
  }
});

test("an unchanged server is the same object, and a changed server is a new one", () => {
  const tracker = new StartupTracker();
  tracker.apply(startupNotification.starting("a"));
  const before = tracker.server({ name: "a" });
  tracker.apply(startupNotification.starting("a"));
  assert.equal(tracker.server({ name: "a" }), before);
  tracker.apply(startupNotification.ready("a"));
  assert.notEqual(tracker.server({ name: "a" }), before);
  assert.equal(before.status, "starting");
});

test("changing a notification after it was applied does not affect the tracker", () => {
  const tracker = new StartupTracker();
  const notification = { name: "a", status: "ready", failureReason: "reauthenticationRequired" };
  assert.deepEqual(tracker.apply(notification), { changed: true, prompt: false });
  notification.status = "failed";
  assert.deepEqual(tracker.servers(), [{ ...startupNotification.ready("a"), environmentId: null }]);
});

test("a tracker keeps at most `limit` servers, by default ten thousand", () => {
  const one = new StartupTracker({ limit: 1 });
  for (const name of ["a", "b", "c"]) one.apply(startupNotification.ready(name));
  assert.deepEqual(one.servers().map(({ name }) => name), ["c"]);
  const tracker = new StartupTracker();
  for (let at = 0; at <= 10_000; at++) tracker.apply(startupNotification.starting(`s${at}`));
  assert.equal(tracker.servers().length, 10_000);
  assert.equal(tracker.server({ name: "s0" }), null);
});
