//! Reads the MCP servers that a user has configured, from each client's own file, into one [`ServerConfig`].
//!
//! The crate reads two formats. It detects the format from the content of the file, not from its name:
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
//! [`held_sign_ins`] reads the sign-ins that other clients hold.
//!
//! The crate guarantees:
//!
//! * An invalid entry becomes the [`EntryProblem`] of that server, with the key and the line. The other servers are
//!   still read.
//! * If an entry needs a variable that is not set, the problem names the variable. A header is never silently dropped.
//! * A blank credential is a problem, and so is a variable that only another client replaces, such as `${input:key}`.
//! * An unknown key is a warning, with the key that the user may mean, so the file of a newer client can be read. See
//!   [`ServerEntry::warnings`].
//! * No `Debug` output, error message or error source contains a secret. A key is shown up to the first colon, equals sign or white
//!   space, because some users write the value into it. Text from the file is escaped in messages, so it cannot send control codes to
//!   a terminal.
//! * The crate reads files. It never writes one, accesses the network, starts a program or prints.

pub mod clients;
mod configuration;
mod environment;
mod error;
mod escaping;
mod file;
mod foreign_variables;
mod format;
pub mod held_sign_ins;
mod mcp_remote;
mod same_server;
mod server;
mod shown;
mod spanned;
mod suggestion;
mod suspicious_values;
mod validation;
mod variable_expansion;

pub use configuration::{Configuration, CredentialSettings, CredentialStoreMode};
pub use environment::{Environment, ProcessEnvironment, codex_home, expand_tilde};
pub use error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
pub use file::{MAX_FILE_BYTES, MAX_SERVERS, read, untrusted_project_file};
pub use format::{ConfigurationFormat, parse};
pub use held_sign_ins::{HeldSignIn, HeldSignInSource};
pub use mcp_remote::{
    MAX_OPTION_FILE_BYTES, McpRemote, StorageKeys, read_option_file, unwrap_mcp_remote,
};
pub use same_server::SameServer;
pub use server::{
    BearerToken, CODEX_INHERITED_VARIABLES, ConfiguredHeader, HttpConfig, HttpSseUse,
    InheritedEnvironment, MAX_HEADERS, OAuthClient, ProtocolEra, ServerConfig, ServerEntry,
    StdioConfig, TransportConfig,
};
pub use suggestion::most_similar;
