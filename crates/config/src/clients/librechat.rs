//! LibreChat, a web application with many users. Some of its servers exist only for one user at a time.
//!
//! Source: `packages/data-provider/src/mcp.ts` in <https://github.com/danny-avila/LibreChat>.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use super::ClientFile;
use super::client::Client;
use super::entry::{EntryReader, WEB_SOCKET};
use super::inherited::SDK_VARIABLES;
use super::places::Places;
use super::profile::{
    EntryRules, FileFormat, MissingVariable, Scope, Timeout, TransportRule, VariableForm, Variables,
};
use super::profiles::PLAIN;
use super::reading::{self, Contents, MAX_BYTES};
use crate::error::ConfigurationError;
use crate::format::MAX_COMPARED_KEYS;
use crate::server::{HttpSseUse, InheritedEnvironment};
use crate::spanned::yaml::{Document, MergeKey};
use crate::spanned::{KeyPath, Spanned, Table, Value};

const SERVERS: &str = "mcpServers";

/// A `url` without a type means HTTP+SSE.
const RULES: EntryRules = EntryRules {
    types: &[
        ("stdio", TransportRule::Stdio),
        ("sse", TransportRule::Http(HttpSseUse::Always)),
        ("streamable-http", TransportRule::Http(HttpSseUse::Never)),
        ("http", TransportRule::Http(HttpSseUse::Never)),
        ("websocket", TransportRule::NotChecked(WEB_SOCKET)),
    ],
    url_keys: &[("url", TransportRule::Http(HttpSseUse::Always))],
    needs_args: true,
    env_is_text: true,
    switches: &[],
    timeout: Some(Timeout::millis("initTimeout")),
    other_keys: &[
        "apiKey",
        "chatMenu",
        "customUserVars",
        "oauth_headers",
        "obo",
        "proxy",
        "requiresOAuth",
        "serverInstructions",
        "sseReadTimeout",
        "startup",
        "stderr",
    ],
    variables: Variables {
        forms: &[VariableForm::Braces, VariableForm::DoubleBraces],
        missing: MissingVariable::Kept,
    },
    inherited: InheritedEnvironment::Named(SDK_VARIABLES),
    ..PLAIN
};

pub(super) fn files(places: &Places<'_>) -> Vec<ClientFile> {
    let moved = places.paths("<$CONFIG_PATH>");
    let mut moved = moved.iter().filter(|path| is_yaml(path));
    let of_folder = || places.paths("<folder>/librechat.yaml");
    let found = match moved.next() {
        Some(path) => file(places, Scope::User, path.clone()).filter(|file| {
            // Other programs have a variable of the same name.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.contains("librechat") || !file.servers.is_empty()
        }),
        None => None,
    };
    if let Some(found) = found {
        return vec![found];
    }
    let paths = of_folder().into_iter();
    paths
        .filter_map(|path| file(places, Scope::Project, path))
        .collect()
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end == "yaml" || end == "yml")
}

fn file(places: &Places<'_>, scope: Scope, path: PathBuf) -> Option<ClientFile> {
    let result = reading::read(places.machine, &path, MAX_BYTES, |text| {
        servers(places, &path, text)
    })?;
    Some(ClientFile::new(
        Client::LibreChat,
        scope,
        path,
        FileFormat::Yaml,
        result,
    ))
}

fn servers(places: &Places<'_>, path: &Path, text: &str) -> Result<Contents, ConfigurationError> {
    let document = Document::parse(text, path, MergeKey::Applied)?;
    let (found, other) = reading::value_and_other(Client::LibreChat, document, &[SERVERS], path);
    let entries = reading::entries(found, SERVERS, path)?;
    let other = other.check(!entries.is_empty())?;
    let reader = EntryReader {
        client: Client::LibreChat,
        rules: &RULES,
        places,
        folder: places.folder,
        own_variables: Vec::new(),
        added_env: Vec::new(),
        comparisons: Cell::new(MAX_COMPARED_KEYS),
    };
    let root = KeyPath::new(SERVERS);
    let servers = entries.iter().map(|(name, entry)| {
        let path = root.named(name, entry.line);
        let mut server = reader.read(name, path.clone(), entry);
        if let Some(reason) = reason_of_user(path, entry) {
            server.not_checked = Some(reason.to_owned());
        }
        server
    });
    Ok(Contents::new(servers.collect(), other))
}

/// Why a server cannot be checked without one of LibreChat's users.
fn reason_of_user(path: KeyPath, entry: &Spanned) -> Option<&'static str> {
    let table = Table::of_server(path, entry).ok()?;
    let has = |key: &str| match table.value(key) {
        Some(Value::Table(fields)) => !fields.is_empty(),
        _ => false,
    };
    if has("customUserVars") {
        return Some("each user of LibreChat has own values for it (`customUserVars`)");
    }
    if has("obo") {
        return Some("it needs the sign-in of a user of LibreChat (`obo`)");
    }
    has("apiKey").then_some("its key is kept in LibreChat (`apiKey`)")
}
