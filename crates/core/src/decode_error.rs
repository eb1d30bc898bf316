//! The errors of lines that can't be decoded.

use serde::Serialize;

use crate::json_problem::json_problem;

/// Why a line could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum DecodeErrorKind {
    /// The line is not valid JSON (RFC 8259) or not valid UTF-8.
    InvalidJson,
    /// The line is JSON, but not an object, and therefore not a JSON-RPC message.
    NotAnObject,
    /// A required field is missing or null.
    MissingField,
    /// A field has a value of the wrong type.
    InvalidType,
    /// The line is longer than the limit, which is [`MAX_LINE_BYTES`](crate::MAX_LINE_BYTES) by default.
    TooLong,
}

/// The error of a line that is neither this notification nor another well-formed JSON-RPC message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// The kind of error, as a stable value.
    pub kind: DecodeErrorKind,
    /// The path of the field with the error, for example `method` or `params.name`. `None` if the error is not about a field.
    pub field: Option<&'static str>,
    /// A human-readable message that names the field.
    pub message: String,
}

impl DecodeError {
    /// A message is one line, and a reader counts the lines.
    pub(crate) fn invalid_json(error: &serde_json::Error) -> Self {
        Self {
            kind: DecodeErrorKind::InvalidJson,
            field: None,
            message: format!(
                "not valid JSON: {} at column {}",
                json_problem(error),
                error.column()
            ),
        }
    }

    /// RFC 8259, section 8.1.
    pub(crate) fn not_utf8(error: &std::str::Utf8Error) -> Self {
        Self {
            kind: DecodeErrorKind::InvalidJson,
            field: None,
            message: format!(
                "not valid JSON: byte {} is not UTF-8",
                error.valid_up_to() + 1
            ),
        }
    }

    pub(crate) fn too_long(limit: usize) -> Self {
        Self {
            kind: DecodeErrorKind::TooLong,
            field: None,
            message: format!("the line is longer than {limit} bytes"),
        }
    }

    pub(crate) fn missing(field: &'static str) -> Self {
        Self {
            kind: DecodeErrorKind::MissingField,
            field: Some(field),
            message: format!("`{field}` is missing"),
        }
    }

    pub(crate) fn invalid_type(field: &'static str, expected: &str, got: &str) -> Self {
        Self {
            kind: DecodeErrorKind::InvalidType,
            field: Some(field),
            message: format!("`{field}` must be {expected}, not {got}"),
        }
    }
}

/// The error of one line among many.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct LineError {
    /// The line number, starting at 1. Blank lines and lines with other messages count.
    pub line: u64,
    /// The error of this line.
    #[source]
    pub error: DecodeError,
}
