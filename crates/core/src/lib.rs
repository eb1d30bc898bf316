//! One typed answer to "why did this MCP server not start?".
//!
//! A host (a desktop app, a script, a phone) starts the MCP servers that a user has configured. For each of them
//! this crate defines what is said about it, and decides what a failure means:
//!
//! * the **contract**: [`McpServerStatusUpdatedNotification`], the JSON-RPC notification
//!   `mcpServer/startupStatus/updated`, written strictly ([`encode`]) and read leniently ([`decode`], [`decode_lines`]);
//! * the **tracker**: [`StartupTracker`] folds notifications into what a client shows;
//! * the **verdict**: [`judge`] turns [`Evidence`] of a failed start into a [`StartupFailure`], [`assess`] says what a
//!   stored credential is worth, and [`refusal::meaning`] what the refusal of a refresh means.
//!
//! Nothing here does I/O, waits, reads a clock or holds a secret: everything is a function of its arguments, so a host
//! that starts servers with another SDK gets the same answers from the same facts.
//!
//! # Example
//!
//! ```
//! use mcp_startup_core::{decode, judge, Evidence, McpServerStartupFailureReason, McpServerStatusUpdatedNotification, Recovery};
//!
//! // What a client reads:
//! let line = r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"linear","status":"failed","error":"…","failureReason":"reauthenticationRequired"}}"#;
//! let notification = decode(line.as_bytes())?.expect("the method is ours");
//! assert_eq!(notification.failure_reason(), Some(&McpServerStartupFailureReason::ReauthenticationRequired));
//!
//! // What a host says, from the evidence it has collected:
//! let evidence: Evidence = serde_json::from_str(r#"{
//!     "server": "linear",
//!     "credential": {"source": "stored", "worth": {"accessToken": "good", "refreshToken": false}},
//!     "requests": [{"to": "mcp", "credentialSent": "stored", "status": 401}]
//! }"#)?;
//! let failure = judge(evidence);
//! assert_eq!(failure.recovery(), Recovery::Reauthenticate);
//! let said = McpServerStatusUpdatedNotification::from_failure("linear", &failure);
//! assert_eq!(said.failure_reason(), Some(&McpServerStartupFailureReason::ReauthenticationRequired));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod credential;
mod decode;
mod decode_error;
mod evidence;
mod foreign_text;
mod lines;
mod notification;
pub mod refusal;
mod tracker;
mod verdict;

pub use credential::{
    AccessTokenWorth, CLOCK_SKEW_MS, CredentialFacts, CredentialWorth, FirstRequest, McpAuthStatus,
    assess, auth_status, same_issuer,
};
pub use decode::{DecodedLines, NotificationRef, decode, decode_each, decode_lines};
pub use decode_error::{DecodeError, DecodeErrorKind, LineError};
pub use evidence::{
    ClientSource, ConfigurationEvidence, CredentialEvidence, CredentialSent, CredentialSource,
    CredentialStoreTrouble, DiscoveryEvidence, DiscoveryOutcome, DiscoveryProblem, Evidence,
    IoTrouble, ProcessEvidence, ProtocolEvidence, RequestEvidence, RequestTarget, SpawnFailure,
    StartPhase, StoreEvidence, Transport,
};
pub use foreign_text::printable;
pub use lines::{LineSplitter, MAX_LINE_BYTES};
pub use notification::{
    METHOD, McpServerStartupFailureReason, McpServerStartupState,
    McpServerStatusUpdatedNotification, UnknownValue, encode,
};
pub use tracker::{AppliedLines, StartupTracker, TrackedServer, TrackerUpdate};
pub use verdict::{Recovery, StartupFailure, StartupFailureKind, judge};
