// The meaning of a failure for the page: a short label, and the buttons to offer.

import type { Recovery, StartupFailure, StartupFailureKind } from "@mcp-startup/protocol";

/** Something that the user can do about a failure. */
export type Remedy = "signIn" | "signInAgain" | "allowMore" | "tryAgain" | "showConfiguration";

export const REMEDY_WORDS: Record<Remedy, string> = {
  signIn: "Sign in",
  signInAgain: "Sign in again",
  allowMore: "Allow more",
  tryAgain: "Try again",
  showConfiguration: "Show in the configuration",
};

const REMEDIES: Record<Recovery, Remedy | null> = {
  none: null,
  retry: "tryAgain",
  signIn: "signIn",
  reauthenticate: "signInAgain",
  grantScope: "allowMore",
  openClient: "tryAgain",
  fixConfiguration: "showConfiguration",
  fixCredentialStore: "tryAgain",
};

/** What to offer: first the remedy, and then a second one if only one of the two may help. */
export function remediesFor({ recovery, fallback, evidence }: StartupFailure): Remedy[] {
  const remedies = [recovery, fallback].map((one) => (one === null ? null : (REMEDIES[one] ?? null)));
  // The message recommends it if a sign-in can begin.
  const { outcome, problem } = evidence.discovered ?? {};
  if (recovery === "openClient" && outcome === "published" && problem === undefined) remedies.push("signIn");
  return remedies.filter((remedy) => remedy !== null);
}

/** The order in which the user sees failures: first those that the user can fix, with one click before those with more. */
export function urgency(failure: StartupFailure | null): number {
  const order: Recovery[] = [
    "reauthenticate",
    "signIn",
    "grantScope",
    "openClient",
    "fixCredentialStore",
    "fixConfiguration",
    "retry",
    "none",
  ];
  const place = failure === null ? -1 : order.indexOf(failure.recovery);
  return place === -1 ? order.length : place;
}

/** Whether the user can fix the failure. */
export function needsUser({ recovery }: StartupFailure): boolean {
  return recovery !== "retry" && recovery !== "none";
}

const LABELS: Record<StartupFailureKind, string> = {
  invalidConfiguration: "Configuration problem",
  programNotFound: "Program not found",
  credentialStoreUnavailable: "Credential store unavailable",
  credentialRejected: "Credential rejected",
  insufficientScope: "Needs more access",
  accessDenied: "Access denied",
  limitExceeded: "Limit exceeded",
  reauthenticationRequired: "Sign-in expired",
  signInHeldByClient: "Signed in only in another client",
  authorizationUnavailable: "Sign-in service unavailable",
  authorizationMisconfigured: "Sign-in not possible",
  clientRequired: "OAuth client required",
  signInRequired: "Not signed in",
  credentialRequired: "Key or token required",
  unreachable: "Unreachable",
  timedOut: "Timed out",
  exited: "Program exited",
  serverError: "Server error",
  unsupportedProtocol: "Unsupported MCP version",
  notMcp: "Not an MCP server",
  other: "Failed",
};

/** A few words for the state of a server that has failed. */
export function labelOf(failure: StartupFailure | null): string {
  return (failure && LABELS[failure.kind]) ?? "Failed";
}
