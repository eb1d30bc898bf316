import { watch } from "mcp-startup";

const events = watch({ config: "~/.codex/config.toml" });
// For a "Try again" button, call events.retry("linear").
for await (const { notification } of events) {
  console.log(notification.name, notification.status);
  if (notification.status === "ready") break;
}
