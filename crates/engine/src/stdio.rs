//! A server that is a program: launched without a shell, in a process group that ends with the start.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_startup_config::{InheritedEnvironment, ServerConfig, StdioConfig};
use mcp_startup_core::{ProcessEvidence, SpawnFailure, printable};
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::findings::Findings;
use crate::limits::{CHECK_BYTES, HANDSHAKE_BYTES, LIVE_BYTES};

/// How much of the beginning of its output is kept, in bytes.
const HEAD_BYTES: usize = 1024;
/// How much of the end of its stderr is kept, in bytes.
const STDERR_BYTES: usize = 4096;
/// The same as evidence, in characters.
const STDERR_CHARS: usize = 2000;
/// How long a program that has closed its output may take to end, so that its exit can be told: under many others a wrapper
/// takes its time.
const EXIT_GRACE: Duration = Duration::from_secs(2);
/// How long what it wrote last may take to arrive.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);
/// How long a program may take to end after its input was closed (MCP, stdio shutdown), and after it was asked to.
const CLOSE_GRACE: Duration = Duration::from_secs(2);
const TERMINATE_GRACE: Duration = Duration::from_millis(500);

/// The program of one server and all that it started: its process group ends when this is dropped.
pub(crate) struct Program {
    /// Nothing only while this is dropped.
    child: Option<Box<dyn ChildWrapper>>,
    output: Arc<Output>,
    stderr: Arc<Mutex<VecDeque<u8>>>,
    stderr_reader: JoinHandle<()>,
    connection: ConnectionSlot,
}

/// The connection to a program while nobody uses it.
pub(crate) type ConnectionSlot = Arc<Mutex<Option<Connection>>>;
type Connection = AsyncRwTransport<RoleClient, BoundedOutput, ChildStdin>;

impl Program {
    /// Launches the program. What is wrong with it, where it can't be, goes into the findings.
    pub fn launch(
        server: &ServerConfig,
        config: &StdioConfig,
        live: bool,
        findings: &Findings,
    ) -> Option<Self> {
        let environment = environment(config);
        let path = environment
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("PATH"))
            .map(|(_, path)| path.clone())
            .unwrap_or_default();
        let shown_path = path.to_string_lossy().into_owned();
        findings.note(|evidence| {
            evidence.process = Some(ProcessEvidence {
                program: Some(findings.foreign(&config.command, 200)),
                path: Some(findings.foreign(&shown_path, 1000)),
                ..ProcessEvidence::default()
            });
        });
        if let Some(cwd) = &config.cwd
            && !cwd.is_dir()
        {
            let problem = format!("the folder {} does not exist", cwd.display());
            findings.misconfigured(&server.problem("cwd", problem));
            return None;
        }
        let Some(program) = find_program(&config.command, &path, config.cwd.as_deref()) else {
            note_process(findings, |process| {
                process.spawn = Some(SpawnFailure::NotFound)
            });
            return None;
        };
        let mut command = Command::new(&program);
        command
            .args(&config.args)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(cwd) = &config.cwd {
            command.current_dir(cwd);
        }
        let mut command = CommandWrap::from(command);
        command.wrap(KillOnDrop);
        #[cfg(unix)]
        command.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                note_process(findings, |process| {
                    process.spawn = Some(SpawnFailure::Failed);
                });
                findings.cause(&error);
                if is_of_the_program(&error) {
                    let problem = format!("{} can't be run: {error}", program.display());
                    findings.misconfigured(&server.problem("command", problem));
                }
                return None;
            }
        };
        let (Some(stdin), Some(stdout), Some(stderr)) = (
            child.stdin().take(),
            child.stdout().take(),
            child.stderr().take(),
        ) else {
            return None;
        };
        let output = Arc::new(Output::default());
        let bounded = BoundedOutput {
            stdout,
            output: output.clone(),
        };
        let connection = AsyncRwTransport::new_client(bounded, stdin)
            .with_max_line_length(if live { LIVE_BYTES } else { CHECK_BYTES });
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        Some(Self {
            child: Some(child),
            output,
            stderr: tail.clone(),
            stderr_reader: tokio::spawn(keep_tail(stderr, tail)),
            connection: Arc::new(Mutex::new(Some(connection))),
        })
    }

    /// Where its connection is while nobody uses it.
    pub fn connections(&self) -> ConnectionSlot {
        self.connection.clone()
    }

    /// Waits until the program has ended, and what it wrote last has had time to be read.
    pub async fn exited(&mut self) {
        if self.wait().await.is_some() {
            tokio::time::sleep(OUTPUT_GRACE).await;
        } else {
            std::future::pending().await
        }
    }

    /// The handshake was answered: from now on no bound but that of a line holds.
    pub fn answered(&self) {
        self.output.answered.store(true, Ordering::Relaxed);
    }

    /// The handshake failed by itself: finds out what became of the program.
    pub async fn find_end(&mut self, findings: &Findings) {
        let head = lock(&self.output.head).clone();
        if self.output.exceeded.load(Ordering::Relaxed) {
            findings.not_mcp(&head);
            return;
        }
        let Ok(Some(status)) = tokio::time::timeout(EXIT_GRACE, self.wait()).await else {
            // It lives on, and what it has said is no answer.
            if !head.is_empty() {
                findings.not_mcp(&head);
            }
            return;
        };
        let _ = tokio::time::timeout(OUTPUT_GRACE, &mut self.stderr_reader).await;
        let (exit, signal) = code_and_signal(status);
        note_process(findings, |process| {
            process.exit = exit;
            process.signal = signal;
        });
    }

    /// Keeps the end of what the program has written to stderr.
    pub fn note_stderr(&self, findings: &Findings) {
        let tail: Vec<u8> = lock(&self.stderr).iter().copied().collect();
        let text = String::from_utf8_lossy(&tail);
        // Half of a character, where it was cut off.
        let text = text.trim_start_matches('\u{fffd}');
        let lines: Vec<_> = findings
            .hide_in(text)
            .lines()
            .map(|line| printable(line, STDERR_CHARS))
            .collect();
        let text = lines.join("\n");
        let cut = text.char_indices().rev().nth(STDERR_CHARS - 1);
        let end = &text[cut.map_or(0, |(at, _)| at)..];
        note_process(findings, |process| {
            process.stderr = (!end.trim().is_empty()).then(|| end.to_owned());
        });
    }

    /// Ends the program as the specification says: its input is closed (the caller has dropped the connection), then it is
    /// asked to, then its whole group is ended.
    pub async fn close(mut self) {
        drop(take(&self.connection));
        if tokio::time::timeout(CLOSE_GRACE, self.wait())
            .await
            .is_err()
        {
            self.terminate().await;
        }
    }

    /// Ends the program, whose start has come to nothing.
    pub async fn end(mut self) {
        drop(take(&self.connection));
        self.terminate().await;
    }

    async fn terminate(&mut self) {
        #[cfg(unix)]
        {
            const SIGTERM: i32 = 15;
            let asked = self.child.as_ref().map(|child| child.signal(SIGTERM));
            if matches!(asked, Some(Ok(()))) {
                let _ = tokio::time::timeout(TERMINATE_GRACE, self.wait()).await;
            }
        }
        if let Some(child) = &mut self.child {
            let _ = child.start_kill();
        }
        let _ = tokio::time::timeout(TERMINATE_GRACE, self.wait()).await;
    }

    /// Waits until the program has ended; `None` where that can't be known.
    async fn wait(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.wait().await.ok()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stderr_reader.abort();
        let Some(mut child) = self.child.take() else {
            return;
        };
        // The whole group, and what is left of it where the program itself has ended.
        let _ = child.start_kill();
        // It is waited for: else it stays among the system's processes until this one ends, or the runtime looks by chance.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { drop(child.wait().await) });
        }
    }
}

fn note_process(findings: &Findings, note: impl FnOnce(&mut ProcessEvidence)) {
    findings.note(|evidence| note(evidence.process.get_or_insert_default()));
}

/// Whether a program can't be run because of what it is; and not because this machine has run out of something.
fn is_of_the_program(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    // "Exec format error" on Unix, "not a valid application" on Windows.
    let format_error = if cfg!(windows) { 193 } else { 8 };
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::InvalidInput
            | ErrorKind::ArgumentListTooLong
    ) || error.raw_os_error() == Some(format_error)
}

fn environment(config: &StdioConfig) -> Vec<(OsString, OsString)> {
    let inherited: Vec<_> = match config.inherited {
        InheritedEnvironment::Everything => std::env::vars_os().collect(),
        InheritedEnvironment::Named(names) => names
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
            .collect(),
    };
    let configured = config
        .env
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value.expose_secret())));
    let is_configured = |name: &OsString| config.env.iter().any(|(own, _)| name == own.as_str());
    inherited
        .into_iter()
        .filter(|(name, _)| !is_configured(name))
        .chain(configured)
        .collect()
}

/// The program that `command` means, as an absolute path: a path as it is (one that is relative from the folder it is run in),
/// a name by the PATH.
fn find_program(command: &str, path: &std::ffi::OsStr, cwd: Option<&Path>) -> Option<PathBuf> {
    let given = Path::new(command);
    let found = if given.components().count() > 1 || given.is_absolute() {
        let from = cwd.map_or_else(|| given.to_owned(), |cwd| cwd.join(given));
        from.exists().then_some(from)?
    } else {
        let names = names_of(command);
        std::env::split_paths(path)
            .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
            .find(|candidate| is_program(candidate))?
    };
    std::path::absolute(found).ok()
}

/// The names that a program of this name may have. On Windows a file without a suffix is a script of some other system's.
fn names_of(command: &str) -> Vec<String> {
    if cfg!(not(windows)) || Path::new(command).extension().is_some() {
        return vec![command.to_owned()];
    }
    let suffixes = ["com", "exe", "bat", "cmd"];
    suffixes.map(|suffix| format!("{command}.{suffix}")).into()
}

#[cfg(unix)]
fn is_program(candidate: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    candidate
        .metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(candidate: &Path) -> bool {
    candidate.is_file()
}

#[cfg(unix)]
fn code_and_signal(status: ExitStatus) -> (Option<i32>, Option<i32>) {
    use std::os::unix::process::ExitStatusExt;
    (status.code(), status.signal())
}

#[cfg(not(unix))]
fn code_and_signal(status: ExitStatus) -> (Option<i32>, Option<i32>) {
    (status.code(), None)
}

async fn keep_tail(mut stderr: ChildStderr, tail: Arc<Mutex<VecDeque<u8>>>) {
    let mut buffer = [0; 2048];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        let mut tail = lock(&tail);
        tail.extend(&buffer[..read]);
        let surplus = tail.len().saturating_sub(STDERR_BYTES);
        tail.drain(..surplus);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection, for one handshake; it comes back when the handshake has failed.
pub(crate) fn lend(slot: &ConnectionSlot) -> Option<LentConnection> {
    let connection = take(slot)?;
    Some(LentConnection {
        connection: Some(connection),
        home: slot.clone(),
    })
}

fn take(slot: &ConnectionSlot) -> Option<Connection> {
    lock(slot).take()
}

/// The connection to a program, lent to one handshake: where that fails, the SDK drops it, and it goes home for the next.
pub(crate) struct LentConnection {
    connection: Option<Connection>,
    home: ConnectionSlot,
}

impl Drop for LentConnection {
    fn drop(&mut self) {
        *lock(&self.home) = self.connection.take();
    }
}

impl Transport<RoleClient> for LentConnection {
    type Error = std::io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let sending = self
            .connection
            .as_mut()
            .map(|connection| connection.send(message));
        async move {
            match sending {
                Some(sending) => sending.await,
                None => Err(std::io::ErrorKind::NotConnected.into()),
            }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        self.connection.as_mut()?.receive().await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        // Closing the program's input is what asks it to end.
        drop(self.connection.take());
        Ok(())
    }
}

/// What is known of a program's output.
#[derive(Debug, Default)]
struct Output {
    read: AtomicUsize,
    answered: AtomicBool,
    exceeded: AtomicBool,
    head: Mutex<Vec<u8>>,
}

/// The output of a program, which ends where too much has come before the handshake was answered.
pub(crate) struct BoundedOutput {
    stdout: ChildStdout,
    output: Arc<Output>,
}

impl AsyncRead for BoundedOutput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stdout).poll_read(context, buffer);
        let output = &self.output;
        if polled.is_pending() || output.answered.load(Ordering::Relaxed) {
            return polled;
        }
        let new = &buffer.filled()[before..];
        let read = output.read.fetch_add(new.len(), Ordering::Relaxed);
        if read < HEAD_BYTES {
            let wanted = new.len().min(HEAD_BYTES - read);
            lock(&output.head).extend_from_slice(&new[..wanted]);
        }
        if read + new.len() > HANDSHAKE_BYTES {
            output.exceeded.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(std::io::Error::other(
                "too much output before an answer",
            )));
        }
        polled
    }
}
