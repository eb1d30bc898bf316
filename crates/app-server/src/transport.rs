//! The transports: how the messages of clients arrive and leave.

mod stdio;
#[cfg(unix)]
mod unix;
mod websocket;

pub use stdio::serve_streams;
#[cfg(unix)]
pub use unix::UnixSocket;
pub use websocket::{MIN_TOKEN_BYTES, serve_websocket};
