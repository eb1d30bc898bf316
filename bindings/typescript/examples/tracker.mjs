import { encode, StartupTracker, startupNotification } from "@mcp-startup/protocol";

const tracker = new StartupTracker();
const { reauthenticationRequired, ready } = startupNotification;

// Two threads report the same expired sign-in. The tracker prompts once.
const batch = ["thread-1", "thread-2"].map((thread) => encode(reauthenticationRequired("linear", "expired", thread)));
const { changed, prompts } = tracker.applyLines(batch.join("\n"));
console.log(changed.length, "changed, ask about", prompts.map(({ name }) => name));

tracker.apply(ready("linear", "thread-1"));
console.log("still to sign in:", tracker.reauthenticationRequired());
console.log(tracker.servers().map(({ threadId, status }) => `${threadId} ${status}`));
