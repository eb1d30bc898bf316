//! Limits how many large messages are read at the same time, so that many servers can't fill the memory of a process together:
//! messages of all starts, and results for one client of a host.

use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};

use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::held_results::ReadTurn;
use super::read_limits::HANDSHAKE_BYTES;
use super::turn::Turn;
use crate::start::evidence_collector::EvidenceCollector;

/// How many messages may be larger than [`HANDSHAKE_BYTES`] at the same time. Each has at most 10 MB.
const MAX_LARGE_MESSAGES: usize = 4;
/// How much of such messages may wait for their next turn, in kB. A message for which this is not enough is dropped.
const WAITING_KB: usize = 12_000;

static LARGE_MESSAGES: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(MAX_LARGE_MESSAGES)));
static WAITING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(WAITING_KB)));

/// A message was not complete in its turn, and there is no memory for it until its next one.
#[derive(Debug, thiserror::Error)]
#[error("a large message was not complete in time, and other servers send large messages too")]
pub(crate) struct Dropped;

impl From<Dropped> for std::io::Error {
    fn from(dropped: Dropped) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, dropped)
    }
}

/// The place of one connection among the large messages.
#[derive(Default)]
pub(crate) struct LargeMessage {
    /// During the start.
    place: Turn,
    /// The size of the message so far, in bytes.
    held: usize,
    /// The memory of a message that waits for its next turn.
    waiting: Option<OwnedSemaphorePermit>,
    is_dropped: bool,
    /// After the start.
    turn: ReadTurn,
}

impl LargeMessage {
    /// Waits for a place if the message so far has `held` bytes, which are in memory. It gives the place back when the next
    /// message begins. After an error, the message must not stay in memory.
    pub fn poll(
        &mut self,
        held: usize,
        collector: &EvidenceCollector,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Dropped>> {
        let (of_start, of_result) = match collector.log.is_closed() {
            false => (held, 0),
            true => (0, held),
        };
        ready!(self.poll_place(of_start, context))?;
        self.turn.poll(of_result, &collector.calls, context).map(Ok)
    }

    /// Call this while the server sends nothing.
    pub fn poll_pause(&mut self, context: &mut Context<'_>) -> Result<(), Dropped> {
        self.turn.poll_pause(context);
        if !self.place.has_it() {
            return Ok(());
        }
        self.place.poll_pause(context);
        match self.place.has_it() {
            true => Ok(()),
            false => self.wait_in_memory(),
        }
    }

    /// Like [`poll`](Self::poll), for an async function.
    pub async fn wait(
        &mut self,
        held: usize,
        collector: &EvidenceCollector,
    ) -> Result<(), Dropped> {
        std::future::poll_fn(|context| self.poll(held, collector, context)).await
    }

    /// The next part of a message.
    pub async fn next<S: Stream + Unpin>(
        &mut self,
        parts: &mut S,
    ) -> Result<Option<S::Item>, Dropped> {
        std::future::poll_fn(|context| {
            let next = parts.poll_next_unpin(context);
            if next.is_pending() {
                self.poll_pause(context)?;
            }
            next.map(Ok)
        })
        .await
    }

    fn poll_place(&mut self, held: usize, context: &mut Context<'_>) -> Poll<Result<(), Dropped>> {
        if held <= HANDSHAKE_BYTES {
            self.place.end();
            (self.waiting, self.is_dropped) = (None, false);
            return Poll::Ready(Ok(()));
        }
        if self.is_dropped {
            return Poll::Ready(Ok(()));
        }
        self.held = held;
        let had_place = self.place.has_it();
        if self
            .place
            .poll(|| Some(LARGE_MESSAGES.clone()), context)
            .is_ready()
        {
            self.waiting = None;
            return Poll::Ready(Ok(()));
        }
        if had_place {
            self.wait_in_memory()?;
        }
        Poll::Pending
    }

    /// Takes memory for the message, which has lost its place to another one.
    fn wait_in_memory(&mut self) -> Result<(), Dropped> {
        let kb = u32::try_from(self.held / 1000).unwrap_or(u32::MAX);
        self.waiting = WAITING.clone().try_acquire_many_owned(kb).ok();
        self.is_dropped = self.waiting.is_none();
        match self.is_dropped {
            true => Err(Dropped),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::Instant;

    use super::*;

    const LARGE: usize = HANDSHAKE_BYTES + 1;

    /// Polls the place of a message, and returns whether it has one. `None` if the message was dropped.
    fn has_place(message: &mut LargeMessage, held: usize) -> Option<bool> {
        let polled = poll_fn(|context| message.poll_place(held, context));
        let polled = polled.now_or_never();
        (!message.is_dropped).then_some(polled.is_some())
    }

    // The places are those of the process, so this is one test.
    #[tokio::test(start_paused = true)]
    async fn only_some_large_messages_are_read_at_the_same_time_and_each_gets_its_turn() {
        let mut messages: Vec<_> = (0..=MAX_LARGE_MESSAGES)
            .map(|_| LargeMessage::default())
            .collect();
        for (at, message) in messages.iter_mut().enumerate() {
            // A small message needs no place.
            assert_eq!(has_place(message, HANDSHAKE_BYTES), Some(true));
            assert_eq!(has_place(message, LARGE), Some(at < MAX_LARGE_MESSAGES));
        }
        // The next message begins.
        assert_eq!(has_place(&mut messages[0], 0), Some(true));
        let last = messages.last_mut().unwrap();
        assert_eq!(has_place(last, LARGE), Some(true));
        drop(messages);

        // Ten servers stop, each in the middle of a message.
        const STOPPED: usize = 9_900_000;
        let mut stopped: Vec<_> = (0..10).map(|_| LargeMessage::default()).collect();
        let mut good = LargeMessage::default();
        let began = Instant::now();
        let held = |message: &LargeMessage| message.held.max(LARGE);
        for message in &mut stopped {
            has_place(message, LARGE);
        }
        while has_place(&mut good, LARGE) != Some(true) {
            for message in &mut stopped {
                if message.place.has_it() {
                    message.held = STOPPED;
                    let _ = poll_fn(|context| Poll::Ready(message.poll_pause(context))).await;
                } else if message.held == LARGE {
                    has_place(message, LARGE);
                }
            }
            let in_memory = stopped.iter().filter(|message| !message.is_dropped);
            let in_memory: usize = in_memory.map(held).sum();
            assert!(in_memory <= 10 * LARGE + MAX_LARGE_MESSAGES * STOPPED + WAITING_KB * 1000);
            tokio::time::advance(Duration::from_millis(50)).await;
        }
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(2), "{waited:?}");
        let dropped = stopped.iter().filter(|message| message.is_dropped).count();
        assert!((1..10).contains(&dropped), "{dropped}");
    }
}
