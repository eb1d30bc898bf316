// Runs the test vectors of `tests/vectors`, as every language does. Their expected values are written by hand. The Rust
// runner is crates/core/tests/vectors.rs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { isDeepStrictEqual } from "node:util";
import { startupNotification } from "@mcp-startup/protocol";
import {
  assess,
  authRequiredReason,
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

/** Runs every case of a file and reports all cases that fail. */
function run(file, fields, check) {
  test(file, () => {
    const cases = JSON.parse(readFileSync(dataFile(`vectors/${file}`), "utf8"));
    const names = new Set();
    const failures = [];
    let ran = 0;
    for (const { name, source, ...testCase } of cases) {
      try {
        assert.ok(name && source, "a name and a source");
        assert.ok(!names.has(name), "a unique name");
        names.add(name);
        hasOnly(testCase, fields);
        check(testCase);
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

/** Rejects a field that this runner does not know: it would be a check that is silently skipped. */
function hasOnly(object, fields) {
  for (const field of Object.keys(object)) assert.ok(fields.includes(field), `the case itself is wrong: ${field}`);
}

function has(object, fields) {
  for (const field of fields) assert.ok(field in object, `the case itself is wrong: no ${field}`);
}

function equal(what, got, expected) {
  if (isDeepStrictEqual(got, expected)) return;
  assert.fail(`${what}\n       got ${JSON.stringify(got)}\n  expected ${JSON.stringify(expected)}`);
}

/** Both forms of the input: a string and bytes. A case with `hex` has only bytes. */
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

function isError(got, expected) {
  hasOnly(expected, ["line", "kind", "field"]);
  assert.equal(got.code, "MCP_STARTUP_DECODE_ERROR");
  equal("field", got.field, expected.field);
  if (expected.kind != null) equal("kind", got.kind, expected.kind);
  if (expected.field != null) {
    assert.ok(got.message.includes(expected.field), `message without the field: ${got.message}`);
  }
}

function areErrors(got, expected) {
  equal("numbers of the invalid lines", got.map(({ line }) => line), expected.map(({ line }) => line));
  got.forEach(({ error }, at) => isError(error, expected[at]));
}

run("decode.json", ["line", "hex", "notification", "encoded", "error"], (testCase) => {
  const isRefused = testCase.error !== undefined;
  assert.ok(isRefused !== (testCase.notification !== undefined), "the case itself is wrong: a notification or an error");
  for (const input of inputs(testCase.line, testCase.hex)) {
    const { notification, error } = outcomeOf(input);
    if (isRefused) {
      assert.ok(error, `       got ${JSON.stringify(notification)}\n  expected ${JSON.stringify(testCase.error)}`);
      isError(error, testCase.error);
    } else {
      if (error) throw error;
      equal("notification", notification, testCase.notification);
      // The text also checks the order of the fields.
      equal("as text", JSON.stringify(notification), JSON.stringify(testCase.notification));
    }
    if (testCase.encoded !== undefined) equal("encoded", encode(notification), testCase.encoded);
  }
});

run("encode.json", ["constructor", "server", "threadId", "error", "line"], (testCase) => {
  const { [testCase.constructor]: build } = startupNotification;
  assert.ok(build, `the case itself is wrong: ${testCase.constructor}`);
  const texts = testCase.error === undefined ? [testCase.server] : [testCase.server, testCase.error];
  const built = testCase.threadId === undefined ? build(...texts) : build(...texts, testCase.threadId);
  equal("line", encode(built), testCase.line);
  equal("decoded again", decode(testCase.line), built);
});

run("lines.json", ["text", "hex", "notifications", "errors"], (testCase) => {
  for (const input of inputs(testCase.text, testCase.hex)) {
    const got = decodeLines(input);
    equal("notifications", got.notifications, testCase.notifications);
    areErrors(got.errors, testCase.errors);
    const applied = new StartupTracker().applyLines(input);
    equal("notifications that the tracker counted", applied.notifications, testCase.notifications.length);
    areErrors(applied.errors, testCase.errors);
  }
});

run("tracker.json", ["limit", "steps"], (testCase) => {
  const tracker = new StartupTracker(testCase.limit === undefined ? {} : { limit: testCase.limit });
  testCase.steps.forEach((step, at) => {
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

/** A key as in the data. */
function keyOf({ threadId, environmentId, name }) {
  return [threadId, environmentId, name];
}

function takeStep(tracker, step) {
  const action = step.lines === undefined ? REMOVAL : BATCH;
  hasOnly(step, [...action, ...SHOWN]);
  has(step, action);
  if (action === BATCH) {
    const got = tracker.applyLines(step.lines.join("\n"));
    equal("notifications", got.notifications, step.notifications);
    equal("changed", got.changed.map(keyOf), step.changed);
    equal("prompts", got.prompts.map(keyOf), step.prompts);
    equal("errors", got.errors.map(({ line }) => line), step.errors);
  } else {
    equal("removed", tracker.remove(step.remove), step.removed);
  }
  if (step.servers !== undefined) {
    equal("servers", tracker.servers(), step.servers);
    for (const server of step.servers) equal("server", tracker.server(server), server);
  }
  if (step.reauthenticationRequired !== undefined) {
    equal("reauthenticationRequired", tracker.reauthenticationRequired().map(keyOf), step.reauthenticationRequired);
  }
}

const ASSESSED = ["facts", "nowMs", "configured", "oauthPublished", "worth", "firstRequest", "authStatus"];

run("assess.json", ASSESSED, (testCase) => {
  has(testCase, ASSESSED);
  const worth = testCase.facts === null ? null : assess(testCase.facts, testCase.nowMs);
  equal("worth", worth, testCase.worth);
  // Null if the configuration contains authorization, so that the stored credential is not used.
  if (testCase.firstRequest !== null) equal("firstRequest", firstRequest(worth), testCase.firstRequest);
  const { configured, oauthPublished } = testCase;
  equal("authStatus", authStatusOf({ configured, stored: worth, oauthPublished }), testCase.authStatus);
});

const JUDGED = ["evidence", "kind", "recovery", "fallback", "failureReason", "authRequiredReason", "messageContains"];

run("judge.json", JUDGED, (testCase) => {
  has(testCase, ["evidence", "failureReason", "messageContains"]);
  const { kind, recovery, fallback, message, evidence } = judge(testCase.evidence);
  try {
    // A case leaves out the kind and the recovery if the design specifies only the reason.
    if (testCase.kind !== undefined) {
      equal("kind", kind, testCase.kind);
      equal("recovery", recovery, testCase.recovery);
      equal("fallback", fallback ?? null, testCase.fallback ?? null);
    }
    const reason = kind === "reauthenticationRequired" ? kind : null;
    equal("failureReason", reason, testCase.failureReason);
    if (testCase.authRequiredReason !== undefined) {
      equal("authRequiredReason", authRequiredReason({ recovery }), testCase.authRequiredReason);
    }
    // Evidence is read leniently, so a misspelled field would be silently dropped.
    equal("evidence", evidence, testCase.evidence);
    assert.ok(message !== "" && [...message].length <= 300, "its length");
    assert.doesNotMatch(message, /\p{Cc}/u);
    for (const part of testCase.messageContains) assert.ok(message.includes(part), `without ${JSON.stringify(part)}`);
  } catch (error) {
    error.message += `\n  message ${JSON.stringify(message)}`;
    throw error;
  }
});
