// Tests `authorization`, sign-in, sign-out, `authStatus` and `watch` against the lab, whose authorization servers consent
// immediately.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { inspect } from "node:util";
import { authorization, authStatus, beginSignIn, check, finishSignIn, McpStartupError, signOut, watch } from "mcp-startup";
import { all, MemoryStore, startLab, summary, thrown } from "./lab.mjs";

const lab = await startLab(after);
const REDIRECT_URI = "http://127.0.0.1:8123/callback";

/** Acts as a host: sends `initialize`, repeats it with the next header after a 401, and returns the final status. */
async function host(name, options) {
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "host", version: "1" } },
  });
  let header = await authorization(name, null, options);
  // A start sends at most four.
  for (let requests = 0; requests < 4; requests++) {
    const headers = { "content-type": "application/json", ...(header && { authorization: header }) };
    const { status, headers: answered } = await fetch(lab.url(name), { method: "POST", body, headers });
    if (status !== 401) return status;
    const rejected = { authorization: header, challenge: answered.get("www-authenticate") };
    header = await authorization(name, rejected, options);
  }
  return assert.fail(`${name}: no end after four requests`);
}

const optionsOf = (name) => ({
  mcpServers: lab.servers(name),
  store: lab.row(name).stored ? lab.storeOf(name) : new MemoryStore(),
});

test("authorization gives a host the same result as a start", async (t) => {
  const names = ["ready", "ready-stored-token", "bearer-ok", "expired-refreshes", "revoked-refreshes", "stale-clock"];
  names.push("first-sign-in", "expired-no-refresh", "refresh-invalid-grant", "refresh-503", "bearer-rejected", "api-key");
  names.push("damaged-record", "wrong-resource");
  for (const name of names) {
    await t.test(name, async () => {
      const { state, kind, recovery, refreshTokensSent = [] } = lab.row(name).expect;
      if (state === "ready") {
        assert.equal(await host(name, optionsOf(name)), 200);
      } else {
        const error = await thrown(() => host(name, optionsOf(name)));
        assert.ok(error instanceof McpStartupError, error.stack);
        assert.equal(error.code, "MCP_STARTUP_FAILURE");
        assert.deepEqual([error.failure.kind, error.failure.recovery], [kind, recovery]);
        assert.equal(error.message, error.failure.message);
        assert.doesNotMatch(inspect(error, { depth: 9 }), /(good|expired|fresh|bad)-(token|refresh)/);
      }
      const requests = await lab.requests(name);
      const refreshes = requests.filter(({ to }) => to === "token").map(({ token }) => token);
      assert.deepEqual(refreshes, refreshTokensSent);
    });
  }
});

test("authorization accepts a rejection without a challenge, and reports an unknown server", async () => {
  const options = optionsOf("revoked-after-initialize");
  const header = await authorization("revoked-after-initialize", undefined, options);
  const next = await authorization("revoked-after-initialize", { authorization: header }, options);
  assert.match(next, /^Bearer fresh-token-/);
  const error = await thrown(() => authorization("unknown", null, options));
  assert.deepEqual([error.code, error.kind], ["MCP_STARTUP_CONFIGURATION", "unknownServer"]);
});

test("authStatus reports the stored credentials and whether they can be used", async () => {
  const status = async (name, online) => authStatus(name, { ...optionsOf(name), online });
  const stored = await status("ready-stored-token");
  assert.deepEqual([stored.status, stored.worth.accessToken, stored.scopes], ["oAuth", "good", ["mcp:tools"]]);
  assert.deepEqual([stored.store, stored.storeError], ["host", null]);
  assert.ok(stored.issuer && stored.expiresAtMs > Date.now());
  assert.doesNotMatch(JSON.stringify(stored), /good-token/);
  assert.equal((await status("bearer-ok")).status, "bearerToken");
  assert.equal((await status("stdio-ready")).status, "unsupported");
  const before = await lab.requests("first-sign-in");
  assert.equal((await status("first-sign-in")).status, null);
  assert.deepEqual(await lab.requests("first-sign-in"), before);
  assert.equal((await status("first-sign-in", true)).status, "notLoggedIn");
  assert.equal((await status("api-key", true)).status, "unsupported");
  const broken = await status("damaged-record");
  assert.deepEqual([broken.status, broken.storeError.store, broken.storeError.trouble], [null, "host", "corrupt"]);
});

/** Begins a sign-in and follows it as the user's browser would. */
async function signIn(name, options) {
  const begun = await beginSignIn(name, REDIRECT_URI, options);
  const page = await fetch(begun.authorizationUrl, { redirect: "manual" });
  assert.equal(page.status, 302);
  const callback = page.headers.get("location");
  return { begun, callback };
}

test("a sign-in stores the credentials and is single-use; a sign-out revokes and removes them", async () => {
  const name = "header-first-sign-in";
  const store = new MemoryStore();
  const options = { mcpServers: lab.servers(name), store };
  const { begun, callback } = await signIn(name, options);
  assert.deepEqual(store.records(), {}, "nothing is stored before the sign-in is finished");
  assert.equal(new URL(begun.authorizationUrl).searchParams.get("redirect_uri"), REDIRECT_URI);

  const mismatch = await thrown(() => finishSignIn(begun.pending, `${REDIRECT_URI}?code=x&state=another`, options));
  assert.deepEqual([mismatch.code, mismatch.kind], ["MCP_STARTUP_SIGN_IN", "invalidCallback"]);
  await finishSignIn(begun.pending, callback, options);
  const record = store.records()[name];
  assert.match(record.access_token, /^fresh-token-/);
  assert.deepEqual(record.scopes, ["mcp:tools"]);
  assert.equal((await authStatus(name, options)).status, "oAuth");
  assert.equal(await authorization(name, null, options), `Bearer ${record.access_token}`);

  const again = await thrown(() => finishSignIn(begun.pending, callback, options));
  assert.deepEqual([again.code, again.kind], ["MCP_STARTUP_SIGN_IN", "used"]);
  for (const error of [mismatch, again]) {
    const secrets = [JSON.parse(begun.pending).code_verifier, new URL(callback).searchParams.get("code"), begun.pending];
    for (const secret of secrets.filter(Boolean)) assert.ok(!inspect(error).includes(secret));
  }

  assert.deepEqual(await signOut(name, options), { wasStored: true, revocation: "revoked" });
  assert.deepEqual(store.records(), {});
  assert.equal((await signOut(name, options)).wasStored, false);
});

test("a sign-in requests the scopes of the challenge and of the options, and those that were granted before", async () => {
  const name = "ready-stored-token";
  const options = { mcpServers: lab.servers(name), store: lab.storeOf(name) };
  const challenge = 'Bearer error="insufficient_scope", scope="mcp:write"';
  const rows = [
    [{}, ["mcp:tools"]],
    [{ challenge: null, scopes: [] }, ["mcp:tools"]],
    [{ challenge }, ["mcp:tools", "mcp:write"]],
    [{ scopes: ["mcp:admin"] }, ["mcp:admin", "mcp:tools"]],
    [{ challenge, scopes: ["mcp:admin"] }, ["mcp:admin", "mcp:tools", "mcp:write"]],
  ];
  for (const [more, expected] of rows) {
    const { authorizationUrl } = await beginSignIn(name, REDIRECT_URI, { ...options, ...more });
    const requested = new URL(authorizationUrl).searchParams.get("scope").split(" ").sort();
    assert.deepEqual(requested, expected, JSON.stringify(more));
  }
});

test("a sign-in that can't begin or finish throws an error with its kind", async () => {
  const rows = [
    ["api-key", REDIRECT_URI, "notOffered"],
    ["first-sign-in", "http://example.com/callback", "invalidConfiguration"],
    ["stdio-ready", REDIRECT_URI, "invalidConfiguration"],
  ];
  for (const [name, redirectUri, kind] of rows) {
    const options = { mcpServers: lab.servers(name), store: new MemoryStore() };
    const error = await thrown(() => beginSignIn(name, redirectUri, options));
    assert.deepEqual([error.code, error.kind], ["MCP_STARTUP_SIGN_IN", kind], `${name}: ${error.message}`);
  }
  const error = await thrown(() => finishSignIn('{"secret":"sk-1"}', REDIRECT_URI));
  assert.deepEqual([error.code, error.kind], ["MCP_STARTUP_SIGN_IN", "invalidPending"]);
  assert.ok(!inspect(error).includes("sk-1"));
});

test("a watch starts a server again after a sign-in", async () => {
  const name = "challenge-two-schemes";
  const options = { mcpServers: lab.servers(name, "ready"), store: new MemoryStore() };
  const seen = [];
  for await (const event of watch(options)) {
    seen.push(summary(event));
    if (event.failure?.recovery === "signIn") {
      // Any call or process that uses the same store can sign in.
      const { begun, callback } = await signIn(name, options);
      await finishSignIn(begun.pending, callback, options);
    }
    if (summary(event) === `${name} ready`) break;
  }
  const states = seen.filter((line) => line.startsWith(name));
  assert.deepEqual(states, ["starting", "failed", "starting", "ready"].map((state) => `${name} ${state}`));
  assert.deepEqual((await all(check(options))).map(summary).includes(`${name} ready`), true);
});

test("a watch starts a failed server again on retry, and ends on cancel", async () => {
  const watching = watch({ mcpServers: lab.servers("ready", "api-key"), store: new MemoryStore() });
  const seen = [];
  for await (const event of watching) {
    seen.push(summary(event));
    // A server that is ready is not started again.
    if (seen.length === 4) for (const name of ["ready", "api-key", "unknown"]) watching.retry(name);
    if (seen.length === 6) watching.cancel();
  }
  assert.deepEqual(seen.slice(0, 4).sort(), ["api-key failed", "api-key starting", "ready ready", "ready starting"]);
  assert.deepEqual(seen.slice(4), ["api-key starting", "api-key failed"]);
});
