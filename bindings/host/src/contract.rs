//! The contract over JSON: writing it from the fields that a host has, and what many lines come to.

use mcp_startup_core::{
    AppliedLines, DecodeError, DecodeErrorKind, DecodedLines, LineError, METHOD,
    McpServerStatusUpdatedNotification, decode,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::HostError;

/// The line of a notification whose params are this JSON: five fields in order, nulls written out.
///
/// # Errors
///
/// Those of [`notification`].
pub fn encode(params: &str) -> Result<String, HostError> {
    Ok(mcp_startup_core::encode(&notification(params)?))
}

/// The notification whose params are this JSON.
///
/// # Errors
///
/// [`HostError::Decode`] where they are no such params; [`HostError::InvalidArgument`] for a reason that stands on another state than
/// `failed`, which reading drops and writing refuses.
pub fn notification(params: &str) -> Result<McpServerStatusUpdatedNotification, HostError> {
    let params: &RawValue = serde_json::from_str(params)
        .map_err(|error| HostError::InvalidArgument(format!("the notification: {error}")))?;
    let line = format!(r#"{{"method":"{METHOD}","params":{}}}"#, params.get());
    let notification = decode(line.as_bytes())?.ok_or_else(no_notification)?;
    let given: Reason = serde_json::from_str(params.get()).unwrap_or_default();
    if given.failure_reason.is_some() && notification.failure_reason().is_none() {
        return Err(HostError::InvalidArgument(format!(
            "the notification: a `failureReason` stands on `failed` and on nothing else, not on `{}`",
            notification.status()
        )));
    }
    Ok(notification)
}

/// What the bytes of many lines are.
#[derive(Serialize)]
pub struct Decoded {
    notifications: Vec<McpServerStatusUpdatedNotification>,
    errors: Vec<BadLine>,
}

impl From<DecodedLines> for Decoded {
    fn from(decoded: DecodedLines) -> Self {
        Self {
            notifications: decoded.notifications,
            errors: bad_lines(decoded.errors),
        }
    }
}

/// What the bytes of many lines did to a tracker.
#[derive(Serialize)]
pub struct Applied {
    notifications: u64,
    changed: Vec<(Option<String>, String)>,
    prompts: Vec<String>,
    errors: Vec<BadLine>,
}

impl From<AppliedLines> for Applied {
    fn from(applied: AppliedLines) -> Self {
        Self {
            notifications: applied.notifications,
            changed: applied.changed,
            prompts: applied.prompts,
            errors: bad_lines(applied.errors),
        }
    }
}

/// A bad line: its number and what is wrong with it.
#[derive(Serialize)]
pub struct BadLine {
    line: u64,
    error: DecodeError,
}

/// The bad lines, for JSON.
pub fn bad_lines(errors: Vec<LineError>) -> Vec<BadLine> {
    let errors = errors.into_iter();
    errors
        .map(|LineError { line, error }| BadLine { line, error })
        .collect()
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Reason {
    failure_reason: Option<IgnoredAny>,
}

fn no_notification() -> DecodeError {
    DecodeError {
        kind: DecodeErrorKind::NotAnObject,
        field: None,
        message: "the notification must be an object".to_owned(),
    }
}
