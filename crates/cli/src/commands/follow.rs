//! `mcp-startup follow`: a table from the notifications of any app-server.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{IsTerminal, Write};

use mcp_startup_core::{
    LineError, LineSplitter, METHOD, McpServerStartupFailureReason, McpServerStartupState,
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
/// A longer name, thread or environment is not kept as a whole, in bytes.
const NAME_BYTES: usize = 1024;
/// A longer error is not kept as a whole, in bytes.
const ERROR_BYTES: usize = 2048;

pub fn run(arguments: &arguments::Follow) -> Result<ExitStatus, CommandError> {
    let mut follower = Follower {
        output: arguments.output,
        table: Table::for_notifications(),
        tracker: StartupTracker::default(),
        namesakes: Namesakes::default(),
        hasher: RandomState::new(),
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
    /// Tells names apart that are equal as far as they are kept.
    hasher: RandomState,
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
        // Thousands of servers are remembered, so their texts are limited.
        let kept = shortened(notification, &self.hasher);
        let update = self.tracker.apply(&kept);
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
                let server = self.namesakes.add(&kept);
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

/// The notification with its long texts cut. A cut name ends with a number, so that another name is not taken for the same.
fn shortened<'a>(
    notification: &'a McpServerStatusUpdatedNotification,
    hasher: &RandomState,
) -> Cow<'a, McpServerStatusUpdatedNotification> {
    let reason = notification.failure_reason().map(|reason| reason.as_str());
    let (name, status) = (notification.name(), notification.status().as_str());
    let environment_id = notification.environment_id();
    let names = [
        notification.thread_id(),
        Some(name),
        environment_id,
        Some(status),
        reason,
    ];
    let error = notification.error();
    let is_long = |text: Option<&str>, limit| text.is_some_and(|text| text.len() > limit);
    if !is_long(error, ERROR_BYTES) && !names.iter().any(|name| is_long(*name, NAME_BYTES)) {
        return Cow::Borrowed(notification);
    }
    let cut_name = |text: &str| {
        let cut = cut_bytes(text, NAME_BYTES);
        match cut.len() < text.len() {
            true => format!("{cut}… ({:016x})", hasher.hash_one(text)),
            false => cut.to_owned(),
        }
    };
    let cut_error = |text: &str| {
        let cut = cut_bytes(text, ERROR_BYTES);
        let ellipsis = if cut.len() < text.len() { "…" } else { "" };
        format!("{cut}{ellipsis}")
    };
    let mut params = serde_json::json!({
        "threadId": notification.thread_id().map(cut_name),
        "name": cut_name(name),
        "status": cut_name(status),
        "error": error.map(cut_error),
        "failureReason": reason.map(cut_name),
    });
    if notification.has_environment_id() {
        params["environmentId"] = environment_id.map(cut_name).into();
    }
    let line = serde_json::json!({ "method": METHOD, "params": params }).to_string();
    // It is a notification as before.
    let cut = decode(line.as_bytes()).ok().flatten();
    cut.map_or(Cow::Borrowed(notification), Cow::Owned)
}

/// The beginning of a text, in whole characters.
fn cut_bytes(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_a_notification_are_kept_up_to_a_limit() {
        let hasher = RandomState::new();
        let long = "é".repeat(1_000_000);
        let with_name = |name: &str| {
            let failed = McpServerStatusUpdatedNotification::reauthentication_required(name, &long);
            failed.with_thread_id(&long)
        };
        let (a, b) = (
            with_name(&format!("{long}a")),
            with_name(&format!("{long}b")),
        );
        let (short_a, short_b) = (shortened(&a, &hasher), shortened(&b, &hasher));
        for cut in [&short_a, &short_b] {
            assert!(cut.name().len() < 1100 && cut.name().starts_with("éé"));
            assert!(cut.thread_id().is_some_and(|thread| thread.len() < 1100));
            assert!(
                cut.error()
                    .is_some_and(|error| error.len() < 2100 && error.ends_with('…'))
            );
            assert_eq!(cut.failure_reason(), a.failure_reason());
            assert_eq!(cut.status(), a.status());
        }
        assert_ne!(short_a.name(), short_b.name());
        assert_eq!(shortened(&a, &hasher).name(), short_a.name());

        let line = serde_json::json!({
            "method": METHOD,
            "params": { "name": "a", "environmentId": long, "status": long, "failureReason": long },
        });
        let unknown = decode(line.to_string().as_bytes()).unwrap().unwrap();
        let cut = shortened(&unknown, &hasher);
        assert!(cut.environment_id().is_some_and(|id| id.len() < 1100));
        assert!(cut.status().as_str().len() < 1100);
        assert!(
            cut.failure_reason()
                .is_some_and(|reason| reason.as_str().len() < 1100)
        );

        let short = McpServerStatusUpdatedNotification::failed("a", "b".repeat(2048));
        assert!(matches!(shortened(&short, &hasher), Cow::Borrowed(_)));
    }
}
