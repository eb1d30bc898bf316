// Measures how fast lines recorded from Codex's app-server are tracked and decoded, compared with the alternative in plain
// JavaScript: `JSON.parse` for each line, and the same tracking. Prints one line of JSON: rates in lines per second (medians), the
// speedup, and the peak resident memory after the tracker's first run. Use a release build.
//
// The input is chunks of 1 MiB of whole lines, like the buffers of a reader of a long stream.
//
// usage: node bench/tracker.mjs [LINES] [ROUNDS]

import { readFileSync } from "node:fs";
import { decodeLines, StartupTracker } from "mcp-startup";

const [atLeast = 100_000, rounds = 5] = process.argv.slice(2).map(Number);
const fixture = readFileSync(new URL("../../../tests/fixtures/codex-app-server-0.169.0.jsonl", import.meta.url));
const copies = Math.floor(2 ** 20 / fixture.length);
const chunk = Buffer.concat(Array(copies).fill(fixture));
const perChunk = copies * (fixture.toString().trimEnd().split("\n").length);
const chunks = Math.ceil(atLeast / perChunk);
const lines = chunks * perChunk;

function withTracker() {
  const tracker = new StartupTracker();
  let prompts = 0;
  for (let at = 0; at < chunks; at += 1) prompts += tracker.applyLines(chunk).prompts.length;
  return prompts;
}

/** Tracks the state of each (threadId, name), the changed servers, and one prompt for each name and episode. */
function foldOf(read) {
  const servers = new Map();
  const changed = new Set();
  const episodes = new Set();
  let prompts = 0;
  for (let at = 0; at < chunks; at += 1) {
    for (const { threadId, name, status, error, failureReason } of read()) {
      const key = `${threadId}\n${name}`;
      const known = servers.get(key);
      if (known?.status !== status || known.error !== error || known.failureReason !== failureReason) {
        servers.set(key, { threadId, name, status, error, failureReason });
        changed.add(key);
      }
      if (status === "failed" && failureReason === "reauthenticationRequired" && !episodes.has(name)) {
        episodes.add(name);
        prompts += 1;
      }
      if (status === "ready") episodes.delete(name);
    }
  }
  return prompts;
}

function* parsed() {
  for (const line of chunk.toString().split("\n")) {
    if (line === "") continue;
    const { method, params } = JSON.parse(line);
    if (method === "mcpServer/startupStatus/updated") yield params;
  }
}

const sides = {
  tracker: withTracker,
  decodeLines: () => foldOf(() => decodeLines(chunk).notifications),
  jsonParse: () => foldOf(parsed),
};

function linesPerSecond(fold) {
  const began = performance.now();
  const prompts = fold();
  return { rate: (lines / (performance.now() - began)) * 1000, prompts };
}

const rates = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
let peakKib;
// The first round warms up.
for (let round = 0; round <= rounds; round += 1) {
  const prompts = new Set();
  for (const [name, fold] of Object.entries(sides)) {
    const found = linesPerSecond(fold);
    prompts.add(found.prompts);
    if (round > 0) rates[name].push(found.rate);
    peakKib ??= process.resourceUsage().maxRSS;
  }
  if (prompts.size !== 1) throw new Error("the results differ");
}
const median = (all) => all.sort((one, other) => one - other)[Math.floor(all.length / 2)];
const medians = Object.fromEntries(Object.entries(rates).map(([name, all]) => [name, Math.round(median(all))]));
console.log(
  JSON.stringify({
    lines,
    rounds,
    linesPerSecond: medians,
    trackerToJsonParse: Number((medians.tracker / medians.jsonParse).toFixed(2)),
    peakKib,
  }),
);
