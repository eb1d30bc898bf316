//! Reads the text of a client's file, and finds the servers in it.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use super::client::Client;
use super::machine::Machine;
use super::other_keys::OtherKeys;
use super::profile::{FileFormat, ServersAt};
use super::{ClientServer, ClientTransport};
use crate::MAX_FILE_BYTES;
use crate::error::ConfigurationErrorKind::{NotUtf8, Syntax};
use crate::error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
use crate::file::{io_error, text_of};
use crate::server::ServerEntry;
use crate::spanned::json::{self, RepeatedKey, lenient};
use crate::spanned::{KeyPath, Spanned, Value, yaml};

/// The maximum size of Claude Code's `.claude.json`, which also has the history of its sessions: 128 MiB.
pub(super) const MAX_STATE_FILE_BYTES: usize = 128 * 1024 * 1024;

/// The maximum depth of objects and arrays in the servers. No key that is read is nested deeper.
pub(super) const MAX_DEPTH: u8 = 6;

/// How often a file is read again that another program may be writing.
const MAX_ATTEMPTS: usize = 5;
const TIME_BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

/// The maximum size of a file of a client other than Claude Code.
pub(super) const MAX_BYTES: usize = MAX_FILE_BYTES;

/// Reads a file and converts its text. Returns `None` if the file does not exist.
///
/// A text that is not valid is read again: the client may be writing the file.
pub(super) fn read<T>(
    machine: &dyn Machine,
    path: &Path,
    limit: usize,
    convert: impl Fn(&str) -> Result<T, ConfigurationError>,
) -> Option<Result<T, ConfigurationError>> {
    let mut last: Option<(Vec<u8>, ConfigurationError)> = None;
    for attempt in 0..MAX_ATTEMPTS {
        if attempt > 0 {
            machine.wait(TIME_BETWEEN_ATTEMPTS);
        }
        let bytes = match machine.read(path, limit) {
            Ok(bytes) => bytes,
            Err(error) if is_missing(&error) => return None,
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                return Some(Err(ConfigurationError::larger_than(limit, path)));
            }
            Err(error) => return Some(Err(io_error(path, error))),
        };
        match last.take() {
            // No other program is writing the file.
            Some((earlier, error)) if earlier == bytes => return Some(Err(error)),
            _ => {}
        }
        let result = match std::str::from_utf8(&bytes) {
            Ok(text) => convert(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(_) => match text_of(path, bytes.clone()) {
                Ok(text) => convert(&text),
                Err(error) => Err(error),
            },
        };
        match result {
            // The end of a half-written file may be in the middle of a character.
            Err(error) if matches!(error.kind(), Syntax | NotUtf8) => last = Some((bytes, error)),
            result => return Some(result),
        }
    }
    last.map(|(_, error)| Err(error))
}

fn is_missing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Parses JSON, and refuses what the client refuses.
pub(super) fn with_json<T>(
    client: Client,
    format: FileFormat,
    path: &Path,
    text: &str,
    convert: impl FnOnce(&json::Document<'_>) -> Result<T, ConfigurationError>,
) -> Result<T, ConfigurationError> {
    // An editor accepts an empty file.
    let text = match format == FileFormat::Jsonc && text.trim().is_empty() {
        true => "{}",
        false => text,
    };
    let lenient = lenient::blank(text);
    let document = json::Document::parse(&lenient, path)?;
    let refused = lenient.blanked.iter().find(|(_, name)| match format {
        FileFormat::Json => true,
        FileFormat::JsonWithComments => *name != lenient::COMMENTS,
        FileFormat::Jsonc | FileFormat::Toml | FileFormat::Yaml | FileFormat::Script => {
            *name == lenient::INVISIBLE_SPACES
        }
    });
    if let Some((offset, name)) = refused {
        let problem = format!("{client} does not accept {name} in this file; remove them");
        let (line, column) = document.line_and_column(*offset);
        let place = (line, Some(column));
        return Err(ConfigurationError::at(
            ConfigurationErrorKind::Syntax,
            path,
            place,
            &problem,
        ));
    }
    convert(&document)
}

/// Finds the servers in a document: their key path and their entries. A file without servers has none.
pub(super) fn servers(
    document: &json::Document<'_>,
    at: ServersAt,
    path: &Path,
) -> Result<(KeyPath, Vec<(String, Spanned)>), ConfigurationError> {
    let (keys, found) = match at {
        ServersAt::Key(keys) => (keys, document.get_at(keys, MAX_DEPTH)),
        ServersAt::FirstOf(paths) => {
            let mut found = paths
                .iter()
                .filter_map(|keys| Some((*keys, Some(document.get_at(keys, MAX_DEPTH)?))));
            found.next().unwrap_or((&[], None))
        }
        ServersAt::KeyOrBare(key) => match document.get(key, MAX_DEPTH) {
            Some(found) => (&[key] as &[&str], Some(found)),
            None => {
                let servers = document
                    .members(MAX_DEPTH)
                    .filter(|(_, entry)| matches!(entry.value, Value::Table(_)))
                    .map(|(name, entry)| (name.to_owned(), entry));
                let servers: Vec<_> = servers.collect();
                ConfigurationError::check_count(servers.len(), None, "", path)?;
                return Ok((KeyPath::of_json(""), servers));
            }
        },
    };
    let root = keys
        .iter()
        .fold(KeyPath::of_json(""), |path, key| path.child(key, None));
    let entries = entries(found, &keys.join("."), path)?;
    if entries.is_empty() {
        let repeated = document.repeated_keys(keys, 0);
        if let Some(error) = RepeatedKey::error_without_servers(&repeated, keys, path) {
            return Err(error);
        }
    }
    Ok((root, entries))
}

/// The keys that the file has more than once, and the path of the table of servers.
pub(super) fn repeated_keys(
    document: &json::Document<'_>,
    at: ServersAt,
) -> (Vec<RepeatedKey>, Vec<&'static str>) {
    let is_there = |keys: &[&str]| document.get_at(keys, 0).is_some();
    let keys: Vec<&str> = match at {
        ServersAt::Key(keys) => keys.to_vec(),
        ServersAt::FirstOf(paths) => {
            let found = paths.iter().find(|keys| is_there(keys));
            found.map_or_else(Vec::new, |keys| keys.to_vec())
        }
        ServersAt::KeyOrBare(key) if is_there(&[key]) => vec![key],
        ServersAt::KeyOrBare(_) => Vec::new(),
    };
    (document.repeated_keys(&keys, MAX_DEPTH), keys)
}

/// The servers of a file, and the warnings about the file as a whole.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub servers: Vec<ClientServer>,
    pub warnings: Vec<EntryProblem>,
}

impl From<Vec<ClientServer>> for Contents {
    fn from(servers: Vec<ClientServer>) -> Self {
        Self {
            servers,
            warnings: Vec::new(),
        }
    }
}

impl Contents {
    pub fn new(servers: Vec<ClientServer>, warning: Option<EntryProblem>) -> Self {
        Self {
            servers,
            warnings: Vec::from_iter(warning),
        }
    }

    /// Warns of the keys that the file has more than once: in the entries that they belong to, and of the others in the file. `keys` is
    /// the path of the table of servers.
    pub fn with_repeated(mut self, repeated: &[RepeatedKey], keys: &[&str]) -> Self {
        // Without a server, a repeated key has no effect.
        if !self.servers.is_empty() {
            let entries = self.servers.iter_mut().map(|server| &mut server.entry);
            let of_file = RepeatedKey::warn(repeated, keys, entries);
            self.warnings.extend(of_file);
        }
        self
    }
}

/// The entries of a table of servers.
pub(super) fn entries(
    found: Option<Spanned>,
    key: &str,
    path: &Path,
) -> Result<Vec<(String, Spanned)>, ConfigurationError> {
    match found {
        None => Ok(Vec::new()),
        Some(Spanned {
            value: Value::Table(entries),
            line,
        }) => {
            ConfigurationError::check_count(entries.len(), line, key, path)?;
            Ok(entries)
        }
        Some(Spanned {
            value: Value::Unsupported("null"),
            ..
        }) => Ok(Vec::new()),
        Some(other) => {
            let problem = format!("`{key}` must be an object with one entry for each server");
            let place = (other.line.unwrap_or(1), None);
            let kind = ConfigurationErrorKind::NotAConfiguration;
            Err(ConfigurationError::at(kind, path, place, &problem).with_key(key))
        }
    }
}

/// Returns the value of the key of the servers in a YAML file, and the search for other such keys.
pub(super) fn value_and_other<'a>(
    client: Client,
    document: yaml::Document,
    own: &'static [&'static str; 1],
    path: &'a Path,
) -> (Option<Spanned>, OtherKeys<'a>) {
    let fields = document.into_fields();
    let other = OtherKeys::of_fields(client, path, own, &fields);
    let mut fields = fields.into_iter();
    let found = fields.find(|(name, _)| name == own[0]);
    (found.map(|(_, value)| value), other)
}

/// A server in a list of servers.
pub(super) struct NamedItem {
    /// The text of `name`.
    pub name: Option<String>,
    pub path: KeyPath,
    pub entry: Spanned,
}

impl NamedItem {
    /// The name, or without one the place in the list, such as `mcpServers[1]`.
    pub fn name_or_place(&self) -> String {
        let name = self.name.clone().filter(|name| !name.is_empty());
        name.unwrap_or_else(|| self.path.problem("").key)
    }

    /// Returns the text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        string_at(&self.entry, key)
    }
}

/// The text of a key of a table.
pub(super) fn string_at<'a>(entry: &'a Spanned, key: &str) -> Option<&'a str> {
    let Value::Table(fields) = &entry.value else {
        return None;
    };
    let mut fields = fields.iter();
    match &fields.find(|(name, _)| name == key)?.1.value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// The items of a list of servers.
pub(super) fn named_items(
    found: Option<Spanned>,
    keys: &[&str],
    path: &Path,
) -> Result<Vec<NamedItem>, ConfigurationError> {
    let key = &*keys.join(".");
    let (line, items) = match found {
        None => return Ok(Vec::new()),
        Some(found) => match found.value {
            Value::Unsupported("null") => return Ok(Vec::new()),
            Value::List(items) => (found.line, items),
            _ => {
                let problem = format!(
                    "`{key}` must be a list with one item for each server, which has a `name`"
                );
                let place = (found.line.unwrap_or(1), None);
                let kind = ConfigurationErrorKind::NotAConfiguration;
                return Err(ConfigurationError::at(kind, path, place, &problem).with_key(key));
            }
        },
    };
    ConfigurationError::check_count(items.len(), line, key, path)?;
    let root = keys
        .iter()
        .fold(KeyPath::new(""), |path, key| path.child(key, line));
    let items = items.into_iter().enumerate();
    Ok(items
        .map(|(at, entry)| NamedItem {
            name: string_at(&entry, "name").map(str::to_owned),
            path: root.index(at, entry.line),
            entry,
        })
        .collect())
}

/// A server whose entry the client refuses before it reads its keys.
pub(super) fn refused(name: &str, problem: EntryProblem) -> ClientServer {
    ClientServer {
        entry: ServerEntry::new(name, true, false, Err(problem), Vec::new(), Vec::new()),
        transport: ClientTransport::Unknown,
        approved: None,
        from_project: None,
        not_checked: None,
    }
}

/// Marks the servers of a list that have the name of an earlier one.
pub(super) fn mark_repeated(servers: &mut [ClientServer]) {
    let mut names = HashSet::new();
    for server in servers {
        if !names.insert(server.entry.name.clone()) {
            server.not_checked.get_or_insert_with(|| {
                "an earlier server of the list has the same name; rename one of them".to_owned()
            });
        }
    }
}
