//! `mcp-startup check`: starts the servers of a file, of every client, a URL or a command.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use mcp_startup::config::clients::{self, Client, NotChecked, Owner, Scope};
use mcp_startup::{
    Check, McpServerStartupState, Startup, StartupEvent, StartupOptions, Update, Watch,
};
use tokio::runtime::Runtime;

use crate::CommandError;
use crate::arguments::{self, CheckOutput, Format};
use crate::documents::{CheckReport, CheckedServer, DryRunReport, DryRunServer};
use crate::interruption::{Interruption, output_closed};
use crate::output::ci;
use crate::output::exit_status::{Ending, ExitStatus};
use crate::output::one_line::one_line;
use crate::output::report;
use crate::output::stdout;
use crate::output::table::{NextTry, Note, Row, Server, Table};
use crate::selection::{self, Selection};
use crate::stores::Stores;
use crate::this_program;

/// A longer wait for a refresh is explained on stderr.
const SAVING_NOTICE_AFTER: Duration = Duration::from_secs(1);
/// How many servers that are not checked are listed.
const MAX_NOT_CHECKED: usize = 20;
const REASON_CHARS: usize = 300;
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(500);

pub fn run(mut arguments: arguments::Check) -> Result<ExitStatus, CommandError> {
    arguments.servers.append(&mut arguments.more_servers);
    let format = arguments.output.format;
    let checked = checked(arguments);
    if let Err(error @ (CommandError::Usage(_) | CommandError::Configuration(_))) = &checked {
        print_error(error, format)?;
    }
    checked
}

/// Prints why no server could be started, for the reports that continuous integration shows.
fn print_error(error: &CommandError, format: Format) -> std::io::Result<()> {
    let message = error.to_string();
    let found = match error {
        CommandError::Configuration(error) => Some(error),
        _ => None,
    };
    let path = found.map(|error| error.path().display().to_string());
    let line = found.and_then(|error| error.line());
    match format {
        Format::Table | Format::Ndjson | Format::Json => Ok(()),
        Format::Junit => report::print_text(&ci::junit_of_error(&message, path.as_deref(), line)),
        Format::Github => report::print_text(&ci::github_of_error(&message, path.as_deref(), line)),
    }
}

fn checked(arguments: arguments::Check) -> Result<ExitStatus, CommandError> {
    let format = arguments.output.format;
    if arguments.dry_run && !matches!(format, Format::Table | Format::Json) {
        let problem = "`--dry-run` lists the servers as a table or as JSON; leave out `--format`, or pass `--format json`";
        return Err(CommandError::Usage(problem.to_owned()));
    }
    if arguments.watch && matches!(format, Format::Json | Format::Junit | Format::Github) {
        let name = format.to_possible_value();
        let name = name.as_ref().map_or("json", |name| name.get_name());
        return Err(CommandError::Usage(format!(
            "`--format {name}` prints one report at the end, and `--watch` has no end; use `--format ndjson`"
        )));
    }
    let mut selection = match arguments.command.is_empty() {
        true => selection::select(&arguments.source, &arguments.servers)?,
        false => selection::select_command(&arguments.command)?,
    };
    if arguments.dry_run {
        dry_run(&selection, format)?;
        return Ok(ExitStatus::AllReady);
    }
    let asks = selection.is_discovered && arguments.servers.is_empty();
    if asks && !selection::confirm(&selection, arguments.yes)? {
        return Ok(ExitStatus::Interrupted);
    }
    if selection.is_discovered && selection.servers.is_empty() {
        let why = match selection.not_checked.is_empty() {
            true => "No servers are enabled.",
            false => "No server is started.",
        };
        let _ = writeln!(crate::output::stderr::styled(), "{why}");
    }
    Stores::add_options(
        &arguments.stored_user,
        &arguments.client_document,
        &mut selection.suggestions,
    );
    let runtime = crate::runtime()?;
    let stores = runtime.block_on(Stores::open(&arguments.stored_user))?;
    let mut options = stores.options(&selection.credentials);
    options.client_metadata_url = arguments.client_document.url;
    options.limit = arguments.starts.timeout;
    options.limit_option = Some("--timeout");
    options.on_command_line = selection.is_direct;
    match arguments.starts.concurrency {
        Some(concurrency) => options.concurrency = concurrency,
        None if selection.is_discovered => {
            options.program_concurrency = Some(clients::PROGRAMS_AT_ONCE);
        }
        None => {}
    }
    // A watch without servers would never print anything.
    let watches = arguments.watch && !selection.servers.is_empty();
    if watches && format == Format::Table && !arguments.output.quiet {
        let _ = writeln!(
            crate::output::stderr::styled(),
            "Watching. Press Ctrl-C to stop."
        );
    }
    let has_unreadable_file = !selection.unreadable.is_empty();
    let place = (runtime, Some(stores));
    let checked = start(place, options, selection, arguments.output, watches)?;
    Ok(match checked.status {
        // The servers of that file may not work.
        ExitStatus::AllReady if has_unreadable_file => ExitStatus::Failed,
        status => status,
    })
}

/// Lists the servers that a check would start.
fn dry_run(selection: &Selection, format: Format) -> std::io::Result<()> {
    if format != Format::Table {
        let servers = selection.servers.iter().map(|server| DryRunServer {
            name: server.entry.name.clone(),
            owners: server.owners.clone(),
            command: selection::command(&server.entry),
            url: selection::url(&server.entry),
        });
        return report::print(&DryRunReport {
            configuration: selection.configuration.path.clone(),
            servers: servers.collect(),
            not_checked: selection.not_checked.clone(),
        });
    }
    let mut stdout = stdout::styled();
    selection::list(selection, name_chars(), &mut stdout)?;
    let notes = closing_notes(&selection.not_checked).into_iter();
    for line in notes.chain(selection.not_read.iter().cloned()) {
        writeln!(stdout, "{line}")?;
    }
    stdout.flush()
}

/// How much of a name is shown. A program that reads the lines needs the whole name.
fn name_chars() -> usize {
    match std::io::stdout().is_terminal() {
        true => selection::NAME_CHARS,
        false => usize::MAX,
    }
}

/// Whether a server is not started because its project file is not approved.
fn is_in_unapproved_file(left: &NotChecked) -> bool {
    left.needs_approval && left.owner.scope == Scope::Project
}

/// How many servers are not started. A server in a project file that is not approved may be in it for several clients.
fn count(not_checked: &[NotChecked]) -> usize {
    let (unapproved, others): (Vec<_>, Vec<_>) = not_checked
        .iter()
        .partition(|left| is_in_unapproved_file(left));
    let unapproved = unapproved
        .iter()
        .map(|left| (&left.owner.path, &left.owner.name));
    unapproved.collect::<BTreeSet<_>>().len() + others.len()
}

/// The lines about the servers that are not started: one for each project file that is not approved, and one for each other server.
fn closing_notes(not_checked: &[NotChecked]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut unapproved: BTreeMap<&str, (BTreeSet<&str>, Vec<&str>)> = BTreeMap::new();
    for left in not_checked {
        let Owner {
            client, path, name, ..
        } = &left.owner;
        if is_in_unapproved_file(left) {
            let (names, clients) = unapproved.entry(path).or_default();
            names.insert(name);
            if !clients.contains(&client.name()) {
                clients.push(client.name());
            }
            continue;
        }
        let (name, why) = (
            one_line(name, name_chars()),
            one_line(&left.why, REASON_CHARS),
        );
        lines.push(format!("not checked: {name} ({client}): {why}"));
    }
    for (path, (names, clients)) in unapproved {
        let path = selection::shown(path.as_ref());
        let count = match names.len() {
            1 => "1 server".to_owned(),
            count => format!("{count} servers"),
        };
        lines.push(format!(
            "not checked: {count} in {path}, not approved in {}; if you trust the project, pass `--trust-project`",
            clients.join(", ")
        ));
    }
    if let more @ 1.. = lines.len().saturating_sub(MAX_NOT_CHECKED) {
        lines.truncate(MAX_NOT_CHECKED);
        let program = this_program::name();
        lines.push(format!("and {more} more; see `{program} clients`"));
    }
    lines
}

/// The result of a check.
pub struct Checked {
    pub status: ExitStatus,
    pub servers: Vec<CheckedServer>,
}

/// Checks the servers once, or watches them until interrupted, and shows the results. Closes the stores.
pub fn start(
    (runtime, stores): (Runtime, Option<Stores>),
    mut options: StartupOptions,
    selection: Selection,
    output: CheckOutput,
    watches: bool,
) -> Result<Checked, CommandError> {
    let servers = selection.entries();
    let checked = runtime.block_on(async {
        // Before anything starts, so that an interruption never leaves a program behind.
        let interruption = Interruption::listen()?;
        options.supervisor = this_program::supervisor();
        let startup = Startup::new(options)?;
        let mut shown = Shown::new(output, &selection, watches);
        let began = Instant::now();
        let starts = match watches {
            true => Starts::Watched(startup.watch_check(servers)),
            false => Starts::Once(startup.check(servers)),
        };
        let followed = follow(starts, interruption, &mut shown).await;
        if let Some(stores) = stores {
            stores.close().await;
        }
        let interrupted = followed?;
        let status = match interrupted {
            true => ExitStatus::Interrupted,
            false => ExitStatus::from_endings(shown.reports.iter().map(|report| {
                let recovery = report.failure.as_ref().map(|failure| failure.recovery());
                Ending::from_start(recovery, &report.status)
            })),
        };
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Selection {
            configuration,
            not_checked,
            ..
        } = selection;
        let servers = shown.close(not_checked, |servers, not_checked| {
            CheckReport::new(configuration, elapsed_ms, status, servers, not_checked)
        })?;
        Ok(Checked { status, servers })
    });
    // A host name lookup can't be cancelled, and may outlast the start that asked for it.
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    checked
}

/// One start of each server, or a watch.
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

/// Shows updates until the stream ends. Returns whether it was interrupted. A second interruption does not wait for the programs to
/// exit.
async fn follow(
    mut starts: Starts,
    mut interruption: Interruption,
    shown: &mut Shown,
) -> Result<bool, CommandError> {
    let mut closed = std::pin::pin!(output_closed());
    let mut interrupted = false;
    let mut broken = None;
    let mut saving_since = None;
    let mut notice_printed = false;
    loop {
        let result = tokio::select! {
            biased;
            () = interruption.next() => {
                if interrupted {
                    break;
                }
                interrupted = true;
                starts.cancel();
                continue;
            }
            () = &mut closed, if broken.is_none() => Err(std::io::ErrorKind::BrokenPipe.into()),
            () = until(saving_since.map(|since| since + SAVING_NOTICE_AFTER)), if !notice_printed => {
                notice_printed = true;
                let _ = writeln!(
                    crate::output::stderr::styled(),
                    "Waiting for the response to a token refresh, so that the sign-in is not lost (at most 30 s)"
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
        // The output pipe closed: end the programs.
        if let Err(error) = result {
            broken.get_or_insert(error);
            starts.cancel();
        }
    }
    match broken {
        Some(error) => Err(error.into()),
        None => Ok(interrupted),
    }
}

/// Waits until that moment, or forever if there is none.
async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Shows a check in one of the formats, and collects the reports for all of them.
struct Shown {
    output: CheckOutput,
    table: Option<Table>,
    /// The latest report of each server whose start has ended.
    reports: Vec<CheckedServer>,
    /// The position of each server in the configuration.
    order: HashMap<String, usize>,
    /// Whether failed servers are started again.
    watches: bool,
    /// Servers whose line is not printed yet, because their tools are still being listed or the time of the next try is not known.
    /// The values are indexes into `reports`.
    unprinted: HashMap<String, usize>,
    /// The clients that have each server, and the line of its entry.
    owners: HashMap<String, (Vec<Owner>, Option<u32>)>,
    /// The lines about files that are not read.
    not_read: Vec<String>,
    /// The servers of each client whose lines are not printed yet, if the lines are grouped by client.
    groups: Option<BTreeMap<Client, Group>>,
}

/// The lines of one client. They are printed together.
#[derive(Default)]
struct Group {
    /// How many starts have not ended.
    left: usize,
    /// The indexes of the reports.
    reports: Vec<usize>,
}

impl Shown {
    fn new(output: CheckOutput, selection: &Selection, watches: bool) -> Self {
        let prints_table = output.format == Format::Table && !output.quiet;
        let servers = selection.servers.iter();
        let names = servers.clone().map(|server| server.entry.name.as_str());
        let groups = selection.counts().into_iter().map(|(client, left)| {
            let reports = Vec::new();
            (client, Group { left, reports })
        });
        // A watch prints a line for each try.
        let is_grouped = selection.is_discovered && !watches && prints_table;
        let owners = servers.map(|server| {
            let owners = (server.owners.clone(), server.entry.line());
            (server.entry.name.clone(), owners)
        });
        Self {
            output,
            table: prints_table
                .then(|| Table::for_check(names.clone(), selection.suggestions.as_ref())),
            owners: owners.collect(),
            not_read: selection.not_read.clone(),
            groups: is_grouped.then(|| groups.collect()),
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
                self.print_row(at, NextTry::Never)
            }
            Update::Waiting { name, retry_in_ms } => {
                let Some(at) = self.unprinted.remove(&name) else {
                    return Ok(());
                };
                let next_try = match retry_in_ms {
                    Some(ms) => NextTry::InMs(ms),
                    None => next_try_after_sign_in(&self.reports[at]),
                };
                self.print_row(at, next_try)
            }
            Update::Saving => Ok(()),
        }
    }

    fn event(&mut self, event: StartupEvent) -> std::io::Result<()> {
        let notification = &event.notification;
        let is_ready_or_starting = matches!(
            notification.status(),
            McpServerStartupState::Ready | McpServerStartupState::Starting
        );
        let is_hidden = self.output.quiet || self.output.only_failed && is_ready_or_starting;
        if self.output.format == Format::Ndjson && !is_hidden {
            report::print_line(notification)?;
        }
        if *notification.status() == McpServerStartupState::Starting {
            if let Some(table) = &mut self.table {
                table.runs(Server::named(notification.name()), None);
            }
            return Ok(());
        }
        let owners = self.owners.get(notification.name());
        let (owners, line) = owners.cloned().unwrap_or_default();
        let report = CheckedServer {
            name: notification.name().to_owned(),
            owners,
            line,
            required: event.required,
            status: notification.status().clone(),
            failure_reason: notification.failure_reason().cloned(),
            phase: event.phase,
            elapsed_ms: event.elapsed_ms,
            tools: None,
            failure: event.failure,
            warning: event.warning,
            not_saved: event.not_saved,
            configuration_warnings: event.configuration_warnings,
        };
        let is_ready = report.status == McpServerStartupState::Ready;
        let is_waiting = self.watches && report.status == McpServerStartupState::Failed;
        let at = self.store(report);
        if !is_ready && !is_waiting {
            return self.print_row(at, NextTry::Never);
        }
        let name = &self.reports[at].name;
        self.unprinted.insert(name.clone(), at);
        Ok(())
    }

    /// Stores the report, in place of the server's previous one if there is one, and returns its index.
    fn store(&mut self, report: CheckedServer) -> usize {
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

    fn print_row(&mut self, at: usize, next_try: NextTry) -> std::io::Result<()> {
        let Some(table) = &mut self.table else {
            return Ok(());
        };
        let report = &self.reports[at];
        let client = report.owners.first().map(|owner| owner.client);
        let group = client.and_then(|client| self.groups.as_mut()?.get_mut(&client));
        let is_shown = self.output.shows(report);
        let Some(group) = group else {
            if !is_shown {
                table.stopped(Server::named(&report.name));
                return Ok(());
            }
            return table.ended(&row(report, next_try));
        };
        table.stopped(Server::named(&report.name));
        if is_shown {
            group.reports.push(at);
        }
        group.left = group.left.saturating_sub(1);
        match group.left {
            0 => self.print_group(client),
            _ => Ok(()),
        }
    }

    /// Prints the lines of a client, in the order of its files.
    fn print_group(&mut self, client: Option<Client>) -> std::io::Result<()> {
        let group = client.and_then(|client| self.groups.as_mut()?.remove(&client));
        let (Some(client), Some(mut group), Some(table)) = (client, group, &self.table) else {
            return Ok(());
        };
        if group.reports.is_empty() {
            return Ok(());
        }
        let position = |at: &usize| self.order.get(&self.reports[*at].name).copied();
        group.reports.sort_by_key(position);
        let rows = group
            .reports
            .iter()
            .map(|at| row(&self.reports[*at], NextTry::Never));
        table.group(client.name(), rows)
    }

    fn close(
        mut self,
        not_checked: Vec<NotChecked>,
        report: impl FnOnce(Vec<CheckedServer>, Vec<NotChecked>) -> CheckReport,
    ) -> std::io::Result<Vec<CheckedServer>> {
        let mut left: Vec<_> = self.unprinted.drain().map(|(_, at)| at).collect();
        left.sort_unstable();
        for at in left {
            self.print_row(at, NextTry::Never)?;
        }
        let clients: Vec<Client> = self
            .groups
            .iter()
            .flatten()
            .map(|(client, _)| *client)
            .collect();
        for client in clients {
            self.print_group(Some(client))?;
        }
        let order = self.order;
        self.reports
            .sort_by_key(|report| order.get(&report.name).copied());
        if let Some(mut table) = self.table {
            let rows = self.reports.iter();
            table.notes(&closing_notes(&not_checked))?;
            table.notes(&self.not_read)?;
            table.close(
                rows.map(|report| row(report, NextTry::Never)),
                count(&not_checked),
            )?;
        }
        if self.output.quiet || matches!(self.output.format, Format::Table | Format::Ndjson) {
            return Ok(self.reports);
        }
        let output = self.output;
        let (shown, hidden) = self
            .reports
            .into_iter()
            .partition(|report| output.shows(report));
        let mut report = report(shown, not_checked);
        match output.format {
            Format::Junit => report::print_text(&ci::junit(&report))?,
            Format::Github => report::print_text(&ci::github(&report))?,
            Format::Json | Format::Table | Format::Ndjson => report::print(&report)?,
        }
        let hidden: Vec<CheckedServer> = hidden;
        report.servers.extend(hidden);
        Ok(report.servers)
    }
}

impl CheckOutput {
    /// Whether a server is shown.
    fn shows(&self, report: &CheckedServer) -> bool {
        !self.only_failed || report.status != McpServerStartupState::Ready
    }
}

/// A server that needs a sign-in starts again after it.
fn next_try_after_sign_in(report: &CheckedServer) -> NextTry {
    let recovery = report.failure.as_ref().map(|failure| failure.recovery());
    match Ending::from_start(recovery, &report.status) {
        Ending::NeedsSignIn => NextTry::AfterSignIn,
        Ending::Failed => NextTry::NotAgain,
        Ending::Ready => NextTry::Never,
    }
}

fn row(report: &CheckedServer, next_try: NextTry) -> Row<'_> {
    let note = match (&report.failure, &report.status) {
        (Some(failure), _) => Note::Failed {
            recovery: failure.recovery(),
            message: failure.message(),
        },
        (None, McpServerStartupState::Ready) => Note::Ready {
            tools: report.tools,
            warning: report
                .warning
                .as_ref()
                .map(|warning| warning.message.as_str()),
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
        next_try,
        warnings: &report.configuration_warnings,
        also_in: also_in(&report.owners),
    }
}

/// The names of the other clients that have a server.
fn also_in(owners: &[Owner]) -> Vec<&'static str> {
    let Some((first, others)) = owners.split_first() else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for owner in others {
        let name = owner.client.name();
        if owner.client != first.client && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
