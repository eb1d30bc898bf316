import { StartupTracker } from "mcp-startup";

const tracker = new StartupTracker();
let rest = Buffer.alloc(0);
// What an app-server writes, in whatever pieces it arrives; the tracker takes whole lines, as many as are there.
for await (const chunk of process.stdin) {
  const bytes = Buffer.concat([rest, chunk]);
  const end = bytes.lastIndexOf("\n") + 1;
  rest = bytes.subarray(end);
  for (const name of tracker.apply(bytes.subarray(0, end)).prompts) {
    // Once for each name, however many threads and retries repeat it, until the server was ready.
    console.log(`${name} needs you to sign in again. Reconnect?`);
  }
}
for (const { threadId, name, status } of tracker.servers()) console.log(threadId, name, status);
