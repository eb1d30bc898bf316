//! Ctrl-C, and the other ways to ask a program to end.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits until nobody can read stdout any more: the other end of its pipe was closed. Where that can't be told, for ever; then
/// it shows at the next line.
pub async fn nobody_reads() {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        use tokio::net::unix::pipe::Sender;
        let stdout = std::io::stdout().as_fd().try_clone_to_owned();
        // Unchecked: it is not to be written through, and stays as blocking as it is.
        if let Ok(pipe) = stdout.and_then(Sender::from_owned_fd_unchecked)
            && pipe.ready(tokio::io::Interest::ERROR).await.is_ok()
        {
            return;
        }
    }
    std::future::pending().await
}

/// Listens for what asks the program to end: Ctrl-C, and on Unix SIGTERM, or SIGHUP of a terminal that was closed (the
/// servers' process groups would not hear of it). From the moment it is made, nothing is missed.
pub struct Interruption {
    #[cfg(unix)]
    signals: [Signal; 3],
}

/// Does the work of a command; `None` where it was interrupted before it was done.
///
/// What it has begun that can't be cancelled, the look-up of a host's name or a read of stdin, does not keep the process.
pub fn until_interrupted<T>(work: impl Future<Output = T>) -> std::io::Result<Option<T>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        let mut interruption = Interruption::listen()?;
        tokio::select! {
            biased;
            () = interruption.next() => Ok(None),
            done = work => Ok(Some(done)),
        }
    });
    runtime.shutdown_background();
    done
}

impl Interruption {
    /// Must be called inside a Tokio runtime.
    #[cfg(unix)]
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            signals: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ],
        })
    }

    #[cfg(not(unix))]
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next one. Can be dropped and called again.
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
        #[cfg(not(unix))]
        {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
