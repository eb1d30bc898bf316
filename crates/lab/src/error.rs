//! The errors of starting a lab and of reading scenarios.

use std::io;

/// Why a lab could not start, or scenarios could not be read.
///
/// ```
/// let error = mcp_startup_lab::parse_scenarios("[{}]").unwrap_err();
/// assert!(matches!(error, mcp_startup_lab::LabError::Rows(_)));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The lab cannot listen on the port, for example because another program uses it.
    #[error(
        "the lab cannot listen on 127.0.0.1:{port}: {source}; choose another port, or 0 for a free one"
    )]
    Listen {
        /// The requested port.
        port: u16,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The text is not a JSON array of scenarios.
    #[error("the scenarios cannot be read: {0}")]
    Rows(#[from] serde_json::Error),
    /// A scenario is inconsistent, or its name is not unique.
    #[error("the scenario `{name}` is invalid: {reason}")]
    Row {
        /// The name of the scenario.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}
