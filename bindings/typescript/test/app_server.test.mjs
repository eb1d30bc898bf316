// The client of the app-server, with a peer in memory. bindings/node/test/app_server.test.mjs runs it with the program.

import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import test from "node:test";
import { AppServerClient, AppServerError, isUnknownMethod } from "@mcp-startup/protocol/app-server";

const clientInfo = { name: "test", version: "1" };
const SERVER = { userAgent: "peer/1", codexHome: "/home", platformFamily: "unix", platformOs: "linux" };

/** The other end of a client: it records the messages of the client, and writes what a test tells it to. */
class Peer {
  sent = [];
  #arrived = [];

  take(text) {
    for (const line of text.split("\n").filter(Boolean)) {
      const message = JSON.parse(line);
      const waiting = this.#arrived.shift();
      if (waiting) waiting(message);
      else this.sent.push(message);
    }
  }

  /** The next message of the client. */
  async next() {
    return this.sent.shift() ?? new Promise((resolve) => this.#arrived.push(resolve));
  }

  write(...messages) {
    this.writeText(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
  }
}

function nodeStreams() {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const peer = new Peer();
  output.setEncoding("utf8").on("data", (text) => peer.take(text));
  peer.writeText = (text) => input.write(text);
  peer.end = () => input.end();
  return { peer, over: { input, output } };
}

function webStreams() {
  const peer = new Peer();
  const [decoder, encoder] = [new TextDecoder(), new TextEncoder()];
  let controller;
  const input = new ReadableStream({ start: (given) => void (controller = given) });
  const output = new WritableStream({ write: (chunk) => peer.take(decoder.decode(chunk, { stream: true })) });
  peer.writeText = (text) => controller.enqueue(encoder.encode(text));
  peer.end = () => controller.close();
  return { peer, over: { input, output } };
}

/** A WebSocket that is being opened. */
function webSocket() {
  const peer = new Peer();
  const socket = Object.assign(new EventTarget(), { readyState: 0, bufferedAmount: 0 });
  const emit = (type, fields = {}) => socket.dispatchEvent(Object.assign(new Event(type), fields));
  socket.send = (text) => {
    assert.equal(socket.readyState, 1);
    peer.take(text);
  };
  peer.end = (code = 1006, reason = "") => {
    if (socket.readyState === 3) return;
    socket.readyState = 3;
    queueMicrotask(() => emit("close", { code, reason }));
  };
  socket.close = () => peer.end(1000);
  peer.open = () => {
    socket.readyState = 1;
    emit("open");
  };
  peer.writeText = (text) => {
    for (const data of text.split("\n").filter(Boolean)) emit("message", { data });
  };
  peer.writeBinary = (data) => emit("message", { data });
  queueMicrotask(() => peer.open());
  return { peer, over: socket };
}

/** A client that has been initialized. */
async function connected(options = {}, { peer, over } = nodeStreams()) {
  const connecting = AppServerClient.connect(over, { clientInfo, ...options });
  const { id, method, params } = await peer.next();
  assert.equal(method, "initialize");
  assert.deepEqual(params.clientInfo, clientInfo);
  peer.write({ id, result: SERVER });
  const client = await connecting;
  assert.deepEqual(await peer.next(), { method: "initialized" });
  return { client, peer };
}

const startup = (name, status) => ({
  method: "mcpServer/startupStatus/updated",
  params: { threadId: null, name, status, error: null, failureReason: null },
  emittedAtMs: 5,
});

const progress = (requestId, fields = {}) => ({
  method: "mcpStartup/toolCall/progress",
  params: { requestId, threadId: "t", server: "a", progress: 1, total: null, message: null, ...fields },
});

const INVALID_PROGRESS = [
  { requestId: null },
  { requestId: 1.5 },
  { requestId: [1] },
  { threadId: null },
  { server: 7 },
  { progress: null },
  { progress: "1" },
  { total: undefined },
  { total: "3" },
  { message: 7 },
];

for (const transport of [nodeStreams, webStreams, webSocket]) {
  test(`${transport.name}: a request has the response with its ID in any order`, async () => {
    const { client, peer } = await connected({}, transport());
    assert.deepEqual(client.server, SERVER);
    const [first, second] = [client.request("mcpStartup/retry", { name: "a" }), client.request("x/y")];
    const sent = [await peer.next(), await peer.next()];
    assert.deepEqual(sent[0], { id: sent[0].id, method: "mcpStartup/retry", params: { name: "a" } });
    assert.deepEqual(sent[1], { id: sent[1].id, method: "x/y" });
    peer.write({ id: sent[1].id, result: 2 }, { id: sent[0].id, result: {} });
    assert.deepEqual([await first, await second], [{}, 2]);
    client.close();
  });

  test(`${transport.name}: the end of the connection rejects every request and sign-in once`, async () => {
    const { client, peer } = await connected({}, transport());
    const login = client.login({ name: "a" });
    peer.write({ id: (await peer.next()).id, result: { authorizationUrl: "http://a", loginId: "1" } });
    const { completed } = await login;
    const waiting = [client.request("x"), client.request("y"), completed];
    peer.end();
    const errors = (await Promise.allSettled(waiting)).map(({ reason }) => reason);
    assert.deepEqual(errors.map(({ kind }) => kind), ["closed", "closed", "closed"]);
    assert.equal((await client.closed).kind, "closed");
    await assert.rejects(client.request("z"), { kind: "closed" });
  });

  test(`${transport.name}: close() rejects what is pending, and sends nothing more`, async () => {
    const { client, peer } = await connected({}, transport());
    const pending = client.request("x");
    client.close();
    client.close();
    await assert.rejects(pending, { kind: "closed", message: /by this program/ });
    await peer.next();
    assert.deepEqual(peer.sent, []);
  });
}

test("a message may arrive in parts, in the middle of a character, and several in one chunk", async () => {
  const received = [];
  const { over, peer } = nodeStreams();
  const { client } = await connected({ onNotification: ({ params }) => received.push(params?.name) }, { over, peer });
  const bytes = Buffer.from(`${JSON.stringify(startup("ä€😀", "ready"))}\r\n`);
  for (const byte of bytes) over.input.write(Uint8Array.of(byte));
  const request = client.request("x");
  const { id } = await peer.next();
  peer.writeText(`\n${JSON.stringify(startup("b", "ready"))}\n\n${JSON.stringify({ id, result: 1 })}\n{"method"`);
  assert.equal(await request, 1);
  const next = client.request("y");
  peer.writeText(`:"z"}\n{"id":${(await peer.next()).id},"result":null}\n`);
  assert.equal(await next, null);
  assert.deepEqual(received, ["ä€😀", "b", undefined]);
  client.close();
});

test("invalid messages are reported and ignored", async () => {
  const invalid = [];
  const { client, peer } = await connected({ onInvalidMessage: (text) => invalid.push(text) });
  const garbage = [
    "INFO started",
    "[]",
    "null",
    "{}",
    '{"id":null,"error":{"code":-32700,"message":"not JSON"}}',
    '{"id":99,"result":1}',
    '{"id":0,"result":1,"error":{}}',
    '{"method":"mcpServer/startupStatus/updated","params":{"name":7}}',
    '{"method":"mcpServer/oauthLogin/completed","params":null}',
    '{"method":"mcpStartup/failure/updated"}',
    '{"method":7}',
    '{"method":"mcpStartup/toolCall/progress"}',
    ...INVALID_PROGRESS.map((fields) => JSON.stringify(progress(1, fields))),
    // JSON has larger numbers than JavaScript.
    JSON.stringify(progress(1)).replace('"progress":1', '"progress":1e999'),
  ];
  const request = client.request("x");
  const { id } = await peer.next();
  peer.writeText(`${garbage.join("\n")}\n{"id":${id},"result":true}\n`);
  assert.equal(await request, true);
  assert.deepEqual(invalid, garbage);
  client.close();
});

test("a binary frame is reported as null", async () => {
  const invalid = [];
  const { client, peer } = await connected({ onInvalidMessage: (text) => invalid.push(text) }, webSocket());
  peer.writeBinary(new ArrayBuffer(2));
  assert.deepEqual(invalid, [null]);
  client.close();
});

test("a message that is too long ends the connection, also before its end", async () => {
  for (const transport of [nodeStreams, webSocket]) {
    const { client, peer } = await connected({ maxMessageLength: 1000 }, transport());
    peer.writeText("x".repeat(600));
    peer.writeText("x".repeat(1001));
    assert.match((await client.closed).message, /more than 1000 characters/);
  }
});

test("notifications arrive in order, typed by `type`, and unknown ones are kept", async () => {
  const received = [];
  const { client, peer } = await connected({ onNotification: (notification) => received.push(notification) });
  const details = { failure: null, warning: null, notSaved: null, configurationWarnings: [], retryInMs: 9 };
  peer.write(
    startup("a", "paused"),
    { method: "mcpStartup/failure/updated", params: { threadId: null, name: "a", ...details } },
    { method: "mcpStartup/servers/updated", params: {} },
    { method: "thread/started", params: { thread: {} } },
    { id: "s1", method: "mcpServer/elicitation/request", params: {} },
  );
  const refusal = await peer.next();
  assert.deepEqual([refusal.id, refusal.error.code], ["s1", -32601]);
  assert.deepEqual(received.map(({ type, method }) => [type, method]), [
    ["startupStatus", "mcpServer/startupStatus/updated"],
    ["failure", "mcpStartup/failure/updated"],
    ["serversUpdated", "mcpStartup/servers/updated"],
    ["unknown", "thread/started"],
  ]);
  assert.deepEqual([received[0].params.status, received[0].emittedAtMs], ["paused", 5]);
  assert.equal(received[3].emittedAtMs, null);
  client.close();
});

for (const transport of [nodeStreams, webStreams, webSocket]) {
  test(`${transport.name}: the progress of each request reaches its caller, in order, before the response`, async () => {
    const [events, notified] = [[], []];
    const onNotification = ({ type, params }) => notified.push([type, params.requestId, params.progress]);
    const { client, peer } = await connected({ onNotification }, transport());
    const call = async (name) => {
      const params = { threadId: "t", server: "a", tool: name };
      const onProgress = ({ progress, total, message }) => events.push([name, progress, total, message]);
      await client.request("mcpServer/tool/call", params, { onProgress });
      events.push([name, "ended"]);
    };
    const calls = [call("first"), call("second")];
    const [first, second] = [(await peer.next()).id, (await peer.next()).id];
    const silent = client.request("x");
    const { id } = await peer.next();
    peer.write(
      progress(first, { total: 3, message: "begun" }),
      progress(second, { progress: 0.5 }),
      // There is no such request, it has no `onProgress`, or it has ended.
      ...[99, -1, String(first), "__proto__", id, 0].map((requestId) => progress(requestId)),
      progress(first, { progress: 2 }),
      { id: first, result: {} },
      progress(first, { progress: 3 }),
      { id: second, error: { code: -32603, message: "no" } },
      progress(second),
      { id, result: {} },
    );
    await assert.rejects(calls[1], { kind: "failed" });
    await Promise.all([calls[0], silent]);
    assert.deepEqual(events, [
      ["first", 1, 3, "begun"],
      ["second", 0.5, null, null],
      ["first", 2, null, null],
      ["first", "ended"],
    ]);
    const requestIds = [first, second, 99, -1, String(first), "__proto__", id, 0, first, first, second];
    const counts = [1, 0.5, 1, 1, 1, 1, 1, 1, 2, 3, 1];
    assert.deepEqual(notified, requestIds.map((requestId, index) => ["toolCallProgress", requestId, counts[index]]));
    client.close();
  });
}

test("a request that is aborted, overdue or closed has no more progress", async () => {
  const { client, peer } = await connected();
  const controller = new AbortController();
  const events = [];
  const begin = async (name, options, onProgress = () => {}) => {
    const request = client.request(name, {}, { ...options, onProgress: ({ progress }) => onProgress(events.push([name, progress])) });
    // A rejection is awaited later.
    request.catch(() => {});
    return { request, id: (await peer.next()).id };
  };
  // Both messages are in one chunk: the abort is effective at once.
  const aborted = await begin("aborted", { signal: controller.signal }, () => controller.abort());
  peer.write(progress(aborted.id), progress(aborted.id, { progress: 2 }));
  await assert.rejects(aborted.request, { name: "AbortError" });
  assert.equal((await peer.next()).method, "mcpStartup/request/cancel");

  const overdue = await begin("overdue", { timeoutMs: 5 });
  await assert.rejects(overdue.request, { kind: "timedOut" });
  assert.equal((await peer.next()).method, "mcpStartup/request/cancel");
  const closed = await begin("closed", {}, () => client.close());
  peer.write(progress(overdue.id), progress(closed.id), progress(closed.id, { progress: 2 }));
  await assert.rejects(closed.request, { kind: "closed" });
  assert.deepEqual(events, [["aborted", 1], ["closed", 1]]);
});

test("an error of `onProgress` is uncaught, and the request continues", async (context) => {
  const { client, peer } = await connected();
  const received = [];
  const request = client.request("x", {}, {
    onProgress: ({ progress }) => {
      received.push(progress);
      throw new Error(`of ${progress}`);
    },
  });
  const { id } = await peer.next();
  const uncaught = [];
  // The test runner listens, too.
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  context.after(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of listeners) process.on("uncaughtException", listener);
  });
  process.on("uncaughtException", ({ message }) => uncaught.push(message));
  peer.write(progress(id), progress(id, { progress: 2 }), { id, result: 7 });
  assert.equal(await request, 7);
  assert.deepEqual([received, uncaught], [[1, 2], ["of 1", "of 2"]]);
  client.close();
});

test("a notification in the chunk of the response to `initialize` is not lost", async () => {
  const received = [];
  const { peer, over } = nodeStreams();
  const connecting = AppServerClient.connect(over, { clientInfo, onNotification: ({ method }) => received.push(method) });
  peer.write({ id: (await peer.next()).id, result: SERVER }, { method: "early" });
  (await connecting).close();
  assert.deepEqual(received, ["early"]);
});

const ERRORS = [
  [{ code: -32601, message: "The method `x` does not exist." }, "refused", true],
  [{ code: -32600, message: "Invalid request: unknown variant `x`, expected one of `initialize`" }, "refused", true],
  [{ code: -32600, message: "Invalid request: unknown variant `y`, expected `full`" }, "refused", false],
  [{ code: -32602, message: "Invalid `params.name`" }, "refused", false],
  [{ code: -32001, message: "Server overloaded; retry later." }, "overloaded", false],
  [{ code: -32603, message: "The server is not connected.", data: { reason: "notConnected" } }, "failed", false],
  [{ code: 7 }, "invalidResponse", false],
  [null, "invalidResponse", false],
];
for (const [error, kind, unknown] of ERRORS) {
  test(`the error ${JSON.stringify(error)} has the kind ${kind}`, async () => {
    const { client, peer } = await connected();
    const request = client.request("x");
    peer.write({ id: (await peer.next()).id, error });
    const thrown = await request.catch((thrown) => thrown);
    assert.ok(thrown instanceof AppServerError);
    assert.deepEqual([thrown.kind, thrown.method, isUnknownMethod(thrown)], [kind, "x", unknown]);
    if (kind !== "invalidResponse") assert.deepEqual([thrown.code, thrown.message], [error.code, error.message]);
    assert.equal(thrown.reason, error?.data?.reason ?? null);
    client.close();
  });
}

test("the error of an MCP server that Codex passes on does not mean that the app-server lacks the method", async () => {
  const { client, peer } = await connected();
  const request = client.request("mcpServer/tool/call", { threadId: "t", server: "a", tool: "b" });
  peer.write({ id: (await peer.next()).id, error: { code: -32601, message: "Method not found: tools/call" } });
  await assert.rejects(request, (error) => !isUnknownMethod(error) && error.code === -32601);
  client.close();
});

test("an aborted request rejects with the reason, is cancelled, and its late response is ignored", async () => {
  const invalid = [];
  const { client, peer } = await connected({ onInvalidMessage: (text) => invalid.push(text) });
  const controller = new AbortController();
  const request = client.request("x", {}, { signal: controller.signal });
  const { id } = await peer.next();
  controller.abort(new Error("enough"));
  await assert.rejects(request, { message: "enough" });
  const cancel = await peer.next();
  assert.deepEqual([cancel.method, cancel.params], ["mcpStartup/request/cancel", { requestId: id }]);
  await assert.rejects(client.request("y", {}, { signal: controller.signal }), { message: "enough" });
  const after = client.request("z");
  peer.write({ id, result: 1 }, { id: cancel.id, result: {} }, { id: (await peer.next()).id, result: 2 });
  assert.equal(await after, 2);
  assert.deepEqual(invalid, []);
  client.close();
});

test("a request ends at its deadline, and is cancelled", async () => {
  const { client, peer } = await connected();
  await assert.rejects(client.request("x", {}, { timeoutMs: 5 }), { kind: "timedOut", message: /`x` within 5 ms/ });
  await peer.next();
  assert.equal((await peer.next()).method, "mcpStartup/request/cancel");
  client.close();
});

test("at most 1,024 requests are pending", async () => {
  const { client } = await connected();
  const pending = Array.from({ length: 1024 }, () => client.request("x"));
  await assert.rejects(client.request("x"), { kind: "overloaded", code: null });
  client.close();
  const errors = await Promise.allSettled(pending);
  assert.ok(errors.every(({ reason }) => reason.kind === "closed"));
});

test("an app-server that does not read gets at most 16 MiB", async () => {
  const { over, peer } = webSocket();
  const { client } = await connected({}, { over, peer });
  over.bufferedAmount = 16 * 1024 * 1024 + 1;
  await assert.rejects(client.request("x"), { kind: "overloaded" });
  peer.write({ id: 1, method: "mcpServer/elicitation/request" });
  assert.deepEqual(peer.sent, []);
  client.close();
});

test("servers() reads every page, and refuses a cursor that repeats", async () => {
  const { client, peer } = await connected();
  const pages = async (...cursors) => {
    for (const nextCursor of cursors) {
      const { id, params } = await peer.next();
      peer.write({ id, result: { data: [{ name: params.cursor ?? "first" }], nextCursor } });
    }
  };
  const names = async () => {
    const names = [];
    for await (const { name } of client.servers({ limit: 1 })) names.push(name);
    return names;
  };
  const [read] = await Promise.all([names(), pages("a", "b", null)]);
  assert.deepEqual(read, ["first", "a", "b"]);
  await Promise.all([assert.rejects(names(), { kind: "invalidResponse" }), pages("a", "a")]);
  client.close();
});

test("a sign-in ends with the notification of its ID, also in the chunk of its response", async () => {
  const { client, peer } = await connected();
  const completed = (loginId, success) => ({
    method: "mcpServer/oauthLogin/completed",
    params: { name: "a", threadId: null, loginId, success },
  });
  const login = client.login({ name: "a", scopes: ["s"] });
  const { id, params } = await peer.next();
  assert.deepEqual(params, { name: "a", scopes: ["s"] });
  const result = { authorizationUrl: "http://a", loginId: "2" };
  peer.write(completed("2", false), { id, result }, completed("1", false), completed("2", true));
  assert.equal((await (await login).completed).success, true);

  const other = client.login({ name: "a" });
  peer.write({ id: (await peer.next()).id, result: { authorizationUrl: "http://a" } }, completed(null, true));
  assert.equal((await (await other).completed).success, true);
  client.close();
});

test("the signal of a sign-in cancels it", async () => {
  const { client, peer } = await connected();
  const controller = new AbortController();
  const login = client.login({ name: "a" }, { signal: controller.signal });
  peer.write({ id: (await peer.next()).id, result: { authorizationUrl: "http://a", loginId: "7" } });
  const { completed } = await login;
  controller.abort();
  await assert.rejects(completed, { name: "AbortError" });
  const { method, params } = await peer.next();
  assert.deepEqual([method, params], ["mcpStartup/login/cancel", { loginId: "7" }]);
  client.close();
});

test("the token is the first frame of a WebSocket, and a refusal ends the connection", async () => {
  const { over, peer } = webSocket();
  const connecting = AppServerClient.connect(over, { clientInfo, token: "secret" });
  const { id, method, params } = await peer.next();
  assert.deepEqual([method, params], ["mcpStartup/authenticate", { token: "secret" }]);
  peer.write({ id, error: { code: -32600, message: "Send the token", data: { reason: "unauthorized" } } });
  await assert.rejects(connecting, { kind: "refused", reason: "unauthorized" });
  assert.equal(over.readyState, 3);
});

test("a WebSocket that can't be opened, or is closed already, rejects with the code", async () => {
  const { over, peer } = webSocket();
  peer.open = () => peer.end(1006, "no one there");
  await assert.rejects(AppServerClient.connect(over, { clientInfo }), { kind: "closed", message: /1006 \(no one there\)/ });
  await assert.rejects(AppServerClient.connect(over, { clientInfo }), { kind: "closed", message: /already closed/ });
});

test("connecting ends at its deadline and by its signal", async () => {
  const { over, peer } = webSocket();
  peer.open = () => {};
  await assert.rejects(AppServerClient.connect(over, { clientInfo, timeoutMs: 5 }), { kind: "timedOut" });
  const controller = new AbortController();
  const connecting = AppServerClient.connect(nodeStreams().over, { clientInfo, signal: controller.signal });
  controller.abort();
  await assert.rejects(connecting, { name: "AbortError" });
  for (const { over, peer } of [nodeStreams(), webSocket()]) {
    await assert.rejects(AppServerClient.connect(over, { clientInfo, signal: controller.signal }), { name: "AbortError" });
    assert.ok(over.output?.writableEnded ?? over.readyState === 3);
    assert.deepEqual(peer.sent, []);
  }
});

test("the response of a program that has exited already is received", async () => {
  const { over, peer } = nodeStreams();
  const { client } = await connected({}, { over, peer });
  const request = client.request("x");
  const { id } = await peer.next();
  over.output.destroy();
  await new Promise((resolve) => over.output.once("close", resolve));
  peer.write({ id, result: 1 });
  assert.equal(await request, 1);
  await assert.rejects(client.request("y"), { kind: "closed", message: /its input is closed/ });
});
