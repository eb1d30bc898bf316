//! The files and servers of clients for JSON, as `mcp-startup clients --format json` and the language bindings report them.
//! Contains no secret.

use serde::Serialize;

use super::{ClientFile, ClientServer};
use crate::error::ConfigurationError;
use crate::escaping::escape;

/// One file of a client. See [`ClientFile`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileReport {
    /// The ID of the client.
    pub client: &'static str,
    /// `user`, `local`, `project`, `managed`, `plugin` or `system`.
    pub scope: &'static str,
    /// The path of the file.
    pub path: String,
    /// `json`, `jsonc`, `toml`, `yaml` or `script`.
    pub format: &'static str,
    /// Whether the user has approved the file in the client. `None` if that is not known or not needed.
    pub approved: Option<bool>,
    /// Why the file can't be used. `None` if it can.
    pub error: Option<FileProblem>,
    /// Why the file is not read, even though the client uses it: it is a script. `None` if it is read.
    pub not_read: Option<String>,
    /// The warnings about the file as a whole, for example about servers below a key that the client does not read.
    pub warnings: Vec<FileProblem>,
    /// The servers, in the order of the file. Empty if the file can't be used.
    pub servers: Vec<ServerReport>,
}

/// A problem of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileProblem {
    /// The line of the problem, counted from 1.
    pub line: Option<u32>,
    /// The column of the problem in characters, counted from 1.
    pub column: Option<u32>,
    /// The message, with the path.
    pub message: String,
}

/// One server in a file. See [`ClientServer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerReport {
    /// The name of the server in the client.
    pub name: String,
    /// `stdio`, `http`, `sse` or `unknown`.
    pub transport: &'static str,
    /// Whether the server is enabled in the client.
    pub enabled: bool,
    /// Whether a check can start the server: it has no problem, and everything that it needs is known.
    pub checkable: bool,
    /// Why a check can't start the server.
    pub why: Option<String>,
    /// Whether the user has approved the server in the client. `None` if that is not known or not needed.
    pub approved: Option<bool>,
}

/// Returns the report of each file.
///
/// ```
/// use mcp_startup_config::clients;
///
/// let files = clients::discover(&std::collections::BTreeMap::new(), ".".as_ref());
/// let reports = clients::report(&files);
/// assert_eq!(reports.len(), files.len());
/// ```
pub fn report(files: &[ClientFile]) -> Vec<FileReport> {
    files.iter().map(FileReport::from).collect()
}

impl From<&ClientFile> for FileReport {
    fn from(file: &ClientFile) -> Self {
        Self {
            client: file.client.id(),
            scope: file.scope.as_str(),
            path: file.path.display().to_string(),
            format: file.format.as_str(),
            approved: file.approved,
            error: file.error.as_ref().map(FileProblem::from),
            not_read: file.not_read.clone(),
            warnings: file.warnings().collect(),
            servers: file.servers.iter().map(ServerReport::from).collect(),
        }
    }
}

impl ClientFile {
    fn warnings(&self) -> impl Iterator<Item = FileProblem> {
        let path = escape(&self.path.to_string_lossy());
        self.warnings.iter().map(move |warning| FileProblem {
            line: warning.line,
            column: None,
            message: format!("{path}, {warning}"),
        })
    }
}

impl From<&ConfigurationError> for FileProblem {
    fn from(error: &ConfigurationError) -> Self {
        Self {
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        }
    }
}

impl From<&ClientServer> for ServerReport {
    fn from(server: &ClientServer) -> Self {
        let why = server.why_not_checkable();
        Self {
            name: server.entry.name.clone(),
            transport: server.transport.as_str(),
            enabled: server.entry.enabled,
            checkable: why.is_none(),
            why,
            approved: match server.from_project {
                Some(_) => Some(false),
                None => server.approved,
            },
        }
    }
}
