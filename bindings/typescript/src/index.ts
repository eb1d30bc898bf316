export { InvalidArgumentError } from "./arguments.js";
export { authRequiredReason } from "./auth_required_reason.js";
export {
  DecodeError,
  type DecodedLines,
  decode,
  decodeLines,
  type LineError,
} from "./decode.js";
export { EncodeError, encode } from "./encode.js";
export type * from "./generated/contract.js";
export type * from "./generated/verdict.js";
export {
  isFinished,
  isKnownState,
  isMcpServerStatusUpdatedNotification,
  type LenientNotification,
  METHOD,
  type OrNewer,
  type ReceivedNotification,
} from "./notification.js";
export * as startupNotification from "./startup_notification.js";
export {
  type AppliedLines,
  type ServerKey,
  type ServerKeyInput,
  StartupTracker,
  type TrackedServer,
  type TrackerOptions,
  type TrackerUpdate,
} from "./tracker.js";
