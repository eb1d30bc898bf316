// The browser of the tests: the Chromium of the system.

import { after } from "node:test";
import { chromium } from "playwright-core";

/** The time limit for everything that a test waits for, in ms. */
export const DEADLINE_MS = 30_000;

/** Starts a browser for all tests of a file. */
export async function startBrowser(args = []) {
  const browser = await chromium.launch({
    executablePath: process.env.MCP_STARTUP_CHROMIUM ?? "chromium",
    // Chromium requires this for root. It opens only pages of these tests.
    args: process.getuid?.() === 0 ? ["--no-sandbox", ...args] : args,
  });
  after(() => browser.close());
  return browser;
}

/**
 * Opens a URL in a new tab of a new profile. Every error on the page, and every request to another address, fails the test.
 * `addresses` are the other addresses that may be requested, for a sign-in.
 */
export async function openTab(context, browser, url, { addresses = [], ...options } = {}) {
  const profile = await browser.newContext(options);
  profile.setDefaultTimeout(DEADLINE_MS);
  const tab = await profile.newPage();
  const errors = [];
  const { host } = new URL(url);
  tab.on("pageerror", (error) => errors.push(error.message));
  tab.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
  });
  tab.on("request", (request) => {
    const requested = new URL(request.url());
    if (requested.protocol !== "data:" && requested.host !== host) errors.push(`request to ${requested.href}`);
  });
  context.after(async () => {
    await profile.close();
    if (errors.length > 0 && !addresses.includes("any")) throw new Error(`the page has errors:\n${errors.join("\n")}`);
  });
  await tab.goto(url);
  return tab;
}

/** The card of a server that needs attention. */
export const card = (tab, name) => tab.locator(".card").filter({ has: tab.getByRole("heading", { name, exact: true }) });

/** The row of a server in the list of its client. */
export const row = (tab, name) => tab.locator(".row button").filter({ has: tab.getByText(name, { exact: true }) });
