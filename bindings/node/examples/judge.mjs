import { encode, judge } from "mcp-startup";

// The evidence of an application that started the server with another SDK. Every field is optional.
const failure = judge({
  server: "linear",
  credential: { source: "stored", worth: { accessToken: "good", refreshToken: false } },
  requests: [{ to: "mcp", credentialSent: "stored", status: 401 }],
});
console.log(failure.kind, failure.recovery);

// The notification for clients. `encode` rejects a reason on any known state other than `failed`.
const failureReason = failure.kind === "reauthenticationRequired" ? failure.kind : null;
console.log(encode({ threadId: null, name: "linear", status: "failed", error: failure.message, failureReason }));
