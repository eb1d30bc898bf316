//! `mcp-startup clients`: the clients on this machine, their files and their servers. Starts nothing.

use std::io::{IsTerminal, Write};

use anstyle::Style;
use mcp_startup::config::clients::{self, ClientFile, Scope};
use unicode_width::UnicodeWidthStr;

use crate::CommandError;
use crate::arguments::{self, Source, StatusFormat};
use crate::output::exit_status::ExitStatus;
use crate::output::one_line::one_line;
use crate::output::report;
use crate::output::stdout;
use crate::output::table::wrapped;
use crate::selection::{self, shown, without_home};

const NAME_CHARS: usize = 60;
const REASON_CHARS: usize = 300;
const INDENT: &str = "    ";

pub fn run(arguments: &arguments::Clients) -> Result<ExitStatus, CommandError> {
    let files = selection::discover(&Source {
        config: None,
        clients: arguments.clients.clone(),
        trust_project: false,
        as_written: false,
    });
    let status = match files.iter().any(|file| file.error.is_some()) {
        true => ExitStatus::Failed,
        false => ExitStatus::AllReady,
    };
    match arguments.format {
        StatusFormat::Json => report::print(&clients::report(&files))?,
        StatusFormat::Table => print(&files)?,
    }
    Ok(status)
}

fn print(files: &[ClientFile]) -> Result<(), CommandError> {
    let bold = Style::new().bold();
    let dim = Style::new().dimmed();
    let mut stdout = stdout::styled();
    if files.is_empty() {
        let why = without_home().map_or_else(String::new, |why| format!(": {why}"));
        writeln!(
            stdout,
            "No configuration file of an MCP client was found{why}."
        )?;
    }
    let mut last = None;
    for file in files {
        if last != Some(file.client) {
            writeln!(stdout, "{bold}{}{bold:#}", file.client)?;
            last = Some(file.client);
        }
        let approval = match (file.scope, file.approved) {
            (Scope::Project, Some(true)) => ", approved",
            (Scope::Project, _) => ", not approved",
            _ => "",
        };
        let scope = file.scope.as_str();
        let path = line(
            &shown(&file.path),
            &format!("({scope}{approval})"),
            dim,
            "  ",
        );
        writeln!(stdout, "{path}")?;
        if let Some(error) = &file.error {
            let error = one_line(&error.to_string(), REASON_CHARS);
            writeln!(stdout, "{}", line("✗", &error, Style::new(), INDENT))?;
        }
        for warning in &file.warnings {
            let warning = one_line(&warning.to_string(), REASON_CHARS);
            writeln!(stdout, "{}", line("!", &warning, Style::new(), INDENT))?;
        }
        if let Some(why) = &file.not_read {
            writeln!(stdout, "{}", line("not read:", why, dim, INDENT))?;
        }
        for server in &file.servers {
            let name = one_line(&server.entry.name, NAME_CHARS);
            let transport = server.transport.as_str();
            let (state, style) = match (server.entry.enabled, server.why_not_checkable()) {
                (false, _) => (format!("{transport}  off"), dim),
                (true, Some(why)) => {
                    let why = one_line(&why, REASON_CHARS);
                    match server.not_checked.is_some() {
                        true => (format!("{transport}  not checked: {why}"), dim),
                        false => (format!("{transport}  ✗ {why}"), Style::new()),
                    }
                }
                (true, None) => match (file.scope, &server.from_project) {
                    (Scope::Project, _) | (_, None) => (transport.to_owned(), dim),
                    (_, Some(what)) => (format!("{transport}  not approved: {what}"), dim),
                },
            };
            writeln!(
                stdout,
                "{}",
                line(&format!("{name} "), &state, style, INDENT)
            )?;
        }
    }
    stdout.flush()?;
    Ok(())
}

/// A line with a heading and a text in a style. On a terminal, a text that does not fit is wrapped between words.
fn line(heading: &str, text: &str, style: Style, indent: &str) -> String {
    let whole = format!("{heading} {text}");
    if !std::io::stdout().is_terminal() || indent.width() + whole.width() <= textwrap::termwidth() {
        return format!("{indent}{heading} {style}{text}{style:#}");
    }
    let columns = textwrap::termwidth();
    let mut lines = wrapped(&whole, columns, indent).replace('\n', &format!("\n{INDENT}"));
    // The lines below have a deeper indent, so they are wrapped at a smaller width.
    if lines.lines().any(|line| line.width() > columns) {
        let narrow = columns.saturating_sub(INDENT.len());
        lines = wrapped(&whole, narrow, indent).replace('\n', &format!("\n{INDENT}"));
    }
    lines
}
