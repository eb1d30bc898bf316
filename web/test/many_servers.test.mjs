// A page with 1,000 servers stays responsive while their states arrive.

import assert from "node:assert/strict";
import { test } from "node:test";
import { row, startBrowser } from "./browser.mjs";
import { startLab, User } from "./program.mjs";

const SERVERS = 1000;
/** The longest time that the page may not respond, in ms. */
const LIMIT_MS = 100;

const browser = await startBrowser();

test(`${SERVERS} servers appear without a long task`, async (t) => {
  const lab = await startLab(t);
  const user = new User(t);
  const kinds = [lab("ready"), lab("ready"), "http://127.0.0.1:1/mcp", lab("ready"), lab("first-sign-in")];
  const name = (index) => `server-${String(index).padStart(4, "0")}`;
  user.configure(Object.fromEntries(Array.from({ length: SERVERS }, (_, index) => [name(index), kinds[index % kinds.length]])));
  const { url } = await user.open(t);
  const profile = await browser.newContext();
  t.after(() => profile.close());
  const tab = await profile.newPage();
  await browser.startTracing(tab, { categories: ["disabled-by-default-devtools.timeline"] });
  await tab.goto(url);
  const done = `600 of ${SERVERS} ready`;
  await tab.locator(".summary").getByText(done).waitFor({ timeout: 60_000 });
  const began = Date.now();
  await tab.getByRole("searchbox").fill("0999");
  await row(tab, name(999)).waitFor();
  assert.equal(await tab.locator(".rows .row").count(), 1);
  const filtered = Date.now() - began;
  await tab.getByRole("searchbox").fill("");
  await row(tab, name(998)).waitFor({ state: "attached" });

  const { traceEvents } = JSON.parse(await browser.stopTracing());
  const names = traceEvents.filter((event) => event.name === "thread_name" && event.args.name === "CrRendererMain");
  const threads = new Set(names.map(({ pid, tid }) => `${pid} ${tid}`));
  const tasks = traceEvents.filter((event) => event.name === "RunTask" && threads.has(`${event.pid} ${event.tid}`));
  assert.ok(tasks.length > 100, "the trace has the tasks of the page");
  // The CPU time, so that other programs on the machine do not count.
  const times = tasks.map(({ tdur, dur }) => (tdur ?? dur) / 1000).sort((a, b) => b - a);
  console.log(`longest tasks of the page with ${SERVERS} servers: ${times.slice(0, 5).map((ms) => ms.toFixed(0)).join(", ")} ms; filtered after ${filtered} ms`);
  assert.ok(tasks.some(({ tdur }) => tdur !== undefined), "the trace has CPU times");
  assert.ok(times[0] <= LIMIT_MS, `a task took ${times[0].toFixed(0)} ms`);
});
