//! The files and servers of the MCP clients on this machine.

use std::fmt;
use std::path::{Path, PathBuf};

use mcp_startup::auth::now_ms;
use mcp_startup::config::clients::{
    self, Client, ClientFile, FileReport, SelectOptions, SelectedServer, ServerName, ThisMachine,
};
use mcp_startup::config::{ProcessEnvironment, expand_tilde};
use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::HostError;
use crate::json_error::read;
use crate::options::{Options, Selected};

/// How many programs of the clients on this machine start at once.
const PROGRAMS_AT_ONCE: usize = 8;

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
    let folder = project_folder(options.folder.as_deref())?;
    let clients = options.clients.unwrap_or_default();
    let reading = tokio::task::spawn_blocking(move || clients::report(&clients.files(&folder)));
    let files = reading.await;
    files.map_err(|error| HostError::Internal(error.to_string()))
}

/// Returns the absolute path of a project's folder, by default the current one.
fn project_folder(folder: Option<&str>) -> Result<PathBuf, HostError> {
    let folder = expand_tilde(folder.unwrap_or("."), &ProcessEnvironment);
    std::path::absolute(folder).map_err(|error| {
        let problem = format!("the options: `folder` can't be used: {error}");
        HostError::InvalidArgument(problem)
    })
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
        let Some(clients) = &self.clients else {
            return Ok(None);
        };
        let folder = project_folder(self.folder.as_deref())?;
        let trust_project = self.trust_project.unwrap_or_default();
        let selected = clients.select(self.servers.as_deref(), &folder, trust_project)?;
        Ok(Some(selected))
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

    /// Selects the servers with these names (`SERVER` or `CLIENT:SERVER`), or all enabled servers.
    fn select(
        &self,
        names: Option<&[String]>,
        folder: &Path,
        trust_project: bool,
    ) -> Result<Selected, HostError> {
        let mut files = self.files(folder);
        let credentials = clients::credentials(&files, &ProcessEnvironment);
        if files.iter().all(|file| file.servers.is_empty())
            && let Some(error) = files.iter_mut().find_map(|file| file.error.take())
        {
            return Err(error.into());
        }
        let servers = match names {
            // No servers. An empty list means "every enabled server" to `select`.
            Some([]) => Vec::new(),
            names => select(&files, names.unwrap_or_default(), folder, trust_project)?,
        };
        Ok(Selected {
            servers: servers.into_iter().map(|server| server.entry).collect(),
            credentials,
            program_concurrency: Some(PROGRAMS_AT_ONCE),
        })
    }
}

fn select(
    files: &[ClientFile],
    names: &[String],
    folder: &Path,
    trust_project: bool,
) -> Result<Vec<SelectedServer>, HostError> {
    let names: Vec<ServerName> = names.iter().map(|name| ServerName::parse(name)).collect();
    clients::require_known(&names, files)?;
    let options = SelectOptions {
        names,
        trust_project,
        as_written: false,
        now_ms: now_ms(),
    };
    let selection = clients::select(files, &ThisMachine::default(), folder, &options);
    for name in &options.names {
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
    Ok(selection.servers)
}
