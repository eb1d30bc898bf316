// Ten servers that flood a check take bounded memory and affect no other server. `tests/attacks/flood.py` has the servers.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { dataFile, project } from "./places.mjs";

const FLOOD = fileURLToPath(dataFile("attacks/flood.py"));
const HOSTILE = 10;
/** Above the same check of servers that are quiet. */
const MAX_PEAK_KB = 80_000;

// The host: a process that checks the servers, and prints how each start ended and its own peak memory.
const HOST = `
  import { readFileSync } from "node:fs";
  import { check } from "mcp-startup";
  const ends = {};
  for await (const { notification, failure } of check({ mcpServers: JSON.parse(process.argv[1]) }))
    if (notification.status !== "starting") ends[notification.name] = failure?.kind ?? notification.status;
  const [, peakKb] = /VmHWM:\\s+(\\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"));
  console.log(JSON.stringify({ ends, peakKb: Number(peakKb) }));`;

async function hostOf(servers) {
  const args = ["--input-type=module", "-e", HOST, JSON.stringify(servers)];
  const host = spawn(process.execPath, args, { cwd: project, stdio: ["ignore", "pipe", "inherit"], timeout: 60_000 });
  const [output] = await Promise.all([host.stdout.toArray(), once(host, "close")]);
  return JSON.parse(output.join(""));
}

const skip =
  process.platform !== "linux"
    ? "the peak memory of a process is read from /proc"
    : spawnSync("python3", ["--version"]).status !== 0 && "python3 is not on the PATH";

test("floods take bounded memory and affect no other server", { skip, timeout: 240_000 }, async (t) => {
  const http = spawn("python3", [FLOOD, "http"], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(async () => {
    http.kill();
    await once(http, "exit");
  });
  const [base] = await once(createInterface(http.stdout), "line");
  const transports = {
    stdio: (flood) => ({ command: "python3", args: [FLOOD, "stdio", flood, "list"] }),
    http: (flood) => ({ type: "http", url: `${base}${flood}/list` }),
  };
  for (const [transport, entry] of Object.entries(transports)) {
    const servers = (flood) => {
      const hostile = Array.from({ length: HOSTILE }, (_, n) => [`hostile-${n}`, entry(flood)]);
      return Object.fromEntries([...hostile, ["working", entry("quiet")]]);
    };
    const quiet = await hostOf(servers("quiet"));
    assert.deepEqual(new Set(Object.values(quiet.ends)), new Set(["ready"]));
    for (const flood of ["pings", "notifications"]) {
      const { ends, peakKb } = await hostOf(servers(flood));
      t.diagnostic(`${transport} ${flood}: ${peakKb} kB, with quiet servers ${quiet.peakKb} kB`);
      const { working, ...hostile } = ends;
      assert.equal(working, "ready");
      assert.deepEqual(Object.values(hostile), Array(HOSTILE).fill("limitExceeded"), `${transport} ${flood}`);
      assert.ok(peakKb <= quiet.peakKb + MAX_PEAK_KB, `${transport} ${flood}: ${peakKb} kB, ${quiet.peakKb} kB`);
    }
  }
});
