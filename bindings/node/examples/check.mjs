import { check } from "mcp-startup";

for await (const { notification, failure } of check({ config: "~/.codex/config.toml" })) {
  console.log(notification.name, notification.status, failure?.message ?? "");
}
