// Generated from the Rust types by `cargo xtask generate`, with ts-rs. Do not edit it by hand.

/**
 * Why a start failed, where the client can do something specific about it.
 *
 * - `reauthenticationRequired`: Credentials were stored for exactly this server, they can no longer be used or refreshed, and the start failed because of that: ask the user to sign in **again**. A first sign-in and passing trouble never carry it.
 */
export type McpServerStartupFailureReason = "reauthenticationRequired";

/**
 * How far the start of an MCP server has come.
 *
 * - `starting`: The start has begun.
 * - `ready`: The server has answered the handshake and can be used.
 * - `failed`: The server can't be used; `error` says why.
 * - `cancelled`: The start was given up by the host before it came to an end.
 */
export type McpServerStartupState = "starting" | "ready" | "failed" | "cancelled";

/**
 * The params of the notification `mcpServer/startupStatus/updated`: the state of one server's start has changed.
 *
 * - `threadId`: The thread whose server this is; `null` where the server belongs to the whole app.
 * - `name`: The name of the server, as the user configured it.
 * - `status`: The state that the start has come to.
 * - `error`: A sentence for a person, on a failed start.
 * - `failureReason`: Why the start failed, where a client can do something specific about it.
 */
export type McpServerStatusUpdatedNotification = { threadId: string | null, name: string, status: McpServerStartupState, error: string | null, failureReason: McpServerStartupFailureReason | null, };

/**
 * How a client is authorized at a server, as Codex's app-server calls it.
 *
 * - `unsupported`: A sign-in has no place here: the server publishes no OAuth, or is a program (stdio).
 * - `notLoggedIn`: The server publishes OAuth, and nothing usable is stored.
 * - `bearerToken`: The configuration carries the authorization.
 * - `oAuth`: A stored record has a usable access or refresh token.
 */
export type McpAuthStatus = "unsupported" | "notLoggedIn" | "bearerToken" | "oAuth";

/**
 * Why a line could not be read.
 *
 * - `invalidJson`: Not JSON (RFC 8259), or not UTF-8.
 * - `notAnObject`: JSON, but not an object, so no JSON-RPC message.
 * - `missingField`: A required field is absent or null.
 * - `invalidType`: A field has a value of another type.
 * - `tooLong`: The line is longer than `MAX_LINE_BYTES`.
 */
export type DecodeErrorKind = "invalidJson" | "notAnObject" | "missingField" | "invalidType" | "tooLong";
