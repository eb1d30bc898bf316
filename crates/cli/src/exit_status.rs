//! What the program ends with.

use mcp_startup_core::{McpServerStartupFailureReason, McpServerStartupState, Recovery};

/// The statuses that stand in `--help`, and the one of a closed pipe, which nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    AllReady,
    Failed,
    Usage,
    NeedsSignIn,
    Interrupted,
    ClosedPipe,
}

impl ExitStatus {
    pub fn code(self) -> u8 {
        match self {
            Self::AllReady => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NeedsSignIn => 3,
            Self::Interrupted => 130,
            Self::ClosedPipe => 141,
        }
    }

    /// The status of many servers: a sign-in outweighs whatever else failed.
    pub fn of(endings: impl IntoIterator<Item = Ending>) -> Self {
        let worst = endings.into_iter().max().unwrap_or(Ending::Ready);
        match worst {
            Ending::Ready => Self::AllReady,
            Ending::Failed => Self::Failed,
            Ending::NeedsSignIn => Self::NeedsSignIn,
        }
    }
}

/// How one server ended, as far as the exit status goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    Ready,
    Failed,
    NeedsSignIn,
}

impl Ending {
    /// Of a server that was started here.
    pub fn of_start(recovery: Option<Recovery>, state: &McpServerStartupState) -> Self {
        match (state, recovery) {
            (McpServerStartupState::Ready, _) => Self::Ready,
            (_, Some(Recovery::SignIn | Recovery::Reauthenticate | Recovery::GrantScope)) => {
                Self::NeedsSignIn
            }
            _ => Self::Failed,
        }
    }

    /// Of a server that is only heard of: the reason is all that is said of a recovery.
    pub fn of_notification(
        state: &McpServerStartupState,
        reason: Option<&McpServerStartupFailureReason>,
    ) -> Self {
        let recovery = (reason == Some(&McpServerStartupFailureReason::ReauthenticationRequired))
            .then_some(Recovery::Reauthenticate);
        Self::of_start(recovery, state)
    }
}
