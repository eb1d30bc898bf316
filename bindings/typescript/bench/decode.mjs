// How fast lines are read and folded, on what Codex's app-server really sent. Prints one JSON line:
//   ratio  the time of bare `JSON.parse` over that of `decode`, for the same lines: 1 would be as fast as parsing alone.
// Each is the median of 5 rounds. Within a round all are measured in turn, a few ms each and many times, so that a busy
// machine slows all of them alike.

import { readFileSync } from "node:fs";
import { decode, StartupTracker } from "@mcp-startup/protocol";

const fixture = new URL("../../../tests/fixtures/codex-app-server-0.169.0.jsonl", import.meta.url);
const text = readFileSync(fixture, "utf8");
const lines = text.split("\n").filter((line) => line !== "");

// Kept outside, so that no engine may leave out the work.
let last;

/** The time that `work` takes for each of its `size` parts, in ns. */
function timed(repeats, size, work) {
  const start = process.hrtime.bigint();
  for (let repeat = 0; repeat < repeats; repeat++) work();
  return Number(process.hrtime.bigint() - start) / (repeats * size);
}

const notifications = lines.map((line) => decode(line));
const BATCHED = 20;
const batch = new TextEncoder().encode(text.repeat(BATCHED));
const tracker = new StartupTracker();

const measures = {
  parse: () =>
    timed(400, lines.length, () => {
      for (const line of lines) last = JSON.parse(line);
    }),
  decode: () =>
    timed(400, lines.length, () => {
      for (const line of lines) last = decode(line);
    }),
  // Each repeat starts every server again, so that most notifications are a change.
  apply: () =>
    timed(400, lines.length, () => {
      for (const notification of notifications) last = tracker.apply(notification);
    }),
  applyLines: () =>
    timed(5, lines.length * BATCHED, () => {
      last = tracker.applyLines(batch);
    }),
};

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

const TURNS = 20;
function round() {
  const sums = { parse: 0, decode: 0, apply: 0, applyLines: 0 };
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [name, measure] of Object.entries(measures)) sums[name] += measure() / TURNS;
  }
  return sums;
}

round(); // to warm up
const rounds = Array.from({ length: 5 }, round);
const nsOf = (name) => Math.round(median(rounds.map((round) => round[name])));

console.log(
  JSON.stringify({
    node: process.version,
    lines: lines.length,
    ratio: Number(median(rounds.map(({ parse, decode }) => parse / decode)).toFixed(3)),
    parseNsPerLine: nsOf("parse"),
    decodeNsPerLine: nsOf("decode"),
    applyNsPerNotification: nsOf("apply"),
    applyLinesNsPerLine: nsOf("applyLines"),
  }),
);
if (last === undefined) process.exitCode = 1;
