//! Copilot CLI's list of servers that are turned off, and the project file that it ignores.

use super::ClientFile;
use super::client::Client;
use super::gemini::strings;
use super::places::Places;
use super::profile::{FileFormat, Scope};
use super::reading::{self, MAX_BYTES};

/// Turns off the servers in `disabledMcpServers` of `settings.json`. Without a value in that list, a server is on.
pub(super) fn apply_lists(places: &Places<'_>, files: &mut Vec<ClientFile>) {
    let moved = places.paths("<$COPILOT_HOME>/settings.json");
    let paths = match moved.is_empty() {
        true => places.paths("<home>/.copilot/settings.json"),
        false => moved,
    };
    let mut disabled = Vec::new();
    for path in paths {
        let list = reading::read(places.machine, &path, MAX_BYTES, |text| {
            let client = Client::CopilotCli;
            reading::with_json(client, FileFormat::Jsonc, &path, text, |document| {
                Ok(strings(document, &["disabledMcpServers"]))
            })
        });
        disabled.extend(list.and_then(Result::ok).unwrap_or_default());
    }
    // With a `.mcp.json` in the project, the client ignores `.github/mcp.json`.
    let is_portable = |file: &ClientFile| {
        file.scope == Scope::Project
            && file
                .path
                .file_name()
                .is_some_and(|name| name == ".mcp.json")
    };
    if files.iter().any(is_portable) {
        files.retain(|file| file.scope != Scope::Project || is_portable(file));
    }
    for server in files.iter_mut().flat_map(|file| &mut file.servers) {
        if disabled.contains(&server.entry.name) {
            server.entry.enabled = false;
        }
    }
}
