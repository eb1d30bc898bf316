//! Failures to build and test a client with.

use serde::Deserialize;

use crate::evidence::Evidence;

use super::{StartupFailure, judge};

/// The evidence of every kind and shape of failure, in the order of the kinds. Here the evidence is all that is read of it;
/// `docs/failures.md` and the tests of the messages are made of the rest.
const EXAMPLES: &str = include_str!("examples.json");

#[derive(Deserialize)]
struct Example {
    evidence: Evidence,
}

impl StartupFailure {
    /// One failure of each kind and shape, in the order of the kinds: to build and test what a client shows for each, without
    /// a server that fails so.
    ///
    /// Which shapes there are and how their messages read may change with any version; that every kind is among them does not.
    ///
    /// ```
    /// use mcp_startup_core::{Recovery, StartupFailure};
    ///
    /// for failure in StartupFailure::examples() {
    ///     let button = match failure.recovery() {
    ///         Recovery::SignIn | Recovery::Reauthenticate | Recovery::GrantScope => Some("Sign in"),
    ///         Recovery::Retry => Some("Try again"),
    ///         Recovery::FixConfiguration | Recovery::FixCredentialStore | Recovery::None => None,
    ///     };
    ///     println!("{button:?}: {}", failure.message());
    /// }
    /// ```
    pub fn examples() -> Vec<Self> {
        // That the file can be read is tested: a host is given no error that it can do nothing about.
        let examples: Vec<Example> = serde_json::from_str(EXAMPLES).unwrap_or_default();
        examples
            .into_iter()
            .map(|example| judge(example.evidence))
            .collect()
    }
}
