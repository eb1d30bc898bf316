//! Lets other tasks and timers run while a server sends without a pause.
//!
//! Input that has already arrived, or that decodes to more, never makes its task wait. Without pauses, a few such servers would
//! keep every thread of the runtime busy, and neither a time limit nor another server would get its turn.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;

/// How much is handled between two pauses, in bytes.
pub(super) const TURN_BYTES: usize = 8 * 1024;
/// The cost of each part of the input, such as an event or a line, besides its bytes.
const PART_BYTES: usize = 100;

/// The pauses of one task that handles foreign input.
#[derive(Default)]
pub struct Pauses {
    handled: usize,
    pause: Option<BoxFuture<'static, ()>>,
}

impl fmt::Debug for Pauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pauses").finish_non_exhaustive()
    }
}

impl Pauses {
    /// Call this for each part of the input that was handled.
    pub fn handled(&mut self, bytes: usize) {
        self.handled = self.handled.saturating_add(bytes.max(PART_BYTES));
    }

    /// Pauses if enough was handled since the last pause. After a cancellation, the next call continues the pause.
    pub async fn pause(&mut self) {
        poll_fn(|context| self.poll_pause(context)).await;
    }

    /// Like [`pause`](Self::pause), in a function that is polled.
    pub fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.handled >= TURN_BYTES {
            let pause = self
                .pause
                .get_or_insert_with(|| tokio::task::yield_now().boxed());
            ready!(pause.poll_unpin(context));
            self.pause = None;
            self.handled = 0;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_pauses_after_each_turn_and_after_many_small_parts() {
        for (part, turns) in [(TURN_BYTES, 1), (1, TURN_BYTES.div_ceil(PART_BYTES))] {
            let mut pauses = Pauses::default();
            for _ in 0..3 {
                for _ in 0..turns {
                    assert_eq!(pauses.pause().now_or_never(), Some(()));
                    pauses.handled(part);
                }
                assert_eq!(pauses.pause().now_or_never(), None);
                pauses.pause().await;
            }
        }
    }
}
