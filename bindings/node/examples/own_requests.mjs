import { authorizedFetch, InsufficientScopeError, McpStartupError, signIn } from "mcp-startup";

const [server, url] = process.argv.slice(2);
const options = { config: "~/.codex/config.toml" };
const fetch = authorizedFetch(server, options);

const ping = () =>
  fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
  });

try {
  console.log((await ping()).status);
} catch (error) {
  if (error instanceof InsufficientScopeError) {
    // Ask the user first.
    await signIn(server, { ...options, challenge: error.challenge });
    console.log((await ping()).status);
  } else if (error instanceof McpStartupError && error.failure) {
    // No credential is left to try.
    console.log(error.failure.message);
  } else {
    throw error;
  }
}
