//! `mcp-startup check`: starts the servers of a configuration.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mcp_startup::config::{
    Configuration, ProcessEnvironment, ServerEntry, codex_home, read, stranger_configuration,
};
use mcp_startup::{
    Check, McpServerStartupState, Startup, StartupEvent, StartupOptions, Update, encode, printable,
};

use crate::CommandError;
use crate::arguments::{self, Format};
use crate::exit_status::{Ending, ExitStatus};
use crate::interruption::{Interruption, nobody_reads};
use crate::report::{self, Report, ServerReport};
use crate::table::{Note, Row, Server, Table, wrapped};

/// Whoever waits for longer is told for what.
const SAVING_IS_SAID_AFTER: Duration = Duration::from_secs(1);
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(500);
const PATH_CHARS: usize = 500;
const NO_LOGIN_YET: &str = "`mcp-startup login` comes with the next version; until then sign in with the client that owns this \
    configuration, such as `codex mcp login NAME`";

pub fn run(arguments: arguments::Check) -> Result<ExitStatus, CommandError> {
    let path = match arguments.config {
        Some(path) => path,
        None => default_configuration()?,
    };
    let configuration = read(&path, &ProcessEnvironment)?;
    if configuration.servers.is_empty() {
        let shown = shown(&path);
        return Err(CommandError::Usage(format!(
            "no server is configured in {shown}"
        )));
    }
    let servers = selected(&configuration, &arguments.servers)?;
    if servers.is_empty() {
        let mut stderr = anstream::stderr();
        let _ = writeln!(stderr, "No server is enabled in {}.", shown(&path));
    }
    let mut options = StartupOptions::for_configuration(&configuration);
    options.limit = arguments.starts.timeout;
    options.concurrency = arguments.starts.concurrency;
    // Part of a JSON document, which is for programs: the path as it is.
    let reported_path = Some(path.display().to_string());
    let format = arguments.output.format;
    let checked = start(options, servers, format, reported_path)?;
    if format == Format::Table && checked.servers.iter().any(wants_sign_in) {
        let mut stderr = anstream::stderr();
        let hint = match std::io::stderr().is_terminal() {
            true => wrapped(NO_LOGIN_YET, textwrap::termwidth(), ""),
            false => NO_LOGIN_YET.to_owned(),
        };
        let _ = writeln!(stderr, "{hint}");
    }
    Ok(checked.status)
}

/// A path as it may come to a terminal: whoever made the file chose its name.
fn shown(path: &Path) -> String {
    printable(&path.display().to_string(), PATH_CHARS)
}

/// Whether its row tells the user to sign in.
fn wants_sign_in(server: &ServerReport) -> bool {
    let recovery = server.failure.as_ref().map(|failure| failure.recovery());
    Ending::of_start(recovery, &server.status) == Ending::NeedsSignIn
}

/// What a check came to, and which servers it was about.
pub struct Checked {
    pub status: ExitStatus,
    pub servers: Vec<ServerReport>,
}

/// Checks `servers` and shows them.
pub fn start(
    options: StartupOptions,
    servers: Vec<ServerEntry>,
    format: Format,
    configuration: Option<String>,
) -> Result<Checked, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let checked = runtime.block_on(async {
        // Before anything starts: from then on there is something to end.
        let interruption = Interruption::listen()?;
        let startup = Startup::new(options)?;
        let mut shown = Shown::new(format, &servers);
        let began = Instant::now();
        let interrupted = follow(startup.check(servers), interruption, &mut shown).await?;
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

/// Shows a check until it ends. Returns whether it was interrupted; a second interruption does not wait for the programs
/// to end by themselves.
async fn follow(
    mut check: Check,
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
                check.cancel();
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
            update = check.update() => match update {
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
            check.cancel();
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
    reports: Vec<ServerReport>,
    /// The place of each server in the order of the configuration.
    order: HashMap<String, usize>,
    /// Servers that are ready and whose tools are being counted: their place among the reports.
    counting: HashMap<String, usize>,
}

impl Shown {
    fn new(format: Format, servers: &[ServerEntry]) -> Self {
        let names = servers.iter().map(|entry| entry.name.as_str());
        Self {
            format,
            table: (format == Format::Table).then(|| Table::of_check(names.clone())),
            reports: Vec::new(),
            order: names.map(str::to_owned).zip(0..).collect(),
            counting: HashMap::new(),
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
                let Some(at) = self.counting.remove(&name) else {
                    return Ok(());
                };
                self.reports[at].tools = count;
                self.print_row(at)
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
        let is_ready = *notification.status() == McpServerStartupState::Ready;
        let at = self.reports.len();
        self.reports.push(ServerReport {
            name: notification.name().to_owned(),
            required: event.required,
            status: notification.status().clone(),
            failure_reason: notification.failure_reason().cloned(),
            phase: event.phase,
            elapsed_ms: event.elapsed_ms,
            tools: None,
            failure: event.failure,
            not_saved: event.not_saved,
        });
        // Its line waits for the number of its tools.
        match is_ready {
            true => {
                let name = &self.reports[at].name;
                if let Some(table) = &mut self.table {
                    table.counts_tools(Server::named(name));
                }
                self.counting.insert(name.clone(), at);
                Ok(())
            }
            false => self.print_row(at),
        }
    }

    fn print_row(&mut self, at: usize) -> std::io::Result<()> {
        let Some(table) = &mut self.table else {
            return Ok(());
        };
        table.ended(&row(&self.reports[at]))
    }

    fn close(
        mut self,
        report: impl FnOnce(Vec<ServerReport>) -> Report,
    ) -> std::io::Result<Vec<ServerReport>> {
        let mut left: Vec<_> = self.counting.drain().map(|(_, at)| at).collect();
        left.sort_unstable();
        for at in left {
            self.print_row(at)?;
        }
        let order = self.order;
        self.reports
            .sort_by_key(|report| order.get(&report.name).copied());
        if let Some(table) = self.table {
            table.close(self.reports.iter().map(row))?;
        }
        if self.format != Format::Json {
            return Ok(self.reports);
        }
        let report = report(self.reports);
        report::print(&report)?;
        Ok(report.servers)
    }
}

fn row(report: &ServerReport) -> Row<'_> {
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
    }
}

/// Codex's own configuration, which is named. One that lies in the current folder may be a stranger's: it is named too, and
/// not started.
fn default_configuration() -> Result<PathBuf, CommandError> {
    let mut stderr = anstream::stderr();
    let stranger = std::env::current_dir()
        .ok()
        .and_then(|folder| stranger_configuration(&folder));
    let path = codex_home(&ProcessEnvironment).map(|home| home.join("config.toml"));
    match path {
        Some(path) if path.exists() => {
            let _ = writeln!(stderr, "Checking the servers of {}", shown(&path));
            if stranger.is_some() {
                let _ = writeln!(
                    stderr,
                    "There is a .mcp.json in this folder. It may have come with somebody's repository, so it is not started; \
                     if you trust it: mcp-startup check --config .mcp.json"
                );
            }
            Ok(path)
        }
        path => {
            let looked = path.map_or_else(
                || "neither CODEX_HOME nor HOME is set".to_owned(),
                |path| format!("{} does not exist", shown(&path)),
            );
            let hint = match stranger {
                Some(_) => {
                    "; there is a .mcp.json in this folder, which may have come with somebody's repository: \
                     if you trust it, use `--config .mcp.json`"
                }
                None => "; name a configuration with `--config FILE`, or see `mcp-startup demo`",
            };
            Err(CommandError::Usage(format!("{looked}{hint}")))
        }
    }
}

fn selected(
    configuration: &Configuration,
    names: &[String],
) -> Result<Vec<ServerEntry>, CommandError> {
    let mut servers = configuration.servers.clone();
    if names.is_empty() {
        servers.retain(|entry| entry.enabled);
        return Ok(servers);
    }
    for name in names {
        if !servers.iter().any(|entry| entry.name == *name) {
            let known: Vec<_> = servers
                .iter()
                .take(20)
                .map(|entry| printable(&entry.name, 60))
                .collect();
            return Err(CommandError::Usage(format!(
                "there is no server `{}` in {}; it configures: {}",
                printable(name, 60),
                shown(&configuration.path),
                known.join(", ")
            )));
        }
    }
    servers.retain(|entry| names.contains(&entry.name));
    for entry in &mut servers {
        // Who names a disabled server wants it.
        entry.enabled = true;
    }
    Ok(servers)
}
