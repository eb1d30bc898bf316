//! The errors of requests.

use serde::Serialize;
use serde_json::{Value, json};

/// The code of an error: those of JSON-RPC 2.0, section 5.1, and Codex's code for overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The message is not JSON.
    ParseError = -32700,
    /// The message is not a request, or it can't be answered in this state.
    InvalidRequest = -32600,
    /// The method does not exist.
    MethodNotFound = -32601,
    /// The parameters do not fit the method, or name something that does not exist.
    InvalidParams = -32602,
    /// The request failed.
    InternalError = -32603,
    /// Too many requests are being answered. Send the request again later.
    Overloaded = -32001,
}

/// Why a request failed.
#[derive(Clone, Debug, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    code: i64,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl RpcError {
    /// Creates an error. The message has three parts: what happened, why, and what to do.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code: code as i64,
            message: message.into(),
            data: None,
        }
    }

    /// The code, as on the wire.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// The parameters name something that does not exist, or do not fit together.
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidParams, message)
    }

    /// The request failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InternalError, message)
    }

    /// Adds a stable reason for programs, as `data.reason`.
    #[must_use]
    pub fn with_reason(self, reason: impl Serialize) -> Self {
        self.with_data(json!({ "reason": reason }))
    }

    /// Adds data for programs: an object with a stable `reason`, and details.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }
}
