// The data files of `tests/vectors`, which every language runs: here in Node. Their expected values are written by hand;
// crates/core/tests/vectors.rs is the same runner in Rust.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { isDeepStrictEqual } from "node:util";
import { startupNotification } from "@mcp-startup/protocol";
import {
  assess,
  authStatusOf,
  DecodeError,
  decode,
  decodeLines,
  encode,
  firstRequest,
  judge,
  StartupTracker,
} from "mcp-startup";
import { dataFile } from "./places.mjs";

/** Runs every case of a file, and names every case that failed. */
function run(file, fields, check) {
  test(file, () => {
    const cases = JSON.parse(readFileSync(dataFile(`vectors/${file}`), "utf8"));
    const names = new Set();
    const failures = [];
    let ran = 0;
    for (const { name, source, ...given } of cases) {
      try {
        assert.ok(name && source, "a name and a source");
        assert.ok(!names.has(name), "stands twice");
        names.add(name);
        knows(given, fields);
        check(given);
      } catch (error) {
        failures.push(`${name} (${source})\n${error.stack}`);
      }
      ran += 1;
    }
    console.log(`vectors: ${file} ${ran} cases (node)`);
    assert.equal(ran, cases.length, "not every case was run");
    assert.ok(ran > 0, "no cases");
    assert.equal(failures.length, 0, `${failures.length} of ${ran} cases failed\n\n${failures.join("\n\n")}`);
  });
}

/** A field that this runner does not know would be a check that is left out in silence. */
function knows(object, fields) {
  for (const field of Object.keys(object)) assert.ok(fields.includes(field), `the case itself is wrong: ${field}`);
}

function has(object, fields) {
  for (const field of fields) assert.ok(field in object, `the case itself is wrong: no ${field}`);
}

function equal(what, got, wanted) {
  if (isDeepStrictEqual(got, wanted)) return;
  assert.fail(`${what}\n     got ${JSON.stringify(got)}\n  wanted ${JSON.stringify(wanted)}`);
}

/** Text is read both ways that it can be handed over: as a string, and as bytes. */
function inputs(text, hex) {
  assert.ok((text === undefined) !== (hex === undefined), "the case itself is wrong: either text or hex");
  return hex === undefined ? [text, Buffer.from(text)] : [Buffer.from(hex, "hex")];
}

function outcomeOf(line) {
  try {
    return { notification: decode(line) };
  } catch (error) {
    assert.ok(error instanceof DecodeError, error.stack);
    return { error };
  }
}

function isError(got, wanted) {
  knows(wanted, ["line", "kind", "field"]);
  assert.equal(got.code, "MCP_STARTUP_DECODE_ERROR");
  equal("field", got.field, wanted.field);
  if (wanted.kind != null) equal("kind", got.kind, wanted.kind);
  if (wanted.field != null) assert.ok(got.message.includes(wanted.field), `message without the field: ${got.message}`);
}

function areErrors(got, wanted) {
  equal("numbers of the bad lines", got.map(({ line }) => line), wanted.map(({ line }) => line));
  got.forEach(({ error }, at) => isError(error, wanted[at]));
}

run("decode.json", ["line", "hex", "notification", "encoded", "error"], (given) => {
  const isRefused = given.error !== undefined;
  assert.ok(isRefused !== (given.notification !== undefined), "the case itself is wrong: a notification or an error");
  for (const input of inputs(given.line, given.hex)) {
    const { notification, error } = outcomeOf(input);
    if (isRefused) {
      assert.ok(error, `     got ${JSON.stringify(notification)}\n  wanted ${JSON.stringify(given.error)}`);
      isError(error, given.error);
    } else {
      if (error) throw error;
      equal("notification", notification, given.notification);
      // The fields in the order of the contract.
      equal("as text", JSON.stringify(notification), JSON.stringify(given.notification));
    }
    if (given.encoded !== undefined) equal("encoded", encode(notification), given.encoded);
  }
});

run("encode.json", ["constructor", "server", "threadId", "error", "line"], (given) => {
  const { [given.constructor]: build } = startupNotification;
  assert.ok(build, `the case itself is wrong: ${given.constructor}`);
  const texts = given.error === undefined ? [given.server] : [given.server, given.error];
  const built = given.threadId === undefined ? build(...texts) : build(...texts, given.threadId);
  equal("line", encode(built), given.line);
  equal("read again", decode(given.line), built);
});

run("lines.json", ["text", "hex", "notifications", "errors"], (given) => {
  for (const input of inputs(given.text, given.hex)) {
    const got = decodeLines(input);
    equal("notifications", got.notifications, given.notifications);
    areErrors(got.errors, given.errors);
    const applied = new StartupTracker().apply(input);
    equal("notifications that the tracker counted", applied.notifications, given.notifications.length);
    areErrors(applied.errors, given.errors);
  }
});

run("tracker.json", ["limit", "steps"], (given) => {
  const tracker = new StartupTracker(given.limit === undefined ? {} : { limit: given.limit });
  given.steps.forEach((step, at) => {
    try {
      takeStep(tracker, step);
    } catch (error) {
      error.message = `step ${at + 1}: ${error.message}`;
      throw error;
    }
  });
});

const BATCH = ["lines", "notifications", "changed", "prompts", "errors"];
const REMOVAL = ["remove", "removed"];
const SHOWN = ["servers", "reauthenticationRequired"];

function takeStep(tracker, step) {
  const action = step.lines === undefined ? REMOVAL : BATCH;
  knows(step, [...action, ...SHOWN]);
  has(step, action);
  if (action === BATCH) {
    const got = tracker.apply(step.lines.join("\n"));
    equal("notifications", got.notifications, step.notifications);
    equal("changed", got.changed, step.changed);
    equal("prompts", got.prompts, step.prompts);
    equal("errors", got.errors.map(({ line }) => line), step.errors);
  } else {
    equal("removed", tracker.remove(step.remove), step.removed);
  }
  if (step.servers !== undefined) {
    equal("servers", tracker.servers(), step.servers);
    for (const server of step.servers) equal("server", tracker.server(server.threadId, server.name), server);
  }
  if (step.reauthenticationRequired !== undefined) {
    equal("reauthenticationRequired", tracker.reauthenticationRequired(), step.reauthenticationRequired);
  }
}

const ASSESSED = ["facts", "nowMs", "configured", "oauthPublished", "worth", "firstRequest", "authStatus"];

run("assess.json", ASSESSED, (given) => {
  has(given, ASSESSED);
  const worth = given.facts === null ? null : assess(given.facts, given.nowMs);
  equal("worth", worth, given.worth);
  // Null where the configuration carries the authorization, and nobody asks.
  if (given.firstRequest !== null) equal("firstRequest", firstRequest(worth), given.firstRequest);
  const { configured, oauthPublished } = given;
  equal("authStatus", authStatusOf({ configured, stored: worth, oauthPublished }), given.authStatus);
});

run("judge.json", ["evidence", "kind", "recovery", "failureReason", "messageContains"], (given) => {
  has(given, ["evidence", "failureReason", "messageContains"]);
  const { kind, recovery, message, evidence } = judge(given.evidence);
  try {
    // Left out, with the recovery, where only the reason follows from the design.
    if (given.kind !== undefined) {
      equal("kind", kind, given.kind);
      equal("recovery", recovery, given.recovery);
    }
    const reason = kind === "reauthenticationRequired" ? kind : null;
    equal("failureReason", reason, given.failureReason);
    // Evidence is read leniently: a misspelt field would be lost in silence.
    equal("evidence", evidence, given.evidence);
    assert.ok(message !== "" && [...message].length <= 300, "its length");
    assert.doesNotMatch(message, /\p{Cc}/u);
    for (const part of given.messageContains) assert.ok(message.includes(part), `without ${JSON.stringify(part)}`);
  } catch (error) {
    error.message += `\n  message ${JSON.stringify(message)}`;
    throw error;
  }
});
