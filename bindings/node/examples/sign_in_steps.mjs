import { createServer } from "node:http";
import { authStatus, beginSignIn, finishSignIn } from "mcp-startup";

const [server] = process.argv.slice(2);
const options = { config: "~/.codex/config.toml" };

// The browser is redirected to this listener. An Electron app can use a custom scheme instead.
const listener = createServer();
await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${listener.address().port}`;

const { authorizationUrl, pending } = await beginSignIn(server, `${origin}/callback`, options);
console.log(`open ${authorizationUrl}`);

const callbackUrl = await new Promise((resolve) => {
  listener.on("request", ({ url }, response) => {
    response.setHeader("Connection", "close").end("You can close this page.");
    if (url.startsWith("/callback?")) resolve(origin + url);
  });
});
listener.close();

await finishSignIn(pending, callbackUrl, options);
const { status } = await authStatus(server, options);
console.log(`${server}: signed in (${status})`);
