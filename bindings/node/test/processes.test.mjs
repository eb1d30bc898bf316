// Checks leave no server process behind when the process exits, a thread ends, or the iterator is garbage-collected.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import test, { after } from "node:test";
import { Worker } from "node:worker_threads";
import { check } from "mcp-startup";
import { all, silentServer, startLab, summary } from "./lab.mjs";
import { project } from "./places.mjs";

const lab = await startLab(after);

const PROLOGUE = `
  const { connect } = await import("node:net");
  const { check, watch, authorization } = await import("mcp-startup");
  const store = {
    load: async () => null,
    replace: async () => false,
    lock: async () => () => {},
  };
  const started = () => new Promise((resolve) => connect(startedPort, "127.0.0.1").on("close", resolve).resume());
`;

/** Runs the code in a new process, with `values` as constants. */
function run(code, values, flags = []) {
  const constants = Object.entries(values).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`);
  const args = [...flags, "--input-type=module", "-e", [...constants, PROLOGUE, code].join("\n")];
  // The time limit kills a process that does not exit, and the test fails.
  const child = spawn(process.execPath, args, { cwd: project, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
  const output = Promise.all([child.stdout, child.stderr].map((stream) => stream.toArray()));
  const ended = once(child, "close").then(async ([status, signal]) => {
    const [stdout, stderr] = await output;
    return { status, signal, stdout: stdout.join(""), stderr: stderr.join("") };
  });
  return { child, ended };
}

/** Processes whose servers answer. */
const WITH_ANSWERS = {
  "a complete check": `for await (const _ of check({ mcpServers })) ;`,
  "a complete check, with a store": `for await (const _ of check({ mcpServers, store })) ;`,
  "a check that is never iterated": `globalThis.events = check({ mcpServers, store });`,
  "a header": `await authorization("ready", null, { mcpServers, store });`,
  "a watch that is left": `
    for await (const { notification } of watch({ mcpServers, store })) if (notification.status === "failed") break;`,
};

/** Processes with a server that never answers and is running when the process exits. */
const WITH_SILENCE = {
  "a loop that is left": `for await (const _ of check({ mcpServers })) { await started(); break; }`,
  "a loop that is left, with a store": `for await (const _ of check({ mcpServers, store })) { await started(); break; }`,
  "a check that is referenced but no longer read": `
    globalThis.events = check({ mcpServers, store });
    await events.next();
    await started();`,
  "a watch that is referenced but no longer read": `
    globalThis.events = watch({ mcpServers, store });
    await events.next();
    await started();`,
  "a cancelled check": `
    const events = check({ mcpServers });
    for await (const _ of events) { await started(); events.cancel(); }`,
  "an aborted check": `
    const abort = new AbortController();
    try {
      for await (const _ of check({ mcpServers, signal: abort.signal })) { await started(); abort.abort(); }
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }`,
  "process.exit, while the loop waits": `
    started().then(() => process.exit());
    for await (const _ of check({ mcpServers })) ;`,
  "process.exit, in the loop's body": `for await (const _ of check({ mcpServers })) { await started(); process.exit(); }`,
};

const ENDED_WELL = { status: 0, signal: null, stdout: "", stderr: "" };

for (const [what, code] of Object.entries(WITH_ANSWERS)) {
  test(`a process exits by itself: ${what}`, async () => {
    const mcpServers = lab.servers("ready", "first-sign-in");
    assert.deepEqual(await run(code, { mcpServers }).ended, ENDED_WELL);
  });
}

for (const [what, code] of Object.entries(WITH_SILENCE)) {
  test(`a process exits and leaves no server: ${what}`, async (t) => {
    const { entry, startedPort, started, ended } = await silentServer(t.after.bind(t));
    assert.deepEqual(await run(code, { mcpServers: { silent: entry }, startedPort }).ended, ENDED_WELL);
    await started;
    await ended;
  });
}

for (const signal of ["SIGTERM", "SIGKILL"]) {
  test(`a server that reads its input ends if ${signal} ends the process`, { skip: process.platform === "win32" }, async (t) => {
    const { entry, started, ended } = await silentServer(t.after.bind(t), "process.stdin.on('end', () => process.exit()).resume();");
    const { child, ended: childEnded } = run("for await (const _ of check({ mcpServers })) ;", { mcpServers: { silent: entry } });
    await started;
    child.kill(signal);
    assert.equal((await childEnded).signal, signal);
    await ended;
  });
}

test("a process that exits at SIGTERM leaves no server", { skip: process.platform === "win32" }, async (t) => {
  const { entry, started, ended } = await silentServer(t.after.bind(t));
  const code = `
    process.on("SIGTERM", () => process.exit(143));
    for await (const _ of check({ mcpServers })) ;`;
  const { child, ended: childEnded } = run(code, { mcpServers: { silent: entry } });
  await started;
  child.kill("SIGTERM");
  assert.equal((await childEnded).status, 143);
  await ended;
});

test("a check changes no attribute of its process", { skip: process.platform !== "linux" }, async () => {
  const code = `
    const assert = await import("node:assert/strict");
    const { readFileSync, readdirSync, readlinkSync } = await import("node:fs");
    const wanted = /^(Umask|Uid|Gid|NSpgid|NSsid|SigIgn|SigCgt|SigBlk|NoNewPrivs):/;
    const attributes = () => ({
      status: readFileSync("/proc/self/status", "utf8").split("\\n").filter((line) => wanted.test(line)),
      limits: readFileSync("/proc/self/limits", "utf8"),
      environment: { ...process.env },
      folder: process.cwd(),
    });
    const target = (file) => {
      try {
        return readlinkSync("/proc/self/fd/" + file);
      } catch {
        // The folder that was read.
        return null;
      }
    };
    const files = () => readdirSync("/proc/self/fd").map((file) => [file, target(file)]).filter(([, target]) => target !== null);
    const complete = async () => {
      for await (const { failure } of check({ mcpServers })) assert.equal(failure, null);
    };
    const before = attributes();
    assert.ok(before.status.length > 6);
    await complete();
    assert.deepEqual(attributes(), before);
    // The first check has started the runtime, whose files stay open.
    const opened = files();
    await complete();
    for (let waited = 0; waited < 10_000 && files().length > opened.length; waited += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok(files().length <= opened.length, JSON.stringify([opened, files()]));
    assert.deepEqual(attributes(), before);`;
  assert.deepEqual(await run(code, { mcpServers: lab.servers("ready", "stdio-ready") }).ended, ENDED_WELL);
});

test("a check ends when it is garbage-collected", async (t) => {
  const { entry, startedPort, ended } = await silentServer(t.after.bind(t));
  const forget = `
    await check({ mcpServers }).next();
    await started();
    setInterval(gc, 10);`;
  const { child, ended: childEnded } = run(forget, { mcpServers: { silent: entry }, startedPort }, ["--expose-gc"]);
  t.after(() => child.kill());
  await ended;
  // The check ended because it was collected, and not because its process exited.
  assert.equal(child.exitCode, null);
  child.kill();
  assert.equal((await childEnded).signal, "SIGTERM");
});

/** A thread that checks these servers and posts each event as `NAME STATE`. */
function worker(mcpServers) {
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { check } = require("mcp-startup");
    const store = { load: async () => null, replace: async () => false, lock: async () => () => {} };
    (async () => {
      for await (const { notification: { name, status } } of check({ mcpServers: workerData, store })) {
        parentPort.postMessage(name + " " + status);
      }
    })();`;
  const worker = new Worker(code, { eval: true, workerData: mcpServers });
  const seen = [];
  worker.on("message", (message) => seen.push(message));
  return { worker, seen };
}

test("each thread has its own checks and ends by itself", async () => {
  const mcpServers = lab.servers("ready", "first-sign-in");
  const workers = [worker(mcpServers), worker(mcpServers)];
  const [here] = await Promise.all([all(check({ mcpServers })), ...workers.map(({ worker }) => once(worker, "exit"))]);
  for (const { seen } of workers) assert.deepEqual(seen.sort(), here.map(summary).sort());
});

test("a thread that is terminated during a check leaves no server, and other threads continue", async (t) => {
  for (let round = 0; round < 3; round++) {
    const server = await silentServer(t.after.bind(t));
    const { worker: thread, seen } = worker({ silent: server.entry });
    await server.started;
    await thread.terminate();
    await server.ended;
    assert.deepEqual(seen.filter((line) => line !== "silent starting"), []);
    const events = await all(check({ mcpServers: lab.servers("ready") }));
    assert.deepEqual(events.map(summary), ["ready starting", "ready ready"]);
  }
});

test("a thread that is terminated during a store call does not affect other threads", async () => {
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { check } = require("mcp-startup");
    const load = () => (parentPort.postMessage("load"), new Promise(() => {}));
    const store = { load, replace: async () => false, lock: async () => () => {} };
    (async () => { for await (const _ of check({ mcpServers: workerData, store })) ; })();`;
  const mcpServers = lab.servers("ready");
  const thread = new Worker(code, { eval: true, workerData: mcpServers });
  await once(thread, "message");
  await thread.terminate();
  assert.deepEqual((await all(check({ mcpServers }))).map(summary), ["ready starting", "ready ready"]);
});
