// Collects the npm packages that several machines built into one folder, for a release.
//
//     node scripts/collect.mjs OUT FOLDER...
//
// Prints the files in the order of publication: the package that names the others is the last, because it is of no use before them.
// Fails if two machines built different packages of one name, or if `mcp-startup` names a package that no machine built.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

const [out, ...folders] = process.argv.slice(2);
if (folders.length === 0) {
  console.error("usage: node scripts/collect.mjs OUT FOLDER...");
  process.exit(2);
}

function fail(message) {
  console.error(`collect.mjs: ${message}`);
  process.exit(1);
}

mkdirSync(out, { recursive: true });
for (const folder of folders) {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".tgz"))) {
    const [from, to] = [join(folder, file), join(out, file)];
    if (existsSync(to) && !readFileSync(to).equals(readFileSync(from))) {
      fail(`${from} differs from the ${file} of another folder; build both from the same commit, with the same npm`);
    }
    copyFileSync(from, to);
  }
}

const manifestOf = (file) => JSON.parse(execFileSync("tar", ["-xzOf", file, "package/package.json"], { encoding: "utf8" }));
const packages = readdirSync(out)
  .filter((name) => name.endsWith(".tgz"))
  .map((name) => ({ file: join(out, name), manifest: manifestOf(join(out, name)) }));

const needs = ({ manifest }) => Object.entries({ ...manifest.dependencies, ...manifest.optionalDependencies });
const built = new Set(packages.map(({ manifest }) => `${manifest.name}@${manifest.version}`));
for (const one of packages) {
  const missing = needs(one).map((dependency) => dependency.join("@")).filter((dependency) => !built.has(dependency));
  if (missing.length > 0) fail(`${basename(one.file)} needs ${missing.join(", ")}, which no folder has`);
}
packages.sort((a, b) => needs(a).length - needs(b).length);
for (const { file } of packages) console.log(file);
