//! The stdio transport: launches a program without a shell, and ends it with the start.
//!
//! Without a supervisor, the program leads a process group, which is killed; a package runner gets time to end before. With one ([`StartupOptions::supervisor`]), no process is
//! signaled here unless the supervisor was stopped: the supervisor ends the program and all descendants, also those in other groups and
//! sessions.
//!
//! [`StartupOptions::supervisor`]: crate::StartupOptions::supervisor

mod connection;
mod output;
mod package_runner;
mod program;
mod remedy;
#[cfg(target_os = "linux")]
pub(crate) mod supervision;

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use mcp_startup_config::{ServerConfig, StdioConfig};
use mcp_startup_core::{ProcessEvidence, SpawnFailure};
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

pub(crate) use self::connection::lend;
use self::connection::{BoundedOutput, Connection, Output, take};
use self::output::{Excerpt, Lines, other_output, shown, text_on_stdout};
use self::package_runner::is_package_runner;
use self::program::{environment, find_program, is_fault_of_program, is_too_long};
#[cfg(target_os = "linux")]
pub(crate) use self::supervision::Supervisors;
#[cfg(target_os = "linux")]
use self::supervision::{SupervisedProgram, protocol::Request};
use super::json_size::ValueCounter;
use super::large_messages::LargeMessage;
use super::read_limits::MessageLimit;
use crate::start::evidence_collector::EvidenceCollector;
use crate::timeline::TimelineStep;

/// How long to wait for the exit status of a program that has closed its output. On a busy machine, a wrapper needs a while to
/// exit.
const EXIT_GRACE: Duration = Duration::from_secs(2);
/// How long to wait for the last output of a program that has exited.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);
/// How long a program may take to exit after its input is closed (MCP, stdio shutdown), and then after SIGTERM.
const CLOSE_GRACE: Duration = Duration::from_secs(2);
const TERMINATE_GRACE: Duration = Duration::from_millis(500);
/// How long a package runner, which may be installing a package, may take to exit after SIGTERM. npm removes what it has installed.
const PACKAGE_RUNNER_GRACE: Duration = Duration::from_secs(60);
/// How long to wait for a supervisor to end the program. It may need longer for a package runner, and then continues by itself.
#[cfg(target_os = "linux")]
const SUPERVISOR_GRACE: Duration = Duration::from_millis(1500);
/// How often to look whether a server has stopped its supervisor, and the pause between two looks. It may be continued and stopped
/// again and again.
#[cfg(target_os = "linux")]
const SUPERVISOR_LOOKS: usize = 10;
#[cfg(target_os = "linux")]
const SUPERVISOR_PAUSE: Duration = Duration::from_millis(5);
#[cfg(unix)]
const SIGTERM: i32 = 15;

/// The program of one server and its child processes. They end when this is dropped.
pub(crate) struct Program {
    /// `None` only during `drop`.
    child: Option<Child>,
    output: Arc<Output>,
    stderr: Arc<Mutex<Excerpt>>,
    stderr_reader: JoinHandle<()>,
    connection: ConnectionSlot,
}

/// How a program ends with its descendants.
enum Child {
    Group(Group),
    #[cfg(target_os = "linux")]
    Supervised(SupervisedProgram),
}

/// A process group.
struct Group {
    child: Box<dyn ChildWrapper>,
    /// Whether the group may be installing a package, which must not be interrupted by SIGKILL.
    installs: bool,
    /// Whether SIGTERM was sent.
    terminated: bool,
}

type Streams = (ChildStdin, ChildStdout, ChildStderr);

/// Holds the connection to a program while no handshake uses it.
pub(crate) type ConnectionSlot = Arc<Mutex<Option<Connection>>>;

impl Program {
    /// Launches the program. If this fails, it returns `None`, and the collector has the evidence.
    pub async fn launch(
        server: &ServerConfig,
        config: &StdioConfig,
        supervisors: Option<&Supervisors>,
        collector: &Arc<EvidenceCollector>,
    ) -> Option<Self> {
        let (environment, path) = environment(config);
        let shown_path = path.to_string_lossy().into_owned();
        collector.update(|evidence| {
            evidence.process = Some(ProcessEvidence {
                program: Some(collector.sanitize(&config.command, 200)),
                package: package_runner::package(&config.command, &config.args)
                    .map(|package| collector.sanitize(package, 120)),
                path: Some(collector.sanitize(&shown_path, 1000)),
                ..ProcessEvidence::default()
            });
        });
        if let Some(problem) = config.cwd.as_deref().and_then(remedy::problem_of_folder) {
            collector.record_entry_problem(&server.problem("cwd", problem));
            return None;
        }
        let Some(program) = find_program(&config.command, &path, config.cwd.as_deref()) else {
            let missing = remedy::MissingProgram {
                command: &config.command,
                path: &path,
                cwd: config.cwd.as_deref(),
            };
            let name = collector.sanitize(&missing.name(), 200);
            record_process(collector, |process| {
                process.program = Some(name);
                process.spawn = Some(SpawnFailure::NotFound);
            });
            if let Some(remedy) = missing.remedy() {
                collector.record_probable_cause(&server.problem("command", remedy));
            }
            return None;
        };
        let spawned = spawn(config, &program, environment, supervisors).await;
        let (child, (stdin, stdout, stderr)) = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                record_spawn_error(server, config, &program, &error, collector);
                return None;
            }
        };
        let lines = collector.timeline().map(|timeline| {
            timeline.record(TimelineStep::ProgramStarted {
                program: collector.sanitize(&program.to_string_lossy(), 200),
                arguments: config.args.len(),
            });
            Lines::new(collector.clone())
        });
        let output = Arc::new(Output::default());
        let bounded = BoundedOutput {
            collector: collector.clone(),
            values: ValueCounter::default(),
            limit: MessageLimit::default(),
            line: 0,
            large: LargeMessage::default(),
            stdout,
            output: output.clone(),
        };
        let connection = Connection::new(bounded, stdin, collector.clone());
        let excerpt = Arc::new(Mutex::new(Excerpt::default()));
        Some(Self {
            child: Some(child),
            output,
            stderr: excerpt.clone(),
            stderr_reader: tokio::spawn(keep_excerpt(stderr, excerpt, lines)),
            connection: Arc::new(Mutex::new(Some(connection))),
        })
    }

    /// The slot that holds the connection while no handshake uses it.
    pub fn connection_slot(&self) -> ConnectionSlot {
        self.connection.clone()
    }

    /// Waits until the program has exited, and then until its last output can be read.
    pub async fn exited(&mut self) {
        if self.wait().await.is_some() {
            tokio::time::sleep(OUTPUT_GRACE).await;
        } else {
            std::future::pending().await
        }
    }

    /// Whether the program has exited, or exits within `grace`.
    pub async fn has_exited(&mut self, grace: Duration) -> bool {
        let exited = tokio::time::timeout(grace, self.wait()).await;
        matches!(exited, Ok(Some(_)))
    }

    /// Whether the program has sent a message that is too long, after the handshake.
    pub fn sent_too_long_a_message(&self) -> bool {
        self.output.too_long.load(Ordering::Relaxed)
    }

    /// Call this before the handshake if the list of tools is requested together with it.
    pub fn list_tools_early(&self) {
        self.output.lists_early.store(true, Ordering::Relaxed);
    }

    /// Call this after the handshake: from now on, only the length of each line is limited.
    pub fn answered(&self) {
        self.output.answered.store(true, Ordering::Relaxed);
    }

    /// Call this after the handshake has failed: records how the program has ended, or why it can't be used if it still runs.
    pub async fn record_end(&mut self, collector: &EvidenceCollector) {
        if self.output.exceeded.load(Ordering::Relaxed) {
            self.record_useless_streams(collector);
            return;
        }
        let connection = take(&self.connection);
        // A program that exits early writes its reason while nothing reads it.
        let drain = async {
            if let Some(mut connection) = connection {
                connection.drain().await;
            }
        };
        let mut drain = std::pin::pin!(drain.fuse());
        let status = {
            let mut exit = std::pin::pin!(tokio::time::timeout(EXIT_GRACE, self.wait()));
            tokio::select! {
                status = &mut exit => status,
                () = &mut drain => exit.await,
            }
        };
        let Ok(Some(status)) = status else {
            self.record_useless_streams(collector);
            return;
        };
        let rest = async { tokio::join!(&mut drain, &mut self.stderr_reader) };
        let _ = tokio::time::timeout(OUTPUT_GRACE, rest).await;
        let (exit, signal) = code_and_signal(status);
        record_process(collector, |process| {
            process.exit = exit;
            process.signal = signal;
        });
        if let Some(timeline) = collector.timeline() {
            timeline.record(TimelineStep::ProgramExited { code: exit, signal });
        }
    }

    /// Records why a program that still runs can't be used: its output is no answer, or it has closed its output or its input.
    fn record_useless_streams(&self, collector: &EvidenceCollector) {
        let (other, _) = self.other_output();
        if !other.trim().is_empty() {
            collector.record_non_mcp_output(other.as_bytes());
            return;
        }
        if self.output.exceeded.load(Ordering::Relaxed) {
            let problem = "message: has more than 1 MiB or too many values";
            collector.record_invalid_field("initialize", problem);
            return;
        }
        let stream = match self.output.ended.load(Ordering::Relaxed) {
            true => "output (stdout)",
            false => "input (stdin)",
        };
        let cause = format!("its program has closed its {stream}, and still runs");
        collector.update(|evidence| evidence.cause = Some(cause));
    }

    /// The part of stdout that is not messages, and the problem with a message in it.
    fn other_output(&self) -> (String, Option<String>) {
        let head = lock(&self.output.head);
        other_output(&head, self.output.read.load(Ordering::Relaxed))
    }

    /// Records what the program has written to stderr.
    pub fn record_stderr(&self, collector: &EvidenceCollector) {
        let stderr = shown(&lock(&self.stderr).parts(), collector);
        record_process(collector, |process| process.stderr = stderr);
    }

    /// Records the text that a ready program has written to stdout. Returns whether there is any.
    pub fn record_text_on_stdout(&self, collector: &EvidenceCollector) -> bool {
        let text = text_on_stdout(&lock(&self.output.head), &lock(&self.output.last_other));
        let text = shown(&[text], collector);
        let has_text = text.is_some();
        record_process(collector, |process| process.stdout = text);
        has_text
    }

    /// Records the output of the program that is not MCP, and a message with an invalid field.
    pub fn record_output(&self, collector: &EvidenceCollector) {
        self.record_stderr(collector);
        let (mut stdout, problem) = self.other_output();
        stdout.push_str(&String::from_utf8_lossy(&lock(&self.output.last_other)));
        let stdout = shown(&[stdout], collector);
        record_process(collector, |process| process.stdout = stdout);
        if let Some(problem) = problem {
            collector.record_invalid_field("initialize", &problem);
        }
    }

    /// Ends the program in the order that the MCP specification requires: closes its input, sends SIGTERM, and kills it and its
    /// descendants. The caller has dropped the connection.
    pub async fn close(mut self) {
        drop(take(&self.connection));
        if tokio::time::timeout(CLOSE_GRACE, self.wait())
            .await
            .is_err()
        {
            self.terminate().await;
        }
    }

    /// Ends the program of a start that has failed or was cancelled, without waiting for it to react to the end of its input.
    pub async fn end(mut self) {
        drop(take(&self.connection));
        self.terminate().await;
    }

    async fn terminate(&mut self) {
        match &mut self.child {
            #[cfg(target_os = "linux")]
            Some(Child::Supervised(program)) => {
                // If it can't be reached, it has ended, which ends the wait.
                let _ = program.end();
                if tokio::time::timeout(SUPERVISOR_GRACE, program.wait())
                    .await
                    .is_ok()
                {
                    return;
                }
                for _ in 0..SUPERVISOR_LOOKS {
                    if program.end_if_stopped() {
                        let _ = tokio::time::timeout(SUPERVISOR_GRACE, program.wait()).await;
                        return;
                    }
                    tokio::time::sleep(SUPERVISOR_PAUSE).await;
                }
            }
            Some(Child::Group(group)) => {
                if group.terminate() {
                    let _ = tokio::time::timeout(TERMINATE_GRACE, group.child.wait()).await;
                }
                // Otherwise `drop` lets the group end in the background.
                if !group.installs {
                    let _ = group.child.start_kill();
                    let _ = tokio::time::timeout(TERMINATE_GRACE, group.child.wait()).await;
                }
            }
            None => {}
        }
    }

    /// Waits until the program has exited. Returns `None` if its exit status is not available.
    async fn wait(&mut self) -> Option<ExitStatus> {
        match self.child.as_mut()? {
            Child::Group(group) => group.child.wait().await.ok(),
            #[cfg(target_os = "linux")]
            Child::Supervised(program) => program.wait().await,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stderr_reader.abort();
        // A supervisor ends its program when the other variant is dropped.
        if let Some(Child::Group(group)) = self.child.take() {
            group.end_in_background();
        }
    }
}

impl Group {
    /// Sends SIGTERM, but not twice: the second one may request an end without cleaning up. Returns whether it was sent.
    fn terminate(&mut self) -> bool {
        #[cfg(unix)]
        if !self.terminated {
            self.terminated = self.child.signal(SIGTERM).is_ok();
        }
        self.terminated
    }

    /// Kills the whole group, including child processes that outlive the program. A package runner gets SIGTERM, and time to end. If
    /// this process ends before, nothing kills it.
    fn end_in_background(mut self) {
        let has_time = self.installs && self.terminate();
        if !has_time {
            let _ = self.child.start_kill();
        }
        // Reaps the process in the background. Otherwise it may remain a zombie until this process ends.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if has_time {
                    let _ = tokio::time::timeout(PACKAGE_RUNNER_GRACE, self.child.wait()).await;
                    let _ = self.child.start_kill();
                }
                drop(self.child.wait().await);
            });
        }
    }
}

/// How long the processes of a program may take to exit after SIGTERM.
#[cfg(target_os = "linux")]
fn grace(config: &StdioConfig) -> Duration {
    match is_package_runner(&config.command, &config.args) {
        true => PACKAGE_RUNNER_GRACE,
        false => TERMINATE_GRACE,
    }
}

/// Starts the program, under a supervisor if possible.
async fn spawn(
    config: &StdioConfig,
    program: &Path,
    environment: Vec<(OsString, OsString)>,
    supervisors: Option<&Supervisors>,
) -> std::io::Result<(Child, Streams)> {
    #[cfg(target_os = "linux")]
    let environment = match supervisors {
        Some(supervisors) => {
            let request = Request {
                grace: grace(config),
                program: program.to_owned(),
                arguments: config.args.iter().map(OsString::from).collect(),
                environment,
                folder: config.cwd.clone(),
            };
            if let Some(started) = supervisors.start(&request).await {
                let (program, [stdin, stdout, stderr]) = started?;
                let streams = (
                    ChildStdin::from_std(stdin.into())?,
                    ChildStdout::from_std(stdout.into())?,
                    ChildStderr::from_std(stderr.into())?,
                );
                return Ok((Child::Supervised(program), streams));
            }
            request.environment
        }
        None => environment,
    };
    #[cfg(not(target_os = "linux"))]
    let _ = supervisors;
    let mut command = Command::new(program);
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
    let installs = cfg!(unix) && is_package_runner(&config.command, &config.args);
    let mut command = CommandWrap::from(command);
    if !installs {
        command.wrap(KillOnDrop);
    }
    #[cfg(unix)]
    command.wrap(process_wrap::tokio::ProcessGroup::leader());
    #[cfg(windows)]
    command.wrap(process_wrap::tokio::JobObject);
    let mut child = command.spawn()?;
    let (stdin, stdout, stderr) = (
        child.stdin().take(),
        child.stdout().take(),
        child.stderr().take(),
    );
    match (stdin, stdout, stderr) {
        (Some(stdin), Some(stdout), Some(stderr)) => {
            let group = Group {
                child,
                installs,
                terminated: false,
            };
            Ok((Child::Group(group), (stdin, stdout, stderr)))
        }
        _ => Err(std::io::ErrorKind::BrokenPipe.into()),
    }
}

/// Records that the operating system could not start the program.
fn record_spawn_error(
    server: &ServerConfig,
    config: &StdioConfig,
    program: &Path,
    error: &std::io::Error,
    collector: &EvidenceCollector,
) {
    record_process(collector, |process| {
        process.spawn = Some(SpawnFailure::Failed);
    });
    collector.record_error(error);
    if is_too_long(error) {
        let (key, problem) = remedy::too_long(config);
        collector.record_own_problem(&server.problem(key, problem));
    } else if is_fault_of_program(error) || program.is_dir() {
        let problem = remedy::cannot_run(program, error);
        collector.record_entry_problem(&server.problem("command", problem));
    }
}

fn record_process(collector: &EvidenceCollector, record: impl FnOnce(&mut ProcessEvidence)) {
    collector.update(|evidence| record(evidence.process.get_or_insert_default()));
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

async fn keep_excerpt(
    mut stderr: ChildStderr,
    excerpt: Arc<Mutex<Excerpt>>,
    mut lines: Option<Lines>,
) {
    let mut buffer = [0; 2048];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        lock(&excerpt).add(&buffer[..read]);
        if let Some(lines) = &mut lines {
            lines.add(&buffer[..read]);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// On other systems, no program runs under a supervisor.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Supervisors;

#[cfg(not(target_os = "linux"))]
impl Supervisors {
    pub fn new(_command: Vec<OsString>) -> Self {
        Self
    }
}

#[cfg(all(test, unix))]
mod tests {
    use mcp_startup_auth::Mask;
    use mcp_startup_config::TransportConfig;

    use super::*;

    #[tokio::test]
    async fn output_of_a_program_that_exits_before_the_handshake_is_kept() {
        let server = ServerConfig::stdio(
            "server",
            "/bin/sh",
            ["-c", "echo 'set the key'; echo error >&2; exit 1"],
        );
        let server = server.unwrap();
        let TransportConfig::Stdio(config) = &server.transport else {
            panic!("it must be a program");
        };
        let collector = EvidenceCollector::new("server".to_owned(), Mask::default(), |_| {});
        let collector = Arc::new(collector);
        let program = Program::launch(&server, config, None, &collector).await;
        let mut program = program.unwrap();
        assert!(program.has_exited(Duration::from_secs(10)).await);
        // Nothing has read its output yet, as if the handshake could not be written.
        program.record_end(&collector).await;
        program.record_output(&collector);
        let process = collector.evidence().process.unwrap();
        assert_eq!(process.exit, Some(1));
        assert_eq!(process.stdout.as_deref(), Some("set the key"));
        assert_eq!(process.stderr.as_deref(), Some("error"));
    }
}
