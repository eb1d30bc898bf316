//! Ctrl-C and the other ways to ask a program to end.

use std::time::Duration;

use tokio::runtime::Runtime;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};

/// Waits until the other end of the stdout pipe is closed. If that can't be observed, it waits forever, and the next write fails.
pub async fn output_closed() {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        use tokio::net::unix::pipe::Sender;
        let stdout = std::io::stdout().as_fd().try_clone_to_owned();
        // Unchecked: nothing is written through it, and it stays blocking.
        if let Ok(pipe) = stdout.and_then(Sender::from_owned_fd_unchecked)
            && pipe.ready(tokio::io::Interest::ERROR).await.is_ok()
        {
            return;
        }
    }
    std::future::pending().await
}

/// Listens for Ctrl-C and, on Unix, for SIGTERM and for SIGHUP of a closed terminal, which the servers' process groups do not get. On
/// Windows, it also listens for Ctrl-Break, a closed console and a shutdown. It misses nothing after it was created.
pub struct Interruption {
    #[cfg(unix)]
    signals: [Signal; 3],
    #[cfg(windows)]
    events: (CtrlC, CtrlBreak, CtrlClose, CtrlShutdown),
}

/// Runs the work of a command, which can be interrupted from its beginning.
///
/// A host name lookup or a read of stdin can't be cancelled, and does not keep the process alive.
pub fn block_on<T>(work: impl AsyncFnOnce(&mut Interruption) -> T) -> std::io::Result<T> {
    block_on_in(crate::runtime()?, work)
}

/// As [`block_on`], in a runtime in which something has been opened before.
pub fn block_on_in<T>(
    runtime: Runtime,
    work: impl AsyncFnOnce(&mut Interruption) -> T,
) -> std::io::Result<T> {
    let done = runtime.block_on(async {
        let mut interruption = Interruption::listen()?;
        Ok(work(&mut interruption).await)
    });
    runtime.shutdown_background();
    done
}

/// Runs the work of a command. Returns `None` if it was interrupted.
pub fn until_interrupted<T>(
    runtime: Runtime,
    work: impl Future<Output = T>,
) -> std::io::Result<Option<T>> {
    block_on_in(runtime, async |interruption| interruption.or(work).await)
}

impl Interruption {
    /// Must be called inside a Tokio runtime.
    #[cfg(unix)]
    pub fn listen() -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        crate::output::stdout::notice_interruptions()?;
        Ok(Self {
            signals: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ],
        })
    }

    /// Must be called inside a Tokio runtime.
    #[cfg(windows)]
    pub fn listen() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
        Ok(Self {
            events: (ctrl_c()?, ctrl_break()?, ctrl_close()?, ctrl_shutdown()?),
        })
    }

    /// Waits for some work. Returns `None` if it is interrupted first.
    pub async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.next() => None,
            done = work => Some(done),
        }
    }

    /// Waits for the last work after an interruption: a step that can't be undone, or the end of servers. Returns `None` if it takes longer
    /// than `limit`, or if there is another interruption.
    pub async fn or_within<T>(
        &mut self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let done = self.or(tokio::time::timeout(limit, work)).await;
        done.and_then(Result::ok)
    }

    /// Waits for the next interruption. The future can be dropped and created again.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate, hang_up] = &mut self.signals;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        }
        #[cfg(windows)]
        {
            let (interrupt, stop, close, shutdown) = &mut self.events;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = stop.recv() => {}
                _ = close.recv() => {}
                _ = shutdown.recv() => {}
            }
        }
    }
}
