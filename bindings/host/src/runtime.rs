//! The Tokio runtime of the process, and the refreshes that outlive their starts.

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use futures::FutureExt;
use mcp_startup::{Startup, StartupOptions};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::HostError;

/// One thread for I/O, and one for work that takes longer.
const THREADS: usize = 2;

struct Process {
    runtime: Runtime,
    /// Created by the first call. Later calls share its HTTP clients.
    startup: Startup,
    /// Waits for the refreshes of starts whose stream was dropped.
    finishing: TaskTracker,
    pid: u32,
}

static PROCESS: OnceLock<Process> = OnceLock::new();

fn process() -> Result<&'static Process, HostError> {
    let process = match PROCESS.get() {
        Some(process) => process,
        None => {
            let runtime = Builder::new_multi_thread()
                .worker_threads(THREADS)
                .thread_name("mcp-startup")
                .enable_all()
                .build()
                .map_err(|error| HostError::Internal(error.to_string()))?;
            let startup = Startup::new(StartupOptions::default())?;
            // If two first calls race, one wins, and the runtime of the other is dropped.
            PROCESS.get_or_init(|| Process {
                runtime,
                startup,
                finishing: TaskTracker::new(),
                pid: std::process::id(),
            })
        }
    };
    match process.pid == std::process::id() {
        true => Ok(process),
        false => Err(HostError::Forked),
    }
}

/// Returns the runtime of the process, and starts it on the first call.
///
/// # Errors
///
/// [`HostError::Forked`] if the process was forked after the runtime had started.
pub fn handle() -> Result<&'static Handle, HostError> {
    Ok(process()?.runtime.handle())
}

/// Runs `work` as a task, and passes its result to `done`. A panic becomes an error, so that a host never waits forever.
///
/// If the returned task is aborted, `done` is not called.
///
/// # Errors
///
/// [`HostError::Forked`]. In this case `done` is not called.
pub fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, HostError>> + Send + 'static,
    done: impl FnOnce(Result<T, HostError>) + Send + 'static,
) -> Result<JoinHandle<()>, HostError> {
    Ok(handle()?.spawn(async move {
        let result = AssertUnwindSafe(work).catch_unwind().await;
        done(
            result.unwrap_or_else(|_| {
                Err(HostError::Internal("a task ended unexpectedly".to_owned()))
            }),
        );
    }))
}

/// Creates a [`Startup`] that shares the HTTP clients of the process.
pub(crate) fn startup(options: StartupOptions) -> Result<Startup, HostError> {
    Ok(process()?.startup.with_options(options))
}

/// Waits in the background for the refreshes of starts whose events are no longer read.
pub(crate) fn finish_later(startup: Startup) {
    if let Ok(process) = process() {
        let finish = async move { startup.finish().await };
        process.finishing.spawn_on(finish, process.runtime.handle());
    }
}

/// Blocks until the new token of every refresh in flight is saved and its lock released, at most 30 s for each refresh. Call it before
/// the process ends.
pub fn finish() {
    if !is_finished()
        && let Ok(handle) = handle()
    {
        handle.block_on(finished());
    }
}

/// Waits until the new token of every refresh in flight is saved and its lock released, at most 30 s for each refresh, without blocking
/// the thread.
pub async fn finished() {
    if let Some(process) = PROCESS.get() {
        // A closed tracker still accepts tasks; closing only allows `wait` to return.
        process.finishing.close();
        process.finishing.wait().await;
        released().await;
    }
}

/// Waits until every lock that a call has released is free in the database. Other processes would wait for the end of its lease.
pub async fn released() {
    #[cfg(feature = "store-postgres")]
    crate::database::released().await;
}

/// Returns whether no refresh is in flight, so that [`finish`] would return immediately.
pub fn is_finished() -> bool {
    let process = PROCESS.get();
    process.is_none_or(|process| {
        // A forked process does not have the threads that would finish.
        process.pid != std::process::id() || (process.finishing.is_empty() && locks_are_released())
    })
}

/// Returns whether [`released`] would return immediately.
pub fn locks_are_released() -> bool {
    #[cfg(feature = "store-postgres")]
    return crate::database::locks_are_released();
    #[cfg(not(feature = "store-postgres"))]
    true
}
