import { encode, judge } from "mcp-startup";

// What an application knows that has started the server with another SDK. Every field may be left out.
const failure = judge({
  server: "linear",
  credential: { source: "stored", worth: { accessToken: "good", refreshToken: false } },
  requests: [{ to: "mcp", credentialSent: "stored", status: 401 }],
});
console.log(failure.kind, failure.recovery);

// What to say on the wire. `encode` refuses a reason that stands on anything but a failed start.
const failureReason = failure.kind === "reauthenticationRequired" ? failure.kind : null;
console.log(encode({ threadId: null, name: "linear", status: "failed", error: failure.message, failureReason }));
