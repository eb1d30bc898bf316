//! The methods and notifications that Codex's protocol lacks: `mcpStartup/…`.

use mcp_startup_core::{ConfigurationEvidence, StartPhase, StartupFailure, StartupWarning};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    pub timeline: Option<Value>,
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
