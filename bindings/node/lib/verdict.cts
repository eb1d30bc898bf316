import type {
  CredentialFacts,
  CredentialWorth,
  Evidence,
  FirstRequest,
  McpAuthRequiredReason,
  McpAuthStatus,
  StartupFailure,
} from "@mcp-startup/protocol" with { "resolution-mode": "import" };
import { nativeResult } from "./errors.cjs";
import { jsonOf } from "./json.cjs";
import * as native from "../native.cjs";

/** Classifies a failed start by its evidence. Every field of the evidence is optional; empty evidence results in `other`. */
export function judge(evidence: Evidence): StartupFailure {
  return nativeResult(() => native.judge(jsonOf("the evidence", evidence))) as StartupFailure;
}

/**
 * Why the server requires authentication, in the words of the Agent Host Protocol.
 *
 * @returns The reason, which depends only on the recovery. `null` if signing in is not the recovery: the server's status in
 *   that protocol is then `error`.
 */
export function authRequiredReason({ recovery }: Pick<StartupFailure, "recovery">): McpAuthRequiredReason | null {
  return nativeResult(() => native.authRequiredReason(recovery)) as McpAuthRequiredReason | null;
}

/**
 * Returns whether a stored credential can be used or refreshed.
 *
 * @param nowMs The time to evaluate it at, in milliseconds since the Unix epoch. By default, the current time.
 */
export function assess(facts: CredentialFacts, nowMs: number = Date.now()): CredentialWorth {
  return nativeResult(() => native.assess(jsonOf("the facts", facts), nowMs)) as CredentialWorth;
}

/** Returns what to send first with a credential of this worth. `null` means that no credential is stored. */
export function firstRequest(worth: CredentialWorth | null): FirstRequest {
  return nativeResult(() => native.firstRequest(textOf(worth))) as FirstRequest;
}

/** The known facts about a client's authorization at a server. */
export type KnownAuthorization = {
  /** Whether the configuration contains authorization. */
  configured: boolean;
  /** The credential that is stored for exactly this server, or `null`. */
  stored: CredentialWorth | null;
  /** Whether the server publishes OAuth metadata: `false` for stdio, `null` if it is unknown. */
  oauthPublished: boolean | null;
};

/** Returns how a client is authorized, or `null` if that depends on whether the server publishes OAuth metadata. */
export function authStatusOf(known: KnownAuthorization): McpAuthStatus | null {
  const stored = textOf(known.stored);
  return nativeResult(() => native.authStatusOf(known.configured, stored, known.oauthPublished)) as McpAuthStatus | null;
}

function textOf(worth: CredentialWorth | null): string | null {
  return worth === null ? null : jsonOf("the worth", worth);
}
