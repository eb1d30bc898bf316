//! The messages of the app-server: JSON-RPC without the field `jsonrpc`, one message a line or frame.
//!
//! `codex` has the messages that Codex's app-server has too, and `startup` those that its protocol lacks.

pub mod codex;
mod error;
mod message;
pub mod startup;

pub use error::{ErrorCode, RpcError};
pub use message::{Incoming, RequestId, params, parse};
pub(crate) use message::{notification, response};
