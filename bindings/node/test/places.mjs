// The locations of the package under test and of the repository's data files. The package is resolved by its name, so that
// the same tests run in a project that has installed it.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const packageFolder = dirname(createRequire(import.meta.url).resolve("mcp-startup/package.json"));

/** The command that starts the program of the package, or another program under test. */
const { MCP_STARTUP_PROGRAM } = process.env;
export const program = MCP_STARTUP_PROGRAM
  ? [MCP_STARTUP_PROGRAM]
  : [process.execPath, join(packageFolder, "bin/mcp-startup.mjs")];

/** The folder of the project that uses the package. `mcp-startup` resolves from here. */
export const project = fileURLToPath(new URL("..", import.meta.url));

const { MCP_STARTUP_REPOSITORY } = process.env;
const repository = MCP_STARTUP_REPOSITORY
  ? pathToFileURL(join(MCP_STARTUP_REPOSITORY, "/"))
  : new URL("../../../", import.meta.url);

/** The URL of a data file in the repository's `tests` folder. */
export const dataFile = (path) => new URL(`tests/${path}`, repository);
