import type {
  McpServerStartupFailureReason,
  McpServerStartupState,
  McpServerStatusUpdatedNotification,
} from "./generated/contract.js";
import { isValid } from "./validator/is_valid.js";

/** The JSON-RPC method of the notification, as Codex's app-server sends it. */
export const METHOD = "mcpServer/startupStatus/updated";

/**
 * A closed type of the contract, or any other text, for a newer server may send it. An editor still offers the known ones.
 */
export type OrNewer<Known extends string> = Known | (string & {});

/**
 * The params as they are read: all five fields, in the order of the wire. A state or a reason that this version does not
 * know is kept as its text.
 */
export type ReceivedNotification = {
  /** The thread whose server this is; `null` where the server belongs to the whole app. */
  threadId: string | null;
  /** The name of the server, as the user configured it. */
  name: string;
  /** The state that the start has come to. */
  status: OrNewer<McpServerStartupState>;
  /** A sentence for a person, on a failed start. */
  error: string | null;
  /** Why the start failed, where a client can do something specific about it. */
  failureReason: OrNewer<McpServerStartupFailureReason> | null;
};

/** The params as a server may send them: only `name` and `status` are required. */
export type LenientNotification = Pick<ReceivedNotification, "name" | "status"> & {
  [Field in "threadId" | "error" | "failureReason"]?: ReceivedNotification[Field] | undefined;
};

// One line for each value of the generated type: a new one does not compile until it is decided here.
const STATES: Record<McpServerStartupState, { finished: boolean; carriesReason: boolean }> = {
  starting: { finished: false, carriesReason: false },
  ready: { finished: true, carriesReason: false },
  failed: { finished: true, carriesReason: true },
  cancelled: { finished: true, carriesReason: false },
};

/**
 * Whether this version knows the state. A `switch` after it is over the closed type: it narrows to each value, and the
 * compiler says if one is left out.
 */
export function isKnownState(status: string): status is McpServerStartupState {
  return Object.hasOwn(STATES, status);
}

/**
 * Whether the start has come to its end: anything but `starting`. A state that this version does not know counts as
 * running, because only a newer version can say that it closes a start.
 */
export function isFinished(status: OrNewer<McpServerStartupState>): boolean {
  return isKnownState(status) && STATES[status].finished;
}

/** Whether a reason may stand beside this state: on a failed start, and on a state that only a newer version knows. */
function carriesReason(status: string): boolean {
  return !isKnownState(status) || STATES[status].carriesReason;
}

/** Whether `value` can be read as the params of the notification: exactly those that `decode` takes. */
export function isMcpServerStatusUpdatedNotification(value: unknown): value is LenientNotification {
  return isValid(value) && isText(value as LenientNotification);
}

/**
 * Whether no field holds half a surrogate pair, which JSON lets stand alone (`\ud800`). It is no text, no other language
 * could keep it, and a JSON Schema can't say so. Written out, because it runs for every line.
 */
function isText({ threadId, name, status, error, failureReason }: LenientNotification): boolean {
  return (
    name.isWellFormed() &&
    status.isWellFormed() &&
    (threadId == null || threadId.isWellFormed()) &&
    (error == null || error.isWellFormed()) &&
    (failureReason == null || failureReason.isWellFormed())
  );
}

/**
 * What is read out of valid params. A reason where none may stand is dropped, so that nobody is asked to sign in to a
 * server that is ready.
 */
export function received(params: LenientNotification): ReceivedNotification {
  const reason = params.failureReason ?? null;
  return {
    threadId: params.threadId ?? null,
    name: params.name,
    status: params.status,
    error: params.error ?? null,
    failureReason: reason !== null && carriesReason(params.status) ? reason : null,
  };
}
