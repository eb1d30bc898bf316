import type {
  McpServerStartupFailureReason,
  McpServerStartupState,
  McpServerStatusUpdatedNotification,
} from "./generated/contract.js";
import { isValid } from "./validator/is_valid.js";

/** The JSON-RPC method of the notification that Codex's app-server sends. */
export const METHOD = "mcpServer/startupStatus/updated";

/**
 * A known value of the contract, or any other string, because a newer server may send one. Editors still complete the
 * known values.
 */
export type OrNewer<Known extends string> = Known | (string & {});

/**
 * The params of a decoded notification, with all five fields in the order of the contract, and with `environmentId` if the
 * line has it. A state or a reason that this version does not know is kept as text.
 */
export type ReceivedNotification = {
  /** The thread that the server belongs to, or `null` if it belongs to the whole app. */
  threadId: string | null;
  /** The name of the server in the user's configuration. */
  name: string;
  /**
   * The environment whose configuration contains the server, or `null` if it belongs to no environment. Codex writes it
   * since 0.171. It is absent if the line does not have it, and `encode` writes it only if it is present.
   */
  environmentId?: string | null;
  /** The state of the start. */
  status: OrNewer<McpServerStartupState>;
  /** A human-readable message, if the start failed. */
  error: string | null;
  /** Why the start failed, if a client can do something specific about it. */
  failureReason: OrNewer<McpServerStartupFailureReason> | null;
};

/** The params that a server may send. Only `name` and `status` are required. */
export type LenientNotification = Pick<ReceivedNotification, "name" | "status"> & {
  [Field in "threadId" | "environmentId" | "error" | "failureReason"]?: ReceivedNotification[Field] | undefined;
};

// One line for each value of the generated type. A new value does not compile until it has a line here.
const STATES: Record<McpServerStartupState, { finished: boolean; carriesReason: boolean }> = {
  starting: { finished: false, carriesReason: false },
  ready: { finished: true, carriesReason: false },
  failed: { finished: true, carriesReason: true },
  cancelled: { finished: true, carriesReason: false },
};

/**
 * Whether this version knows the state. It narrows `status` to the closed type, so the compiler reports a `switch` that
 * leaves out a value.
 */
export function isKnownState(status: string): status is McpServerStartupState {
  return Object.hasOwn(STATES, status);
}

/**
 * Whether the start has ended: `true` for every known state except `starting`. An unknown state counts as running,
 * because this version can't know whether it ends a start.
 */
export function isFinished(status: OrNewer<McpServerStartupState>): boolean {
  return isKnownState(status) && STATES[status].finished;
}

/** Whether this state may have a reason: a failed start may, and so may any state that this version does not know. */
function carriesReason(status: string): boolean {
  return !isKnownState(status) || STATES[status].carriesReason;
}

/** Whether `value` holds valid params of the notification. It accepts exactly the params that `decode` accepts. */
export function isMcpServerStatusUpdatedNotification(value: unknown): value is LenientNotification {
  return isValid(value) && isText(value as LenientNotification);
}

/**
 * Whether every field is well-formed Unicode. JSON can encode a lone surrogate (`\ud800`), which the other languages
 * can't represent and a JSON Schema can't exclude. The fields are written out because this runs for every line.
 */
function isText({ threadId, name, environmentId, status, error, failureReason }: LenientNotification): boolean {
  return (
    name.isWellFormed() &&
    status.isWellFormed() &&
    (threadId == null || threadId.isWellFormed()) &&
    (environmentId == null || environmentId.isWellFormed()) &&
    (error == null || error.isWellFormed()) &&
    (failureReason == null || failureReason.isWellFormed())
  );
}

/**
 * Normalizes valid params. It drops a reason on a state that may not have one, so that a client does not ask the user to
 * sign in to a server that is ready.
 */
export function received(params: LenientNotification): ReceivedNotification {
  const { threadId = null, name, environmentId, status, error = null } = params;
  const reason = params.failureReason ?? null;
  const failureReason = reason !== null && carriesReason(status) ? reason : null;
  // Two literals, because JavaScript engines build them several times faster than an object with a spread.
  return environmentId === undefined
    ? { threadId, name, status, error, failureReason }
    : { threadId, name, environmentId, status, error, failureReason };
}
