// Tests `authorizedFetch`: without an SDK, and with both versions of the MCP SDK and a real authorization server.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import test, { after } from "node:test";
import { inspect } from "node:util";
import * as v2 from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { authorizedFetch, InsufficientScopeError, McpStartupError } from "mcp-startup";
import { keyOf, MemoryStore, startLab, thrown } from "./lab.mjs";
import { needsOidc, startOidc } from "./oidc.mjs";

const oidc = await startOidc(after);
const PING = { method: "POST", body: '{"jsonrpc":"2.0","id":1,"method":"ping"}', headers: { "content-type": "application/json" } };

/** A new lab, because the servers remember granted and revoked tokens, and a user of it. */
async function userOf(t, name) {
  const lab = await startLab(t.after.bind(t));
  const store = lab.row(name).stored ? lab.storeOf(name) : new MemoryStore();
  const requests = () => lab.requests(name);
  return {
    url: lab.url(name),
    expect: lab.row(name).expect,
    options: { mcpServers: lab.servers(name), store },
    /** The tokens that the MCP endpoint received, in order, without consecutive repetitions. */
    async tokensSent() {
      const sent = (await requests()).filter(({ to, method }) => to === "mcp" && method === "POST").map(({ token }) => token);
      return sent.filter((token, at) => at === 0 || token !== sent[at - 1]);
    },
    async refreshes() {
      return (await requests()).filter(({ to }) => to === "token").map(({ token }) => token);
    },
  };
}

/** An HTTP server that answers as the test requires, and records the `Authorization` headers that it received. */
async function serve(t, answer) {
  const received = [];
  const server = createServer(async (request, response) => {
    await text(request);
    received.push(request.headers.authorization ?? null);
    const [status, headers] = answer();
    response.writeHead(status, headers).end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${server.address().port}/mcp`;
  const record = { server_name: "server", server_url: url, client_id: "client", access_token: "stored-token", scopes: ["read"] };
  const store = new MemoryStore({ [keyOf("server", url)]: JSON.stringify(record) });
  return { url, received, options: { mcpServers: { server: { url } }, store } };
}

for (const name of ["ready", "ready-stored-token", "bearer-ok", "expired-rotates", "revoked-refreshes", "stale-clock"]) {
  test(`a request gets the credentials of a start: ${name}`, async (t) => {
    const user = await userOf(t, name);
    const send = authorizedFetch(name, user.options);
    assert.notEqual((await send(user.url, PING)).status, 401);
    assert.deepEqual(await user.tokensSent(), user.expect.tokensSent);
    assert.deepEqual(await user.refreshes(), user.expect.refreshTokensSent ?? []);
  });
}

for (const name of ["first-sign-in", "expired-no-refresh", "refresh-invalid-grant", "bearer-rejected"]) {
  test(`the verdict is thrown if no credential is left: ${name}`, async (t) => {
    const user = await userOf(t, name);
    const error = await thrown(() => authorizedFetch(name, user.options)(user.url, PING));
    assert.ok(error instanceof McpStartupError, error.stack);
    assert.deepEqual([error.code, error.failure.kind], ["MCP_STARTUP_FAILURE", user.expect.kind]);
  });
}

test("concurrent requests share one refresh", async (t) => {
  const user = await userOf(t, "expired-rotates");
  const send = authorizedFetch("expired-rotates", user.options);
  const responses = await Promise.all(Array.from({ length: 5 }, () => send(user.url, PING)));
  assert.ok(responses.every(({ status }) => status !== 401));
  assert.deepEqual(await user.refreshes(), ["good-refresh"]);
});

test("a body is sent again if it can be read again", async (t) => {
  const stream = () => ReadableStream.from([new TextEncoder().encode(PING.body)]);
  const rows = [
    ["a string", (url) => [url, PING], true],
    ["bytes", (url) => [new URL(url), { ...PING, body: new TextEncoder().encode(PING.body) }], true],
    ["a request", (url) => [new Request(url, PING)], true],
    ["a stream", (url) => [url, { ...PING, body: stream(), duplex: "half" }], false],
  ];
  for (const [what, request, repeats] of rows) {
    const user = await userOf(t, "revoked-refreshes");
    const send = authorizedFetch("revoked-refreshes", user.options);
    const { status } = await send(...request(user.url));
    assert.equal(status !== 401, repeats, `${what}: ${status}`);
    // In any case, the next request has the new token.
    assert.notEqual((await send(user.url, PING)).status, 401);
    assert.deepEqual(await user.tokensSent(), ["revoked-token", "fresh-token-1"]);
  }
});

const CHALLENGE = 'Bearer error="insufficient_scope", scope="write"';

test("a request that needs more scopes throws an error with the challenge", async (t) => {
  const server = await serve(t, () => [403, { "WWW-Authenticate": CHALLENGE }]);
  const error = await thrown(() => authorizedFetch("server", server.options)(server.url, PING));
  assert.ok(error instanceof InsufficientScopeError && error instanceof McpStartupError, error.stack);
  assert.deepEqual([error.code, error.challenge], ["MCP_STARTUP_FAILURE", CHALLENGE]);
  assert.deepEqual([error.failure.kind, error.failure.recovery], ["insufficientScope", "grantScope"]);
  assert.deepEqual(server.received, ["Bearer stored-token"]);
  assert.doesNotMatch(inspect(error, { depth: 9 }), /stored-token/);
});

test("another 403 is a response", async (t) => {
  const server = await serve(t, () => [403, { "WWW-Authenticate": 'Bearer error="not_insufficient_scope"' }]);
  assert.equal((await authorizedFetch("server", server.options)(server.url, PING)).status, 403);
  assert.deepEqual(server.received, ["Bearer stored-token"]);
});

test("another origin gets no token, and its refusal is a response", async (t) => {
  const other = await serve(t, () => [401, { "WWW-Authenticate": "Bearer" }]);
  const server = await serve(t, () => [200, {}]);
  const send = authorizedFetch("server", server.options);
  assert.equal((await send(other.url, PING)).status, 401);
  assert.equal((await send(new Request(other.url, PING))).status, 401);
  assert.deepEqual(other.received, [null, null]);
});

for (const status of [302, 307]) {
  test(`a redirect to another origin carries no token: ${status}`, async (t) => {
    const other = await serve(t, () => [401, { "WWW-Authenticate": "Bearer" }]);
    const server = await serve(t, () => [status, { Location: other.url }]);
    assert.equal((await authorizedFetch("server", server.options)(server.url, PING)).status, 401);
    assert.deepEqual([server.received, other.received], [["Bearer stored-token"], [null]]);
  });
}

test("the signal of a request ends the wait for its header", async () => {
  const store = { load: () => new Promise(() => {}), replace: async () => false, lock: async () => () => {} };
  const send = authorizedFetch("server", { mcpServers: { server: { url: "http://127.0.0.1:1/" } }, store });
  const abort = new AbortController();
  setImmediate(() => abort.abort(new Error("stopped")));
  assert.equal((await thrown(() => send("http://127.0.0.1:1/", { signal: abort.signal }))).message, "stopped");
});

test("a program has no requests to authorize, and an invalid option is refused by the call", async () => {
  const send = authorizedFetch("files", { mcpServers: { files: { command: "files" } } });
  const error = await thrown(() => send("http://127.0.0.1:1/"));
  assert.equal(error.code, "MCP_STARTUP_INVALID_ARGUMENT");
  assert.match(error.message, /`files` is a program/);
  assert.throws(() => authorizedFetch("files", { timout: 1 }), /did you mean `timeoutMs`/);
});

test("a request that `fetch` refuses is refused in its words", async () => {
  const send = authorizedFetch("a", { mcpServers: { a: { url: "http://127.0.0.1:1/" } } });
  for (const input of [undefined, null, "no URL"]) assert.match((await thrown(() => send(input))).message, /Failed to parse URL/);
});

/** Connects with each version of the SDK. */
const CLIENTS = {
  "SDK 1": (url, send) => connect(new ClientV1({ name: "test", version: "1" }), new TransportV1(url, { fetch: send })),
  "SDK 2": (url, send) =>
    connect(new v2.Client({ name: "test", version: "1" }), new v2.StreamableHTTPClientTransport(url, { fetch: send })),
};

async function connect(client, transport) {
  await client.connect(transport);
  return client;
}

const toolsOf = async (client) => (await client.listTools()).tools.map(({ name }) => name);

for (const [sdk, client] of Object.entries(CLIENTS)) {
  const name = sdk.toLowerCase().replace(" ", "-");

  test(`${sdk}: an expired token is refreshed once`, needsOidc, async (t) => {
    const { grant, options } = await oidc.grant(`${name}-expired`, { accessTtl: 0 });
    const connected = await client(new URL(oidc.url(`${name}-expired`)), authorizedFetch(`${name}-expired`, options));
    t.after(() => connected.close());
    assert.deepEqual(await toolsOf(connected), ["noop"]);
    assert.equal((await oidc.stats()).perGrant[grant.grantId], 1);
  });

  test(`${sdk}: a live client continues after its token has expired at the server`, needsOidc, async (t) => {
    const { grant, options } = await oidc.grant(`${name}-live`);
    const connected = await client(new URL(oidc.url(`${name}-live`)), authorizedFetch(`${name}-live`, options));
    t.after(() => connected.close());
    await toolsOf(connected);
    await oidc.post("expire", { accessToken: grant.accessToken });
    assert.deepEqual(await toolsOf(connected), ["noop"]);
    assert.equal((await oidc.stats()).perGrant[grant.grantId], 1);
  });

  test(`${sdk}: a revoked sign-in is the verdict, without a loop`, needsOidc, async () => {
    const { grant, options } = await oidc.grant(`${name}-revoked`);
    await oidc.post("revoke", { refreshToken: grant.refreshToken });
    const before = (await oidc.stats()).requests;
    const error = await thrown(() => client(new URL(oidc.url(`${name}-revoked`)), authorizedFetch(`${name}-revoked`, options)));
    assert.ok(error instanceof McpStartupError, error.stack);
    assert.equal(error.failure.kind, "reauthenticationRequired");
    assert.ok((await oidc.stats()).requests - before < 20);
  });
}
