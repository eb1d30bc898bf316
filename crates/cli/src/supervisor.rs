//! The processes between this program and the MCP servers on Linux: they end every process that a server leaves behind.
//!
//! `mcp-startup __supervise` is the launcher: for each server, it forks a supervisor, which is cheaper than to execute one. Its stdin is a
//! socket from the process that starts the servers, and with its end, the launcher ends. `mcp_startup::supervisor_protocol` has the messages.
//!
//! A supervisor starts the program of one server. As the child subreaper of its descendants (prctl(2), `PR_SET_CHILD_SUBREAPER`), it
//! becomes the parent of each process that outlives its own parent, also of a daemon in another session. It ends all descendants when
//! the program exits, when it gets a signal, when its control socket requests it, and when that is closed. Then it reports how the
//! program ended. It has no copy of the program's streams, and none of other servers.
//!
//! It does not end processes that others start for the server (systemd, a container engine, at, cron) or that run as another user.
//! If the supervisor itself is killed, only the closed stdin tells the server to exit. If it is stopped, the launcher continues it, or this
//! program ends its descendants. The packages for Node and Python use no
//! supervisor, because each would be a second Node or Python: there, as in every library, a server ends with its process group.

mod family;
mod signals;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use mcp_startup::supervisor_protocol::{END, Execution, ReceivedRequest, Report, receive, send};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::Signal;
use nix::unistd::ForkResult;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, getpid, kill_process, set_child_subreaper, setsid, wait};

use self::family::Family;
use self::signals::Signals;

/// The hidden subcommand: the first argument of the program, which then reads and sets up nothing else.
pub const SUBCOMMAND: &str = "__supervise";

/// How long the program may take to exit if its stdin is closed because this program was killed (MCP, stdio shutdown).
const CLOSE_GRACE: Duration = Duration::from_millis(1500);
/// How long descendants may take to exit after SIGTERM if the program has already exited.
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);

/// The command that runs this executable as the launcher. It also works after the file was replaced, for example by an update.
pub fn command() -> Vec<OsString> {
    vec!["/proc/self/exe".into(), SUBCOMMAND.into()]
}

/// Runs the launcher or, in a process that it has forked, a supervisor. Returns the exit code to end with.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let result = match arguments {
        [] => launch(),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let usage = "usage: mcp-startup __supervise, with a socket of mcp-startup as stdin";
            let _ = writeln!(io::stderr(), "{usage}: {error}");
            2.into()
        }
    }
}

/// Forks a supervisor for each control socket that comes from stdin, until that is closed.
fn launch() -> io::Result<()> {
    let signals = Signals::listen()?;
    while let Some(control) = next_control_socket(&signals)? {
        // The other end notices if the control socket is closed and no program was started.
        if let Ok(ForkResult::Child) = fork() {
            // The socket is the launcher's.
            rustix::stdio::dup2_stdin(rustix::stdio::stdout())?;
            let result = supervise(&control, &signals);
            // Nothing is left to do. The usual end of a program costs more than the rest of a supervisor.
            signal_hook::low_level::exit(result.is_err().into());
        }
    }
    Ok(())
}

/// Forks this process. It is called only by the launcher.
#[allow(
    unsafe_code,
    reason = "neither the standard library nor rustix has a safe function for it"
)]
fn fork() -> nix::Result<ForkResult> {
    // SAFETY: the launcher has only one thread, so the new process may call any function (fork(2)).
    unsafe { nix::unistd::fork() }
}

/// Waits for the next control socket, and reaps the supervisors that have ended meanwhile. Returns `None` if stdin is closed, or if a
/// signal requests the end.
fn next_control_socket(signals: &Signals) -> io::Result<Option<UnixStream>> {
    let stdin = rustix::stdio::stdin();
    while !signals.end_requested() {
        match receive(stdin, &mut [0]) {
            Ok((0, _)) => break,
            Ok((_, handles)) => {
                if let Some(control) = handles.into_iter().next() {
                    return Ok(Some(control.into()));
                }
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => {
                    signals.wait(Some(stdin), None);
                    reap();
                }
                // The other end notices that the control socket is closed.
                Some(Errno::INTR | Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {}
                _ => return Err(error),
            },
        }
    }
    Ok(None)
}

/// Reaps the supervisors that have ended, and continues those that their server has stopped, so that they end their descendants.
fn reap() {
    while let Ok(Some((supervisor, status))) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
        if status.stopped() {
            let _ = kill_process(supervisor, rustix::process::Signal::CONT);
        }
    }
}

/// Runs the requested program until it and its descendants have ended. An error means that it was not started.
fn supervise(control: &UnixStream, signals: &Signals) -> io::Result<()> {
    // Without a terminal, a program can neither write into the output of this one nor wait for an answer there.
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    let request = ReceivedRequest::read(control)?;
    let execution = request.execution().ok_or(io::ErrorKind::InvalidData)?;
    // It was already dropped, or this program was killed.
    if message(control) != Message::None {
        return Ok(());
    }
    // The program may stop this process before it can report the start.
    let starting = Report::Starting(getpid().as_raw_pid());
    send(control, &starting.encode(), &[])?;
    let (program, streams) = match execute(&execution, signals) {
        Ok(started) => started,
        Err(error) => {
            let code = error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error());
            return send(control, &Report::NotStarted(code).encode(), &[]);
        }
    };
    let mut family = Family::of(program);
    let handles = [streams[0].as_fd(), streams[1].as_fd(), streams[2].as_fd()];
    // If this fails, the control socket is closed, which is noticed below.
    let _ = send(control, &Report::Started.encode(), &handles);
    drop(streams);
    let mut closed_since = None;
    while family.reap() && family.status.is_none() && !signals.end_requested() {
        let limit = closed_since.map(|since: Instant| CLOSE_GRACE.saturating_sub(since.elapsed()));
        if limit == Some(Duration::ZERO) {
            break;
        }
        let watched = closed_since.is_none().then_some(control);
        if signals.wait(watched, limit) {
            match message(control) {
                Message::None => {}
                Message::End => break,
                Message::Closed => closed_since = Some(Instant::now()),
            }
        }
    }
    let grace = match family.status {
        Some(_) => request.grace().min(LEFTOVER_GRACE),
        None => request.grace(),
    };
    family.end(grace, signals);
    // There is no status only if the program has survived SIGKILL.
    let status = family
        .status
        .unwrap_or(ExitStatus::from_raw(Signal::SIGTERM as i32));
    let _ = send(control, &Report::Ended(status.into_raw()).encode(), &[]);
    Ok(())
}

/// Starts the program in a process group of its own. Returns its ID and the other ends of its stdin, stdout and stderr.
///
/// As `Command` does it, but without its copies: they cost more than the rest of a supervisor.
fn execute(execution: &Execution<'_>, signals: &Signals) -> io::Result<(Pid, [OwnedFd; 3])> {
    let (stdin, own_stdin) = io::pipe()?;
    let (own_stdout, stdout) = io::pipe()?;
    let (own_stderr, stderr) = io::pipe()?;
    let mut actions = PosixSpawnFileActions::init()?;
    actions.add_dup2(stdin.as_raw_fd(), 0)?;
    actions.add_dup2(stdout.as_raw_fd(), 1)?;
    actions.add_dup2(stderr.as_raw_fd(), 2)?;
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    attributes.set_pgroup(nix::unistd::Pid::from_raw(0))?;
    attributes.set_sigmask(signals.inherited())?;
    // Rust programs ignore it.
    attributes.set_sigdefault(&Signal::SIGPIPE.into())?;
    if !execution.folder.is_empty() {
        std::env::set_current_dir(OsStr::from_bytes(execution.folder.to_bytes()))?;
    }
    let (arguments, environment) = (&execution.arguments, &execution.environment);
    let program = posix_spawn(arguments[0], &actions, &attributes, arguments, environment)?;
    let program = Pid::from_raw(program.as_raw()).ok_or(Errno::SRCH)?;
    Ok((
        program,
        [own_stdin.into(), own_stdout.into(), own_stderr.into()],
    ))
}

/// A message on the control socket after the request.
#[derive(PartialEq, Eq)]
enum Message {
    None,
    End,
    Closed,
}

fn message(control: &UnixStream) -> Message {
    let mut byte = [0];
    match receive(control, &mut byte) {
        Ok((1.., _)) if byte == [END] => Message::End,
        Ok((1.., _)) => Message::None,
        Ok((0, _)) => Message::Closed,
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::AGAIN | Errno::INTR | Errno::NOMEM) => Message::None,
            _ => Message::Closed,
        },
    }
}
