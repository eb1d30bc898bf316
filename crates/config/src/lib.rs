//! Reads the MCP servers that a user has configured, from each client's own file, into one [`ServerConfig`].
//!
//! Two formats are known, told apart by what is in the file, not by its name:
//!
//! | format | file | reference |
//! | --- | --- | --- |
//! | [`ConfigurationFormat::CodexToml`] | Codex's `config.toml`, the table `mcp_servers` | <https://developers.openai.com/codex/config-reference> |
//! | [`ConfigurationFormat::McpServersJson`] | Claude's `.mcp.json`, the object `mcpServers` | <https://code.claude.com/docs/en/mcp> |
//!
//! ```
//! use std::{collections::BTreeMap, path::Path};
//! use mcp_startup_config::{TransportConfig, parse};
//!
//! let text = r#"{"mcpServers": {"files": {"command": "${RUNNER:-npx}", "args": ["files-server"]}}}"#;
//! let configuration = parse(text, Path::new(".mcp.json"), &BTreeMap::new())?;
//! let files = configuration.servers[0].config.as_ref().map_err(Clone::clone)?;
//! assert!(matches!(&files.transport, TransportConfig::Stdio(stdio) if stdio.command == "npx"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What always holds:
//!
//! * One bad entry is that server's [`EntryProblem`], which names key and line; the others are read all the same.
//! * A variable that is needed and not set is a problem that names it, never a header that is silently missing.
//! * Unknown keys are ignored: a newer client's file can be read.
//! * No `Debug`, message or source of an error contains a secret, and text of the file in a message cannot reach a
//!   terminal as a code.
//! * Nothing here touches the network, starts a program or prints; a file is only ever read.

mod codex_toml;
mod environment;
mod error;
mod file;
mod foreign;
mod located;
mod mcp_servers_json;
mod server;
mod validation;

use std::path::PathBuf;

pub use environment::{Environment, ProcessEnvironment, codex_home, user_path};
pub use error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
pub use file::{MAXIMUM_BYTES, parse, read, stranger_configuration};
pub use server::{
    BearerToken, CODEX_INHERITED_VARIABLES, ConfiguredHeader, HttpConfig, InheritedEnvironment,
    OAuthClient, ServerConfig, ServerEntry, StdioConfig, TransportConfig,
};

/// What one file configures.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: ConfigurationFormat,
    /// Its servers in the file's order, the disabled and the unusable ones too.
    pub servers: Vec<ServerEntry>,
    /// Where credentials for them are kept.
    pub credentials: CredentialSettings,
}

impl Configuration {
    /// The servers of these names, disabled ones among them, for who names one wants it; the enabled ones, where none is named.
    /// In the file's order.
    ///
    /// # Errors
    /// [`ConfigurationErrorKind::UnknownServer`] for a name that the file does not have.
    pub fn select(&self, names: &[String]) -> Result<Vec<ServerEntry>, ConfigurationError> {
        let known = || self.servers.iter().map(|entry| entry.name.as_str());
        if let Some(unknown) = names
            .iter()
            .find(|name| !known().any(|known| known == **name))
        {
            return Err(ConfigurationError::unknown_server(
                &self.path,
                unknown,
                known(),
            ));
        }
        let mut servers = self.servers.clone();
        servers.retain(|entry| match names.is_empty() {
            true => entry.enabled,
            false => names.contains(&entry.name),
        });
        for entry in &mut servers {
            entry.enabled = true;
        }
        Ok(servers)
    }
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigurationFormat {
    /// Codex's `config.toml`.
    CodexToml,
    /// The `mcpServers` JSON of Claude's `.mcp.json`.
    McpServersJson,
}

/// Where credentials are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSettings {
    /// The folder. For a Codex configuration that of the file, else [`codex_home`]; **empty** if no variable names
    /// one, and then there is no place for them.
    pub home: PathBuf,
    /// The kind of store.
    pub mode: CredentialStoreMode,
}

/// The kind of store for OAuth credentials: Codex's `mcp_oauth_credentials_store`.
///
/// Source: <https://developers.openai.com/codex/config-reference>.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CredentialStoreMode {
    /// The system's keyring if it can be used, else the file. What holds where the file does not say.
    #[default]
    Auto,
    /// `.credentials.json` in the folder. What holds for `.mcp.json`.
    File,
    /// The system's keyring alone.
    Keyring,
    /// Something that this version does not know, as written, escaped to be shown.
    Unknown(String),
}
