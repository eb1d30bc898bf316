//! The transports of MCP: a program over stdio, streamable HTTP, and HTTP+SSE of MCP 2024-11-05.
//!
//! They limit the data they read and record their observations in the evidence collector. None of them judges.

pub(crate) mod checked_results;
pub(crate) mod early_tool_list;
pub(crate) mod held_results;
pub(crate) mod http;
pub(crate) mod http_sse;
pub(crate) mod invalid_messages;
pub(crate) mod json_size;
mod large_messages;
mod message_buffer;
pub(crate) mod progress;
mod read_limits;
pub(crate) mod server_requests;
mod server_sent_events;
pub(crate) mod short_messages;
pub(crate) mod stdio;
mod text_encoding;
mod turn;
