//! `mcp-startup explain`: starts one server and prints what happened, in order, and the rule that decided.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use mcp_startup::config::ServerEntry;
use mcp_startup::{
    McpServerStartupState, Startup, StartupEvent, StartupFailure, StartupOptions, Update,
};

use crate::CommandError;
use crate::arguments::{self, ExplainFormat};
use crate::documents::{Explanation, Rule};
use crate::interruption::{Interruption, output_closed};
use crate::output::exit_status::{Ending, ExitStatus};
use crate::output::one_line::one_line;
use crate::output::report;
use crate::output::stdout;
use crate::output::table::wrapped;
use crate::output::timeline::{lines, name_of};
use crate::output::warnings;
use crate::selection;
use crate::stores::Stores;

const SHUTDOWN_LIMIT: std::time::Duration = std::time::Duration::from_millis(500);
const TEXT_CHARS: usize = 1000;
/// The width of lines that do not go to a terminal.
const UNLIMITED_COLUMNS: usize = 10_000;
const INDENT: &str = "  ";

impl Rule {
    fn of(failure: &StartupFailure) -> Self {
        Self {
            kind: failure.kind(),
            // The kinds are declared in the order in which they are tried.
            row: failure.kind() as usize + 1,
            recovery: failure.recovery(),
        }
    }
}

pub fn run(arguments: arguments::Explain) -> Result<ExitStatus, CommandError> {
    let (selection, server) = selection::select_one(&arguments.source, &arguments.server)?;
    let runtime = crate::runtime()?;
    let stores = runtime.block_on(Stores::open(&arguments.stored_user))?;
    let mut options = stores.options(&selection.credentials);
    options.client_metadata_url = arguments.client_document.url;
    options.limit = arguments.timeout;
    options.limit_option = Some("--timeout");
    options.on_command_line = selection.is_direct;
    options.timeline = true;
    let ended = runtime.block_on(async {
        let ended = start(options, vec![server]).await;
        stores.close().await;
        ended
    });
    // A host name lookup can't be cancelled, and may outlast the start that asked for it.
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    let (event, interrupted) = ended?;
    let Some(event) = event else {
        return Ok(ExitStatus::Interrupted);
    };
    let status = match interrupted {
        true => ExitStatus::Interrupted,
        false => {
            let recovery = event.failure.as_ref().map(StartupFailure::recovery);
            let state = event.notification.status();
            ExitStatus::from_endings([Ending::from_start(recovery, state)])
        }
    };
    let explanation = Explanation::new(selection.configuration.path, event, status);
    match arguments.format {
        ExplainFormat::Json => report::print(&explanation)?,
        ExplainFormat::Text => print(&explanation)?,
    }
    Ok(status)
}

/// Starts the server. Returns its closing event, and whether the start was interrupted. A second interruption does not wait for the
/// program to exit.
async fn start(
    mut options: StartupOptions,
    servers: Vec<ServerEntry>,
) -> Result<(Option<StartupEvent>, bool), CommandError> {
    // Before anything starts, so that an interruption never leaves a program behind.
    let mut interruption = Interruption::listen()?;
    options.supervisor = crate::this_program::supervisor();
    let startup = Startup::new(options)?;
    let mut check = startup.check(servers);
    let mut closed = std::pin::pin!(output_closed());
    let mut ended = None;
    let mut interrupted = false;
    let mut is_closed = false;
    loop {
        tokio::select! {
            biased;
            () = interruption.next() => {
                if interrupted {
                    break;
                }
                interrupted = true;
                check.cancel();
            }
            () = &mut closed, if !is_closed => {
                is_closed = true;
                check.cancel();
            }
            update = check.update() => match update {
                Some(Update::Event(event)) if event.timeline.is_some() => ended = Some(event),
                Some(_) => {}
                None => break,
            }
        }
    }
    match is_closed {
        true => Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()),
        false => Ok((ended, interrupted)),
    }
}

impl Explanation {
    fn new(configuration: Option<String>, event: StartupEvent, status: ExitStatus) -> Self {
        Self {
            configuration,
            server: event.notification.name().to_owned(),
            status: event.notification.status().clone(),
            exit_status: status.code(),
            elapsed_ms: event.elapsed_ms,
            timeline: event.timeline.unwrap_or_default(),
            rule: event.failure.as_ref().map(Rule::of),
            failure: event.failure,
            warning: event.warning,
            not_saved: event.not_saved,
            configuration_warnings: event.configuration_warnings,
        }
    }
}

/// Prints the timeline and the verdict.
fn print(explanation: &Explanation) -> std::io::Result<()> {
    let columns = match std::io::stdout().is_terminal() {
        true => textwrap::termwidth(),
        false => UNLIMITED_COLUMNS,
    };
    let mut stdout = stdout::styled();
    for line in lines(&explanation.timeline, columns) {
        writeln!(stdout, "{line}")?;
    }
    let (style, ending) = ending(explanation);
    let elapsed = explanation.elapsed_ms;
    writeln!(stdout, "\n{style}{ending} after {elapsed} ms{style:#}")?;
    let mut say = |text: &str| {
        let text = one_line(text, TEXT_CHARS);
        writeln!(stdout, "{}", wrapped(&text, columns, INDENT))
    };
    if let Some(failure) = &explanation.failure {
        say(failure.message())?;
    }
    if let Some(rule) = explanation.rule {
        say(&format!(
            "Rule: {}, row {} of the kinds in docs/protocol.md, which is the first that applies. Recovery: {}.",
            name_of(&rule.kind),
            rule.row,
            name_of(&rule.recovery)
        ))?;
    }
    if let Some(warning) = &explanation.warning {
        say(&warning.message)?;
    }
    if let Some(why) = &explanation.not_saved {
        say(&format!("The refreshed sign-in could not be saved: {why}"))?;
    }
    for warning in warnings::texts(&explanation.configuration_warnings, "") {
        say(&warning)?;
    }
    stdout.flush()
}

/// The style and the words of the result.
fn ending(explanation: &Explanation) -> (Style, &'static str) {
    let style = |color: AnsiColor| color.on_default().bold();
    let recovery = explanation.failure.as_ref().map(StartupFailure::recovery);
    match &explanation.status {
        McpServerStartupState::Ready => (style(AnsiColor::Green), "Ready"),
        McpServerStartupState::Cancelled => (Style::new().dimmed(), "Cancelled"),
        state => match Ending::from_start(recovery, state) {
            Ending::NeedsSignIn => (style(AnsiColor::Yellow), "Failed"),
            Ending::Ready | Ending::Failed => (style(AnsiColor::Red), "Failed"),
        },
    }
}
