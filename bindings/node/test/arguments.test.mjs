// Arguments that can't be used: the call fails before it does anything, and the error names the argument, the values that it takes, and the
// kind of value that it got.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { pathToFileURL } from "node:url";
import {
  assess,
  authorization,
  authorizedFetch,
  authRequiredReason,
  authStatus,
  authStatusOf,
  beginSignIn,
  check,
  decode,
  decodeLines,
  discover,
  finishSignIn,
  firstRequest,
  InvalidArgumentError,
  judge,
  McpStartupError,
  notChecked,
  StartupTracker,
  signIn,
  signOut,
  testCredentialStore,
  watch,
} from "mcp-startup";
import { all, MemoryStore, startLab, summary, thrown } from "./lab.mjs";

const lab = await startLab(after);
const mcpServers = { a: { url: "http://127.0.0.1:1/" } };
const store = new MemoryStore();
const own = { mcpServers, store };
const tracker = new StartupTracker();
const circular = { command: "x" };
circular.env = circular;

async function refused(call, message) {
  const error = await thrown(call);
  assert.equal(error.message, message);
  assert.ok(error instanceof InvalidArgumentError && error instanceof McpStartupError, error.stack);
  assert.deepEqual([error.name, error.code], ["InvalidArgumentError", "MCP_STARTUP_INVALID_ARGUMENT"]);
}

/** Every call with options. None of them may read the configuration of the user if its options can't be used. */
const CALLS = {
  check: (options) => check(options),
  watch: (options) => watch(options),
  discover: (options) => discover(options),
  notChecked: (options) => notChecked(options),
  authorization: (options) => authorization("a", null, options),
  authorizedFetch: (options) => authorizedFetch("a", options),
  authStatus: (options) => authStatus("a", options),
  beginSignIn: (options) => beginSignIn("a", "app:/callback", options),
  finishSignIn: (options) => finishSignIn("pending", "app:/callback", options),
  signIn: (options) => signIn("a", options),
  signOut: (options) => signOut("a", options),
  testCredentialStore: (options) => testCredentialStore(new MemoryStore(), options),
  StartupTracker: (options) => new StartupTracker(options),
};

const NO_OPTIONS = [
  [5, "a number"],
  ["x", "a string"],
  [null, "null"],
  [true, "a boolean"],
  [[], "an array"],
  [() => 1, "a function"],
  [new Map([["config", "x"]]), "a Map"],
  [Promise.resolve({}), "a Promise"],
  [new URL("file:///x"), "a URL"],
];

for (const [name, call] of Object.entries(CALLS)) {
  test(`${name} refuses a value that is not an object, and an unknown option`, async () => {
    for (const [options, kind] of NO_OPTIONS) await refused(() => call(options), `the options must be an object, not ${kind}`);
    const error = await thrown(() => call({ nothingLikeThis: 1 }));
    assert.ok(error instanceof InvalidArgumentError);
    assert.match(error.message, /^the options: `nothingLikeThis` is not known; the known ones are: \w+(, \w+)*$/);
  });
}

const ROWS = [
  // A name that is not an option of the call.
  [() => check({ confg: "x" }), "the options: `confg` is not known; did you mean `config`?"],
  [() => check({ timeout_ms: 1 }), "the options: `timeout_ms` is not known; did you mean `timeoutMs`?"],
  [() => signIn("a", { openbrowser() {} }), "the options: `openbrowser` is not known; did you mean `openBrowser`?"],
  [() => new StartupTracker({ limt: 5 }), "the options: `limt` is not known; did you mean `limit`?"],
  [
    () => check({ openBrowser() {} }),
    "the options: `openBrowser` is not known; the known ones are: config, mcpServers, clients, folder, trustProject, servers, timeoutMs, concurrency, clientMetadataUrl, store, signal",
  ],
  [
    () => check({ callbackPort: 5 }),
    "the options: `callbackPort` is not known; the known ones are: config, mcpServers, clients, folder, trustProject, servers, timeoutMs, concurrency, clientMetadataUrl, store, signal",
  ],
  [
    () => authorizedFetch("a", { ...own, signal: AbortSignal.timeout(1) }),
    "the options: `signal` is not known; the known ones are: config, mcpServers, clients, folder, trustProject, servers, timeoutMs, concurrency, clientMetadataUrl, store, fetch",
  ],
  // A value of the wrong type.
  [() => check({ config: Buffer.from("x") }), "the options: `config` must be a path, as a string or a `file:` URL, not a Uint8Array"],
  [
    () => check({ config: new URL("https://example.com/x") }),
    "the options: `config` must be a path, as a string or a `file:` URL, and this URL has no path on this machine",
  ],
  [() => check({ folder: 5, clients: "all" }), "the options: `folder` must be a path, as a string or a `file:` URL, not a number"],
  [() => check({ mcpServers: [] }), "the options: `mcpServers` must be an object with the servers by name, not an array"],
  [() => check({ mcpServers: new Map() }), "the options: `mcpServers` must be an object with the servers by name, not a Map"],
  [() => check({ clients: 5 }), 'the options: `clients` must be "all" or a list of client IDs, not a number'],
  [() => check({ clients: ["cursor", 5] }), "the options: `clients[1]` must be a string, not a number"],
  [() => check({ trustProject: "yes", clients: "all" }), "the options: `trustProject` must be a boolean, not a string"],
  [() => check({ servers: "a" }), "the options: `servers` must be a list of strings, not a string"],
  [() => check({ servers: new Set(["a"]) }), "the options: `servers` must be a list of strings, not a Set"],
  [() => check({ servers: ["a", undefined] }), "the options: `servers[1]` must be a string, not undefined"],
  [() => check({ timeoutMs: "5" }), "the options: `timeoutMs` must be a number, not a string"],
  [() => check({ timeoutMs: Number.NaN }), "the options: `timeoutMs` must be a number, not NaN"],
  [() => check({ concurrency: Infinity }), "the options: `concurrency` must be a number, not Infinity"],
  [() => check({ concurrency: 0 }), "the options: `concurrency` must be a whole number from 1 to 1000000, not 0"],
  [() => check({ clientMetadataUrl: 5 }), "the options: `clientMetadataUrl` must be a string or a URL, not a number"],
  [() => check({ signal: new AbortController() }), "the options: `signal` must be an AbortSignal, not an AbortController"],
  [() => check({ store: "x" }), "the options: `store` must be a `PostgresStore`, or have the methods `load`, `replace` and `lock` of `CredentialStore`; it has no `load`"],
  [() => check({ store: { load() {} } }), "the options: `store` must be a `PostgresStore`, or have the methods `load`, `replace` and `lock` of `CredentialStore`; it has no `replace`"],
  [() => check({ store: { postgres: 5n, user: "u" } }), "the options: `store.postgres` must be a value that JSON has, not a bigint"],
  [() => authorizedFetch("a", { fetch: {} }), "the options: `fetch` must be a function, not an object"],
  [() => authStatus("a", { ...own, online: "yes" }), "the options: `online` must be a boolean, not a string"],
  [() => beginSignIn("a", "app:/x", { scopes: "x" }), "the options: `scopes` must be a list of strings, not a string"],
  [() => beginSignIn("a", "app:/x", { challenge: {} }), "the options: `challenge` must be a string, not an object"],
  [() => signIn("a", { ...own, openBrowser: "firefox" }), "the options: `openBrowser` must be a function, not a string"],
  [() => signIn("a", { ...own, callbackPort: "80" }), "the options: `callbackPort` must be a number, not a string"],
  // A value in an option that JSON does not have.
  [() => check({ mcpServers: { a: { url: Number.NaN } } }), "the options: `mcpServers.a.url` must be a value that JSON has, not NaN"],
  [() => check({ mcpServers: { a: { url: "x", headers: new Headers() } } }), "the options: `mcpServers.a.headers` must be a value that JSON has, not a Headers"],
  [() => check({ mcpServers: { a: { command: "x", args: ["y", undefined] } } }), "the options: `mcpServers.a.args[1]` must be a value that JSON has, not undefined"],
  [() => check({ mcpServers: { a: { command() {} } } }), "the options: `mcpServers.a.command` must be a value that JSON has, not a function"],
  [() => check({ mcpServers: { a: circular } }), "the options: `mcpServers.a.env` must not contain itself"],
  [() => check({ mcpServers: deep(200) }), "the options must not be nested more than 100 levels deep"],
  // The other arguments.
  [() => authorization(5, null, own), "`server` must be a string, not a number"],
  [() => authorizedFetch(undefined, own), "`server` must be a string, not undefined"],
  [() => authStatus(null, own), "`server` must be a string, not null"],
  [() => signIn({}, own), "`server` must be a string, not an object"],
  [() => signOut([], own), "`server` must be a string, not an array"],
  [() => beginSignIn("a", 5, own), "`redirectUri` must be a string or a URL, not a number"],
  [() => finishSignIn(5, "x", own), "`pending` must be a string, not a number"],
  [() => finishSignIn("x", {}, own), "`callbackUrl` must be a string or a URL, not an object"],
  [() => watch(own).retry(5), "`name` must be a string, not a number"],
  [() => authorization("a", 5, own), "`rejected` must be an object, not a number"],
  [() => authorization("a", "x", own), "`rejected` must be an object, not a string"],
  [() => authorization("a", [], own), "`rejected` must be an object, not an array"],
  [() => authorization("a", new Map(), own), "`rejected` must be an object, not a Map"],
  [() => authorization("a", () => {}, own), "`rejected` must be an object, not a function"],
  [() => authorization("a", new Response(), own), "`rejected` must be an object, not a Response"],
  [() => authorization("a", { mcpServers }), "`rejected.mcpServers` is not known; the known ones are: authorization, challenge, status"],
  [() => authorization("a", {}, own), "`rejected.authorization` is missing; pass the options as the third argument"],
  [() => authorization("a", { authorization: 5 }, own), "`rejected.authorization` must be a string, not a number"],
  [() => authorization("a", { authorization: null, status: 200 }, own), "`rejected.status` must be the number 401 or 403, not 200"],
  [() => authorization("a", { authorization: null, status: "401" }, own), "`rejected.status` must be the number 401 or 403, not a string"],
  [() => testCredentialStore(undefined), "`store` must be a `PostgresStore`, or have the methods `load`, `replace` and `lock` of `CredentialStore`; it has no `load`"],
  [() => testCredentialStore(store, { leases: {} }), "the options: `leases.other` must be a `PostgresStore`, or have the methods `load`, `replace` and `lock` of `CredentialStore`; it has no `load`"],
  [() => testCredentialStore(store, { leases: { other: store } }), "the options: `leases.lapse` must be a function, not undefined"],
  // The functions without I/O.
  [() => new StartupTracker({ limit: -1 }), "the options: `limit` must be a whole number above zero, not -1"],
  [() => new StartupTracker({ limit: Number.NaN }), "the options: `limit` must be a whole number above zero, not NaN"],
  [() => new StartupTracker({ limit: "5" }), "the options: `limit` must be a whole number above zero, not a string"],
  [() => tracker.server(), "`key` must be an object, not undefined"],
  [() => tracker.server({}), "`key.name` must be a string, not undefined"],
  [() => tracker.server({ name: "a", threadId: 5 }), "`key.threadId` must be a string, not a number"],
  [() => tracker.remove(null), "`threadId` must be a string, not null"],
  [() => tracker.applyLines({}), "`lines` must be a string or a Uint8Array, not an object"],
  [() => decodeLines(undefined), "`lines` must be a string or a Uint8Array, not undefined"],
  [() => decode(null), "`line` must be a string or a Uint8Array, not null"],
  [() => judge([]), "the evidence must be an object, not an array"],
  [() => judge({ credential: [] }), "the evidence: `credential` must be an object, not a list"],
  [() => judge({ requests: [{}, []] }), "the evidence: `requests[1]` must be an object, not a list"],
  [() => judge(undefined), "the evidence must be an object, not undefined"],
  [() => judge({ requests: [{ status: Number.NaN }] }), "the evidence: `requests[0].status` must be a value that JSON has, not NaN"],
  [() => assess([]), "the facts must be an object, not an array"],
  [() => assess({ accessToken: true, refreshToken: false }, "x"), "`nowMs` must be a number, not a string"],
  [() => firstRequest([]), "`worth` must be an object, not an array"],
  [() => authStatusOf(null), "`known` must be an object, not null"],
  [() => authStatusOf({ configured: 1, stored: null, oauthPublished: null }), "`known.configured` must be a boolean, not a number"],
  [() => authRequiredReason(null), "`failure` must be an object, not null"],
  [() => authRequiredReason({}), "`failure.recovery` must be a string, not undefined"],
];

function deep(levels) {
  return levels === 0 ? {} : { a: deep(levels - 1) };
}

for (const [call, message] of ROWS) test(`${call}: ${message}`, () => refused(call, message));

test("the calls that return no promise throw the error themselves", () => {
  for (const call of [check, watch, () => authorizedFetch("a", 5), (options) => new StartupTracker(options)]) {
    assert.throws(() => call(5), InvalidArgumentError);
  }
});

test("options may be inherited, come from a getter, or be the namespace of a module", async () => {
  const servers = lab.servers("ready");
  class Options {
    get mcpServers() {
      return servers;
    }
  }
  const module = await import(`data:text/javascript,export const mcpServers = ${encodeURIComponent(JSON.stringify(servers))}`);
  for (const options of [new Options(), Object.create({ mcpServers: servers }), module]) {
    assert.deepEqual((await all(check(options))).map(summary), ["ready starting", "ready ready"]);
  }
});

test("a file URL is a path, and a URL is text", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "mcp-startup-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "a b.json");
  writeFileSync(file, JSON.stringify({ mcpServers: lab.servers("ready") }));
  assert.deepEqual((await all(check({ config: pathToFileURL(file) }))).map(summary), ["ready starting", "ready ready"]);
  assert.ok(Array.isArray(await discover({ folder: pathToFileURL(folder), clients: ["cursor"] })));
  const ready = { ready: { url: new URL(lab.url("ready")) } };
  assert.deepEqual((await all(check({ mcpServers: ready }))).map(summary), ["ready starting", "ready ready"]);
});

test("a store that does not respond is named, even after a garbage collection", () => {
  const code = `
    import { testCredentialStore } from "mcp-startup";
    const store = { load: () => new Promise(() => {}), replace: async () => true, lock: async () => () => {} };
    setInterval(gc, 100).unref();
    await testCredentialStore(store).catch(({ message }) => console.log(message));`;
  const args = ["--expose-gc", "--input-type=module", "--eval", code];
  const output = execFileSync(process.execPath, args, { encoding: "utf8", cwd: import.meta.dirname });
  assert.match(output, /did not respond within 10 s/);
});
