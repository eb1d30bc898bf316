// The tables of options in README.md, made from the declarations of the package. Run this file to write them.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const README = join(import.meta.dirname, "../README.md");
const MARKER = /(<!-- options: ([\w, ]+) -->\n)(?:\n(?:\|.*\n)+)?/g;

/** The options in each `type …Options` of the declarations: name, type and description. */
export function declaredOptions() {
  const folder = dirname(createRequire(import.meta.url).resolve("mcp-startup"));
  const types = new Map();
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".d.cts"))) {
    const text = readFileSync(join(folder, file), "utf8");
    for (const [, name, body] of text.matchAll(/^export type (\w*Options) = [^{;]*\{\n(.*?)^\};/gms)) {
      const fields = [...body.matchAll(/^ {4}\/\*\*((?:(?!\*\/).)*)\*\/\n {4}(\w+)\?: ([^\n]*);$/gms)];
      types.set(
        name,
        fields.map(([, comment, option, type]) => ({
          option,
          type: type.replace(/ \| undefined$/, "").replace(/^\((.*)\)$/, "$1"),
          meaning: comment.replaceAll(/\s*\n\s*\* ?/g, " ").trim(),
        })),
      );
    }
  }
  return types;
}

/** The README with the current tables. */
export function withTables(readme) {
  const declared = declaredOptions();
  return readme.replaceAll(MARKER, (_, marker, names) => {
    const rows = names.split(", ").flatMap((name) => declared.get(name) ?? []);
    const cells = rows.map(({ option, type, meaning }) => [`\`${option}\``, `\`${type}\``, meaning]);
    const lines = [["option", "type", "meaning"], ["---", "---", "---"], ...cells];
    return `${marker}\n` + lines.map((line) => `| ${line.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`).join("");
  });
}

if (process.argv[1] === import.meta.filename) writeFileSync(README, withTables(readFileSync(README, "utf8")));
