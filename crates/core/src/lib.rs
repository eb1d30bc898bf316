//! One typed answer to "why did this MCP server not start?".
//!
//! A host (a desktop app, a script, a phone) starts the MCP servers that a user has configured. This crate defines how the
//! host reports the state of each start, and decides what a failure means:
//!
//! * The **contract**: [`McpServerStatusUpdatedNotification`], the JSON-RPC notification
//!   `mcpServer/startupStatus/updated`. It is written strictly ([`encode`]) and read leniently ([`decode`],
//!   [`decode_lines`]).
//! * The **tracker**: [`StartupTracker`] folds notifications into the current state of each server.
//! * The **verdict**: [`judge`] turns the [`Evidence`] of a failed start into a [`StartupFailure`]. [`assess`] checks whether
//!   a stored credential can still be used, and [`refusal::meaning`] interprets a refused token refresh.
//!
//! Nothing in this crate does I/O, waits, reads a clock or stores a secret. Every result depends only on the arguments, so a
//! host that starts servers with another SDK gets the same answers from the same facts.
//!
//! # Example
//!
//! ```
//! use mcp_startup_core::{decode, judge, Evidence, McpServerStartupFailureReason, McpServerStatusUpdatedNotification, Recovery};
//!
//! // A client reads a notification:
//! let line = r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"linear","status":"failed","error":"…","failureReason":"reauthenticationRequired"}}"#;
//! let notification = decode(line.as_bytes())?.expect("the method matches");
//! assert_eq!(notification.failure_reason(), Some(&McpServerStartupFailureReason::ReauthenticationRequired));
//!
//! // A host judges a failed start by the evidence that it has collected:
//! let evidence: Evidence = serde_json::from_str(r#"{
//!     "server": "linear",
//!     "credential": {"source": "stored", "worth": {"accessToken": "good", "refreshToken": false}},
//!     "requests": [{"to": "mcp", "credentialSent": "stored", "status": 401}]
//! }"#)?;
//! let failure = judge(evidence);
//! assert_eq!(failure.recovery(), Recovery::Reauthenticate);
//! let notification = McpServerStatusUpdatedNotification::from_failure("linear", &failure);
//! assert_eq!(notification.failure_reason(), Some(&McpServerStartupFailureReason::ReauthenticationRequired));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod challenge;
mod credential;
mod decode;
mod decode_error;
mod error_message;
mod evidence;
mod file_kind;
mod io_problem;
mod json_members;
mod json_problem;
mod lines;
mod notification;
mod printable;
pub mod refusal;
mod shell_word;
mod sign_in_page;
mod tracker;
mod verdict;

#[doc(hidden)]
pub use challenge::attribute as challenge_attribute;
pub use credential::{
    AccessTokenWorth, CLOCK_SKEW_MS, CredentialFacts, CredentialWorth, FirstRequest, McpAuthStatus,
    McpServerConnectionStatus, assess, auth_status, same_issuer,
};
pub use decode::{DecodedLines, NotificationRef, decode, decode_each, decode_lines};
pub use decode_error::{DecodeError, DecodeErrorKind, LineError};
pub use error_message::json_rpc_error_text;
pub use evidence::{
    CertificateProblem, ClientSource, ConfigurationEvidence, CredentialEvidence, CredentialSent,
    CredentialSource, CredentialStoreTrouble, DiscoveryEvidence, DiscoveryOutcome,
    DiscoveryProblem, Evidence, ExceededLimit, HeldSignInEvidence, HeldSignInState, IoTrouble,
    ProcessEvidence, ProtocolEvidence, RequestEvidence, RequestTarget, SpawnFailure, StartPhase,
    StoreEvidence, Transport,
};
pub use file_kind::file_kind;
pub use io_problem::{error_chain, io_problem, without_os_error_numbers};
pub use json_members::{json_members, json_text};
pub use json_problem::{json_problem, json_problem_at};
pub use lines::{LineSplitter, MAX_LINE_BYTES};
pub use notification::{
    CODEX_VERSIONS, METHOD, McpServerStartupFailureReason, McpServerStartupState,
    McpServerStatusUpdatedNotification, UnknownValue, encode,
};
pub use printable::{begins_log_command, is_hidden, printable};
pub use shell_word::shell_word;
pub use sign_in_page::sign_in_part;
pub use tracker::{AppliedLines, ServerKey, StartupTracker, TrackedServer, TrackerUpdate};
pub use verdict::{
    McpAuthRequiredReason, Recovery, StartupFailure, StartupFailureKind, StartupWarning,
    StartupWarningKind, failed_discovery, has_required_scopes, judge, refuses_credential,
    try_again, warn,
};
