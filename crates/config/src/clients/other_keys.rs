//! Finds servers below a key that another client reads, in a file whose own client does not read that key.

use std::path::Path;

use super::client::Client;
use super::profile::ServersAt;
use crate::error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
use crate::format::known_keys::is_variant_of;
use crate::spanned::{KeyPath, Spanned, Value, json, toml};

/// The keys of the servers in the files of all clients.
const KEYS: [&[&str]; 8] = [
    &["mcpServers"],
    &["servers"],
    &["mcp_servers"],
    &["context_servers"],
    &["mcp", "servers"],
    &["mcp.servers"],
    &["mcp"],
    &["amp.mcpServers"],
];

/// How many keys of a file are compared with those of its client.
const MAX_COMPARED_ROOTS: usize = 100;

/// The maximum depth of objects below a key of the root: the servers below a second key, and their keys.
const MAX_DEPTH: u8 = 4;

/// A file, as far as its servers may be below another key.
pub(super) struct OtherKeys<'a> {
    client: Client,
    path: &'a Path,
    /// The paths of the keys that the client reads.
    own: Vec<&'static [&'static str]>,
    /// The first of the keys that only other clients read, and whose value has servers.
    found: Option<KeyPath>,
    /// The first server that is a key of the root, next to the table of servers.
    beside: Option<KeyPath>,
}

impl<'a> OtherKeys<'a> {
    /// Searches a JSON file.
    pub fn of_json(
        client: Client,
        path: &'a Path,
        own: impl IntoIterator<Item = ServersAt>,
        document: &json::Document<'_>,
    ) -> Self {
        let mut paths: Vec<&'static [&'static str]> = Vec::new();
        let mut is_bare = false;
        for at in own {
            match at {
                ServersAt::Key(keys) => paths.push(keys),
                ServersAt::FirstOf(all) => paths.extend(all),
                ServersAt::KeyOrBare(key) => {
                    // Without the key, each key of the file is a server.
                    is_bare |= document.get(key, 0).is_none();
                    let keys = KEYS.iter().find(|keys| ***keys == [key]);
                    paths.extend(keys);
                }
            }
        }
        let names = document.keys();
        let found = match is_bare {
            true => None,
            false => find(&paths, names, |key| document.get(key, MAX_DEPTH)),
        };
        let roots: Vec<&str> = paths
            .iter()
            .filter_map(|keys| keys.first().copied())
            .collect();
        let beside = match is_bare || found.is_some() {
            true => None,
            false => document.server_beside(&roots, false),
        };
        Self {
            beside,
            ..Self::new(client, path, paths, found)
        }
    }

    /// Searches a TOML file.
    pub fn of_toml(
        client: Client,
        path: &'a Path,
        own: &'static [&'static str],
        document: &toml::Document<'_>,
    ) -> Self {
        let found = find(&[own], document.keys(), |key| document.get(key));
        Self::new(client, path, vec![own], found)
    }

    /// Searches the keys of the root of a YAML file.
    pub fn of_fields(
        client: Client,
        path: &'a Path,
        own: &'static [&'static str],
        fields: &[(String, Spanned)],
    ) -> Self {
        let names = fields.iter().map(|(name, _)| name.as_str());
        let found = find(&[own], names, |key| {
            let mut fields = fields.iter();
            fields
                .find(|(name, _)| name == key)
                .map(|(_, value)| value.clone())
        });
        Self::new(client, path, vec![own], found)
    }

    fn new(
        client: Client,
        path: &'a Path,
        own: Vec<&'static [&'static str]>,
        found: Option<KeyPath>,
    ) -> Self {
        Self {
            client,
            path,
            own,
            found,
            beside: None,
        }
    }

    fn own_key(&self) -> String {
        self.own
            .first()
            .map_or_else(String::new, |keys| keys.join("."))
    }

    /// Returns the error of a file that has servers only below another key.
    pub fn error(&self) -> Option<ConfigurationError> {
        let found = self.found.as_ref().or(self.beside.as_ref())?;
        let key = found.as_str();
        let (client, own) = (self.client, self.own_key());
        let problem = match self.found {
            Some(_) => format!("{client} does not read `{key}`; write its servers in `{own}`"),
            None => format!("{client} does not read the server `{key}`; move it into `{own}`"),
        };
        let kind = ConfigurationErrorKind::NotAConfiguration;
        let place = (found.line().unwrap_or(1), None);
        Some(ConfigurationError::at(kind, self.path, place, &problem).with_key(key))
    }

    /// Returns the warning for a file that also has servers below another key, or its error if it has no other `servers`.
    ///
    /// # Errors
    ///
    /// See [`error`](Self::error).
    pub fn check(&self, has_servers: bool) -> Result<Option<EntryProblem>, ConfigurationError> {
        match self.error() {
            Some(error) if !has_servers => Err(error),
            _ => Ok(self.warning()),
        }
    }

    /// Returns the warning for a file that has servers below a key that its client reads, and below another one.
    pub fn warning(&self) -> Option<EntryProblem> {
        let (client, own) = (self.client, self.own_key());
        if let Some(beside) = &self.beside {
            return Some(beside.problem(format!(
                "{client} does not read this server; move it into `{own}`"
            )));
        }
        let found = self.found.as_ref()?;
        Some(found.problem(format!(
            "{client} does not read it; write its servers in `{own}`"
        )))
    }
}

/// Returns the path of the first key that is not read, and has servers: one of another client, or a misspelling of an own one.
fn find<'a>(
    own: &[&[&str]],
    names: impl Iterator<Item = &'a str>,
    get: impl Fn(&str) -> Option<Spanned>,
) -> Option<KeyPath> {
    let file = KeyPath::of_file(None);
    let at = |keys: &[&str]| {
        let (first, rest) = keys.split_first()?;
        let mut found = get(first)?;
        let mut path = file.child(first, found.line);
        for key in rest {
            let Value::Table(fields) = found.value else {
                return None;
            };
            (_, found) = fields.into_iter().find(|(name, _)| name == key)?;
            path = path.child(key, found.line);
        }
        holds_servers(&found.value).then_some(path)
    };
    // The client reads everything below an own key.
    let is_own = |keys: &[&str]| own.iter().any(|own| keys.starts_with(own));
    let of_others = KEYS.iter().filter(|keys| !is_own(keys));
    let of_others = of_others.filter_map(|keys| at(keys));
    let is_misspelling = |name: &&str| {
        let mut own = own.iter();
        !is_own(&[name]) && own.any(|own| own.len() == 1 && is_variant_of(name, own[0]))
    };
    let misspelled = names.take(MAX_COMPARED_ROOTS).filter(is_misspelling);
    let misspelled = misspelled.filter_map(|name| at(&[name]));
    of_others.chain(misspelled).next()
}

/// Whether a value is a table or a list with a server.
fn holds_servers(value: &Value) -> bool {
    const KEYS: [&str; 6] = ["command", "url", "serverUrl", "httpUrl", "cmd", "uri"];
    let is_server = |entry: &Spanned| match &entry.value {
        Value::Table(fields) => fields.iter().any(|(key, field)| {
            KEYS.contains(&key.as_str()) && matches!(field.value, Value::String(_) | Value::List(_))
        }),
        _ => false,
    };
    match value {
        Value::Table(entries) => entries.iter().any(|(_, entry)| is_server(entry)),
        Value::List(items) => items.iter().any(is_server),
        _ => false,
    }
}
