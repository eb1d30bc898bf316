import { check } from "mcp-startup";

// What mends a failure is a stable value; its message is for a person and never to be read by a program.
const BUTTONS = {
  none: null,
  retry: "Try again",
  signIn: "Sign in",
  reauthenticate: "Reconnect",
  grantScope: "Grant access",
  fixConfiguration: "Open the configuration",
  fixCredentialStore: "Try again",
};

for await (const { notification, failure } of check({ config: "~/.codex/config.toml", timeoutMs: 20_000 })) {
  if (notification.failureReason === "reauthenticationRequired") {
    console.log(`${notification.name}: you were signed in, and have to sign in again`);
  }
  if (failure !== null) {
    const button = BUTTONS[failure.recovery];
    console.log(failure.message, button === null ? "" : `[${button}]`);
  }
}
