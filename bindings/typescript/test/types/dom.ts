// Compiled but never run: a browser's WebSocket, and the streams of the web platform.

import { AppServerClient } from "@mcp-startup/protocol/app-server";

const options = { clientInfo: { name: "page", version: "1" }, token: "secret" };
export const overWebSocket = () => AppServerClient.connect(new WebSocket("ws://127.0.0.1:1"), options);
export const overStreams = (input: ReadableStream<Uint8Array>, output: WritableStream<Uint8Array>) =>
  AppServerClient.connect({ input, output }, options);
