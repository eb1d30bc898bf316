// The package in other hosts than a plain Node process: worker threads, and a bundle.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";

const CHECK = `
  const { check } = require("mcp-startup");
  const states = [];
  (async () => {
    for await (const { notification } of check({ mcpServers: { gone: { url: "http://127.0.0.1:9/mcp" } } })) {
      states.push(notification.status);
    }
    return states;
  })()`;

/** Runs the code in a worker, and returns what it posts. */
function inWorker(code) {
  const worker = new Worker(code, { eval: true });
  return new Promise((resolve, reject) => {
    worker.once("message", (message) => worker.terminate().then(() => resolve(message)));
    worker.once("error", reject);
  });
}

test("worker threads check servers at the same time, and end", async () => {
  const code = `${CHECK}.then((states) => require("node:worker_threads").parentPort.postMessage(states));`;
  const results = await Promise.all(Array.from({ length: 4 }, () => inWorker(code)));
  assert.deepEqual(results, Array(4).fill(["starting", "failed"]));
});

test("a worker that is terminated during a check does not crash the process", async () => {
  const worker = new Worker(`${CHECK}; require("node:worker_threads").parentPort.postMessage("started");`, { eval: true });
  await new Promise((resolve) => worker.once("message", resolve));
  await worker.terminate();
  const states = await inWorker(`${CHECK}.then((states) => require("node:worker_threads").parentPort.postMessage(states));`);
  assert.deepEqual(states, ["starting", "failed"]);
});

for (const format of ["cjs", "esm"]) {
  test(`a bundle (${format}) with the package as an external works`, async () => {
    // Next to the tests, so that Node finds the installed package.
    const folder = mkdtempSync(join(import.meta.dirname, "bundle-"));
    try {
      const outfile = join(folder, format === "esm" ? "app.mjs" : "app.cjs");
      await build({
        stdin: {
          contents: 'import { StartupTracker } from "mcp-startup"; console.log(new StartupTracker().constructor.name);',
          resolveDir: import.meta.dirname,
        },
        bundle: true,
        platform: "node",
        format,
        external: ["mcp-startup"],
        outfile,
      });
      const output = execFileSync(process.execPath, [outfile], { cwd: dirname(outfile), encoding: "utf8" });
      assert.equal(output, "StartupTracker\n");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
