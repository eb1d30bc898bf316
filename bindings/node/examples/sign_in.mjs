import { authStatus, signIn } from "mcp-startup";

const [server] = process.argv.slice(2);
const options = { config: "~/.codex/config.toml" };

// Opens the user's browser, and waits until it returns.
await signIn(server, options);
const { status } = await authStatus(server, options);
console.log(`${server}: signed in (${status})`);
