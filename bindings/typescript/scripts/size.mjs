// Measures the size of each entry of the package for a browser: one file, minified and gzipped. Prints one JSON line for each, and
// exits with 1 if one is at or above the limit.

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const LIMITS_BYTES = { index: 4_200, app_server: 6_000 };

for (const [entry, limit] of Object.entries(LIMITS_BYTES)) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`../dist/${entry}.js`, import.meta.url))],
    bundle: true,
    minify: true,
    format: "esm",
    // An import of a Node module fails the build.
    platform: "browser",
    write: false,
  });
  const bundle = outputFiles[0].contents;
  const gzipped = gzipSync(bundle, { level: 9 }).length;
  console.log(JSON.stringify({ entry, minified: bundle.length, gzipped, limit }));
  if (gzipped >= limit) process.exitCode = 1;
}
