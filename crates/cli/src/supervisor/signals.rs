//! The signals for a supervisor and the launcher.
//!
//! The handlers only set flags, so a process that the launcher forks has its own without a system call. The signals are blocked except
//! while [`Signals::wait`] waits, so that a signal does not arrive between a
//! look at the flags and the wait.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, thread};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::time::TimeSpec;

/// The signals that request the end.
const END: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];
/// The end of a child process. Some programs send their parent SIGUSR1 when they are ready, which must not end it.
const OTHER: [Signal; 3] = [Signal::SIGCHLD, Signal::SIGUSR1, Signal::SIGUSR2];
/// The pause after an error of poll(2).
const PAUSE: Duration = Duration::from_millis(10);

/// The signals that request the end of this process, and SIGCHLD, which ends a wait.
pub struct Signals {
    end_requested: Arc<AtomicBool>,
    /// The signals that were blocked before.
    inherited: SigSet,
}

impl Signals {
    /// Installs the handlers, and blocks the signals.
    pub fn listen() -> io::Result<Self> {
        let end_requested = Arc::new(AtomicBool::new(false));
        for signal in END {
            signal_hook::flag::register(signal as i32, end_requested.clone())?;
        }
        for signal in OTHER {
            signal_hook::flag::register(signal as i32, Arc::default())?;
        }
        Ok(Self {
            end_requested,
            inherited: all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?,
        })
    }

    pub fn end_requested(&self) -> bool {
        self.end_requested.load(Ordering::Relaxed)
    }

    /// The signals that a program inherits as blocked.
    pub fn inherited(&self) -> &SigSet {
        &self.inherited
    }

    /// Waits for a signal, for at most `limit`, or until the socket has something to read. Returns whether it has.
    pub fn wait(&self, socket: Option<impl AsFd>, limit: Option<Duration>) -> bool {
        let polled = socket
            .as_ref()
            .map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN));
        let mut polled = Vec::from_iter(polled);
        match ppoll(
            &mut polled,
            limit.map(TimeSpec::from),
            Some(SigSet::empty()),
        ) {
            Ok(_) | Err(Errno::EINTR) => {}
            // For example out of memory: try again.
            Err(_) => thread::sleep(PAUSE),
        }
        polled.first().and_then(PollFd::any).unwrap_or(false)
    }
}

/// All signals that have a handler.
fn all() -> SigSet {
    END.into_iter().chain(OTHER).collect()
}
