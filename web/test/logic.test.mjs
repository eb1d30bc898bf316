// The parts of the page without a DOM: hidden characters, what to offer for each failure of the verdict, and the order.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Imports a module of the page. */
async function load(name) {
  const { outputFiles } = await build({ entryPoints: [at(`../src/${name}.ts`)], bundle: true, format: "esm", write: false });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

const { visible } = await load("visible");
const { REMEDY_WORDS, remediesFor } = await load("failure");
const { attentionOf } = await load("server");

test("the hidden characters are those of core, which the program escapes", () => {
  const source = readFileSync(at("../../crates/core/src/printable.rs"), "utf8");
  const [, table] = /const HIDDEN: \[\(u32, u32\); \d+\] = \[([^\]]*)\]/.exec(source);
  const ranges = [...table.matchAll(/\((0x[0-9a-f]+), (0x[0-9a-f]+)\)/g)].map(([, first, last]) => [Number(first), Number(last)]);
  assert.ok(ranges.length > 20);
  for (let code = 0; code <= 0x10ffff; code += 1) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const character = String.fromCodePoint(code);
    const isHidden = ranges.some(([first, last]) => first <= code && code <= last);
    assert.equal(visible(character) !== character, isHidden, code.toString(16));
  }
});

test("hidden characters become escapes, and the parts of an emoji stay joined", () => {
  assert.equal(visible("a\u202eb\u0007\u{e0041}"), "a\\u{202e}b\\u{7}\\u{e0041}");
  assert.equal(visible("👩‍👩‍👧 🏳️‍🌈 ⚠️"), "👩‍👩‍👧 🏳️‍🌈 ⚠️");
  assert.equal(visible("a\u200db"), "a\\u{200d}b");
});

// From the design: the button is that of `recovery`, and a second one that of `fallback`.
const OFFERS = [
  [{ recovery: "signIn" }, ["Sign in"]],
  [{ recovery: "reauthenticate" }, ["Sign in again"]],
  [{ recovery: "grantScope" }, ["Allow more"]],
  [{ recovery: "retry" }, ["Try again"]],
  [{ recovery: "retry", fallback: "reauthenticate" }, ["Try again", "Sign in again"]],
  [{ recovery: "fixConfiguration" }, ["Show in the configuration"]],
  [{ recovery: "fixCredentialStore" }, ["Try again"]],
  [{ recovery: "openClient" }, ["Try again"]],
  [{ recovery: "openClient", evidence: { discovered: { outcome: "published" } } }, ["Try again", "Sign in"]],
  [{ recovery: "openClient", evidence: { discovered: { outcome: "published", problem: "clientRequired" } } }, ["Try again"]],
  [{ recovery: "none" }, []],
  [{ recovery: "recoveryOfANewerVersion" }, []],
];

for (const [failure, expected] of OFFERS) {
  test(`${JSON.stringify(failure)} offers ${expected.join(" and ") || "nothing"}`, () => {
    const remedies = remediesFor({ fallback: null, evidence: {}, ...failure });
    assert.deepEqual(remedies.map((remedy) => REMEDY_WORDS[remedy]), expected);
  });
}

test("failures that the user can fix come first, and a server stays while it starts again", () => {
  const server = (name, status, recovery, nextTryAt = null) => {
    const failure = recovery && { recovery, fallback: null, evidence: {}, kind: "other", message: "" };
    return { name, status, details: { failure: failure ?? null }, nextTryAt };
  };
  const servers = [
    server("ready", "ready"),
    server("unreachable", "failed", "retry"),
    server("broken", "failed", "fixConfiguration"),
    server("again", "starting", "reauthenticate"),
    server("lost", "ready", undefined, 1),
    server("first", "failed", "signIn"),
    server("starting", "starting"),
    server("cancelled", "cancelled", "retry"),
  ];
  assert.deepEqual(attentionOf(servers).map(({ name }) => name), ["again", "first", "broken", "unreachable", "lost"]);
});
