//! `mcp-startup follow`: the table of what any app-server says.

use std::io::{IsTerminal, Write};

use mcp_startup_core::{
    LineError, LineSplitter, McpServerStartupFailureReason, McpServerStartupState,
    McpServerStatusUpdatedNotification, StartupTracker, TrackedServer, decode, encode,
};
use serde::Serialize;
use tokio::io::AsyncReadExt;

use crate::CommandError;
use crate::arguments::{self, Format};
use crate::exit_status::{Ending, ExitStatus};
use crate::interruption::Interruption;
use crate::report;
use crate::table::{Again, Note, Row, Server, Table};

/// The tracker's state when the input has ended, or was interrupted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Followed<'a> {
    /// Each (threadId, name), in the order in which it was first heard of.
    servers: Vec<&'a TrackedServer>,
    /// The servers that want a sign-in again.
    reauthentication_required: Vec<&'a str>,
    /// How many lines could not be read.
    bad_lines: u64,
    /// What the program exits with.
    exit_status: u8,
}

pub fn run(arguments: &arguments::Follow) -> Result<ExitStatus, CommandError> {
    let mut follower = Follower {
        format: arguments.output.format,
        table: Table::of_others(),
        tracker: StartupTracker::default(),
        bad_lines: 0,
    };
    let mut stderr = anstream::stderr();
    if std::io::stdin().is_terminal() {
        let _ = writeln!(stderr, "Reading notifications from stdin; Ctrl-D ends it.");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let interrupted = runtime.block_on(follower.read());
    // A read of stdin that is still waiting must not keep the process.
    runtime.shutdown_background();
    follower.close(interrupted?)
}

struct Follower {
    format: Format,
    table: Table,
    tracker: StartupTracker,
    bad_lines: u64,
}

impl Follower {
    /// Reads stdin to its end. Returns whether it was interrupted.
    async fn read(&mut self) -> std::io::Result<bool> {
        let mut interruption = Interruption::listen()?;
        let mut lines = LineSplitter::default();
        let mut stdin = tokio::io::stdin();
        let mut buffer = vec![0; 64 * 1024];
        let mut told = Ok(());
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
                if told.is_ok() {
                    told = self.line(number, line);
                }
            });
            std::mem::replace(&mut told, Ok(()))?;
        }
        lines.finish(|number, line| told = self.line(number, line));
        told.map(|()| false)
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

    fn notification(&mut self, said: &McpServerStatusUpdatedNotification) -> std::io::Result<()> {
        let update = self.tracker.apply(said);
        match self.format {
            Format::Json => Ok(()),
            Format::Ndjson => {
                let mut stdout = std::io::stdout().lock();
                writeln!(stdout, "{}", encode(said))
            }
            Format::Table if !update.changed => Ok(()),
            Format::Table => {
                let server = server(&self.tracker, said.name(), said.thread_id());
                if *said.status() == McpServerStartupState::Starting {
                    self.table.runs(server, None);
                    return Ok(());
                }
                let reason = said.failure_reason();
                self.table
                    .ended(&row(server, said.status(), reason, said.error()))
            }
        }
    }

    fn close(self, interrupted: bool) -> Result<ExitStatus, CommandError> {
        let servers = self.tracker.servers();
        let status = match interrupted {
            true => ExitStatus::Interrupted,
            false => ExitStatus::of(servers.iter().map(|server| {
                Ending::of_notification(&server.status, server.failure_reason.as_ref())
            })),
        };
        match self.format {
            Format::Ndjson => {}
            Format::Table => self.table.close(servers.iter().map(|tracked| {
                let reason = tracked.failure_reason.as_ref();
                let server = Server::named(&tracked.name);
                row(server, &tracked.status, reason, tracked.error.as_deref())
            }))?,
            Format::Json => report::print(&Followed {
                servers,
                reauthentication_required: self.tracker.reauthentication_required(),
                bad_lines: self.bad_lines,
                exit_status: status.code(),
            })?,
        }
        Ok(status)
    }
}

/// The server, which shows its thread where another thread has one of the same name.
fn server<'a>(tracker: &StartupTracker, name: &'a str, thread_id: Option<&'a str>) -> Server<'a> {
    let shows_thread = tracker
        .servers()
        .iter()
        .any(|other| other.name == name && other.thread_id.as_deref() != thread_id);
    Server {
        name,
        thread_id,
        shows_thread,
    }
}

fn row<'a>(
    server: Server<'a>,
    state: &'a McpServerStartupState,
    reason: Option<&'a McpServerStartupFailureReason>,
    error: Option<&'a str>,
) -> Row<'a> {
    let note = match state {
        McpServerStartupState::Failed => Note::Heard { reason, error },
        _ => Note::Nothing,
    };
    Row {
        server,
        state,
        elapsed_ms: None,
        required: false,
        note,
        again: Again::NotAtAll,
    }
}
