//! The transports: how the messages of clients arrive and leave.

mod stdio;

pub use stdio::serve_streams;
