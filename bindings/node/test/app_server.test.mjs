// The client of `@mcp-startup/protocol` with the app-server of the program, over stdio and over a WebSocket.
// MCP_STARTUP_PROGRAM names another program than that of the package, and MCP_STARTUP_CODEX a `codex`, whose app-server is tested too.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import test, { after } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { AppServerClient, isUnknownMethod } from "@mcp-startup/protocol/app-server";
import { startLab } from "./lab.mjs";
import { program } from "./places.mjs";

const EXAMPLE = join(import.meta.dirname, "../../typescript/examples/app_server.mjs");
const TOKEN = "0123456789abcdef";
const lab = await startLab(after);

// An MCP server with a tool `echo`, a tool `count` that reports progress, a tool `wait` that never answers and writes a file if it is
// cancelled, and a resource.
const TOOLS = `
const { appendFileSync } = require("node:fs");
const results = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion, capabilities: { tools: {}, resources: {} }, serverInfo: { name: "tools", version: "1" },
  }),
  "tools/list": () => ({ tools: ["echo", "count", "wait"].map((name) => ({ name, inputSchema: { type: "object" } })) }),
  "resources/list": () => ({ resources: [{ uri: "file:///a", name: "a" }] }),
  "resources/templates/list": () => ({ resourceTemplates: [] }),
  "resources/read": ({ uri }) => ({ contents: [{ uri, text: "the text" }] }),
  "tools/call": (call) => {
    if (call.name === "count") count(call.arguments.to, call._meta.progressToken);
    return call.name !== "wait" && { content: [{ type: "text", text: call.arguments.text ?? "" }] };
  },
};
function count(to, progressToken) {
  for (let progress = 1; progress <= to; progress += 1) {
    const params = { progressToken, progress, ...(progress === to ? { total: to, message: "last" } : {}) };
    console.log(JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params }));
  }
}
require("node:readline").createInterface(process.stdin).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === "notifications/cancelled") appendFileSync(process.argv[1], "cancelled");
  if (id === undefined) return;
  const result = results[method]?.(params);
  const error = { code: -32601, message: "Method not found" };
  if (result !== false) console.log(JSON.stringify({ jsonrpc: "2.0", id, ...(result ? { result } : { error }) }));
});
`;

/** A user whose configuration of Codex has these rows of the lab, and the server `tools` if it is one of them. */
class User {
  constructor(context, ...rows) {
    this.home = mkdtempSync(join(tmpdir(), "mcp-startup-"));
    context.after(() => rmSync(this.home, { recursive: true, force: true }));
    mkdirSync(join(this.home, ".codex"));
    this.config = join(this.home, ".codex/config.toml");
    this.configure(...rows);
  }

  configure(...rows) {
    this.cancelled = join(this.home, "cancelled");
    const tools = { command: process.execPath, args: ["-e", TOOLS, this.cancelled] };
    const servers = { ...lab.servers(...rows.filter((row) => row !== "tools")), ...(rows.includes("tools") && { tools }) };
    const entries = Object.entries(servers).map(([name, entry]) => {
      // Strings and arrays of strings have the same syntax in JSON and in TOML.
      const lines = Object.entries(entry).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
      return `\n[mcp_servers.${JSON.stringify(name)}]\n${lines.join("")}`;
    });
    writeFileSync(this.config, `mcp_oauth_credentials_store = "file"\n${entries.join("")}`);
  }

  get environment() {
    const { CODEX_HOME: _, ...kept } = process.env;
    return { ...kept, HOME: this.home, USERPROFILE: this.home };
  }

  spawn(context, args, stdin) {
    return this.spawnCommand(context, [...program, "app-server", "--config", this.config, ...args], stdin);
  }

  spawnCommand(context, [command, ...args], stdin, stderr = "inherit") {
    const child = spawn(command, args, {
      env: this.environment,
      stdio: [stdin, "pipe", stderr],
    });
    child.exited = once(child, "exit");
    context.after(async () => {
      child.kill("SIGTERM");
      await child.exited;
    });
    return child;
  }
}

async function stdio(context, user) {
  const child = user.spawn(context, [], "pipe");
  return { over: { input: child.stdout, output: child.stdin }, exited: child.exited };
}

async function webSocket(context, user) {
  const file = join(user.home, "token");
  writeFileSync(file, TOKEN, { mode: 0o600 });
  const listen = ["--listen", "ws://127.0.0.1:0", "--ws-auth", "capability-token", "--ws-token-file", file];
  const child = user.spawn(context, listen, "ignore");
  const [address] = await once(createInterface(child.stdout), "line");
  return { over: new WebSocket(address), options: { token: TOKEN }, address };
}

/** A connected client that records the notifications. */
async function connected({ over, options }) {
  const notifications = [];
  const waiting = new Set();
  const client = await AppServerClient.connect(over, {
    clientInfo: { name: "test", version: "1" },
    timeoutMs: 30_000,
    ...options,
    onNotification: (notification) => {
      notifications.push(notification);
      for (const check of waiting) check();
    },
    onInvalidMessage: (text) => assert.fail(`invalid: ${text}`),
  });
  /** Waits for the first result of `find` that is not `undefined`, also among the notifications before. */
  const until = (find) =>
    new Promise((resolve, reject) => {
      const check = () => {
        const found = find();
        if (found === undefined) return;
        waiting.delete(check);
        resolve(found);
      };
      waiting.add(check);
      check();
      void client.closed.then(reject);
    });
  const notified = (matches) => until(() => notifications.find(matches));
  /** Waits until the states of a server, in order, are these. */
  const states = (name, expected) =>
    until(() => {
      const ofServer = notifications.filter(({ type, params }) => type === "startupStatus" && params.name === name);
      return ofServer.map(({ params }) => params.status).join() === expected.join() ? true : undefined;
    });
  return { client, notifications, notified, states };
}

const missing = (transport) =>
  transport === webSocket && !("WebSocket" in globalThis) && "this Node has no WebSocket: use Node 22 or later";

for (const transport of [stdio, webSocket]) {
  const options = { timeout: 60_000, skip: missing(transport) };

  test(`${transport.name}: states, tools, a sign-in, a sign-out and a reload`, options, async (context) => {
    const user = new User(context, "first-sign-in", "stdio-ready");
    const connection = await transport(context, user);
    const { client, notifications, states } = await connected(connection);
    assert.match(client.server.userAgent, /^mcp-startup\//);

    const { thread } = await client.request("thread/start");
    const servers = [];
    for await (const server of client.servers({ limit: 1 })) servers.push(server);
    assert.deepEqual(servers.map(({ name, runtimeStatus, authStatus }) => [name, runtimeStatus, authStatus]), [
      ["first-sign-in", "authenticationRequired", "notLoggedIn"],
      ["stdio-ready", "connected", "unsupported"],
    ]);
    await states("stdio-ready", ["starting", "ready"]);
    await states("first-sign-in", ["starting", "failed"]);
    const call = { threadId: thread.id, server: "first-sign-in", tool: "echo" };
    await assert.rejects(client.request("mcpServer/tool/call", call), {
      kind: "failed",
      code: -32603,
      reason: "notConnected",
    });

    const { failure } = await client.request("mcpStartup/failure/read", { name: "first-sign-in" });
    assert.deepEqual([failure.kind, failure.recovery], ["signInRequired", "signIn"]);
    const known = notifications.find(({ type, params }) => type === "failure" && params.name === "first-sign-in");
    assert.equal(known.params.failure.kind, "signInRequired");

    const login = await client.login({ name: "first-sign-in" });
    assert.equal((await fetch(login.authorizationUrl)).status, 200);
    assert.deepEqual(await login.completed, { name: "first-sign-in", threadId: null, loginId: login.loginId, success: true });
    await states("first-sign-in", ["starting", "failed", "starting", "ready"]);
    assert.equal((await client.request("mcpStartup/signOut", { name: "first-sign-in" })).wasStored, true);
    await states("first-sign-in", ["starting", "failed", "starting", "ready", "starting", "failed"]);
    await client.request("mcpStartup/retry", { name: "first-sign-in" });

    user.configure("stdio-ready", "ready");
    await client.request("config/mcpServer/reload");
    await states("ready", ["starting", "ready"]);
    assert.ok(Array.isArray((await client.request("mcpStartup/clients/list")).files));
    assert.deepEqual(notifications.filter(({ type }) => type === "unknown"), []);

    client.close();
    assert.equal((await client.closed).kind, "closed");
    if (connection.exited) assert.deepEqual(await connection.exited, [0, null]);
  });

  test(`${transport.name}: tool calls, and a cancellation that the server receives`, options, async (context) => {
    const user = new User(context, "tools");
    const { client, notifications, states } = await connected(await transport(context, user));
    await states("tools", ["starting", "ready"]);
    const threadId = (await client.request("thread/start")).thread.id;
    const call = { threadId, server: "tools", tool: "echo", arguments: { text: "ä€😀\n" } };
    const { content } = await client.request("mcpServer/tool/call", call);
    assert.deepEqual(content, [{ type: "text", text: "ä€😀\n" }]);
    const { contents } = await client.request("mcpServer/resource/read", { server: "tools", uri: "file:///a" });
    assert.deepEqual(contents, [{ uri: "file:///a", text: "the text" }]);

    // Several calls at the same time: each one has its own progress.
    const counts = [1, 2, 3].map(async (to) => {
      const received = [];
      const onProgress = (progress) => received.push(progress);
      await client.request("mcpServer/tool/call", { ...call, tool: "count", arguments: { to } }, { onProgress });
      const ids = new Set(received.map(({ requestId }) => requestId));
      assert.equal(ids.size, 1);
      const [requestId] = ids;
      const steps = Array.from({ length: to }, (_, index) => ({
        requestId,
        threadId,
        server: "tools",
        progress: index + 1,
        total: index + 1 === to ? to : null,
        message: index + 1 === to ? "last" : null,
      }));
      assert.deepEqual(received, steps);
      return notifications.filter(({ type, params }) => type === "toolCallProgress" && params.requestId === requestId).length;
    });
    assert.deepEqual(await Promise.all(counts), [1, 2, 3]);

    const waiting = client.request("mcpServer/tool/call", { ...call, tool: "wait" }, { timeoutMs: 50 });
    await assert.rejects(waiting, { kind: "timedOut" });
    const deadline = Date.now() + 30_000;
    while (!existsSync(user.cancelled)) {
      assert.ok(Date.now() < deadline, "the server was not told");
      await pause(10);
    }
    client.close();
  });

  test(`${transport.name}: errors, and a sign-in that is cancelled`, options, async (context) => {
    const { client, notified } = await connected(await transport(context, new User(context, "first-sign-in")));
    await assert.rejects(client.request("mcpStartup/nothing"), (error) => isUnknownMethod(error) && error.kind === "refused");
    await assert.rejects(client.request("mcpStartup/retry", { name: "other" }), (error) => {
      return !isUnknownMethod(error) && error.kind === "refused" && error.code === -32602;
    });

    const byRequest = await client.login({ name: "first-sign-in" });
    const { loginId } = byRequest;
    assert.deepEqual(await client.request("mcpStartup/login/cancel", { loginId }), { status: "canceled" });
    assert.equal((await byRequest.completed).success, false);

    const controller = new AbortController();
    const bySignal = await client.login({ name: "first-sign-in" }, { signal: controller.signal });
    controller.abort();
    await assert.rejects(bySignal.completed, { name: "AbortError" });
    const ended = await notified(({ type, params }) => type === "loginCompleted" && params.loginId === bySignal.loginId);
    assert.equal(ended.params.success, false);
    client.close();
  });
}

test("a wrong token is refused", { timeout: 60_000, skip: missing(webSocket) }, async (context) => {
  const { over } = await webSocket(context, new User(context, "ready"));
  await assert.rejects(connected({ over, options: { token: "wrong" } }), { kind: "refused", reason: "unauthorized" });
});

test("the end of the program rejects what is pending", { timeout: 60_000 }, async (context) => {
  const user = new User(context, "first-sign-in");
  const child = user.spawn(context, [], "pipe");
  const { client } = await connected({ over: { input: child.stdout, output: child.stdin } });
  const { completed } = await client.login({ name: "first-sign-in" });
  child.kill("SIGKILL");
  await assert.rejects(completed, { kind: "closed" });
  assert.equal((await client.closed).kind, "closed");
});

const { MCP_STARTUP_CODEX } = process.env;
const noCodex = MCP_STARTUP_CODEX === undefined && "MCP_STARTUP_CODEX does not name a `codex`";

test("Codex's app-server: states, a sign-in and notifications", { timeout: 60_000, skip: noCodex }, async (context) => {
  const user = new User(context, "first-sign-in", "server-500", "stdio-ready");
  // A model provider on a closed port, so that Codex does not connect to another machine.
  const provider = '[model_providers.none]\nname = "none"\nbase_url = "http://127.0.0.1:9/v1"\n';
  writeFileSync(user.config, `model_provider = "none"\n${readFileSync(user.config, "utf8")}\n${provider}`);
  const child = user.spawnCommand(context, [MCP_STARTUP_CODEX, "app-server"], "pipe", "ignore");
  const { client, states } = await connected({ over: { input: child.stdout, output: child.stdin } });

  const read = async (params) => {
    const servers = [];
    for await (const server of client.servers({ detail: "toolsAndAuthOnly", limit: 2, ...params })) servers.push(server);
    return servers.map(({ name, runtimeStatus, authStatus, tools }) => [name, runtimeStatus, authStatus, Object.keys(tools).length]);
  };
  // Without a thread, Codex reports no states, and sends no notifications.
  assert.deepEqual(await read(), [
    ["first-sign-in", null, "notLoggedIn", 0],
    ["server-500", null, "unknown", 0],
    ["stdio-ready", null, "unsupported", 3],
  ]);
  await assert.rejects(client.request("mcpStartup/retry", { name: "stdio-ready" }), (error) => {
    return isUnknownMethod(error) && error.kind === "refused" && error.code === -32600;
  });
  await assert.rejects(client.login({ name: "other" }), (error) => !isUnknownMethod(error) && error.kind === "refused");

  const login = await client.login({ name: "first-sign-in" });
  assert.equal((await fetch(login.authorizationUrl)).status, 200);
  assert.deepEqual(await login.completed, { name: "first-sign-in", threadId: null, loginId: login.loginId, success: true });
  const { thread } = await client.request("thread/start", { ephemeral: true });
  await states("first-sign-in", ["starting", "ready"]);
  await states("server-500", ["starting", "failed"]);
  await states("stdio-ready", ["starting", "ready"]);
  const [[, ...signedIn], [, ...failed]] = await read({ threadId: thread.id });
  assert.deepEqual([signedIn.slice(0, 2), failed.slice(0, 2)], [["connected", "oAuth"], ["failed", "unknown"]]);
  client.close();
  assert.deepEqual(await child.exited, [0, null]);
});

test("the example of the README", { timeout: 60_000 }, async (context) => {
  const user = new User(context, "first-sign-in", "stdio-ready");
  const path = join(user.home, "bin");
  mkdirSync(path);
  const quoted = program.map((part) => `'${part}'`).join(" ");
  writeFileSync(join(path, "mcp-startup"), `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
  const environment = { ...user.environment, PATH: path + delimiter + process.env.PATH };
  const child = spawn(process.execPath, [EXAMPLE], { env: environment, cwd: user.home, stdio: ["ignore", "pipe", "inherit"] });
  const lines = [];
  const exited = once(child, "exit");
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (line.startsWith("Open ")) await fetch(line.slice(5));
  }
  assert.deepEqual(await exited, [0, null]);
  assert.ok(lines.includes("stdio-ready is connected, with 3 tools"));
  assert.ok(lines.includes("first-sign-in is authenticationRequired, with 0 tools"));
  assert.ok(lines.includes("Signed in to first-sign-in"));
});
