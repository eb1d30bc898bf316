//! Limits how many large messages are read at the same time, so that many servers can't fill the memory of a process together.

use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

use super::held_results::SMALL_BYTES;
use super::turn::{Turn, Turns};
use crate::start::evidence_collector::EvidenceCollector;

/// The size from which a message of a start is large. Many servers start at the same time.
const LARGE_IN_START: usize = 256 * 1024;
/// The size from which one of a live server is.
const LARGE_BYTES: usize = 1024 * 1024;
/// How many large messages of starts can be read at the same time. Each has at most 10 MB.
const OF_STARTS: usize = 3;
/// Those of live servers. Each has at most 16 MiB.
const OF_LIVE_SERVERS: usize = 1;
/// How much of such messages can wait for their next turn, in kB: the largest one. A message for which this is not enough is dropped.
const WAITING_KB: usize = 17_000;

static STARTS: LazyLock<Turns> = LazyLock::new(|| Turns::new(OF_STARTS));
static LIVE_SERVERS: LazyLock<Turns> = LazyLock::new(|| Turns::new(OF_LIVE_SERVERS));
static WAITING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(WAITING_KB)));

/// How long a message waits in memory for its next turn. A start has a limit of its own, and a live server has none.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A message was not complete in its turn, and there is no memory for it until its next one.
#[derive(Debug, thiserror::Error)]
#[error("a large message was not complete in time, and other servers send large messages too")]
pub(crate) struct Dropped;

impl From<Dropped> for std::io::Error {
    fn from(dropped: Dropped) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, dropped)
    }
}

/// The message that one connection is reading, among the large ones.
#[derive(Default)]
pub(crate) struct LargeMessage {
    turn: Turn,
    /// The size of the message so far, in bytes.
    held: usize,
    /// Whether the server is live.
    is_live: bool,
    waiting: Option<Waiting>,
    is_dropped: bool,
}

/// The memory of a message that waits for its next turn.
struct Waiting {
    _memory: OwnedSemaphorePermit,
    end: Pin<Box<Sleep>>,
}

impl LargeMessage {
    /// Waits for a turn if the message so far has `held` bytes, which are in memory. The turn ends when the next message begins.
    /// After an error, the message must not stay in memory.
    pub fn poll(
        &mut self,
        held: usize,
        collector: &EvidenceCollector,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Dropped>> {
        self.is_live = collector.log.is_closed();
        // The servers of a host's client take turns for smaller messages too.
        let of_client = match self.is_live && held > SMALL_BYTES {
            true => collector.calls.turn(),
            false => None,
        };
        self.poll_turn(held, of_client, context)
    }

    fn poll_turn(
        &mut self,
        held: usize,
        of_client: Option<Turns>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Dropped>> {
        if !self.is_large(held) && of_client.is_none() {
            self.turn.end();
            (self.waiting, self.is_dropped) = (None, false);
            return Poll::Ready(Ok(()));
        }
        if self.is_dropped {
            // The message is no longer in memory.
            self.turn.end();
            return Poll::Ready(Ok(()));
        }
        self.held = held;
        if self.turn.is_over() {
            self.pass_turn()?;
        }
        let of_all = match self.is_live {
            true => &LIVE_SERVERS,
            false => &STARTS,
        };
        let turns = || of_client.unwrap_or_else(|| Turns::clone(of_all));
        if self.turn.poll(turns, context).is_ready() {
            self.waiting = None;
            return Poll::Ready(Ok(()));
        }
        self.poll_wait(context)?;
        Poll::Pending
    }

    /// Call this while the server sends nothing.
    pub fn poll_pause(&mut self, context: &mut Context<'_>) -> Result<(), Dropped> {
        if self.turn.is_over_in_pause(context) && !self.is_dropped {
            self.pass_turn()?;
        }
        self.poll_wait(context)
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

    fn is_large(&self, held: usize) -> bool {
        held > match self.is_live {
            true => LARGE_BYTES,
            false => LARGE_IN_START,
        }
    }

    /// Passes the turn on. The message needs memory until its next one.
    fn pass_turn(&mut self) -> Result<(), Dropped> {
        if self.is_large(self.held) {
            let kb = u32::try_from(self.held / 1000).unwrap_or(u32::MAX);
            let memory = WAITING.clone().try_acquire_many_owned(kb);
            let Ok(memory) = memory else {
                // It keeps its turn until its memory is free.
                self.is_dropped = true;
                return Err(Dropped);
            };
            self.waiting = Some(Waiting {
                _memory: memory,
                end: Box::pin(sleep(LONGEST_WAIT)),
            });
        }
        self.turn.end();
        Ok(())
    }

    fn poll_wait(&mut self, context: &mut Context<'_>) -> Result<(), Dropped> {
        let waiting = self.waiting.as_mut();
        if waiting.is_some_and(|waiting| waiting.end.as_mut().poll(context).is_ready()) {
            self.turn.end();
            (self.waiting, self.is_dropped) = (None, true);
            return Err(Dropped);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::Instant;

    use super::*;

    /// Polls the place of a message, and returns whether it has one. `None` if the message was dropped.
    fn has_turn(message: &mut LargeMessage, held: usize) -> Option<bool> {
        let polled = poll_fn(|context| message.poll_turn(held, None, context));
        let polled = polled.now_or_never();
        (!message.is_dropped).then_some(polled.is_some())
    }

    fn messages(number: usize, is_live: bool) -> Vec<LargeMessage> {
        let message = || LargeMessage {
            is_live,
            ..LargeMessage::default()
        };
        std::iter::repeat_with(message).take(number).collect()
    }

    // The turns are those of the process, so this is one test.
    #[tokio::test(start_paused = true)]
    async fn only_some_large_messages_are_read_at_the_same_time_and_each_gets_its_turn() {
        for (is_live, small, turns, stopped_bytes) in [
            (false, LARGE_IN_START, OF_STARTS, 9_900_000),
            (true, LARGE_BYTES, OF_LIVE_SERVERS, 16_000_000),
        ] {
            let large = small + 1;
            let mut all = messages(turns + 1, is_live);
            for (at, message) in all.iter_mut().enumerate() {
                // A small message needs no turn.
                assert_eq!(has_turn(message, small), Some(true));
                assert_eq!(has_turn(message, large), Some(at < turns));
            }
            // The next message begins.
            assert_eq!(has_turn(&mut all[0], 0), Some(true));
            let last = all.last_mut().unwrap();
            assert_eq!(has_turn(last, large), Some(true));
            drop(all);

            // Ten servers stop, each in the middle of a message.
            let mut stopped = messages(10, is_live);
            let mut good = messages(1, is_live).remove(0);
            let began = Instant::now();
            for message in &mut stopped {
                has_turn(message, large);
            }
            while has_turn(&mut good, large) != Some(true) {
                for message in &mut stopped {
                    if message.is_dropped {
                        has_turn(message, large);
                    } else if message.turn.has_it() {
                        message.held = stopped_bytes;
                        let _ = poll_fn(|context| Poll::Ready(message.poll_pause(context))).await;
                    } else if message.held == large {
                        has_turn(message, large);
                    }
                }
                let in_memory = stopped.iter().filter(|message| !message.is_dropped);
                let in_memory: usize = in_memory.map(|message| message.held.max(large)).sum();
                assert!(in_memory <= 10 * large + turns * stopped_bytes + WAITING_KB * 1000);
                tokio::time::advance(Duration::from_millis(50)).await;
            }
            let waited = began.elapsed();
            let longest = Duration::from_millis(600) * 10_u32.div_ceil(turns as u32);
            assert!(waited <= longest + Duration::from_millis(600), "{waited:?}");
            let dropped = stopped.iter().filter(|message| message.is_dropped).count();
            assert!((1..10).contains(&dropped), "{dropped}");

            // A message does not wait in memory forever.
            let mut waiting = stopped
                .into_iter()
                .filter(|message| message.waiting.is_some());
            let mut waiting = waiting.next().unwrap();
            tokio::time::advance(LONGEST_WAIT).await;
            let polled = poll_fn(|context| Poll::Ready(waiting.poll_pause(context))).await;
            assert!(polled.is_err() && waiting.is_dropped && waiting.waiting.is_none());
        }
    }
}
