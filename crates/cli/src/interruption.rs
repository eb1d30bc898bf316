//! Ctrl-C, and the other ways to ask a program to end.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for what asks the program to end: Ctrl-C, and on Unix SIGTERM, or SIGHUP of a terminal that was closed (the
/// servers' process groups would not hear of it). From the moment it is made, nothing is missed.
pub struct Interruption {
    #[cfg(unix)]
    signals: [Signal; 3],
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
