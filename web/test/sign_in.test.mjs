// The whole story of a sign-in, as a user does it, with a real authorization server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { card, openTab, row, startBrowser } from "./browser.mjs";
import { startAuthorizationServer, User, withoutServers } from "./program.mjs";

const browser = await startBrowser();

/** Clicks a button, and allows the access in the tab that it opens. */
async function signIn(tab, button) {
  const opened = tab.context().waitForEvent("page");
  await card(tab, "linear").getByRole("button", { name: button }).click();
  const signInPage = await opened;
  await signInPage.getByRole("button", { name: "Allow" }).click();
  await signInPage.getByText("You can close this").waitFor();
  await signInPage.close();
}

test("a user signs in, the grant is revoked, and the user signs in again", { skip: withoutServers }, async (t) => {
  const authorization = await startAuthorizationServer(t);
  const user = new User(t);
  user.configure({ linear: authorization.url("linear") });
  const { url } = await user.open(t);
  const tab = await openTab(t, browser, url);

  await card(tab, "linear").getByText("Not signed in", { exact: true }).waitFor();
  await signIn(tab, "Sign in (linear)");
  await row(tab, "linear").getByText("Ready").waitFor();
  assert.equal(await tab.getByRole("heading", { name: "Needs attention" }).count(), 0);

  const [{ refresh_token: refreshToken }] = user.signIns();
  assert.deepEqual(await authorization.test("revoke", { refreshToken }), { found: true });
  // A new connection starts the server again.
  await tab.reload();
  await card(tab, "linear").getByText("Sign-in expired", { exact: true }).waitFor();
  assert.equal(await tab.getByRole("button", { name: "Sign in again" }).count(), 1);
  await tab.evaluate(() => {
    globalThis.isSamePage = true;
  });
  await signIn(tab, "Sign in again (linear)");
  await row(tab, "linear").getByText("Ready").waitFor();
  assert.equal(await tab.evaluate(() => globalThis.isSamePage), true, "the page was not reloaded");
});

test("a sign-in can be cancelled, and begun again", { skip: withoutServers }, async (t) => {
  const authorization = await startAuthorizationServer(t);
  const user = new User(t);
  user.configure({ linear: authorization.url("linear") });
  const tab = await openTab(t, browser, (await user.open(t)).url);
  const opened = tab.context().waitForEvent("page");
  await card(tab, "linear").getByRole("button", { name: "Sign in (linear)" }).click();
  await opened;
  const link = card(tab, "linear").getByRole("link", { name: "open the sign-in page" });
  assert.match(await link.getAttribute("href"), /^http:\/\/127\.0\.0\.1:\d+\/auth\?/);
  await card(tab, "linear").getByRole("button", { name: "Cancel" }).click();
  await link.waitFor({ state: "detached" });
  await signIn(tab, "Sign in (linear)");
  await row(tab, "linear").getByText("Ready").waitFor();
});
