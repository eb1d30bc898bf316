//! The question before the first check of every client's servers. Only the answer is stored.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use mcp_startup::config::clients::Client;
use mcp_startup::config::{Environment, ProcessEnvironment, ServerEntry, TransportConfig};
use mcp_startup::printable;

use super::Selection;

const NAME_CHARS: usize = 60;
const COMMAND_CHARS: usize = 100;
/// How many shells and other wrappers of a program are shown with their own program.
const MAX_WRAPPERS: u8 = 3;

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

/// A server and the way that it is started.
fn line(entry: &ServerEntry) -> String {
    let name = printable(&entry.name, NAME_CHARS);
    let how = match &entry.config {
        Ok(config) => match &config.transport {
            TransportConfig::Stdio(stdio) => {
                let args: Vec<&str> = stdio.args.iter().map(String::as_str).collect();
                shown_command(&stdio.command, &args, MAX_WRAPPERS)
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

/// A program and its arguments. They may contain secrets, so only the first one that does not look like an option or a value is shown,
/// and for a shell or `env`, the same words of the program that it starts.
fn shown_command(command: &str, args: &[&str], wrappers: u8) -> String {
    let name = command.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.strip_suffix(".exe").unwrap_or(name);
    let is_option = |arg: &&&str| arg.starts_with('-') || arg.starts_with('/');
    let inner = wrappers.saturating_sub(1);
    let child = match name {
        _ if wrappers == 0 => None,
        "env" => {
            let program = args.iter().position(|arg| !arg.contains('='));
            let program = program.filter(|at| !args[*at].starts_with('-'));
            program.map(|at| shown_command(args[at], &args[at + 1..], inner))
        }
        "cmd" => {
            let options = args.iter().take_while(is_option).count();
            let program = args.get(options).filter(|_| options > 0);
            program.map(|program| {
                format!(
                    "{} {}",
                    args[options - 1],
                    shown_command(program, &args[options + 1..], inner)
                )
            })
        }
        "sh" | "bash" | "zsh" | "dash" | "ash" | "ksh" | "fish" => {
            let options = args.iter().take_while(|arg| arg.starts_with('-')).count();
            let line = args.get(options).filter(|_| {
                let last = options.checked_sub(1).map(|at| args[at]);
                last.is_some_and(|option| !option.starts_with("--") && option.ends_with('c'))
            });
            line.map(|line| format!("{} {}", args[options - 1], shown_line(line, inner)))
        }
        _ => None,
    };
    let words = child.or_else(|| {
        let first = args.iter().find(|arg| !arg.starts_with('-'))?;
        let is_value = first.contains("://") || first.contains('=');
        (!is_value).then(|| (*first).to_owned())
    });
    match words {
        Some(words) => format!("{command} {words}"),
        None => command.to_owned(),
    }
}

/// The line of a shell. Only a line of plain words is shown, because the others can have a secret anywhere.
fn shown_line(line: &str, wrappers: u8) -> String {
    let is_plain = |word: &&str| {
        word.chars()
            .all(|character| character.is_alphanumeric() || "-_./:@=+,%~\\".contains(character))
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let words = words.strip_prefix(&["exec"]).unwrap_or(&words);
    match words.split_first() {
        Some((first, rest)) if words.iter().all(is_plain) => match first.contains('=') {
            true => shown_command("env", words, wrappers).replacen("env ", "", 1),
            false => shown_command(first, rest, wrappers),
        },
        _ => "…".to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_without_its_values() {
        #[rustfmt::skip]
        let rows: &[(&str, &[&str], &str)] = &[
            ("npx", &["-y", "acme-mcp", "--token", "canary"], "npx acme-mcp"),
            ("npx", &["--token=canary", "TOKEN=canary", "x"], "npx"),
            ("curl", &["https://canary@acme.example"], "curl"),
            ("sh", &["-c", "npx -y acme-mcp --token canary"], "sh -c npx acme-mcp"),
            ("/bin/bash", &["-lc", "exec uvx acme"], "/bin/bash -lc uvx acme"),
            ("sh", &["-c", "TOKEN=canary npx acme-mcp"], "sh -c npx acme-mcp"),
            ("sh", &["-c", "cd /x && TOKEN='canary' npx acme-mcp"], "sh -c …"),
            ("sh", &["-c", ""], "sh -c …"),
            ("sh", &["server.sh"], "sh server.sh"),
            ("sh", &["-c"], "sh"),
            ("cmd", &["/c", "npx", "-y", "acme-mcp"], "cmd /c npx acme-mcp"),
            ("cmd.exe", &["/d", "/c", "npx"], "cmd.exe /c npx"),
            ("env", &["TOKEN=canary", "npx", "acme-mcp"], "env npx acme-mcp"),
            ("env", &["-u", "A", "npx"], "env A"),
            ("env", &["TOKEN=canary"], "env"),
            ("env", &["env", "env", "env", "env", "x"], "env env env env env"),
        ];
        for (command, args, expected) in rows {
            let found = shown_command(command, args, MAX_WRAPPERS);
            assert_eq!(&found, expected, "{args:?}");
        }
    }
}
