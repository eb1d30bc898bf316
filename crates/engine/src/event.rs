//! The events and progress updates of a check, a start and a watch.

use mcp_startup_core::{
    ConfigurationEvidence, McpServerStatusUpdatedNotification, StartPhase, StartupFailure,
    StartupWarning,
};
use serde::Serialize;

use crate::timeline::StartTimeline;

/// A change of the startup state of one server: the notification, and the details that the notification leaves out.
///
/// Each start of a server has exactly two events: `starting`, then `ready`, `failed` or `cancelled`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StartupEvent {
    /// The `mcpServer/startupStatus/updated` notification, ready to serialize.
    pub notification: McpServerStatusUpdatedNotification,
    /// The phase that the start had reached. On `ready`, this is its last phase.
    pub phase: StartPhase,
    /// The time since the start began, in ms.
    pub elapsed_ms: u64,
    /// Whether the configuration marks this server as required.
    pub required: bool,
    /// The verdict: the reason of the failure and its recovery. It is set on `failed` only.
    pub failure: Option<StartupFailure>,
    /// What is wrong with a server that is ready. It is set on `ready` only.
    pub warning: Option<StartupWarning>,
    /// The number of tools of a server that is ready. `None` if the server did not list them: then there is a warning.
    pub tools: Option<usize>,
    /// Why the credential store could not save a token that this start has refreshed. This start uses the token, but the next one
    /// does not have it, and may require a sign-in.
    pub not_saved: Option<String>,
    /// Parts of the server's entry that do not have the effect that the user may expect, such as keys that are not read. Empty on
    /// `starting`.
    pub configuration_warnings: Vec<ConfigurationEvidence>,
    /// What happened during the start, with [`StartupOptions::timeline`](crate::StartupOptions::timeline). It is set on `ready`,
    /// `failed` and `cancelled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<StartTimeline>,
}

/// An event, or a step between two events that you can show to a waiting user.
///
/// [`Check::update`](crate::Check::update) and [`Watch::update`](crate::Watch::update) return updates.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "each server has only a few, and each is passed on immediately"
)]
pub enum Update {
    /// The startup state of a server has changed.
    Event(StartupEvent),
    /// The start of a server has entered another phase.
    Phase {
        /// The name of the server.
        name: String,
        /// The phase.
        phase: StartPhase,
    },
    /// A watch waits before it restarts a failed server.
    ///
    /// It restarts the server after `retry_in_ms`, when the stored credentials change, or when you call
    /// [`Watch::retry`](crate::Watch::retry). This update follows each `failed`. Another one follows if the restart is moved to an
    /// earlier time.
    Waiting {
        /// The name of the server.
        name: String,
        /// The time until the automatic restart, in ms. `None` if a restart does not help before something changes.
        retry_in_ms: Option<u64>,
    },
    /// All starts have ended. The stream stays open until the tokens of the refreshes in flight are saved, at most 30 s for each
    /// refresh.
    Saving,
    /// A check has counted the tools of a server that is ready.
    Tools {
        /// The name of the server.
        name: String,
        /// The number of tools. `None` if the server did not list them; the `ready` event then has a warning.
        count: Option<usize>,
    },
}
