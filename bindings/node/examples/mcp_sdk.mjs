import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { authorizedFetch } from "mcp-startup";

const [server, url] = process.argv.slice(2);

// Refreshes an expired token once, even if several processes need it.
const fetch = authorizedFetch(server, { config: "~/.codex/config.toml" });

const client = new Client({ name: "example", version: "1.0.0" });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch }));
const { tools } = await client.listTools();
console.log(tools.map((tool) => tool.name));
await client.close();
