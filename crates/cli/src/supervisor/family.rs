//! The program and everything that descends from it: waits for them, and ends them.

use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use mcp_startup::supervisor_processes::{Process, targets};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process_group, wait};

use super::signals::Signals;

/// How long to wait for processes to end after SIGKILL. A process of another user survives it.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// For a wait that only a signal or the limit ends.
const NO_SOCKET: Option<BorrowedFd<'_>> = None;
/// The pause before the next search for processes that SIGKILL has not reached.
const SEARCH_PAUSE: Duration = Duration::from_millis(10);

/// The program and everything that descends from it.
pub struct Family {
    program: Pid,
    /// How the program ended, once it has.
    pub status: Option<ExitStatus>,
}

impl Family {
    pub fn of(program: Pid) -> Self {
        Self {
            program,
            status: None,
        }
    }

    /// Waits for the children that have ended: the program, and orphans. Returns whether a child is left. Every descendant is a
    /// child or has an ancestor that is one, so without a child there is no descendant.
    pub fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => {
                    self.status = Some(ExitStatus::from_raw(status.as_raw()));
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Ends all descendants: SIGTERM, `grace`, SIGKILL.
    pub fn end(&mut self, grace: Duration, signals: &Signals) {
        if !self.reap() {
            return;
        }
        // Processes that start from now on may be part of an orderly end. They get no SIGTERM.
        self.signal(Signal::TERM);
        let deadline = Instant::now() + grace;
        while self.reap() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            signals.wait(NO_SOCKET, Some(left));
        }
        let deadline = Instant::now() + KILL_LIMIT;
        while self.reap() && Instant::now() < deadline {
            self.signal(Signal::KILL);
            // A process may have started another one before it was killed.
            signals.wait(NO_SOCKET, Some(SEARCH_PAUSE));
        }
    }

    /// Sends a signal to all descendants: to a group as a whole, because a process that starts others and exits can't escape that, or
    /// to each process if others are in its group.
    fn signal(&self, signal: Signal) {
        let own = self.status.is_none().then_some(self.program);
        if let Some(own) = own {
            // Immediately, and also without /proc. Until its status is read, the number belongs to the program.
            let _ = kill_process_group(own, signal);
        }
        let all = Process::all();
        let (groups, processes) = targets(&all, getpid());
        for group in groups {
            if own != Some(group) {
                let _ = kill_process_group(group, signal);
            }
        }
        for process in processes {
            process.send(signal);
        }
    }
}
