//! What is wrong with a line that can't be read.

use serde::Serialize;

/// Why a line could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum DecodeErrorKind {
    /// Not JSON (RFC 8259), or not UTF-8.
    InvalidJson,
    /// JSON, but not an object, so no JSON-RPC message.
    NotAnObject,
    /// A required field is absent or null.
    MissingField,
    /// A field has a value of another type.
    InvalidType,
    /// The line is longer than [`MAX_LINE_BYTES`](crate::MAX_LINE_BYTES).
    TooLong,
}

/// A line that is no message of ours and no other well-formed message either.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// What is wrong, as a stable value.
    pub kind: DecodeErrorKind,
    /// The field it is about, as a path: `method`, `params`, `params.name`, …
    pub field: Option<&'static str>,
    /// A sentence that names the field.
    pub message: String,
}

impl DecodeError {
    pub(crate) fn invalid_json(error: &serde_json::Error) -> Self {
        Self {
            kind: DecodeErrorKind::InvalidJson,
            field: None,
            message: format!("not valid JSON: {error}"),
        }
    }

    /// RFC 8259, section 8.1.
    pub(crate) fn not_utf8(error: &std::str::Utf8Error) -> Self {
        Self {
            kind: DecodeErrorKind::InvalidJson,
            field: None,
            message: format!("not valid JSON: {error}"),
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

    pub(crate) fn invalid_type(field: &'static str, wanted: &str, got: &str) -> Self {
        Self {
            kind: DecodeErrorKind::InvalidType,
            field: Some(field),
            message: format!("`{field}` must be {wanted}, not {got}"),
        }
    }
}

/// A bad line among many: its number and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct LineError {
    /// The number of the line, from 1, blank lines and lines of other messages counted.
    pub line: u64,
    /// What is wrong with it.
    #[source]
    pub error: DecodeError,
}
