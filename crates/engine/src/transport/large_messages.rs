//! Limits how many large messages are read at the same time in a process, so that many servers can't fill its memory together.

use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use super::read_limits::HANDSHAKE_BYTES;

/// How many messages may be larger than [`HANDSHAKE_BYTES`] at the same time. Each has at most 10 MB.
const MAX_LARGE_MESSAGES: usize = 4;

static LARGE_MESSAGES: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(MAX_LARGE_MESSAGES)));

/// The place of one connection among the large messages.
pub(crate) struct LargeMessage {
    place: Option<OwnedSemaphorePermit>,
    places: PollSemaphore,
}

impl Default for LargeMessage {
    fn default() -> Self {
        Self {
            place: None,
            places: PollSemaphore::new(LARGE_MESSAGES.clone()),
        }
    }
}

impl LargeMessage {
    /// Waits for a place if the message so far has `held` bytes, which are in memory. It gives the place back when the next
    /// message begins.
    pub fn poll_place(&mut self, held: usize, context: &mut Context<'_>) -> Poll<()> {
        if held <= HANDSHAKE_BYTES {
            self.place = None;
        } else if self.place.is_none() {
            // The semaphore is never closed.
            self.place = ready!(self.places.poll_acquire(context));
        }
        Poll::Ready(())
    }

    /// Like [`poll_place`](Self::poll_place), for an async function.
    pub async fn place(&mut self, held: usize) {
        std::future::poll_fn(|context| self.poll_place(held, context)).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn only_some_large_messages_are_read_at_the_same_time() {
        const LARGE: usize = HANDSHAKE_BYTES + 1;
        let mut messages: Vec<_> = (0..=MAX_LARGE_MESSAGES)
            .map(|_| LargeMessage::default())
            .collect();
        let mut has_place = |at: usize, held| messages[at].place(held).now_or_never().is_some();
        for at in 0..=MAX_LARGE_MESSAGES {
            assert!(
                has_place(at, HANDSHAKE_BYTES),
                "a small message needs no place"
            );
            assert_eq!(has_place(at, LARGE), at < MAX_LARGE_MESSAGES);
        }
        assert!(has_place(0, 0), "the next message begins");
        assert!(has_place(MAX_LARGE_MESSAGES, LARGE));
        drop(messages);
        assert!(
            LargeMessage::default()
                .place(LARGE)
                .now_or_never()
                .is_some()
        );
    }
}
