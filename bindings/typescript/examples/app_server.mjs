import { spawn } from "node:child_process";
import { AppServerClient } from "@mcp-startup/protocol/app-server";

const program = spawn("mcp-startup", ["app-server"], { stdio: ["pipe", "pipe", "inherit"] });
const streams = { input: program.stdout, output: program.stdin };
const client = await AppServerClient.connect(streams, {
  clientInfo: { name: "example", version: "1.0.0" },
  onNotification({ type, params }) {
    if (type === "startupStatus") console.log(`${params.name}: ${params.status}`);
  },
});

for await (const { name, runtimeStatus, tools } of client.servers()) {
  console.log(`${name} is ${runtimeStatus}, with ${Object.keys(tools).length} tools`);
  if (runtimeStatus !== "authenticationRequired") continue;
  const { failure } = await client.request("mcpStartup/failure/read", { name });
  console.log(failure.message);
  const { authorizationUrl, completed } = await client.login({ name });
  console.log(`Open ${authorizationUrl}`);
  const { success, error } = await completed;
  console.log(success ? `Signed in to ${name}` : error);
}
client.close();
