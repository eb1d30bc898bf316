// A server as the page shows it.

import type { StartDetails } from "@mcp-startup/protocol/app-server";
import { labelOf, needsUser, urgency } from "./failure.js";

/** Where the entry of a server is. */
export type Place = { path: string; line: number | null; key: string | null };

/** A client that has a server. */
export type Owner = { client: string; clientName: string; scope: string; path: string; name: string };

/** The source of a server in the configuration. */
export type Origin = { enabled: boolean; place: Place | null; owners: readonly Owner[] };

/** A sign-in that the user has begun here. */
export type SignIn = { step: "beginning" } | { step: "waiting"; url: string };

/** One server. A changed server is a new object. */
export type Server = {
  readonly name: string;
  /** The state of the last notification, or `null` before the first one. */
  readonly status: string | null;
  readonly error: string | null;
  readonly details: StartDetails | null;
  /** When the server starts again by itself, in ms since the Unix epoch. */
  readonly nextTryAt: number | null;
  /** `null` if it is not known. */
  readonly origin: Origin | null;
  readonly signIn: SignIn | null;
  /** Why the last action of the user had no effect. */
  readonly problem: string | null;
};

export type Tone = "good" | "asks" | "bad" | "busy" | "quiet";

/** Whether the server belongs to the section for what needs attention. It stays there while it is started again. */
export function needsAttention({ status, details, nextTryAt }: Server): boolean {
  switch (status) {
    case "failed":
      return true;
    case "ready":
      return nextTryAt !== null;
    default:
      return status !== "cancelled" && details !== null && details.failure !== null;
  }
}

/** The state in a few words. */
export function stateOf(server: Server): { tone: Tone; label: string } {
  const { status, details, nextTryAt, origin } = server;
  const failure = details?.failure ?? null;
  switch (status) {
    case null:
      return { tone: "quiet", label: origin?.enabled === false ? "Disabled" : "Waiting" };
    case "starting":
      return { tone: "busy", label: "Starting…" };
    case "ready":
      if (nextTryAt !== null) return { tone: "bad", label: "Connection lost" };
      if (details?.warning || details?.notSaved) return { tone: "asks", label: "Ready, with a warning" };
      return { tone: "good", label: "Ready" };
    case "failed":
      return { tone: failure !== null && needsUser(failure) ? "asks" : "bad", label: labelOf(failure) };
    case "cancelled":
      return { tone: "quiet", label: "Cancelled" };
    default:
      return { tone: "quiet", label: status };
  }
}

/** The servers that need attention, the most urgent first. */
export function attentionOf(servers: readonly Server[]): Server[] {
  return servers
    .filter(needsAttention)
    .map((server) => ({ server, order: urgency(server.details?.failure ?? null) }))
    .sort((a, b) => a.order - b.order)
    .map(({ server }) => server);
}
