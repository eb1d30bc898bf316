//! The verdict: what the evidence of a failed start comes to.

mod examples;
mod facts;
mod message;

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::foreign_text::printable;
use crate::notification::{McpServerStartupFailureReason, McpServerStatusUpdatedNotification};

use facts::Facts;

/// The longest message of a failure, in characters.
const MESSAGE_CHARS: usize = 300;

/// What a failed start comes to, as a stable value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum StartupFailureKind {
    /// The entry of the configuration can't be used; the evidence has its key and line.
    InvalidConfiguration,
    /// The program is not on the PATH, or not where the configuration says.
    ProgramNotFound,
    /// The start needed what is stored, and the store is locked, unreadable, corrupt, or of a kind that can't be read. It
    /// does not mean "signed out".
    CredentialStoreUnavailable,
    /// A token or header of the configuration, or an OAuth client of it, was refused.
    CredentialRejected,
    /// The server asks for more scope than the stored credentials were granted.
    InsufficientScope,
    /// The server refuses access (HTTP 403), and no sign-in mends it.
    AccessDenied,
    /// Credentials are stored for this name and URL, the server refuses to go on without good ones, and they are spent.
    /// The only kind whose reason on the wire is not null.
    ReauthenticationRequired,
    /// The server wants authorization, and a refresh or the discovery could not be completed. What is stored stays stored.
    AuthorizationUnavailable,
    /// What the server publishes about its authorization can't be right.
    AuthorizationMisconfigured,
    /// The server wants a sign-in, and nothing is stored for this name and URL.
    SignInRequired,
    /// The server wants a key, publishes no OAuth, and nothing is configured.
    CredentialRequired,
    /// No connection: DNS, TCP or TLS.
    Unreachable,
    /// The time limit passed; the phase in the evidence says during what.
    TimedOut,
    /// The program ended before it was ready.
    Exited,
    /// The server answered with an HTTP error.
    ServerError,
    /// Client and server have no version of MCP in common.
    UnsupportedProtocol,
    /// The answer is no MCP.
    NotMcp,
    /// Anything else; the cause is in the evidence.
    Other,
}

/// What mends a failure, and so what a client offers beside the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum Recovery {
    /// Nothing that this client could offer. Show no button: the message says whose turn it is.
    None,
    /// Trying again, later. Offer that, or do it by yourself after a while; what is stored stays stored.
    Retry,
    /// A first sign-in. Offer it, and start none unasked.
    SignIn,
    /// Signing in again. Offer it, once for each server, however many threads and retries report the failure.
    Reauthenticate,
    /// A sign-in that grants more scope. Offer it; the challenge in the evidence may name the scope.
    GrantScope,
    /// Changing the configuration. Offer to open it, at the key and the line if the evidence has them.
    FixConfiguration,
    /// Unlocking or mending the place where credentials are stored. Offer to try again after that; nobody has been signed out.
    FixCredentialStore,
}

/// Why a start failed: a stable kind, a sentence for a person, what mends it, and the facts it was judged by.
///
/// Made by [`judge`] alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub struct StartupFailure {
    kind: StartupFailureKind,
    message: String,
    recovery: Recovery,
    evidence: Evidence,
}

impl StartupFailure {
    /// What the start comes to, as a stable value.
    pub fn kind(&self) -> StartupFailureKind {
        self.kind
    }

    /// What happened and what to do next, for a person and with the name of the server: at most 300 characters on one line,
    /// without control characters. What to do is never what is cut off.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What mends it.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// The facts it was judged by.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The reason on the wire: set for [`StartupFailureKind::ReauthenticationRequired`] and for nothing else.
    pub fn reason(&self) -> Option<McpServerStartupFailureReason> {
        match self.kind {
            StartupFailureKind::ReauthenticationRequired => {
                Some(McpServerStartupFailureReason::ReauthenticationRequired)
            }
            _ => None,
        }
    }
}

/// Judges a failed start by its evidence. Total: the least evidence gives [`StartupFailureKind::Other`].
///
/// The kinds of [`StartupFailureKind`] are tried in their order; the first whose case holds, wins.
///
/// ```
/// use mcp_startup_core::{judge, Evidence, Recovery, StartupFailureKind};
///
/// let first_sign_in: Evidence = serde_json::from_str(r#"{
///     "server": "linear",
///     "credential": {"source": "none"},
///     "requests": [{"to": "mcp", "credentialSent": "none", "status": 401}],
///     "discovered": {"outcome": "published", "issuer": "https://auth.example"}
/// }"#)?;
/// let failure = judge(first_sign_in);
/// assert_eq!((failure.kind(), failure.recovery()), (StartupFailureKind::SignInRequired, Recovery::SignIn));
/// assert_eq!(failure.reason(), None);
/// assert_eq!(judge(Evidence::default()).kind(), StartupFailureKind::Other);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn judge(evidence: Evidence) -> StartupFailure {
    let facts = Facts::of(&evidence);
    let (kind, recovery) = facts.row();
    let message = printable(&facts.message(kind), MESSAGE_CHARS);
    StartupFailure {
        kind,
        message,
        recovery,
        evidence,
    }
}

impl McpServerStatusUpdatedNotification {
    /// What a verdict says on the wire: its message as `error`, and its reason, if it has one.
    pub fn from_failure(name: impl Into<String>, failure: &StartupFailure) -> Self {
        match failure.reason() {
            Some(_) => Self::reauthentication_required(name, failure.message()),
            None => Self::failed(name, failure.message()),
        }
    }
}
