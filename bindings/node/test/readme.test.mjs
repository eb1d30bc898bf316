// Checks that the README contains the examples of `examples/` verbatim, and runs each of them against the lab.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test from "node:test";
import { declaredOptions, withTables } from "./options_table.mjs";
import { Lab, run, User } from "./users.mjs";

// An installed package has no examples, so `scripts/verify-npm` copies them next to these tests.
const EXAMPLES = process.env.MCP_STARTUP_EXAMPLES ?? join(import.meta.dirname, "../examples");
const FIXTURE = join(import.meta.dirname, "../../../tests/fixtures/codex-app-server-0.169.0.jsonl");

test("the README contains every example verbatim", () => {
  const text = readFileSync(join(import.meta.dirname, "../README.md"), "utf8");
  const blocks = [...text.matchAll(/<!-- examples\/(\S+) -->\n```js\n(.*?)```/gs)];
  assert.equal(text.split("```js").length - 1, blocks.length);
  for (const [, name, block] of blocks) {
    assert.equal(block, readFileSync(join(EXAMPLES, name), "utf8"), `copy examples/${name} into README.md`);
  }
  // `recipes.test.mjs` tests the folder `many_users`.
  const examples = readdirSync(EXAMPLES).filter((name) => name.endsWith(".mjs"));
  assert.deepEqual(blocks.map(([, name]) => name).sort(), examples.sort());
  const this_ = readFileSync(import.meta.filename, "utf8");
  for (const name of examples) assert.ok(this_.includes(`"${name}"`), `${name} is not run`);
});

test("the README has every option of the declarations", () => {
  const readme = readFileSync(join(import.meta.dirname, "../README.md"), "utf8");
  assert.equal(readme, withTables(readme), "run `node test/options_table.mjs`");
  const declared = [...declaredOptions().values()].flat();
  assert.ok(declared.length > 20);
  for (const { option, meaning } of declared) {
    assert.ok(meaning.length > 0, option);
    assert.ok(readme.includes(`\`${option}`), option);
  }
});

/** A user whose configuration is where Codex stores it. */
function codexUser(context, lab) {
  const folder = mkdtempSync(join(tmpdir(), "mcp-startup-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, ".codex"));
  const user = new User(context, lab, join(folder, ".codex"));
  user.folder = folder;
  return user;
}

function environment(user) {
  const { CODEX_HOME: _, ...kept } = process.env;
  // A browser that opens a page, follows its redirects, and prints nothing.
  const browser = join(user.folder, "browser.mjs");
  writeFileSync(browser, "await (await fetch(process.argv[2])).text();");
  return { ...kept, HOME: user.folder, BROWSER: `${process.execPath} ${browser} %s` };
}

async function example(user, name, args = [], options = {}) {
  const { expectedStatus = 0, ...rest } = options;
  const done = await run(process.execPath, [join(EXAMPLES, name), ...args], {
    cwd: user.folder,
    env: environment(user),
    ...rest,
  });
  assert.equal(done.status, expectedStatus, done.err);
  return done;
}

const lines = (text) => text.trimEnd().split("\n");

test("each example", { concurrency: true, timeout: 60_000 }, async (all) => {
  const lab = await Lab.start(all);
  const tests = [];
  const add = (name, body) => tests.push(all.test(name, (t) => body(name, codexUser(t, lab), t)));

  add("check.mjs", async (name, user) => {
    user.has("ready", "first-sign-in");
    const printed = lines((await example(user, name)).out).map((line) => line.trim());
    assert.equal(printed.length, 4);
    for (const line of ["ready starting", "ready ready", "first-sign-in starting"]) assert.ok(printed.includes(line));
    assert.ok(printed.some((line) => /^first-sign-in failed .*sign in/.test(line)));
  });

  add("discover.mjs", async (name, user) => {
    user.has("ready", "server-500");
    const printed = lines((await example(user, name)).out).map((line) => line.trim());
    assert.deepEqual(printed.slice(0, 3), [`codex: ${user.config}`, "ready", "server-500"]);
    assert.deepEqual(printed.slice(3).sort(), ["ready ready", "ready starting", "server-500 failed", "server-500 starting"]);
  });

  add("events.mjs", async (name, user) => {
    user.has("ready", "first-sign-in", "expired-no-refresh", "server-500", "access-denied");
    const printed = lines((await example(user, name)).out);
    assert.ok(printed.includes("expired-no-refresh: your sign-in has expired. Sign in again."));
    const buttons = printed.flatMap((line) => line.match(/\[(.*)\]$/)?.[1] ?? []).sort();
    assert.deepEqual(buttons, ["Reconnect", "Sign in", "Try again"]);
  });

  add("give_up.mjs", async (name, user) => {
    user.hasSilentProgram();
    assert.deepEqual(lines((await example(user, name)).out), ["silent starting", "TimeoutError"]);
  });

  for (const row of ["ready-stored-token", "revoked-refreshes", "expired-rotates", "ready"]) {
    tests.push(all.test(`mcp_sdk.mjs, ${row}`, async (t) => {
      const own = await Lab.start(t);
      const user = codexUser(t, own).has(row);
      assert.match((await example(user, "mcp_sdk.mjs", [row, own.url(row)])).out, /tool-1/);
      const { expect } = own.rows.get(row);
      assert.deepEqual(await own.tokensSent(row), expect.tokensSent);
      assert.deepEqual(await own.refreshes(row), expect.refreshTokensSent ?? []);
    }));
  }

  add("mcp_sdk.mjs", async (name, user) => {
    const row = "expired-no-refresh";
    user.has(row);
    const { err } = await example(user, name, [row, lab.url(row)], { expectedStatus: 1 });
    assert.match(err, /sign in again/);
    assert.ok(!err.includes(lab.record(row).access_token));
  });

  const asBrowser = (child) => {
    createInterface(child.stdout).on("line", (line) => {
      if (line.startsWith("open ")) void fetch(line.slice(5)).then((page) => page.arrayBuffer());
    });
  };

  add("sign_in_steps.mjs", async (name, user) => {
    user.has("first-sign-in");
    const { out } = await example(user, name, ["first-sign-in"], { started: asBrowser });
    assert.match(out, /first-sign-in: signed in \(oAuth\)\n$/);
    assert.ok(user.record("first-sign-in"));
  });

  add("sign_in.mjs", async (name, user) => {
    user.has("first-sign-in");
    assert.equal((await example(user, name, ["first-sign-in"])).out, "first-sign-in: signed in (oAuth)\n");
    assert.ok(user.record("first-sign-in"));
  });

  for (const [row, printed] of [
    ["expired-rotates", "200\n"],
    ["insufficient-scope", "200\n"],
    ["expired-no-refresh", "Your sign-in to expired-no-refresh has expired or was revoked: sign in again\n"],
  ]) {
    tests.push(all.test(`own_requests.mjs, ${row}`, async (t) => {
      const own = await Lab.start(t);
      const user = codexUser(t, own).has(row);
      assert.equal((await example(user, "own_requests.mjs", [row, own.url(row)])).out, printed);
    }));
  }

  for (const row of ["ready", "ready-stored-token", "revoked-refreshes"]) {
    tests.push(all.test(`authorization.mjs, ${row}`, async (t) => {
      const own = await Lab.start(t);
      const user = codexUser(t, own).has(row);
      assert.equal((await example(user, "authorization.mjs", [row, own.url(row)])).out, "200\n");
    }));
  }

  add("watch.mjs", async (name, user) => {
    user.has("expired-no-refresh");
    const signInOnce = (child) => {
      let seen = 0;
      createInterface(child.stdout).on("line", () => {
        seen += 1;
        if (seen === 2) void example(user, "sign_in.mjs", ["expired-no-refresh"]);
      });
    };
    const { out } = await example(user, name, [], { started: signInOnce });
    const states = lines(out).map((line) => line.split(" ")[1]);
    assert.deepEqual(states, ["starting", "failed", "starting", "ready"]);
  });

  add("own_store.mjs", async (name, user) => {
    // The user's credentials are in Codex's store, and not in this one.
    user.has("ready-stored-token", "ready");
    const printed = lines((await example(user, name)).out);
    assert.ok(printed.includes("ready ready") && printed.includes("ready-stored-token failed"));
  });

  add("judge.mjs", async (name, user) => {
    const [kind, line] = lines((await example(user, name)).out);
    assert.equal(kind, "reauthenticationRequired reauthenticate");
    assert.equal(JSON.parse(line).params.failureReason, "reauthenticationRequired");
  });

  add("tracker.mjs", async (name, user) => {
    const text = readFileSync(FIXTURE, "utf8");
    const messages = lines(text).map((line) => JSON.parse(line).params);
    const again = new Set(messages.filter(({ failureReason }) => failureReason).map(({ name }) => name));
    const options = { stdio: ["pipe", "pipe", "pipe"], started: (child) => child.stdin.end(text) };
    const printed = lines((await example(user, name, [], options)).out);
    const prompts = printed.filter((line) => line.endsWith("Reconnect?"));
    assert.ok(again.size > 0);
    assert.deepEqual(prompts.map((line) => line.split(" needs you")[0]).sort(), [...again].sort());
    const servers = new Set(messages.map(({ threadId, name }) => JSON.stringify([threadId, name])));
    assert.equal(printed.length, prompts.length + servers.size);
  });

  add("errors.mjs", async (name, user) => {
    user.configure("\n[mcp_servers.a\n");
    const printed = lines((await example(user, name)).out);
    assert.deepEqual(printed, ["MCP_STARTUP_CONFIGURATION syntax", "invalidType params.name"]);
  });

  await Promise.all(tests);
});
