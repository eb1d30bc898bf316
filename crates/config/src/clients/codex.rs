//! Codex's layers: the files of the system, the user, the chosen profile and the projects, merged key by key, and the rules of an
//! administrator.
//!
//! Source: `codex-rs/config/src/loader` and `codex-rs/config/src/mcp_requirements.rs` in <https://github.com/openai/codex>.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::client::Client;
use super::codex_plugins::{self, Plugin};
use super::layers::{Layer, whole_entries};
use super::other_keys::OtherKeys;
use super::places::Places;
use super::profile::{FileFormat, Scope};
use super::reading::{self, MAX_BYTES};
use super::{ClientFile, ClientServer, ClientTransport, System};
use crate::codex_home;
use crate::configuration::CredentialSettings;
use crate::error::{ConfigurationError, EntryProblem};
use crate::escaping::escape;
use crate::format::codex_toml::{self, Callback, SERVERS};
use crate::format::{MAX_COMPARED_KEYS, Warnings};
use crate::spanned::{KeyPath, Spanned, Value, toml};

/// The parts of one file.
struct Parts {
    servers: Vec<(String, Spanned)>,
    callback: Callback,
    has_callback: bool,
    trusted_projects: Vec<(PathBuf, bool)>,
    profile: Option<String>,
    credentials: CredentialSettings,
    plugins: Vec<Plugin>,
    /// The error of a file whose servers are below a key that the client does not read.
    not_read: Option<ConfigurationError>,
    /// The warning about such a key next to the one that the client reads.
    other_key: Option<EntryProblem>,
}

/// A file and its parts.
struct Found {
    file: ClientFile,
    parts: Option<Parts>,
    /// Why the client does not use the file.
    unused: Option<String>,
}

/// Reads the layers of Codex.
pub(super) fn files(places: &Places<'_>) -> Vec<ClientFile> {
    let system = places.machine.system();
    let of_system = |name: &str| match system {
        System::Windows => format!("<$ProgramData>/OpenAI/Codex/{name}"),
        System::Linux | System::MacOs => format!("</>/etc/codex/{name}"),
    };
    let mut found = Vec::new();
    let mut add = |scope, path: PathBuf| {
        let result = reading::read(places.machine, &path, MAX_BYTES, |text| parts(&path, text));
        if let Some(result) = result {
            found.push(new_file(scope, path, result));
        }
    };
    for path in places.paths(&of_system("config.toml")) {
        add(Scope::System, path);
    }
    let moved = places.variable("CODEX_HOME");
    let home = moved.or_else(|| codex_home(places.machine.environment()));
    if let Some(home) = &home {
        add(Scope::User, home.join("config.toml"));
        let paths = places.machine.list(home);
        let profiles = paths.into_iter().filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".config.toml")
        });
        for path in profiles {
            add(Scope::User, path);
        }
    }
    for path in places.paths("<up>/.codex/config.toml") {
        if path.parent() != home.as_deref() {
            add(Scope::Project, path);
        }
    }
    for path in places.paths(&of_system("managed_config.toml")) {
        add(Scope::Managed, path);
    }
    mark_unused(places, home.as_deref(), &mut found);
    let mut requirements = Vec::new();
    let mut invalid = Vec::new();
    for path in places.paths(&of_system("requirements.toml")) {
        match Requirements::read(places, &path) {
            Some(Ok(rules)) => requirements.extend(rules),
            Some(Err(error)) => invalid.push(ClientFile::new(
                Client::Codex,
                Scope::Managed,
                path,
                FileFormat::Toml,
                Err::<Vec<ClientServer>, _>(error),
            )),
            None => {}
        }
    }
    let mut files = read_servers(places, home.as_deref(), found, &requirements);
    // The client does not start with rules that it can't read.
    for file in &invalid {
        let path = escape(&file.path.to_string_lossy());
        let servers = files.iter_mut().flat_map(|file| &mut file.servers);
        for server in servers {
            server.not_checked.get_or_insert_with(|| {
                format!("Codex can't read the rules of your administrator ({path})")
            });
        }
    }
    files.extend(invalid);
    files
}

fn new_file(scope: Scope, path: PathBuf, result: Result<Parts, ConfigurationError>) -> Found {
    // The servers are read when the parts of all files are known.
    let (parts, servers) = match result {
        Ok(mut parts) => {
            let error = parts.not_read.take();
            (Some(parts), error.map_or(Ok(Vec::new()), Err))
        }
        Err(error) => (None, Err(error)),
    };
    let mut file = ClientFile::new(Client::Codex, scope, path, FileFormat::Toml, servers);
    file.credentials = parts.as_ref().map(|parts| parts.credentials.clone());
    Found {
        file,
        parts,
        unused: None,
    }
}

fn parts(path: &Path, text: &str) -> Result<Parts, ConfigurationError> {
    let document = toml::Document::parse(text, path)?;
    let projects = match document.get("projects").map(|found| found.value) {
        Some(Value::Table(projects)) => projects,
        _ => Vec::new(),
    };
    let trusted_projects = projects.into_iter().filter_map(|(path, project)| {
        let Value::Table(fields) = project.value else {
            return None;
        };
        let (_, level) = fields.into_iter().find(|(key, _)| key == "trust_level")?;
        match level.value {
            Value::String(level) => Some((PathBuf::from(path), level == "trusted")),
            _ => None,
        }
    });
    let profile = match document.get("profile").map(|found| found.value) {
        Some(Value::String(profile)) => Some(profile),
        _ => None,
    };
    let has = |key: &str| document.get(key).is_some();
    let servers = reading::entries(document.get(SERVERS), SERVERS, path)?;
    let other = OtherKeys::of_toml(Client::Codex, path, &[SERVERS], &document);
    Ok(Parts {
        not_read: other.error().filter(|_| servers.is_empty()),
        other_key: other.warning(),
        servers,
        callback: codex_toml::callback_settings(&document),
        has_callback: has("mcp_oauth_callback_port") || has("mcp_oauth_callback_url"),
        trusted_projects: trusted_projects.collect(),
        profile,
        credentials: codex_toml::credentials(&document, path),
        plugins: Plugin::of_table(document.get("plugins")),
    })
}

/// Marks the files that Codex does not use: profiles that are not chosen, and projects that are not trusted.
fn mark_unused(places: &Places<'_>, home: Option<&Path>, found: &mut [Found]) {
    let user_file = home.map(|home| home.join("config.toml"));
    let user = found
        .iter()
        .find(|found| Some(&found.file.path) == user_file.as_ref())
        .and_then(|found| found.parts.as_ref());
    let profile = user.and_then(|parts| parts.profile.clone());
    // On Windows, the client writes the paths in lower case.
    let normal = |folder: &Path| match places.machine.system() {
        System::Windows => folder.to_string_lossy().replace('\\', "/").to_lowercase(),
        System::Linux | System::MacOs => folder.to_string_lossy().into_owned(),
    };
    let rules = user.map_or(&[] as &[_], |parts| &parts.trusted_projects);
    let rules: HashMap<String, bool> = rules
        .iter()
        .map(|(folder, is_trusted)| (normal(folder), *is_trusted))
        .collect();
    let level = |folder: &Path| rules.get(&normal(folder)).copied();
    let of_repository = level(places.project_root()).or_else(|| level(&places.primary_checkout()?));
    // The folder of the file counts, and then its repository.
    let is_trusted = |file: &Path| {
        let folder = file.parent().and_then(Path::parent);
        folder.and_then(level).or(of_repository) == Some(true)
    };
    let mut trusted = Vec::new();
    for found in found.iter() {
        trusted.push(is_trusted(&found.file.path));
    }
    for (found, is_trusted) in found.iter_mut().zip(trusted) {
        let path = &found.file.path;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let of_profile = name.strip_suffix(".config.toml");
        if let (Scope::User, Some(name)) = (found.file.scope, of_profile)
            && profile.as_deref() != Some(name)
        {
            let name = escape(name);
            found.unused = Some(format!("used only with `codex --profile {name}`"));
        }
        if found.file.scope == Scope::Project {
            found.file.approved = Some(is_trusted);
        }
    }
}

fn read_servers(
    places: &Places<'_>,
    home: Option<&Path>,
    mut found: Vec<Found>,
    requirements: &[Requirements],
) -> Vec<ClientFile> {
    let is_used = |found: &Found| found.unused.is_none() && found.file.approved != Some(false);
    let layers = found.iter_mut().map(|found| Layer {
        is_used: is_used(found),
        entries: match &mut found.parts {
            Some(parts) => std::mem::take(&mut parts.servers),
            None => Vec::new(),
        },
    });
    let entries = whole_entries(layers.collect());
    // The highest layer with the keys of the callback decides.
    let callback = found
        .iter()
        .filter(|found| is_used(found))
        .filter_map(|found| found.parts.as_ref())
        .rfind(|parts| parts.has_callback)
        .map(|parts| match &parts.callback {
            Ok(settings) => Ok(settings.clone()),
            Err(problem) => Err(problem.clone()),
        });
    let callback = callback.unwrap_or_else(|| Ok(codex_toml::CallbackSettings::default()));
    let comparisons = Cell::new(MAX_COMPARED_KEYS);
    let root = KeyPath::new(SERVERS);
    let plugins = plugins(places, home, &found, &callback, requirements);
    let mut files: Vec<ClientFile> = found
        .into_iter()
        .zip(entries)
        .map(|(mut found, entries)| {
            let servers = entries.iter().map(|(name, entry)| {
                let mut server = read_server(places, name, &root, entry, &callback, &comparisons);
                server.not_checked.clone_from(&found.unused);
                for requirements in requirements {
                    requirements.apply(entry, &mut server);
                }
                server
            });
            found.file.servers = servers.collect();
            let other_key = found.parts.and_then(|parts| parts.other_key);
            found.file.warnings.extend(other_key);
            found.file
        })
        .collect();
    // A server of a file replaces one of the same name in a plugin.
    files.splice(0..0, plugins);
    mark_replaced_in_plugins(&mut files);
    files
}

/// The servers of the plugins in the user's `config.toml`.
fn plugins(
    places: &Places<'_>,
    home: Option<&Path>,
    found: &[Found],
    callback: &Callback,
    requirements: &[Requirements],
) -> Vec<ClientFile> {
    let Some(home) = home else {
        return Vec::new();
    };
    let user_file = home.join("config.toml");
    let user = found.iter().find(|found| found.file.path == user_file);
    let Some(parts) = user.and_then(|found| found.parts.as_ref()) else {
        return Vec::new();
    };
    let files = codex_plugins::files(places, home, &parts.plugins, callback).into_iter();
    files
        .map(|(mut file, entries)| {
            for (server, (_, entry)) in file.servers.iter_mut().zip(&entries) {
                for requirements in requirements {
                    requirements.apply(entry, server);
                }
            }
            file
        })
        .collect()
}

/// Marks the servers of plugins whose name another file or an earlier plugin has.
fn mark_replaced_in_plugins(files: &mut [ClientFile]) {
    let mut names: HashMap<String, String> = HashMap::new();
    let is_plugin = |file: &ClientFile| file.scope == Scope::Plugin;
    for file in files.iter().filter(|file| !is_plugin(file)) {
        let path = escape(&file.path.to_string_lossy());
        let used = file.servers.iter().filter(|server| file.may_start(server));
        names.extend(used.map(|server| (server.entry.name.clone(), path.clone())));
    }
    for file in files.iter_mut().filter(|file| is_plugin(file)) {
        let path = escape(&file.path.to_string_lossy());
        for server in &mut file.servers {
            match names.get(&server.entry.name) {
                Some(other) => {
                    server.not_checked.get_or_insert_with(|| {
                        format!("replaced by the entry of the same name in {other}")
                    });
                }
                None => {
                    names.insert(server.entry.name.clone(), path.clone());
                }
            }
        }
    }
}

pub(super) fn read_server(
    places: &Places<'_>,
    name: &str,
    root: &KeyPath,
    entry: &Spanned,
    callback: &Callback,
    comparisons: &Cell<usize>,
) -> ClientServer {
    let path = root.named(name, entry.line);
    let identity = identity(entry);
    let warnings = Warnings::new(comparisons);
    let environment = places.machine.environment();
    let entry = codex_toml::server_entry(name, path, entry, callback, environment, warnings);
    let transport = match identity {
        Some(("command", _)) => ClientTransport::Stdio,
        Some(_) => ClientTransport::Http,
        None => ClientTransport::Unknown,
    };
    ClientServer {
        entry,
        transport,
        approved: None,
        from_project: None,
        not_checked: None,
    }
}

/// An administrator's list of allowed servers. An empty list allows none.
struct Requirements {
    path: PathBuf,
    allowed: Vec<(String, Spanned)>,
}

impl Requirements {
    /// Reads the list. Returns `None` if the file does not exist, and no list if the file has none.
    fn read(places: &Places<'_>, path: &Path) -> Option<Result<Option<Self>, ConfigurationError>> {
        reading::read(places.machine, path, MAX_BYTES, |text| {
            let document = toml::Document::parse(text, path)?;
            let Some(found) = document.get(SERVERS) else {
                return Ok(None);
            };
            Ok(Some(Self {
                path: path.to_owned(),
                allowed: reading::entries(Some(found), SERVERS, path)?,
            }))
        })
    }

    fn apply(&self, entry: &Spanned, server: &mut ClientServer) {
        let mut rules = self.allowed.iter();
        let rule = rules.find(|(name, _)| *name == server.entry.name);
        let is_allowed = match (rule, identity(entry)) {
            (Some((_, rule)), Some((key, text))) => matches_identity(rule, key, text),
            _ => Some(false),
        };
        let reason = match is_allowed {
            Some(true) => return,
            Some(false) => "your administrator does not allow it",
            None => "your administrator has a rule for it that is not known here",
        };
        server.not_checked.get_or_insert_with(|| {
            let path = escape(&self.path.to_string_lossy());
            format!("{reason} ({path})")
        });
    }
}

/// The key that identifies a server, and its value: the command, or else the URL.
fn identity(entry: &Spanned) -> Option<(&'static str, &str)> {
    let keys = ["command", "url"].into_iter();
    let mut values = keys.filter_map(|key| match &field(entry, key)?.value {
        Value::String(text) => Some((key, text.as_str())),
        _ => None,
    });
    values.next()
}

fn field<'a>(table: &'a Spanned, key: &str) -> Option<&'a Spanned> {
    match &table.value {
        Value::Table(fields) => fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value),
        _ => None,
    }
}

/// Whether a rule allows an identity. `None` if it has a form that is not known here, such as a regular expression.
fn matches_identity(rule: &Spanned, key: &str, text: &str) -> Option<bool> {
    let Some(expected) = field(rule, "identity").and_then(|identity| field(identity, key)) else {
        return Some(false);
    };
    let string = |value: Option<&Spanned>| match value.map(|value| &value.value) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    if let Some(exact) = string(Some(expected)).or_else(|| string(field(expected, "exact"))) {
        return Some(exact == text);
    }
    Some(text.starts_with(&string(field(expected, "prefix"))?))
}
