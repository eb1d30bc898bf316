//! Claude Desktop's extensions: programs that are installed with a `manifest.json`.
//!
//! Source: `MANIFEST.md` in <https://github.com/modelcontextprotocol/mcpb>.

use std::cell::Cell;

use super::client::Client;
use super::entry::{EntryReader, folder_text};
use super::places::Places;
use super::profile::{EntryRules, FileFormat, MissingVariable, Scope, VariableForm, Variables};
use super::profiles::CLAUDE_DESKTOP;
use super::reading::{self, MAX_BYTES, MAX_DEPTH};
use super::{ClientFile, System};
use crate::escaping::escape;
use crate::format::MAX_COMPARED_KEYS;
use crate::spanned::{KeyPath, Spanned, Value};

const RULES: EntryRules = EntryRules {
    variables: Variables {
        forms: &[VariableForm::Braces, VariableForm::Editor],
        missing: MissingVariable::Kept,
    },
    other_keys: &["platform_overrides"],
    ..CLAUDE_DESKTOP
};

/// On Windows, the application that was installed as a package has a folder of its own, and ignores the older one.
pub(super) fn mark_ignored(places: &Places<'_>, files: &mut [ClientFile]) {
    if places.machine.system() != System::Windows {
        return;
    }
    let packages = places.paths("<local>/Packages/Claude_*");
    let Some(package) = packages.first() else {
        return;
    };
    let is_of_package = |file: &ClientFile| {
        let mut packages = packages.iter();
        packages.any(|package| file.path.starts_with(package))
    };
    let reason = format!(
        "Claude Desktop was installed as a package, and reads only the files in {}",
        escape(&package.to_string_lossy())
    );
    for file in files.iter_mut().filter(|file| !is_of_package(file)) {
        for server in &mut file.servers {
            server.not_checked = Some(reason.clone());
        }
    }
}

/// Reads the manifests of the unpacked extensions.
pub(super) fn extensions(places: &Places<'_>) -> Vec<ClientFile> {
    let templates = match places.machine.system() {
        System::Windows => &[
            "<local>/Packages/Claude_*/LocalCache/Roaming/Claude/Claude Extensions/*/manifest.json",
            "<config>/Claude/Claude Extensions/*/manifest.json",
        ] as &[&str],
        System::Linux | System::MacOs => &["<config>/Claude/Claude Extensions/*/manifest.json"],
    };
    let paths = templates.iter().flat_map(|path| places.paths(path));
    let files = paths.filter_map(|path| {
        let result = reading::read(places.machine, &path, MAX_BYTES, |text| {
            reading::with_json(
                Client::ClaudeDesktop,
                FileFormat::Json,
                &path,
                text,
                |document| {
                    let name = match document.get("name", 0).map(|name| name.value) {
                        Some(Value::String(name)) => name,
                        _ => "extension".to_owned(),
                    };
                    let keys = ["server", "mcp_config"];
                    places.renew_budget();
                    let server = document.get_at(&keys, MAX_DEPTH).map(|mut entry| {
                        override_for_system(&mut entry, places.machine.system());
                        let folder = path.parent().unwrap_or(places.folder);
                        let reader = EntryReader {
                            client: Client::ClaudeDesktop,
                            rules: &RULES,
                            places,
                            folder,
                            own_variables: own_variables(places, &folder_text(folder)),
                            added_env: Vec::new(),
                            comparisons: Cell::new(MAX_COMPARED_KEYS),
                        };
                        let key_path = keys.iter().fold(KeyPath::of_json(""), |path, key| {
                            path.named(key, entry.line)
                        });
                        reader.read(&name, key_path, &entry)
                    });
                    Ok(Vec::from_iter(server))
                },
            )
        })?;
        Some(ClientFile::new(
            Client::ClaudeDesktop,
            Scope::Plugin,
            path,
            FileFormat::Json,
            result,
        ))
    });
    files.collect()
}

/// Applies the part of `platform_overrides` for a system.
fn override_for_system(entry: &mut Spanned, system: System) {
    let name = match system {
        System::Linux => "linux",
        System::MacOs => "darwin",
        System::Windows => "win32",
    };
    let Value::Table(fields) = &mut entry.value else {
        return;
    };
    let overrides = fields
        .iter()
        .position(|(key, _)| key == "platform_overrides");
    let Some(Value::Table(overrides)) = overrides.map(|at| fields.remove(at).1.value) else {
        return;
    };
    let own = overrides.into_iter().find(|(key, _)| key == name);
    if let Some((
        _,
        Spanned {
            value: Value::Table(own),
            ..
        },
    )) = own
    {
        for (key, value) in own {
            fields.retain(|(known, _)| *known != key);
            fields.push((key, value));
        }
    }
}

fn own_variables(places: &Places<'_>, folder: &str) -> Vec<(String, String)> {
    let home = places.home().unwrap_or_default();
    let below = |name: &str| folder_text(&home.join(name));
    let separator = match places.machine.system() {
        System::Windows => "\\",
        System::Linux | System::MacOs => "/",
    };
    [
        ("__dirname", folder.to_owned()),
        ("HOME", folder_text(&home)),
        ("DESKTOP", below("Desktop")),
        ("DOCUMENTS", below("Documents")),
        ("DOWNLOADS", below("Downloads")),
        ("pathSeparator", separator.to_owned()),
        ("/", separator.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
