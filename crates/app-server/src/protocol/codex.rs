//! The methods and notifications that Codex's app-server has too, as of Codex 0.171. Unknown fields are ignored.

use std::collections::{BTreeMap, HashSet};

use mcp_startup_core::{McpAuthStatus, McpServerConnectionStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The parameters of `initialize`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeParams {
    /// The client.
    pub client_info: ClientInfo,
    /// The wishes of the client.
    pub capabilities: Option<InitializeCapabilities>,
}

/// The name and the version of a client.
#[derive(Clone, Debug, Deserialize)]
pub struct ClientInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The wishes of a client.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeCapabilities {
    /// The exact methods of the notifications that the client does not want.
    pub opt_out_notification_methods: Option<HashSet<String>>,
}

/// The result of `initialize`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeResponse {
    /// This program and its version.
    pub user_agent: String,
    /// The folder with the configuration and the sign-ins.
    pub codex_home: String,
    /// For example `unix`.
    pub platform_family: &'static str,
    /// For example `linux`.
    pub platform_os: &'static str,
}

/// The parameters of `mcpServerStatus/list`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMcpServerStatusParams {
    /// The cursor of the previous page.
    pub cursor: Option<String>,
    /// How many servers a page has at most.
    pub limit: Option<u32>,
    /// The lists to return for each server.
    pub detail: Option<McpServerStatusDetail>,
    /// Only this server.
    pub server_name: Option<String>,
    /// With a thread, the states are those of this moment. Without one, the response waits for starts.
    pub thread_id: Option<String>,
    /// There are no environments, so it must be null.
    pub environment_id: Option<String>,
}

/// The lists that `mcpServerStatus/list` returns for each server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum McpServerStatusDetail {
    /// Tools, resources and resource templates.
    #[default]
    Full,
    /// Only tools.
    ToolsAndAuthOnly,
}

/// The result of `mcpServerStatus/list`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMcpServerStatusResponse {
    /// The servers, sorted by name.
    pub data: Vec<McpServerStatus>,
    /// The cursor of the next page. `None` if this is the last one.
    pub next_cursor: Option<String>,
}

/// The state of a server, with its tools and resources.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct McpServerStatus {
    /// Its name.
    pub name: String,
    /// Always `None`.
    pub environment_id: Option<String>,
    /// The state of the connection.
    pub runtime_status: McpServerConnectionStatus,
    /// Always `None`.
    pub plugin_id: Option<String>,
    /// The origin of the URL. `None` for a program.
    pub http_origin: Option<String>,
    /// The name and the version of the server. `None` if it is not connected.
    pub server_info: Option<Value>,
    /// The capabilities of the server. `None` if it is not connected.
    pub server_capabilities: Option<Value>,
    /// The `_meta` of the first page of tools.
    pub tool_list_meta: Option<Value>,
    /// The tools by name.
    pub tools: BTreeMap<String, Value>,
    /// Why there are no tools. `None` if they are listed.
    pub tools_error: Option<String>,
    /// The resources.
    pub resources: Vec<Value>,
    /// The templates of resources.
    pub resource_templates: Vec<Value>,
    /// How a client is authorized at the server.
    pub auth_status: McpAuthStatus,
}

/// The parameters of `mcpServer/oauth/login`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpServerOauthLoginParams {
    /// The server.
    pub name: String,
    /// There are no environments, so it must be null.
    pub environment_id: Option<String>,
    /// Ignored: a sign-in belongs to the server in all threads.
    pub thread_id: Option<String>,
    /// Where the OAuth client comes from.
    pub client_registration: Option<McpServerOauthClientRegistration>,
    /// Scopes to request in addition to the configured ones.
    pub scopes: Option<Vec<String>>,
    /// How long to wait for the browser, in seconds.
    pub timeout_secs: Option<i64>,
}

/// Where the OAuth client of a sign-in comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum McpServerOauthClientRegistration {
    /// The configured client, a client ID metadata document, or a registration.
    Auto,
    /// A client ID metadata document.
    Cimd,
    /// A dynamic client registration (RFC 7591).
    Dcr,
}

/// The result of `mcpServer/oauth/login`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct McpServerOauthLoginResponse {
    /// The URL to open in a browser.
    pub authorization_url: String,
    /// Identifies this sign-in in the notification about its end.
    pub login_id: String,
}

/// The parameters of the notification `mcpServer/oauthLogin/completed`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct McpServerOauthLoginCompletedNotification {
    /// The server.
    pub name: String,
    /// The thread of the request.
    pub thread_id: Option<String>,
    /// The ID from the response.
    pub login_id: String,
    /// Whether the user is signed in now.
    pub success: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The parameters of `mcpServer/tool/call`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpServerToolCallParams {
    /// The thread.
    pub thread_id: String,
    /// The server.
    pub server: String,
    /// There are no environments, so it must be null.
    pub environment_id: Option<String>,
    /// The name of the tool.
    pub tool: String,
    /// Its arguments: an object or null.
    pub arguments: Option<Value>,
    /// Metadata of the request.
    #[serde(rename = "_meta")]
    pub meta: Option<Value>,
}

/// The parameters of `mcpServer/resource/read`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpResourceReadParams {
    /// The server.
    pub server: String,
    /// The URI of the resource.
    pub uri: String,
    /// The thread.
    pub thread_id: Option<String>,
    /// There are no environments, so it must be null.
    pub environment_id: Option<String>,
    /// Metadata of the request.
    #[serde(rename = "_meta")]
    pub meta: Option<Value>,
}

/// The parameters of `thread/start`. Only the folder and the model have an effect: the result repeats them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadStartParams {
    /// The working folder.
    pub cwd: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The provider of the model.
    pub model_provider: Option<String>,
}
