import { DecodeError, decode, encode, startupNotification } from "@mcp-startup/protocol";

const lines = [
  encode(startupNotification.starting("linear")),
  encode(startupNotification.reauthenticationRequired("linear", "The sign-in has expired: sign in again")),
  '{"method":"mcpServer/startupStatus/updated","params":{"name":"files","status":"paused"}}',
  '{"method":"mcpServer/startupStatus/updated","params":{"name":7,"status":"ready"}}',
  '{"method":"thread/started","params":{}}',
];

for (const line of lines) {
  try {
    const notification = decode(line);
    if (notification === null) continue; // A blank line or another message.
    console.log(`${notification.name}: ${label(notification)}`);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    console.log(`${error.kind} in ${error.field}: ${error.message}`);
  }
}

function label({ status, error, failureReason }) {
  switch (status) {
    case "starting":
      return "starting";
    case "ready":
      return "ready";
    case "failed":
      return failureReason === "reauthenticationRequired" ? "sign in again" : error;
    case "cancelled":
      return "cancelled";
    default:
      return `${status} (from a newer server)`;
  }
}
