// How fast what an app-server writes is followed, on lines of Codex's, beside what a Node program would do instead: `JSON.parse` for each
// line, and the same fold. Prints one line of JSON: rates in lines a second (medians), and how many times faster. Only a release build
// means anything.
//
// usage: node bench/tracker.mjs [LINES] [ROUNDS]

import { readFileSync } from "node:fs";
import { StartupTracker } from "mcp-startup";

const [wanted = 100_000, rounds = 5] = process.argv.slice(2).map(Number);
const fixture = readFileSync(new URL("../../../tests/fixtures/codex-app-server-0.169.0.jsonl", import.meta.url));
const perCopy = fixture.toString().trimEnd().split("\n").length;
const bytes = Buffer.concat(Array(Math.ceil(wanted / perCopy)).fill(fixture));
const lines = perCopy * Math.ceil(wanted / perCopy);

function withTracker() {
  return new StartupTracker().apply(bytes).prompts.length;
}

/** The state of each (threadId, name), which of them changed, and one prompt for each name and episode. */
function withJsonParse() {
  const servers = new Map();
  const changed = new Set();
  const episodes = new Set();
  const prompts = [];
  for (const line of bytes.toString().split("\n")) {
    if (line === "") continue;
    const { method, params } = JSON.parse(line);
    if (method !== "mcpServer/startupStatus/updated") continue;
    const { threadId, name, status, error, failureReason } = params;
    const key = `${threadId}\n${name}`;
    const known = servers.get(key);
    if (known?.status !== status || known.error !== error || known.failureReason !== failureReason) {
      servers.set(key, { threadId, name, status, error, failureReason });
      changed.add(key);
    }
    if (status === "failed" && failureReason === "reauthenticationRequired" && !episodes.has(name)) {
      episodes.add(name);
      prompts.push(name);
    }
    if (status === "ready") episodes.delete(name);
  }
  return prompts.length;
}

function linesPerSecond(fold) {
  const began = performance.now();
  const prompts = fold();
  return { rate: (lines / (performance.now() - began)) * 1000, prompts };
}

const sides = { tracker: withTracker, jsonParse: withJsonParse };
const rates = { tracker: [], jsonParse: [] };
// The first round warms up.
for (let round = 0; round <= rounds; round += 1) {
  const found = Object.entries(sides).map(([name, fold]) => [name, linesPerSecond(fold)]);
  if (new Set(found.map(([, { prompts }]) => prompts)).size !== 1) throw new Error("they differ");
  if (round > 0) for (const [name, { rate }] of found) rates[name].push(rate);
}
const median = (all) => all.sort((one, other) => one - other)[Math.floor(all.length / 2)];
const [tracker, jsonParse] = [median(rates.tracker), median(rates.jsonParse)];
console.log(
  JSON.stringify({
    lines,
    rounds,
    linesPerSecond: { tracker: Math.round(tracker), jsonParse: Math.round(jsonParse) },
    trackerToJsonParse: Number((tracker / jsonParse).toFixed(2)),
  }),
);
