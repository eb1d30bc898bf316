// A real authorization server with an MCP server (`tests/e2e/npm/oidc.mjs`), which `scripts/setup` installs, and a user of it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { keyOf, MemoryStore } from "./lab.mjs";

const installed = process.env.MCP_STARTUP_E2E ?? "/nonexistent";

/** The options of tests that need the server. */
export const needsOidc = {
  skip: existsSync(join(installed, "npm/.installed-from"))
    ? false
    : "MCP_STARTUP_E2E is not the folder where scripts/setup has installed the real servers",
};

/** Starts the server, and stops it after the tests of this file. Its MCP server is at `/NAME/mcp`, for any name. */
export async function startOidc(after) {
  if (needsOidc.skip) return undefined;
  const child = spawn(join(installed, "bin/node"), [join(installed, "npm/oidc.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
  after(async () => {
    // The server ends with its stdin.
    child.stdin.end();
    await once(child, "exit");
  });
  const [line] = await once(createInterface(child.stdout), "line");
  const base = line.replace("listening ", "");
  const url = (name) => `${base}/${name}/mcp`;
  const post = async (path, parameters) => {
    const answer = await fetch(`${base}/test/${path}`, { method: "POST", body: JSON.stringify(parameters) });
    assert.equal(answer.status, 200, await answer.clone().text());
    return answer.json();
  };
  return {
    url,
    post,
    stats: async () => (await fetch(`${base}/test/stats`)).json(),
    servers: (name) => ({ [name]: { url: url(name) } }),
    /** Signs a user in. Returns the grant, and the options with a store that has it. */
    async grant(name, parameters) {
      const grant = await post("grant", { name, ...parameters });
      const record = {
        server_name: name,
        server_url: url(name),
        issuer: grant.issuer,
        client_id: grant.clientId,
        access_token: grant.accessToken,
        expires_at: grant.expiresAtMs,
        refresh_token: grant.refreshToken,
        scopes: ["mcp:tools", "offline_access"],
      };
      const store = new MemoryStore({ [keyOf(name, url(name))]: JSON.stringify(record) });
      return { grant, options: { mcpServers: { [name]: { url: url(name) } }, store } };
    },
  };
}

/** Acts as a user with a browser: opens the sign-in page, presses a button, and returns the text of the last page. */
export async function browse(authorizationUrl, body = "") {
  const cookies = new Map();
  let [url, method, pressed] = [authorizationUrl, "GET", false];
  for (;;) {
    const headers = { cookie: [...cookies].map((cookie) => cookie.join("=")).join("; ") };
    if (method === "POST") headers["content-type"] = "application/x-www-form-urlencoded";
    const page = await fetch(url, { method, headers, redirect: "manual", ...(method === "POST" && { body }) });
    for (const cookie of page.headers.getSetCookie()) {
      const [, name, value] = /^([^=]*)=([^;]*)/.exec(cookie);
      cookies.set(name, value);
    }
    const text = await page.text();
    const location = page.headers.get("location");
    if (location !== null) {
      [url, method] = [new URL(location, url).href, "GET"];
    } else if (!pressed && text.includes("<form")) {
      [method, pressed] = ["POST", true];
    } else {
      return text.replaceAll(/<[^>]*>/g, "");
    }
  }
}
