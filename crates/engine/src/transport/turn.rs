//! [`Turn`]: the turn of one connection to read a large message, so that many servers can't fill the memory together.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::PollSemaphore;

/// How long a turn lasts if others wait for it.
const LONGEST_TURN: Duration = Duration::from_secs(1);
/// How long a server may pause in its turn if others wait for it.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The turn of one connection. Others get it when the message is complete or the turn has lasted long enough, however the server sends:
/// not at all, slowly or without end. A message that is not complete then waits for the next turn.
#[derive(Default)]
pub(crate) struct Turn {
    own: Option<Own>,
    waiting: Option<PollSemaphore>,
}

struct Own {
    permit: OwnedSemaphorePermit,
    ends: Instant,
    /// Ends when the server has paused for too long, or with the turn.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Own {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        Self {
            permit,
            ends: Instant::now() + LONGEST_TURN,
            pause: None,
        }
    }

    /// Passes the turn on to a connection that waits. Without one, it begins again.
    fn pass(self) -> Option<Self> {
        let turns = self.permit.semaphore().clone();
        drop(self.permit);
        // The permit has gone to the connection that waits longest.
        turns.try_acquire_owned().ok().map(Self::new)
    }
}

impl Turn {
    pub fn has_it(&self) -> bool {
        self.own.is_some()
    }

    /// Waits for one of these turns. Call this when the server has sent something.
    pub fn poll(
        &mut self,
        turns: impl FnOnce() -> Option<Arc<Semaphore>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        self.own = self
            .own
            .take()
            .and_then(|own| match Instant::now() < own.ends {
                true => Some(Own { pause: None, ..own }),
                false => own.pass(),
            });
        if self.own.is_none() {
            if self.waiting.is_none() {
                self.waiting = turns().map(PollSemaphore::new);
            }
            if let Some(waiting) = &mut self.waiting {
                // It is never closed.
                self.own = ready!(waiting.poll_acquire(context)).map(Own::new);
                self.waiting = None;
            }
        }
        Poll::Ready(())
    }

    /// Call this while the server sends nothing.
    pub fn poll_pause(&mut self, context: &mut Context<'_>) {
        while let Some(own) = &mut self.own {
            let ends = own.ends.min(Instant::now() + LONGEST_PAUSE);
            let pause = own.pause.get_or_insert_with(|| Box::pin(sleep_until(ends)));
            if pause.as_mut().poll(context).is_pending() {
                break;
            }
            self.own = self.own.take().and_then(Own::pass);
        }
    }

    /// The message is complete.
    pub fn end(&mut self) {
        (self.own, self.waiting) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::FutureExt;

    use super::*;

    const PART: Duration = Duration::from_millis(50);

    /// Polls a turn as a connection does, and returns whether it has the turn.
    fn poll(turn: &mut Turn, turns: &Arc<Semaphore>, has_sent: bool) -> bool {
        let polling = poll_fn(|context| {
            if has_sent {
                ready!(turn.poll(|| Some(turns.clone()), context));
            } else {
                turn.poll_pause(context);
            }
            Poll::Ready(())
        });
        let _ = polling.now_or_never();
        turn.has_it()
    }

    /// How long the second of two connections waits while the first one sends a part at these intervals.
    async fn waiting_time(interval: Duration) -> Duration {
        let turns = Arc::new(Semaphore::new(1));
        let (mut first, mut second) = (Turn::default(), Turn::default());
        assert!(poll(&mut first, &turns, true));
        assert!(!poll(&mut second, &turns, true));
        let (began, mut sent) = (Instant::now(), Instant::now());
        while !poll(&mut second, &turns, true) {
            tokio::time::advance(PART).await;
            let has_sent = sent.elapsed() >= interval;
            if has_sent {
                sent = Instant::now();
            }
            poll(&mut first, &turns, has_sent);
        }
        assert!(!poll(&mut first, &turns, true), "it waits again");
        second.end();
        assert!(poll(&mut first, &turns, true), "it continues");
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn no_server_keeps_the_turn_from_others_however_it_sends() {
        for (interval, longest) in [
            (Duration::MAX, LONGEST_PAUSE),
            (LONGEST_PAUSE * 4 / 5, LONGEST_TURN),
            (Duration::ZERO, LONGEST_TURN),
        ] {
            let waited = waiting_time(interval).await;
            assert!(waited <= longest + 2 * PART, "{interval:?}: {waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_keeps_the_turn_that_no_other_one_wants() {
        let turns = Arc::new(Semaphore::new(1));
        let mut turn = Turn::default();
        for has_sent in [true, false, false, true] {
            assert!(poll(&mut turn, &turns, has_sent));
            tokio::time::advance(2 * LONGEST_TURN).await;
        }
        turn.end();
        assert_eq!(turns.available_permits(), 1);
    }
}
