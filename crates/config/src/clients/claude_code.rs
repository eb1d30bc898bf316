//! Claude Code: its state file with the servers of the user and of each project, `.mcp.json`, plugins, an administrator's file, and
//! the lists in its settings.
//!
//! Sources: <https://code.claude.com/docs/en/mcp>, and its pages on settings, plugins and managed servers.

mod misplaced;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::client::Client;
use super::entry::{EntryReader, folder_text};
use super::gemini::{matches_glob, strings};
use super::other_keys::OtherKeys;
use super::places::Places;
use super::profile::{FileFormat, Scope, ServersAt};
use super::profiles::{CLAUDE_CODE, mark_replaced};
use super::reading::{self, Contents, MAX_BYTES, MAX_DEPTH, MAX_STATE_FILE_BYTES};
use super::{ClientFile, ClientServer, System};
use crate::error::ConfigurationError;
use crate::escaping::escape;
use crate::format::MAX_COMPARED_KEYS;
use crate::server::TransportConfig;
use crate::spanned::{KeyPath, Spanned, Value, json};
use crate::validation;

const CLIENT: Client = Client::ClaudeCode;

/// Names that Claude Code keeps for its own servers.
const RESERVED_NAMES: [&str; 5] = [
    "workspace",
    "claude-in-chrome",
    "computer-use",
    "Claude Preview",
    "Claude Browser",
];

/// Reads the files of Claude Code.
pub(super) fn files(places: &Places<'_>) -> Vec<ClientFile> {
    let moved = places.variable("CLAUDE_CONFIG_DIR");
    let home = places.home();
    let state = moved.clone().or_else(|| home.clone());
    let folder = moved.or_else(|| Some(home?.join(".claude")));
    let state = state.map(|folder| folder.join(".claude.json"));
    let mut claude = ClaudeCode {
        places,
        settings: Settings::default(),
        project_key: None,
    };
    let mut files = Vec::new();
    if let Some(folder) = &folder {
        claude.read_settings(folder, state.as_deref());
        files.extend(claude.plugins(folder));
    }
    let user = state.as_ref().map(|path| claude.state_file(path));
    let (user, local) = user.unwrap_or_default();
    files.extend(user);
    for path in places.paths("<up>/.mcp.json") {
        let mut file = claude.file(Scope::Project, &path, ServersAt::Key(&["mcpServers"]));
        if let Some(file) = &mut file {
            claude.apply_approvals(file);
        }
        files.extend(file);
    }
    files.extend(local);
    mark_replaced(files.iter_mut());
    let managed = claude.managed();
    if let Some(managed) = &managed {
        let path = escape(&managed.path.to_string_lossy());
        for server in files.iter_mut().flat_map(|file| &mut file.servers) {
            server.not_checked = Some(format!("only the servers of {path} are used"));
        }
    }
    files.extend(managed);
    for server in files.iter_mut().flat_map(|file| &mut file.servers) {
        claude.apply_policy(server);
    }
    let misplaced = claude.misplaced(folder.as_deref(), &files);
    files.extend(misplaced);
    files
}

/// The lists in the settings files.
#[derive(Default)]
struct Settings {
    enables_all_of_project: bool,
    enabled_of_project: HashSet<String>,
    disabled_of_project: HashSet<String>,
    /// The servers that the user has turned off in this project.
    disabled: HashSet<String>,
    /// Whether each plugin is on.
    plugins: HashMap<String, bool>,
    denied: Policy,
    /// `None` if no list allows only some servers.
    allowed: Option<Policy>,
    /// Only an administrator's list allows servers.
    allows_only_managed: bool,
}

struct ClaudeCode<'a> {
    places: &'a Places<'a>,
    settings: Settings,
    /// The key of the current project in the state file.
    project_key: Option<String>,
}

impl ClaudeCode<'_> {
    /// Reads a JSON file that has no servers. An unreadable file counts as empty.
    fn read_json<T>(
        &self,
        path: &Path,
        limit: usize,
        convert: impl Fn(&json::Document<'_>) -> T,
    ) -> Option<T> {
        let result = reading::read(self.places.machine, path, limit, |text| {
            reading::with_json(CLIENT, FileFormat::Jsonc, path, text, |document| {
                Ok(convert(document))
            })
        });
        result?.ok()
    }

    fn read_settings(&mut self, folder: &Path, state: Option<&Path>) {
        let candidates = self.project_keys();
        let around = self.places.project_root().ancestors().skip(1);
        let around: Vec<String> = around.map(key_of).collect();
        let found = state.and_then(|path| {
            self.read_json(path, MAX_STATE_FILE_BYTES, |document| {
                let projects = document.members_at(&["projects"], 1).into_iter();
                let projects: HashMap<String, (String, bool)> = projects
                    .map(|(project, fields)| {
                        let is_trusted = accepts_trust(&fields.value);
                        (project.replace('\\', "/"), (project, is_trusted))
                    })
                    .collect();
                // The trust in a folder includes the folders in it.
                let is_trusted = candidates.iter().chain(&around).any(|folder| {
                    let project = projects.get(folder);
                    project.is_some_and(|(_, is_trusted)| *is_trusted)
                });
                let key = candidates.iter().find_map(|key| projects.get(key));
                let project = key.map(|(key, _)| {
                    let list = |name| strings(document, &["projects", key, name]);
                    // Some versions keep approvals here, and not in the settings.
                    let approvals = ["enabledMcpjsonServers", "disabledMcpjsonServers"].map(list);
                    (key.clone(), list("disabledMcpServers"), approvals)
                });
                (is_trusted, project)
            })
        });
        let (is_trusted, project) = found.unwrap_or_default();
        if let Some((key, disabled, [on, off])) = project {
            self.project_key = Some(key);
            self.settings.disabled = disabled.into_iter().collect();
            self.settings.enabled_of_project.extend(on);
            self.settings.disabled_of_project.extend(off);
        }
        let project = self.places.project_root().join(".claude");
        self.read_settings_file(&folder.join("settings.json"), true);
        // The author of a repository can commit both, so they count only after the user has trusted the folder.
        self.read_settings_file(&project.join("settings.json"), is_trusted);
        self.read_settings_file(&project.join("settings.local.json"), is_trusted);
        if let Some(folder) = self.managed_folder() {
            self.read_settings_file(&folder.join("managed-settings.json"), true);
        }
    }

    /// Reads one settings file, which has precedence over the earlier ones. Its approvals and its rules count only if the file does. The
    /// servers and plugins that it turns off always count.
    fn read_settings_file(&mut self, path: &Path, counts: bool) {
        let found = self.read_json(path, MAX_BYTES, |document| {
            let list = |key: &str| match document.get(key, MAX_DEPTH).map(|found| found.value) {
                Some(Value::List(items)) => Some(items),
                _ => None,
            };
            let all = document.get("enableAllProjectMcpServers", 0);
            let plugins = document.members_at(&["enabledPlugins"], 0).into_iter();
            let plugins = plugins.filter_map(|(name, value)| match value.value {
                Value::Boolean(is_on) => Some((name, is_on)),
                _ => None,
            });
            let only_managed = document.get("allowManagedMcpServersOnly", 0);
            let names = |key: &str| strings(document, &[key]).into_iter().collect();
            Settings {
                enables_all_of_project: matches!(
                    all.map(|found| found.value),
                    Some(Value::Boolean(true))
                ),
                enabled_of_project: names("enabledMcpjsonServers"),
                disabled_of_project: names("disabledMcpjsonServers"),
                disabled: HashSet::new(),
                plugins: plugins.collect(),
                denied: Policy::new(list("deniedMcpServers").unwrap_or_default()),
                allowed: list("allowedMcpServers").map(Policy::new),
                allows_only_managed: matches!(
                    only_managed.map(|found| found.value),
                    Some(Value::Boolean(true))
                ),
            }
        });
        let Some(found) = found else { return };
        let settings = &mut self.settings;
        settings
            .disabled_of_project
            .extend(found.disabled_of_project);
        let plugins = found.plugins.into_iter();
        let plugins = plugins.filter(|(_, is_on)| counts || !is_on);
        settings.plugins.extend(plugins);
        if counts {
            settings.enables_all_of_project |= found.enables_all_of_project;
            settings.enabled_of_project.extend(found.enabled_of_project);
            settings.denied.extend(found.denied);
            if found.allows_only_managed {
                settings.allowed = None;
            }
            if let Some(allowed) = found.allowed {
                settings.allowed.get_or_insert_default().extend(allowed);
            }
        }
    }

    /// The keys under which the state file may have the current project, with `/` as the separator: the primary checkout of a
    /// repository, the root of this one, and the folders up to it.
    fn project_keys(&self) -> Vec<String> {
        let root = self.places.project_root();
        let primary = self.places.primary_checkout();
        let folders = self.places.folder.ancestors();
        let folders = folders.take_while(|folder| folder.starts_with(root));
        primary
            .iter()
            .map(PathBuf::as_path)
            .chain([root])
            .chain(folders)
            .map(key_of)
            .collect()
    }

    /// Reads the state file: the servers of the user, and those of the user in the current project.
    fn state_file(&self, path: &Path) -> (Option<ClientFile>, Option<ClientFile>) {
        const USER_KEYS: [&str; 1] = ["mcpServers"];
        let project = self.project_key.as_deref();
        let local_keys = project.map(|project| ["projects", project, "mcpServers"]);
        let result = reading::read(self.places.machine, path, MAX_STATE_FILE_BYTES, |text| {
            reading::with_json(CLIENT, FileFormat::Json, path, text, |document| {
                let at = ServersAt::Key(&["mcpServers"]);
                let (_, user) = reading::servers(document, at, path)?;
                let (local, local_repeated) = match local_keys {
                    Some(keys) => {
                        let found = document.get_at(&keys, MAX_DEPTH);
                        let entries = reading::entries(found, "mcpServers", path)?;
                        (entries, document.repeated_keys(&keys, MAX_DEPTH))
                    }
                    None => (Vec::new(), Vec::new()),
                };
                let other = OtherKeys::of_json(CLIENT, path, [at], document);
                let other = other.check(!user.is_empty() || !local.is_empty())?;
                let (repeated, _) = reading::repeated_keys(document, at);
                Ok::<_, ConfigurationError>(((user, other, repeated), (local, local_repeated)))
            })
        });
        let Some(result) = result else {
            return (None, None);
        };
        let ((user, other, repeated), (local, local_repeated)) = match result {
            Ok(entries) => entries,
            Err(error) => return (Some(new_file(Scope::User, path, Err(error))), None),
        };
        let user = self.servers(&KeyPath::of_json("mcpServers"), &user, &[]);
        let user = Contents::new(user, other).with_repeated(&repeated, &USER_KEYS);
        let local = local_keys.filter(|_| !local.is_empty()).map(|keys| {
            let root = keys.iter();
            let root = root.fold(KeyPath::of_json(""), |path, key| path.named(key, None));
            let local = Contents::from(self.servers(&root, &local, &[]));
            let local = local.with_repeated(&local_repeated, &keys);
            new_file(Scope::Local, path, Ok(local))
        });
        (Some(new_file(Scope::User, path, Ok(user))), local)
    }

    fn file(&self, scope: Scope, path: &Path, at: ServersAt) -> Option<ClientFile> {
        let result = reading::read(self.places.machine, path, MAX_BYTES, |text| {
            reading::with_json(CLIENT, FileFormat::Json, path, text, |document| {
                let (root, entries) = reading::servers(document, at, path)?;
                let other = OtherKeys::of_json(CLIENT, path, [at], document);
                let other = other.check(!entries.is_empty())?;
                let servers = self.servers(&root, &entries, &[]);
                let (repeated, keys) = reading::repeated_keys(document, at);
                Ok(Contents::new(servers, other).with_repeated(&repeated, &keys))
            })
        })?;
        Some(new_file(scope, path, result))
    }

    fn servers(
        &self,
        root: &KeyPath,
        entries: &[(String, Spanned)],
        own_variables: &[(String, String)],
    ) -> Vec<ClientServer> {
        let is_plugin = !own_variables.is_empty();
        let project = self.project_key.clone();
        let project = project.unwrap_or_else(|| folder_text(self.places.project_root()));
        let mut own_variables = own_variables.to_vec();
        let mut added_env = own_variables.clone();
        let project = ("CLAUDE_PROJECT_DIR".to_owned(), project);
        if is_plugin {
            own_variables.push(project.clone());
        }
        added_env.extend([("CLAUDECODE".to_owned(), "1".to_owned()), project]);
        self.places.renew_budget();
        let reader = EntryReader {
            client: CLIENT,
            rules: &CLAUDE_CODE,
            places: self.places,
            folder: self.places.folder,
            own_variables,
            added_env,
            comparisons: Cell::new(MAX_COMPARED_KEYS),
        };
        let limit = self
            .places
            .machine
            .environment()
            .get("MCP_TIMEOUT")
            .and_then(|text| text.trim().parse().ok())
            .filter(|ms| *ms > 0)
            .map(Duration::from_millis);
        let entries = entries.iter();
        entries
            .map(|(name, entry)| {
                let path = root.named(name, entry.line);
                let mut server = reader.read(name, path.clone(), entry);
                // The name of a plugin's server begins with that of the plugin.
                if !is_plugin && RESERVED_NAMES.contains(&name.as_str()) {
                    let problem = "Claude Code keeps this name for itself; choose another name";
                    server.entry.config = Err(path.problem(problem));
                }
                if let Ok(config) = &mut server.entry.config {
                    config.startup_timeout = config.startup_timeout.or(limit);
                }
                server
            })
            .collect()
    }

    /// Applies the user's approvals to the servers of `.mcp.json`. A server that is turned off stays off.
    fn apply_approvals(&self, file: &mut ClientFile) {
        let settings = &self.settings;
        for server in &mut file.servers {
            let name = &server.entry.name;
            let is_off = settings.disabled_of_project.contains(name);
            let is_approved =
                settings.enables_all_of_project || settings.enabled_of_project.contains(name);
            server.approved = Some(is_approved && !is_off);
            if is_off {
                server.entry.enabled = false;
            }
        }
        let all_approved = file
            .servers
            .iter()
            .all(|server| server.approved == Some(true));
        // A file that can't be read has nothing that the user could have approved.
        file.approved = file.error.is_none().then_some(all_approved);
    }

    fn apply_policy(&self, server: &mut ClientServer) {
        if self.settings.disabled.contains(&server.entry.name) {
            server.entry.enabled = false;
        }
        let allowed = self.settings.allowed.as_ref();
        let is_refused = self.settings.denied.denies(server)
            || allowed.is_some_and(|policy| !policy.allows(server));
        if is_refused {
            server
                .not_checked
                .get_or_insert_with(|| "the settings of Claude Code do not allow it".to_owned());
        }
    }

    fn managed_folder(&self) -> Option<PathBuf> {
        let template = match self.places.machine.system() {
            System::Linux => "</>/etc/claude-code",
            System::MacOs => "</>/Library/Application Support/ClaudeCode",
            System::Windows => "</>/Program Files/ClaudeCode",
        };
        self.places.paths(template).into_iter().next()
    }

    fn managed(&self) -> Option<ClientFile> {
        let path = self.managed_folder()?.join("managed-mcp.json");
        self.file(Scope::Managed, &path, ServersAt::Key(&["mcpServers"]))
    }

    /// Reads the servers of the installed plugins: the newest version of each.
    fn plugins(&self, folder: &Path) -> Vec<ClientFile> {
        let cache = match self.places.variable("CLAUDE_CODE_PLUGIN_CACHE_DIR") {
            // The variable names the folder above.
            Some(folder) => folder,
            None => folder.join("plugins"),
        }
        .join("cache");
        let list = |folder: &Path| self.places.machine.list(folder);
        let data = folder.join("plugins").join("data");
        let name_of = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let mut files = Vec::new();
        for marketplace in list(&cache) {
            for plugin in list(&marketplace) {
                let versions = list(&plugin).into_iter();
                let newest = versions.max_by_key(|version| version_key(&name_of(version)));
                let Some(version) = newest else { continue };
                let (plugin_name, market) = (name_of(&plugin), name_of(&marketplace));
                let id = format!("{plugin_name}@{market}");
                let plugin = Plugin {
                    name: plugin_name,
                    is_on: self.settings.plugins.get(&id) == Some(&true),
                    data: data.join(data_name(&id)),
                    root: version,
                };
                let manifest = plugin.root.join(".claude-plugin").join("plugin.json");
                let mut paths = vec![plugin.root.join(".mcp.json")];
                for path in self.named_files(&manifest, &plugin.root) {
                    if !paths.contains(&path) {
                        paths.push(path);
                    }
                }
                paths.push(manifest);
                for path in paths {
                    files.extend(self.plugin_file(&path, &plugin));
                }
            }
        }
        files
    }

    /// The files that a manifest names in place of the servers themselves. They are in the folder of the plugin.
    fn named_files(&self, manifest: &Path, root: &Path) -> Vec<PathBuf> {
        let paths = self.read_json(manifest, MAX_BYTES, |document| {
            match document.get("mcpServers", 1).map(|found| found.value) {
                Some(Value::String(path)) => vec![path],
                _ => strings(document, &["mcpServers"]),
            }
        });
        let is_inside = |path: &String| {
            let mut parts = Path::new(path).components();
            parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        };
        let paths = paths.unwrap_or_default().into_iter().filter(is_inside);
        let paths = paths.map(|path| root.join(path.trim_start_matches("./")));
        paths.take(MAX_NAMED_FILES).collect()
    }

    fn plugin_file(&self, path: &Path, plugin: &Plugin) -> Option<ClientFile> {
        let is_manifest = path.ends_with("plugin.json");
        let own = [
            ("CLAUDE_PLUGIN_ROOT".to_owned(), folder_text(&plugin.root)),
            ("CLAUDE_PLUGIN_DATA".to_owned(), folder_text(&plugin.data)),
        ];
        let result = reading::read(self.places.machine, path, MAX_BYTES, |text| {
            reading::with_json(CLIENT, FileFormat::Json, path, text, |document| {
                let at = match is_manifest {
                    true => ServersAt::Key(&["mcpServers"]),
                    false => ServersAt::KeyOrBare("mcpServers"),
                };
                // A path in a manifest names another file.
                let has_path = is_manifest
                    && matches!(
                        document.get("mcpServers", 1).map(|found| found.value),
                        Some(Value::String(_) | Value::List(_))
                    );
                if has_path {
                    return Ok(Contents::default());
                }
                let (key_path, entries) = reading::servers(document, at, path)?;
                let servers = self.servers(&key_path, &entries, &own);
                let (repeated, keys) = reading::repeated_keys(document, at);
                Ok(Contents::from(servers).with_repeated(&repeated, &keys))
            })
        })?;
        let mut file = new_file(Scope::Plugin, path, result);
        if file.error.is_none() && file.servers.is_empty() {
            return None;
        }
        for server in &mut file.servers {
            let name = format!("plugin:{}:{}", plugin.name, server.entry.name);
            server.entry.name.clone_from(&name);
            if let Ok(config) = &mut server.entry.config {
                config.name.clone_from(&name);
            }
            if let Err(problem) = validation::server_name(&KeyPath::new("name"), &name) {
                server.entry.config = Err(problem);
            }
            server.entry.enabled &= plugin.is_on;
        }
        Some(file)
    }
}

fn new_file(scope: Scope, path: &Path, result: Result<Contents, ConfigurationError>) -> ClientFile {
    ClientFile::new(CLIENT, scope, path.to_owned(), FileFormat::Json, result)
}

/// The key of a folder in the state file, with `/` as the separator.
fn key_of(folder: &Path) -> String {
    folder_text(folder).replace('\\', "/")
}

/// Whether the user has trusted the folder with these keys in the state file.
fn accepts_trust(fields: &Value) -> bool {
    let Value::Table(fields) = fields else {
        return false;
    };
    fields.iter().any(|(key, value)| {
        key == "hasTrustDialogAccepted" && matches!(value.value, Value::Boolean(true))
    })
}

/// An installed plugin.
struct Plugin {
    name: String,
    /// The folder of its newest version.
    root: PathBuf,
    /// The folder for its data.
    data: PathBuf,
    is_on: bool,
}

/// The maximum number of files with servers that the manifest of a plugin can name.
const MAX_NAMED_FILES: usize = 20;

/// A version for comparison: its numbers as numbers, and its other parts as text.
pub(super) fn version_key(version: &str) -> Vec<(u64, String)> {
    let parts = version.split(['.', '-', '+']);
    let parts = parts.map(|part| (part.parse().unwrap_or(0), part.to_owned()));
    parts.collect()
}

/// The name of the folder for the data of a plugin.
fn data_name(id: &str) -> String {
    let is_kept = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    let characters = id.chars();
    characters
        .map(|character| match is_kept(character) {
            true => character,
            false => '-',
        })
        .collect()
}

/// A list with which an administrator or a user allows or denies servers: by name, by command line, or by URL with `*`.
#[derive(Default)]
struct Policy {
    names: HashSet<String>,
    commands: HashSet<Vec<String>>,
    urls: Vec<String>,
}

impl Policy {
    fn new(rules: Vec<Spanned>) -> Self {
        let mut policy = Self::default();
        let fields = rules.into_iter().filter_map(|rule| match rule.value {
            Value::Table(fields) => Some(fields),
            _ => None,
        });
        for (key, value) in fields.flatten() {
            match (key.as_str(), value.value) {
                ("serverName", Value::String(name)) => {
                    policy.names.insert(name);
                }
                ("serverUrl", Value::String(pattern)) => policy.urls.push(pattern),
                ("serverCommand", Value::List(items)) => {
                    let items = items.into_iter().map(|item| match item.value {
                        Value::String(text) => text,
                        _ => String::new(),
                    });
                    policy.commands.insert(items.collect());
                }
                _ => {}
            }
        }
        policy
    }

    fn extend(&mut self, other: Self) {
        self.names.extend(other.names);
        self.commands.extend(other.commands);
        self.urls.extend(other.urls);
    }

    fn denies(&self, server: &ClientServer) -> bool {
        self.names.contains(&server.entry.name) || self.has_endpoint(server) == Some(true)
    }

    /// Whether the list allows a server. A name is not enough if the list has rules for what the server runs or where it is.
    fn allows(&self, server: &ClientServer) -> bool {
        let endpoint = self.has_endpoint(server);
        endpoint.unwrap_or_else(|| self.names.contains(&server.entry.name))
    }

    /// Whether the list has the command line or the URL of a server. `None` if it has none at all for servers of that kind.
    fn has_endpoint(&self, server: &ClientServer) -> Option<bool> {
        match &server.entry.config.as_ref().ok()?.transport {
            TransportConfig::Stdio(stdio) => (!self.commands.is_empty()).then(|| {
                let line = std::iter::once(&stdio.command).chain(&stdio.args);
                self.commands.contains(&line.cloned().collect::<Vec<_>>())
            }),
            TransportConfig::Http(http) => (!self.urls.is_empty()).then(|| {
                let mut urls = self.urls.iter();
                urls.any(|pattern| matches_glob(pattern, &http.written_url))
            }),
        }
    }
}
