//! Where each client keeps its sign-ins. Never accesses the file system.

use std::path::{Path, PathBuf};

use super::{SignInHolder, StoreLocations};
use crate::clients::System;

/// The folders of a user.
pub(super) struct Places<'a> {
    locations: StoreLocations<'a>,
}

impl<'a> Places<'a> {
    pub fn new(locations: StoreLocations<'a>) -> Self {
        Self { locations }
    }

    /// Returns the paths of the store of a client: files, or for Kiro and `mcp-remote` folders.
    pub fn of(&self, holder: SignInHolder) -> Vec<PathBuf> {
        let one = |path: Option<PathBuf>| path.into_iter().collect::<Vec<_>>();
        match holder {
            SignInHolder::ClaudeCode => {
                let folder = self.folder("CLAUDE_CONFIG_DIR").or(self.home(".claude"));
                let mut folders: Vec<_> = self
                    .folder("CLAUDE_SECURESTORAGE_CONFIG_DIR")
                    .into_iter()
                    .chain(folder)
                    .collect();
                folders.dedup();
                let files = folders.into_iter();
                files
                    .map(|folder| folder.join(".credentials.json"))
                    .collect()
            }
            SignInHolder::GeminiCli => {
                let home = self.folder("GEMINI_CLI_HOME").or(self.home(""));
                one(home.map(|home| home.join(".gemini/mcp-oauth-tokens.json")))
            }
            SignInHolder::QwenCode => one(self.home(".qwen/mcp-oauth-tokens.json")),
            SignInHolder::Opencode => one(self.data("opencode/mcp-auth.json")),
            SignInHolder::Kilo => one(self.data("kilo/mcp-auth.json")),
            SignInHolder::CursorCli => {
                let folder = self.folder("CURSOR_DATA_DIR").or(self.home(".cursor"));
                let project = self.locations.project.map(cursor_project);
                one(folder.zip(project).map(|(folder, project)| {
                    folder.join("projects").join(project).join("mcp-auth.json")
                }))
            }
            SignInHolder::Cline => one(self.folder("CLINE_MCP_SETTINGS_PATH").or_else(|| {
                let data = self.folder("CLINE_DATA_DIR");
                let data = data.or_else(|| Some(self.folder("CLINE_DIR")?.join("data")));
                let data = data.or_else(|| self.home(".cline/data"));
                Some(data?.join("settings/cline_mcp_settings.json"))
            })),
            SignInHolder::Antigravity => {
                one(self.home(".gemini/antigravity-cli/mcp_oauth_tokens.json"))
            }
            SignInHolder::Kiro | SignInHolder::AmazonQ => one(self.home(".aws/sso/cache")),
            SignInHolder::Continue => {
                let folder = self
                    .folder("CONTINUE_GLOBAL_DIR")
                    .or(self.home(".continue"));
                one(folder.map(|folder| folder.join("index/globalContext.json")))
            }
            SignInHolder::Crush => one(match self.folder("CRUSH_GLOBAL_DATA") {
                Some(folder) => Some(folder.join("crush.json")),
                None if self.is_windows() => self
                    .folder("LOCALAPPDATA")
                    .map(|folder| folder.join("crush/crush.json")),
                None => self.data("crush/crush.json"),
            }),
            SignInHolder::Goose => one(match self.folder("GOOSE_PATH_ROOT") {
                Some(root) => Some(root.join("config/secrets.yaml")),
                None if self.is_windows() => self
                    .folder("APPDATA")
                    .map(|folder| folder.join("Block/goose/config/secrets.yaml")),
                None => self
                    .folder("XDG_CONFIG_HOME")
                    .or(self.home(".config"))
                    .map(|folder| folder.join("goose/secrets.yaml")),
            }),
            SignInHolder::McpRemote => one(self
                .folder("MCP_REMOTE_CONFIG_DIR")
                .or(self.home(".mcp-auth"))),
        }
    }

    /// A path in the folder for data, which some clients use on every system.
    fn data(&self, path: &str) -> Option<PathBuf> {
        let folder = self.folder("XDG_DATA_HOME").or(self.home(".local/share"))?;
        Some(folder.join(path))
    }

    /// A path in the home folder.
    fn home(&self, path: &str) -> Option<PathBuf> {
        let variables = match self.is_windows() {
            true => ["USERPROFILE", "HOME"],
            false => ["HOME", "USERPROFILE"],
        };
        let home = variables.into_iter().find_map(|name| self.folder(name))?;
        Some(home.join(path))
    }

    fn is_windows(&self) -> bool {
        self.locations.machine.system() == System::Windows
    }

    /// The path that a variable names. A relative one is ignored, because it may lead into a project.
    fn folder(&self, variable: &str) -> Option<PathBuf> {
        let value = self.locations.machine.environment().get(variable)?;
        let has_drive = value.as_bytes().get(1) == Some(&b':');
        let is_absolute =
            value.starts_with('/') || (self.is_windows() && (has_drive || value.starts_with('\\')));
        is_absolute.then(|| PathBuf::from(value))
    }
}

/// The name of the folder of a project in Cursor's data: its path, with a hyphen for each other character.
fn cursor_project(project: &Path) -> String {
    let path = project.to_string_lossy();
    let replaced = |character: char| match character.is_ascii_alphanumeric() {
        true => character,
        false => '-',
    };
    let name: String = path.chars().map(replaced).collect();
    name.trim_matches('-').to_owned()
}
