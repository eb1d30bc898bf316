//! Completion in a shell: the script that a user installs, and the answers to it. The names of servers come from the files of the
//! clients on the machine, and those of scenarios from the lab. Nothing is started.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::CommandFactory;
use clap_complete::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use mcp_startup::config::clients::{self, Client};
use mcp_startup::config::{ProcessEnvironment, expand_tilde};
use mcp_startup::printable;
use mcp_startup_core::is_hidden;

use crate::arguments::Arguments;
use crate::output::exit_status::ExitStatus;

/// The variable with which the script asks this program for the possible words.
const VARIABLE: &str = "MCP_STARTUP_COMPLETE";
const PROGRAM: &str = "mcp-startup";
const NAME_CHARS: usize = 200;

/// The words of the command line that a script completes.
static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Answers a completion script. Returns the exit status, or `None` if no script asks.
pub fn complete(arguments: &[OsString]) -> Option<u8> {
    std::env::var_os(VARIABLE)?;
    WORDS.get_or_init(|| arguments.to_vec());
    let words = std::iter::once(OsString::from(PROGRAM)).chain(arguments.iter().cloned());
    let folder = std::env::current_dir().ok();
    let answer = CompleteEnv::with_factory(Arguments::command)
        .var(VARIABLE)
        .bin(PROGRAM)
        .completer(PROGRAM)
        .try_complete(words, folder.as_deref());
    match answer {
        Ok(true) => Some(ExitStatus::AllReady.code()),
        Ok(false) => None,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "{error}");
            Some(ExitStatus::Usage.code())
        }
    }
}

/// The script of `clap_complete` completes no name with a colon or a space in bash.
const BASH: &str = include_str!("completion.bash");

/// Prints the script for a shell.
pub fn print_script(shell: clap_complete::Shell) -> std::io::Result<()> {
    if shell == clap_complete::Shell::Bash {
        return std::io::stdout().write_all(BASH.as_bytes());
    }
    let mut script = Vec::new();
    let shells = Shells::builtins();
    if let Some(completer) = shells.completer(&shell.to_string()) {
        completer.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    }
    std::io::stdout().write_all(&script)
}

/// The names of the servers of the file after `--config`. Without that, the names of the servers of all clients, and `CLIENT:NAME` for
/// those that several clients have.
pub fn servers() -> Vec<CompletionCandidate> {
    match configuration() {
        Some(path) => servers_of(&path),
        None => servers_of_clients(),
    }
}

/// As [`servers`], for a word of the command. A name that begins with `-` is read as an option there, except after `--`.
pub fn servers_as_words() -> Vec<CompletionCandidate> {
    // The first `--` is before the program, and not part of the command line.
    let words = WORDS.get().map_or(&[][..], Vec::as_slice);
    let is_after_options = words.iter().skip(1).any(|word| word == "--");
    let mut servers = servers();
    servers.retain(|server| {
        is_after_options || !server.get_value().to_string_lossy().starts_with('-')
    });
    servers
}

/// The file after `--config`.
fn configuration() -> Option<PathBuf> {
    let words = WORDS.get()?;
    let mut words = words.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        let path = match word.strip_prefix("--config") {
            Some("") => words.next(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        if path.is_some() {
            return path.map(|path| expand_tilde(path, &ProcessEnvironment));
        }
    }
    None
}

/// The names of the lab's scenarios.
pub fn scenarios() -> Vec<CompletionCandidate> {
    let names = mcp_startup_lab::scenarios().iter().map(|row| &row.name);
    names.map(CompletionCandidate::new).collect()
}

/// The names of the lab's scenarios that are programs.
pub fn stdio_scenarios() -> Vec<CompletionCandidate> {
    let rows = mcp_startup_lab::scenarios().iter();
    let rows = rows.filter(|row| row.stdio.is_some());
    rows.map(|row| CompletionCandidate::new(&row.name))
        .collect()
}

fn servers_of(path: &Path) -> Vec<CompletionCandidate> {
    let configuration = mcp_startup::config::read(path, &ProcessEnvironment);
    let servers = configuration.map_or_else(|_| Vec::new(), |configuration| configuration.servers);
    let names = servers.iter().map(|server| server.name.as_str());
    let names = names.filter(|name| can_be_shown(name));
    names.map(CompletionCandidate::new).collect()
}

/// Whether a shell can show the name: it would write hidden characters to the terminal as they are.
fn can_be_shown(name: &str) -> bool {
    !name.contains(is_hidden)
}

fn servers_of_clients() -> Vec<CompletionCandidate> {
    let folder = std::env::current_dir().unwrap_or_default();
    let files = clients::discover_on(&clients::ThisMachine::default(), &folder);
    let servers = files.iter().flat_map(|file| {
        file.servers
            .iter()
            .map(move |server| (file.client, &server.entry.name))
    });
    let mut names: BTreeMap<&String, BTreeSet<Client>> = BTreeMap::new();
    for (client, name) in servers.filter(|(_, name)| can_be_shown(name)) {
        names.entry(name).or_default().insert(client);
    }
    let candidates = names.iter().flat_map(|(name, of)| {
        let plain = CompletionCandidate::new(name.as_str()).help(Some(
            printable(
                &of.iter()
                    .map(|client| client.name())
                    .collect::<Vec<_>>()
                    .join(", "),
                NAME_CHARS,
            )
            .into(),
        ));
        let qualified = of.iter().filter(|_| of.len() > 1);
        let qualified =
            qualified.map(|client| CompletionCandidate::new(format!("{}:{name}", client.id())));
        std::iter::once(plain).chain(qualified).collect::<Vec<_>>()
    });
    candidates.collect()
}
