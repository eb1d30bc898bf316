// The program that the package carries.

import assert from "node:assert/strict";
import test from "node:test";
import { ended, Lab, pidIn, PROGRAM, run, User } from "./users.mjs";

const program = (words, options) => run(PROGRAM[0], [PROGRAM[1], ...words], options);

test("the program", { concurrency: true, timeout: 60_000 }, async (all) => {
  const lab = await Lab.start(all);
  const tests = [];
  const add = (name, body) => tests.push(all.test(name, body));

  add("says its version, and what it can do", async () => {
    assert.match((await program(["--version"])).out, /^mcp-startup \d+\.\d+\.\d+\n$/);
    assert.match((await program(["--help"])).out, /Usage: mcp-startup/);
    const { status, err } = await program(["chekc"]);
    assert.equal(status, 2);
    assert.match(err, /chekc/);
  });

  add("checks a configuration: exactly the notifications, and 3 where a sign-in is needed", async (t) => {
    const user = new User(t, lab).has("ready", "expired-no-refresh");
    const { status, out } = await program(["check", "--config", user.config, "--format", "ndjson"]);
    assert.equal(status, 3);
    const said = out.trim().split("\n").map((line) => JSON.parse(line).params);
    assert.equal(said.length, 4);
    assert.deepEqual(said.map(({ failureReason }) => failureReason).filter(Boolean), ["reauthenticationRequired"]);
  });

  add("shows itself, with servers that are itself", async () => {
    const { status, out, err } = await program(["demo"]);
    assert.equal(status, 0, err);
    assert.match(out, /stdio-ready +ready/);
  });

  for (const signal of ["SIGINT", "SIGTERM"]) {
    add(`ends with 130 on ${signal}, and leaves no server`, async (t) => {
      const user = new User(t, lab);
      const pidFile = user.hasSilentProgram();
      let pid;
      const started = async (child) => {
        pid = await pidIn(pidFile);
        child.kill(signal);
      };
      const { status } = await program(["check", "--config", user.config], { started });
      assert.equal(status, 130);
      await ended(pid);
    });
  }

  await Promise.all(tests);
});
