//! The errors of a sign-in.

use mcp_startup_core::printable;
use rmcp::transport::auth::AuthError;
use serde::{Deserialize, Serialize};

use super::FOREIGN_CHARS;
use super::pending::PendingSignIn;
use crate::mask::Mask;

/// The error codes of OAuth and OpenID Connect. None of them is a secret.
const REGISTERED_CODES: [&str; 18] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_client",
    "invalid_client_metadata",
    "invalid_grant",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "server_error",
    "temporarily_unavailable",
    "unapproved_software_statement",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
];

/// The kind of a failed sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SignInFailureKind {
    /// The server publishes no OAuth metadata, so it offers no sign-in.
    NotOffered,
    /// The authorization server could not be reached, or returned an unexpected response. A later attempt may
    /// succeed.
    Unavailable,
    /// The server's authorization metadata is invalid or unsafe, or the callback names another issuer than it (RFC 9207).
    Misconfigured,
    /// The authorization server does not support PKCE with S256, without which a code could be stolen (RFC 7636).
    PkceNotOffered,
    /// There is no OAuth client: the authorization server registers none, and none is configured.
    NoClient,
    /// The callback URL does not belong to this sign-in.
    InvalidCallback,
    /// The user or the authorization server denied the sign-in.
    Denied,
    /// The sign-in has expired.
    Expired,
    /// The sign-in has already been finished.
    Used,
    /// The pending sign-in is invalid.
    InvalidPending,
    /// The tokens could not be stored.
    StoreFailed,
    /// The server's configuration does not allow a sign-in, its OAuth client was refused, or the redirect URI
    /// cannot be used.
    InvalidConfiguration,
}

/// A failed sign-in. Any credential stored before is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SignInError {
    kind: SignInFailureKind,
    message: String,
}

impl SignInError {
    /// Creates an error of this kind, with a human-readable message.
    pub fn new(kind: SignInFailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The server or its sign-in service has not responded within the limit.
    pub fn not_in_time() -> Self {
        Self::new(
            SignInFailureKind::Unavailable,
            "the server or its sign-in service did not respond in time: try again later",
        )
    }

    /// The kind of failure.
    pub fn kind(&self) -> SignInFailureKind {
        self.kind
    }

    /// A human-readable message. It never contains a secret.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// `field` is the field of the metadata that shows it.
pub(super) fn unsafe_address(field: Option<String>) -> SignInError {
    let field = field.map_or_else(String::new, |field| format!(" ({field})"));
    SignInError::new(
        SignInFailureKind::Misconfigured,
        format!(
            "the server's sign-in service is at an unsafe address, or supports no authorization codes{field}: contact its operator"
        ),
    )
}

pub(super) fn exceeded() -> SignInError {
    SignInError::new(
        SignInFailureKind::Misconfigured,
        "the server's sign-in metadata requires too many requests or is too large: contact its operator",
    )
}

pub(super) fn unusable(error: AuthError) -> SignInError {
    // The error is not logged: it can contain a URL with a query.
    tracing::debug!(kind = ?std::mem::discriminant(&error), "the metadata cannot be used for a sign-in");
    SignInError::new(
        SignInFailureKind::Misconfigured,
        "the server publishes sign-in metadata that cannot be used: contact its operator",
    )
}

pub(super) fn broken() -> SignInError {
    SignInError::new(
        SignInFailureKind::InvalidPending,
        "the pending sign-in cannot be used: start a new sign-in",
    )
}

pub(super) fn shown_name(pending: &PendingSignIn) -> String {
    printable(&pending.server_name, 60)
}

/// A text of a server as a message shows it. It is masked before it is cut: the rest of a secret at the cut could not be recognized.
pub(super) fn shown(mask: &Mask, text: &str) -> String {
    mask.foreign(text, FOREIGN_CHARS)
}

/// An error code and its description as a message shows them.
pub(super) fn shown_refusal(mask: &Mask, code: &str, description: Option<&str>) -> String {
    let code = match REGISTERED_CODES.contains(&code) {
        true => code.to_owned(),
        false => shown(mask, code),
    };
    match description {
        Some(description) => format!("{code}: {}", shown(mask, description)),
        None => code,
    }
}

/// A text of the user's configuration, or of the host.
pub(super) fn shown_setting(text: &str) -> String {
    printable(text, FOREIGN_CHARS)
}
