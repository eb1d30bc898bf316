//! The contents of one configuration file: its servers, and where their credentials are stored.

use std::path::PathBuf;

use crate::environment::{Environment, codex_home};
use crate::error::{ConfigurationError, EntryProblem};
use crate::{ConfigurationFormat, ServerEntry};

/// The contents of one configuration file.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The path of the file.
    pub path: PathBuf,
    /// The format of the file.
    pub format: ConfigurationFormat,
    /// All servers in the order of the file, including disabled and invalid ones.
    pub servers: Vec<ServerEntry>,
    /// Where the OAuth credentials of these servers are stored.
    pub credentials: CredentialSettings,
    /// The parts of the file that other clients may not accept, such as comments in JSON. The file was read regardless.
    /// Warnings about one server are in [`ServerEntry::warnings`].
    pub warnings: Vec<EntryProblem>,
}

impl Configuration {
    /// Returns the servers with these names, in the order of the file. If `names` is empty, returns all enabled servers.
    ///
    /// A disabled server that is named is returned too. Every returned entry has [`enabled`](ServerEntry::enabled) set.
    ///
    /// # Errors
    /// Returns [`ConfigurationErrorKind::UnknownServer`](crate::ConfigurationErrorKind::UnknownServer) if the file has no
    /// server with one of the names.
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

/// Where OAuth credentials are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSettings {
    /// The folder for the credentials: the folder of the file for a Codex configuration, otherwise
    /// [`codex_home`](crate::codex_home). **Empty** if no environment variable names a folder. Credentials then can't
    /// be stored, and a sign-in fails before it begins.
    pub home: PathBuf,
    /// The kind of credential store.
    pub mode: CredentialStoreMode,
}

impl CredentialSettings {
    /// Returns the settings for the file in [`codex_home`](crate::codex_home).
    pub fn in_codex_file(environment: &dyn Environment) -> Self {
        Self {
            home: codex_home(environment).unwrap_or_default(),
            mode: CredentialStoreMode::File,
        }
    }
}

/// The kind of store for OAuth credentials: Codex's `mcp_oauth_credentials_store`.
///
/// Source: <https://developers.openai.com/codex/config-reference>.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CredentialStoreMode {
    /// The system keyring if it is available, otherwise the file. The default for a Codex configuration.
    #[default]
    Auto,
    /// The file `.credentials.json` in [`CredentialSettings::home`]. Always used for `.mcp.json`.
    File,
    /// Only the system keyring.
    Keyring,
    /// A value that this version does not know, as written in the file. `…` if it does not look like a word, because it may be a secret.
    Unknown(String),
}
