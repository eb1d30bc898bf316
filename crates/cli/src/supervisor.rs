//! The process between this program and an MCP server on Linux: it ends every process that the server leaves behind.
//!
//! `mcp-startup __supervise --grace-ms MS [--env NAME=VALUE]… -- PROGRAM ARGUMENT…` starts the program with its own streams, folder
//! and environment, to which it adds the variables. As the child subreaper of its descendants (prctl(2), `PR_SET_CHILD_SUBREAPER`), it becomes the parent of each process that outlives
//! its own parent, also of a daemon in another session. It ends all descendants when the program exits, when it gets a signal, and
//! when its parent is gone. Then it ends as the program did. It reads and writes none of the streams.
//!
//! It does not end processes that others start for the server (systemd, a container engine, at, cron) or that run as another user.
//! If the supervisor itself is killed, only the closed stdin tells the server to exit. The packages for Node and Python use no
//! supervisor, because each would be a second Node or Python: there, as in every library, a server ends with its process group.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions, getpid, getppid, kill_process,
    kill_process_group, pidfd_open, pidfd_send_signal, set_child_subreaper, set_dumpable_behavior,
    wait,
};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

/// The hidden subcommand: the first argument of the program, which then reads and sets up nothing else.
pub const SUBCOMMAND: &str = "__supervise";

/// How long the program may take to exit if its stdin is closed because the parent is gone (MCP, stdio shutdown).
const CLOSE_GRACE: Duration = Duration::from_millis(1500);
/// How long descendants may take to exit after SIGTERM if the program has already exited.
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);
/// How long to wait for processes to end after SIGKILL. A process of another user survives it.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// The pause before the next search for processes that SIGKILL has not reached.
const SEARCH_PAUSE: Duration = Duration::from_millis(10);

/// The command that runs this executable as a supervisor. It also works after the file was replaced, for example by an update.
pub fn command() -> Vec<OsString> {
    vec!["/proc/self/exe".into(), SUBCOMMAND.into()]
}

/// Runs the program of `arguments`, and returns the exit code to end with.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let Some((grace, command)) = parse(arguments) else {
        let usage = "usage: mcp-startup __supervise --grace-ms MS [--env NAME=VALUE]… -- /PATH/TO/PROGRAM [ARGUMENT…]";
        let _ = writeln!(io::stderr(), "{usage}");
        return 2.into();
    };
    match supervise(grace, command) {
        Ok(status) => end_as(status).into(),
        Err(error) => {
            let code = error.raw_os_error().unwrap_or_default();
            let prefix = mcp_startup::SUPERVISOR_SPAWN_ERROR;
            let _ = writeln!(io::stderr(), "{prefix}{code}");
            127.into()
        }
    }
}

/// The grace, and the program with its arguments and variables.
fn parse(arguments: &[OsString]) -> Option<(Duration, Command)> {
    let [flag, grace, rest @ ..] = arguments else {
        return None;
    };
    let grace = Duration::from_millis(grace.to_str()?.parse().ok()?);
    let mut variables = Vec::new();
    let mut rest = (flag == "--grace-ms").then_some(rest)?;
    while let [flag, variable, more @ ..] = rest
        && flag == "--env"
    {
        let bytes = variable.as_bytes();
        let end = bytes.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&bytes[..end], &bytes[end + 1..]);
        variables.push((OsStr::from_bytes(name), OsStr::from_bytes(value)));
        rest = more;
    }
    let [dashes, program, arguments @ ..] = rest else {
        return None;
    };
    let is_valid = dashes == "--" && Path::new(program).is_absolute();
    let mut command = is_valid.then(|| Command::new(program))?;
    command.args(arguments).envs(variables);
    Some((grace, command))
}

/// Runs the program until it and its descendants have ended. An error means that it was not started.
fn supervise(grace: Duration, mut command: Command) -> io::Result<ExitStatus> {
    set_child_subreaper(Some(getpid()))?;
    let signals = Signals::listen()?;
    let parent = Parent::watch()?;
    let child = command.process_group(0).spawn()?;
    let mut family = Family::of(child.id())?;
    parent.release_streams(&signals);
    let mut gone_since = parent.is_gone.then(Instant::now);
    while family.reap() && family.status.is_none() && !signals.end_requested() {
        let limit = gone_since.map(|since| CLOSE_GRACE.saturating_sub(since.elapsed()));
        if limit == Some(Duration::ZERO) {
            break;
        }
        let watched = gone_since.is_none().then_some(&parent);
        if signals.wait(watched, limit) {
            gone_since = Some(Instant::now());
        }
    }
    let grace = match family.status {
        Some(_) => grace.min(LEFTOVER_GRACE),
        None => grace,
    };
    family.end(grace, &signals);
    // There is no status only if the program has survived SIGKILL.
    Ok(family.status.unwrap_or(ExitStatus::from_raw(SIGTERM)))
}

/// The signals for this process: those that request its end, and SIGCHLD.
struct Signals {
    received: UnixStream,
    end_requested: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let (received, sender) = UnixStream::pair()?;
        received.set_nonblocking(true)?;
        let end_requested = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
            signal_hook::flag::register(signal, end_requested.clone())?;
        }
        // Some programs send their parent SIGUSR1 when they are ready. It must not end this process.
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD, SIGUSR1, SIGUSR2] {
            signal_hook::low_level::pipe::register(signal, sender.try_clone()?)?;
        }
        Ok(Self {
            received,
            end_requested,
        })
    }

    fn end_requested(&self) -> bool {
        self.end_requested.load(Ordering::Relaxed)
    }

    /// Waits for a signal, for at most `limit`, or until the parent is gone. Returns whether it is.
    fn wait(&self, parent: Option<&Parent>, limit: Option<Duration>) -> bool {
        let mut polled = vec![PollFd::new(&self.received, PollFlags::IN)];
        if let Some(parent) = parent {
            polled.push(PollFd::new(&parent.handle, parent.events));
        }
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut polled, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // For example out of memory: try again.
            Err(_) => std::thread::sleep(SEARCH_PAUSE),
        }
        let is_gone = polled.get(1).is_some_and(|at| !at.revents().is_empty());
        let mut buffer = [0; 64];
        while matches!((&self.received).read(&mut buffer), Ok(1..)) {}
        is_gone
    }
}

/// The parent process, which holds the other end of stdin.
struct Parent {
    /// A handle of the process, or stdin. `events` happen when the process has ended or the other end has closed.
    handle: OwnedFd,
    events: PollFlags,
    is_gone: bool,
}

impl Parent {
    fn watch() -> io::Result<Self> {
        let stdin = io::stdin();
        let handle = getppid().map(|parent| pidfd_open(parent, PidfdFlags::empty()));
        // Look at stdin after the handle was opened: if the parent had ended before, the handle is that of another process. A
        // hang-up is reported without a request for events, and nothing is read.
        let mut polled = [PollFd::new(&stdin, PollFlags::empty())];
        poll(&mut polled, Some(&Timespec::default()))?;
        let is_gone = !polled[0].revents().is_empty();
        let (handle, events) = match handle {
            Some(Ok(handle)) => (handle, PollFlags::IN),
            // A kernel older than 5.3, or a parent in another PID namespace.
            _ => (stdin.as_fd().try_clone_to_owned()?, PollFlags::empty()),
        };
        Ok(Self {
            handle,
            events,
            is_gone,
        })
    }

    /// Leaves the streams to the program: the parent notices when the program closes one of them, because this process has no copy.
    fn release_streams(&self, signals: &Signals) {
        // They are replaced by a descriptor that this process neither reads nor writes in their place.
        let other = signals.received.as_fd();
        let _ = rustix::stdio::dup2_stdin(other);
        let _ = rustix::stdio::dup2_stdout(other);
        let _ = rustix::stdio::dup2_stderr(other);
    }
}

/// The program and everything that descends from it.
struct Family {
    program: Pid,
    /// How the program ended, once it has.
    status: Option<ExitStatus>,
}

impl Family {
    fn of(program: u32) -> io::Result<Self> {
        let program = i32::try_from(program).ok().and_then(Pid::from_raw);
        Ok(Self {
            program: program.ok_or(Errno::SRCH)?,
            status: None,
        })
    }

    /// Waits for the children that have ended: the program, and orphans. Returns whether a child is left. Every descendant is a
    /// child or has an ancestor that is one, so without a child there is no descendant.
    fn reap(&mut self) -> bool {
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
    fn end(&mut self, grace: Duration, signals: &Signals) {
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
            signals.wait(None, Some(left));
        }
        let deadline = Instant::now() + KILL_LIMIT;
        while self.reap() && Instant::now() < deadline {
            self.signal(Signal::KILL);
            // A process may have started another one before it was killed.
            signals.wait(None, Some(SEARCH_PAUSE));
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
        // The name in parentheses may contain any character.
        let end = stat.iter().rposition(|byte| *byte == b')')?;
        let fields = std::str::from_utf8(&stat[end + 1..]).ok()?;
        let mut fields = fields.split_ascii_whitespace().skip(1);
        // 0 is a process in another PID namespace, or none.
        let parent = Pid::from_raw(fields.next()?.parse().ok()?);
        let group = Pid::from_raw(fields.next()?.parse().ok()?);
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

/// Ends this process as the program ended, so that the parent learns its exit code or its signal.
fn end_as(status: ExitStatus) -> u8 {
    let signal = status.signal();
    if let Some(signal) = signal {
        // The program has left its own core file, if any.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    // A signal without a name, such as a real-time signal, as shells report it.
    let code = status.code().or(signal.map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
