//! The transports: how the messages of clients arrive and leave.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

mod large_messages;
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

/// How long a client that has left may take to read a part of the last messages.
const LAST_READ_LIMIT: Duration = Duration::from_secs(2);

/// Writes to a client. Returns `None` if the client has left, or the app-server ends, and the client does not read.
async fn unless_unread<T>(left: &CancellationToken, writing: impl Future<Output = T>) -> Option<T> {
    let unread = async {
        left.cancelled().await;
        sleep(LAST_READ_LIMIT).await;
    };
    tokio::select! {
        biased;
        written = writing => Some(written),
        () = unread => None,
    }
}
