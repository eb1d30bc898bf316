// The rules of axe, in light and dark, wide and narrow.

import assert from "node:assert/strict";
import { test } from "node:test";
import axe from "axe-core";
import { card, openTab, row, startBrowser } from "./browser.mjs";
import { startLab, User } from "./program.mjs";

const browser = await startBrowser();

async function check(tab) {
  await tab.evaluate(axe.source);
  const { violations, passes } = await tab.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`).join("\n")}`);
  assert.deepEqual(found, []);
  assert.ok(passes.length > 10);
}

test("axe finds nothing, in light and dark, in any state", async (t) => {
  const lab = await startLab(t);
  const user = new User(t);
  const rows = ["ready", "first-sign-in", "server-500", "tools-500"].map((name) => [name, lab(name)]);
  // Enough servers for the filter.
  const more = Array.from({ length: 12 }, (_, index) => [`docs-${index}`, lab("ready")]);
  user.configure(Object.fromEntries([...rows, ...more, ["broken", "ftp://example.com"]]));
  const program = await user.open(t);
  for (const colorScheme of ["light", "dark"]) {
    await t.test(colorScheme, async (t) => {
      const tab = await openTab(t, browser, program.url, { colorScheme, viewport: { width: 360, height: 800 } });
      await card(tab, "first-sign-in").getByText("Not signed in", { exact: true }).waitFor();
      await card(tab, "server-500").getByText("Server error", { exact: true }).waitFor();
      await row(tab, "docs-11").getByText("Ready").waitFor();
      await check(tab);
      await tab.setViewportSize({ width: 1200, height: 900 });
      await card(tab, "server-500").getByRole("button", { name: "Details of server-500" }).click();
      await card(tab, "server-500").locator(".timeline").waitFor();
      await card(tab, "broken").getByRole("button", { name: "Show in the configuration (broken)" }).click();
      await row(tab, "ready").click();
      await tab.locator(".rows .timeline").waitFor();
      await check(tab);
    });
  }
  await t.test("without a connection", async (t) => {
    const tab = await openTab(t, browser, new URL("/", program.url).href);
    await tab.getByRole("alert").waitFor();
    await check(tab);
  });
});
