//! The plugins of Codex: folders with a manifest, which may have servers.
//!
//! Source: `codex-rs/core-plugins/src` in <https://github.com/openai/codex>.

use std::cell::Cell;
use std::path::{Component, Path, PathBuf};

use super::client::Client;
use super::codex;
use super::entry::folder_text;
use super::places::Places;
use super::profile::{FileFormat, Scope, ServersAt};
use super::reading::{self, Contents, MAX_BYTES, MAX_DEPTH};
use super::{ClientFile, ClientServer};
use crate::error::ConfigurationError;
use crate::format::MAX_COMPARED_KEYS;
use crate::format::codex_toml::Callback;
use crate::spanned::{KeyPath, Spanned, Value, json};

/// The manifests of a plugin, of which the client reads the first that exists.
const MANIFESTS: &[&str] = &[
    ".codex-plugin/plugin.json",
    ".claude-plugin/plugin.json",
    ".cursor-plugin/plugin.json",
];

/// A plugin in the user's `config.toml`: a table in `[plugins]`.
pub(super) struct Plugin {
    /// `NAME@MARKETPLACE`
    id: String,
    is_on: bool,
    /// The servers that the user has turned off.
    off: Vec<String>,
}

impl Plugin {
    /// Reads the tables in `[plugins]`.
    pub fn of_table(plugins: Option<Spanned>) -> Vec<Self> {
        let Some(Value::Table(plugins)) = plugins.map(|found| found.value) else {
            return Vec::new();
        };
        let plugins = plugins.into_iter().filter_map(|(id, plugin)| {
            let Value::Table(fields) = plugin.value else {
                return None;
            };
            let servers = fields.iter().find(|(key, _)| key == "mcp_servers");
            let off = match servers.map(|(_, servers)| &servers.value) {
                Some(Value::Table(servers)) => servers
                    .iter()
                    .filter(|(_, server)| !is_enabled(server))
                    .map(|(name, _)| name.clone())
                    .collect(),
                _ => Vec::new(),
            };
            let is_on = is_enabled(&Spanned {
                line: plugin.line,
                value: Value::Table(fields),
            });
            Some(Self { id, is_on, off })
        });
        plugins.collect()
    }
}

/// Whether a table has no `enabled = false`.
fn is_enabled(table: &Spanned) -> bool {
    let Value::Table(fields) = &table.value else {
        return true;
    };
    let mut fields = fields.iter();
    !fields.any(|(key, value)| key == "enabled" && matches!(value.value, Value::Boolean(false)))
}

/// Reads the servers of the plugins that the user has installed, each with its entry, which an administrator's rules are about.
pub(super) fn files(
    places: &Places<'_>,
    home: &Path,
    plugins: &[Plugin],
    callback: &Callback,
) -> Vec<(ClientFile, Vec<(String, Spanned)>)> {
    let mut plugins: Vec<&Plugin> = plugins.iter().collect();
    plugins.sort_by(|left, right| left.id.cmp(&right.id));
    let files = plugins.into_iter().filter_map(|plugin| {
        let (name, marketplace) = plugin.id.rsplit_once('@')?;
        // The names are folders, and must not lead out of the cache.
        let is_plain = |name: &str| {
            let mut parts = Path::new(name).components();
            matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none()
        };
        if !is_plain(name) || !is_plain(marketplace) {
            return None;
        }
        let versions = home.join("plugins/cache").join(marketplace).join(name);
        let root = active_version(places, &versions)?;
        file(places, &root, plugin, callback)
    });
    files.collect()
}

/// The folder of the version that the client uses: `local`, or else the newest.
fn active_version(places: &Places<'_>, versions: &Path) -> Option<PathBuf> {
    let name_of = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let versions = places.machine.list(versions).into_iter();
    versions.max_by_key(|path| {
        let name = name_of(path);
        (name == "local", super::claude_code::version_key(&name))
    })
}

fn file(
    places: &Places<'_>,
    root: &Path,
    plugin: &Plugin,
    callback: &Callback,
) -> Option<(ClientFile, Vec<(String, Spanned)>)> {
    let mut manifests = MANIFESTS.iter().map(|path| root.join(path));
    let manifest = manifests.find(|path| places.machine.exists(path))?;
    let named = read(places, &manifest, |document| {
        Ok(
            match document
                .get("mcpServers", MAX_DEPTH)
                .map(|found| found.value)
            {
                Some(Value::String(path)) => Named::Path(path),
                Some(Value::Table(_)) => Named::Here,
                _ => Named::Default,
            },
        )
    })?;
    let (path, at) = match named {
        Err(error) => {
            let file = new_file(manifest, Err(error));
            return Some((file, Vec::new()));
        }
        Ok(Named::Here) => (manifest, ServersAt::Key(&["mcpServers"])),
        Ok(Named::Path(path)) => (inside(root, &path)?, ServersAt::KeyOrBare("mcpServers")),
        Ok(Named::Default) => (root.join(".mcp.json"), ServersAt::KeyOrBare("mcpServers")),
    };
    let read = read(places, &path, |document| {
        let found = reading::servers(document, at, &path)?;
        Ok((found, reading::repeated_keys(document, at)))
    })?;
    let ((root_of_keys, entries), (repeated, keys)) = match read {
        Ok(found) => found,
        Err(error) => return Some((new_file(path, Err(error)), Vec::new())),
    };
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(name, entry)| (name, as_codex_entry(root, entry)))
        .collect();
    let servers = servers(places, plugin, &root_of_keys, &entries, callback);
    if servers.is_empty() {
        return None;
    }
    let contents = Contents::from(servers).with_repeated(&repeated, &keys);
    Some((new_file(path, Ok(contents)), entries))
}

/// Where a manifest has the servers.
enum Named {
    Path(String),
    Here,
    Default,
}

fn servers(
    places: &Places<'_>,
    plugin: &Plugin,
    root: &KeyPath,
    entries: &[(String, Spanned)],
    callback: &Callback,
) -> Vec<ClientServer> {
    let comparisons = Cell::new(MAX_COMPARED_KEYS);
    let servers = entries.iter().map(|(name, entry)| {
        let mut server = codex::read_server(places, name, root, entry, callback, &comparisons);
        server.entry.enabled &= plugin.is_on && !plugin.off.contains(name);
        server
    });
    servers.collect()
}

/// A path in a manifest, which must stay in the folder of the plugin.
fn inside(root: &Path, path: &str) -> Option<PathBuf> {
    let path = path.strip_prefix("./")?;
    let mut parts = Path::new(path).components();
    let is_inside = parts.all(|part| matches!(part, Component::Normal(_)));
    is_inside.then(|| root.join(path))
}

/// An entry with the keys of `config.toml`: the client ignores `type` and `oauth`, and `cwd` is a folder in the plugin.
fn as_codex_entry(root: &Path, mut entry: Spanned) -> Spanned {
    if let Value::Table(fields) = &mut entry.value {
        fields.retain(|(key, _)| key != "type" && key != "oauth");
        for (key, field) in fields {
            if let (true, Value::String(cwd)) = (key == "cwd", &mut field.value) {
                *cwd = folder_text(&root.join(&*cwd));
            }
        }
    }
    entry
}

fn new_file(path: PathBuf, result: Result<Contents, ConfigurationError>) -> ClientFile {
    ClientFile::new(Client::Codex, Scope::Plugin, path, FileFormat::Json, result)
}

fn read<T>(
    places: &Places<'_>,
    path: &Path,
    convert: impl Fn(&json::Document<'_>) -> Result<T, ConfigurationError>,
) -> Option<Result<T, ConfigurationError>> {
    reading::read(places.machine, path, MAX_BYTES, |text| {
        reading::with_json(Client::Codex, FileFormat::Json, path, text, |document| {
            convert(document)
        })
    })
}
