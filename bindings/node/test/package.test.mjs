// The published package: `import` and `require` export the same, and its types compile.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import test from "node:test";
import * as esm from "mcp-startup";

const require = createRequire(import.meta.url);

test("import and require export the same values", () => {
  const cjs = require("mcp-startup");
  assert.deepEqual(Object.keys(esm).sort(), Object.keys(cjs).sort());
  for (const [name, value] of Object.entries(cjs)) assert.equal(esm[name], value);
});

test("the program has the version of the package", () => {
  const bin = require.resolve("mcp-startup/package.json").replace("package.json", "bin/mcp-startup.mjs");
  const output = execFileSync(process.execPath, [bin, "--version"], { encoding: "utf8" });
  assert.equal(output, `mcp-startup ${require("mcp-startup/package.json").version}\n`);
});

for (const resolution of ["node16", "bundler"]) {
  test(`a consumer compiles with module resolution ${resolution}`, () => {
    const tsc = join(require.resolve("typescript/package.json"), "../bin/tsc");
    const args = ["-p", join(import.meta.dirname, "types", `tsconfig.${resolution}.json`)];
    try {
      execFileSync(process.execPath, [tsc, ...args], { encoding: "utf8" });
    } catch (error) {
      assert.fail(error.stdout);
    }
  });
}
