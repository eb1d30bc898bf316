import { check } from "mcp-startup";

// Decide by `recovery`, which is a stable value. Show the message unchanged, and do not parse it.
const BUTTONS = {
  none: null,
  retry: "Try again",
  signIn: "Sign in",
  reauthenticate: "Reconnect",
  grantScope: "Grant access",
  openClient: "Open the other client",
  fixConfiguration: "Open the configuration",
  fixCredentialStore: "Try again",
};

for await (const { notification, failure } of check({ config: "~/.codex/config.toml", timeoutMs: 20_000 })) {
  if (notification.failureReason === "reauthenticationRequired") {
    console.log(`${notification.name}: your sign-in has expired. Sign in again.`);
  }
  if (failure !== null) {
    const button = BUTTONS[failure.recovery];
    console.log(failure.message, button === null ? "" : `[${button}]`);
  }
}
