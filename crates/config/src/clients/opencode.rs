//! opencode, versions 1 and 2, and Kilo Code, whose files have the same shapes. The files of all folders are merged, key by key.
//!
//! Sources: <https://opencode.ai/docs/mcp-servers>, <https://opencode.ai/v1/docs/mcp-servers>, and
//! `packages/core/src/config` in <https://github.com/anomalyco/opencode>.

use std::cell::Cell;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use super::client::Client;
use super::entry::EntryReader;
use super::layers::{Layer, whole_entries};
use super::places::Places;
use super::profile::{
    EntryRules, FileFormat, MissingVariable, Scope, Timeout, TransportRule, VariableForm, Variables,
};
use super::profiles::PLAIN;
use super::reading::{self, MAX_BYTES, MAX_DEPTH};
use super::{ClientFile, ClientServer, System};
use crate::format::MAX_COMPARED_KEYS;
use crate::server::HttpSseUse;
use crate::spanned::{KeyPath, Spanned, Value, json};

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
    version_1: Vec<(String, Spanned)>,
    version_2: Vec<(String, Spanned)>,
    /// The limit of a start in `mcp.timeout`, in ms.
    startup_ms: Option<f64>,
}

/// Reads the files of the client, merges their entries, and lists each entry in every file that has a part of it.
pub(super) fn files(client: Client, files: Files, places: &Places<'_>) -> Vec<ClientFile> {
    let system = places.machine.system();
    let files = files
        .iter()
        .filter(|(_, systems, _)| systems.is_empty() || systems.contains(&system));
    let mut found: Vec<Found> = Vec::new();
    for (scope, _, template) in files {
        for path in places.paths(template) {
            let result = reading::read(places.machine, &path, MAX_BYTES, |text| {
                reading::with_json(client, FileFormat::Jsonc, &path, text, |document| {
                    Ok(shapes(document, path.parent().unwrap_or(places.folder)))
                })
            });
            let Some(result) = result else { continue };
            let mut file = ClientFile {
                client,
                scope: *scope,
                path: path.clone(),
                format: match path.extension().is_some_and(|end| end == "jsonc") {
                    true => FileFormat::Jsonc,
                    false => FileFormat::Json,
                },
                approved: None,
                error: None,
                servers: Vec::new(),
            };
            let ((version_1, version_2, startup_ms), error) = match result {
                Ok(shapes) => (shapes, None),
                Err(error) => ((Vec::new(), Vec::new(), None), Some(error)),
            };
            file.error = error;
            found.push(Found {
                file,
                version_1,
                version_2,
                startup_ms,
            });
        }
    }
    // Without an approval that can be read, a project's file is merged only for its own list.
    let is_used = |found: &Found| found.file.scope != Scope::Project;
    let startup_ms = found
        .iter()
        .rev()
        .filter(|found| is_used(found))
        .find_map(|found| found.startup_ms);
    let layers = |entries: fn(&mut Found) -> &mut Entries, found: &mut Vec<Found>| {
        let layers = found.iter_mut().map(|found| Layer {
            is_used: is_used(found),
            entries: std::mem::take(entries(found)),
        });
        whole_entries(layers.collect())
    };
    let version_1 = layers(|found| &mut found.version_1, &mut found);
    let version_2 = layers(|found| &mut found.version_2, &mut found);
    let entries = version_2.into_iter().zip(version_1);
    let files = found.into_iter().zip(entries);
    files
        .map(|(found, (version_2, version_1))| {
            let mut file = found.file;
            places.renew_budget();
            let limit = found.startup_ms.or(startup_ms);
            // An entry of version 2 wins over one of version 1 in the same file.
            let names: HashSet<String> = version_2.iter().map(|(name, _)| name.clone()).collect();
            let version_1 = version_1
                .into_iter()
                .filter(|(name, _)| !names.contains(name));
            let version_1: Vec<_> = version_1.collect();
            for (entries, rules, root) in [
                (version_2, &VERSION_2, "mcp.servers"),
                (version_1, &VERSION_1, "mcp"),
            ] {
                let servers = entries.iter();
                file.servers
                    .extend(servers.map(|(name, entry)| {
                        read(client, rules, places, root, name, entry, limit)
                    }));
            }
            file
        })
        .collect()
}

type Entries = Vec<(String, Spanned)>;

/// Splits `mcp` into the entries of version 1 and 2. A server of version 1 may be named `servers` or `timeout`, so the values decide.
fn shapes(document: &json::Document<'_>, folder: &Path) -> (Entries, Entries, Option<f64>) {
    let Some(mut found) = document.get("mcp", MAX_DEPTH) else {
        return (Vec::new(), Vec::new(), None);
    };
    name_files_from(folder, &mut found.value);
    let Value::Table(fields) = found.value else {
        return (Vec::new(), Vec::new(), None);
    };
    let (mut version_1, mut version_2, mut startup) = (Vec::new(), Vec::new(), None);
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
                    version_2 = entries;
                }
            }
            "timeout" if !is_entry && (has("startup") || has("catalog") || has("execution")) => {
                startup = startup_limit(&entry);
            }
            _ => version_1.push((name, entry)),
        }
    }
    (version_1, version_2, startup)
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
        .fold(KeyPath::new(""), |path, key| path.child(key, None));
    let mut server = reader.read(name, root.child(name, entry.line), entry);
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
