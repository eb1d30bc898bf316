//! Work that must not be cut off once it has begun, such as the exchange of a code that can be used only once.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use mcp_startup_auth::{SignInError, SignInFailureKind};

/// The handle of the work on its caller. If the caller stops waiting, the work ends, but only before it calls
/// [`commit`](Self::commit).
pub(super) struct Transaction {
    abandoned: CancellationToken,
    tasks: TaskTracker,
}

/// Runs `work` as a task. From its [`commit`](Transaction::commit) on, the task belongs to `tasks`, and nothing ends it.
pub(super) async fn run<T, F>(
    tasks: &TaskTracker,
    work: impl FnOnce(Transaction) -> F,
) -> Result<T, SignInError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, SignInError>> + Send + 'static,
{
    let abandoned = CancellationToken::new();
    let _waiting = abandoned.clone().drop_guard();
    let transaction = Transaction {
        abandoned,
        tasks: tasks.clone(),
    };
    // The error is not shown: it contains the panic message.
    tokio::spawn(work(transaction))
        .await
        .unwrap_or_else(|_| Err(ended("an internal error in mcp-startup")))
}

impl Transaction {
    /// Waits for `work`, which can still be cut off.
    pub async fn prepare<T>(&self, work: impl Future<Output = T>) -> Result<T, SignInError> {
        let prepared = self.abandoned.run_until_cancelled(work).await;
        prepared.ok_or_else(|| ended("the call was cancelled"))
    }

    /// Begins the part that nothing ends. It lasts until the returned token is dropped.
    pub fn commit(&self) -> Result<TaskTrackerToken, SignInError> {
        let token = self.tasks.token();
        // In this order: a caller that has stopped waiting sees the token, or the work sees that it has.
        match self.abandoned.is_cancelled() {
            false => Ok(token),
            true => Err(ended("the call was cancelled")),
        }
    }
}

fn ended(reason: &str) -> SignInError {
    SignInError::new(SignInFailureKind::Unavailable, reason)
}
