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
 * - `unknown`: The status could not be determined, for example because the server did not answer.

It is a value for a reader of Codex's `mcpServerStatus/list`. `auth_status` returns `null` instead.
 * - `unsupported`: The server does not support a sign-in: it publishes no OAuth metadata, or it is a stdio server.
 * - `notLoggedIn`: The server publishes OAuth metadata, and no usable token is stored.
 * - `bearerToken`: The configuration contains a token or header for the server.
 * - `oAuth`: A usable access token or refresh token is stored.
 */
export type McpAuthStatus = "unknown" | "unsupported" | "notLoggedIn" | "bearerToken" | "oAuth";

/**
 * The state of the connection to an MCP server, as `runtimeStatus` of Codex's `mcpServerStatus/list` reports it.
 *
 * - `notStarted`: The server has not been started.
 * - `starting`: The start has begun.
 * - `connected`: The server is ready.
 * - `authenticationRequired`: The start failed, and signing in fixes the failure: for the first time, again, or to grant more scopes.
 * - `failed`: The start failed for any other reason.
 * - `cancelled`: The host cancelled the start.
 * - `disabled`: The configuration disables the server.
 */
export type McpServerConnectionStatus = "notStarted" | "starting" | "connected" | "authenticationRequired" | "failed" | "cancelled" | "disabled";

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
