//! The question before the first check of every client's servers. Only the answer is stored.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use mcp_startup::config::clients::Client;
use mcp_startup::config::{Environment, ProcessEnvironment, ServerEntry, TransportConfig};
use mcp_startup::printable;

use super::Selection;

const NAME_CHARS: usize = 60;
const COMMAND_CHARS: usize = 100;

/// Asks on a terminal whether these servers may be started, the first time. Returns whether they may.
pub fn confirm(selection: &Selection, is_confirmed: bool) -> std::io::Result<bool> {
    let answer = answer_file();
    let is_known = answer.as_ref().is_some_and(|path| path.exists());
    if is_confirmed || is_known || selection.servers.is_empty() || !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    let mut stderr = anstream::stderr();
    writeln!(
        stderr,
        "mcp-startup starts these servers, as your MCP clients do:"
    )?;
    list(selection, &mut stderr)?;
    write!(
        stderr,
        "Start them? This question appears only once. [y/N] "
    )?;
    stderr.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let may_start = matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if let (true, Some(path)) = (may_start, answer) {
        // If the answer can't be stored, the user is asked again.
        let folder = path.parent().map(std::fs::create_dir_all);
        if matches!(folder, Some(Ok(()))) {
            let _ = std::fs::write(path, "");
        }
    }
    Ok(may_start)
}

/// Lists the servers by client, each with its program or the host of its URL.
pub fn list(selection: &Selection, output: &mut impl Write) -> std::io::Result<()> {
    let mut last: Option<Client> = None;
    for server in &selection.servers {
        let client = server.owners.first().map(|owner| owner.client);
        if let Some(client) = client.filter(|client| last != Some(*client)) {
            writeln!(output, "  {client}")?;
        }
        last = client;
        writeln!(output, "    {}", line(&server.entry))?;
    }
    Ok(())
}

/// A server and the way that it is started. Arguments may contain secrets, so only the first one that does not look like an option or
/// a value is shown.
fn line(entry: &ServerEntry) -> String {
    let name = printable(&entry.name, NAME_CHARS);
    let how = match &entry.config {
        Ok(config) => match &config.transport {
            TransportConfig::Stdio(stdio) => {
                let package = stdio.args.iter().find(|arg| !arg.starts_with('-'));
                let package =
                    package.filter(|package| !package.contains("://") && !package.contains('='));
                let words = std::iter::once(&stdio.command).chain(package);
                words.map(String::as_str).collect::<Vec<_>>().join(" ")
            }
            TransportConfig::Http(http) => {
                let host = http.url.host_str().unwrap_or_default();
                let port = http.url.port().map(|port| format!(":{port}"));
                format!("{host}{}", port.unwrap_or_default())
            }
        },
        Err(problem) => format!("its entry has a problem: {problem}"),
    };
    format!("{name}  {}", printable(&how, COMMAND_CHARS))
}

/// The file that shows that the user has answered: in `$XDG_STATE_HOME` or `~/.local/state`, or in `%LOCALAPPDATA%`.
fn answer_file() -> Option<PathBuf> {
    let folder = |name: &str| {
        let value = ProcessEnvironment.get(name).map(PathBuf::from);
        value.filter(|path| path.is_absolute())
    };
    let state = match cfg!(windows) {
        true => folder("LOCALAPPDATA"),
        false => folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state"))),
    };
    Some(state?.join("mcp-startup").join("check-confirmed"))
}
