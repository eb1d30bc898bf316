// Ten servers that flood a check take bounded memory and affect no other server. `tests/attacks/flood.py` has the servers, and `flood.json`
// the floods. The package keeps no live servers.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { dataFile, project } from "./places.mjs";

const FLOOD = fileURLToPath(dataFile("attacks/flood.py"));
const FLOODS = JSON.parse(readFileSync(dataFile("attacks/flood.json"), "utf8"));
const QUIET = { flood: "quiet", when: "list" };
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
    stdio: ({ flood, when }) => ({ command: "python3", args: [FLOOD, "stdio", flood, when] }),
    http: ({ flood, when }) => ({ type: "http", url: `${base}${flood}/${when}` }),
  };
  const checkFloods = async ([transport, entry]) => {
    const servers = (row) => {
      const hostile = Array.from({ length: HOSTILE }, (_, n) => [`hostile-${n}`, entry(row)]);
      return Object.fromEntries([...hostile, ["working", entry(QUIET)]]);
    };
    const quiet = await hostOf(servers(QUIET));
    assert.deepEqual(new Set(Object.values(quiet.ends)), new Set(["ready"]));
    for (const row of FLOODS.filter(({ over }) => over.includes(transport))) {
      const { ends, peakKb } = await hostOf(servers(row));
      const shown = `${transport} ${row.flood} ${row.when}`;
      t.diagnostic(`${shown}: ${peakKb} kB, with quiet servers ${quiet.peakKb} kB`);
      const { working, ...hostile } = ends;
      assert.equal(working, "ready", shown);
      assert.equal(Object.keys(hostile).length, HOSTILE, shown);
      for (const end of Object.values(hostile)) assert.ok(row.ends.includes(end), `${shown}: ${end}`);
      assert.ok(peakKb <= quiet.peakKb + MAX_PEAK_KB, `${shown}: ${peakKb} kB, ${quiet.peakKb} kB`);
    }
  };
  await Promise.all(Object.entries(transports).map(checkFloods));
});
