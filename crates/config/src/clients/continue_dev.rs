//! Continue: one file with a list of servers, and folders with blocks in its own shape and in that of other clients.
//!
//! Source: `packages/config-yaml/src/schemas/mcp` and `core/context/mcp` in <https://github.com/continuedev/continue>.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use super::client::Client;
use super::client_variables::{self, ClientVariables, MachineWithVariables};
use super::entry::EntryReader;
use super::inherited::SDK_VARIABLES;
use super::places::Places;
use super::profile::{
    EntryRules, FileFormat, MissingVariable, ReplacedIn, Scope, Timeout, TransportRule,
    VariableForm, Variables,
};
use super::profiles::PLAIN;
use super::reading::{self, Contents, MAX_BYTES, MAX_DEPTH, NamedItem};
use super::{ClientFile, ClientServer};
use crate::error::{ConfigurationError, ConfigurationErrorKind};
use crate::escaping::escape_and_truncate;
use crate::format::MAX_COMPARED_KEYS;
use crate::server::{HttpSseUse, InheritedEnvironment};
use crate::spanned::yaml::{Document, MergeKey};
use crate::spanned::{KeyPath, Spanned, Value, json};

const SERVERS: &str = "mcpServers";

const YAML: EntryRules = EntryRules {
    types: &[
        ("stdio", TransportRule::Stdio),
        ("streamable-http", TransportRule::Http(HttpSseUse::Never)),
        ("sse", TransportRule::Http(HttpSseUse::Always)),
    ],
    env_is_text: true,
    cwd: Some("cwd"),
    switches: &[],
    timeout: Some(Timeout::millis("connectionTimeout")),
    headers: &["requestOptions", "headers"],
    bearer: Some("apiKey"),
    oauth: &[],
    other_keys: &["faviconUrl", "serverName", "sourceFile"],
    variables: Variables {
        forms: &[VariableForm::Secrets],
        missing: MissingVariable::KnownElsewhere,
    },
    without_value: (
        "is neither in Continue's own `.env` file nor in the environment (the `.env` files of a project count only for its own entries)",
        "set it in `~/.continue/.env`",
    ),
    inherited: InheritedEnvironment::Named(SDK_VARIABLES),
    ..PLAIN
};

/// The files in the shape of other clients.
const JSON: EntryRules = EntryRules {
    types: &[
        ("stdio", TransportRule::Stdio),
        ("http", TransportRule::Http(HttpSseUse::Never)),
        ("sse", TransportRule::Http(HttpSseUse::Always)),
    ],
    cwd: None,
    timeout: None,
    headers: &["headers"],
    bearer: None,
    variables: Variables {
        forms: &[VariableForm::Braces],
        missing: MissingVariable::KnownElsewhere,
    },
    replaced_in: ReplacedIn::Env,
    ..YAML
};

/// The file that `config.yaml` has replaced.
const OLD_JSON: EntryRules = EntryRules {
    nested_transport: true,
    variables: Variables {
        forms: &[],
        missing: MissingVariable::Kept,
    },
    ..YAML
};

const HOME: &str = "<$CONTINUE_GLOBAL_DIR or .continue>";

pub(super) fn files(places: &Places<'_>) -> Vec<ClientFile> {
    let of_user = places.paths(&format!("{HOME}/.env"));
    let of_project = ["<folder>/.continue/.env", "<folder>/.env"].map(|path| places.paths(path));
    let of_project = [of_user.clone(), of_project.concat()].concat();
    let with_variables = |paths: &[PathBuf]| MachineWithVariables {
        machine: places.machine,
        variables: ClientVariables {
            own: client_variables::of_env_files(places.machine, paths),
            environment: Some(places.machine.environment()),
        },
    };
    // Continue reads the files of the project for every entry. A repository could so lead the user's own servers and their tokens to
    // its author.
    let (of_user, of_project) = (with_variables(&of_user), with_variables(&of_project));
    let reader = Reader(Places::new(&of_user, places.folder));
    let project_reader = Reader(Places::new(&of_project, places.folder));
    let of_home = |name: &str| places.paths(&format!("{HOME}/{name}"));
    let mut files = reader.files(Scope::User, of_home("config.yaml"), Reader::yaml);
    if files.is_empty() {
        files = reader.files(Scope::User, of_home("config.json"), Reader::old_json);
    }
    let mut known = Vec::new();
    for (reader, scope, folder) in [
        (&reader, Scope::User, format!("{HOME}/mcpServers")),
        (
            &project_reader,
            Scope::Project,
            "<folder>/.continue/mcpServers".to_owned(),
        ),
    ] {
        let mut paths = |end: &str| -> Vec<PathBuf> {
            let paths = places.paths(&format!("{folder}/*.{end}")).into_iter();
            // The current folder may be the home folder.
            let paths: Vec<_> = paths.filter(|path| !known.contains(path)).collect();
            known.extend(paths.iter().cloned());
            paths
        };
        let blocks = [paths("yaml"), paths("yml")].concat();
        files.extend(reader.files(scope, blocks, Reader::yaml));
        files.extend(reader.files(scope, paths("json"), Reader::json));
    }
    files
}

struct Reader<'a>(Places<'a>);

impl Reader<'_> {
    fn files(
        &self,
        scope: Scope,
        paths: Vec<PathBuf>,
        read: impl Fn(&Self, &Path, &str) -> Result<Contents, ConfigurationError>,
    ) -> Vec<ClientFile> {
        let files = paths.into_iter().filter_map(|path| {
            let result = reading::read(self.0.machine, &path, MAX_BYTES, |text| {
                read(self, &path, text)
            })?;
            let format = match path.extension().is_some_and(|end| end == "json") {
                true => FileFormat::Jsonc,
                false => FileFormat::Yaml,
            };
            Some(ClientFile::new(
                Client::Continue,
                scope,
                path,
                format,
                result,
            ))
        });
        files.collect()
    }

    fn entry_reader<'r>(&'r self, rules: &'r EntryRules) -> EntryReader<'r> {
        EntryReader {
            client: Client::Continue,
            rules,
            places: &self.0,
            folder: self.0.folder,
            own_variables: Vec::new(),
            added_env: Vec::new(),
            comparisons: Cell::new(MAX_COMPARED_KEYS),
        }
    }

    fn yaml(&self, path: &Path, text: &str) -> Result<Contents, ConfigurationError> {
        let document = Document::parse(text, path, MergeKey::Ignored)?;
        let (found, other) = reading::value_and_other(Client::Continue, document, &[SERVERS], path);
        let items = reading::named_items(found, &[SERVERS], path)?;
        let other = other.check(!items.is_empty())?;
        let reader = self.entry_reader(&YAML);
        let mut servers: Vec<_> = items.iter().map(|item| server(&reader, item)).collect();
        reading::mark_repeated(&mut servers);
        Ok(Contents::new(servers, other))
    }

    fn old_json(&self, path: &Path, text: &str) -> Result<Contents, ConfigurationError> {
        let keys = ["experimental", "modelContextProtocolServers"];
        let found = with_json(path, text, |document| Ok(document.get_at(&keys, MAX_DEPTH)))?;
        let items = reading::named_items(found, &keys, path)?;
        let reader = self.entry_reader(&OLD_JSON);
        let servers = items.iter().enumerate().map(|(at, item)| {
            // These servers have no name. Continue numbers them.
            let name = match &item.name {
                Some(name) => name.clone(),
                None => format!("MCP Server {}", at + 1),
            };
            reader.read(&name, item.path.clone(), &item.entry)
        });
        Ok(Contents::new(servers.collect(), None))
    }

    fn json(&self, path: &Path, text: &str) -> Result<Contents, ConfigurationError> {
        let reader = self.entry_reader(&JSON);
        let (entries, repeated) = with_json(path, text, |document| {
            let repeated = document.repeated_keys(&[SERVERS], MAX_DEPTH);
            Ok((json_entries(document, path)?, repeated))
        })?;
        let servers = entries.iter();
        let mut servers: Vec<_> = servers
            .map(|(name, key_path, entry)| reader.read(name, key_path.clone(), entry))
            .collect();
        reading::mark_repeated(&mut servers);
        Ok(Contents::from(servers).with_repeated(&repeated, &[SERVERS]))
    }
}

fn with_json<T>(
    path: &Path,
    text: &str,
    convert: impl FnOnce(&json::Document<'_>) -> Result<T, ConfigurationError>,
) -> Result<T, ConfigurationError> {
    reading::with_json(Client::Continue, FileFormat::Jsonc, path, text, convert)
}

/// Reads an item of the list.
fn server(reader: &EntryReader<'_>, item: &NamedItem) -> ClientServer {
    if let Some(block) = item.text("uses") {
        let problem = "it is a block of Continue's hub (`uses`), which is not read here";
        let name = item.name.as_deref().unwrap_or(block);
        let mut server = reading::refused(name, item.path.problem(problem));
        server.not_checked = Some(problem.to_owned());
        return server;
    }
    match item.name.as_deref() {
        Some(name) if !name.is_empty() => reader.read(name, item.path.clone(), &item.entry),
        _ => {
            let problem = "Continue needs a `name` for each server; write it";
            reading::refused(&item.name_or_place(), item.path.problem(problem))
        }
    }
}

/// The servers of a file in the shape of Claude Code or Claude Desktop, or of a file with one server.
fn json_entries(
    document: &json::Document<'_>,
    path: &Path,
) -> Result<Vec<(String, KeyPath, Spanned)>, ConfigurationError> {
    let has = |key: &str| document.get(key, 0).is_some();
    if has(SERVERS) || has("projects") {
        let mut found = Vec::new();
        let mut add = |root: KeyPath, servers: Option<Spanned>| {
            let entries = reading::entries(servers, SERVERS, path)?.into_iter();
            found.extend(entries.map(|(name, entry)| {
                let path = root.named(&name, entry.line);
                (name, path, entry)
            }));
            Ok(())
        };
        add(KeyPath::new(SERVERS), document.get(SERVERS, MAX_DEPTH))?;
        for (project, entry) in document.members_at(&["projects"], MAX_DEPTH + 1) {
            let Value::Table(fields) = entry.value else {
                continue;
            };
            let root = KeyPath::new("projects").named(&project, entry.line);
            let servers = fields.into_iter().find(|(name, _)| name == SERVERS);
            add(
                root.child(SERVERS, None),
                servers.map(|(_, servers)| servers),
            )?;
        }
        return Ok(found);
    }
    if !has("command") && !has("url") {
        let problem = format!(
            "the file must have `{SERVERS}`, or the keys of one server: `command` or `url`"
        );
        let kind = ConfigurationErrorKind::NotAConfiguration;
        return Err(ConfigurationError::at(kind, path, (1, None), &problem).with_key(SERVERS));
    }
    let keys = document.keys();
    let fields = keys.filter_map(|key| Some((key.to_owned(), document.get(key, MAX_DEPTH)?)));
    let entry = Spanned {
        line: Some(1),
        value: Value::Table(fields.collect()),
    };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match name.is_empty() {
        true => escape_and_truncate(&path.to_string_lossy()),
        false => name.into_owned(),
    };
    Ok(vec![(name, KeyPath::new(""), entry)])
}
