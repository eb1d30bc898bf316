import type {
  CredentialFacts,
  CredentialWorth,
  Evidence,
  FirstRequest,
  McpAuthStatus,
  StartupFailure,
} from "@mcp-startup/protocol" with { "resolution-mode": "import" };
import { answerOf } from "./errors.cjs";
import * as native from "../native.cjs";

/** Judges a failed start by its evidence. The least evidence gives `other`. */
export function judge(evidence: Evidence): StartupFailure {
  return answerOf(() => native.judge(JSON.stringify(evidence))) as StartupFailure;
}

/** Says what a stored credential is worth at `nowMs` (ms since the Unix epoch); now, unless told otherwise. */
export function assess(facts: CredentialFacts, nowMs: number = Date.now()): CredentialWorth {
  return answerOf(() => native.assess(JSON.stringify(facts), nowMs)) as CredentialWorth;
}

/** What to send first with a credential of this worth; `null`: nothing is stored. */
export function firstRequest(worth: CredentialWorth | null): FirstRequest {
  return answerOf(() => native.firstRequest(textOf(worth))) as FirstRequest;
}

/** What is known of how a client is authorized at a server. */
export type KnownAuthorization = {
  /** The configuration carries authorization. */
  configured: boolean;
  /** What is stored for exactly this server. */
  stored: CredentialWorth | null;
  /** Whether the server publishes OAuth: `false` for stdio, `null` where nobody has asked it. */
  oauthPublished: boolean | null;
};

/** Says how a client is authorized; `null` where that can't be told before the server is asked. */
export function authStatusOf(known: KnownAuthorization): McpAuthStatus | null {
  const stored = textOf(known.stored);
  return answerOf(() => native.authStatusOf(known.configured, stored, known.oauthPublished)) as McpAuthStatus | null;
}

function textOf(worth: CredentialWorth | null): string | null {
  return worth === null ? null : JSON.stringify(worth);
}
