// Starts MCP servers with the official TypeScript SDK: connect, `initialize`, `tools/list`, close, all concurrently.
//
// usage: node typescript_sdk.mjs CONFIG    JSON with `mcpServers`; prints a line with `ready` for each server

import { readFileSync } from "node:fs";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

async function start([name, server]) {
  // Each transport uses the global `fetch`, so all of them share one pool of connections.
  const transport = server.url ? new StreamableHTTPClientTransport(new URL(server.url)) : new StdioClientTransport(server);
  const client = new Client({ name: "bench", version: "1.0.0" });
  try {
    await client.connect(transport);
    const { tools } = await client.listTools();
    await client.close();
    console.log(`${name} ready ${tools.length}`);
  } catch (error) {
    console.log(`${name} failed: ${error}`);
    process.exitCode = 1;
    await client.close().catch(() => {});
  }
}

const { mcpServers } = JSON.parse(readFileSync(process.argv[2], "utf8"));
await Promise.all(Object.entries(mcpServers).map(start));
