//! `mcp-startup clients`: the clients on this machine, their files and their servers. Starts nothing.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use mcp_startup::config::clients::{self, ClientFile, Scope};
use mcp_startup::printable;

use crate::CommandError;
use crate::arguments::{self, Source, StatusFormat};
use crate::output::exit_status::ExitStatus;
use crate::output::report;
use crate::selection::{self, shown};

const NAME_CHARS: usize = 60;
const REASON_CHARS: usize = 300;

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
    let red = AnsiColor::Red.on_default();
    let mut stdout = anstream::stdout().lock();
    if files.is_empty() {
        writeln!(stdout, "No configuration file of an MCP client was found.")?;
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
        writeln!(
            stdout,
            "  {} {dim}({}{approval}){dim:#}",
            shown(&file.path),
            file.scope.as_str()
        )?;
        if let Some(error) = &file.error {
            let error = printable(&error.to_string(), REASON_CHARS);
            writeln!(stdout, "    {red}✗{red:#} {error}")?;
        }
        if let Some(why) = &file.not_read {
            writeln!(stdout, "    {dim}not read: {why}{dim:#}")?;
        }
        for server in &file.servers {
            let name = printable(&server.entry.name, NAME_CHARS);
            let transport = server.transport.as_str();
            let state = match (server.entry.enabled, server.why_not_checkable()) {
                (false, _) => format!("  {dim}off{dim:#}"),
                (true, Some(why)) => {
                    let why = printable(&why, REASON_CHARS);
                    match server.not_checked.is_some() {
                        true => format!("  {dim}not checked: {why}{dim:#}"),
                        false => format!("  {red}✗{red:#} {why}"),
                    }
                }
                (true, None) => String::new(),
            };
            writeln!(stdout, "    {name}  {dim}{transport}{dim:#}{state}")?;
        }
    }
    stdout.flush()?;
    Ok(())
}
