// Compiled but never run: typical code of a consumer, and code that must not compile.

import * as protocol from "@mcp-startup/protocol";
import * as own from "mcp-startup";
import type { McpServerStartupState, ServerKey, StartupFailure } from "@mcp-startup/protocol";
import {
  type AppliedLines,
  authorization,
  authorizedFetch,
  authStatus,
  beginSignIn,
  type ClientFile,
  type NotChecked,
  type CredentialStore,
  check,
  DecodeError,
  decode,
  discover,
  notChecked,
  type Evidence,
  InsufficientScopeError,
  judge,
  McpStartupError,
  type Recovery,
  StartupTracker,
  signIn,
  watch,
} from "mcp-startup";

/** The methods of a class, without its private fields, which make two classes different types. */
type Methods<T> = { [Name in keyof T]: T[Name] };

class Store implements CredentialStore {
  async load(_key: string): Promise<string | null> {
    return null;
  }
  async replace(_key: string, _expected: string | null, _next: string | null): Promise<boolean> {
    return true;
  }
  async lock(_key: string): Promise<() => void> {
    return () => {};
  }
}

export async function consumer(): Promise<void> {
  for await (const { notification, failure, elapsedMs } of check({ config: "a", store: new Store(), signal: AbortSignal.timeout(1) })) {
    if (notification.failureReason === "reauthenticationRequired") notification.name.trim();
    // @ts-expect-error There is no such reason.
    if (notification.failureReason === "reauthenticate") return;
    switch (notification.status) {
      case "starting":
      case "ready":
      case "failed":
      case "cancelled":
        break;
      default: {
        const never: never = notification.status;
        return never;
      }
    }
    const state: McpServerStartupState = notification.status;
    const known: StartupFailure | null = failure;
    const recovery: Recovery | undefined = failure?.recovery;
    const time: number = elapsedMs;
    void [state, known, recovery, time];
  }
  // @ts-expect-error There is no such option.
  check({ timout: 1 });
  // @ts-expect-error A store has three methods.
  check({ store: { load: async () => null } });

  const watching = watch({ mcpServers: { linear: { url: "https://mcp.linear.app/mcp" } } });
  watching.retry("linear");
  // @ts-expect-error A check has no retry.
  check().retry("linear");

  const files: readonly ClientFile[] = await discover({ folder: ".", clients: ["cursor"] });
  for (const { client, servers, error } of files) {
    const why: string | null | undefined = servers[0]?.why ?? error?.message;
    void [client, why];
    // @ts-expect-error The result is frozen.
    servers.push(...servers);
  }
  check({ clients: "all", trustProject: true, folder: "." });
  check({ config: new URL("file:///config.toml"), servers: ["a"] as const });
  // @ts-expect-error The clients are "all" or a list.
  check({ clients: "cursor" });
  const left: readonly NotChecked[] = await notChecked({ clients: "all", servers: ["docs"] });
  console.log(left.map(({ client, name, why, needsApproval }) => [client, name, why, needsApproval]));
  // @ts-expect-error `discover` starts no servers.
  await discover({ trustProject: true });

  const header: string | null = await authorization("linear", { authorization: null });
  const { status, worth } = await authStatus("linear", { online: true });
  if (status === "oAuth" && worth?.accessToken === "good") void header;

  const challenge: string | null = new Headers().get("WWW-Authenticate");
  const scopes: readonly string[] = ["mcp:write"];
  const { authorizationUrl } = await beginSignIn("linear", "app:/callback", { challenge, scopes });
  // @ts-expect-error The scopes are a list.
  await beginSignIn("linear", authorizationUrl, { scopes: "mcp:write" });
  // @ts-expect-error Only a sign-in has this option.
  await authStatus("linear", { scopes });
  const signal = AbortSignal.timeout(1);
  const done: void = await signIn("linear", { openBrowser: async (url) => url.trim(), callbackPort: 1, challenge, scopes, signal });
  // @ts-expect-error Only `signIn` opens a browser.
  await beginSignIn("linear", authorizationUrl, { openBrowser: () => {} });
  const send: typeof fetch = authorizedFetch("linear", { config: "a" });
  // @ts-expect-error Each request has a signal of its own.
  authorizedFetch("linear", { signal });
  await authorization("linear", { authorization: null, status: 403 }, { signal });
  void [done, send, signal];

  // A newer server may send a state that this version does not know.
  const decoded = decode("");
  if (decoded?.status === "paused") return;
  if (decoded?.status === "ready") return;

  const evidence: Evidence = { server: "linear", requests: [{ to: "mcp", status: 401 }] };
  const verdict: StartupFailure = judge(evidence);
  // @ts-expect-error There is no such target.
  judge({ requests: [{ to: "somewhere" }] });
  void verdict;

  const tracker = new StartupTracker({ limit: 10 });
  const prompts: ServerKey[] = tracker.applyLines(new Uint8Array()).prompts;
  for (const key of prompts) tracker.server(key)?.environmentId?.trim();
  const prompt: boolean = tracker.apply({ name: "linear", status: "ready" }).prompt;
  // @ts-expect-error Lines have a method of their own.
  tracker.apply("{}");
  // Both packages have the same tracker.
  const same: Methods<protocol.StartupTracker> = tracker;
  const methods: keyof protocol.StartupTracker = "apply" as keyof StartupTracker;
  // Each function and each error of one package fits where that of the other is expected, and so does each result.
  const api: Pick<typeof protocol, "decode" | "decodeLines" | "encode" | "authRequiredReason"> = own;
  const reverse: Pick<typeof own, "decode" | "decodeLines" | "encode" | "authRequiredReason"> = protocol;
  const errors: [protocol.DecodeError, protocol.EncodeError, protocol.InvalidArgumentError] = [
    {} as own.DecodeError,
    {} as own.EncodeError,
    {} as own.InvalidArgumentError,
  ];
  const applied: protocol.AppliedLines = tracker.applyLines("");
  const back: AppliedLines = applied;
  void [prompts, prompt, same, methods, api, reverse, errors, back];

  try {
    decode("{");
  } catch (error) {
    if (error instanceof DecodeError) error.field?.trim();
    if (error instanceof InsufficientScopeError) void [error.challenge.trim(), error.failure.kind];
    if (error instanceof McpStartupError && error.code === "MCP_STARTUP_FAILURE") error.failure?.message.trim();
    // @ts-expect-error There is no such code.
    if (error instanceof McpStartupError && error.code === "ENOENT") return;
  }
}
