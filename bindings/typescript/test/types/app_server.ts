// Compiled but never run: the types of the client of the app-server, with those of the DOM or of Node.

import {
  AppServerClient,
  type AppServerNotification,
  type McpServerStatus,
  type ToolCallProgress,
} from "@mcp-startup/protocol/app-server";

declare const signal: AbortSignal;

export async function use(client: AppServerClient): Promise<McpServerStatus | undefined> {
  const { thread } = await client.request("thread/start", {}, { signal });
  await client.request("config/mcpServer/reload");
  // @ts-expect-error: `name` is missing.
  await client.request("mcpStartup/retry");
  // @ts-expect-error: `name` must be a string.
  await client.request("mcpStartup/retry", { name: 7 });
  const other: unknown = await client.request("thread/read", { threadId: thread.id });
  const { failure } = await client.request("mcpStartup/failure/read", { name: "a" });
  const recovery: "signIn" | undefined = failure?.recovery === "signIn" ? failure.recovery : undefined;
  const { servers } = await client.request("mcpStartup/servers/list");
  const clientName: string | undefined = servers[0]?.owners[0]?.clientName;
  const call = { threadId: thread.id, server: "a", tool: "b" };
  await client.request("mcpServer/tool/call", call, {
    onProgress({ progress, total, message }) {
      const fraction: number | null = total === null ? null : progress / total;
      const step: string | null = message;
      // @ts-expect-error: it may be null.
      message.length;
      return void [fraction, step];
    },
  });
  const onProgress = ({ requestId }: ToolCallProgress) => void (requestId satisfies number | string);
  await client.request("other/call", {}, { onProgress });
  // @ts-expect-error: the progress is an object.
  await client.request("mcpServer/tool/call", call, { onProgress: (_: number) => {} });
  for await (const server of client.servers({ detail: "toolsAndAuthOnly" })) if (other ?? recovery ?? clientName) return server;
  return undefined;
}

export function label({ type, params }: AppServerNotification): string {
  switch (type) {
    case "startupStatus":
      return params.status;
    case "loginCompleted":
      return params.error ?? "";
    case "failure":
      return params.failure?.message ?? "";
    case "toolCallProgress":
      return params.message ?? `${params.progress} of ${params.total ?? "?"}`;
    case "serversUpdated":
    case "unknown":
      return "";
  }
}
