// Measures the size of the whole package for a browser: one file, minified and gzipped. Prints one JSON line, and exits
// with 1 at or above the limit.

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const LIMIT_BYTES = 10_000;

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL("../dist/index.js", import.meta.url))],
  bundle: true,
  minify: true,
  format: "esm",
  // An import of a Node module fails the build.
  platform: "browser",
  write: false,
});
const bundle = outputFiles[0].contents;
const gzipped = gzipSync(bundle, { level: 9 }).length;
console.log(JSON.stringify({ minified: bundle.length, gzipped, limit: LIMIT_BYTES }));
process.exitCode = gzipped < LIMIT_BYTES ? 0 : 1;
