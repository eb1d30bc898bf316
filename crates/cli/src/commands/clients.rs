//! `mcp-startup clients`: the clients on this machine, their files and their servers. Starts nothing.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use mcp_startup::config::clients::{ClientFile, ClientServer, Scope};
use mcp_startup::printable;
use serde::Serialize;

use crate::CommandError;
use crate::arguments::{self, Source, StatusFormat};
use crate::output::exit_status::ExitStatus;
use crate::output::report;
use crate::selection::{self, shown};

const NAME_CHARS: usize = 60;
const REASON_CHARS: usize = 300;

/// One file of a client, as `--format json` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    /// The ID of the client.
    client: &'static str,
    /// `user`, `local`, `project`, `managed`, `plugin` or `system`.
    scope: &'static str,
    path: String,
    format: &'static str,
    /// Whether the user has approved the file in the client; null if that is not known or not needed.
    approved: Option<bool>,
    error: Option<FileError>,
    servers: Vec<Server>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileError {
    line: Option<u32>,
    column: Option<u32>,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    name: String,
    /// `stdio`, `http`, `sse` or `unknown`.
    transport: &'static str,
    enabled: bool,
    /// Whether `check` can start it: it has no problem, and everything it needs is known.
    checkable: bool,
    /// Why it can't be checked.
    why: Option<String>,
    /// Whether the user has approved the server in the client; null if that is not known or not needed.
    approved: Option<bool>,
}

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
        StatusFormat::Json => report::print(&files.iter().map(File::from).collect::<Vec<_>>())?,
        StatusFormat::Table => print(&files)?,
    }
    Ok(status)
}

impl From<&ClientFile> for File {
    fn from(file: &ClientFile) -> Self {
        Self {
            client: file.client.id(),
            scope: file.scope.as_str(),
            path: file.path.display().to_string(),
            format: file.format.as_str(),
            approved: file.approved,
            error: file.error.as_ref().map(|error| FileError {
                line: error.line(),
                column: error.column(),
                message: error.to_string(),
            }),
            servers: file.servers.iter().map(Server::from).collect(),
        }
    }
}

impl From<&ClientServer> for Server {
    fn from(server: &ClientServer) -> Self {
        let why = why_not(server);
        Self {
            name: server.entry.name.clone(),
            transport: server.transport.as_str(),
            enabled: server.entry.enabled,
            checkable: why.is_none(),
            why,
            approved: server.approved,
        }
    }
}

/// Why a server can't be checked.
fn why_not(server: &ClientServer) -> Option<String> {
    let problem = server.entry.config.as_ref().err().map(ToString::to_string);
    server.not_checked.clone().or(problem)
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
        for server in &file.servers {
            let name = printable(&server.entry.name, NAME_CHARS);
            let transport = server.transport.as_str();
            let state = match (server.entry.enabled, why_not(server)) {
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
