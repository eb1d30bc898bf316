// Starts MCP servers with the npm package `mcp-startup`.
//
// usage: node node_addon.mjs CONFIG    JSON with `mcpServers`; prints a line with `ready` for each server

import { check } from "mcp-startup";

for await (const { notification, failure } of check({ config: process.argv[2] })) {
  if (notification.status !== "starting") console.log(`${notification.name} ${notification.status} ${failure?.message ?? ""}`);
}
