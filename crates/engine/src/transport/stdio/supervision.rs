//! Supervisors, on Linux: processes that each end all descendants of one program, also those that have left its process group.
//!
//! The command of [`StartupOptions::supervisor`] runs once. It is the launcher, which creates a supervisor for each program by fork(2).
//! The executable `mcp-startup` is one; its module `supervisor` describes how it works. `protocol` has the messages.
//!
//! A server may stop the launcher or its own supervisor (SIGSTOP). A stopped launcher is continued, or replaced if that does not help. If
//! the supervisor is stopped when it has to end the program, this process kills the descendants of the supervisor itself.
//!
//! [`StartupOptions::supervisor`]: crate::StartupOptions::supervisor

pub mod processes;
pub mod protocol;

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as Socket;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use self::processes::Process;
use self::protocol::{END, Report, Request, receive, send};
use super::lock;

/// The pause before a message is sent to the launcher again. The system limits how many file descriptors are under way.
const PAUSE: Duration = Duration::from_millis(2);
/// How long to wait for the launcher before it is continued if it was stopped, and how often it is.
const CONTINUE_PAUSE: Duration = Duration::from_millis(250);
const CONTINUED: usize = 2;
/// How often processes are searched for that were started before their parents were killed, and the pause between two searches.
const SEARCHES: usize = 50;
const SEARCH_PAUSE: Duration = Duration::from_millis(1);

/// Starts programs under supervisors.
pub(crate) struct Supervisors {
    command: Vec<OsString>,
    launcher: Mutex<Option<Arc<Launcher>>>,
}

/// The process that creates supervisors. It ends when this is dropped; the supervisors remain.
struct Launcher {
    socket: Socket,
    /// The current folder of this process when the launcher was started, and of the programs.
    folder: Option<PathBuf>,
    /// `None` if it has ended, or if there is no /proc.
    process: Option<Process>,
    /// It is reaped after this is dropped.
    child: Option<Child>,
}

/// A program that runs under a supervisor. When this is dropped, the supervisor ends it.
pub(crate) struct SupervisedProgram {
    control: UnixStream,
    supervisor: Option<Process>,
    /// The part of the next report that was read.
    report: Vec<u8>,
    /// How the program has ended, once all processes have. `Some(None)` if the supervisor has not reported it.
    status: Option<Option<ExitStatus>>,
}

/// The ends of stdin, stdout and stderr of a program.
pub(crate) type Streams = [OwnedFd; 3];

impl Supervisors {
    pub fn new(command: Vec<OsString>) -> Self {
        Self {
            command,
            launcher: Mutex::default(),
        }
    }

    /// Starts the program. Returns `None` if no supervisor can be started for it.
    pub async fn start(
        &self,
        request: &Request,
    ) -> Option<io::Result<(SupervisedProgram, Streams)>> {
        let message = request.encode()?;
        let mut last_error = None;
        // The launcher may have been killed since it created the last supervisor.
        for _ in 0..2 {
            let launcher = match self.launcher() {
                Ok(launcher) => launcher,
                Err(error) => {
                    last_error = Some(error);
                    break;
                }
            };
            match launcher.start(&message).await {
                Ok(started) => return Some(started),
                Err(error) => last_error = Some(error),
            }
            self.forget(&launcher);
        }
        if let Some(error) = last_error {
            // The program then starts without it, or fails for the same reason.
            tracing::warn!("the supervisor can't be started: {error}");
        }
        None
    }

    /// The launcher, which is started if there is none.
    fn launcher(&self) -> io::Result<Arc<Launcher>> {
        let folder = std::env::current_dir().ok();
        let mut launcher = lock(&self.launcher);
        if let Some(launcher) = &*launcher
            && launcher.folder == folder
        {
            return Ok(launcher.clone());
        }
        let new = Arc::new(Launcher::spawn(&self.command, folder)?);
        *launcher = Some(new.clone());
        Ok(new)
    }

    fn forget(&self, broken: &Arc<Launcher>) {
        let mut launcher = lock(&self.launcher);
        if launcher.as_ref().is_some_and(|it| Arc::ptr_eq(it, broken)) {
            *launcher = None;
        }
    }
}

impl Launcher {
    fn spawn(command: &[OsString], folder: Option<PathBuf>) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let (socket, stdin) = Socket::pair()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(stdin)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Signals of the terminal do not reach it.
            .process_group(0);
        let child = command.spawn()?;
        Ok(Self {
            socket,
            folder,
            process: child.id().and_then(|id| process(id.try_into().ok()?)),
            child: Some(child),
        })
    }

    /// An error of the outer result means that the launcher or the supervisor has ended or stays stopped. The inner error is the program's.
    async fn start(&self, message: &[u8]) -> io::Result<io::Result<(SupervisedProgram, Streams)>> {
        let (control, other_end) = match Socket::pair() {
            Ok(pair) => pair,
            // Without a supervisor, the program could not be started either.
            Err(error) => return Ok(Err(error)),
        };
        control.set_nonblocking(true)?;
        let mut program = SupervisedProgram {
            control: UnixStream::from_std(control)?,
            supervisor: None,
            report: Vec::new(),
            status: None,
        };
        let starting = async {
            self.send(other_end).await?;
            program.control.write_all(message).await?;
            program.started().await
        };
        let started = tokio::select! {
            biased;
            started = starting => Some(started),
            () = self.stays_stopped() => None,
        };
        let streams = match started {
            Some(started) => started?,
            None => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "another process stops it");
                match program.supervisor.and_then(|it| it.now()) {
                    None => return Err(error),
                    // Its program has probably done it, so it is not started again, and not without a supervisor.
                    Some(supervisor) if supervisor.is_stopped() => Err(error),
                    // It does not need the launcher any more.
                    Some(_) => program.started().await?,
                }
            }
        };
        Ok(streams.map(|streams| (program, streams)))
    }

    /// Continues the launcher if another process stops it, such as a server. Kills it and returns if it is stopped again each time.
    async fn stays_stopped(&self) {
        let mut stopped = 0;
        loop {
            tokio::time::sleep(CONTINUE_PAUSE).await;
            // A launcher that is only slow keeps its time.
            let Some(process) = self.process.and_then(|it| it.now()) else {
                continue;
            };
            if !process.is_stopped() {
                continue;
            }
            if stopped == CONTINUED {
                process.send(Signal::KILL);
                return;
            }
            process.send(Signal::CONT);
            stopped += 1;
        }
    }

    /// Sends the control socket of a new supervisor.
    async fn send(&self, control: Socket) -> io::Result<()> {
        loop {
            let sent = send(&self.socket, b"S", &[control.as_fd()]);
            let error = sent.as_ref().err();
            let code = error.and_then(rustix::io::Errno::from_io_error);
            match code {
                Some(rustix::io::Errno::AGAIN | rustix::io::Errno::TOOMANYREFS) => {
                    tokio::time::sleep(PAUSE).await;
                }
                _ => return sent,
            }
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // It ends when its socket closes, unless it was stopped.
        if let Some(process) = self.process {
            process.send(Signal::CONT);
        }
        // If it is dropped before it has ended, the runtime adds a handler for SIGCHLD to the process of the host.
        if let Some(mut child) = self.child.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { drop(child.wait().await) });
        }
    }
}

impl SupervisedProgram {
    /// Waits for the report about the start.
    async fn started(&mut self) -> io::Result<io::Result<Streams>> {
        loop {
            let mut bytes = [0; Report::LENGTH];
            let receive = || receive(&self.control, &mut bytes);
            let received = self.control.async_io(Interest::READABLE, receive).await;
            let (length, streams) = match received {
                Ok(received) => received,
                // This process can't have more file descriptors: without a supervisor, the program could not be started either.
                Err(error)
                    if rustix::io::Errno::from_io_error(&error)
                        == Some(rustix::io::Errno::MFILE) =>
                {
                    return Ok(Err(error));
                }
                Err(error) => return Err(error),
            };
            let report = Some(bytes).filter(|_| length == Report::LENGTH);
            match (report.and_then(Report::decode), Streams::try_from(streams)) {
                (Some(Report::Starting(supervisor)), _) => self.supervisor = process(supervisor),
                (Some(Report::Started), Ok(streams)) => return Ok(Ok(streams)),
                (Some(Report::NotStarted(error)), _) => {
                    self.status = Some(None);
                    return Ok(Err(io::Error::from_raw_os_error(error)));
                }
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Waits until the program and its descendants have ended. Returns `None` if the supervisor was killed. It can be cancelled.
    pub async fn wait(&mut self) -> Option<ExitStatus> {
        while self.status.is_none() {
            let mut bytes = [0; Report::LENGTH];
            let missing = Report::LENGTH - self.report.len();
            let read = match self.control.readable().await {
                Ok(()) => self.control.try_read(&mut bytes[..missing]),
                Err(error) => Err(error),
            };
            match read {
                Ok(length @ 1..) => self.report.extend_from_slice(&bytes[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Ok(_) | Err(_) => self.status = Some(None),
            }
            if let Ok(report) = self.report.as_slice().try_into() {
                self.status = Some(match Report::decode(report) {
                    Some(Report::Ended(status)) => Some(ExitStatus::from_raw(status)),
                    _ => None,
                });
            }
        }
        self.status.flatten()
    }

    /// Requests the supervisor to end all processes.
    pub fn end(&self) -> io::Result<()> {
        match self.status {
            Some(_) => Ok(()),
            None => send(&self.control, &[END], &[]),
        }
    }

    /// Kills the processes if the supervisor was stopped and can't end them. Returns whether it was stopped.
    ///
    /// A process that stops the supervisor again and again is one of them, so the supervisor can be continued afterwards. Its descendants
    /// are still its own meanwhile, also those that have lost their parents.
    pub fn end_if_stopped(&self) -> bool {
        let supervisor = self.supervisor.filter(|_| self.status.is_none());
        let supervisor = supervisor.and_then(|it| it.now());
        let Some(supervisor) = supervisor.filter(Process::is_stopped) else {
            return false;
        };
        for search in 0..SEARCHES {
            let found = supervisor.kill_descendants();
            if !found && search > 0 {
                break;
            }
            std::thread::sleep(SEARCH_PAUSE);
        }
        supervisor.send(Signal::CONT);
        true
    }
}

fn process(id: i32) -> Option<Process> {
    Process::read(Pid::from_raw(id).filter(|_| id > 0)?)
}

impl Drop for SupervisedProgram {
    fn drop(&mut self) {
        // A supervisor that already ends the processes ignores it.
        let _ = self.end();
        self.end_if_stopped();
    }
}
