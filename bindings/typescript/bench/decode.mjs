// Measures how fast lines recorded from Codex's app-server are decoded and tracked. Prints one JSON line:
//   ratio  the time of `JSON.parse` divided by the time of `decode` for the same lines; 1 means as fast as parsing.
// Each value is the median of 5 rounds. A round measures everything in turn, a few ms at a time and many times over, so
// that a busy machine slows all measurements equally.

import { readFileSync } from "node:fs";
import { decode, StartupTracker } from "@mcp-startup/protocol";

const fixture = new URL("../../../tests/fixtures/codex-app-server-0.169.0.jsonl", import.meta.url);
const text = readFileSync(fixture, "utf8");
const lines = text.split("\n").filter((line) => line !== "");

// Stored outside the loops, so that the engine can't optimize the work away.
let last;

/** The time that `work` takes for each of its `size` parts, in nanoseconds. */
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
  // Each repetition starts every server again, so most notifications are changes.
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

round(); // warm-up
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
