// Cases that the shared data files do not cover: recorded Codex output, errors of `encode`, and JavaScript specifics.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import {
  authRequiredReason,
  DecodeError,
  decode,
  decodeLines,
  EncodeError,
  encode,
  isFinished,
  isKnownState,
  isMcpServerStatusUpdatedNotification,
  METHOD,
  StartupTracker,
  startupNotification,
} from "@mcp-startup/protocol";

const line = (params) => JSON.stringify({ method: METHOD, params });
const thrown = (work) => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
};

test("every recorded line of each version of Codex's app-server is decoded and encoded unchanged", () => {
  const fixtures = new URL("../../../tests/fixtures/", import.meta.url);
  const recordings = readdirSync(fixtures).filter((name) => /^codex-app-server-.*\.jsonl$/.test(name));
  assert.ok(recordings.length >= 2);
  for (const recording of recordings) {
    const text = readFileSync(new URL(recording, fixtures), "utf8");
    const lines = text.split("\n").filter((line) => line !== "");
    assert.ok(lines.length > 0);
    for (const line of lines) {
      const { method, params } = JSON.parse(line);
      const notification = decode(line);
      assert.equal(encode(notification), JSON.stringify({ method, params }), recording);
      assert.ok(isMcpServerStatusUpdatedNotification(params));
    }
    assert.equal(decodeLines(text).notifications.length, lines.length);
  }
});

test("a failure has a reason of the Agent Host Protocol exactly if its recovery is a sign-in", () => {
  const cases = JSON.parse(readFileSync(new URL("../../../tests/vectors/judge.json", import.meta.url), "utf8"));
  const known = cases.filter((testCase) => "authRequiredReason" in testCase);
  assert.ok(known.length > 0);
  for (const { name, recovery, authRequiredReason: expected } of known) {
    assert.equal(authRequiredReason({ recovery }), expected, name);
  }
  for (const recovery of ["newer", "__proto__", "toString"]) assert.equal(authRequiredReason({ recovery }), null);
});

test("an environment that is undefined is absent", () => {
  const notification = { name: "a", environmentId: undefined, status: "ready" };
  assert.ok(!encode(notification).includes("environmentId"));
  assert.equal(new StartupTracker().apply(notification).changed, true);
});

test("error messages are the same as in the other languages", () => {
  const rows = [
    [line({ name: 7, status: "ready" }), "invalidType", "params.name", "`params.name` must be a string, not a number"],
    [line({ name: "a" }), "missingField", "params.status", "`params.status` is missing"],
    [line({ name: "a", status: null }), "missingField", "params.status", "`params.status` is missing"],
    [
      line({ name: "a", status: "ready", error: [] }),
      "invalidType",
      "params.error",
      "`params.error` must be a string or null, not an array",
    ],
    // The first invalid field in the order of the contract.
    [line({ threadId: 7 }), "invalidType", "params.threadId", "`params.threadId` must be a string or null, not a number"],
    [line(null), "invalidType", "params", "`params` must be an object, not null"],
    [JSON.stringify({ method: METHOD }), "missingField", "params", "`params` is missing"],
    ['{"method":null}', "invalidType", "method", "`method` must be a string, not null"],
    ["[]", "notAnObject", null, "a JSON-RPC message must be an object"],
    ['{"method":', "invalidJson", null, "not valid JSON"],
  ];
  for (const [text, kind, field, message] of rows) {
    const error = thrown(() => decode(text));
    assert.ok(error instanceof DecodeError && error instanceof Error);
    assert.deepEqual({ kind: error.kind, field: error.field, message: error.message }, { kind, field, message });
    assert.deepEqual([error.name, error.code], ["DecodeError", "MCP_STARTUP_DECODE_ERROR"]);
  }
});

test("an error does not quote the line", () => {
  const error = thrown(() => decode("sk-secret"));
  assert.ok(!`${error.stack}${String(error.cause)}`.split("\n    at")[0].includes("secret"));
});

test("a lone surrogate is rejected", () => {
  const broken = "\ud800";
  for (const field of ["threadId", "name", "environmentId", "status", "error", "failureReason"]) {
    const params = { name: "a", status: "failed", [field]: `x${broken}` };
    for (const text of [line(params), line(params).replace("\\ud800", broken)]) {
      const error = thrown(() => decode(text));
      assert.deepEqual([error.kind, error.field], ["invalidJson", null]);
    }
    assert.equal(isMcpServerStatusUpdatedNotification(params), false);
    assert.equal(thrown(() => encode(params)).code, "MCP_STARTUP_ENCODE_ERROR");
  }
  assert.equal(thrown(() => decode('{"method":"\\ud800"}')).kind, "invalidJson");
  // Unknown fields are not checked.
  assert.equal(decode(line({ name: "🚀", status: "ready", more: broken })).name, "🚀");
});

test("only ASCII white space makes a blank line", () => {
  assert.equal(decode(" \t\r\n\f"), null);
  for (const text of ["\u00a0", "\v", "\f{}"]) assert.equal(thrown(() => decode(text)).kind, "invalidJson");
});

test("a byte order mark is not JSON", () => {
  const text = `\ufeff${line({ name: "a", status: "ready" })}`;
  for (const input of [text, new TextEncoder().encode(text)]) {
    assert.equal(thrown(() => decode(input)).kind, "invalidJson");
  }
});

test("names of built-in object properties are ordinary names", () => {
  for (const name of ["__proto__", "constructor", "hasOwnProperty"]) {
    const params = `{"__proto__":{"x":1},"name":"${name}","status":"${name}","failureReason":"r"}`;
    const read = decode(`{"method":"${METHOD}","params":${params}}`);
    assert.deepEqual(read, { threadId: null, name, status: name, error: null, failureReason: "r" });
    assert.equal(isFinished(name), false);
  }
  const inherited = '{"__proto__":{"name":"a","status":"ready"}}';
  assert.throws(() => decode(`{"method":"${METHOD}","params":${inherited}}`), DecodeError);
});

test("encode rejects a reason on a known state other than failed", () => {
  const base = { threadId: null, name: "a", error: null, failureReason: "reauthenticationRequired" };
  for (const status of ["starting", "ready", "cancelled"]) {
    const error = thrown(() => encode({ ...base, status }));
    assert.ok(error instanceof EncodeError);
    assert.deepEqual([error.code, error.field], ["MCP_STARTUP_ENCODE_ERROR", "params.failureReason"]);
    assert.ok(error.message.includes("params.failureReason"));
  }
  // An unknown state may have a reason.
  for (const status of ["failed", "paused"]) {
    const written = encode({ ...base, status });
    assert.deepEqual(decode(written), { ...base, status });
  }
});

test("encode rejects params that decode would reject", () => {
  const name = "a";
  const status = "ready";
  for (const bad of [null, undefined, 7, [], { name }, { name: 7, status }, { name, status, error: 1 }]) {
    assert.ok(thrown(() => encode(bad)) instanceof EncodeError);
    assert.equal(isMcpServerStatusUpdatedNotification(bad), false);
  }
});

test("encode writes missing fields as null", () => {
  const expected = encode(startupNotification.ready("a"));
  assert.equal(encode({ status: "ready", name: "a", threadId: undefined, more: 1 }), expected);
});

test("known states are recognized, and so are the states that end a start", () => {
  const states = ["starting", "ready", "failed", "cancelled", "paused"];
  assert.deepEqual(states.filter(isFinished), ["ready", "failed", "cancelled"]);
  assert.deepEqual(states.filter(isKnownState), states.slice(0, 4));
});
