//! The errors of this crate: a file that cannot be read, and an invalid entry of one server. They never contain secrets.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use crate::clients::ServerName;
use crate::escaping::{escape, escape_and_truncate};
use crate::suggestion::known_servers;

/// Why a file could not be read as a configuration. The kinds are stable, so you can match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigurationErrorKind {
    /// The file does not exist.
    NotFound,
    /// The path is a folder or another file that is not a regular file.
    NotAFile,
    /// The file exists but cannot be read. The source of the error has the cause.
    Unreadable,
    /// The file is larger than [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES), or has more than [`MAX_SERVERS`](crate::MAX_SERVERS) servers.
    TooLarge,
    /// The file is not valid UTF-8.
    NotUtf8,
    /// The file is not valid TOML, JSON or YAML. The error has the line and the column.
    Syntax,
    /// The file is valid TOML, JSON or YAML, but not a configuration of MCP servers. The error has the key that is missing
    /// or has the wrong type.
    NotAConfiguration,
    /// The file has no server with the requested name.
    UnknownServer,
}

impl ConfigurationErrorKind {
    /// Returns the name of the kind in JSON, in camelCase.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "notFound",
            Self::NotAFile => "notAFile",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "tooLarge",
            Self::NotUtf8 => "notUtf8",
            Self::Syntax => "syntax",
            Self::NotAConfiguration => "notAConfiguration",
            Self::UnknownServer => "unknownServer",
        }
    }
}

/// A file that could not be read as a configuration.
///
/// The message names the file, the position if there is one, the problem, and what to do. Neither the message nor
/// `Debug` nor the source contains text of the line at fault, because it may hold a token. A TOML error quotes that
/// line, and a JSON error about the type of a value quotes the value, so neither is kept as the source. I/O, UTF-8 and other JSON
/// errors are.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConfigurationError {
    kind: ConfigurationErrorKind,
    path: PathBuf,
    line: Option<u32>,
    column: Option<u32>,
    key: Option<String>,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl ConfigurationError {
    /// Returns the kind of the error.
    pub fn kind(&self) -> ConfigurationErrorKind {
        self.kind
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the line of the error, counted from 1.
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// Returns the column of the error in characters, counted from 1.
    pub fn column(&self) -> Option<u32> {
        self.column
    }

    /// Returns the key that is missing or has the wrong type, as a dotted path.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Creates an error with the message `PATH: PROBLEM`.
    pub(crate) fn new(kind: ConfigurationErrorKind, path: &Path, problem: &str) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            line: None,
            column: None,
            key: None,
            message: format!("{}: {problem}", escape(&path.to_string_lossy())),
            source: None,
        }
    }

    /// Creates an error with the message `PATH, line LINE, column COLUMN: PROBLEM`.
    pub(crate) fn at(
        kind: ConfigurationErrorKind,
        path: &Path,
        (line, column): (u32, Option<u32>),
        problem: &str,
    ) -> Self {
        let column_text = column.map_or(String::new(), |column| format!(", column {column}"));
        Self {
            line: Some(line),
            column,
            message: format!(
                "{}, line {line}{column_text}: {problem}",
                escape(&path.to_string_lossy())
            ),
            ..Self::new(kind, path, "")
        }
    }

    /// Creates the error for a file or text that is larger than [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES).
    pub(crate) fn too_large(path: &Path) -> Self {
        Self::larger_than(crate::MAX_FILE_BYTES, path)
    }

    /// Creates the error for a file that is larger than `limit` bytes.
    pub(crate) fn larger_than(limit: usize, path: &Path) -> Self {
        let mib = limit / (1024 * 1024);
        let problem = format!(
            "the file is larger than {mib} MiB, the limit for a configuration; check the path"
        );
        Self::new(ConfigurationErrorKind::TooLarge, path, &problem)
    }

    /// Fails if a table or list has too many servers.
    pub(crate) fn check_count(
        count: usize,
        line: Option<u32>,
        key: &str,
        path: &Path,
    ) -> Result<(), Self> {
        if count <= crate::MAX_SERVERS {
            return Ok(());
        }
        let limit = crate::MAX_SERVERS;
        let of_key = match key {
            "" => "the file".to_owned(),
            key => format!("`{key}`"),
        };
        let problem = format!(
            "{of_key} has {count} entries, and at most {limit} servers are read; remove entries, or check the path"
        );
        let kind = ConfigurationErrorKind::TooLarge;
        let place = (line.unwrap_or(1), None);
        Err(Self::at(kind, path, place, &problem).with_key(key))
    }

    /// Creates the error for a server that the file does not have. `known` are the names of the servers that it has.
    pub(crate) fn unknown_server<'a>(
        path: &Path,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        let hint = known_servers(name, known);
        let hint = hint.unwrap_or_else(|| "no servers are configured in it".to_owned());
        Self {
            message: format!(
                "there is no server `{}` in {}; {hint}",
                escape_and_truncate(name),
                escape(&path.to_string_lossy()),
            ),
            ..Self::new(ConfigurationErrorKind::UnknownServer, path, "")
        }
    }

    /// Creates the error for a server that no client has. `known` are the names of the servers of the clients. The path is `clients`.
    pub(crate) fn unknown_server_of_clients<'a>(
        name: &ServerName,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        let hint = known_servers(name.server(), known);
        let hint = hint.unwrap_or_else(|| "no client with servers was found".to_owned());
        let host = name.as_str().split_once('/').map(|(host, _)| host);
        let hint = match host.is_some_and(|host| host.contains(['.', ':']) && !host.ends_with(':'))
        {
            true => format!("{hint}; for a URL, write `http://` or `https://` before it"),
            false => hint,
        };
        Self {
            message: format!(
                "no client has a server `{}`; {hint}",
                escape_and_truncate(name.as_str())
            ),
            ..Self::new(
                ConfigurationErrorKind::UnknownServer,
                "clients".as_ref(),
                "",
            )
        }
    }

    pub(crate) fn with_key(self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self
        }
    }

    pub(crate) fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..self
        }
    }
}

/// A problem in the entry of one server, or a warning about it. It does not affect the other servers of the file.
///
/// No field contains a secret. Text from the file is escaped, so you can print the fields as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", place(key, *line))]
pub struct EntryProblem {
    /// The key at fault as a dotted path, for example `mcp_servers.linear.url` or `mcpServers."my server".args[1]`. Empty for
    /// a warning about the text of the file.
    pub key: String,
    /// The line in the file, counted from 1. `None` for a server that was created in code.
    pub line: Option<u32>,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// Formats a key and its line.
fn place(key: &str, line: Option<u32>) -> String {
    match (key, line) {
        ("", Some(line)) => format!("line {line}"),
        ("", None) => "the file".to_owned(),
        (key, Some(line)) => format!("{key} (line {line})"),
        (key, None) => key.to_owned(),
    }
}
