//! Stdout, for output that may be longer than a pipe holds.
//!
//! A write to a pipe that nothing reads waits forever, and with it the task that would end the servers after Ctrl-C. So on Linux each
//! write waits until it can't block, and fails after an interruption if nothing is read. Elsewhere, it blocks.

use std::io::Write;

/// Stdout for text with styles, which are left out unless it is a terminal.
#[cfg(target_os = "linux")]
pub fn styled() -> impl Write {
    let choice = anstream::AutoStream::choice(&std::io::stdout());
    let stdout: Box<dyn Write> = Box::new(plain());
    anstream::AutoStream::new(stdout, choice)
}

#[cfg(not(target_os = "linux"))]
pub fn styled() -> impl Write {
    anstream::stdout()
}

/// Stdout for text without styles.
#[cfg(target_os = "linux")]
pub fn plain() -> impl Write + 'static {
    std::io::LineWriter::new(linux::Stdout)
}

#[cfg(not(target_os = "linux"))]
pub fn plain() -> impl Write + 'static {
    std::io::stdout()
}

#[cfg(target_os = "linux")]
pub use linux::notice_interruptions;

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{Error, ErrorKind, Write};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, LazyLock};
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    /// How much can be written to a pipe that is ready, without blocking (pipe(7)), in bytes.
    const PIPE_BUF: usize = 4096;
    /// How long a reader may take after an interruption.
    const READER_LIMIT: Duration = Duration::from_secs(2);
    const POLL: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };

    static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
    /// Whether the reader has exceeded its limit. No later write waits for it again.
    static GIVEN_UP: AtomicBool = AtomicBool::new(false);

    /// From now on, an interruption ends a write that waits. The program must handle the signals itself.
    ///
    /// # Errors
    ///
    /// The error of registering a signal handler.
    pub fn notice_interruptions() -> std::io::Result<()> {
        static NOTICED: AtomicBool = AtomicBool::new(false);
        if NOTICED.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&INTERRUPTED))?;
        }
        Ok(())
    }

    pub struct Stdout;

    impl Stdout {
        fn wait_until_ready() -> std::io::Result<()> {
            let stdout = std::io::stdout();
            let not_read = || Error::new(ErrorKind::WouldBlock, "nothing reads the output");
            if GIVEN_UP.load(Ordering::Relaxed) {
                return Err(not_read());
            }
            let mut waiting_since = None;
            loop {
                let mut stdout = [PollFd::new(&stdout, PollFlags::OUT)];
                match poll(&mut stdout, Some(&POLL)) {
                    // Also for a closed pipe. The write returns the error.
                    Ok(1..) => return Ok(()),
                    Ok(0) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
                if INTERRUPTED.load(Ordering::Relaxed) {
                    let since = *waiting_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= READER_LIMIT {
                        GIVEN_UP.store(true, Ordering::Relaxed);
                        return Err(not_read());
                    }
                }
            }
        }
    }

    impl Write for Stdout {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let bytes = &bytes[..bytes.len().min(PIPE_BUF)];
            loop {
                Self::wait_until_ready()?;
                match rustix::io::write(std::io::stdout(), bytes) {
                    // The pipe does not block, and another program has filled it meanwhile.
                    Err(Errno::AGAIN) => {}
                    written => return Ok(written?),
                }
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
