//! The starts that are running. A request that is not urgent waits for them briefly, so that it does not slow them down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The number of starts that are running.
#[derive(Debug, Default)]
pub(crate) struct RunningStarts {
    count: AtomicUsize,
    none: Notify,
}

/// A start that is running. It has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct RunningStart(Arc<RunningStarts>);

impl RunningStarts {
    pub fn begin(self: &Arc<Self>) -> RunningStart {
        self.count.fetch_add(1, Ordering::AcqRel);
        RunningStart(self.clone())
    }

    /// Waits until no start is running, for at most 100 ms.
    pub async fn ended(&self) {
        let ended = async {
            loop {
                // It must exist before the number is read, or the last end could be missed.
                let none = self.none.notified();
                if self.count.load(Ordering::Acquire) == 0 {
                    return;
                }
                none.await;
            }
        };
        // Other starts may take much longer.
        let _ = tokio::time::timeout(LONGEST_WAIT, ended).await;
    }
}

impl Drop for RunningStart {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_start_ends_the_wait_and_a_long_one_does_not_prolong_it() {
        let starts = Arc::new(RunningStarts::default());
        assert!(starts.ended().now_or_never().is_some());
        let (one, other) = (starts.begin(), starts.begin());
        {
            let mut waiting = std::pin::pin!(starts.ended());
            assert!(waiting.as_mut().now_or_never().is_none());
            drop(one);
            assert!(waiting.as_mut().now_or_never().is_none());
            drop(other);
            assert!(waiting.as_mut().now_or_never().is_some());
        }
        let _long = starts.begin();
        let began = tokio::time::Instant::now();
        starts.ended().await;
        assert_eq!(began.elapsed(), LONGEST_WAIT);
    }
}
