//! `mcp-startup follow`: a table from the notifications of any app-server.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};

use mcp_startup_core::{
    LineError, LineSplitter, McpServerStartupFailureReason, McpServerStartupState,
    McpServerStatusUpdatedNotification, StartupTracker, decode,
};
use tokio::io::AsyncReadExt;

use crate::CommandError;
use crate::arguments::{self, Format, Output};
use crate::documents::FollowReport;
use crate::interruption::Interruption;
use crate::output::exit_status::{Ending, ExitStatus};
use crate::output::report;
use crate::output::table::{NextTry, Note, Row, Server, Table};

/// How many names are remembered, as many as the tracker has servers. With more, they are collected again.
const MAX_NAMES: usize = 10_000;

pub fn run(arguments: &arguments::Follow) -> Result<ExitStatus, CommandError> {
    let mut follower = Follower {
        output: arguments.output,
        table: Table::for_notifications(),
        tracker: StartupTracker::default(),
        namesakes: Namesakes::default(),
        bad_lines: 0,
    };
    let mut stderr = crate::output::stderr::styled();
    if std::io::stdin().is_terminal() {
        let _ = writeln!(
            stderr,
            "Reading notifications from stdin. Press Ctrl-D to end."
        );
    }
    let runtime = crate::single_threaded_runtime()?;
    let interrupted = runtime.block_on(follower.read());
    // A pending read of stdin must not keep the process alive.
    runtime.shutdown_background();
    follower.close(interrupted?)
}

struct Follower {
    output: Output,
    table: Table,
    tracker: StartupTracker,
    namesakes: Namesakes,
    bad_lines: u64,
}

impl Follower {
    /// Reads stdin until it ends. Returns whether it was interrupted.
    async fn read(&mut self) -> std::io::Result<bool> {
        let mut interruption = Interruption::listen()?;
        let mut lines = LineSplitter::default();
        let mut stdin = tokio::io::stdin();
        let mut buffer = vec![0; 64 * 1024];
        let mut result = Ok(());
        loop {
            let read = tokio::select! {
                biased;
                () = interruption.next() => return Ok(true),
                read = stdin.read(&mut buffer) => read?,
            };
            if read == 0 {
                break;
            }
            lines.push(&buffer[..read], |number, line| {
                if result.is_ok() {
                    result = self.line(number, line);
                }
            });
            std::mem::replace(&mut result, Ok(()))?;
        }
        lines.finish(|number, line| result = self.line(number, line));
        result.map(|()| false)
    }

    fn line(&mut self, number: u64, line: Result<&[u8], LineError>) -> std::io::Result<()> {
        let read = line.and_then(|line| {
            decode(line).map_err(|error| LineError {
                line: number,
                error,
            })
        });
        match read {
            Ok(Some(notification)) => self.notification(&notification),
            Ok(None) => Ok(()),
            Err(error) => {
                self.bad_lines += 1;
                self.table
                    .aside(&mcp_startup_core::printable(&error.to_string(), 300));
                Ok(())
            }
        }
    }

    fn notification(
        &mut self,
        notification: &McpServerStatusUpdatedNotification,
    ) -> std::io::Result<()> {
        let update = self.tracker.apply(notification);
        let state = notification.status();
        if self.output.quiet {
            return Ok(());
        }
        let is_ready = *state == McpServerStartupState::Ready;
        let is_starting = *state == McpServerStartupState::Starting;
        match self.output.format {
            // The arguments of this command have no other format.
            Format::Json | Format::Junit | Format::Github => Ok(()),
            Format::Ndjson if self.output.only_failed && (is_ready || is_starting) => Ok(()),
            Format::Ndjson => report::print_line(notification),
            Format::Table if !update.changed => Ok(()),
            Format::Table => {
                let server = self.namesakes.add(notification);
                if is_starting {
                    self.table.runs(server, None);
                    return Ok(());
                }
                if is_ready && self.output.only_failed {
                    self.table.stopped(server);
                    return Ok(());
                }
                let reason = notification.failure_reason();
                self.table
                    .ended(&row(server, state, reason, notification.error()))
            }
        }
    }

    fn close(mut self, interrupted: bool) -> Result<ExitStatus, CommandError> {
        let servers = self.tracker.servers();
        let has_only_bad_lines = servers.is_empty() && self.bad_lines > 0;
        let status = match interrupted {
            true => ExitStatus::Interrupted,
            false if has_only_bad_lines => ExitStatus::Failed,
            false => ExitStatus::from_endings(servers.iter().map(|server| {
                Ending::from_notification(&server.status, server.failure_reason.as_ref())
            })),
        };
        match self.output.format {
            _ if self.output.quiet => {}
            Format::Ndjson => {}
            Format::Table => self.table.close(
                servers.iter().map(|tracked| {
                    let reason = tracked.failure_reason.as_ref();
                    let server = Server::named(&tracked.name);
                    row(server, &tracked.status, reason, tracked.error.as_deref())
                }),
                0,
            )?,
            Format::Json | Format::Junit | Format::Github => report::print(&FollowReport {
                servers: servers
                    .into_iter()
                    .filter(|server| {
                        !self.output.only_failed || server.status != McpServerStartupState::Ready
                    })
                    .collect(),
                reauthentication_required: self.tracker.reauthentication_required(),
                bad_lines: self.bad_lines,
                exit_status: status.code(),
            })?,
        }
        if has_only_bad_lines && !interrupted {
            let lines = match self.bad_lines {
                1 => "the only line is".to_owned(),
                lines => format!("{lines} lines are"),
            };
            let _ = writeln!(
                crate::output::stderr::styled(),
                "No notification was read, and {lines} not valid; pass the output of an app-server, one JSON message a line."
            );
        }
        Ok(status)
    }
}

/// The threads and environments of the servers with the same name.
#[derive(Default)]
struct Namesakes(HashMap<String, Origins>);

/// Where servers of one name run.
struct Origins {
    /// The thread and the environment of the first server with the name.
    thread_id: Option<String>,
    environment_id: Option<String>,
    /// Whether a later one has another thread, or another environment.
    threads_differ: bool,
    environments_differ: bool,
}

impl Namesakes {
    /// Remembers the server of a notification. Returns it, with its thread or environment if another one has a server of the same name.
    fn add<'a>(&mut self, notification: &'a McpServerStatusUpdatedNotification) -> Server<'a> {
        let (name, thread_id) = (notification.name(), notification.thread_id());
        let environment_id = notification.environment_id();
        if self.0.len() >= MAX_NAMES && !self.0.contains_key(name) {
            self.0.clear();
        }
        let origins = self.0.entry(name.to_owned()).or_insert_with(|| Origins {
            thread_id: thread_id.map(str::to_owned),
            environment_id: environment_id.map(str::to_owned),
            threads_differ: false,
            environments_differ: false,
        });
        origins.threads_differ |= origins.thread_id.as_deref() != thread_id;
        origins.environments_differ |= origins.environment_id.as_deref() != environment_id;
        Server {
            name,
            thread_id,
            environment_id,
            shows_thread: origins.threads_differ,
            shows_environment: origins.environments_differ,
        }
    }
}

fn row<'a>(
    server: Server<'a>,
    state: &'a McpServerStartupState,
    reason: Option<&'a McpServerStartupFailureReason>,
    error: Option<&'a str>,
) -> Row<'a> {
    let note = match state {
        McpServerStartupState::Failed => Note::Reported { reason, error },
        _ => Note::Nothing,
    };
    Row {
        server,
        state,
        elapsed_ms: None,
        required: false,
        note,
        next_try: NextTry::Never,
        warnings: &[],
        also_in: Vec::new(),
    }
}
