//! The two transports of MCP: a program over stdio, and streamable HTTP.
//!
//! Both limit the data they read and record their observations in the evidence collector. Neither judges them.

pub(crate) mod http;
pub(crate) mod invalid_messages;
pub(crate) mod json_size;
mod read_limits;
pub(crate) mod server_requests;
mod server_sent_events;
pub(crate) mod stdio;
