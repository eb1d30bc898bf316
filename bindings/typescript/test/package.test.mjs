// The published package: it runs without Node, it is small, its types compile, and its README examples run.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { build } from "esbuild";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const node = (...args) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: at("."), encoding: "utf8" });
  return { status, stdout, output: stdout + stderr };
};

test("the package has no dependencies and imports only its own files", () => {
  const { dependencies, peerDependencies, optionalDependencies } = JSON.parse(readFileSync(at("package.json"), "utf8"));
  assert.deepEqual([dependencies, peerDependencies, optionalDependencies], [undefined, undefined, undefined]);
  const files = readdirSync(at("dist"), { recursive: true }).filter((file) => /\.(js|d\.ts)$/.test(file));
  assert.ok(files.length > 0);
  for (const file of files) {
    const code = readFileSync(at(`dist/${file}`), "utf8");
    for (const [, from] of code.matchAll(/(?:\bfrom\s*|\b(?:import|require)\s*\(?\s*)["']([^"']+)["']/g)) {
      assert.match(from, /^\.\.?\//, `${file} imports ${from}`);
    }
    assert.doesNotMatch(code, /\b(process|Buffer|globalThis)\b[.([]/, file);
    if (!file.startsWith("cjs")) assert.doesNotMatch(code, /\brequire\b[.([]/, file);
  }
});

for (const entry of ["@mcp-startup/protocol", "@mcp-startup/protocol/app-server"]) {
  test(`import and require export the same names from ${entry}`, async () => {
    const [esm, cjs] = [await import(entry), createRequire(import.meta.url)(entry)];
    assert.ok(Object.keys(esm).length > 0);
    assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
  });
}

test("it needs only the language and TextDecoder", async () => {
  const { outputFiles } = await build({
    entryPoints: [at("dist/index.js")],
    bundle: true,
    format: "iife",
    globalName: "protocol",
    platform: "browser",
    write: false,
  });
  const lineOf = (params) => `{"method":"mcpServer/startupStatus/updated","params":${params}}`;
  const line = lineOf('{"name":"a","status":"ready"}');
  const context = vm.createContext({ TextDecoder, bytes: new TextEncoder().encode(line) });
  vm.runInContext(outputFiles[0].text, context);
  const encoded = vm.runInContext("protocol.encode(protocol.decode(bytes))", context);
  assert.equal(encoded, lineOf('{"threadId":null,"name":"a","status":"ready","error":null,"failureReason":null}'));
});

test("a bundle with one import does not include the tracker", async () => {
  const { outputFiles } = await build({
    stdin: { contents: 'export { METHOD } from "@mcp-startup/protocol";', resolveDir: at(".") },
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
  });
  assert.ok(outputFiles[0].contents.length < 200, outputFiles[0].text);
});

test("the main entry is smaller than 4.2 kB, and the client of the app-server than 6 kB", () => {
  const { status, output } = node("scripts/size.mjs");
  assert.equal(status, 0, output);
});

for (const project of ["bundler", "node16", "dom", "node"]) {
  test(`the types compile with tsconfig.${project}.json`, () => {
    const tsc = fileURLToPath(new URL("bin/tsc", import.meta.resolve("typescript/package.json")));
    const { status, output } = node(tsc, "-p", `test/types/tsconfig.${project}.json`);
    assert.equal(status, 0, output);
  });
}

// bindings/node/test/app_server.test.mjs runs it, with the program.
const NEEDS_PROGRAM = "app_server.mjs";

test("the README's code blocks are the examples, and the examples print the README's output", () => {
  const readme = readFileSync(at("README.md"), "utf8");
  const blocks = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
  const examples = readdirSync(at("examples")).sort();
  assert.deepEqual(blocks.sort(), examples.map((file) => readFileSync(at(`examples/${file}`), "utf8")).sort());
  const shown = [...readme.matchAll(/```text\n(.*?)```/gs)].map(([, text]) => text);
  const printed = examples.filter((file) => file !== NEEDS_PROGRAM).map((file) => {
    const { status, stdout, output } = node(`examples/${file}`);
    assert.equal(status, 0, output);
    return stdout;
  });
  assert.deepEqual(shown.sort(), printed.sort());
});
