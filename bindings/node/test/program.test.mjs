// The program that is part of the package.

import assert from "node:assert/strict";
import test from "node:test";
import { ended, Lab, pidIn, PROGRAM, run, User } from "./users.mjs";

const program = (args, options) => run(PROGRAM[0], [PROGRAM[1], ...args], options);

test("the program", { concurrency: true, timeout: 60_000 }, async (all) => {
  const lab = await Lab.start(all);
  const tests = [];
  const add = (name, body) => tests.push(all.test(name, body));

  add("prints its version and its usage", async () => {
    assert.match((await program(["--version"])).out, /^mcp-startup \d+\.\d+\.\d+\n$/);
    assert.match((await program(["--help"])).out, /Usage: mcp-startup/);
    const { status, err } = await program(["chekc"]);
    assert.equal(status, 2);
    assert.match(err, /chekc/);
  });

  add("checks a configuration: prints only notifications, and exits with 3 if a sign-in is needed", async (t) => {
    const user = new User(t, lab).has("ready", "expired-no-refresh");
    const { status, out } = await program(["check", "--config", user.config, "--format", "ndjson"]);
    assert.equal(status, 3);
    const params = out.trim().split("\n").map((line) => JSON.parse(line).params);
    assert.equal(params.length, 4);
    assert.deepEqual(params.map(({ failureReason }) => failureReason).filter(Boolean), ["reauthenticationRequired"]);
  });

  add("runs the demo, whose servers are the program itself", async () => {
    const { status, out, err } = await program(["demo"]);
    assert.equal(status, 0, err);
    assert.match(out, /stdio-ready +ready/);
  });

  for (const signal of ["SIGINT", "SIGTERM"]) {
    add(`exits with 130 on ${signal}, and leaves no server`, async (t) => {
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

  add("exits when the reader of its output closes the pipe, and leaves no server", async (t) => {
    const user = new User(t, lab);
    const pidFile = user.hasSilentProgram();
    // A shell creates a pipe; Node would create a socket.
    const script = '{ "$@"; echo $? >&2; } | { head -n 1; until [ -e "$STARTED" ]; do sleep 0.01; done; }';
    const args = [...PROGRAM, "check", "--config", user.config, "--format", "ndjson"];
    const env = { ...process.env, STARTED: pidFile };
    const { out, err } = await run("sh", ["-c", script, "sh", ...args], { env });
    assert.match(out, /"starting"/);
    assert.equal(err, "141\n");
    await ended(await pidIn(pidFile));
  });

  add("serves a stdio server of the lab, which exits when its stdin closes", async () => {
    const clientInfo = { name: "test", version: "1" };
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
    const initialize = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
    const started = (child) => child.stdin.end(`${initialize}\n`);
    const stdio = ["pipe", "pipe", "pipe"];
    const { status, out } = await program(["lab", "--stdio", "stdio-ready"], { stdio, started });
    assert.equal(status, 0);
    assert.equal(JSON.parse(out).result.protocolVersion, "2025-11-25");
  });

  await Promise.all(tests);
});
