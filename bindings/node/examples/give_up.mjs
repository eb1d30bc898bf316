import { check } from "mcp-startup";

try {
  for await (const { notification } of check({ signal: AbortSignal.timeout(1000) })) {
    console.log(notification.name, notification.status);
  }
} catch (error) {
  // Every start has ended, and so has every server process.
  console.log(error.name);
}
