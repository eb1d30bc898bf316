//! What a check says while it runs.

use mcp_startup_core::{McpServerStatusUpdatedNotification, StartPhase, StartupFailure};

/// The state of one server's start has changed: the notification for the wire, and what stands behind it.
///
/// For each server that is started: one with `starting`, and then exactly one more.
#[derive(Clone, Debug)]
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
}

/// Something that a person who waits may want to see, and that is no change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The start of a server has come to another phase.
    Phase {
        /// The server.
        name: String,
        /// The phase.
        phase: StartPhase,
    },
    /// A server that is ready has been asked for its tools.
    Tools {
        /// The server.
        name: String,
        /// How many it has; `None` where it did not say, or not in time.
        count: Option<usize>,
    },
}
