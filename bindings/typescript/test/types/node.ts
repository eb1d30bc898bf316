// Compiled but never run: a child process of Node.

import { spawn } from "node:child_process";
import { AppServerClient } from "@mcp-startup/protocol/app-server";

const child = spawn("mcp-startup", ["app-server"], { stdio: ["pipe", "pipe", "inherit"] });
export const client = AppServerClient.connect(
  { input: child.stdout, output: child.stdin },
  { clientInfo: { name: "host", version: "1" } },
);
