//! `mcp-startup follow`: the table of what any app-server says.

use std::io::{Read, Write};

use mcp_startup_core::{
    LineError, LineSplitter, McpServerStartupFailureReason, McpServerStartupState,
    McpServerStatusUpdatedNotification, StartupTracker, TrackedServer, decode, encode,
};
use serde::Serialize;

use crate::CommandError;
use crate::arguments::{self, Format};
use crate::exit_status::{Ending, ExitStatus};
use crate::report;
use crate::table::{Note, Row, Table};

/// The tracker's state when the input has ended.
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
    let mut lines = LineSplitter::default();
    let mut stdin = std::io::stdin().lock();
    let mut buffer = vec![0; 64 * 1024];
    let mut told = Ok(());
    loop {
        let read = match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        lines.push(&buffer[..read], |number, line| {
            if told.is_ok() {
                told = follower.line(number, line);
            }
        });
        std::mem::replace(&mut told, Ok(()))?;
    }
    lines.finish(|number, line| told = follower.line(number, line));
    told?;
    follower.close()
}

struct Follower {
    format: Format,
    table: Table,
    tracker: StartupTracker,
    bad_lines: u64,
}

impl Follower {
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
                let mut stderr = anstream::stderr();
                let _ = writeln!(
                    stderr,
                    "{}",
                    mcp_startup_core::printable(&error.to_string(), 300)
                );
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
                let key = format!("{:?} {}", said.thread_id(), said.name());
                if !said.status().is_finished() {
                    self.table.runs(&key, said.name(), None);
                    return Ok(());
                }
                let row = row(
                    said.name(),
                    said.status(),
                    said.failure_reason(),
                    said.error(),
                );
                self.table.ended(&key, &row)
            }
        }
    }

    fn close(self) -> Result<ExitStatus, CommandError> {
        let servers = self.tracker.servers();
        let status =
            ExitStatus::of(servers.iter().map(|server| {
                Ending::of_notification(&server.status, server.failure_reason.as_ref())
            }));
        match self.format {
            Format::Ndjson => {}
            Format::Table => self.table.close(servers.iter().map(|server| {
                let reason = server.failure_reason.as_ref();
                row(
                    &server.name,
                    &server.status,
                    reason,
                    server.error.as_deref(),
                )
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

fn row<'a>(
    name: &'a str,
    state: &'a McpServerStartupState,
    reason: Option<&'a McpServerStartupFailureReason>,
    error: Option<&'a str>,
) -> Row<'a> {
    let note = match state {
        McpServerStartupState::Failed => Note::Heard { reason, error },
        _ => Note::Nothing,
    };
    Row {
        name,
        state,
        elapsed_ms: None,
        required: false,
        note,
    }
}
