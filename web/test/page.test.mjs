// The page with servers of the lab.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { card, openTab, row, startBrowser } from "./browser.mjs";
import { labProgram, startLab, startPage, User } from "./program.mjs";

const browser = await startBrowser();

/** A user with these rows of the lab, and a tab with their page. */
async function open(t, rows, options) {
  const lab = await startLab(t);
  const user = new User(t);
  user.configure(Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, Array.isArray(row) ? row : lab(row)])));
  const program = await user.open(t);
  const tab = await openTab(t, browser, program.url, options);
  return { lab, user, program, tab };
}

test("a server that is offline can be tried again, and is ready without a reload once it answers", async (t) => {
  const offline = "http://127.0.0.1:1/mcp";
  const user = new User(t);
  user.configure({ search: offline });
  const { url } = await user.open(t);
  const tab = await openTab(t, browser, url);
  const search = card(tab, "search");
  await search.getByText("Unreachable", { exact: true }).waitFor();
  await search.getByText(/^Next try at /).waitFor();
  await search.getByText(/127\.0\.0\.1/).waitFor();
  await search.getByRole("button", { name: "Try again (search)" }).click();
  await search.getByText("Unreachable", { exact: true }).waitFor();
  const lab = await startLab(t);
  user.configure({ search: lab("ready") });
  await tab.getByRole("button", { name: "Check again" }).click();
  await row(tab, "search").getByText("Ready").waitFor();
});

test("a page that is open twice shows the servers of a reload in both", async (t) => {
  const { lab, user, program, tab } = await open(t, { docs: "ready" });
  const second = await openTab(t, browser, program.url);
  await row(second, "docs").getByText("Ready").waitFor();
  user.configure({ search: lab("ready") });
  await tab.getByRole("button", { name: "Check again" }).click();
  for (const one of [tab, second]) {
    await row(one, "search").getByText("Ready").waitFor();
    await row(one, "docs").waitFor({ state: "detached" });
  }
});

test("a broken entry is shown with its file, line and key, and is fixed without a reload", async (t) => {
  const { lab, user, tab } = await open(t, { docs: "ready", broken: "ready" });
  await row(tab, "docs").getByText("Ready").waitFor();
  writeFileSync(user.config, `[mcp_servers.docs]\nurl = "${lab("ready")}"\n\n[mcp_servers.broken]\nurl = "ftp://example.com"\n`);
  await tab.getByRole("button", { name: "Check again" }).click();
  const broken = card(tab, "broken");
  await broken.getByText("Configuration problem", { exact: true }).waitFor();
  const show = broken.getByRole("button", { name: "Show in the configuration (broken)" });
  assert.equal(await show.getAttribute("aria-expanded"), "false");
  await show.click();
  assert.equal(await show.getAttribute("aria-expanded"), "true");
  assert.deepEqual(await broken.locator("dd").allInnerTexts(), [user.config, "5", "mcp_servers.broken.url"]);
  await tab.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await broken.getByRole("button", { name: "Copy path" }).click();
  await broken.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await tab.evaluate(() => navigator.clipboard.readText()), `${user.config}:5`);
  user.configure({ docs: lab("ready"), broken: lab("ready") });
  await broken.getByRole("button", { name: "Check again" }).click();
  await row(tab, "broken").getByText("Ready").waitFor();
});

test("the servers of several clients are shown by client, with those that are not checked", async (t) => {
  const lab = await startLab(t);
  const user = new User(t);
  const docs = { url: lab("ready") };
  user.write(".claude.json", { mcpServers: { docs: { type: "http", ...docs }, github: { type: "http", url: lab("first-sign-in") } } });
  user.write(".cursor/mcp.json", { mcpServers: { docs, api: { url: "https://api.example.com/mcp", headers: { Authorization: "${input:token}" } } } });
  user.write(".config/Code/User/mcp.json", { servers: { api: { type: "http", ...docs, headers: { Authorization: "${input:token}" } } } });
  user.write(".config/zed/settings.json", "{ not JSON");
  const { url } = await startPage(t, user, ["--yes"]);
  const tab = await openTab(t, browser, url);
  const client = (name) => tab.getByRole("region", { name, exact: true });
  await client("Claude Code").getByText("1 of 2 ready").waitFor();
  await client("Cursor").getByRole("button", { name: "docs Ready" }).waitFor();
  await client("VS Code").getByText("Not checked").waitFor();
  await card(tab, "github").getByText("Claude Code").waitFor();
  await tab.getByText(/^Zed: /).waitFor();
});

test("a configuration that can't be read again is reported, and the servers stay", async (t) => {
  const { user, tab } = await open(t, { docs: "ready" });
  await row(tab, "docs").getByText("Ready").waitFor();
  writeFileSync(user.config, "[mcp_servers.docs\n");
  await tab.getByRole("button", { name: "Check again" }).click();
  await tab.getByRole("alert").getByText(/could not be reloaded/).waitFor();
  await row(tab, "docs").getByText("Ready").waitFor();
});

test("the details show each step, the tools and a report without the secrets of the configuration", async (t) => {
  const { lab, user, tab } = await open(t, { docs: "ready" });
  const secret = "sk-very-secret-token-0123456789";
  const url = lab("first-sign-in");
  writeFileSync(
    user.config,
    `[mcp_servers.docs]\nurl = "${lab("ready")}"\n\n[mcp_servers.secret]\nurl = "${url}"\nhttp_headers = { Authorization = "Bearer ${secret}" }\n`,
  );
  await tab.getByRole("button", { name: "Check again" }).click();
  await row(tab, "docs").click();
  await tab.locator(".tools code").first().waitFor();
  await tab.locator(".timeline").getByText("Listing the tools").waitFor();
  const rejected = card(tab, "secret");
  await rejected.getByRole("button", { name: "Details of secret" }).click();
  await rejected.locator(".timeline").getByText(/HTTP 401/).first().waitFor();
  await tab.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await rejected.getByRole("button", { name: "Copy report" }).click();
  await rejected.getByRole("button", { name: "Copied" }).waitFor();
  const report = await tab.evaluate(() => navigator.clipboard.readText());
  for (const part of ["Server: secret", "Kind: credentialRejected", "Timeline:", "HTTP 401", '"credentialSent": "configuration"']) {
    assert.ok(report.includes(part), `${part} is missing in:\n${report}`);
  }
  assert.ok(!report.includes(secret) && !(await tab.content()).includes(secret));
});

test("the page can be used with only the keyboard", async (t) => {
  const { tab } = await open(t, { docs: "ready", search: "server-500" });
  const focus = () => tab.evaluate(() => document.activeElement?.textContent?.trim());
  await card(tab, "search").getByText("Server error", { exact: true }).waitFor();
  await row(tab, "docs").getByText("Ready").waitFor();
  const order = [];
  for (let step = 0; step < 5; step += 1) {
    await tab.keyboard.press("Tab");
    // The server is started again by itself.
    order.push((await focus()).replace("Starting…", "Server error"));
  }
  assert.deepEqual(order, ["Check again", "Try again (search)", "Details of search", "docs Ready", "search Server error, show what to do"]);
  // The row of a server that needs attention leads to its card.
  await tab.keyboard.press("Enter");
  assert.equal(await focus(), "search");
  await tab.keyboard.press("Tab");
  assert.equal(await focus(), "Try again (search)");
  await tab.keyboard.press("Tab");
  await tab.keyboard.press("Space");
  await card(tab, "search").locator(".timeline").waitFor();
  assert.equal(await focus(), "Details of search");
  await tab.keyboard.press("Tab");
  assert.match(await focus(), /^Copy path/);
});

test("the focus moves to the row of a server that no longer needs attention", async (t) => {
  const { lab, user, tab } = await open(t, { docs: "server-500" });
  const again = card(tab, "docs").getByRole("button", { name: "Details of docs" });
  await again.focus();
  user.configure({ docs: lab("ready") });
  await tab.evaluate(() => [...document.querySelectorAll("button")].find((one) => one.textContent === "Check again").click());
  await row(tab, "docs").getByText("Ready").waitFor();
  assert.equal(await tab.evaluate(() => document.activeElement?.id), "row-docs");
});

test("states are announced to a screen reader", async (t) => {
  const { tab } = await open(t, { docs: "ready", search: "server-500" });
  await tab.locator("header + [role=status]").getByText("Server error").waitFor();
});

test("when the program ends, the page reports that and the next step", async (t) => {
  const { program, tab } = await open(t, { docs: "ready", search: "server-500" }, { addresses: ["any"] });
  await row(tab, "docs").getByText("Ready").waitFor();
  await program.end();
  const notice = tab.getByRole("alert");
  await notice.getByText("The connection to mcp-startup has ended").waitFor();
  await notice.getByText("mcp-startup open").waitFor();
  assert.equal(await card(tab, "search").getByRole("button", { name: /^Try again/ }).getAttribute("aria-disabled"), "true");
  await notice.getByRole("button", { name: "Connect again" }).click();
  await notice.getByText("The connection to mcp-startup has ended").waitFor();
});

test("texts of a server are shown as text, with hidden characters escaped, and long ones wrap", async (t) => {
  const user = new User(t);
  const program = join(user.home, "hostile.sh");
  const output = `<img src=x onerror=alert(1)>\\342\\200\\256${"x".repeat(400)} error: <b>bold</b>\\342\\200\\213`;
  writeFileSync(program, `#!/bin/sh\nprintf '${output}\\n' >&2\nexit 3\n`, { mode: 0o755 });
  user.configure({ hostile: [program] });
  const { url } = await user.open(t);
  const tab = await openTab(t, browser, url, { viewport: { width: 360, height: 700 } });
  const hostile = card(tab, "hostile");
  await hostile.getByText("Program exited", { exact: true }).waitFor();
  await hostile.getByRole("button", { name: "Details of hostile" }).click();
  await hostile.locator(".timeline").getByText(/^stderr:/).waitFor();
  const text = await tab.locator("body").innerText();
  assert.ok(text.includes("<img src=x onerror=alert(1)>"), text);
  assert.ok(text.includes("\\u{202e}"), text);
  assert.doesNotMatch(text, /[\u202e\u200b]/);
  assert.equal(await tab.locator("img, b").count(), 0);
  const [width, shown] = await tab.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width <= shown, `${width} px are wider than the window`);
});

test("a program that fails is shown with its own words", async (t) => {
  const { tab } = await open(t, { files: ["/nowhere/files-server"], slow: labProgram("stdio-ready") });
  await card(tab, "files").getByText("Program not found", { exact: true }).waitFor();
  await card(tab, "files").getByText(/was not found/).waitFor();
});
