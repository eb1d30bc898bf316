//! The methods and notifications that Codex's protocol lacks: `mcpStartup/…`.

/// The result of `mcpStartup/signOut`.
pub use mcp_startup::SignedOut;
use mcp_startup::config::clients::{FileReport, Owner};
use mcp_startup_core::{ConfigurationEvidence, StartPhase, StartupFailure, StartupWarning};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::configuration::Configuration;

/// The parameters of `mcpStartup/authenticate`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuthenticateParams {
    /// The token.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub token: SecretString,
}

/// The parameters of `mcpStartup/failure/read`, `mcpStartup/retry` and `mcpStartup/signOut`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerParams {
    /// The name of the server.
    pub name: String,
    /// There are no environments, so it must be null.
    pub environment_id: Option<String>,
    /// The thread. It has no effect.
    pub thread_id: Option<String>,
}

/// The result of a start, beyond its notification.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StartDetails {
    /// Why the last start failed, and what to do. `null` if it did not fail.
    pub failure: Option<StartupFailure>,
    /// What is wrong with a server that is ready.
    pub warning: Option<StartupWarning>,
    /// Why a refreshed token could not be stored.
    pub not_saved: Option<String>,
    /// Parts of the server's entry that do not have the effect that the user may expect.
    pub configuration_warnings: Vec<ConfigurationEvidence>,
    /// The time until the server starts again by itself, in ms. `null` if it does so only after a change, such as a sign-in.
    pub retry_in_ms: Option<u64>,
}

/// The result of `mcpStartup/failure/read`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FailureReadResponse {
    /// The name of the server.
    pub name: String,
    /// The state of the last start: `starting`, `ready`, `failed` or `cancelled`. `null` if there was none.
    pub status: Option<String>,
    /// The phase that the last complete start had reached.
    pub phase: Option<StartPhase>,
    /// How long it took, in ms.
    pub elapsed_ms: Option<u64>,
    /// Whether the configuration marks the server as required.
    pub required: bool,
    /// The result of the last complete start.
    #[serde(flatten)]
    pub details: StartDetails,
    /// What happened in the last complete start, as `mcp-startup explain --format json` prints it.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Timeline>"))]
    pub timeline: Option<Value>,
}

/// What happened in a start, in order.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "describes the JSON of a `StartTimeline`")]
struct Timeline {
    /// The entries, at most 200, with ascending times.
    entries: Vec<TimelineEntry>,
    /// The number of later entries that were left out.
    omitted: usize,
}

/// One step of a start. It has more fields, which depend on the step.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes the JSON of a `TimelineEntry`")]
struct TimelineEntry {
    /// The time since the start began, in ms.
    at_ms: u64,
    /// What happened, for example `requestSent`.
    step: String,
    /// The step in words, on one line without hidden characters.
    text: String,
}

/// The parameters of the notification `mcpStartup/failure/updated`. It follows each `failed`, and each change of the time until
/// the next start. It also follows a `ready` or `cancelled` if the details have changed.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FailureUpdatedNotification {
    /// Always `null`: the server belongs to the whole connection.
    pub thread_id: Option<String>,
    /// The name of the server.
    pub name: String,
    /// The result of the start.
    #[serde(flatten)]
    pub details: StartDetails,
}

/// The parameters of the notification `mcpStartup/servers/updated`, which has none. It follows each reload of the configuration, by any
/// client: list the servers again. Several reloads in quick succession can have one notification.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServersUpdatedNotification {}

/// The parameters of the notification `mcpStartup/toolCall/progress`, which only the client gets that has called the tool.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ToolCallProgressNotification {
    /// The ID of the request `mcpServer/tool/call`.
    pub request_id: super::RequestId,
    /// The thread of the request.
    pub thread_id: String,
    /// The server.
    pub server: String,
    /// How much is done.
    pub progress: f64,
    /// How much there is to do. `null` if the server does not know it.
    pub total: Option<f64>,
    /// The step that the server reports, in at most 1,000 characters.
    pub message: Option<String>,
}

/// The result of `mcpStartup/clients/list`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClientsListResponse {
    /// The configuration files of the MCP clients on the machine.
    pub files: Vec<FileReport>,
}

/// The result of `mcpStartup/servers/list`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServersListResponse {
    /// The servers, in the order of the configuration.
    pub servers: Vec<ConfiguredServer>,
    /// The servers of clients that are not started.
    pub not_checked: Vec<NotCheckedServer>,
    /// The files of clients that can't be read, each as a message that names the client and the file.
    pub unreadable: Vec<String>,
}

/// Where a server comes from.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfiguredServer {
    /// The name of the server.
    pub name: String,
    /// Whether it is enabled. A disabled server does not start.
    pub enabled: bool,
    /// The path of the file that has the entry. `null` if it comes from no file.
    pub path: Option<String>,
    /// The line of the entry, or of the problem in it, starting at 1.
    pub line: Option<u32>,
    /// The key of the entry, or of the problem in it, for example `mcpServers.linear`.
    pub key: Option<String>,
    /// The clients that have the server. The entry is that of the first one.
    pub owners: Vec<ServerOwner>,
}

/// A client that has a server.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerOwner {
    /// The ID of the client, for example `claude-code`.
    pub client: String,
    /// The name of the client, for example `Claude Code`.
    pub client_name: String,
    /// The scope of its file, for example `user`.
    pub scope: String,
    /// The path of its file.
    pub path: String,
    /// The name of the server in the client.
    pub name: String,
}

/// A server of a client that is not started.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NotCheckedServer {
    /// The client that has the server.
    #[serde(flatten)]
    pub owner: ServerOwner,
    /// Why it is not started.
    pub why: String,
}

impl From<&Owner> for ServerOwner {
    fn from(owner: &Owner) -> Self {
        Self {
            client: owner.client.id().to_owned(),
            client_name: owner.client.name().to_owned(),
            scope: owner.scope.as_str().to_owned(),
            path: owner.path.clone(),
            name: owner.name.clone(),
        }
    }
}

impl ServersListResponse {
    /// The servers of a configuration.
    pub(crate) fn of(configuration: &Configuration) -> Self {
        let file = configuration.path.as_ref();
        let file = file.map(|path| path.display().to_string());
        let servers = configuration.servers.iter().map(|server| {
            let owner = server.owners.first();
            ConfiguredServer {
                name: server.entry.name.clone(),
                enabled: server.entry.enabled,
                path: owner.map(|owner| owner.path.clone()).or(file.clone()),
                line: server.entry.line(),
                key: server.entry.key().map(str::to_owned),
                owners: server.owners.iter().map(ServerOwner::from).collect(),
            }
        });
        let not_checked = configuration.not_checked.iter();
        Self {
            servers: servers.collect(),
            not_checked: not_checked
                .map(|left| NotCheckedServer {
                    owner: ServerOwner::from(&left.owner),
                    why: left.why.clone(),
                })
                .collect(),
            unreadable: configuration.unreadable.clone(),
        }
    }
}

/// The result of `mcpStartup/retry` and of other methods without a value.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmptyResponse {}

/// The parameters of `mcpStartup/login/cancel`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LoginCancelParams {
    /// The ID from the response to `mcpServer/oauth/login`.
    pub login_id: String,
}

/// The parameters of `mcpStartup/request/cancel`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestCancelParams {
    /// The ID of the request to cancel. Its response is then an error with `data.reason` = `cancelled`.
    pub request_id: super::RequestId,
}

/// The result of `mcpStartup/login/cancel` and `mcpStartup/request/cancel`.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CancelResponse {
    /// Whether there was something to cancel.
    pub status: CancelStatus,
}

/// Whether there was something to cancel. Codex's `account/login/cancel` has the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CancelStatus {
    /// It ends now.
    Canceled,
    /// It does not exist, or has ended.
    NotFound,
}

impl From<bool> for CancelResponse {
    fn from(was_found: bool) -> Self {
        Self {
            status: match was_found {
                true => CancelStatus::Canceled,
                false => CancelStatus::NotFound,
            },
        }
    }
}
