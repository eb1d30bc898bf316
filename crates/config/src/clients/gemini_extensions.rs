//! The extensions of Gemini CLI: folders with a `gemini-extension.json`, which may have servers.
//!
//! Sources: `docs/extensions` and `packages/cli/src/config/extension-manager.ts` in <https://github.com/google-gemini/gemini-cli>.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use super::client::Client;
use super::client_variables;
use super::entry::{EntryReader, folder_text};
use super::places::Places;
use super::profile::{EntryRules, FileFormat, Scope, ServersAt, VariableForm, Variables};
use super::profiles::{GEMINI_CLI, mark_replaced};
use super::reading::{self, Contents, MAX_BYTES, MAX_DEPTH};
use super::{ClientFile, System};
use crate::error::{ConfigurationError, ConfigurationErrorKind};
use crate::format::MAX_COMPARED_KEYS;
use crate::spanned::{Value, json};

const SERVERS: ServersAt = ServersAt::Key(&["mcpServers"]);

/// An extension also has variables such as `${extensionPath}` and `${/}`.
const RULES: EntryRules = EntryRules {
    variables: Variables {
        forms: FORMS,
        ..GEMINI_CLI.variables
    },
    variables_in_env: match GEMINI_CLI.variables_in_env {
        Some(in_env) => Some(Variables {
            forms: FORMS_IN_ENV,
            ..in_env
        }),
        None => None,
    },
    ..GEMINI_CLI
};

const FORMS: &[VariableForm] = &[
    VariableForm::Braces,
    VariableForm::Default,
    VariableForm::Dollar,
    VariableForm::Separator,
];

const FORMS_IN_ENV: &[VariableForm] = &[
    VariableForm::Braces,
    VariableForm::Default,
    VariableForm::Dollar,
    VariableForm::Percent,
    VariableForm::Separator,
];

/// Adds the servers of the extensions to `files`, the files of the settings. A server of the settings replaces one of the same name.
pub(super) fn add(places: &Places<'_>, files: &mut Vec<ClientFile>) {
    let Some(home) = places.variable("GEMINI_CLI_HOME").or_else(|| places.home()) else {
        return;
    };
    let folder = home.join(".gemini/extensions");
    let switches = Switches::read(places, &folder);
    let extensions = places.machine.list(&folder).into_iter();
    // The first of several extensions with a server of the same name wins.
    let extensions = extensions.rev().filter_map(|installed| {
        let root = linked_to(places, &installed).unwrap_or(installed);
        file(places, &root, &switches)
    });
    let mut all: Vec<ClientFile> = extensions.collect();
    all.append(files);
    mark_replaced(all.iter_mut());
    *files = all;
}

/// The folder of an extension that is only linked, with which its author tries it.
fn linked_to(places: &Places<'_>, installed: &Path) -> Option<PathBuf> {
    let path = installed.join(".gemini-extension-install.json");
    let source = read(places, &path, |document| {
        Ok(match text(document, "type").as_deref() {
            Some("link") => text(document, "source"),
            _ => None,
        })
    });
    source?.ok()?.map(PathBuf::from)
}

fn file(places: &Places<'_>, root: &Path, switches: &Switches) -> Option<ClientFile> {
    let path = root.join("gemini-extension.json");
    let result = read(places, &path, |document| {
        let required = |key: &str| {
            text(document, key).ok_or_else(|| {
                let problem = format!(
                    "the extension has no `{key}`, and Gemini CLI skips it; write its `name` and `version`"
                );
                let kind = ConfigurationErrorKind::NotAConfiguration;
                ConfigurationError::new(kind, &path, &problem).with_key(key)
            })
        };
        required("version")?;
        let is_on = switches.is_on(&required("name")?, places.folder);
        let (key_path, entries) = reading::servers(document, SERVERS, &path)?;
        places.renew_budget();
        let reader = EntryReader {
            client: Client::GeminiCli,
            rules: &RULES,
            places,
            folder: places.folder,
            own_variables: own_variables(places, root),
            added_env: Vec::new(),
            comparisons: Cell::new(MAX_COMPARED_KEYS),
        };
        let servers = entries.iter().map(|(name, entry)| {
            let mut server = reader.read(name, key_path.named(name, entry.line), entry);
            server.entry.enabled &= is_on;
            server
        });
        let (repeated, keys) = reading::repeated_keys(document, SERVERS);
        Ok(Contents::new(servers.collect(), None).with_repeated(&repeated, &keys))
    })?;
    let file = ClientFile::new(
        Client::GeminiCli,
        Scope::Plugin,
        path.clone(),
        FileFormat::Json,
        result,
    );
    // Most extensions have no servers.
    (file.error.is_some() || !file.servers.is_empty()).then_some(file)
}

/// The variables of an extension, and the settings that the user has entered for it. Secret settings are in the keyring.
fn own_variables(places: &Places<'_>, root: &Path) -> Vec<(String, String)> {
    let separator = match places.machine.system() {
        System::Windows => "\\",
        System::Linux | System::MacOs => "/",
    };
    let own = [
        ("extensionPath", folder_text(root)),
        ("workspacePath", folder_text(places.folder)),
        ("pathSeparator", separator.to_owned()),
        ("/", separator.to_owned()),
    ];
    let settings = client_variables::of_env_files(places.machine, &[root.join(".env")]);
    let own = own.map(|(name, value)| (name.to_owned(), value));
    own.into_iter().chain(settings).collect()
}

/// The rules that turn extensions on and off in folders: `extension-enablement.json`.
struct Switches(Vec<(String, Vec<String>)>);

impl Switches {
    fn read(places: &Places<'_>, folder: &Path) -> Self {
        let path = folder.join("extension-enablement.json");
        let rules = read(places, &path, |document| {
            let rules = document.members(MAX_DEPTH).map(|(name, extension)| {
                let mut rules = Vec::new();
                if let Value::Table(fields) = extension.value {
                    for (key, list) in fields {
                        if let (true, Value::List(items)) = (key == "overrides", list.value) {
                            rules.extend(items.into_iter().filter_map(|rule| match rule.value {
                                Value::String(rule) => Some(rule),
                                _ => None,
                            }));
                        }
                    }
                }
                (name.to_owned(), rules)
            });
            Ok(rules.collect())
        });
        Self(rules.and_then(Result::ok).unwrap_or_default())
    }

    /// Whether an extension is on in a folder. The last rule for the folder counts.
    fn is_on(&self, name: &str, folder: &Path) -> bool {
        let mut folder = folder.to_string_lossy().replace('\\', "/");
        if !folder.starts_with('/') {
            folder.insert(0, '/');
        }
        if !folder.ends_with('/') {
            folder.push('/');
        }
        let rules = self.0.iter().find(|(extension, _)| extension == name);
        let mut rules = rules.into_iter().flat_map(|(_, rules)| rules).rev();
        let decision = rules.find_map(|rule| {
            let (place, is_on) = match rule.strip_prefix('!') {
                Some(place) => (place, false),
                None => (rule.as_str(), true),
            };
            let applies = match place.strip_suffix('*') {
                Some(start) => folder.starts_with(start),
                None => folder == place,
            };
            applies.then_some(is_on)
        });
        decision.unwrap_or(true)
    }
}

fn read<T>(
    places: &Places<'_>,
    path: &Path,
    convert: impl Fn(&json::Document<'_>) -> Result<T, ConfigurationError>,
) -> Option<Result<T, ConfigurationError>> {
    reading::read(places.machine, path, MAX_BYTES, |text| {
        reading::with_json(
            Client::GeminiCli,
            FileFormat::Json,
            path,
            text,
            |document| convert(document),
        )
    })
}

/// A text that is not empty.
fn text(document: &json::Document<'_>, key: &str) -> Option<String> {
    match document.get(key, 0)?.value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}
