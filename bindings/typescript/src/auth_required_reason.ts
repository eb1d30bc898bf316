import { object, text } from "./arguments.js";
import type { McpAuthRequiredReason, Recovery, StartupFailure } from "./generated/verdict.js";

// One line for each value of the generated type. A new value does not compile until it has a line here.
const REASONS: Record<Recovery, McpAuthRequiredReason | null> = {
  none: null,
  retry: null,
  signIn: "required",
  reauthenticate: "expired",
  grantScope: "insufficientScope",
  openClient: null,
  fixConfiguration: null,
  fixCredentialStore: null,
};

/**
 * Why the server requires authentication, in the words of the Agent Host Protocol.
 *
 * @returns The reason, which depends only on the recovery. `null` if signing in is not the recovery: the server's status in
 *   that protocol is then `error`.
 */
export function authRequiredReason(failure: Pick<StartupFailure, "recovery">): McpAuthRequiredReason | null {
  object("`failure`", failure);
  const recovery = text("`failure.recovery`", failure.recovery) as Recovery;
  return Object.hasOwn(REASONS, recovery) ? REASONS[recovery] : null;
}
