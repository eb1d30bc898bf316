//! [`Turn`]: the turn of one connection to read a large message, so that many servers can't fill the memory together.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::PollSemaphore;

/// How long a turn lasts if others wait for it.
const LONGEST_TURN: Duration = Duration::from_secs(1);
/// How long a server may pause in its turn if others wait for it.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Some turns for many connections. A clone is the same turns.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Turns {
    pub fn new(number: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(number)),
            waiting: Arc::default(),
        }
    }
}

/// The turn of one connection. It is over when the message is complete, or when others wait and the turn has lasted long enough,
/// however the server sends: not at all, slowly or without end. A message that is not complete then waits for the next turn.
#[derive(Default)]
pub(crate) struct Turn {
    own: Option<Own>,
    waiting: Option<Waiting>,
}

struct Own {
    turns: Turns,
    _permit: OwnedSemaphorePermit,
    ends: Instant,
    /// Ends when the server has paused for too long, or with the turn.
    pause: Option<Pin<Box<Sleep>>>,
}

struct Waiting {
    turns: Turns,
    permit: PollSemaphore,
}

impl Waiting {
    fn new(turns: Turns) -> Self {
        turns.waiting.fetch_add(1, Ordering::Relaxed);
        Self {
            permit: PollSemaphore::new(turns.free.clone()),
            turns,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.turns.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Own {
    fn new(turns: Turns, permit: OwnedSemaphorePermit) -> Self {
        Self {
            turns,
            _permit: permit,
            ends: Instant::now() + LONGEST_TURN,
            pause: None,
        }
    }

    /// Whether a connection waits for the turn. Without one, the turn begins again.
    fn is_wanted(&mut self) -> bool {
        self.pause = None;
        self.ends = Instant::now() + LONGEST_TURN;
        self.turns.waiting.load(Ordering::Relaxed) > 0
    }
}

impl Turn {
    #[cfg(test)]
    pub fn has_it(&self) -> bool {
        self.own.is_some()
    }

    /// Whether the turn is over. Call this when the server has sent something.
    pub fn is_over(&mut self) -> bool {
        let Some(own) = &mut self.own else {
            return false;
        };
        own.pause = None;
        Instant::now() >= own.ends && own.is_wanted()
    }

    /// Whether the turn is over. Call this while the server sends nothing.
    pub fn is_over_in_pause(&mut self, context: &mut Context<'_>) -> bool {
        let Some(own) = &mut self.own else {
            return false;
        };
        loop {
            let ends = own.ends.min(Instant::now() + LONGEST_PAUSE);
            let pause = own.pause.get_or_insert_with(|| Box::pin(sleep_until(ends)));
            if pause.as_mut().poll(context).is_pending() {
                return false;
            }
            if own.is_wanted() {
                return true;
            }
        }
    }

    /// Waits for one of these turns, unless it has one.
    pub fn poll(&mut self, turns: impl FnOnce() -> Turns, context: &mut Context<'_>) -> Poll<()> {
        if self.own.is_none() {
            let waiting = self.waiting.get_or_insert_with(|| Waiting::new(turns()));
            let permit = ready!(waiting.permit.poll_acquire(context));
            // It is never closed.
            self.own = permit.map(|permit| Own::new(waiting.turns.clone(), permit));
            self.waiting = None;
        }
        Poll::Ready(())
    }

    /// Gives up the turn, or the place among those that wait for one.
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
    fn poll(turn: &mut Turn, turns: &Turns, has_sent: bool) -> bool {
        let polling = poll_fn(|context| {
            let is_over = match has_sent {
                true => turn.is_over(),
                false => turn.is_over_in_pause(context),
            };
            if is_over {
                turn.end();
            }
            if has_sent {
                ready!(turn.poll(|| turns.clone(), context));
            }
            Poll::Ready(())
        });
        let _ = polling.now_or_never();
        turn.has_it()
    }

    /// How long the second of two connections waits while the first one sends a part at these intervals.
    async fn waiting_time(interval: Duration) -> Duration {
        let turns = Turns::new(1);
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
        let turns = Turns::new(1);
        let mut turn = Turn::default();
        for has_sent in [true, false, false, true] {
            assert!(poll(&mut turn, &turns, has_sent));
            tokio::time::advance(2 * LONGEST_TURN).await;
        }
        turn.end();
        assert_eq!(turns.free.available_permits(), 1);
    }
}
