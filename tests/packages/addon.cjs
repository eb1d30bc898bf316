// Uses the Node addon for another system: judges evidence, and checks a server over stdio that starts, and one over HTTP that refuses the
// request. Prints one line.
//
//     node addon.cjs ADDON      ADDON is the file of the addon, or the folder of the npm package with the addon
//
// It needs only Node, and no network except loopback.
"use strict";
const assert = require("node:assert/strict");
const { createServer } = require("node:http");
const { resolve } = require("node:path");

// Speaks MCP over stdio.
const SERVER = `
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const results = {
    initialize: { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "local", version: "1" } },
    "tools/list": { tools: [{ name: "echo", inputSchema: { type: "object" } }] },
  };
  const result = results[method];
  const answer = result ? { result } : { error: { code: -32601, message: "Method not found" } };
  console.log(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
});`;

// A server that has just started an emulator can be slow.
const TIMEOUT_MS = 120_000;

// Returns what the file of the addon exports with the names that the npm package has.
function packageOf(addon) {
  if (addon.check) return addon;
  const ok = (text) => {
    const answer = JSON.parse(text);
    assert.ok("ok" in answer, text);
    return answer.ok;
  };
  return {
    judge: (evidence) => ok(addon.judge(JSON.stringify(evidence))),
    async *check(options) {
      const events = addon.Events.ofCheck(JSON.stringify(options), null);
      for (;;) {
        const batch = ok(await new Promise((done) => events.next(done)));
        if (batch.length === 0) return;
        yield* batch;
      }
    },
  };
}

async function main(path) {
  const addon = require(resolve(path));
  const { judge, check } = packageOf(addon);

  const failure = judge({
    server: "linear",
    credential: { source: "stored", worth: { accessToken: "good", refreshToken: false } },
    requests: [{ to: "mcp", credentialSent: "stored", status: 401 }],
  });
  assert.deepEqual([failure.kind, failure.recovery], ["reauthenticationRequired", "reauthenticate"]);

  // Refuses each request, and publishes no OAuth metadata.
  const remote = createServer((request, response) => response.writeHead(request.url === "/mcp" ? 403 : 404).end());
  await new Promise((listening) => remote.listen(0, "127.0.0.1", listening));
  const mcpServers = {
    local: { command: process.execPath, args: ["-e", SERVER] },
    remote: { url: `http://127.0.0.1:${remote.address().port}/mcp` },
  };
  const results = {};
  for await (const { notification, failure, tools } of check({ mcpServers, timeoutMs: TIMEOUT_MS })) {
    (results[notification.name] ??= []).push([notification.status, failure?.kind ?? tools ?? null]);
  }
  remote.close();
  assert.deepEqual(results, {
    local: [["starting", null], ["ready", 1]],
    remote: [["starting", null], ["failed", "accessDenied"]],
  });
  return `${Object.keys(addon).length} functions, 1 verdict, 2 servers in Node ${process.version} ${process.platform} ${process.arch}`;
}

main(process.argv[2]).then(console.log, (error) => {
  console.error(error);
  process.exitCode = 1;
});
