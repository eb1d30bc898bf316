//! The two transports of MCP: a program over stdio, and streamable HTTP.
//!
//! Both limit the data they read and record their observations in the evidence collector. Neither judges them.

pub(crate) mod http;
mod read_limits;
mod server_sent_events;
pub(crate) mod stdio;
