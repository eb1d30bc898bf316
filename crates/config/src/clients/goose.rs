//! goose's extensions. Some are MCP servers; the others are parts of goose.
//!
//! Source: `crates/goose/src/agents/extension.rs` and `crates/goose/src/config` in <https://github.com/aaif-goose/goose>.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use super::client::Client;
use super::client_variables::{ClientVariables, MachineWithVariables};
use super::entry::EntryReader;
use super::places::Places;
use super::profile::{
    EntryRules, FileFormat, MissingVariable, ReplacedIn, Scope, Timeout, TransportRule,
    VariableForm, Variables,
};
use super::profiles::PLAIN;
use super::reading::{self, Contents, MAX_BYTES};
use super::{ClientFile, ClientServer, System};
use crate::error::EntryProblem;
use crate::format::MAX_COMPARED_KEYS;
use crate::format::oauth;
use crate::server::{HttpSseUse, ServerConfig, TransportConfig};
use crate::shown;
use crate::spanned::yaml::{Document, MergeKey};
use crate::spanned::{KeyPath, Spanned, Table, Value};

const EXTENSIONS: &str = "extensions";

const RULES: EntryRules = EntryRules {
    types: &[
        ("stdio", TransportRule::Stdio),
        ("streamable_http", TransportRule::Http(HttpSseUse::Never)),
        (
            "sse",
            TransportRule::Refused(
                "does not speak HTTP+SSE; write `type: streamable_http` if the server has it",
            ),
        ),
        (
            "frontend",
            TransportRule::NotChecked("its tools are in the window of goose, not in a server"),
        ),
        (
            "inline_python",
            TransportRule::NotChecked("it is Python code, which is not run here"),
        ),
    ],
    url_keys: &[("uri", TransportRule::Http(HttpSseUse::Never))],
    needs_type: Some(
        "skips an extension that has no `type`; write `type: stdio` or `type: streamable_http`",
    ),
    command: "cmd",
    needs_args: true,
    env: "envs",
    env_is_text: true,
    cwd: Some("cwd"),
    switches: &[("enabled", false)],
    timeout: Some(Timeout::secs("timeout")),
    oauth: &[],
    other_keys: &[
        "available_tools",
        "bundled",
        "client_id",
        "client_secret_key",
        "code",
        "dependencies",
        "display_name",
        "env_keys",
        "instructions",
        "scopes",
        "socket",
        "tools",
    ],
    variables: Variables {
        forms: &[VariableForm::Braces, VariableForm::Dollar],
        missing: MissingVariable::Kept,
    },
    replaced_in: ReplacedIn::UrlAndHeaders,
    without_value: (
        "is neither in `envs` nor in `env_keys`",
        "add it to one of them",
    ),
    ..PLAIN
};

/// The variables that goose does not set for a server, in any case.
const NOT_SET_FOR_SERVERS: [&str; 31] = [
    "PATH",
    "PATHEXT",
    "SystemRoot",
    "windir",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LD_AUDIT",
    "LD_DEBUG",
    "LD_BIND_NOW",
    "LD_ASSUME_KERNEL",
    "DYLD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "DYLD_FRAMEWORK_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "NODE_OPTIONS",
    "RUBYOPT",
    "GEM_PATH",
    "GEM_HOME",
    "CLASSPATH",
    "GO111MODULE",
    "GOROOT",
    "APPINIT_DLLS",
    "SESSIONNAME",
    "ComSpec",
    "TEMP",
    "TMP",
    "LOCALAPPDATA",
    "USERPROFILE",
    "HOMEDRIVE",
    "HOMEPATH",
];

pub(super) fn files(places: &Places<'_>) -> Vec<ClientFile> {
    let mut paths = places.paths("<$GOOSE_PATH_ROOT>/config/config.yaml");
    if paths.is_empty() {
        paths = places.paths(match places.machine.system() {
            System::Windows => "<config>/Block/goose/config/config.yaml",
            System::Linux | System::MacOs => "<xdg-config>/goose/config.yaml",
        });
    }
    let files = paths.into_iter().filter_map(|path| {
        let secrets = secrets(places, &path.with_file_name("secrets.yaml"));
        let result = reading::read(places.machine, &path, MAX_BYTES, |text| {
            let document = Document::parse(text, &path, MergeKey::Ignored)?;
            let (found, other) =
                reading::value_and_other(Client::Goose, document, &[EXTENSIONS], &path);
            let entries = reading::entries(found, EXTENSIONS, &path)?;
            let other = other.check(!entries.is_empty())?;
            let comparisons = Cell::new(MAX_COMPARED_KEYS);
            let servers = entries
                .iter()
                .filter_map(|(key, entry)| server(places, &secrets, key, entry, &comparisons));
            Ok(Contents::new(servers.collect(), other))
        })?;
        Some(ClientFile::new(
            Client::Goose,
            Scope::User,
            path,
            FileFormat::Yaml,
            result,
        ))
    });
    files.collect()
}

/// The secrets that goose keeps in a file if it does not use the keyring.
fn secrets(places: &Places<'_>, path: &Path) -> BTreeMap<String, String> {
    let fields = reading::read(places.machine, path, MAX_BYTES, |text| {
        Ok(Document::parse(text, path, MergeKey::Ignored)?.into_fields())
    });
    let fields = fields.and_then(Result::ok).unwrap_or_default().into_iter();
    let texts = fields.filter_map(|(name, secret)| match secret.value {
        Value::String(secret) => Some((name, secret)),
        _ => None,
    });
    texts.collect()
}

/// Reads an extension. Returns `None` if it is a part of goose.
fn server(
    places: &Places<'_>,
    secrets: &BTreeMap<String, String>,
    key: &str,
    entry: &Spanned,
    comparisons: &Cell<usize>,
) -> Option<ClientServer> {
    if matches!(
        reading::string_at(entry, "type"),
        Some("builtin" | "platform")
    ) {
        return None;
    }
    let name = reading::string_at(entry, "name").filter(|name| !name.is_empty());
    let name = name.unwrap_or(key);
    let path = KeyPath::new(EXTENSIONS).named(key, entry.line);
    let keys = Keys::of(places, secrets, entry);
    let machine = MachineWithVariables {
        machine: places.machine,
        variables: ClientVariables {
            own: keys.replaced,
            environment: None,
        },
    };
    let reader = EntryReader {
        client: Client::Goose,
        rules: &RULES,
        places: &Places::new(&machine, places.folder),
        folder: places.folder,
        own_variables: Vec::new(),
        added_env: keys.found,
        comparisons: Cell::new(comparisons.get()),
    };
    let mut server = reader.read(name, path.clone(), entry);
    comparisons.set(reader.comparisons.get());
    let Ok(table) = Table::of_server(path, entry) else {
        return Some(server);
    };
    if let Some(socket) = table.path_to("socket")
        && !matches!(table.value("socket"), Some(Value::Unsupported("null")))
    {
        let problem = socket.problem("it listens on a local socket, which is not supported here");
        server.not_checked.get_or_insert(problem.problem);
    }
    if let Some(key) = keys.missing {
        let key = shown::variable(&key);
        server.not_checked.get_or_insert_with(|| {
            format!(
                "the value of {key} is in goose's keyring, which is not read here; to check the server, set the environment variable {key}"
            )
        });
    }
    if server.entry.config.is_ok() && table.path_to("enabled").is_none() {
        let problem = "goose skips an extension that has no `enabled`; write `enabled: true`";
        server.entry.config = Err(table.path.problem(problem));
    }
    match table.value("name") {
        None if server.entry.config.is_ok() => {
            let problem = "goose skips an extension that has no `name`, except in its newest versions; write `name`";
            let warning = table.path.problem(problem);
            server.entry.warnings.push(warning);
        }
        Some(value) if !matches!(value, Value::String(_)) && server.entry.config.is_ok() => {
            let problem = "goose skips an extension whose `name` is not a text; write quotation marks around it";
            server.entry.config = Err(table.problem("name", problem));
        }
        _ => {}
    }
    if let Ok(config) = &mut server.entry.config {
        let warnings = drop_variables(config, &table);
        server.entry.warnings.extend(warnings);
        if let Err(problem) = read_oauth_client(&table, secrets, config) {
            server.entry.config = Err(problem);
        }
    }
    Some(server)
}

/// The variables of an extension.
struct Keys {
    /// Those that are replaced in the URL and the headers: the ones of `envs` and `env_keys`.
    replaced: BTreeMap<String, String>,
    /// The ones of `env_keys` that have a value.
    found: Vec<(String, String)>,
    /// The first of `env_keys` that has none.
    missing: Option<String>,
}

impl Keys {
    fn of(places: &Places<'_>, secrets: &BTreeMap<String, String>, entry: &Spanned) -> Self {
        let mut keys = Self {
            replaced: BTreeMap::new(),
            found: Vec::new(),
            missing: None,
        };
        if let Some(Value::Table(envs)) = field(entry, "envs") {
            for (name, value) in envs {
                if let Value::String(value) = &value.value {
                    keys.replaced.insert(name.clone(), value.clone());
                }
            }
        }
        let Some(Value::List(names)) = field(entry, "env_keys") else {
            return keys;
        };
        for name in names {
            let Value::String(name) = &name.value else {
                continue;
            };
            if keys.replaced.contains_key(name) {
                continue;
            }
            let environment = places.machine.environment();
            // goose looks for the name in upper case first.
            let value = environment
                .get(&name.to_uppercase())
                .or_else(|| environment.get(name))
                .or_else(|| secrets.get(name).cloned());
            match value {
                Some(value) => {
                    keys.found.push((name.clone(), value.clone()));
                    keys.replaced.insert(name.clone(), value);
                }
                None => {
                    keys.missing.get_or_insert_with(|| name.clone());
                }
            }
        }
        keys
    }
}

/// Removes the variables that goose does not set for a program, and warns of them.
fn drop_variables(config: &mut ServerConfig, table: &Table<'_>) -> Vec<EntryProblem> {
    let TransportConfig::Stdio(stdio) = &mut config.transport else {
        return Vec::new();
    };
    let is_dropped = |name: &str| {
        let mut names = NOT_SET_FOR_SERVERS.iter();
        names.any(|dropped| dropped.eq_ignore_ascii_case(name))
    };
    stdio.env.retain(|(name, _)| !is_dropped(name));
    let written = table.values("envs").unwrap_or_default().into_iter();
    let dropped = written.filter(|(name, _)| is_dropped(name));
    dropped
        .map(|(_, field)| {
            field
                .path
                .problem("goose does not set this variable for a server; remove it")
        })
        .collect()
}

fn read_oauth_client(
    table: &Table<'_>,
    secrets: &BTreeMap<String, String>,
    config: &mut ServerConfig,
) -> Result<(), EntryProblem> {
    if !matches!(config.transport, TransportConfig::Http(_)) {
        return Ok(());
    }
    let text = |key: &str| match table.value(key) {
        Some(Value::Unsupported("null")) => Ok(None),
        _ => table.string(key),
    };
    config.oauth.client_id = text("client_id")?.map(|id| id.value.to_owned());
    if let Some(key) = text("client_secret_key")? {
        let secret = secrets.get(key.value);
        config.oauth.client_secret = secret.and_then(|secret| oauth::secret(secret));
    }
    if let Some(Value::List(scopes)) = table.value("scopes")
        && !scopes.is_empty()
    {
        let scopes = table.strings("scopes")?.into_iter();
        config.scopes = Some(scopes.map(|scope| scope.value.to_owned()).collect());
    }
    config.oauth.callback_on_localhost = config.oauth.client_id.is_some();
    Ok(())
}

fn field<'a>(entry: &'a Spanned, key: &str) -> Option<&'a Value> {
    let Value::Table(fields) = &entry.value else {
        return None;
    };
    let mut fields = fields.iter();
    let (_, value) = fields.find(|(name, _)| name == key)?;
    Some(&value.value)
}
