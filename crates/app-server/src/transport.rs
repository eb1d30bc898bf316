//! The transports: how the messages of clients arrive and leave.

mod page;
mod stdio;
mod unauthenticated;
#[cfg(unix)]
mod unix;
mod websocket;

pub use page::PageServer;
pub use stdio::serve_streams;
#[cfg(unix)]
pub use unix::UnixSocket;
pub use websocket::{MIN_TOKEN_BYTES, serve_websocket};
