//! Example failures for building and testing clients.

use serde::Deserialize;

use crate::evidence::Evidence;

use super::{StartupFailure, judge};

/// Evidence for each kind of failure and each form of its message, in the order of the kinds. The other fields are for
/// `docs/failures.md` and the tests of the messages.
const EXAMPLES: &str = include_str!("examples.json");

#[derive(Deserialize)]
struct Example {
    evidence: Evidence,
}

impl StartupFailure {
    /// Returns an example of each kind of failure and each form of its message, in the order of the kinds.
    ///
    /// Use the examples to build and test what a client shows, without a server that fails in this way. The number of examples
    /// and their messages may change in any version, but every kind has at least one example.
    ///
    /// ```
    /// use mcp_startup_core::{Recovery, StartupFailure};
    ///
    /// for failure in StartupFailure::examples() {
    ///     let button = match failure.recovery() {
    ///         Recovery::SignIn | Recovery::Reauthenticate | Recovery::GrantScope => Some("Sign in"),
    ///         Recovery::Retry => Some("Try again"),
    ///         Recovery::OpenClient => Some("Open the other client"),
    ///         Recovery::FixConfiguration | Recovery::FixCredentialStore | Recovery::None => None,
    ///     };
    ///     println!("{button:?}: {}", failure.message());
    /// }
    /// ```
    pub fn examples() -> Vec<Self> {
        // A test checks that the file can be parsed, so callers need not handle an error.
        let examples: Vec<Example> = serde_json::from_str(EXAMPLES).unwrap_or_default();
        examples
            .into_iter()
            .map(|example| judge(example.evidence))
            .collect()
    }
}
