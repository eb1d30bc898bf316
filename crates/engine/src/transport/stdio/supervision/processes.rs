//! Processes and their descendants, as /proc lists them (proc(5)).

use std::collections::{HashMap, HashSet};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// The descendants of `root`, and all others.
fn descendants(all: &[Process], root: Pid) -> (Vec<&Process>, impl Iterator<Item = &Process>) {
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
    (found, children.into_values().flatten())
}

/// The groups of the descendants of `root`, and those descendants whose groups contain other processes.
pub fn targets(all: &[Process], root: Pid) -> (HashSet<Pid>, Vec<&Process>) {
    let (found, others) = descendants(all, root);
    let others: HashSet<_> = others.map(|process| process.group).collect();
    let (mixed, own): (Vec<&Process>, Vec<&Process>) = found
        .into_iter()
        .partition(|process| process.group.is_none() || others.contains(&process.group));
    (
        own.iter().filter_map(|process| process.group).collect(),
        mixed,
    )
}

/// The facts about a process in /proc/PID/stat (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pid: Pid,
    /// A letter, such as `T` for a process that was stopped.
    state: u8,
    parent: Option<Pid>,
    group: Option<Pid>,
    /// When it started, in clock ticks since boot: tells it from a later process with the same ID.
    started: u64,
}

impl Process {
    /// All processes, also zombies: other threads of the process may still run, and its group may have other members.
    pub fn all() -> Vec<Self> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid| Self::read(Pid::from_raw(pid)?))
            .collect()
    }

    /// The process with this ID. `None` if there is none.
    pub fn read(pid: Pid) -> Option<Self> {
        let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
        Self::parse(pid, &stat)
    }

    fn parse(pid: Pid, stat: &[u8]) -> Option<Self> {
        // The name in parentheses may contain any character.
        let end = stat.iter().rposition(|byte| *byte == b')')?;
        let fields = std::str::from_utf8(&stat[end + 1..]).ok()?;
        let mut fields = fields.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
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
            state,
            parent,
            group,
            started,
        })
    }

    /// The process as it is now. `None` if it has ended.
    pub fn now(&self) -> Option<Self> {
        Self::read(self.pid).filter(|now| now.started == self.started)
    }

    /// Whether another process has stopped it, or traces it.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }

    /// Kills all descendants. Returns whether one of them had not ended.
    pub fn kill_descendants(&self) -> bool {
        let all = Self::all();
        let (found, _) = descendants(&all, self.pid);
        for process in &found {
            process.send(Signal::KILL);
        }
        found.iter().any(|process| process.state != b'Z')
    }

    /// Sends a signal to this very process, and to no other that has its ID by now.
    pub fn send(&self, signal: Signal) {
        match pidfd_open(self.pid, PidfdFlags::empty()) {
            Ok(handle) => {
                if self.now().is_some() {
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
            state: b'S',
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
            state: b'S',
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
