//! What can be wrong with a whole file, and with one server in it.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use crate::foreign;

/// How many names of servers an error shows.
const KNOWN_SHOWN: usize = 20;

/// Why a file could not be read as a configuration. Stable: match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigurationErrorKind {
    /// There is no file of that name.
    NotFound,
    /// A folder, or something else that is no regular file.
    NotAFile,
    /// The file is there and may not or cannot be read; the cause is the error's source.
    Unreadable,
    /// Larger than [`MAXIMUM_BYTES`](crate::MAXIMUM_BYTES).
    TooLarge,
    /// Not UTF-8 text.
    NotUtf8,
    /// Neither valid TOML nor valid JSON; line and column say where.
    Syntax,
    /// Valid, but no configuration of MCP servers; the key says what is missing or of the wrong type.
    NotAConfiguration,
    /// It configures no server of the name that was asked for.
    UnknownServer,
}

impl ConfigurationErrorKind {
    /// The kind's name on a wire, in camelCase.
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
/// Its text is one sentence or two that name the file, the place in it where there is one, and what to do. Nothing of
/// the file's contents is in it, in its `Debug` or in its source: the line at fault may well hold a token. That is why
/// a TOML error, which quotes its line, is not kept as the source; the errors of the system, of UTF-8 and of JSON are.
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
    /// What went wrong.
    pub fn kind(&self) -> ConfigurationErrorKind {
        self.kind
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line, from 1.
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> Option<u32> {
        self.column
    }

    /// The key that is missing or of the wrong type, dotted.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// `what` follows the name of the file.
    pub(crate) fn new(kind: ConfigurationErrorKind, path: &Path, what: &str) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            line: None,
            column: None,
            key: None,
            message: format!("{}: {what}", foreign::escaped(&path.to_string_lossy())),
            source: None,
        }
    }

    /// `what` follows the name of the file and the place.
    pub(crate) fn at(
        kind: ConfigurationErrorKind,
        path: &Path,
        (line, column): (u32, Option<u32>),
        what: &str,
    ) -> Self {
        let column_text = column.map_or(String::new(), |column| format!(", column {column}"));
        Self {
            line: Some(line),
            column,
            message: format!(
                "{}, line {line}{column_text}: {what}",
                foreign::escaped(&path.to_string_lossy())
            ),
            ..Self::new(kind, path, "")
        }
    }

    /// `known`: the names that the file has.
    pub(crate) fn unknown_server<'a>(
        path: &Path,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<String> = known.take(KNOWN_SHOWN).map(foreign::shown).collect();
        Self {
            message: format!(
                "there is no server `{}` in {}; it configures: {}",
                foreign::shown(name),
                foreign::escaped(&path.to_string_lossy()),
                known.join(", ")
            ),
            ..Self::new(ConfigurationErrorKind::UnknownServer, path, "")
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

/// What is wrong with one server's entry. The other servers of the file are not touched by it.
///
/// No field ever holds a secret's value, and text of the file in them is escaped, so that they can be printed as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}{}: {problem}", line.map(|line| format!(" (line {line})")).unwrap_or_default())]
pub struct EntryProblem {
    /// The key at fault as a dotted path, for example `mcp_servers.linear.url` or `mcpServers."my server".args[1]`.
    pub key: String,
    /// The line of the file, from 1. `None` for a server that was built in code.
    pub line: Option<u32>,
    /// What is wrong, and what to do about it.
    pub problem: String,
}
