//! The verdict: derives the kind, the message and the recovery of a failed start from its evidence. Collects no evidence.

mod examples;
mod facts;
mod line_breaks;
mod message;
mod program_output;
mod quotes;
mod warning;

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::notification::{McpServerStartupFailureReason, McpServerStatusUpdatedNotification};
use crate::printable::printable;

use facts::Facts;
pub use facts::{has_required_scopes, refuses_credential};
pub use message::{failed_discovery, try_again};
pub(crate) use program_output::{CUT, reason as reason_in_lines};
pub(crate) use quotes::{repeats_status, words_of_page, words_of_xml};
pub use warning::{StartupWarning, StartupWarningKind, warn};

/// The maximum length of a message, in characters.
const MESSAGE_CHARS: usize = 300;

/// The kind of a failure, as a stable value for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum StartupFailureKind {
    /// The server's entry in the configuration is invalid. The evidence has its key and line, if they are known.
    InvalidConfiguration,
    /// The server's program was not found on the PATH or at its configured path.
    ProgramNotFound,
    /// The start needed stored credentials, but the credential store is locked, can't be read or written to, is damaged, or is
    /// not supported. The user is not signed out.
    CredentialStoreUnavailable,
    /// A token, header or OAuth client in the configuration was rejected.
    CredentialRejected,
    /// The server requires a scope that was not granted to the stored credentials.
    InsufficientScope,
    /// The server denied access (HTTP 403). Signing in does not fix this.
    AccessDenied,
    /// The server exceeded a limit that every server must keep until it is ready. The evidence has the limit.
    LimitExceeded,
    /// Credentials are stored for this server name and URL, but they can no longer be used or refreshed, and the server requires
    /// valid ones. Only this kind has a reason on the wire.
    ReauthenticationRequired,
    /// The server requires a sign-in. No credentials are configured or stored for this server name and URL, but another client on
    /// this machine holds a sign-in, which can't be used from here: its access token has expired, was rejected, or may belong to
    /// another URL. Only that client can refresh it.
    SignInHeldByClient,
    /// The server requires authorization, but the token refresh or the discovery could not be completed. The stored credentials
    /// are kept.
    AuthorizationUnavailable,
    /// The server requires authorization, but its OAuth metadata is missing or unusable, or its authorization server does not
    /// recognize it. Or it does not accept the kind of the token, or a proxy removes the token.
    AuthorizationMisconfigured,
    /// The server requires a sign-in, but its authorization server does not register this client, and no client is configured.
    ClientRequired,
    /// The server requires a sign-in, and no credentials are stored for this server name and URL. A sign-in can begin.
    SignInRequired,
    /// The server requires a key or token but publishes no OAuth metadata, and the configuration contains no credential. Or the server, or a
    /// gateway in front of it, requires a key or another authentication scheme, for example `Basic`, and did not read the token of the
    /// sign-in.
    CredentialRequired,
    /// The connection to the server failed: DNS, TCP or TLS.
    Unreachable,
    /// The start exceeded its time limit. The evidence has the phase that the start had reached.
    TimedOut,
    /// The server's program exited before it was ready.
    Exited,
    /// The server responded with an HTTP error.
    ServerError,
    /// The client and the server have no MCP version in common.
    UnsupportedProtocol,
    /// The server's response is not MCP.
    NotMcp,
    /// Any other failure. The evidence has the cause, if it is known.
    Other,
}

/// How to fix a failure, and therefore what a client should offer with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum Recovery {
    /// The client can't fix the failure. Show no button. The message tells the user who can fix it.
    None,
    /// Try again later. Offer a button, or retry automatically after a delay. The stored credentials are kept.
    Retry,
    /// Sign in for the first time. Offer a button, and do not start a sign-in without the user.
    SignIn,
    /// Sign in again. Offer a button, once for each server, even if several threads or retries report the failure.
    Reauthenticate,
    /// Sign in again to grant more scopes. Offer a button. The challenge in the evidence may name the scopes.
    GrantScope,
    /// Open the client that holds the sign-in, which refreshes it. Offer to open the client in the evidence, and then to try again.
    /// The message also recommends to sign in here if a sign-in can begin.
    OpenClient,
    /// Change the configuration. Offer to open it, at the key and line if the evidence has them.
    FixConfiguration,
    /// Unlock or repair the credential store, or use a different one. Offer to try again after that. The user is not signed out.
    FixCredentialStore,
}

/// Why an MCP server requires authentication, in the words of the Agent Host Protocol (`McpAuthRequiredReason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum McpAuthRequiredReason {
    /// The user has to sign in for the first time.
    Required,
    /// The stored credentials can no longer be used, and the user has to sign in again.
    Expired,
    /// The user has to sign in again to grant more scopes.
    InsufficientScope,
}

impl Recovery {
    /// Returns why the server requires authentication, in the words of the Agent Host Protocol. `None` if signing in is not the
    /// recovery.
    ///
    /// A server with a reason has the status `authRequired` in that protocol, and any other failed server has `error`.
    pub fn auth_required_reason(self) -> Option<McpAuthRequiredReason> {
        match self {
            Self::SignIn => Some(McpAuthRequiredReason::Required),
            Self::Reauthenticate => Some(McpAuthRequiredReason::Expired),
            Self::GrantScope => Some(McpAuthRequiredReason::InsufficientScope),
            // A sign-in through the host does not fix these, or only may. For `Retry` with the fallback `Reauthenticate`, the
            // stored credentials may still be good, and the host would replace them.
            Self::None
            | Self::Retry
            | Self::OpenClient
            | Self::FixConfiguration
            | Self::FixCredentialStore => None,
        }
    }
}

/// Why a start failed: a stable kind, a human-readable message, how to fix the failure, and the evidence.
///
/// Only [`judge`] creates a failure, from its evidence.
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
    fallback: Option<Recovery>,
    evidence: Evidence,
}

impl StartupFailure {
    /// The kind of the failure, as a stable value for programs.
    pub fn kind(&self) -> StartupFailureKind {
        self.kind
    }

    /// A human-readable message with the problem, its cause and the next step for the user. It names the server, and is one
    /// line of at most 300 characters without control characters. A long message is shortened, but keeps the next step.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How to fix the failure.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// A second recovery to offer, because only one of the two may help.
    ///
    /// It is `reauthenticate` if the authorization server refused a refresh in a way that can't be interpreted. The recovery is then
    /// `retry`, and the message names both. Every other failure has none.
    pub fn fallback(&self) -> Option<Recovery> {
        self.fallback
    }

    /// The facts from which the failure was derived.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Why the server requires authentication, in the words of the Agent Host Protocol. It depends only on the recovery, see
    /// [`Recovery::auth_required_reason`].
    ///
    /// ```
    /// use mcp_startup_core::{Evidence, McpAuthRequiredReason, judge};
    ///
    /// let expired: Evidence = serde_json::from_str(r#"{
    ///     "credential": {"source": "stored", "worth": {"accessToken": "expired", "refreshToken": false}},
    ///     "requests": [{"to": "mcp", "credentialSent": "stored", "status": 401}]
    /// }"#)?;
    /// assert_eq!(judge(expired).auth_required_reason(), Some(McpAuthRequiredReason::Expired));
    /// assert_eq!(judge(Evidence::default()).auth_required_reason(), None);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn auth_required_reason(&self) -> Option<McpAuthRequiredReason> {
        self.recovery.auth_required_reason()
    }

    /// The failure reason on the wire. `None` unless the kind is [`StartupFailureKind::ReauthenticationRequired`].
    pub fn reason(&self) -> Option<McpServerStartupFailureReason> {
        match self.kind {
            StartupFailureKind::ReauthenticationRequired => {
                Some(McpServerStartupFailureReason::ReauthenticationRequired)
            }
            _ => None,
        }
    }
}

/// Derives a failure from the evidence of a failed start.
///
/// Tries the kinds in the order of [`StartupFailureKind`] and returns the first that applies. Every evidence has a result:
/// without any facts, it is [`StartupFailureKind::Other`].
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
    let fallback = facts.fallback(kind);
    let message = printable(&facts.message(kind), MESSAGE_CHARS);
    StartupFailure {
        kind,
        message,
        recovery,
        fallback,
        evidence,
    }
}

impl McpServerStatusUpdatedNotification {
    /// Creates a notification that the start of the server `name` failed, with the message of the failure as `error` and with
    /// its reason, if it has one.
    pub fn from_failure(name: impl Into<String>, failure: &StartupFailure) -> Self {
        match failure.reason() {
            Some(_) => Self::reauthentication_required(name, failure.message()),
            None => Self::failed(name, failure.message()),
        }
    }
}
