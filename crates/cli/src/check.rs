//! `mcp-startup check`: starts the servers of a configuration.

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use mcp_startup::config::ServerEntry;
use mcp_startup::{
    Check, McpServerStartupState, Startup, StartupEvent, StartupOptions, Update, Watch, encode,
};

use crate::CommandError;
use crate::arguments::{self, Format};
use crate::configuration::{self, shown};
use crate::exit_status::{Ending, ExitStatus};
use crate::interruption::{Interruption, nobody_reads};
use crate::report::{self, Report, ServerReport};
use crate::table::{Again, Note, Row, Server, Table};

/// Whoever waits for longer is told for what.
const SAVING_IS_SAID_AFTER: Duration = Duration::from_secs(1);
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(500);

pub fn run(arguments: arguments::Check) -> Result<ExitStatus, CommandError> {
    let format = arguments.output.format;
    if arguments.watch && format == Format::Json {
        return Err(CommandError::Usage(
            "`--format json` is one report at the end, and `--watch` has no end: use `--format ndjson`"
                .to_owned(),
        ));
    }
    let configuration = configuration::read_for_check(arguments.config)?;
    let path = &configuration.path;
    let servers = configuration.select(&arguments.servers)?;
    if servers.is_empty() {
        let mut stderr = anstream::stderr();
        let _ = writeln!(stderr, "No server is enabled in {}.", shown(path));
    }
    let mut options = StartupOptions::for_configuration(&configuration);
    options.limit = arguments.starts.timeout;
    options.concurrency = arguments.starts.concurrency;
    // Part of a JSON document, which is for programs: the path as it is.
    let reported_path = Some(path.display().to_string());
    // Of no server nothing would ever come.
    let watches = arguments.watch && !servers.is_empty();
    if watches && format == Format::Table {
        let _ = writeln!(anstream::stderr(), "Watching them; Ctrl-C ends it.");
    }
    let checked = start(options, servers, format, reported_path, watches)?;
    Ok(checked.status)
}

/// What a check came to, and which servers it was about.
pub struct Checked {
    pub status: ExitStatus,
    pub servers: Vec<ServerReport>,
}

/// Checks `servers` and shows them: once, or again and again until that is interrupted.
pub fn start(
    options: StartupOptions,
    servers: Vec<ServerEntry>,
    format: Format,
    configuration: Option<String>,
    watches: bool,
) -> Result<Checked, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let checked = runtime.block_on(async {
        // Before anything starts: from then on there is something to end.
        let interruption = Interruption::listen()?;
        let startup = Startup::new(options)?;
        let mut shown = Shown::new(format, &servers, watches);
        let began = Instant::now();
        let starts = match watches {
            true => Starts::Watched(startup.watch_check(servers)),
            false => Starts::Once(startup.check(servers)),
        };
        let interrupted = follow(starts, interruption, &mut shown).await?;
        let status = match interrupted {
            true => ExitStatus::Interrupted,
            false => ExitStatus::of(shown.reports.iter().map(|report| {
                let recovery = report.failure.as_ref().map(|failure| failure.recovery());
                Ending::of_start(recovery, &report.status)
            })),
        };
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let servers =
            shown.close(|servers| Report::new(configuration, elapsed_ms, status, servers))?;
        Ok(Checked { status, servers })
    });
    // The look-up of a host's name can't be cancelled, and may take long after its start was given up.
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    checked
}

/// What is shown: one start of each server, or all that come.
enum Starts {
    Once(Check),
    Watched(Watch),
}

impl Starts {
    fn cancel(&self) {
        match self {
            Self::Once(check) => check.cancel(),
            Self::Watched(watch) => watch.cancel(),
        }
    }

    async fn update(&mut self) -> Option<Update> {
        match self {
            Self::Once(check) => check.update().await,
            Self::Watched(watch) => watch.update().await.map(|(update, _)| update),
        }
    }
}

/// Shows starts until there are no more. Returns whether it was interrupted; a second interruption does not wait for the programs
/// to end by themselves.
async fn follow(
    mut starts: Starts,
    mut interruption: Interruption,
    shown: &mut Shown,
) -> Result<bool, CommandError> {
    let mut unread = std::pin::pin!(nobody_reads());
    let mut interrupted = false;
    let mut broken = None;
    let mut saving_since = None;
    let mut saving_is_said = false;
    loop {
        let told = tokio::select! {
            biased;
            () = interruption.next() => {
                if interrupted {
                    break;
                }
                interrupted = true;
                starts.cancel();
                continue;
            }
            () = &mut unread, if broken.is_none() => Err(std::io::ErrorKind::BrokenPipe.into()),
            () = until(saving_since.map(|since| since + SAVING_IS_SAID_AFTER)), if !saving_is_said => {
                saving_is_said = true;
                let _ = writeln!(
                    anstream::stderr(),
                    "Waiting for the answer to a refresh that was sent, so that the sign-in is not lost (at most 30 s)"
                );
                Ok(())
            }
            update = starts.update() => match update {
                Some(Update::Saving) => {
                    saving_since = Some(tokio::time::Instant::now());
                    Ok(())
                }
                Some(update) => shown.update(update),
                None => break,
            },
        };
        // Nobody reads on: the programs are ended all the same.
        if let Err(error) = told {
            broken.get_or_insert(error);
            starts.cancel();
        }
    }
    match broken {
        Some(error) => Err(error.into()),
        None => Ok(interrupted),
    }
}

/// Until that moment; for ever, where there is none.
async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// What is shown of a check, in one of the formats; and what is known of it in the end, in all of them.
struct Shown {
    format: Format,
    table: Option<Table>,
    /// Of each server that has come to an end the last one.
    reports: Vec<ServerReport>,
    /// The place of each server in the order of the configuration.
    order: HashMap<String, usize>,
    /// Whether servers are started again.
    watches: bool,
    /// Servers whose line waits for more: that their tools are counted, or for what will start them again. Their place among
    /// the reports.
    unprinted: HashMap<String, usize>,
}

impl Shown {
    fn new(format: Format, servers: &[ServerEntry], watches: bool) -> Self {
        let names = servers.iter().map(|entry| entry.name.as_str());
        Self {
            format,
            table: (format == Format::Table).then(|| Table::of_check(names.clone())),
            reports: Vec::new(),
            order: names.map(str::to_owned).zip(0..).collect(),
            watches,
            unprinted: HashMap::new(),
        }
    }

    fn update(&mut self, update: Update) -> std::io::Result<()> {
        match update {
            Update::Event(event) => self.event(event),
            Update::Phase { name, phase } => {
                if let Some(table) = &mut self.table {
                    table.runs(Server::named(&name), Some(phase));
                }
                Ok(())
            }
            Update::Tools { name, count } => {
                let Some(at) = self.unprinted.remove(&name) else {
                    return Ok(());
                };
                self.reports[at].tools = count;
                self.print_row(at, Again::NotAtAll)
            }
            Update::Waiting { name, retry_in_ms } => {
                let Some(at) = self.unprinted.remove(&name) else {
                    return Ok(());
                };
                let again = match retry_in_ms {
                    Some(ms) => Again::InMs(ms),
                    None => again_after_sign_in(&self.reports[at]),
                };
                self.print_row(at, again)
            }
            Update::Saving => Ok(()),
        }
    }

    fn event(&mut self, event: StartupEvent) -> std::io::Result<()> {
        let notification = &event.notification;
        if self.format == Format::Ndjson {
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "{}", encode(notification))?;
            stdout.flush()?;
        }
        if *notification.status() == McpServerStartupState::Starting {
            if let Some(table) = &mut self.table {
                table.runs(Server::named(notification.name()), None);
            }
            return Ok(());
        }
        let report = ServerReport {
            name: notification.name().to_owned(),
            required: event.required,
            status: notification.status().clone(),
            failure_reason: notification.failure_reason().cloned(),
            phase: event.phase,
            elapsed_ms: event.elapsed_ms,
            tools: None,
            failure: event.failure,
            not_saved: event.not_saved,
        };
        let is_ready = report.status == McpServerStartupState::Ready;
        let is_waiting = self.watches && report.status == McpServerStartupState::Failed;
        let at = self.place_of(report);
        if !is_ready && !is_waiting {
            return self.print_row(at, Again::NotAtAll);
        }
        let name = &self.reports[at].name;
        if is_ready && let Some(table) = &mut self.table {
            table.counts_tools(Server::named(name));
        }
        self.unprinted.insert(name.clone(), at);
        Ok(())
    }

    /// Where the report is now: in the place of the server's last one, if there is one.
    fn place_of(&mut self, report: ServerReport) -> usize {
        let mut reports = self.reports.iter();
        match reports.position(|last| self.watches && last.name == report.name) {
            Some(at) => {
                self.reports[at] = report;
                at
            }
            None => {
                self.reports.push(report);
                self.reports.len() - 1
            }
        }
    }

    fn print_row(&mut self, at: usize, again: Again) -> std::io::Result<()> {
        let Some(table) = &mut self.table else {
            return Ok(());
        };
        table.ended(&row(&self.reports[at], again))
    }

    fn close(
        mut self,
        report: impl FnOnce(Vec<ServerReport>) -> Report,
    ) -> std::io::Result<Vec<ServerReport>> {
        let mut left: Vec<_> = self.unprinted.drain().map(|(_, at)| at).collect();
        left.sort_unstable();
        for at in left {
            self.print_row(at, Again::NotAtAll)?;
        }
        let order = self.order;
        self.reports
            .sort_by_key(|report| order.get(&report.name).copied());
        if let Some(table) = self.table {
            let rows = self.reports.iter();
            table.close(rows.map(|report| row(report, Again::NotAtAll)))?;
        }
        if self.format != Format::Json {
            return Ok(self.reports);
        }
        let report = report(self.reports);
        report::print(&report)?;
        Ok(report.servers)
    }
}

/// What its line tells a person to do, if that is a sign-in, is all that is needed.
fn again_after_sign_in(report: &ServerReport) -> Again {
    let recovery = report.failure.as_ref().map(|failure| failure.recovery());
    match Ending::of_start(recovery, &report.status) {
        Ending::NeedsSignIn => Again::AfterThat,
        Ending::Ready | Ending::Failed => Again::NotAtAll,
    }
}

fn row(report: &ServerReport, again: Again) -> Row<'_> {
    let note = match (&report.failure, &report.status) {
        (Some(failure), _) => Note::Failed {
            recovery: failure.recovery(),
            message: failure.message(),
        },
        (None, McpServerStartupState::Ready) => Note::Ready {
            tools: report.tools,
            not_saved: report.not_saved.as_deref(),
        },
        (None, _) => Note::Nothing,
    };
    Row {
        server: Server::named(&report.name),
        state: &report.status,
        elapsed_ms: Some(report.elapsed_ms),
        required: report.required,
        note,
        again,
    }
}
