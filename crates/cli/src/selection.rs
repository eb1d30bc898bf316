//! Which servers a command uses: the servers of a configuration file or of every client on the machine, a URL, or a command.

#[cfg(feature = "app-server")]
pub mod configuration;
mod first_run;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use mcp_startup::auth::now_ms;
use mcp_startup::config::clients::{
    self, Client, ClientFile, NotChecked, SelectOptions, SelectedServer, ServerName,
};
use mcp_startup::config::{
    self, CredentialSettings, InheritedEnvironment, ProcessEnvironment, ServerConfig, ServerEntry,
    TransportConfig,
};
use mcp_startup::{ConfigurationEvidence, printable};

use crate::CommandError;
use crate::arguments::Source;
use crate::output::report::{self, CheckedConfiguration};
use crate::output::suggestions::Suggestions;
use crate::this_program;

pub use first_run::{NAME_CHARS, command, confirm, list, url};

const PATH_CHARS: usize = 500;

/// The servers of a command, and the servers that it does not start.
pub struct Selection {
    pub servers: Vec<SelectedServer>,
    /// The servers that are not started, with the reason.
    pub not_checked: Vec<NotChecked>,
    /// Where sign-ins are stored.
    pub credentials: CredentialSettings,
    pub configuration: CheckedConfiguration,
    /// How a suggested command finds the same servers. `None` if no command can find them.
    pub suggestions: Option<Suggestions>,
    /// The files that are not read, each with the reason.
    pub not_read: Vec<String>,
    /// Whether the servers come from the clients on this machine.
    pub is_discovered: bool,
    /// Whether the user gave the servers on the command line.
    pub is_direct: bool,
    /// The client's files that could not be read, each as a message.
    pub unreadable: Vec<String>,
    /// The files of the clients.
    pub files: Vec<ClientFile>,
}

/// Selects the servers with these names, or all that are enabled. `names` may contain URLs and `CLIENT:SERVER`.
pub fn select(source: &Source, names: &[String]) -> Result<Selection, CommandError> {
    let (urls, names): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| is_url(name));
    let is_of_files = source.config.is_some() || !source.clients.is_empty();
    if !urls.is_empty() && (!names.is_empty() || is_of_files) {
        // A name of a server can look like a URL.
        let all: Vec<String> = urls.into_iter().chain(names).collect();
        return select_names(source, &all).map_err(|error| match error {
            CommandError::Usage(_) => {
                let problem = "pass either URLs, or names with `--config` or `--client`";
                CommandError::Usage(problem.to_owned())
            }
            error => error,
        });
    }
    if !urls.is_empty() {
        let servers = urls.iter().map(|url| server_of_url(url));
        return Ok(Selection::direct(servers.collect::<Result<_, _>>()?));
    }
    select_names(source, &names)
}

fn select_names(source: &Source, names: &[String]) -> Result<Selection, CommandError> {
    match &source.config {
        Some(path) => of_file(path, names, source),
        None => of_clients(source, names),
    }
}

/// Selects one server for a command such as `login`.
pub fn select_one(source: &Source, name: &str) -> Result<(Selection, ServerEntry), CommandError> {
    let mut selection = select(source, &[name.to_owned()])?;
    match selection.servers.len() {
        1 => {
            let server = selection.servers.remove(0);
            Ok((selection, server.entry))
        }
        0 => {
            let why = selection.not_checked.first().map(|left| left.why.clone());
            let why = why.unwrap_or_else(|| "it is not enabled".to_owned());
            let shown = printable(name, PATH_CHARS);
            Err(CommandError::Usage(format!("{shown} can't be used: {why}")))
        }
        _ => {
            let servers = selection.servers.iter();
            let names: Vec<String> = servers.map(qualified).collect();
            Err(CommandError::Usage(format!(
                "several clients have a server `{}`; name one of: {}",
                printable(name, PATH_CHARS),
                names.join(", ")
            )))
        }
    }
}

/// Selects a program: its path or name, and its arguments.
pub fn select_command(command: &[String]) -> Result<Selection, CommandError> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(Selection::direct(Vec::new()));
    };
    let file = Path::new(program).file_stem().unwrap_or_default();
    let name = file.to_string_lossy();
    let name = match name.trim().is_empty() {
        true => "command",
        false => name.as_ref(),
    };
    let name = printable(name, PATH_CHARS.min(100));
    let mut config = ServerConfig::stdio(name, program, arguments).map_err(usage)?;
    if let TransportConfig::Stdio(stdio) = &mut config.transport {
        // As if the user had typed the command in a shell.
        stdio.inherited = InheritedEnvironment::Everything;
    }
    Ok(Selection::direct(vec![config.into()]))
}

fn usage(problem: config::EntryProblem) -> CommandError {
    CommandError::Usage(problem.problem)
}

fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// A server that no client has configured. Its name is the host of the URL.
fn server_of_url(url: &str) -> Result<ServerEntry, CommandError> {
    let shown = || {
        let end = url.find(['?', '#']).unwrap_or(url.len());
        printable(&url[..end], PATH_CHARS)
    };
    let config = ServerConfig::http("url", url)
        .map_err(|problem| CommandError::Usage(format!("{}: {}", shown(), problem.problem)))?;
    let host = match &config.transport {
        TransportConfig::Http(http) => http.url.host_str().unwrap_or("url").to_owned(),
        TransportConfig::Stdio(_) => "url".to_owned(),
    };
    Ok(ServerConfig::http(host, url).map_err(usage)?.into())
}

impl Selection {
    /// Servers that no client has configured.
    fn direct(entries: Vec<ServerEntry>) -> Self {
        let credentials = CredentialSettings::in_codex_file(&ProcessEnvironment);
        let mut selection = Self::of_entries(entries, credentials);
        let mut suggestions = Suggestions::default();
        for SelectedServer { entry, .. } in &selection.servers {
            if let Ok(config) = &entry.config
                && let TransportConfig::Http(http) = &config.transport
            {
                suggestions.add_url(&entry.name, &http.url);
            }
        }
        selection.suggestions = Some(suggestions);
        selection.is_direct = true;
        selection
    }

    /// Servers without a client, whose sign-ins are stored there.
    pub fn of_entries(entries: Vec<ServerEntry>, credentials: CredentialSettings) -> Self {
        let mut used: HashMap<String, usize> = HashMap::new();
        let servers = entries.into_iter().map(|mut entry| {
            // Two URLs of one host.
            let number = used.entry(entry.name.clone()).or_default();
            *number += 1;
            if *number > 1 {
                entry.name = format!("{} ({number})", entry.name);
            }
            SelectedServer {
                entry,
                owners: Vec::new(),
            }
        });
        Self {
            servers: servers.collect(),
            not_checked: Vec::new(),
            credentials,
            configuration: CheckedConfiguration::default(),
            suggestions: Some(Suggestions::default()),
            not_read: Vec::new(),
            is_discovered: false,
            is_direct: false,
            unreadable: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The number of servers of each client.
    pub fn counts(&self) -> BTreeMap<Client, usize> {
        let owners = self
            .servers
            .iter()
            .filter_map(|server| server.owners.first());
        let mut counts = BTreeMap::new();
        for owner in owners {
            *counts.entry(owner.client).or_default() += 1;
        }
        counts
    }

    /// The entries of the servers to start.
    pub fn entries(&self) -> Vec<ServerEntry> {
        self.servers
            .iter()
            .map(|server| server.entry.clone())
            .collect()
    }
}

/// The servers of one file.
fn of_file(path: &Path, names: &[String], source: &Source) -> Result<Selection, CommandError> {
    let configuration = config::read(path, &ProcessEnvironment)?;
    for warning in &configuration.warnings {
        // It is one line and has no hidden characters.
        let _ = writeln!(
            crate::output::stderr::styled(),
            "{}, {warning}",
            shown(path)
        );
    }
    if configuration.servers.is_empty() {
        let shown = shown(path);
        return Err(CommandError::Usage(format!(
            "no servers are configured in {shown}"
        )));
    }
    let entries = configuration.select(names)?;
    if entries.is_empty() {
        let _ = writeln!(
            crate::output::stderr::styled(),
            "No servers are enabled in {}.",
            shown(path)
        );
    }
    let machine = clients::ThisMachine::default();
    let servers = entries.into_iter().map(|mut entry| {
        if !source.as_written {
            clients::see_through_mcp_remote(&mut entry, &machine, now_ms());
        }
        SelectedServer {
            entry,
            owners: Vec::new(),
        }
    });
    Ok(Selection {
        servers: servers.collect(),
        not_checked: Vec::new(),
        credentials: configuration.credentials.clone(),
        configuration: CheckedConfiguration::of(&configuration),
        suggestions: Some(suggestions_of(source)),
        not_read: Vec::new(),
        is_discovered: false,
        is_direct: false,
        unreadable: Vec::new(),
        files: Vec::new(),
    })
}

fn current_folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}

/// The name of a server with its client.
fn qualified(server: &SelectedServer) -> String {
    match server.owners.first() {
        Some(owner) => format!("{}:{}", owner.client.id(), owner.name),
        None => server.entry.name.clone(),
    }
}

/// The files of the clients that a command uses.
pub fn discover(source: &Source) -> Vec<ClientFile> {
    let folder = current_folder();
    let machine = clients::ThisMachine::default();
    if source.clients.is_empty() {
        return clients::discover_on(&machine, &folder);
    }
    clients::discover_clients(&source.clients, &machine, &folder)
}

/// The servers of the clients on this machine.
fn of_clients(source: &Source, names: &[String]) -> Result<Selection, CommandError> {
    let mut files = discover(source);
    let wanted: Vec<ServerName> = names.iter().map(|name| ServerName::parse(name)).collect();
    let mut first_error = None;
    let mut unreadable = Vec::new();
    let mut not_read = Vec::new();
    for file in &mut files {
        if let Some(message) = self::unreadable(file) {
            unreadable.push(message);
            first_error = first_error.or(file.error.take());
        }
        if let Some(why) = &file.not_read {
            let path = shown(&file.path);
            not_read.push(format!("not read: {path} ({}): {why}", file.client));
        }
    }
    let has_servers = files.iter().any(|file| !file.servers.is_empty());
    // Without servers, the first message is the error.
    for message in unreadable.iter().skip(usize::from(!has_servers)) {
        let _ = writeln!(crate::output::stderr::styled(), "{message}");
    }
    if !has_servers {
        return Err(match first_error {
            Some(error) => error.into(),
            None => CommandError::Usage(nothing_found(source)),
        });
    }
    clients::require_known(&wanted, &files)?;
    if !wanted.is_empty() {
        not_read.clear();
    }
    let warnings = warnings_of_files(&files, &wanted);
    let options = SelectOptions {
        names: wanted,
        trust_project: source.trust_project,
        as_written: source.as_written,
        now_ms: now_ms(),
    };
    let machine = clients::ThisMachine::default();
    let clients::Selection {
        servers,
        not_checked,
    } = clients::select(&files, &machine, &current_folder(), &options);
    Ok(Selection {
        servers,
        not_checked: with_trust_option(not_checked),
        credentials: clients::credentials(&files, &ProcessEnvironment),
        configuration: CheckedConfiguration {
            path: only_file(&files),
            warnings,
        },
        suggestions: Some(suggestions_of(source)),
        not_read,
        is_discovered: true,
        is_direct: false,
        unreadable,
        files,
    })
}

/// Shows the warnings about the files with these servers, each once, and returns them for the report.
fn warnings_of_files(files: &[ClientFile], wanted: &[ServerName]) -> Vec<ConfigurationEvidence> {
    let has_wanted = |file: &&ClientFile| {
        let mut servers = file.servers.iter();
        wanted.is_empty()
            || servers.any(|server| {
                let mut wanted = wanted.iter();
                wanted.any(|wanted| wanted.matches(file.client, &server.entry.name))
            })
    };
    let only_file = only_file(files);
    let mut shown_before = HashSet::new();
    let mut warnings = Vec::new();
    for file in files.iter().filter(has_wanted) {
        let path = shown(&file.path);
        for warning in &file.warnings {
            // Several clients can read one file.
            let line = format!("{path}, {warning}");
            if !shown_before.insert(line.clone()) {
                continue;
            }
            let _ = writeln!(crate::output::stderr::styled(), "{line}");
            let mut evidence = report::warning(warning);
            if only_file.is_none() {
                let problem = evidence.problem.unwrap_or_default();
                evidence.problem = Some(format!("{path}: {problem}"));
            }
            warnings.push(evidence);
        }
    }
    warnings
}

/// The message about a file that can't be read.
fn unreadable(file: &ClientFile) -> Option<String> {
    let error = file.error.as_ref()?;
    Some(format!("{}: {error}", file.client))
}

/// The same servers. The reason of a server that needs an approval also names the option to start it without.
fn with_trust_option(mut not_checked: Vec<NotChecked>) -> Vec<NotChecked> {
    for left in not_checked.iter_mut().filter(|left| left.needs_approval) {
        left.why += "; if you trust the project, pass `--trust-project`";
    }
    not_checked
}

/// The path of the file with all servers, if there is only one.
fn only_file(files: &[ClientFile]) -> Option<String> {
    let mut paths = files
        .iter()
        .filter(|file| !file.servers.is_empty())
        .map(|file| &file.path);
    let first = paths.next()?;
    paths
        .all(|path| path == first)
        .then(|| first.display().to_string())
}

/// The suggestions with the options that select the servers of a source.
pub fn suggestions_of(source: &Source) -> Suggestions {
    let mut suggestions = Suggestions::default();
    if let Some(path) = &source.config {
        suggestions.add_option("--config", Some(&path.to_string_lossy()));
    }
    if !source.clients.is_empty() {
        let ids: Vec<_> = source.clients.iter().map(|client| client.id()).collect();
        suggestions.add_option("--client", Some(&ids.join(",")));
    }
    for (is_set, option) in [
        (source.trust_project, "--trust-project"),
        (source.as_written, "--as-written"),
    ] {
        if is_set {
            suggestions.add_option(option, None);
        }
    }
    suggestions
}

/// Why the files below the user's home folder can't be found, if it is not known.
pub fn without_home() -> Option<&'static str> {
    let path = Path::new("~/file");
    let is_known = config::expand_tilde("~/file", &ProcessEnvironment) != path;
    (!is_known).then_some(match cfg!(windows) {
        true => "the variable USERPROFILE has no absolute path",
        false => "the variable HOME has no absolute path",
    })
}

fn nothing_found(source: &Source) -> String {
    let clients: Vec<_> = source.clients.iter().map(|client| client.name()).collect();
    let whose = match clients.as_slice() {
        [] => "no MCP client with servers was found".to_owned(),
        clients => format!("no servers of {} were found", clients.join(", ")),
    };
    if let Some(why) = without_home() {
        return format!(
            "{whose}: {why}; set it, or pass a configuration file with `--config FILE` or the URL of a server"
        );
    }
    let program = this_program::name();
    format!(
        "{whose}; see `{program} clients`, pass a configuration file with `--config FILE` or the URL of a server, or try `{program} demo`"
    )
}

/// A path, escaped for a terminal: the author of the file chose its name.
pub fn shown(path: &Path) -> String {
    printable(&path.display().to_string(), PATH_CHARS)
}
