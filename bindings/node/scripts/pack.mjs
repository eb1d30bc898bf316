// Packs `mcp-startup` and the package with the addon of one platform, as they are published.
//
//     node scripts/pack.mjs OUT TRIPLE ADDON
//
// `mcp-startup` has no native code. It names the package of every platform in `napi.targets` as an optional dependency, and npm
// installs the one for its machine. So every machine packs the same `mcp-startup`. Prints the names of the two files.

import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { gzip } from "pako";

const { NapiCli, parseTriple } = createRequire(import.meta.url)("@napi-rs/cli");

const [out, triple, addon] = process.argv.slice(2);
if (addon === undefined) {
  console.error("usage: node scripts/pack.mjs OUT TRIPLE ADDON");
  process.exit(2);
}

const source = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
const { binaryName, packageName, targets } = manifest.napi;
if (!targets.includes(triple)) throw new Error(`${triple} is not one of "napi.targets" in package.json: ${targets.join(", ")}`);
const packageOf = (target) => `${packageName}-${parseTriple(target).platformArchABI}`;

const work = mkdtempSync(join(tmpdir(), "mcp-startup-pack-"));
try {
  for (const file of manifest.files) {
    const from = file === "LICENSE" ? join(source, "../..", file) : join(source, file);
    cpSync(from, join(work, file), { recursive: true });
  }
  manifest.optionalDependencies = Object.fromEntries(targets.map((target) => [packageOf(target), manifest.version]));
  writeFileSync(join(work, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);

  await new NapiCli().createNpmDirs({ cwd: work });
  const { platformArchABI } = parseTriple(triple);
  const platform = join(work, "npm", platformArchABI);
  copyFileSync(addon, join(platform, `${binaryName}.${platformArchABI}.node`));
  copyFileSync(join(work, "LICENSE"), join(platform, "LICENSE"));

  // A user installs the package. Its scripts and development dependencies are of no use there.
  delete manifest.scripts;
  delete manifest.devDependencies;
  writeFileSync(join(work, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);

  mkdirSync(out, { recursive: true });
  for (const folder of [platform, work]) {
    const arguments_ = ["pack", "--silent", "--ignore-scripts", "--pack-destination", resolve(out)];
    const options = { cwd: folder, encoding: "utf8", shell: process.platform === "win32" };
    const name = execFileSync("npm", arguments_, options);
    compressAgain(resolve(out, name.trim()));
    process.stdout.write(name);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Compresses a package as zlib does. The zlib of Node is faster, and its packages are 3 % larger. */
function compressAgain(path) {
  writeFileSync(path, gzip(gunzipSync(readFileSync(path)), { level: 9 }));
}
