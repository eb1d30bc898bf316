// Builds the page: one HTML file with its style sheet, and one script. `--check` compares them with the committed files instead.
// Prints their size as one line of JSON. Exits with 1 if they are too large, or, with `--check`, out of date.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";

const LIMIT_BYTES = 100_000;
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const target = ["chrome111", "firefox113", "safari16.4"];

const { outputFiles } = await build({
  entryPoints: [at("../src/main.tsx")],
  bundle: true,
  minify: true,
  format: "esm",
  target,
  charset: "utf8",
  legalComments: "none",
  jsx: "automatic",
  jsxImportSource: "preact",
  // The comment is the license of Preact, whose code is part of the file.
  banner: { js: "// Built from web/ (scripts/page build). Contains Preact, https://preactjs.com, MIT License, Copyright (c) 2015-present Jason Miller" },
  write: false,
});
const css = await transform(readFileSync(at("../src/page.css"), "utf8"), { loader: "css", minify: true, target });
const html = readFileSync(at("../src/index.html"), "utf8").replace("<style></style>", () => `<style>${css.code.trim()}</style>`);

const files = { "index.html": html, "page.js": outputFiles[0].text };
const gzipped = Object.values(files).reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0);
console.log(JSON.stringify({ gzipped, limit: LIMIT_BYTES }));
if (gzipped >= LIMIT_BYTES) process.exitCode = 1;

for (const [name, text] of Object.entries(files)) {
  const path = at(`../../crates/app-server/page/${name}`);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, text);
  } else if (readFileSync(path, "utf8") !== text) {
    console.error(`crates/app-server/page/${name} is out of date: run scripts/page build`);
    process.exitCode = 1;
  }
}
