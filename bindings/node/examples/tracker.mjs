import { StartupTracker } from "mcp-startup";

const tracker = new StartupTracker();
let rest = Buffer.alloc(0);
// Chunks of an app-server's output can end anywhere. The tracker takes any number of whole lines.
for await (const chunk of process.stdin) {
  const bytes = Buffer.concat([rest, chunk]);
  const end = bytes.lastIndexOf("\n") + 1;
  rest = bytes.subarray(end);
  for (const { name } of tracker.applyLines(bytes.subarray(0, end)).prompts) {
    // Once for each server until it is ready, even if many threads and retries report the failure.
    console.log(`${name} needs you to sign in again. Reconnect?`);
  }
}
for (const { threadId, name, status } of tracker.servers()) console.log(threadId, name, status);
