//! The verdict over JSON: for a host that starts its servers with another SDK.

use mcp_startup_core::{
    CredentialFacts, CredentialWorth, Evidence, FirstRequest, McpAuthStatus, StartupFailure,
};
use serde::de::DeserializeOwned;

use crate::HostError;

/// Judges a failed start by its evidence: see [`mcp_startup_core::judge`].
///
/// # Errors
///
/// [`HostError::InvalidArgument`] where the JSON is no evidence.
pub fn judge(evidence: &str) -> Result<StartupFailure, HostError> {
    read::<Evidence>("the evidence", evidence).map(mcp_startup_core::judge)
}

/// What a stored credential is worth at `now_ms`: see [`mcp_startup_core::assess`].
///
/// # Errors
///
/// [`HostError::InvalidArgument`] where the JSON has no facts.
pub fn assess(facts: &str, now_ms: i64) -> Result<CredentialWorth, HostError> {
    let facts = read::<CredentialFacts>("the facts", facts)?;
    Ok(mcp_startup_core::assess(&facts, now_ms))
}

/// What is sent first with a credential of this worth; `None`: nothing is stored.
///
/// # Errors
///
/// [`HostError::InvalidArgument`] where the JSON is no worth.
pub fn first_request(worth: Option<&str>) -> Result<FirstRequest, HostError> {
    Ok(match worth {
        None => FirstRequest::WithoutToken,
        Some(worth) => read::<CredentialWorth>("the worth", worth)?.first_request(),
    })
}

/// How a client is authorized: see [`mcp_startup_core::auth_status`].
///
/// # Errors
///
/// [`HostError::InvalidArgument`] where the JSON is no worth.
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

fn read<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, HostError> {
    serde_json::from_str(json)
        .map_err(|error| HostError::InvalidArgument(format!("{what}: {error}")))
}
