import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { authorization } from "mcp-startup";

const [server, url] = process.argv.slice(2);
const options = { config: "~/.codex/config.toml" };

/** `fetch` with the stored credentials. An expired token is refreshed once, even if several processes need it. */
async function authorizedFetch(input, init) {
  let header = await authorization(server, null, options);
  for (;;) {
    const headers = new Headers(init?.headers);
    if (header !== null) headers.set("Authorization", header);
    const response = await fetch(input, { ...init, headers });
    if (response.status !== 401) return response;
    const challenge = response.headers.get("WWW-Authenticate");
    await response.body?.cancel();
    // Throws an error with the verdict if no credential is left to try.
    header = await authorization(server, { authorization: header, challenge }, options);
  }
}

const client = new Client({ name: "example", version: "1.0.0" });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: authorizedFetch }));
const { tools } = await client.listTools();
console.log(tools.map((tool) => tool.name));
await client.close();
