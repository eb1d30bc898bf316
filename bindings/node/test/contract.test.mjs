// Cases that the shared data files do not cover: recorded Codex output, errors of `encode`, and JavaScript specifics.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { inspect } from "node:util";
import * as protocol from "@mcp-startup/protocol";
import {
  assess,
  authorization,
  authRequiredReason,
  authStatus,
  beginSignIn,
  check,
  DecodeError,
  decode,
  decodeLines,
  EncodeError,
  encode,
  finishSignIn,
  judge,
  McpStartupError,
  StartupTracker,
  signOut,
  testCredentialStore,
  watch,
} from "mcp-startup";
import { thrown } from "./lab.mjs";
import { dataFile } from "./places.mjs";

const METHOD = "mcpServer/startupStatus/updated";
const line = (params) => JSON.stringify({ method: METHOD, params });

test("every recorded line of each version of Codex's app-server is decoded and encoded unchanged", () => {
  const recordings = readdirSync(dataFile("fixtures")).filter((name) => /^codex-app-server-.*\.jsonl$/.test(name));
  assert.ok(recordings.length >= 2);
  for (const recording of recordings) {
    const bytes = readFileSync(dataFile(`fixtures/${recording}`));
    const lines = bytes.toString().split("\n").filter((line) => line !== "");
    assert.ok(lines.length > 0);
    for (const line of lines) {
      const { method, params } = JSON.parse(line);
      assert.deepEqual(decode(line), params);
      assert.equal(encode(decode(line)), JSON.stringify({ method, params }));
    }
    const { notifications, errors } = decodeLines(bytes);
    assert.deepEqual([notifications.length, errors], [lines.length, []]);
    assert.equal(new StartupTracker().applyLines(bytes).notifications, lines.length);
  }
});

test("the error for an invalid line names the field and does not quote the line", async () => {
  const error = await thrown(() => decode(line({ name: 7, status: "ready" })));
  assert.ok(error instanceof DecodeError && error instanceof McpStartupError);
  const { name, code, kind, field, message } = error;
  const expected = ["DecodeError", "MCP_STARTUP_DECODE_ERROR", "invalidType", "params.name"];
  assert.deepEqual([name, code, kind, field], expected);
  assert.equal(message, "`params.name` must be a string, not a number");
  assert.doesNotMatch(inspect(await thrown(() => decode("sk-secret"))).split("\n    at")[0], /secret/);
  const [bad] = decodeLines(`\n${line({ name: "a" })}\n`).errors;
  assert.deepEqual([bad.line, bad.error instanceof DecodeError, bad.error.field], [2, true, "params.status"]);
});

test("encode rejects a reason on a known state other than failed, and the tracker drops it", async () => {
  const base = { threadId: null, name: "a", error: null, failureReason: "reauthenticationRequired" };
  for (const status of ["starting", "ready", "cancelled"]) {
    const error = await thrown(() => encode({ ...base, status }));
    assert.ok(error instanceof EncodeError && error instanceof McpStartupError);
    assert.deepEqual([error.code, error.field], ["MCP_STARTUP_ENCODE_ERROR", "params.failureReason"]);
    const [ours, theirs] = [new StartupTracker(), new protocol.StartupTracker()];
    for (const tracker of [ours, theirs]) tracker.apply({ ...base, status });
    assert.equal(ours.server({ name: "a" }).failureReason, null);
    assert.deepEqual(ours.servers(), theirs.servers());
  }
  // An unknown state may have a reason.
  for (const status of ["failed", "paused"]) {
    assert.deepEqual(decode(encode({ ...base, status })), { ...base, status });
  }
});

test("encode fails as in the package without native code", async () => {
  const rows = [undefined, null, 7, "x", [], new Map(), {}, { name: "a" }, { name: 7, status: "ready" }, { name: Number.NaN, status: "ready" }];
  const values = [() => {}, 1n, Symbol("s"), true, {}, [], new Date(0)];
  rows.push(...values.map((error) => ({ name: "a", status: "failed", error })));
  rows.push({ name: "a", status: "ready", failureReason: "reauthenticationRequired" }, { name: "\ud800", status: "ready" });
  for (const row of rows) {
    const [ours, theirs] = [await thrown(() => encode(row)), await thrown(() => protocol.encode(row))];
    assert.ok(ours instanceof EncodeError && theirs instanceof protocol.EncodeError, inspect(row));
    for (const field of ["name", "code", "field", "message"]) assert.equal(ours[field], theirs[field], inspect(row));
  }
});

test("an unknown recovery has no reason of the Agent Host Protocol", () => {
  for (const recovery of ["newer", "__proto__"]) {
    assert.deepEqual([authRequiredReason({ recovery }), protocol.authRequiredReason({ recovery })], [null, null]);
  }
});

test("names of built-in object properties are ordinary names", () => {
  for (const name of ["__proto__", "constructor", "hasOwnProperty"]) {
    const params = `{"__proto__":{"x":1},"name":"${name}","status":"${name}","failureReason":"r"}`;
    const read = decode(`{"method":"${METHOD}","params":${params}}`);
    assert.deepEqual(read, { threadId: null, name, status: name, error: null, failureReason: "r" });
  }
});

test("a tracker keeps at most `limit` servers, and returns null for unknown servers", () => {
  const tracker = new StartupTracker({ limit: 1 });
  for (const name of ["a", "b"]) tracker.apply({ name, status: "ready" });
  assert.deepEqual(tracker.servers().map(({ name }) => name), ["b"]);
  assert.equal(tracker.server({ name: "a" }), null);
  // Also by a server that the tracker returned.
  assert.deepEqual(tracker.server(tracker.servers()[0]), tracker.servers()[0]);
});

test("strings, byte arrays, views and shared buffers are all read", () => {
  const text = `\n${line({ name: "a", status: "ready" })}\n`;
  const bytes = new TextEncoder().encode(text);
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  for (const lines of [text, bytes, Buffer.from(text), new Uint8Array(bytes.buffer, 1), shared]) {
    assert.equal(decodeLines(lines).notifications.length, 1);
  }
});

test("`assess` uses the current time by default", () => {
  const facts = { accessToken: true, refreshToken: false, expiresAtMs: Date.now() + 3_600_000 };
  assert.deepEqual(assess(facts), { accessToken: "good", refreshToken: false });
  assert.equal(assess(facts, facts.expiresAtMs + 1).accessToken, "expired");
});

test("the error for an argument of the wrong type has a code and does not show the argument", async () => {
  const mcpServers = { a: { url: "http://127.0.0.1:1/" } };
  const secret = { token: "sk-secret" };
  const calls = {
    decode: () => decode(secret),
    "decode a view": () => decode(new DataView(new ArrayBuffer(1))),
    decodeLines: () => decodeLines([secret]),
    tracker: () => new StartupTracker({ limit: "sk-secret" }),
    "tracker.server": () => new StartupTracker().server(secret, "a"),
    "tracker.remove": () => new StartupTracker().remove(null),
    judge: () => judge(undefined),
    "judge no evidence": () => judge({ server: 7 }),
    assess: () => assess(secret, "sk-secret"),
    check: () => check({ mcpServers: { a: { env: { BIG: 10n } } } }),
    "watch.retry": () => watch().retry(secret),
    authorization: () => authorization(secret, null, { mcpServers }),
    "authorization, rejected": () => authorization("a", { authorization: secret }, { mcpServers }),
    authStatus: () => authStatus("a", { mcpServers, online: "sk-secret" }),
    beginSignIn: () => beginSignIn("a", secret, { mcpServers }),
    finishSignIn: () => finishSignIn(secret, "http://127.0.0.1/"),
    signOut: () => signOut(undefined),
  };
  for (const [name, call] of Object.entries(calls)) {
    const error = await thrown(call);
    assert.ok(error instanceof McpStartupError, `${name}: ${error.stack}`);
    assert.equal(error.code, "MCP_STARTUP_INVALID_ARGUMENT", name);
    assert.doesNotMatch(inspect(error, { depth: 9 }), /sk-secret/, name);
  }
  assert.equal((await thrown(() => testCredentialStore(undefined))).code, "MCP_STARTUP_INVALID_ARGUMENT");
});

test("inspecting a check or a watch shows no secrets", () => {
  const secret = "sk-secret";
  const mcpServers = { a: { url: "http://127.0.0.1:1/", headers: { Authorization: `Bearer ${secret}` } } };
  const store = { load: async () => secret, replace: async () => true, lock: async () => () => {} };
  for (const events of [check({ mcpServers, store }), watch({ mcpServers, store })]) {
    assert.doesNotMatch(inspect(events, { depth: 9, showHidden: true }), /secret/);
    assert.doesNotMatch(JSON.stringify(events), /secret/);
  }
});
