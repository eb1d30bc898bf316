//! Servers in files of Claude Code's folders that it does not read for servers. They are listed, and never started.

use std::collections::HashSet;
use std::path::Path;

use super::ClaudeCode;
use crate::clients::ClientFile;
use crate::clients::profile::{Scope, ServersAt};

/// The files that users take for the configuration of servers.
const NAMES: [&str; 4] = [
    "settings.json",
    "settings.local.json",
    "mcp.json",
    ".mcp.json",
];

impl ClaudeCode<'_> {
    /// Finds the servers that are only in a file that Claude Code does not read for servers. `folder` is its folder in the home folder of
    /// the user, and `files` are the files that it reads.
    pub(super) fn misplaced(&self, folder: Option<&Path>, files: &[ClientFile]) -> Vec<ClientFile> {
        let servers = files.iter().flat_map(|file| &file.servers);
        let mut known: HashSet<String> = servers.map(|server| server.entry.name.clone()).collect();
        let project = self.places.project_root().join(".claude");
        let of_user = folder.map(|folder| (Scope::User, folder, "`~/.claude.json`"));
        let of_project = (folder != Some(&*project)).then_some((
            Scope::Project,
            &*project,
            "`.mcp.json` in the folder of the project",
        ));
        let mut found = Vec::new();
        for (scope, folder, right) in of_user.into_iter().chain(of_project) {
            for name in NAMES {
                let at = ServersAt::Key(&["mcpServers"]);
                let Some(mut file) = self.file(scope, &folder.join(name), at) else {
                    continue;
                };
                // Claude Code reads the rest of the file.
                file.error = None;
                file.warnings.clear();
                file.servers
                    .retain(|server| known.insert(server.entry.name.clone()));
                for server in &mut file.servers {
                    server.not_checked = Some(format!(
                        "Claude Code does not read servers from this file; move it to {right}"
                    ));
                }
                if !file.servers.is_empty() {
                    found.push(file);
                }
            }
        }
        found
    }
}
