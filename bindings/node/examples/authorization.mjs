import { authorization } from "mcp-startup";

const [server, url] = process.argv.slice(2);
const options = { config: "~/.codex/config.toml" };

// Any HTTP client. The header is `null` if the request needs none.
const ping = (header) =>
  fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(header === null ? {} : { Authorization: header }) },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
  });

let header = await authorization(server, null, options);
let response = await ping(header);
if (response.status === 401) {
  const challenge = response.headers.get("WWW-Authenticate");
  header = await authorization(server, { authorization: header, challenge }, options);
  response = await ping(header);
}
console.log(response.status);
