//! Finds the configuration files of every MCP client on a machine, and reads each as its client does.
//!
//! ```no_run
//! use mcp_startup_config::{ProcessEnvironment, clients};
//!
//! for file in clients::discover(&ProcessEnvironment, ".".as_ref()) {
//!     println!("{}: {}", file.client, file.path.display());
//!     for server in &file.servers {
//!         println!("  {}", server.entry.name);
//!     }
//! }
//! ```
//!
//! Reading never writes a file, starts a program or runs a command: commands in a configuration, such as Claude Code's
//! `headersHelper`, are named and never run. An entry that its client refuses has an [`EntryProblem`]
//! with the client's reason.
//!
//! A file of a project may be part of someone else's repository. Start its servers only if the user has approved them in the client
//! ([`ClientServer::approved`]) or asks you to.

mod claude_code;
mod claude_desktop;
mod client;
mod client_variables;
mod codex;
mod codex_plugins;
mod continue_dev;
mod copilot_cli;
mod credentials;
mod crushrc;
mod entry;
mod env_file;
mod gemini;
mod gemini_extensions;
mod goose;
mod inherited;
mod layers;
mod librechat;
mod machine;
mod misplaced;
mod mistral_vibe;
mod opencode;
mod other_keys;
mod places;
mod presence;
mod profile;
mod profiles;
mod project_limit;
mod reading;
mod report;
mod selection;
mod shell_words;
mod variables;
mod vs_code;

use std::path::{Path, PathBuf};

pub use client::Client;
pub use credentials::credentials;
pub use machine::{Machine, System, ThisMachine};
pub use profile::{FileFormat, Scope};
pub use report::{FileProblem, FileReport, ServerReport, report};
pub use selection::{
    NotChecked, Owner, SelectOptions, SelectedServer, Selection, ServerName, require_known,
    see_through_mcp_remote, select,
};

use crate::configuration::CredentialSettings;
use crate::environment::{Environment, is_absolute};
use crate::error::{ConfigurationError, EntryProblem};
use crate::server::{ServerEntry, TransportConfig};
use places::Places;
use project_limit::ProjectLimit;
use reading::Contents;

/// The maximum number of programs of the clients on this machine that a host starts at the same time.
pub const PROGRAMS_AT_ONCE: usize = 8;

/// One configuration file of a client, with its servers.
#[derive(Debug)]
pub struct ClientFile {
    /// The client that reads the file.
    pub client: Client,
    /// Whose servers the file configures.
    pub scope: Scope,
    /// The path of the file.
    pub path: PathBuf,
    /// The syntax of the file.
    pub format: FileFormat,
    /// Whether the user has approved the file in the client. `None` if the file needs no approval, or if the client keeps no
    /// approval that can be read.
    pub approved: Option<bool>,
    /// Why the client can't use the file, or why it can't be read here.
    pub error: Option<ConfigurationError>,
    /// Why the file is not read here, even though the client uses it: it is a script. `None` if it is read.
    pub not_read: Option<String>,
    /// The servers, in the order of the file. Empty if the file has an error.
    pub servers: Vec<ClientServer>,
    /// The warnings about the file as a whole, for example about servers below a key that the client does not read. Warnings about
    /// one server are in [`ServerEntry::warnings`].
    pub warnings: Vec<EntryProblem>,
    /// Where the client stores sign-ins. Only the user's `config.toml` of Codex configures that.
    credentials: Option<CredentialSettings>,
}

/// A server in a file of a client.
#[derive(Debug, Clone)]
pub struct ClientServer {
    /// The entry, as the client reads it. Its name is the name that the client shows.
    pub entry: ServerEntry,
    /// The transport that the client uses.
    pub transport: ClientTransport,
    /// Whether the user has approved this server in the client. See [`ClientFile::approved`].
    pub approved: Option<bool>,
    /// The part of an entry of the user that comes from the current project: its program, or a file with values. The server then needs an
    /// approval as well. `None` if there is no such part.
    pub from_project: Option<String>,
    /// Why the server can't be checked, even though the client may start it: for example because only the client knows a secret,
    /// or because another file of the client replaces the entry. `None` if it can be checked.
    pub not_checked: Option<String>,
}

/// The transport of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientTransport {
    /// A program, over its standard input and output.
    Stdio,
    /// Streamable HTTP. HTTP+SSE may be the fallback.
    Http,
    /// HTTP+SSE of MCP 2024-11-05.
    Sse,
    /// The entry names no transport, or one that is not known here.
    Unknown,
}

impl ClientTransport {
    /// Returns the name of the transport in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
            Self::Unknown => "unknown",
        }
    }
}

impl ClientFile {
    /// A file that needs no approval, with the result of reading it.
    fn new(
        client: Client,
        scope: Scope,
        path: PathBuf,
        format: FileFormat,
        result: Result<impl Into<Contents>, ConfigurationError>,
    ) -> Self {
        let (Contents { servers, warnings }, error) = match result {
            Ok(contents) => (contents.into(), None),
            Err(error) => (Contents::default(), Some(error)),
        };
        Self {
            client,
            scope,
            path,
            format,
            approved: None,
            error,
            not_read: None,
            servers,
            warnings,
            credentials: None,
        }
    }

    /// Whether a server may be started without asking the user: the file is the user's own or an administrator's and the server takes
    /// nothing from the current project, or the user has approved the server in the client.
    pub fn may_start(&self, server: &ClientServer) -> bool {
        match self.scope {
            Scope::Project => server.approved.or(self.approved) == Some(true),
            _ => server.from_project.is_none(),
        }
    }
}

impl ClientServer {
    /// Returns why the server can't be checked: [`not_checked`](Self::not_checked), or the problem of its entry.
    pub fn why_not_checkable(&self) -> Option<String> {
        let problem = self.entry.config.as_ref().err().map(ToString::to_string);
        self.not_checked.clone().or(problem)
    }
}

/// Finds and reads the configuration files of all clients on this machine.
///
/// `folder` is the folder whose project files are read too, usually the current one. Files that do not exist are left out. A file
/// that can't be read is part of the result, with its error.
pub fn discover(environment: &dyn Environment, folder: &Path) -> Vec<ClientFile> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    discover_on(&ThisMachine::with_environment(environment), &folder)
}

/// As [`discover`], on a machine that the caller supplies. `folder` must be an absolute path.
///
/// ```
/// use std::{collections::BTreeMap, io, path::{Path, PathBuf}};
/// use mcp_startup_config::{Environment, clients::{self, Machine, System}, held_sign_ins::StoreFiles};
///
/// struct OneFile(BTreeMap<String, String>);
/// impl Machine for OneFile {
///     fn system(&self) -> System { System::Windows }
///     fn environment(&self) -> &dyn Environment { &self.0 }
///     fn exists(&self, _path: &Path) -> bool { false }
/// }
/// impl StoreFiles for OneFile {
///     fn read(&self, path: &Path, _limit: usize) -> io::Result<Vec<u8>> {
///         match path.ends_with(".cursor/mcp.json") {
///             true => Ok(br#"{"mcpServers": {"docs": {"url": "https://docs.example.com/mcp"}}}"#.into()),
///             false => Err(io::ErrorKind::NotFound.into()),
///         }
///     }
///     fn list(&self, _folder: &Path) -> Vec<PathBuf> { Vec::new() }
/// }
///
/// let machine = OneFile(BTreeMap::from([("USERPROFILE".to_owned(), "C:\\Users\\Ada".to_owned())]));
/// let files = clients::discover_on(&machine, "C:\\work".as_ref());
/// assert_eq!(files[0].client.name(), "Cursor");
/// assert_eq!(files[0].servers[0].entry.name, "docs");
/// ```
pub fn discover_on(machine: &dyn Machine, folder: &Path) -> Vec<ClientFile> {
    find(Client::ALL, machine, folder, true)
}

/// As [`discover_on`], for only these clients. A file that several clients read counts for each of them, because the caller has named
/// them.
pub fn discover_clients(
    clients: &[Client],
    machine: &dyn Machine,
    folder: &Path,
) -> Vec<ClientFile> {
    find(clients, machine, folder, false)
}

/// Finds and reads the configuration files of one client. See [`discover`].
pub fn discover_client(client: Client, machine: &dyn Machine, folder: &Path) -> Vec<ClientFile> {
    find(&[client], machine, folder, false)
}

/// Finds and reads the files of clients. A client that has only files of other clients can be left out.
fn find(
    clients: &[Client],
    machine: &dyn Machine,
    folder: &Path,
    leaves_out_shared: bool,
) -> Vec<ClientFile> {
    let limit = ProjectLimit::new(machine, folder);
    let places = Places::new(&limit, folder);
    let mut files = Vec::new();
    let mut left_out = None;
    for client in clients {
        let mut of_client = files_of(*client, &places);
        if leaves_out_shared && presence::is_only_shared(*client, &of_client, &places) {
            of_client.clear();
        }
        files.extend(of_client);
        if limit.is_exceeded() && left_out.is_none() {
            left_out = Some((*client, files.len()));
        }
    }
    if let Some((client, at)) = left_out {
        files.splice(at..at, limit.left_out(client));
    }
    files
}

fn files_of(client: Client, places: &Places<'_>) -> Vec<ClientFile> {
    let mut files = read_files_of(client, places);
    for file in &mut files {
        let scope = file.scope;
        for server in &mut file.servers {
            match scope {
                // The user has written the entry for this project, or approves the whole entry.
                Scope::Local | Scope::Project => server.from_project = None,
                _ => note_program_of_project(server, places),
            }
        }
    }
    let misplaced = misplaced::files(client, &files, places);
    files.extend(misplaced);
    let relative = places.take_relative();
    if let Some(file) = files.first_mut() {
        file.warnings.extend(relative.iter().map(|name| EntryProblem {
            key: String::new(),
            line: None,
            problem: format!(
                "the variable {name} has a relative path, so it is ignored; set it to an absolute path"
            ),
        }));
    }
    files
}

/// Notes that the program of a server is relative to the current folder, which may be someone else's repository.
fn note_program_of_project(server: &mut ClientServer, places: &Places<'_>) {
    let Ok(config) = &server.entry.config else {
        return;
    };
    let TransportConfig::Stdio(stdio) = &config.transport else {
        return;
    };
    let path = Path::new(&stdio.command);
    let is_windows = places.machine.system() == System::Windows;
    let has_folder = stdio.command.contains('/') || is_windows && stdio.command.contains('\\');
    if !has_folder || is_absolute(path) {
        return;
    }
    let folder = stdio.cwd.as_deref().unwrap_or(places.folder);
    let path = folder.join(path);
    // Windows adds the extension of a program.
    let exists = is_windows || places.machine.exists(&path);
    if exists && places.is_in_project(&path) {
        let what = "its program is a file of the current project";
        server.from_project = Some(what.to_owned());
    }
}

/// Reads the files that a client reads.
fn read_files_of(client: Client, places: &Places<'_>) -> Vec<ClientFile> {
    match client {
        Client::ClaudeCode => claude_code::files(places),
        Client::Codex => codex::files(places),
        Client::Opencode => opencode::files(client, opencode::OPENCODE, places),
        Client::Kilo => opencode::files(client, opencode::KILO, places),
        Client::Goose => goose::files(places),
        Client::Continue => continue_dev::files(places),
        Client::LibreChat => librechat::files(places),
        Client::MistralVibe => mistral_vibe::files(places),
        Client::ClaudeDesktop => {
            let mut files = profiles::files(client, places);
            files.extend(claude_desktop::extensions(places));
            claude_desktop::mark_ignored(places, &mut files);
            files
        }
        Client::GeminiCli | Client::QwenCode => {
            let mut files = profiles::files(client, places);
            if client == Client::GeminiCli {
                gemini_extensions::add(places, &mut files);
            }
            gemini::apply_lists(client, places, &mut files);
            files
        }
        Client::CopilotCli => {
            let mut files = profiles::files(client, places);
            copilot_cli::apply_lists(places, &mut files);
            files
        }
        Client::VsCode => {
            let mut files = profiles::files(client, places);
            vs_code::mark_containers(&mut files);
            files
        }
        Client::Crush => {
            let mut files = profiles::files(client, places);
            files.extend(crushrc::files(places));
            files
        }
        _ => profiles::files(client, places),
    }
}
