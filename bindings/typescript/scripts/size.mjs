// The size of the whole package as a browser would get it: one file, minified, gzipped. Prints one JSON line; exit status
// 1 at or above the limit.

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const LIMIT_BYTES = 10_000;

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL("../dist/index.js", import.meta.url))],
  bundle: true,
  minify: true,
  format: "esm",
  // Anything of Node's would not be found.
  platform: "browser",
  write: false,
});
const bundle = outputFiles[0].contents;
const gzipped = gzipSync(bundle, { level: 9 }).length;
console.log(JSON.stringify({ minified: bundle.length, gzipped, limit: LIMIT_BYTES }));
process.exitCode = gzipped < LIMIT_BYTES ? 0 : 1;
