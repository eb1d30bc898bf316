#!/usr/bin/env node
// The program `mcp-startup`, which the addon carries.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const { program } = createRequire(import.meta.url)("../native.cjs");

// The program listens for these itself. Without a listener Node would end the process at once, and leave the servers that it has started.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});

const command = [process.execPath, fileURLToPath(import.meta.url)];
program(command, process.argv.slice(2), (status) => process.exit(status));
