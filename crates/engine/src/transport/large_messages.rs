//! Limits how many large messages are read at the same time, so that many servers can't fill the memory of a process together:
//! messages of all starts, and results for one client of a host.

use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};

use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use super::held_results::ReadTurn;
use super::read_limits::HANDSHAKE_BYTES;
use crate::start::evidence_collector::EvidenceCollector;

/// How many messages may be larger than [`HANDSHAKE_BYTES`] at the same time. Each has at most 10 MB.
const MAX_LARGE_MESSAGES: usize = 4;

static LARGE_MESSAGES: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(MAX_LARGE_MESSAGES)));

/// The place of one connection among the large messages.
pub(crate) struct LargeMessage {
    place: Option<OwnedSemaphorePermit>,
    places: PollSemaphore,
    /// After the start.
    turn: ReadTurn,
}

impl Default for LargeMessage {
    fn default() -> Self {
        Self {
            place: None,
            places: PollSemaphore::new(LARGE_MESSAGES.clone()),
            turn: ReadTurn::default(),
        }
    }
}

impl LargeMessage {
    /// Waits for a place if the message so far has `held` bytes, which are in memory. It gives the place back when the next
    /// message begins.
    pub fn poll(
        &mut self,
        held: usize,
        collector: &EvidenceCollector,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let (of_start, of_result) = match collector.log.is_closed() {
            false => (held, 0),
            true => (0, held),
        };
        ready!(self.poll_place(of_start, context));
        self.turn.poll(of_result, &collector.calls, context)
    }

    /// Call this while the server sends nothing.
    pub fn poll_pause(&mut self, context: &mut Context<'_>) {
        self.turn.poll_pause(context);
    }

    /// Like [`poll`](Self::poll), for an async function.
    pub async fn wait(&mut self, held: usize, collector: &EvidenceCollector) {
        std::future::poll_fn(|context| self.poll(held, collector, context)).await;
    }

    /// The next part of a message.
    pub async fn next<S: Stream + Unpin>(&mut self, parts: &mut S) -> Option<S::Item> {
        std::future::poll_fn(|context| {
            let next = parts.poll_next_unpin(context);
            if next.is_pending() {
                self.poll_pause(context);
            }
            next
        })
        .await
    }

    fn poll_place(&mut self, held: usize, context: &mut Context<'_>) -> Poll<()> {
        if held <= HANDSHAKE_BYTES {
            self.place = None;
        } else if self.place.is_none() {
            // The semaphore is never closed.
            self.place = ready!(self.places.poll_acquire(context));
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn only_some_large_messages_are_read_at_the_same_time() {
        const LARGE: usize = HANDSHAKE_BYTES + 1;
        let mut messages: Vec<_> = (0..=MAX_LARGE_MESSAGES)
            .map(|_| LargeMessage::default())
            .collect();
        let mut has_place = |at: usize, held| {
            let polled = poll_fn(|context| messages[at].poll_place(held, context));
            polled.now_or_never().is_some()
        };
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
        let mut message = LargeMessage::default();
        let polled = poll_fn(|context| message.poll_place(LARGE, context));
        assert!(polled.now_or_never().is_some());
    }
}
