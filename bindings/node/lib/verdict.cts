import type {
  CredentialFacts,
  CredentialWorth,
  Evidence,
  FirstRequest,
  McpAuthRequiredReason,
  McpAuthStatus,
  StartupFailure,
} from "@mcp-startup/protocol" with { "resolution-mode": "import" };
import { argument, fieldsOf, flag, json, jsonOf, mustBe, number, Place, type Rules, text } from "./arguments.cjs";
import { InvalidArgumentError, unwrap } from "./errors.cjs";
import * as native from "../native.cjs";

/** Classifies a failed start by its evidence. Every field of the evidence is optional; empty evidence results in `other`. */
export function judge(evidence: Evidence): StartupFailure {
  return unwrap(native.judge(jsonOf(new Place("the evidence"), evidence))) as StartupFailure;
}

/**
 * Why the server requires authentication, in the words of the Agent Host Protocol.
 *
 * @returns The reason, which depends only on the recovery. `null` if signing in is not the recovery: the server's status in
 *   that protocol is then `error`.
 */
export function authRequiredReason(failure: Pick<StartupFailure, "recovery">): McpAuthRequiredReason | null {
  const place = argument("failure");
  if (typeof failure !== "object" || failure === null) throw mustBe(place, "an object", failure);
  const recovery = text(place.at("recovery"), failure.recovery);
  try {
    return unwrap(native.authRequiredReason(recovery)) as McpAuthRequiredReason | null;
  } catch (error) {
    // A recovery of a newer version is not known to be a sign-in.
    if (error instanceof InvalidArgumentError) return null;
    throw error;
  }
}

/**
 * Returns whether a stored credential can be used or refreshed.
 *
 * @param nowMs The time to evaluate it at, in milliseconds since the Unix epoch. By default, the current time.
 */
export function assess(facts: CredentialFacts, nowMs: number = Date.now()): CredentialWorth {
  const time = number(argument("nowMs"), nowMs);
  return unwrap(native.assess(jsonOf(new Place("the facts"), facts), time)) as CredentialWorth;
}

/** Returns what to send first with a credential of this worth. `null` means that no credential is stored. */
export function firstRequest(worth: CredentialWorth | null): FirstRequest {
  return unwrap(native.firstRequest(textOf(argument("worth"), worth))) as FirstRequest;
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

const KNOWN: Rules<KnownAuthorization> = { configured: flag, stored: json(), oauthPublished: flag };

/** Returns how a client is authorized, or `null` if that depends on whether the server publishes OAuth metadata. */
export function authStatusOf(known: KnownAuthorization): McpAuthStatus | null {
  const place = argument("known");
  const { configured, stored, oauthPublished }: Partial<KnownAuthorization> = fieldsOf(place, KNOWN, known);
  const isConfigured = flag(place.at("configured"), configured);
  return unwrap(native.authStatusOf(isConfigured, textOf(place.at("stored"), stored ?? null), oauthPublished ?? null)) as McpAuthStatus | null;
}

function textOf(place: Place, worth: CredentialWorth | null): string | null {
  return worth === null ? null : jsonOf(place, worth);
}
