//! The files of VS Code that are not only for servers: workspaces and development containers.
//!
//! Source: `docs/agents/reference/mcp-configuration.md` in <https://github.com/microsoft/vscode-docs>.

use super::ClientFile;

/// Marks the servers of development containers, and leaves out the files of this kind without servers.
pub(super) fn mark_containers(files: &mut Vec<ClientFile>) {
    let name_of = |file: &ClientFile| {
        let name = file.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let is_container = |name: &str| matches!(name, "devcontainer.json" | ".devcontainer.json");
    files.retain(|file| {
        let name = name_of(file);
        let has_other_content = is_container(&name) || name.ends_with(".code-workspace");
        !has_other_content || !file.servers.is_empty()
    });
    for file in files {
        if is_container(&name_of(file)) {
            for server in &mut file.servers {
                server.not_checked.get_or_insert_with(|| {
                    "VS Code starts it in the development container".to_owned()
                });
            }
        }
    }
}
