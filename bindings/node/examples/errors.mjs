import { check, DecodeError, decode, McpStartupError } from "mcp-startup";

try {
  for await (const event of check({ config: "~/.codex/config.toml" })) console.log(event.notification.status);
} catch (error) {
  if (!(error instanceof McpStartupError)) throw error;
  console.log(error.code, error.kind);
}

try {
  decode('{"method":"mcpServer/startupStatus/updated","params":{"name":7,"status":"ready"}}');
} catch (error) {
  if (!(error instanceof DecodeError)) throw error;
  console.log(error.kind, error.field);
}
