// Generated from the Rust types by `cargo xtask generate`, with ts-rs. Do not edit it by hand.

/**
 * The reason for a failed start, if clients should handle it in a specific way.
 *
 * - `reauthenticationRequired`: Credentials are stored for exactly this server, but they can no longer be used or refreshed, and the start failed because of that. Ask the user to sign in **again**. A missing first sign-in or a temporary failure never has this reason.
 */
export type McpServerStartupFailureReason = "reauthenticationRequired";

/**
 * The state of the start of an MCP server.
 *
 * - `starting`: The start has begun.
 * - `ready`: The server has completed the MCP handshake and can be used.
 * - `failed`: The start failed, and the server can't be used. `error` describes the failure.
 * - `cancelled`: The host cancelled the start before it was complete.
 */
export type McpServerStartupState = "starting" | "ready" | "failed" | "cancelled";

/**
 * The params of the notification `mcpServer/startupStatus/updated`, which reports that the state of a server's start has changed.
 *
 * - `threadId`: The thread that the server belongs to. `null` if it belongs to the whole app.
 * - `name`: The name of the server, as the user configured it.
 * - `status`: The state of the start.
 * - `error`: A human-readable message that describes why the start failed. Usually `null` in any other state.
 * - `failureReason`: The reason for the failure, if clients should handle it in a specific way.
 */
export type McpServerStatusUpdatedNotification = { threadId: string | null, name: string, status: McpServerStartupState, error: string | null, failureReason: McpServerStartupFailureReason | null, };

/**
 * How a client is authorized at an MCP server. Codex's app-server uses the same values.
 *
 * - `unsupported`: The server does not support a sign-in: it publishes no OAuth metadata, or it is a stdio server.
 * - `notLoggedIn`: The server publishes OAuth metadata, and no usable token is stored.
 * - `bearerToken`: The configuration contains a token or header for the server.
 * - `oAuth`: A usable access token or refresh token is stored.
 */
export type McpAuthStatus = "unsupported" | "notLoggedIn" | "bearerToken" | "oAuth";

/**
 * Why a line could not be decoded.
 *
 * - `invalidJson`: The line is not valid JSON (RFC 8259) or not valid UTF-8.
 * - `notAnObject`: The line is JSON, but not an object, and therefore not a JSON-RPC message.
 * - `missingField`: A required field is missing or null.
 * - `invalidType`: A field has a value of the wrong type.
 * - `tooLong`: The line is longer than the limit, which is `MAX_LINE_BYTES` by default.
 */
export type DecodeErrorKind = "invalidJson" | "notAnObject" | "missingField" | "invalidType" | "tooLong";
