//! The file formats, one module each. A format module turns the text of a file into a
//! [`Configuration`]; it never reads the file itself.

mod codex_toml;
mod mcp_servers_json;
mod oauth;

use std::path::Path;

use crate::error::{ConfigurationError, ConfigurationErrorKind};
use crate::server::ServerEntry;
use crate::spanned::{KeyPath, Spanned, Value};
use crate::{Configuration, Environment, MAX_FILE_BYTES};

/// The format of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigurationFormat {
    /// Codex's `config.toml`.
    CodexToml,
    /// The `mcpServers` JSON of Claude's `.mcp.json`.
    McpServersJson,
}

impl ConfigurationFormat {
    /// Detects the format of a text: text that begins with `{` is JSON, any other text is TOML.
    fn detect(text: &str) -> Self {
        if text.trim_start().starts_with('{') {
            Self::McpServersJson
        } else {
            Self::CodexToml
        }
    }
}

/// Parses the text of a configuration file and detects its format: text that begins with `{` is `mcpServers` JSON, any
/// other text is Codex's TOML.
///
/// `path` appears in messages. For a Codex configuration, its folder is also where credentials are stored. The file is
/// not read. A server with an invalid entry is part of the result, with its [`EntryProblem`](crate::EntryProblem).
///
/// # Errors
/// Returns an error if the text as a whole is not a configuration. [`ConfigurationError::kind`] has the reason.
///
/// ```
/// use std::{collections::BTreeMap, path::Path};
/// use mcp_startup_config::{ConfigurationFormat, TransportConfig, parse};
///
/// let text = r#"
/// [mcp_servers.docs]
/// url = "https://example.com/mcp"
/// bearer_token_env_var = "DOCS_TOKEN"
///
/// [mcp_servers.broken]
/// url = "ftp://example.com"
/// "#;
/// let environment = BTreeMap::from([("DOCS_TOKEN".to_owned(), "s3cret".to_owned())]);
/// let configuration = parse(text, Path::new("/srv/codex/config.toml"), &environment)?;
///
/// assert_eq!(configuration.format, ConfigurationFormat::CodexToml);
/// assert_eq!(configuration.credentials.home, Path::new("/srv/codex"));
/// let docs = configuration.servers[0].config.as_ref().map_err(Clone::clone)?;
/// assert!(matches!(&docs.transport, TransportConfig::Http(http) if http.bearer.is_some()));
/// let problem = configuration.servers[1].config.as_ref().unwrap_err();
/// assert_eq!((problem.key.as_str(), problem.line), ("mcp_servers.broken.url", Some(7)));
/// assert!(!format!("{configuration:?}").contains("s3cret"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parse(
    text: &str,
    path: &Path,
    environment: &dyn Environment,
) -> Result<Configuration, ConfigurationError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(ConfigurationError::too_large(path));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match ConfigurationFormat::detect(text) {
        ConfigurationFormat::CodexToml => codex_toml::parse(text, path, environment),
        ConfigurationFormat::McpServersJson => mcp_servers_json::parse(text, path, environment),
    }
}

/// Reads each server of the table at `key`. `required_type` is what the format calls a table, for the error message.
fn server_entries(
    key: &str,
    found: &Spanned,
    required_type: &str,
    file: &Path,
    read: impl Fn(&str, KeyPath, &Spanned) -> ServerEntry,
) -> Result<Vec<ServerEntry>, ConfigurationError> {
    let Value::Table(entries) = &found.value else {
        let problem = format!("`{key}` must be {required_type} with one entry for each server");
        let kind = ConfigurationErrorKind::NotAConfiguration;
        let place = (found.line.unwrap_or(1), None);
        return Err(ConfigurationError::at(kind, file, place, &problem).with_key(key));
    };
    let root = KeyPath::new(key);
    let entries = entries.iter();
    Ok(entries
        .map(|(name, entry)| read(name, root.child(name, entry.line), entry))
        .collect())
}
