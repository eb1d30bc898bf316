//! Servers in files that users take for the configuration of a client, and that it does not read. They are listed, and never started. The
//! files of Claude Code are in [`claude_code`](super::claude_code).

use std::cell::Cell;
use std::collections::HashSet;

use super::ClientFile;
use super::client::Client;
use super::entry::EntryReader;
use super::places::Places;
use super::profile::{FileFormat, Scope, ServersAt};
use super::profiles::PLAIN;
use super::reading::{self, MAX_BYTES};
use crate::format::MAX_COMPARED_KEYS;

/// The client, the scope and the path of a file, and the place that the client reads.
#[rustfmt::skip]
const FILES: [(Client, Scope, &str, &str); 12] = [
    (Client::Codex, Scope::User, "<home>/.codex/mcp.json", "`[mcp_servers]` in `~/.codex/config.toml`"),
    (Client::CopilotCli, Scope::User, "<home>/.copilot/mcp.json", "`~/.copilot/mcp-config.json`"),
    (Client::GeminiCli, Scope::User, "<home>/.gemini/mcp.json", "`mcpServers` in `~/.gemini/settings.json`"),
    (Client::GeminiCli, Scope::Project, "<folder>/.gemini/mcp.json", "`mcpServers` in `.gemini/settings.json`"),
    (Client::QwenCode, Scope::User, "<home>/.qwen/mcp.json", "`mcpServers` in `~/.qwen/settings.json`"),
    (Client::Kiro, Scope::User, "<home>/.kiro/mcp.json", "`~/.kiro/settings/mcp.json`"),
    (Client::Kiro, Scope::Project, "<folder>/.kiro/mcp.json", "`.kiro/settings/mcp.json`"),
    (Client::Windsurf, Scope::User, "<home>/.codeium/windsurf/mcp.json", "`~/.codeium/windsurf/mcp_config.json`"),
    (Client::Windsurf, Scope::User, "<home>/.codeium/windsurf/mcp_settings.json", "`~/.codeium/windsurf/mcp_config.json`"),
    (Client::AmazonQ, Scope::User, "<home>/.aws/amazonq/mcp-servers.json", "`~/.aws/amazonq/mcp.json`"),
    (Client::Junie, Scope::User, "<home>/.junie/mcp.json", "`~/.junie/mcp/mcp.json`"),
    (Client::Opencode, Scope::User, "<xdg-config>/opencode/mcp.json", "`mcp` in `opencode.json`, in the form of opencode"),
];

/// Finds the servers that are only in a file that the client does not read. `files` are those that it reads.
pub(super) fn files(client: Client, files: &[ClientFile], places: &Places<'_>) -> Vec<ClientFile> {
    let servers = files.iter().flat_map(|file| &file.servers);
    let mut known: HashSet<String> = servers.map(|server| server.entry.name.clone()).collect();
    let rows = FILES.iter().filter(|(of, ..)| *of == client);
    let paths = rows.flat_map(|(_, scope, template, right)| {
        let paths = places.paths(template).into_iter();
        paths.map(move |path| (*scope, path, *right))
    });
    let mut found = Vec::new();
    for (scope, path, right) in paths {
        let result = reading::read(places.machine, &path, MAX_BYTES, |text| {
            reading::with_json(client, FileFormat::Jsonc, &path, text, |document| {
                let at = ServersAt::FirstOf(&[&["mcpServers"], &["servers"]]);
                let (root, entries) = reading::servers(document, at, &path)?;
                places.renew_budget();
                let reader = EntryReader {
                    client,
                    rules: &PLAIN,
                    places,
                    folder: places.folder,
                    own_variables: Vec::new(),
                    added_env: Vec::new(),
                    comparisons: Cell::new(MAX_COMPARED_KEYS),
                };
                let servers = entries.iter().map(|(name, entry)| {
                    let mut server = reader.read(name, root.named(name, entry.line), entry);
                    server.not_checked = Some(format!(
                        "{client} does not read this file; move it to {right}"
                    ));
                    server
                });
                Ok(servers.collect::<Vec<_>>())
            })
        });
        let Some(Ok(mut servers)) = result else {
            continue;
        };
        servers.retain(|server| known.insert(server.entry.name.clone()));
        if !servers.is_empty() {
            let format = FileFormat::Json;
            found.push(ClientFile::new(client, scope, path, format, Ok(servers)));
        }
    }
    found
}
