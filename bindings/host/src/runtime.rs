//! The one runtime of a process.

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use futures::FutureExt;
use mcp_startup::{Startup, StartupOptions};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::HostError;

/// Two: one that reads what arrives, and one for whatever takes longer.
const THREADS: usize = 2;

struct Process {
    runtime: Runtime,
    /// What was built for the first call; each later one shares its HTTP clients.
    startup: Startup,
    /// Starts whose stream was dropped, with a refresh that is not saved yet.
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
            // Two first calls at once: one of them wins, and the other's threads end.
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

/// Where everything runs.
///
/// # Errors
///
/// [`HostError::Forked`] in a process that was forked from one in which it runs.
pub fn handle() -> Result<&'static Handle, HostError> {
    Ok(process()?.runtime.handle())
}

/// Does the work, and hands on what comes of it. A panic in it is an error, and nothing that leaves a host waiting.
///
/// Aborted through what it returns, nothing is handed on.
///
/// # Errors
///
/// [`HostError::Forked`]: then `done` is not called.
pub fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, HostError>> + Send + 'static,
    done: impl FnOnce(Result<T, HostError>) + Send + 'static,
) -> Result<JoinHandle<()>, HostError> {
    Ok(handle()?.spawn(async move {
        let result = AssertUnwindSafe(work).catch_unwind().await;
        done(
            result.unwrap_or_else(|_| {
                Err(HostError::Internal("a task of it has panicked".to_owned()))
            }),
        );
    }))
}

/// A [`Startup`] for these options, with the HTTP clients that every other has.
pub(crate) fn startup(options: StartupOptions) -> Result<Startup, HostError> {
    Ok(process()?.startup.with(options))
}

/// Waits for the refreshes of starts that nobody reads any more, in the background.
pub(crate) fn finish_later(startup: Startup) {
    if let Ok(process) = process() {
        let finish = async move { startup.finish().await };
        process.finishing.spawn_on(finish, process.runtime.handle());
    }
}

/// Waits until every refresh that was sent is saved, at most 30 s each: to be called before the process ends.
pub fn finish() {
    if !is_finished()
        && let Ok(handle) = handle()
    {
        handle.block_on(finished());
    }
}

/// The same, for who does not block.
pub async fn finished() {
    if let Some(process) = PROCESS.get() {
        // Others may come all the same.
        process.finishing.close();
        process.finishing.wait().await;
    }
}

/// Whether there is nothing that [`finish`] would wait for.
pub fn is_finished() -> bool {
    let process = PROCESS.get();
    process.is_none_or(|process| process.pid != std::process::id() || process.finishing.is_empty())
}
