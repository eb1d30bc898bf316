//! Claude Code: its state file with the servers of the user and of each project, `.mcp.json`, plugins, an administrator's file, and
//! the lists in its settings.
//!
//! Sources: <https://code.claude.com/docs/en/mcp>, and its pages on settings, plugins and managed servers.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::Client;
use super::entry::{EntryReader, folder_text};
use super::gemini::{matches_glob, strings};
use super::places::Places;
use super::profile::{FileFormat, Scope, ServersAt};
use super::profiles::{CLAUDE_CODE, mark_replaced};
use super::reading::{self, MAX_BYTES, MAX_DEPTH, MAX_STATE_FILE_BYTES};
use super::{ClientFile, ClientServer, System};
use crate::error::ConfigurationError;
use crate::escaping::escape;
use crate::format::MAX_COMPARED_KEYS;
use crate::server::TransportConfig;
use crate::spanned::{KeyPath, Spanned, Value, json};

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
    mark_replaced(&mut files);
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
    files
}

/// The lists in the settings files.
#[derive(Default)]
struct Settings {
    enables_all_of_project: bool,
    enabled_of_project: Vec<String>,
    disabled_of_project: Vec<String>,
    /// The servers that the user has turned off in this project.
    disabled: Vec<String>,
    enabled_plugins: Vec<String>,
    denied: Vec<Spanned>,
    /// `None` if no list allows only some servers.
    allowed: Option<Vec<Spanned>>,
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
        let project = state.and_then(|path| {
            self.read_json(path, MAX_STATE_FILE_BYTES, |document| {
                let projects = document.keys_at(&["projects"]);
                let mut keys = candidates.iter();
                let key = keys.find_map(|key| {
                    let mut projects = projects.iter();
                    projects.find(|project| project.replace('\\', "/") == *key)
                })?;
                let trusted = document.get_at(&["projects", key, "hasTrustDialogAccepted"], 0);
                let is_trusted =
                    matches!(trusted.map(|found| found.value), Some(Value::Boolean(true)));
                let disabled = strings(document, &["projects", key, "disabledMcpServers"]);
                Some((key.clone(), is_trusted, disabled))
            })?
        });
        let is_trusted = project.as_ref().is_some_and(|(_, trusted, _)| *trusted);
        if let Some((key, _, disabled)) = project {
            self.project_key = Some(key);
            self.settings.disabled = disabled;
        }
        let project = self.places.project_root().join(".claude");
        let mut paths: Vec<(PathBuf, bool)> = self
            .managed_folder()
            .into_iter()
            .map(|folder| (folder.join("managed-settings.json"), true))
            .collect();
        paths.push((folder.join("settings.json"), true));
        // The author of a repository can commit both, so they count only after the user has trusted the folder.
        paths.push((project.join("settings.json"), is_trusted));
        paths.push((project.join("settings.local.json"), is_trusted));
        for (path, counts) in paths {
            self.read_settings_file(&path, counts);
        }
    }

    /// Reads one settings file. Its approvals count only if the file does. The servers that it turns off always count.
    fn read_settings_file(&mut self, path: &Path, counts: bool) {
        let found = self.read_json(path, MAX_BYTES, |document| {
            let list = |key: &str| match document.get(key, MAX_DEPTH).map(|found| found.value) {
                Some(Value::List(items)) => Some(items),
                _ => None,
            };
            let all = document.get("enableAllProjectMcpServers", 0);
            let plugins = document
                .keys_at(&["enabledPlugins"])
                .into_iter()
                .filter(|name| {
                    let value = document.get_at(&["enabledPlugins", name], 0);
                    matches!(value.map(|found| found.value), Some(Value::Boolean(true)))
                });
            Settings {
                enables_all_of_project: matches!(
                    all.map(|found| found.value),
                    Some(Value::Boolean(true))
                ),
                enabled_of_project: strings(document, &["enabledMcpjsonServers"]),
                disabled_of_project: strings(document, &["disabledMcpjsonServers"]),
                disabled: Vec::new(),
                enabled_plugins: plugins.collect(),
                denied: list("deniedMcpServers").unwrap_or_default(),
                allowed: list("allowedMcpServers"),
            }
        });
        let Some(found) = found else { return };
        let settings = &mut self.settings;
        settings
            .disabled_of_project
            .extend(found.disabled_of_project);
        settings.denied.extend(found.denied);
        if let Some(allowed) = found.allowed {
            settings.allowed.get_or_insert_default().extend(allowed);
        }
        if counts {
            settings.enables_all_of_project |= found.enables_all_of_project;
            settings.enabled_of_project.extend(found.enabled_of_project);
            settings.enabled_plugins.extend(found.enabled_plugins);
        }
    }

    /// The keys under which the state file may have the current project, with `/` as the separator: the primary checkout of a
    /// repository, the root of this one, and the folders up to it.
    fn project_keys(&self) -> Vec<String> {
        let root = self.places.project_root();
        let primary = self.primary_checkout(root);
        let folders = self.places.folder.ancestors();
        let folders = folders.take_while(|folder| folder.starts_with(root));
        let text = |folder: &Path| folder_text(folder).replace('\\', "/");
        primary
            .iter()
            .map(PathBuf::as_path)
            .chain([root])
            .chain(folders)
            .map(text)
            .collect()
    }

    /// The primary checkout of a linked worktree, whose `.git` is a file.
    fn primary_checkout(&self, root: &Path) -> Option<PathBuf> {
        let bytes = self.places.machine.read(&root.join(".git"), 4096).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let folder = Path::new(text.strip_prefix("gitdir:")?.trim());
        let mut folders = folder.ancestors();
        let git = folders.find(|folder| folder.file_name().is_some_and(|name| name == ".git"))?;
        git.parent().map(Path::to_owned)
    }

    /// Reads the state file: the servers of the user, and those of the user in the current project.
    fn state_file(&self, path: &Path) -> (Option<ClientFile>, Option<ClientFile>) {
        type Entries = Vec<(String, Spanned)>;
        let project = self.project_key.as_deref();
        let result = reading::read(self.places.machine, path, MAX_STATE_FILE_BYTES, |text| {
            reading::with_json(CLIENT, FileFormat::Json, path, text, |document| {
                let (_, user) = reading::servers(document, ServersAt::Key(&["mcpServers"]), path)?;
                let local = match project {
                    Some(project) => {
                        let keys = ["projects", project, "mcpServers"];
                        let found = document.get_at(&keys, MAX_DEPTH);
                        reading::entries(found, "mcpServers", path)?
                    }
                    None => Vec::new(),
                };
                Ok::<(Entries, Entries), ConfigurationError>((user, local))
            })
        });
        let Some(result) = result else {
            return (None, None);
        };
        let (user, local) = match result {
            Ok(entries) => entries,
            Err(error) => return (Some(new_file(Scope::User, path, Err(error))), None),
        };
        let user = self.servers(&KeyPath::new("mcpServers"), &user, &[]);
        let local = match project {
            Some(project) if !local.is_empty() => {
                let root = ["projects", project, "mcpServers"]
                    .iter()
                    .fold(KeyPath::new(""), |path, key| path.child(key, None));
                Some(new_file(
                    Scope::Local,
                    path,
                    Ok(self.servers(&root, &local, &[])),
                ))
            }
            _ => None,
        };
        (Some(new_file(Scope::User, path, Ok(user))), local)
    }

    fn file(&self, scope: Scope, path: &Path, at: ServersAt) -> Option<ClientFile> {
        let result = reading::read(self.places.machine, path, MAX_BYTES, |text| {
            reading::with_json(CLIENT, FileFormat::Json, path, text, |document| {
                let (root, entries) = reading::servers(document, at, path)?;
                Ok(self.servers(&root, &entries, &[]))
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
        let project = self.project_key.clone();
        let project = project.unwrap_or_else(|| folder_text(self.places.project_root()));
        let added = [
            ("CLAUDECODE", "1".to_owned()),
            ("CLAUDE_PROJECT_DIR", project),
        ];
        let reader = EntryReader {
            client: CLIENT,
            rules: &CLAUDE_CODE,
            places: self.places,
            folder: self.places.folder,
            own_variables: own_variables.to_vec(),
            added_env: added.map(|(name, value)| (name.to_owned(), value)).into(),
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
                let path = root.child(name, entry.line);
                let mut server = reader.read(name, path.clone(), entry);
                if RESERVED_NAMES.contains(&name.as_str()) {
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
        file.approved = Some(all_approved);
    }

    fn apply_policy(&self, server: &mut ClientServer) {
        if self.settings.disabled.contains(&server.entry.name) {
            server.entry.enabled = false;
        }
        let is_listed = |list: &[Spanned]| list.iter().any(|rule| matches_rule(rule, server));
        let is_refused = is_listed(&self.settings.denied)
            || self
                .settings
                .allowed
                .as_ref()
                .is_some_and(|list| !is_listed(list));
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
            Some(folder) => folder,
            None => folder.join("plugins").join("cache"),
        };
        let list = |folder: &Path| self.places.machine.list(folder);
        let name_of = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let mut files = Vec::new();
        for marketplace in list(&cache) {
            for plugin in list(&marketplace) {
                let Some(version) = list(&plugin).pop() else {
                    continue;
                };
                let (plugin_name, market) = (name_of(&plugin), name_of(&marketplace));
                let id = format!("{plugin_name}@{market}");
                let is_on = self.settings.enabled_plugins.contains(&id);
                for path in [
                    version.join(".mcp.json"),
                    version.join(".claude-plugin").join("plugin.json"),
                ] {
                    files.extend(self.plugin_file(&path, &version, &plugin_name, is_on));
                }
            }
        }
        files
    }

    fn plugin_file(
        &self,
        path: &Path,
        root: &Path,
        plugin: &str,
        is_on: bool,
    ) -> Option<ClientFile> {
        let is_manifest = path.ends_with("plugin.json");
        let own = [("CLAUDE_PLUGIN_ROOT".to_owned(), folder_text(root))];
        let result = reading::read(self.places.machine, path, MAX_BYTES, |text| {
            reading::with_json(CLIENT, FileFormat::Json, path, text, |document| {
                let at = match is_manifest {
                    true => ServersAt::Key(&["mcpServers"]),
                    false => ServersAt::KeyOrBare("mcpServers"),
                };
                // A path in a manifest names another file, which is read if it is the usual one.
                let has_path = is_manifest
                    && matches!(
                        document.get("mcpServers", 1).map(|found| found.value),
                        Some(Value::String(_) | Value::List(_))
                    );
                if has_path {
                    return Ok(Vec::new());
                }
                let (key_path, entries) = reading::servers(document, at, path)?;
                Ok(self.servers(&key_path, &entries, &own))
            })
        })?;
        let mut file = new_file(Scope::Plugin, path, result);
        if file.error.is_none() && file.servers.is_empty() {
            return None;
        }
        for server in &mut file.servers {
            let name = format!("plugin:{plugin}:{}", server.entry.name);
            server.entry.name.clone_from(&name);
            if let Ok(config) = &mut server.entry.config {
                config.name = name;
            }
            server.entry.enabled &= is_on;
        }
        Some(file)
    }
}

fn new_file(
    scope: Scope,
    path: &Path,
    result: Result<Vec<ClientServer>, ConfigurationError>,
) -> ClientFile {
    let (servers, error) = match result {
        Ok(servers) => (servers, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    ClientFile {
        client: CLIENT,
        scope,
        path: path.to_owned(),
        format: FileFormat::Json,
        approved: None,
        error,
        servers,
    }
}

/// Whether a rule of a list names a server: by its name, its command line or its URL, which may have `*`.
fn matches_rule(rule: &Spanned, server: &ClientServer) -> bool {
    let Value::Table(fields) = &rule.value else {
        return false;
    };
    fields
        .iter()
        .any(|(key, value)| match (key.as_str(), &value.value) {
            ("serverName", Value::String(name)) => *name == server.entry.name,
            ("serverUrl", Value::String(pattern)) => match &server.entry.config {
                Ok(config) => match &config.transport {
                    TransportConfig::Http(http) => matches_glob(pattern, &http.written_url),
                    TransportConfig::Stdio(_) => false,
                },
                Err(_) => false,
            },
            ("serverCommand", Value::List(items)) => match &server.entry.config {
                Ok(config) => match &config.transport {
                    TransportConfig::Stdio(stdio) => {
                        let line = std::iter::once(&stdio.command).chain(&stdio.args);
                        line.map(String::as_str)
                            .eq(items.iter().map(|item| match &item.value {
                                Value::String(text) => text.as_str(),
                                _ => "",
                            }))
                    }
                    TransportConfig::Http(_) => false,
                },
                Err(_) => false,
            },
            _ => false,
        })
}
