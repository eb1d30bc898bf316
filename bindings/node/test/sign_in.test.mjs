// Tests the sign-in in one call against the lab and a real authorization server, and the signal of every call.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import {
  authorization,
  authStatus,
  beginSignIn,
  check,
  discover,
  finishSignIn,
  McpStartupError,
  notChecked,
  signIn,
  signOut,
  testCredentialStore,
} from "mcp-startup";
import { all, MemoryStore, silentServer, startLab, thrown } from "./lab.mjs";
import { browse, needsOidc, startOidc } from "./oidc.mjs";
import { project } from "./places.mjs";

const lab = await startLab(after);
const oidc = await startOidc(after);
const ROW = "first-sign-in";

const userOf = (name) => ({ mcpServers: lab.servers(name), store: new MemoryStore() });
const redirectUri = (url) => new URL(url).searchParams.get("redirect_uri");
/** Opens a page of the lab, which consents immediately, and follows its redirects to the last page. */
const visit = async (url) => (await fetch(url)).text();

function isOpen(uri) {
  return new Promise((resolve) => {
    const socket = connect(new URL(uri).port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}

async function closes(uri) {
  for (const deadline = Date.now() + 30_000; await isOpen(uri); ) assert.ok(Date.now() < deadline, `${uri} is still open`);
}

test("a sign-in stores credentials that the real authorization server accepts", needsOidc, async () => {
  const options = { mcpServers: oidc.servers("signed-in"), store: new MemoryStore() };
  let page;
  await signIn("signed-in", { ...options, openBrowser: (url) => (page = browse(url)) });
  assert.match(await page, /You are signed in/);
  assert.equal((await authStatus("signed-in", options)).status, "oAuth");
  assert.equal((await all(check(options))).at(-1).status, "ready");
  assert.deepEqual(await signOut("signed-in", options), { wasStored: true, revocation: "revoked" });
});

test("a refusal of the user is an error and stores nothing", needsOidc, async () => {
  const options = { mcpServers: oidc.servers("denied"), store: new MemoryStore() };
  const error = await thrown(() => signIn("denied", { ...options, openBrowser: (url) => browse(url, "deny=yes") }));
  assert.deepEqual([error.code, error.kind], ["MCP_STARTUP_SIGN_IN", "denied"]);
  assert.match(error.message, /the user has said no/); // words: allow: quotes the authorization server
  assert.deepEqual(options.store.keys(), []);
});

/** Signs in in a new process with these variables, and returns its output. */
async function signInWith(t, env) {
  const folder = mkdtempSync(join(tmpdir(), "mcp-startup-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const browser = join(folder, "browser.mjs");
  writeFileSync(browser, "await (await fetch(process.argv[2])).text();");
  const code = `
    import { signIn } from "mcp-startup";
    const records = new Map();
    const store = {
      load: async (key) => records.get(key) ?? null,
      replace: async (key, _, next) => { records.set(key, next); return true; },
      lock: async () => () => {},
    };
    try {
      await signIn("${ROW}", { mcpServers: ${JSON.stringify(lab.servers(ROW))}, store });
      console.log(records.size);
    } catch (error) {
      console.log(error.code, error.kind);
    }`;
  const { BROWSER: _1, DISPLAY: _2, WAYLAND_DISPLAY: _3, ...rest } = process.env;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    cwd: project,
    env: { ...rest, ...env(`${process.execPath} ${browser} %s`) },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 60_000,
  });
  const output = child.stdout.toArray();
  const [status] = await once(child, "close");
  assert.equal(status, 0);
  return (await output).join("");
}

test("by default, the default browser opens", async (t) => {
  assert.equal(await signInWith(t, (BROWSER) => ({ BROWSER })), "1\n");
  // With a relative folder, the program opens the browser.
  assert.equal(await signInWith(t, (BROWSER) => ({ BROWSER, PATH: `.:${process.env.PATH}` })), "1\n");
});

test("without a browser the sign-in fails", async (t) => {
  assert.equal(await signInWith(t, () => ({ PATH: "/nonexistent" })), "MCP_STARTUP_SIGN_IN unavailable\n");
});

test("the error of the function ends the sign-in", async () => {
  const options = userOf(ROW);
  let uri;
  const failing = (url) => {
    uri = redirectUri(url);
    throw new Error("no window");
  };
  for (const openBrowser of [failing, async (url) => failing(url)]) {
    assert.equal((await thrown(() => signIn(ROW, { ...options, openBrowser }))).message, "no window");
    await closes(uri);
  }
  assert.deepEqual(options.store.keys(), []);
});

test("a function that does not return does not hold up the sign-in", async () => {
  const options = userOf(ROW);
  await signIn(ROW, { ...options, openBrowser: (url) => visit(url).then(() => new Promise(() => {})) });
  assert.equal(options.store.keys().length, 1);
});

test("aborting the signal closes the listener and changes nothing", async () => {
  const options = userOf(ROW);
  const abort = new AbortController();
  let uri;
  const openBrowser = async (url) => {
    uri = redirectUri(url);
    assert.ok(await isOpen(uri));
    abort.abort(new Error("the window was closed"));
  };
  const error = await thrown(() => signIn(ROW, { ...options, openBrowser, signal: abort.signal }));
  assert.equal(error.message, "the window was closed");
  await closes(uri);
  assert.deepEqual(options.store.keys(), []);
  // Nothing remains of it, so the next one succeeds.
  await signIn(ROW, { ...options, openBrowser: visit });
});

test("the wait has a time limit", async () => {
  const options = userOf(ROW);
  let uri;
  const openBrowser = (url) => void (uri = redirectUri(url));
  const error = await thrown(() => signIn(ROW, { ...options, openBrowser, browserTimeoutMs: 50 }));
  assert.deepEqual([error.code, error.kind], ["MCP_STARTUP_SIGN_IN", "expired"]);
  await closes(uri);
  assert.deepEqual(options.store.keys(), []);
});

/** Listens on a free port of 127.0.0.1. */
async function listen() {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

test("the port, the scopes and the challenge are those of the call", async () => {
  const free = await listen();
  const { port } = free.address();
  free.close();
  await once(free, "close");
  let shown;
  await signIn(ROW, {
    ...userOf(ROW),
    openBrowser: (url) => visit((shown = url)),
    callbackPort: port,
    challenge: 'Bearer error="insufficient_scope", scope="mcp:write"',
    scopes: ["mcp:admin"],
  });
  assert.equal(redirectUri(shown), `http://127.0.0.1:${port}/callback`);
  const scopes = new URL(shown).searchParams.get("scope").split(" ");
  assert.ok(scopes.includes("mcp:write") && scopes.includes("mcp:admin"));
});

test("a port that is in use is an error that names it", async (t) => {
  const used = await listen();
  t.after(() => used.close());
  const { port } = used.address();
  const error = await thrown(() => signIn(ROW, { ...userOf(ROW), openBrowser: visit, callbackPort: port }));
  assert.equal(error.kind, "invalidConfiguration");
  assert.ok(error.message.includes(port), error.message);
});

test("an invalid option is refused", async () => {
  const rows = [
    [{ browserTimeoutMs: 0 }, /`browserTimeoutMs` must be a whole number from 1 to 2592000000, not 0/],
    [{ callbackPort: 65_536 }, /`callbackPort` must be/],
    [{ callbackUrl: 7 }, /`callbackUrl` must be a string or a URL, not a number/],
    [{ signal: "now" }, /`signal` must be an AbortSignal, not a string/],
    [{ timout: 1 }, /did you mean `timeoutMs`/],
  ];
  for (const [options, message] of rows) {
    const error = await thrown(() => signIn(ROW, { mcpServers: {}, openBrowser: visit, ...options }));
    assert.deepEqual([error instanceof McpStartupError, error.code], [true, "MCP_STARTUP_INVALID_ARGUMENT"]);
    assert.match(error.message, message);
  }
});

test("every call ends with the reason of its signal", async (t) => {
  // The store does not answer, so the calls wait.
  const { entry } = await silentServer(t.after.bind(t));
  const waiting = new Map();
  const store = {
    load: () => new Promise(() => {}),
    replace: () => new Promise(() => {}),
    lock: () => new Promise(() => {}),
  };
  const options = { mcpServers: { ...lab.servers(ROW), silent: entry }, store };
  const begun = await beginSignIn(ROW, "http://127.0.0.1:8123/callback", userOf(ROW));
  const page = await fetch(begun.authorizationUrl, { redirect: "manual" });
  const calls = {
    authorization: (signal) => authorization(ROW, null, { ...options, signal }),
    authStatus: (signal) => authStatus(ROW, { ...options, signal }),
    beginSignIn: (signal) => beginSignIn(ROW, "http://127.0.0.1:8123/callback", { ...options, signal }),
    finishSignIn: (signal) => finishSignIn(begun.pending, page.headers.get("location"), { ...options, signal }),
    signIn: (signal) => signIn(ROW, { ...options, openBrowser: () => {}, signal }),
    signOut: (signal) => signOut(ROW, { ...options, signal }),
    testCredentialStore: (signal) => testCredentialStore(store, { signal }),
    check: (signal) => all(check({ ...options, servers: ["silent"], signal })),
  };
  for (const [name, call] of Object.entries(calls)) {
    const abort = new AbortController();
    waiting.set(name, thrown(() => call(abort.signal)));
    setImmediate(() => abort.abort(new Error(name)));
    assert.equal((await waiting.get(name)).message, name);
  }
  // These calls read only files, so only a signal that was aborted before is sure to end them.
  const aborted = AbortSignal.abort(new Error("aborted before"));
  for (const call of [...Object.values(calls), (signal) => discover({ signal }), (signal) => notChecked({ signal })]) {
    assert.equal((await thrown(() => call(aborted))).message, "aborted before");
  }
});

test("a check is disposed of at the end of its block", async (t) => {
  const { entry, started, ended } = await silentServer(t.after.bind(t));
  const events = check({ mcpServers: { silent: entry } });
  await events.next();
  await started;
  await events[Symbol.asyncDispose]();
  await ended;
  assert.deepEqual(await events.next(), { done: true, value: undefined });
});
