// The limits of the page: the token, the origin, the policy, and the methods that it can't call.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { test } from "node:test";
import { card, openTab, row, startBrowser } from "./browser.mjs";
import { startLab, User } from "./program.mjs";

const browser = await startBrowser(["--host-resolver-rules=MAP rebound.example 127.0.0.1"]);

async function open(t) {
  const lab = await startLab(t);
  const user = new User(t);
  user.configure({ docs: lab("ready"), linear: lab("first-sign-in") });
  return (await user.open(t)).url;
}

/** Sends a request for a WebSocket. Returns the HTTP status. */
async function upgrade(url, headers) {
  const { hostname, port } = new URL(url);
  const socket = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OTAxMjM0NQ==" };
  const sent = request({ hostname, port, headers: { ...socket, ...headers } });
  sent.end();
  const [response] = await Promise.race([once(sent, "response"), once(sent, "upgrade")]);
  response.socket.destroy();
  return response.statusCode;
}

test("the token is removed from the address and the history, and a reload keeps working", async (t) => {
  const url = await open(t);
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/#token=.{22,}$/);
  const tab = await openTab(t, browser, url);
  await row(tab, "docs").getByText("Ready").waitFor();
  const token = url.split("=").pop();
  assert.equal(tab.url(), new URL("/", url).href);
  assert.equal((await tab.content()).includes(token), false);
  await tab.reload();
  await row(tab, "docs").getByText("Ready").waitFor();
  await tab.goto("about:blank");
  await tab.goBack();
  assert.equal(tab.url(), new URL("/", url).href);
  await row(tab, "docs").getByText("Ready").waitFor();
  assert.deepEqual(await tab.context().cookies(), []);
});

test("without the token, or with another one, the page shows no server, and the next step", async (t) => {
  const url = await open(t);
  const without = await openTab(t, browser, new URL("/", url).href);
  await without.getByRole("alert").getByText("mcp-startup open").waitFor();
  const other = await openTab(t, browser, new URL(`/#token=${"x".repeat(43)}`, url).href);
  await other.getByRole("alert").getByText("mcp-startup open").waitFor();
  for (const tab of [without, other]) assert.equal(await tab.locator(".row, .card").count(), 0);
});

test("a host name that leads to loopback is refused", async (t) => {
  const url = await open(t);
  const { port, host } = new URL(url);
  assert.equal(await upgrade(url, { Host: host, Origin: `http://${host}` }), 101);
  assert.equal(await upgrade(url, { Host: `rebound.example:${port}`, Origin: `http://rebound.example:${port}` }), 403);
  const profile = await browser.newContext();
  t.after(() => profile.close());
  const tab = await profile.newPage();
  const response = await tab.goto(`http://rebound.example:${port}/`);
  assert.equal(response.status(), 403);
});

test("a page of another origin can't connect", async (t) => {
  const url = await open(t);
  const { host } = new URL(url);
  assert.equal(await upgrade(url, { Host: host, Origin: "http://evil.example" }), 403);
  const other = createServer((_, response) => response.setHeader("Content-Type", "text/html").end("<!doctype html><title>x</title>"));
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  t.after(() => other.close());
  const profile = await browser.newContext();
  t.after(() => profile.close());
  const tab = await profile.newPage();
  await tab.goto(`http://127.0.0.1:${other.address().port}/`);
  const ended = await tab.evaluate(
    (address) =>
      new Promise((resolve) => {
        const socket = new WebSocket(address);
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("refused");
      }),
    `ws://${host}/`,
  );
  assert.equal(ended, "refused");
  other.closeAllConnections();
});

test("the policy blocks an injected script, style, request and frame", async (t) => {
  const url = await open(t);
  const tab = await openTab(t, browser, url, { addresses: ["any"] });
  await row(tab, "docs").getByText("Ready").waitFor();
  const blocked = await tab.evaluate(async () => {
    const blocked = [];
    addEventListener("securitypolicyviolation", ({ effectiveDirective }) => blocked.push(effectiveDirective));
    const script = document.createElement("script");
    script.textContent = "globalThis.injected = true";
    document.body.append(script);
    const image = document.createElement("div");
    image.innerHTML = `<b onclick="globalThis.injected = true" style="color: red">x</b>`;
    document.body.append(image);
    image.querySelector("b").click();
    await fetch("http://127.0.0.1:1/").catch(() => {});
    document.body.append(Object.assign(document.createElement("iframe"), { src: "http://127.0.0.1:1/" }));
    // Outside of this function, which the policy does not affect.
    let evaluated = false;
    setTimeout(() => {
      evaluated = new Function("return true")();
    });
    // The events arrive later.
    for (let waited = 0; waited < 10_000 && new Set(blocked).size < 6; waited += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { blocked: [...new Set(blocked)].sort(), injected: globalThis.injected === true, evaluated };
  });
  assert.equal(blocked.injected, false);
  assert.equal(blocked.evaluated, false);
  for (const directive of ["connect-src", "frame-src", "script-src", "script-src-attr", "script-src-elem", "style-src-attr"]) {
    assert.ok(blocked.blocked.includes(directive), `${directive} is missing in ${blocked.blocked}`);
  }
});

test("the page can't call a tool, even with its token", async (t) => {
  const url = await open(t);
  const tab = await openTab(t, browser, url);
  await card(tab, "linear").waitFor();
  const reason = await tab.evaluate(
    (token) =>
      new Promise((resolve) => {
        const socket = new WebSocket(`ws://${location.host}/`);
        const send = (id, method, params) => socket.send(JSON.stringify({ id, method, params }));
        socket.onopen = () => send(0, "mcpStartup/authenticate", { token });
        socket.onmessage = ({ data }) => {
          const { id, error } = JSON.parse(data);
          if (id === 0) send(1, "initialize", { clientInfo: { name: "a", version: "1" } });
          if (id === 1) {
            socket.send(JSON.stringify({ method: "initialized" }));
            send(2, "mcpServer/tool/call", { threadId: "a", server: "docs", tool: "a" });
          }
          if (id === 2) resolve(error.data.reason);
        };
      }),
    url.split("=").pop(),
  );
  assert.equal(reason, "callsRefused");
});
