//! opencode, versions 1 and 2, and Kilo Code, whose files have the same shapes. The files of all folders are merged, key by key.
//!
//! Sources: <https://opencode.ai/docs/mcp-servers>, <https://opencode.ai/v1/docs/mcp-servers>, and
//! `packages/core/src/config` in <https://github.com/anomalyco/opencode>.

use std::cell::Cell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::Client;
use super::entry::EntryReader;
use super::layers::{Layer, whole_entries};
use super::other_keys::OtherKeys;
use super::places::Places;
use super::profile::{
    EntryRules, FileFormat, MissingVariable, Scope, ServersAt, Timeout, TransportRule,
    VariableForm, Variables,
};
use super::profiles::PLAIN;
use super::reading::{self, Contents, MAX_BYTES, MAX_DEPTH};
use super::{ClientFile, ClientServer, System};
use crate::environment::non_blank;
use crate::error::{ConfigurationError, EntryProblem};
use crate::format::MAX_COMPARED_KEYS;
use crate::server::HttpSseUse;
use crate::spanned::json::{self, RepeatedKey};
use crate::spanned::{KeyPath, Spanned, Value};

/// Files of one client: their scope, the systems that have them, and their paths, in the order of their precedence.
pub(super) type Files = &'static [(Scope, &'static [System], &'static str)];

pub(super) const OPENCODE: Files = &[
    (Scope::User, &[], "<xdg-config>/opencode/opencode.json"),
    (Scope::User, &[], "<xdg-config>/opencode/opencode.jsonc"),
    (Scope::User, &[], "<$OPENCODE_CONFIG>"),
    (Scope::Project, &[], "<up>/opencode.json"),
    (Scope::Project, &[], "<up>/opencode.jsonc"),
    (Scope::Project, &[], "<up>/.opencode/opencode.json"),
    (Scope::Project, &[], "<up>/.opencode/opencode.jsonc"),
    (Scope::User, &[], "<$OPENCODE_CONFIG_DIR>/opencode.json"),
    (Scope::User, &[], "<$OPENCODE_CONFIG_DIR>/opencode.jsonc"),
    (Scope::User, &[], INLINE),
    (
        Scope::Managed,
        &[System::Linux],
        "</>/etc/opencode/opencode.json",
    ),
    (
        Scope::Managed,
        &[System::Linux],
        "</>/etc/opencode/opencode.jsonc",
    ),
    (
        Scope::Managed,
        &[System::MacOs],
        "</>/Library/Application Support/opencode/opencode.json",
    ),
    (
        Scope::Managed,
        &[System::MacOs],
        "</>/Library/Application Support/opencode/opencode.jsonc",
    ),
    (
        Scope::Managed,
        &[System::Windows],
        "<$ProgramData>/opencode/opencode.json",
    ),
    (
        Scope::Managed,
        &[System::Windows],
        "<$ProgramData>/opencode/opencode.jsonc",
    ),
];

/// The variable whose value has the text of a file.
const INLINE: &str = "OPENCODE_CONFIG_CONTENT";

pub(super) const KILO: Files = &[
    (Scope::User, &[], "<xdg-config>/kilo/kilo.json"),
    (Scope::User, &[], "<xdg-config>/kilo/kilo.jsonc"),
    (Scope::Project, &[], "<up>/kilo.json"),
    (Scope::Project, &[], "<up>/kilo.jsonc"),
];

/// The shape of version 1, which also tries HTTP+SSE.
const VERSION_1: EntryRules = EntryRules {
    types: &[
        ("local", TransportRule::Stdio),
        ("remote", TransportRule::Http(HttpSseUse::Fallback)),
    ],
    url_keys: &[(
        "url",
        TransportRule::Refused("needs a `type`; write \"type\": \"remote\""),
    )],
    untyped_program: TransportRule::Refused("needs a `type`; write \"type\": \"local\""),
    command_is_list: true,
    env: "environment",
    cwd: Some("cwd"),
    switches: &[("enabled", false)],
    timeout: Some(Timeout::millis("timeout")),
    variables: Variables {
        forms: &[VariableForm::EnvInCurlyBraces],
        missing: MissingVariable::Empty,
    },
    ..PLAIN
};

/// The shape of version 2, which does not speak HTTP+SSE.
const VERSION_2: EntryRules = EntryRules {
    types: &[
        ("local", TransportRule::Stdio),
        ("remote", TransportRule::Http(HttpSseUse::Never)),
    ],
    switches: &[("disabled", true)],
    other_keys: &["protocol"],
    ..VERSION_1
};

/// A file, and the servers in it in both shapes.
struct Found {
    file: ClientFile,
    shapes: Shapes,
}

/// The servers of a file.
#[derive(Default)]
struct Shapes {
    version_1: Entries,
    version_2: Entries,
    /// The warning about a key of another client next to `mcp`.
    other_key: Option<EntryProblem>,
    /// The keys that the file has more than once.
    repeated: (Vec<RepeatedKey>, Vec<&'static str>),
    /// The limit of a start in `mcp.timeout`, in ms.
    startup_ms: Option<f64>,
}

impl Shapes {
    /// All entries in the shape of version 2, as that version reads the file. Its own entries win over those of version 1.
    fn as_version_2(&self) -> Entries {
        let own: HashSet<&String> = self.version_2.iter().map(|(name, _)| name).collect();
        let older = self.version_1.iter();
        let older = older.filter(|(name, _)| !own.contains(name));
        let older = older.map(|(name, entry)| (name.clone(), version_2_of(entry)));
        self.version_2.iter().cloned().chain(older).collect()
    }
}

/// Reads the files of the client, merges their entries, and lists each entry in every file that has a part of it.
pub(super) fn files(client: Client, files: Files, places: &Places<'_>) -> Vec<ClientFile> {
    let found = find(client, files, places);
    // Without an approval that can be read, a project's file is merged only for its own list.
    let is_used = |found: &Found| found.file.scope != Scope::Project;
    let mut used = found.iter().rev().filter(|found| is_used(found));
    let startup_ms = used.find_map(|found| found.shapes.startup_ms);
    // Version 1 does not know the shape of version 2. So the client that uses a file in that shape is version 2, and it reads every file
    // in this way.
    let is_version_2 = |found: &Found| !found.shapes.version_2.is_empty();
    let uses_version_2 = found
        .iter()
        .any(|found| is_used(found) && is_version_2(found));
    let merged = |entries: &dyn Fn(&Shapes) -> Entries| {
        let layers = found.iter().map(|found| Layer {
            is_used: is_used(found),
            entries: entries(&found.shapes),
        });
        whole_entries(layers.collect())
    };
    let as_version_1 = merged(&|shapes| shapes.version_1.clone());
    let as_version_2 = merged(&|shapes| shapes.as_version_2());
    let entries = as_version_1.into_iter().zip(as_version_2);
    let files = found.into_iter().zip(entries);
    files
        .map(|(found, (as_version_1, as_version_2))| {
            let (entries, rules) = match uses_version_2 || is_version_2(&found) {
                true => (as_version_2, &VERSION_2),
                false => (as_version_1, &VERSION_1),
            };
            let of_version_2 = found.shapes.version_2.iter();
            let of_version_2: HashSet<&String> = of_version_2.map(|(name, _)| name).collect();
            places.renew_budget();
            let limit = found.shapes.startup_ms.or(startup_ms);
            let servers = entries.iter().map(|(name, entry)| {
                let root = match of_version_2.contains(name) {
                    true => "mcp.servers",
                    false => "mcp",
                };
                read(client, rules, places, root, name, entry, limit)
            });
            let (repeated, keys) = &found.shapes.repeated;
            let contents = Contents::new(servers.collect(), found.shapes.other_key);
            let Contents { servers, warnings } = contents.with_repeated(repeated, keys);
            ClientFile {
                servers,
                warnings,
                ..found.file
            }
        })
        .collect()
}

/// Finds the files that exist, and splits their entries by their shape.
fn find(client: Client, files: Files, places: &Places<'_>) -> Vec<Found> {
    let system = places.machine.system();
    let files = files
        .iter()
        .filter(|(_, systems, _)| systems.is_empty() || systems.contains(&system));
    let mut found = Vec::new();
    for (scope, _, template) in files {
        let texts: Vec<(PathBuf, Result<Shapes, ConfigurationError>)> = match *template {
            INLINE => inline(client, places).into_iter().collect(),
            template => places
                .paths(template)
                .into_iter()
                .filter_map(|path| {
                    let result = reading::read(places.machine, &path, MAX_BYTES, |text| {
                        parse(client, &path, path.parent(), text)
                    });
                    Some((path, result?))
                })
                .collect(),
        };
        for (path, result) in texts {
            let format = match path.extension().is_some_and(|end| end == "json") {
                true => FileFormat::Json,
                false => FileFormat::Jsonc,
            };
            // The servers are read when the entries of all files are known.
            let (shapes, servers) = match result {
                Ok(shapes) => (shapes, Ok(Contents::default())),
                Err(error) => (Shapes::default(), Err(error)),
            };
            found.push(Found {
                file: ClientFile::new(client, *scope, path, format, servers),
                shapes,
            });
        }
    }
    found
}

/// Reads the text in [`INLINE`]. Its path is the name of the variable.
fn inline(
    client: Client,
    places: &Places<'_>,
) -> Option<(PathBuf, Result<Shapes, ConfigurationError>)> {
    let text = non_blank(places.machine.environment(), INLINE)?;
    let path = PathBuf::from(format!("${INLINE}"));
    let result = match text.len() > MAX_BYTES {
        true => Err(ConfigurationError::larger_than(MAX_BYTES, &path)),
        false => parse(client, &path, None, &text),
    };
    Some((path, result))
}

fn parse(
    client: Client,
    path: &Path,
    folder: Option<&Path>,
    text: &str,
) -> Result<Shapes, ConfigurationError> {
    reading::with_json(client, FileFormat::Jsonc, path, text, |document| {
        let mut shapes = shapes(document, folder);
        let own = [ServersAt::Key(&["mcp"])];
        let other = OtherKeys::of_json(client, path, own, document);
        let has_servers = !shapes.version_1.is_empty() || !shapes.version_2.is_empty();
        shapes.other_key = other.check(has_servers)?;
        shapes.repeated = reading::repeated_keys(document, own[0]);
        let (repeated, keys) = &shapes.repeated;
        let error = RepeatedKey::error_without_servers(repeated, keys, path);
        if let Some(error) = error.filter(|_| !has_servers) {
            return Err(error);
        }
        Ok(shapes)
    })
}

/// An entry of version 1 in the shape of version 2.
fn version_2_of(entry: &Spanned) -> Spanned {
    let Value::Table(fields) = &entry.value else {
        return entry.clone();
    };
    let renamed = |fields: &Entries, names: &[(&str, &str)]| -> Entries {
        let fields = fields.iter().map(|(name, field)| {
            let mut names = names.iter();
            let new = names.find(|(old, _)| old == name);
            let name = new.map_or(name.as_str(), |(_, new)| new);
            (name.to_owned(), field.clone())
        });
        fields.collect()
    };
    let mut fields = renamed(fields, &[]);
    for (name, field) in &mut fields {
        match (name.as_str(), &mut field.value) {
            ("enabled", Value::Boolean(enabled)) => {
                *enabled = !*enabled;
                "disabled".clone_into(name);
            }
            ("timeout", Value::Integer(_) | Value::Float(_)) => {
                let limit = ("startup".to_owned(), field.clone());
                field.value = Value::Table(vec![limit]);
            }
            ("oauth", Value::Table(oauth)) => {
                *oauth = renamed(
                    oauth,
                    &[
                        ("clientId", "client_id"),
                        ("clientSecret", "client_secret"),
                        ("callbackPort", "callback_port"),
                        ("redirectUri", "redirect_uri"),
                    ],
                );
            }
            _ => {}
        }
    }
    Spanned {
        line: entry.line,
        value: Value::Table(fields),
    }
}

type Entries = Vec<(String, Spanned)>;

/// Splits `mcp` into the entries of version 1 and 2. A server of version 1 may be named `servers` or `timeout`, so the values decide.
fn shapes(document: &json::Document<'_>, folder: Option<&Path>) -> Shapes {
    let mut shapes = Shapes::default();
    let Some(mut found) = document.get("mcp", MAX_DEPTH) else {
        return shapes;
    };
    if let Some(folder) = folder {
        name_files_from(folder, &mut found.value);
    }
    let Value::Table(fields) = found.value else {
        return shapes;
    };
    for (name, entry) in fields {
        let Value::Table(inner) = &entry.value else {
            continue;
        };
        let has = |key: &str| inner.iter().any(|(name, _)| name == key);
        let is_entry = ["type", "command", "url"].iter().any(|key| {
            let value = inner.iter().find(|(name, _)| name == key);
            matches!(
                value,
                Some((
                    _,
                    Spanned {
                        value: Value::String(_) | Value::List(_),
                        ..
                    }
                ))
            )
        });
        match name.as_str() {
            "servers" if !is_entry && !is_switch(inner) => {
                if let Value::Table(entries) = entry.value {
                    shapes.version_2 = entries;
                }
            }
            "timeout" if !is_entry && (has("startup") || has("catalog") || has("execution")) => {
                shapes.startup_ms = startup_limit(&entry);
            }
            _ => shapes.version_1.push((name, entry)),
        }
    }
    shapes
}

/// Makes the paths of included files independent of the file that names them: they are relative to its folder.
fn name_files_from(folder: &Path, value: &mut Value) {
    const START: &str = "{file:";
    match value {
        Value::String(text) if text.contains(START) => {
            let mut parts = text.split(START);
            let mut whole = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                whole += START;
                if !part.starts_with(['~', '/']) && !Path::new(part).is_absolute() {
                    whole += &folder.to_string_lossy();
                    whole += "/";
                }
                whole += part;
            }
            *text = whole;
        }
        Value::List(items) => {
            for item in items {
                name_files_from(folder, &mut item.value);
            }
        }
        Value::Table(fields) => {
            for (_, field) in fields {
                name_files_from(folder, &mut field.value);
            }
        }
        _ => {}
    }
}

/// Whether an entry only turns a server on or off.
fn is_switch(fields: &[(String, Spanned)]) -> bool {
    let is_boolean = |value: &Spanned| matches!(value.value, Value::Boolean(_));
    let is_switch = |key: &str| matches!(key, "enabled" | "disabled");
    let mut keys = fields.iter();
    !fields.is_empty() && keys.all(|(key, value)| is_switch(key) && is_boolean(value))
}

/// The limit of a start in a table of limits, in ms.
fn startup_limit(table: &Spanned) -> Option<f64> {
    let Value::Table(fields) = &table.value else {
        return None;
    };
    let (_, limit) = fields.iter().find(|(name, _)| name == "startup")?;
    match limit.value {
        Value::Integer(limit) => Some(limit as f64),
        Value::Float(limit) => Some(limit),
        _ => None,
    }
}

fn read(
    client: Client,
    rules: &EntryRules,
    places: &Places<'_>,
    root: &str,
    name: &str,
    entry: &Spanned,
    startup_ms: Option<f64>,
) -> ClientServer {
    let reader = EntryReader {
        client,
        rules,
        places,
        folder: places.folder,
        own_variables: Vec::new(),
        added_env: Vec::new(),
        comparisons: Cell::new(MAX_COMPARED_KEYS),
    };
    let root = root
        .split('.')
        .fold(KeyPath::of_json(""), |path, key| path.child(key, None));
    let mut server = reader.read(name, root.named(name, entry.line), entry);
    if let Value::Table(fields) = &entry.value {
        if is_switch(fields) {
            server.not_checked = Some(
                "it only switches a server that another file defines, and no file does".to_owned(),
            );
        }
        let own = fields.iter().find(|(key, _)| key == "timeout");
        let limit = own
            .and_then(|(_, table)| startup_limit(table))
            .or(startup_ms);
        if let (Ok(config), Some(limit)) = (&mut server.entry.config, limit)
            && config.startup_timeout.is_none()
        {
            config.startup_timeout = Duration::try_from_secs_f64(limit / 1000.0)
                .ok()
                .filter(|limit| !limit.is_zero());
        }
    }
    server
}
