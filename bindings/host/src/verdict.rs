//! The verdict over JSON, for a host that starts its servers with another SDK.

use mcp_startup_core::{
    CredentialFacts, CredentialWorth, Evidence, FirstRequest, McpAuthRequiredReason, McpAuthStatus,
    Recovery, StartupFailure,
};
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};

use crate::HostError;
use crate::json_error::read;

/// Judges a failed start. `evidence` is an [`Evidence`] as JSON. See [`mcp_startup_core::judge`].
///
/// # Errors
///
/// [`HostError::InvalidArgument`] if the JSON is not valid evidence.
pub fn judge(evidence: &str) -> Result<StartupFailure, HostError> {
    read::<Evidence>("the evidence", evidence).map(mcp_startup_core::judge)
}

/// Returns the reason of the Agent Host Protocol for a recovery, as its text on the wire. See
/// [`Recovery::auth_required_reason`].
///
/// # Errors
///
/// [`HostError::InvalidArgument`] if the text is not a recovery.
pub fn auth_required_reason(recovery: &str) -> Result<Option<McpAuthRequiredReason>, HostError> {
    let recovery = Recovery::deserialize(StrDeserializer::<ValueError>::new(recovery));
    let recovery = recovery.map_err(|error| HostError::InvalidArgument(error.to_string()))?;
    Ok(recovery.auth_required_reason())
}

/// Assesses which parts of a stored credential can be used at `now_ms`, in milliseconds since the Unix epoch. `facts` is a
/// [`CredentialFacts`] as JSON. See [`mcp_startup_core::assess`].
///
/// # Errors
///
/// [`HostError::InvalidArgument`] if the JSON does not contain valid facts.
pub fn assess(facts: &str, now_ms: i64) -> Result<CredentialWorth, HostError> {
    let facts = read::<CredentialFacts>("the facts", facts)?;
    Ok(mcp_startup_core::assess(&facts, now_ms))
}

/// Returns what the first request of a start contains. `worth` is a [`CredentialWorth`] as JSON, or `None` if no credential is stored.
///
/// # Errors
///
/// [`HostError::InvalidArgument`] if the JSON is not a valid worth.
pub fn first_request(worth: Option<&str>) -> Result<FirstRequest, HostError> {
    Ok(match worth {
        None => FirstRequest::WithoutToken,
        Some(worth) => read::<CredentialWorth>("the worth", worth)?.first_request(),
    })
}

/// Returns how a client is authorized at a server. `stored` is a [`CredentialWorth`] as JSON, or `None` if no credential is stored. See
/// [`mcp_startup_core::auth_status`].
///
/// # Errors
///
/// [`HostError::InvalidArgument`] if the JSON is not a valid worth.
pub fn auth_status_of(
    configured: bool,
    stored: Option<&str>,
    oauth_published: Option<bool>,
) -> Result<Option<McpAuthStatus>, HostError> {
    let stored = stored
        .map(|worth| read::<CredentialWorth>("the worth", worth))
        .transpose()?;
    Ok(mcp_startup_core::auth_status(
        configured,
        stored,
        oauth_published,
    ))
}
