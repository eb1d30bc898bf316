//! The program and everything that descends from it: waits for them, finds them in /proc, and ends them.

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, kill_process_group, pidfd_open,
    pidfd_send_signal, wait,
};

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

/// The groups of the descendants of `root`, and those descendants whose groups contain other processes.
fn targets(all: &[Process], root: Pid) -> (HashSet<Pid>, Vec<&Process>) {
    let mut children: HashMap<Option<Pid>, Vec<&Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = children.remove(&Some(root)).unwrap_or_default();
    let mut at = 0;
    while let Some(parent) = found.get(at) {
        let children = children.remove(&Some(parent.pid));
        found.extend(children.unwrap_or_default());
        at += 1;
    }
    let others = children.into_values().flatten();
    let others: HashSet<_> = others.map(|process| process.group).collect();
    let (mixed, own): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|process| process.group.is_none() || others.contains(&process.group));
    (
        own.iter().filter_map(|process| process.group).collect(),
        mixed,
    )
}

/// The facts about a process in /proc/PID/stat (proc(5)).
#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: Option<Pid>,
    group: Option<Pid>,
    /// When it started, in clock ticks since boot: tells it from a later process with the same ID.
    started: u64,
}

impl Process {
    /// All processes, also zombies: other threads of the process may still run, and its group may have other members.
    fn all() -> Vec<Self> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid| Self::read(Pid::from_raw(pid)?))
            .collect()
    }

    fn read(pid: Pid) -> Option<Self> {
        let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
        Self::parse(pid, &stat)
    }

    fn parse(pid: Pid, stat: &[u8]) -> Option<Self> {
        // The name in parentheses may contain any character.
        let end = stat.iter().rposition(|byte| *byte == b')')?;
        let fields = std::str::from_utf8(&stat[end + 1..]).ok()?;
        let mut fields = fields.split_ascii_whitespace().skip(1);
        // 0 is a process in another PID namespace, or none. A process that ends at this moment has the group -1, which as the argument of
        // kill(2) means other processes: the result is `None`.
        let mut id = || {
            let id: u32 = fields.next()?.parse().ok()?;
            Some(Pid::from_raw(id.try_into().ok()?))
        };
        let (parent, group) = (id()?, id()?);
        let started = fields.nth(16)?.parse().ok()?;
        Some(Self {
            pid,
            parent,
            group,
            started,
        })
    }

    /// Sends a signal to this very process, and to no other that has its ID by now.
    fn send(&self, signal: Signal) {
        match pidfd_open(self.pid, PidfdFlags::empty()) {
            Ok(handle) => {
                if Self::read(self.pid).is_some_and(|now| now.started == self.started) {
                    let _ = pidfd_send_signal(handle, signal);
                }
            }
            // The process has ended.
            Err(Errno::SRCH) => {}
            // For example a kernel older than 5.3.
            Err(_) => {
                let _ = kill_process(self.pid, signal);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_a_process_are_read_and_a_process_that_ends_at_this_moment_is_left_out() {
        let pid = |number| Pid::from_raw(number).unwrap();
        let parse = |stat: &str| Process::parse(pid(7), stat.as_bytes());
        let rest = "-1 4194304 85 1853 0 0 0 0 4 0 20 0 1 0 176042 2654208 358";
        let process = |parent, group| Process {
            pid: pid(7),
            parent,
            group,
            started: 176_042,
        };
        let table = [
            (
                "7 (sh) S 1 12 6 0",
                Some(process(Some(pid(1)), Some(pid(12)))),
            ),
            (
                "7 (a) b) S 5 12 6 0",
                Some(process(Some(pid(5)), Some(pid(12)))),
            ),
            ("7 (sh) S 0 0 0 0", Some(process(None, None))),
            ("7 (sh) X 5 -1 -1 0", None),
            ("7 (sh) X -1 -1 -1 0", None),
            ("7 (sh) X -1 12 6 0", None),
            ("7 (sh) S 5 4294967295 6 0", None),
            ("7 (sh) S 5 twelve 6 0", None),
        ];
        for (stat, expected) in table {
            assert_eq!(parse(&format!("{stat} {rest}")), expected, "{stat}");
        }
        assert_eq!(
            [parse(""), parse("7 (sh)"), parse("7 (sh) S 1 12")],
            [None, None, None]
        );
    }

    #[test]
    fn only_descendants_are_signaled() {
        let pid = |number| Pid::from_raw(number).unwrap();
        let process = |number, parent, group| Process {
            pid: pid(number),
            parent: Pid::from_raw(parent),
            group: Pid::from_raw(group),
            started: 1,
        };
        let all = [
            process(1, 0, 1),
            process(10, 1, 10),
            // The root, and its descendants.
            process(20, 10, 20),
            process(21, 20, 21),
            process(22, 21, 21),
            process(23, 22, 23),
            // A descendant in the group of another process, and one in the group of the root.
            process(24, 21, 10),
            process(25, 23, 20),
            // A process that was read while its parents changed.
            process(30, 31, 30),
            process(31, 30, 30),
        ];
        let (groups, processes) = targets(&all, pid(20));
        assert_eq!(groups, [21, 23].map(pid).into());
        let pids: Vec<_> = processes.iter().map(|process| process.pid).collect();
        assert_eq!(pids, [24, 25].map(pid));
        assert_eq!(targets(&[], pid(20)), Default::default());
    }
}
