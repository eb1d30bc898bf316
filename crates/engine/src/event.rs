//! What a check says while it runs.

use mcp_startup_core::{McpServerStatusUpdatedNotification, StartPhase, StartupFailure};
use serde::Serialize;

/// The state of one server's start has changed: the notification for the wire, and what stands behind it.
///
/// For each start of a server: one with `starting`, and then exactly one more.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StartupEvent {
    /// The notification, as it goes over the wire.
    pub notification: McpServerStatusUpdatedNotification,
    /// How far the start had come; on `ready`, the last phase it went through.
    pub phase: StartPhase,
    /// The time since the start began, in ms.
    pub elapsed_ms: u64,
    /// Whether the configuration says that the app can't do without this server.
    pub required: bool,
    /// Why it failed: on `failed`, and on nothing else.
    pub failure: Option<StartupFailure>,
    /// Why a token that was refreshed in this start could not be saved: it serves this start, and the next one needs another.
    pub not_saved: Option<String>,
}

/// What a check has to tell: its events, and between them what a person who waits may want to see.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a handful are made for each server, and each is handed on at once"
)]
pub enum Update {
    /// The state of a server's start has changed.
    Event(StartupEvent),
    /// The start of a server has come to another phase.
    Phase {
        /// The server.
        name: String,
        /// The phase.
        phase: StartPhase,
    },
    /// A server has failed, and is started again when that may help: by [`Watch::retry`](crate::Watch::retry), when what is
    /// stored for it has changed, and by itself in this time. In a watch it comes after each `failed`, and once more where it is to
    /// be sooner.
    Waiting {
        /// The server.
        name: String,
        /// The time until it is started by itself, in ms; `None` where that would not help.
        retry_in_ms: Option<u64>,
    },
    /// Every server is closed, and the stream waits for refreshes that were sent, so that no answer is lost: at most 30 s.
    Saving,
    /// A server that is ready has been asked for its tools.
    Tools {
        /// The server.
        name: String,
        /// How many it has; `None` where it did not say, or not in time.
        count: Option<usize>,
    },
}
