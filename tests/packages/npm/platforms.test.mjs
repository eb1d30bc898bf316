// A release has the addon of every platform, and each platform installs its own. Two machines are simulated: each packs
// `mcp-startup` with the addon of its platform, and both results go into one folder.

import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { serve } from "./registry.mjs";

const bindings = process.env.MCP_STARTUP_BINDINGS ?? fileURLToPath(new URL("../../../bindings", import.meta.url));
const node = join(bindings, "node");
const { version, napi } = JSON.parse(readFileSync(join(node, "package.json"), "utf8"));
const machines = [
  { name: "one", triple: "x86_64-unknown-linux-gnu", package: "mcp-startup-linux-x64-gnu", as: ["linux", "x64", "glibc"] },
  { name: "other", triple: "aarch64-apple-darwin", package: "mcp-startup-darwin-arm64", as: ["darwin", "arm64"] },
];

const folder = mkdtempSync(join(tmpdir(), "mcp-startup-platforms-"));
const at = (...path) => join(folder, ...path);
const run = (script, ...args) => spawnSync(process.execPath, [join(node, "scripts", script), ...args], { encoding: "utf8" });
const contentOf = (machine) => `the addon of ${machine.triple}`;

function pack(out, triple, content) {
  writeFileSync(at("addon"), content);
  const { status, stderr } = run("pack.mjs", out, triple, at("addon"));
  assert.equal(status, 0, stderr);
}

before(() => {
  for (const machine of machines) {
    // The package without native code is packed on every machine, too.
    mkdirSync(at(machine.name));
    const protocol = ["pack", "--silent", "--ignore-scripts", "--pack-destination", at(machine.name)];
    execFileSync("npm", protocol, { cwd: join(bindings, "typescript") });
    pack(at(machine.name), machine.triple, contentOf(machine));
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("two machines pack the same `mcp-startup`, which names the package of every platform", () => {
  const [one, other] = machines.map(({ name }) => readFileSync(at(name, `mcp-startup-${version}.tgz`)));
  assert.ok(one.equals(other));
  const manifest = JSON.parse(
    execFileSync("tar", ["-xzOf", at("one", `mcp-startup-${version}.tgz`), "package/package.json"], { encoding: "utf8" }),
  );
  assert.equal(Object.keys(manifest.optionalDependencies).length, napi.targets.length);
  for (const machine of machines) assert.equal(manifest.optionalDependencies[machine.package], version);
});

test("a release without the package of a platform is refused", () => {
  const { status, stdout, stderr } = run("collect.mjs", at("incomplete"), ...machines.map(({ name }) => at(name)));
  assert.equal(status, 1, stdout);
  assert.match(stderr, /needs .*mcp-startup-linux-x64-musl@.*, which no folder has/);
});

test("two different packages of one name are refused", () => {
  pack(at("again"), machines[0].triple, "another addon");
  const { status, stderr } = run("collect.mjs", at("ambiguous"), at("one"), at("again"));
  assert.equal(status, 1);
  assert.match(stderr, /again.mcp-startup-linux-x64-gnu-.*\.tgz differs from/);
});

test("each platform installs its own addon, and no other", async () => {
  const others = napi.targets.filter((triple) => !machines.some((machine) => machine.triple === triple));
  for (const triple of others) pack(at("others"), triple, `the addon of ${triple}`);
  const { status, stdout, stderr } = run("collect.mjs", at("release"), at("one"), at("other"), at("others"));
  assert.equal(status, 0, stderr);
  const files = stdout.trim().split("\n");
  assert.equal(files.length, napi.targets.length + 2);
  assert.equal(files.at(-1), at("release", `mcp-startup-${version}.tgz`));

  const registry = await serve(files);
  try {
    for (const machine of machines) {
      const user = at(`user of ${machine.name}`);
      mkdirSync(user);
      writeFileSync(join(user, "package.json"), "{}");
      const platform = machine.as.map((value, index) => `--${["os", "cpu", "libc"][index]}=${value}`);
      const options = ["--registry", registry.url, "--cache", join(user, "cache"), "--no-audit", "--no-fund"];
      // The registry runs in this process, so it must not be blocked.
      await promisify(execFile)("npm", ["install", ...options, ...platform, "mcp-startup"], { cwd: user });
      const installed = readdirSync(join(user, "node_modules")).filter((name) => name.startsWith("mcp-startup"));
      assert.deepEqual(installed.sort(), ["mcp-startup", machine.package]);
      const addon = readdirSync(join(user, "node_modules", machine.package)).filter((name) => name.endsWith(".node"));
      assert.equal(addon.length, 1);
      assert.equal(readFileSync(join(user, "node_modules", machine.package, addon[0]), "utf8"), contentOf(machine));
    }
  } finally {
    registry.close();
  }
});
