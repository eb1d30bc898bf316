#!/usr/bin/env node
// Runs the program `mcp-startup`, which is part of the addon.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const { program } = createRequire(import.meta.url)("../native.cjs");

// The program handles these signals itself. Without a listener, Node would exit immediately and leave the servers running.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});

const command = [process.execPath, fileURLToPath(import.meta.url)];
program(command, process.argv.slice(2), (status) => process.exit(status));
