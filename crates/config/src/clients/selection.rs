//! Selects the servers to start from the files of clients: each distinct server once, with all clients that have it.

use std::collections::HashMap;
use std::path::Path;

use super::{Client, ClientFile, ClientServer, Machine, Scope};
use crate::error::ConfigurationError;
use crate::held_sign_ins::{HeldSignInSource, HeldSignIns, SignInHolder, StoreLocations};
use crate::same_server::SameServer;
use crate::server::{ServerConfig, ServerEntry};
use crate::{McpRemote, unwrap_mcp_remote};

/// Which servers to select, and how.
#[derive(Debug, Clone, Default)]
pub struct SelectOptions {
    /// The servers to select, including disabled ones. If it is empty, all enabled servers are selected.
    pub names: Vec<ServerName>,
    /// Whether to select the servers of project files that the user has not approved in their client.
    pub trust_project: bool,
    /// Whether to start `mcp-remote` if an entry does, instead of connecting to the server behind it.
    pub as_written: bool,
    /// The current time in ms since the Unix epoch, for the sign-ins that clients hold.
    pub now_ms: i64,
}

/// A server as a user names it: `SERVER`, in any client, or `CLIENT:SERVER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName {
    written: String,
    of_client: Option<(Client, String)>,
}

impl ServerName {
    /// Parses a name. A text before a colon counts as a client only if it is the ID of one.
    ///
    /// ```
    /// use mcp_startup_config::clients::{Client, ServerName};
    /// assert!(ServerName::parse("cursor:docs").matches(Client::Cursor, "docs"));
    /// assert!(!ServerName::parse("cursor:docs").matches(Client::VsCode, "docs"));
    /// assert!(ServerName::parse("docs").matches(Client::VsCode, "docs"));
    /// ```
    pub fn parse(text: &str) -> Self {
        let parts = text.split_once(':');
        let of_client = parts.and_then(|(client, name)| Some((Client::from_id(client)?, name)));
        Self {
            written: text.to_owned(),
            of_client: of_client.map(|(client, name)| (client, name.to_owned())),
        }
    }

    /// Whether this is the server `name` of a client.
    pub fn matches(&self, client: Client, name: &str) -> bool {
        let is_of_client = self
            .of_client
            .as_ref()
            .is_some_and(|(of, server)| *of == client && server == name);
        is_of_client || self.written == name
    }

    /// Returns the name as the user has written it.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Returns the name without the client.
    pub fn server(&self) -> &str {
        match &self.of_client {
            Some((_, name)) => name,
            None => &self.written,
        }
    }
}

/// The servers to start, and those that are left out.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The servers to start. Each is enabled and has a name of its own: `CLIENT:SERVER` if several have the same name.
    pub servers: Vec<SelectedServer>,
    /// The servers that are not started, with the reason.
    pub not_checked: Vec<NotChecked>,
}

/// A server to start, and the clients that have it.
#[derive(Debug, Clone)]
pub struct SelectedServer {
    /// The entry. The name of its [`config`](ServerEntry::config) is the name in the client, so that it finds the stored sign-in.
    pub entry: ServerEntry,
    /// The clients that have the server, at least one if it was selected from the files of clients.
    pub owners: Vec<Owner>,
}

impl From<ServerEntry> for SelectedServer {
    /// A server without a client.
    fn from(entry: ServerEntry) -> Self {
        Self {
            entry,
            owners: Vec::new(),
        }
    }
}

/// A client that has a server.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The client. In JSON, its ID.
    #[serde(serialize_with = "client_id")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub client: Client,
    /// The scope of the client's file.
    #[serde(serialize_with = "scope_name")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub scope: Scope,
    /// The path of the client's file.
    pub path: String,
    /// The name of the server in the client.
    pub name: String,
}

/// A server that is not started.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NotChecked {
    /// The client that has the server.
    #[serde(flatten)]
    pub owner: Owner,
    /// The reason.
    pub why: String,
    /// Whether the server would be started if the user trusted the project.
    pub needs_approval: bool,
}

fn client_id<S: serde::Serializer>(client: &Client, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(client.id())
}

fn scope_name<S: serde::Serializer>(scope: &Scope, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(scope.as_str())
}

/// Checks that each name is that of a server in the files of clients ([`discover`](super::discover)).
///
/// # Errors
/// Returns [`ConfigurationErrorKind::UnknownServer`](crate::ConfigurationErrorKind::UnknownServer) for the first name that no client
/// has.
pub fn require_known(names: &[ServerName], files: &[ClientFile]) -> Result<(), ConfigurationError> {
    let is_known = |name: &&ServerName| {
        files.iter().any(|file| {
            let mut servers = file.servers.iter();
            servers.any(|server| name.matches(file.client, &server.entry.name))
        })
    };
    let Some(unknown) = names.iter().find(|name| !is_known(name)) else {
        return Ok(());
    };
    let servers = files.iter().flat_map(|file| &file.servers);
    let known = servers.map(|server| server.entry.name.as_str());
    Err(ConfigurationError::unknown_server_of_clients(
        unknown, known,
    ))
}

/// Selects the servers to start from the files of clients ([`discover`](super::discover)).
///
/// An entry that starts `mcp-remote` becomes the server behind it. A sign-in that a client holds for its own server is added to the
/// entry, if the client keeps it readable; it is never changed.
pub fn select(
    files: &[ClientFile],
    machine: &dyn Machine,
    folder: &Path,
    options: &SelectOptions,
) -> Selection {
    let mut selector = Selector {
        options,
        locations: StoreLocations {
            machine,
            project: Some(folder),
        },
        held: HashMap::new(),
        known: HashMap::new(),
        selection: Selection::default(),
    };
    for file in files {
        for server in &file.servers {
            let name = &server.entry.name;
            let is_selected = match options.names.is_empty() {
                true => server.entry.enabled,
                false => options
                    .names
                    .iter()
                    .any(|wanted| wanted.matches(file.client, name)),
            };
            if is_selected {
                selector.add(file, server);
            }
        }
    }
    make_names_unique(&mut selector.selection.servers);
    selector.selection
}

struct Selector<'a> {
    options: &'a SelectOptions,
    locations: StoreLocations<'a>,
    held: HashMap<SignInHolder, HeldSignIns<'a>>,
    known: HashMap<SameServer, usize>,
    selection: Selection,
}

impl Selector<'_> {
    fn add(&mut self, file: &ClientFile, server: &ClientServer) {
        let owner = Owner {
            client: file.client,
            scope: file.scope,
            path: file.path.display().to_string(),
            name: server.entry.name.clone(),
        };
        let needs_approval = !self.options.trust_project && !file.may_start(server);
        let why = match &server.not_checked {
            Some(why) => Some(why.clone()),
            None => needs_approval.then(|| match &server.from_project {
                Some(what) => format!("{what}, which you have not approved"),
                None => format!("not approved in {}", file.client),
            }),
        };
        if let Some(why) = why {
            self.selection.not_checked.push(NotChecked {
                owner,
                why,
                needs_approval: needs_approval && server.not_checked.is_none(),
            });
            return;
        }
        let mut entry = server.entry.clone();
        entry.enabled = true;
        self.complete(file.client, &mut entry);
        let servers = &mut self.selection.servers;
        if let Ok(config) = &entry.config {
            let at = *self
                .known
                .entry(config.same_server())
                .or_insert(servers.len());
            // A client starts each of its names, and waits for each of them.
            let is_another_name =
                |other: &Owner| other.client == owner.client && other.name != owner.name;
            if let Some(same) = servers.get_mut(at)
                && !same.owners.iter().any(is_another_name)
            {
                same.owners.push(owner);
                return;
            }
        }
        servers.push(SelectedServer {
            entry,
            owners: vec![owner],
        });
    }

    /// Replaces `mcp-remote` by the server behind it, and adds the sign-in that the client holds.
    fn complete(&mut self, client: Client, entry: &mut ServerEntry) {
        let remote = match self.options.as_written {
            true => None,
            false => see_through(entry, self.locations.machine),
        };
        if let Ok(config) = &mut entry.config {
            self.attach_held_sign_in(client, config, remote.as_ref());
        }
    }

    fn attach_held_sign_in(
        &mut self,
        client: Client,
        config: &mut ServerConfig,
        remote: Option<&McpRemote>,
    ) {
        let holder = match remote {
            Some(_) => Some(SignInHolder::McpRemote),
            None => SignInHolder::of_client(client.id()),
        };
        let Some(holder) = holder else {
            return;
        };
        let (locations, now_ms) = (self.locations, self.options.now_ms);
        let source = HeldSignInSource {
            holder,
            started_by: Some(client.name()),
            mcp_remote: remote.map(|remote| remote.storage_keys.clone()),
            project: locations.project.map(Path::to_owned),
        };
        let held = self
            .held
            .entry(holder)
            .or_insert_with(|| HeldSignIns::read(&[holder], locations, now_ms));
        config.held_sign_in = source.find(config, held);
        config.held_sign_in_source = Some(source);
    }
}

/// Replaces `mcp-remote` by the server behind it.
fn see_through(entry: &mut ServerEntry, machine: &dyn Machine) -> Option<McpRemote> {
    let config = entry.config.as_ref().ok()?;
    let read = |path: &Path| machine.read(path, crate::MAX_OPTION_FILE_BYTES);
    match unwrap_mcp_remote(config, machine.environment(), &read)? {
        Ok(found) => {
            entry.config = Ok(found.server.clone());
            Some(found)
        }
        Err(problem) => {
            entry.config = Err(problem);
            None
        }
    }
}

/// Replaces `mcp-remote` in the entry of a file whose client is not known by the server behind it, with the sign-in that `mcp-remote`
/// stores. `now_ms` is the current time in ms since the Unix epoch.
pub fn see_through_mcp_remote(entry: &mut ServerEntry, machine: &dyn Machine, now_ms: i64) {
    let Some(remote) = see_through(entry, machine) else {
        return;
    };
    let locations = StoreLocations {
        machine,
        project: None,
    };
    let source = HeldSignInSource {
        holder: SignInHolder::McpRemote,
        started_by: None,
        mcp_remote: Some(remote.storage_keys),
        project: None,
    };
    if let Ok(config) = &mut entry.config {
        let mut held = HeldSignIns::read(&[source.holder], locations, now_ms);
        config.held_sign_in = source.find(config, &mut held);
        config.held_sign_in_source = Some(source);
    }
}

/// Names the servers whose names collide `CLIENT:SERVER`, and adds the scope to those that still collide.
fn make_names_unique(servers: &mut [SelectedServer]) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for server in servers.iter() {
        *counts.entry(server.entry.name.clone()).or_default() += 1;
    }
    let mut used: HashMap<String, usize> = HashMap::new();
    for server in servers {
        let Some(owner) = server.owners.first() else {
            continue;
        };
        if counts.get(&server.entry.name).copied().unwrap_or_default() > 1 {
            server.entry.name = format!("{}:{}", owner.client.id(), owner.name);
        }
        let number = used.entry(server.entry.name.clone()).or_default();
        *number += 1;
        if *number > 1 {
            let scope = owner.scope.as_str();
            server.entry.name = format!("{} ({scope} {number})", server.entry.name);
        }
    }
}
