//! The contract over JSON: reads the params of a notification, and serializes the results of reading many lines.

use mcp_startup_core::{
    AppliedLines, DecodeError, DecodeErrorKind, DecodedLines, LineError, METHOD,
    McpServerStatusUpdatedNotification, ServerKey, decode, json_problem_at,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::HostError;

/// Writes the line of a notification, without the line break. `params` is the params of the notification as JSON. The line has all
/// five fields, in the order of the contract; absent fields are `null`. It has `environmentId` only if the params have it.
///
/// # Errors
///
/// Fails as [`notification`] does.
pub fn encode(params: &str) -> Result<String, HostError> {
    Ok(mcp_startup_core::encode(&notification(params)?))
}

/// Reads the params of a notification that was received, from JSON. A `failureReason` is dropped unless `status` is `failed`.
///
/// # Errors
///
/// * [`HostError::Decode`] if a required field is missing or a field has the wrong type.
/// * [`HostError::InvalidArgument`] if the text is not JSON.
pub fn received(params: &str) -> Result<McpServerStatusUpdatedNotification, HostError> {
    let params: &RawValue = serde_json::from_str(params).map_err(|error| {
        let problem = json_problem_at(&error);
        HostError::InvalidArgument(format!("the notification: not valid JSON: {problem}"))
    })?;
    let line = format!(r#"{{"method":"{METHOD}","params":{}}}"#, params.get());
    Ok(decode(line.as_bytes())?.ok_or_else(not_an_object)?)
}

/// Reads the params of a notification to be written, from JSON.
///
/// # Errors
///
/// Fails as [`received`] does, and with [`HostError::InvalidArgument`] if `failureReason` is set and `status` is not `failed`.
pub fn notification(params: &str) -> Result<McpServerStatusUpdatedNotification, HostError> {
    let notification = received(params)?;
    let with_reason: Reason = serde_json::from_str(params).unwrap_or_default();
    if with_reason.failure_reason.is_some() && notification.failure_reason().is_none() {
        return Err(HostError::InvalidArgument(format!(
            "the notification: `failureReason` is allowed only if `status` is `failed`, not `{}`",
            notification.status()
        )));
    }
    Ok(notification)
}

/// The notifications and the bad lines in many lines.
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

/// The changes that many lines made to a tracker.
#[derive(Serialize)]
pub struct Applied {
    notifications: u64,
    changed: Vec<ServerKey>,
    prompts: Vec<ServerKey>,
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

/// A line that could not be decoded: its number, counted from 1, and the error.
#[derive(Serialize)]
pub struct BadLine {
    line: u64,
    error: DecodeError,
}

/// Converts bad lines to the type that is serialized.
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

fn not_an_object() -> DecodeError {
    DecodeError {
        kind: DecodeErrorKind::NotAnObject,
        field: None,
        message: "the notification must be an object".to_owned(),
    }
}
