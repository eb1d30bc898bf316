//! The exit status of the program.

use mcp_startup_core::{McpServerStartupFailureReason, McpServerStartupState, Recovery};

/// The exit statuses that `--help` documents.
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

    /// The status of many servers. A needed sign-in outranks other failures.
    pub fn from_endings(endings: impl IntoIterator<Item = Ending>) -> Self {
        let worst = endings.into_iter().max().unwrap_or(Ending::Ready);
        match worst {
            Ending::Ready => Self::AllReady,
            Ending::Failed => Self::Failed,
            Ending::NeedsSignIn => Self::NeedsSignIn,
        }
    }
}

/// How one server ended, as far as the exit status is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    Ready,
    Failed,
    NeedsSignIn,
}

impl Ending {
    /// The ending of a server that this process started.
    pub fn from_start(recovery: Option<Recovery>, state: &McpServerStartupState) -> Self {
        match (state, recovery) {
            (McpServerStartupState::Ready, _) => Self::Ready,
            (
                _,
                Some(
                    Recovery::SignIn
                    | Recovery::Reauthenticate
                    | Recovery::GrantScope
                    | Recovery::OpenClient,
                ),
            ) => Self::NeedsSignIn,
            _ => Self::Failed,
        }
    }

    /// The ending of a server that another process started. Only the reason tells how to recover.
    pub fn from_notification(
        state: &McpServerStartupState,
        reason: Option<&McpServerStartupFailureReason>,
    ) -> Self {
        let recovery = (reason == Some(&McpServerStartupFailureReason::ReauthenticationRequired))
            .then_some(Recovery::Reauthenticate);
        Self::from_start(recovery, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recovery_that_is_a_sign_in_needs_one() {
        for (recovery, expected) in [
            (Recovery::SignIn, Ending::NeedsSignIn),
            (Recovery::Reauthenticate, Ending::NeedsSignIn),
            (Recovery::GrantScope, Ending::NeedsSignIn),
            (Recovery::OpenClient, Ending::NeedsSignIn),
            (Recovery::Retry, Ending::Failed),
            (Recovery::FixConfiguration, Ending::Failed),
            (Recovery::FixCredentialStore, Ending::Failed),
            (Recovery::None, Ending::Failed),
        ] {
            let failed = &McpServerStartupState::Failed;
            let found = Ending::from_start(Some(recovery), failed);
            assert_eq!(found, expected, "{recovery:?}");
        }
    }
}
