// Compiled but never run: checks which uses the types allow and which they reject.

import {
  type DecodeErrorKind,
  decode,
  encode,
  isKnownState,
  isMcpServerStatusUpdatedNotification,
  authRequiredReason,
  type McpAuthRequiredReason,
  type McpAuthStatus,
  type McpServerConnectionStatus,
  type ServerKey,
  type McpServerStartupState,
  type McpServerStatusUpdatedNotification,
  METHOD,
  type ReceivedNotification,
  StartupTracker,
  startupNotification,
  type TrackedServer,
} from "@mcp-startup/protocol";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>) => {};

/** A `switch` over an open state: known values, a value that is newer than this version, and a default. */
export function label({ status, error }: ReceivedNotification): string {
  switch (status) {
    case "starting":
    case "ready":
    case "cancelled":
      return status;
    case "failed":
      return error ?? "?";
    case "paused":
      return "…";
    default:
      // No known value is left.
      same<typeof status, string & {}>(true);
      return status.toUpperCase();
  }
}

// @ts-expect-error: without a default, an unknown state has no label.
export function labelOfKnown({ status }: ReceivedNotification): string {
  switch (status) {
    case "starting":
    case "ready":
    case "failed":
    case "cancelled":
      return "";
  }
}

/** `isKnownState` narrows to the closed type: each case narrows further, and the `switch` is exhaustive. */
export function strictLabel({ status }: ReceivedNotification): string {
  if (!isKnownState(status)) return status;
  switch (status) {
    case "starting":
      same<typeof status, "starting">(true);
      return "…";
    case "ready":
      return "✓";
    case "failed":
      same<typeof status, "failed">(true);
      return "✗";
    case "cancelled":
      return "–";
    // @ts-expect-error: not a known value.
    case "paused":
      return "";
  }
}

/** The generated type is closed: a `switch` over its four values is exhaustive. */
export function closed(status: McpServerStartupState): string {
  switch (status) {
    case "starting":
    case "ready":
    case "failed":
    case "cancelled":
      return status;
  }
}

const read = decode("");
same<typeof read, ReceivedNotification | null>(true);
// @ts-expect-error: it may be null.
read.name;
if (read?.failureReason === "reauthenticationRequired") encode(read);

/** The closed type is assignable to the open type, but not the reverse. */
export const widened: ReceivedNotification = startupNotification.ready("a");
export const newer: ReceivedNotification = { ...widened, status: "paused", failureReason: "quotaExceeded" };
// @ts-expect-error: the contract has no such state.
export const wrong: McpServerStatusUpdatedNotification = { ...widened, status: "paused" };
// @ts-expect-error: a decoded notification may be newer than this version.
export const narrowed: McpServerStatusUpdatedNotification = newer;

encode({ name: "a", status: "ready" });
encode(newer);
// @ts-expect-error: no such field.
encode({ name: "a", status: "ready", thread: "t" });
// @ts-expect-error: a number instead of a string.
encode({ name: 7, status: "ready" });
// @ts-expect-error: a failure needs a message.
startupNotification.failed("a");

export function guarded(value: unknown): string {
  // @ts-expect-error: the value is unknown.
  value.name;
  if (!isMcpServerStatusUpdatedNotification(value)) return "";
  same<typeof value.threadId, string | null | undefined>(true);
  new StartupTracker().apply(value);
  return value.name;
}

const tracker = new StartupTracker({ limit: 100 });
const update: { changed: boolean; prompt: boolean } = tracker.apply(startupNotification.starting("a", "t"));
const [first] = tracker.applyLines(new Uint8Array()).changed;
export const changed: ServerKey | undefined = first;
export const found: TrackedServer | null = tracker.server({ name: "a" });
if (changed) tracker.server(changed);
// @ts-expect-error: no such field.
tracker.server({ name: "a", thread: "t" });
// @ts-expect-error: read-only.
if (found) found.status = "ready";
// @ts-expect-error: only the servers of a thread can be removed.
tracker.remove(null);

same<typeof METHOD, "mcpServer/startupStatus/updated">(true);
export const kinds: DecodeErrorKind[] = ["invalidJson", "notAnObject", "missingField", "invalidType", "tooLong"];
export const auth: McpAuthStatus = "oAuth";
export const runtime: McpServerConnectionStatus = "connected";
export const reason: McpAuthRequiredReason | null = authRequiredReason({ recovery: "signIn" });
if (read?.environmentId === undefined) same<undefined, undefined>(true);
// @ts-expect-error: a notification of our own has no environment.
export const ours: McpServerStatusUpdatedNotification = { ...startupNotification.ready("a"), environmentId: null };
export { update };
