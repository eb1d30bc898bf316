//! The files and servers of the MCP clients on this machine.

use std::fmt;
use std::path::{Path, PathBuf};

use mcp_startup::auth::now_ms;
use mcp_startup::config::clients::{
    self, Client, ClientFile, FileReport, NotChecked, SelectOptions, Selection, ServerName,
    ThisMachine,
};
use mcp_startup::config::{ProcessEnvironment, expand_tilde};
use mcp_startup_core::{io_problem, printable};
use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::HostError;
use crate::json_error::read;
use crate::options::{Options, SHOWN_CHARS, Selected};

/// The clients whose files are read: in JSON, `"all"` or a list of IDs. `None` for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clients(Option<Vec<Client>>);

impl<'de> Deserialize<'de> for Clients {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClientsVisitor)
    }
}

struct ClientsVisitor;

impl<'de> Visitor<'de> for ClientsVisitor {
    type Value = Clients;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"all\" or a list of client IDs")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Clients, E> {
        match text {
            "all" => Ok(Clients::default()),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Clients, A::Error> {
        let mut clients = Vec::new();
        while let Some(ClientId(client)) = list.next_element()? {
            clients.push(client);
        }
        Ok(Clients(Some(clients)))
    }
}

struct ClientId(Client);

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ClientIdVisitor)
    }
}

struct ClientIdVisitor;

impl Visitor<'_> for ClientIdVisitor {
    type Value = ClientId;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the ID of a client, such as `claude-code`")
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<ClientId, E> {
        let client = Client::from_id(id);
        client
            .map(ClientId)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(id), &self))
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct DiscoverOptions {
    /// The folder whose project files are read. The default is the current folder.
    folder: Option<String>,
    /// The clients whose files are read. The default is every client.
    clients: Option<Clients>,
}

/// Returns the files of the MCP clients on this machine, with their servers. Starts nothing. `options` is JSON: `folder` and `clients`.
///
/// # Errors
///
/// [`HostError::InvalidArgument`] if an option is invalid. A file that can't be read is part of the result.
pub async fn discover(options: String) -> Result<Vec<FileReport>, HostError> {
    let options: DiscoverOptions = read("the options", &options)?;
    let clients = options.clients.unwrap_or_default();
    let reading = tokio::task::spawn_blocking(move || {
        let folder = project_folder(options.folder.as_deref())?;
        Ok(clients::report(&clients.files(&folder)))
    });
    let files = reading.await;
    files.unwrap_or_else(|error| Err(HostError::Internal(error.to_string())))
}

/// Returns the servers that a check with these options leaves out, and why. Starts nothing. `options` is [`Options`] as JSON. Without
/// `clients`, the list is empty.
///
/// # Errors
///
/// [`HostError::InvalidArgument`] if an option is invalid, and [`HostError::Configuration`] if the configuration can't be read, or if
/// there is no server with a name in `servers`.
pub async fn not_checked(options: String) -> Result<Vec<NotChecked>, HostError> {
    let options = Options::parse(&options)?;
    let reading = tokio::task::spawn_blocking(move || options.not_checked());
    let left = reading.await;
    left.unwrap_or_else(|error| Err(HostError::Internal(error.to_string())))
}

/// Returns the absolute path of a project's folder, by default the current one.
fn project_folder(folder: Option<&str>) -> Result<PathBuf, HostError> {
    let invalid =
        |problem: String| HostError::InvalidArgument(format!("the options: `folder` {problem}"));
    let path = expand_tilde(folder.unwrap_or("."), &ProcessEnvironment);
    match folder {
        Some(folder) if !path.is_dir() => Err(invalid(format!(
            "must be a folder that exists, not `{}`",
            printable(folder, SHOWN_CHARS)
        ))),
        _ => std::path::absolute(path)
            .map_err(|error| invalid(format!("can't be used: {}", io_problem(&error)))),
    }
}

impl Options {
    /// Returns what is wrong with the options about clients.
    pub(crate) fn problem_of_clients(&self) -> Option<&'static str> {
        let is_other = self.config.is_some() || self.mcp_servers.is_some();
        match &self.clients {
            Some(_) if is_other => Some(
                "`config`, `mcpServers` and `clients` exclude each other; set only one of them",
            ),
            None if self.folder.is_some() || self.trust_project == Some(true) => {
                Some("`folder` and `trustProject` apply only with `clients`")
            }
            _ => None,
        }
    }

    /// Selects the servers of the clients. Returns `None` if the option `clients` is not set.
    pub(crate) fn select_of_clients(&self) -> Result<Option<Selected>, HostError> {
        let Some(mut found) = self.find()? else {
            return Ok(None);
        };
        let credentials = clients::credentials(&found.files, &ProcessEnvironment);
        found.require_readable_file()?;
        let servers = match self.names() {
            None => Vec::new(),
            Some(names) => {
                let selection = found.select(names)?;
                require_checked(names, &selection)?;
                selection.servers
            }
        };
        Ok(Some(Selected {
            servers: servers.into_iter().map(|server| server.entry).collect(),
            credentials,
            program_concurrency: Some(clients::PROGRAMS_AT_ONCE),
        }))
    }

    fn not_checked(&self) -> Result<Vec<NotChecked>, HostError> {
        match (self.find()?, self.names()) {
            (Some(found), Some(names)) => Ok(found.select(names)?.not_checked),
            (None, _) if self.config.is_some() || self.mcp_servers.is_some() => {
                // A check with these options would fail, too.
                self.select().map(|_| Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The names of the servers to select, and an empty list for every enabled server. `None` if the host wants no server.
    fn names(&self) -> Option<&[String]> {
        match self.servers.as_deref() {
            Some([]) => None,
            names => Some(names.unwrap_or_default()),
        }
    }

    /// Reads the files of the clients. Returns `None` if the option `clients` is not set.
    fn find(&self) -> Result<Option<Found>, HostError> {
        let Some(clients) = &self.clients else {
            return Ok(None);
        };
        let folder = project_folder(self.folder.as_deref())?;
        Ok(Some(Found {
            files: clients.files(&folder),
            folder,
            trust_project: self.trust_project.unwrap_or_default(),
        }))
    }
}

impl Clients {
    fn files(&self, folder: &Path) -> Vec<ClientFile> {
        let machine = ThisMachine::default();
        match &self.0 {
            Some(clients) => clients::discover_clients(clients, &machine, folder),
            None => clients::discover_on(&machine, folder),
        }
    }
}

/// The files of the clients that a host selects.
struct Found {
    files: Vec<ClientFile>,
    folder: PathBuf,
    trust_project: bool,
}

impl Found {
    /// Fails with the error of a file if there is no server in any file.
    fn require_readable_file(&mut self) -> Result<(), HostError> {
        if self.files.iter().all(|file| file.servers.is_empty())
            && let Some(error) = self.files.iter_mut().find_map(|file| file.error.take())
        {
            return Err(error.into());
        }
        Ok(())
    }

    /// Selects the servers with these names (`SERVER` or `CLIENT:SERVER`), or all enabled servers.
    fn select(&self, names: &[String]) -> Result<Selection, HostError> {
        let names: Vec<ServerName> = names.iter().map(|name| ServerName::parse(name)).collect();
        clients::require_known(&names, &self.files)?;
        let options = SelectOptions {
            names,
            trust_project: self.trust_project,
            as_written: false,
            now_ms: now_ms(),
        };
        let machine = ThisMachine::default();
        Ok(clients::select(
            &self.files,
            &machine,
            &self.folder,
            &options,
        ))
    }
}

/// Fails if a server that the host names is left out.
fn require_checked(names: &[String], selection: &Selection) -> Result<(), HostError> {
    for name in names.iter().map(|name| ServerName::parse(name)) {
        let servers = selection.servers.iter();
        let mut owners = servers.flat_map(|server| &server.owners);
        if owners.any(|owner| name.matches(owner.client, &owner.name)) {
            continue;
        }
        let mut left = selection.not_checked.iter();
        if let Some(left) = left.find(|left| name.matches(left.owner.client, &left.owner.name)) {
            let hint = match left.needs_approval {
                true => "; if you trust the project, set the option `trustProject`",
                false => "",
            };
            return Err(HostError::InvalidArgument(format!(
                "the server `{}` can't be used: {}{hint}",
                name.as_str(),
                left.why
            )));
        }
    }
    Ok(())
}
