//! Whether a client is on the machine. Several clients read files of another one, such as `.mcp.json`. Such a file by itself does not
//! show that they are on the machine.

use super::ClientFile;
use super::client::Client;
use super::places::Places;

/// The clients that read files of other clients, with the folders that show that the client is on the machine.
const FOLDERS: &[(Client, &[&str])] = &[
    (Client::Cursor, &["<home>/.cursor", "<folder>/.cursor"]),
    (
        Client::VsCode,
        &[
            "<config>/Code",
            "<config>/Code - Insiders",
            "<config>/VSCodium",
            "<home>/.vscode",
            "<home>/.vscode-server",
            "<folder>/.vscode",
            "<$VSCODE_PORTABLE>",
        ],
    ),
    (
        Client::CopilotCli,
        &[
            "<home>/.copilot",
            "<$COPILOT_HOME>",
            "<folder>/.github/mcp.json",
        ],
    ),
    (Client::QwenCode, &["<home>/.qwen", "<folder>/.qwen"]),
    (Client::Windsurf, &["<home>/.codeium"]),
    (
        Client::KimiCode,
        &["<home>/.kimi", "<home>/.kimi-code", "<folder>/.kimi-code"],
    ),
];

/// Whether all files that were found for a client belong to other clients, and the client has no folder on the machine.
pub(super) fn is_only_shared(client: Client, files: &[ClientFile], places: &Places<'_>) -> bool {
    let mut rows = FOLDERS.iter();
    let Some((_, folders)) = rows.find(|(of, _)| *of == client) else {
        return false;
    };
    let is_shared = |file: &ClientFile| match file.path.file_name() {
        Some(name) if name == ".mcp.json" => true,
        Some(name) => client == Client::VsCode && name == "mcp-config.json",
        None => false,
    };
    let mut folders = folders.iter().flat_map(|folder| places.paths(folder));
    files.iter().all(is_shared) && !folders.any(|folder| places.machine.exists(&folder))
}
