// Where things are: the package under test, and the data files of the repository. The package is found by its name, so that
// the same tests run in a project that has installed it.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const packageFolder = dirname(createRequire(import.meta.url).resolve("mcp-startup/package.json"));

/** How the program of the package is started. */
export const program = [process.execPath, join(packageFolder, "bin/mcp-startup.mjs")];

/** Where a project that has the package begins: `mcp-startup` is found from here. */
export const project = fileURLToPath(new URL("..", import.meta.url));

const { MCP_STARTUP_REPOSITORY } = process.env;
const repository = MCP_STARTUP_REPOSITORY
  ? pathToFileURL(join(MCP_STARTUP_REPOSITORY, "/"))
  : new URL("../../../", import.meta.url);

/** A data file of the repository's folder `tests`. */
export const dataFile = (path) => new URL(`tests/${path}`, repository);
