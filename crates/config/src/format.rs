//! The file formats, one module each. A format module turns the text of a file into a
//! [`Configuration`]; it never reads the file itself.

pub(crate) mod codex_toml;
pub(crate) mod known_keys;
mod mcp_servers_json;
pub(crate) mod oauth;

use std::cell::Cell;
use std::path::Path;

use crate::error::{ConfigurationError, ConfigurationErrorKind, EntryProblem};
use crate::foreign_variables::{self, PossibleVariable};
use crate::server::{ProtocolEra, ServerEntry};
use crate::spanned::json::lenient;
use crate::spanned::{Field, KeyPath, Spanned, Table, Value};
use crate::suspicious_values;
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
    /// Detects the format of a text: text that begins with `{` is JSON, and so is a file whose name ends with `.json`. Any other text
    /// is TOML. Comments of JSON are skipped.
    fn detect(text: &str, path: &Path) -> Self {
        let text = lenient::trim_start(text);
        let is_json_file = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if is_json_file || text.starts_with('{') || begins_with_json_key(text) {
            Self::McpServersJson
        } else {
            Self::CodexToml
        }
    }
}

/// Reads the era of MCP, a key that no other client has.
pub(crate) fn protocol_era(entry: &Table<'_>) -> Result<ProtocolEra, EntryProblem> {
    let era = oauth::either(|key| entry.string(key), &["protocol_era", "protocolEra"])?;
    let Some(era) = era else {
        return Ok(ProtocolEra::Auto);
    };
    match era.value {
        "auto" => Ok(ProtocolEra::Auto),
        "legacy" => Ok(ProtocolEra::Legacy),
        "modern" => Ok(ProtocolEra::Modern),
        _ => Err(era.path.problem("must be `auto`, `legacy` or `modern`")),
    }
}

/// Whether a text begins with `"key":`, as JSON without its outer braces does. TOML has no colon there.
fn begins_with_json_key(text: &str) -> bool {
    let key = text.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    key.is_some_and(|(key, rest)| !key.contains('\n') && rest.trim_start().starts_with(':'))
}

/// Parses the text of a configuration file and detects its format: text that begins with `{`, and the text of a file whose name
/// ends with `.json`, is `mcpServers` JSON. Any other text is Codex's TOML.
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
    match ConfigurationFormat::detect(text, path) {
        ConfigurationFormat::CodexToml => codex_toml::parse(text, path, environment),
        ConfigurationFormat::McpServersJson => mcp_servers_json::parse(text, path, environment),
    }
}

/// Reads each server of the table at `root`.
fn server_entries(
    root: &KeyPath,
    found: &Spanned,
    file: &Path,
    read: impl Fn(&str, KeyPath, &Spanned, Warnings<'_>) -> ServerEntry,
) -> Result<Vec<ServerEntry>, ConfigurationError> {
    let Value::Table(entries) = &found.value else {
        let (key, table) = (root.as_str(), root.table());
        let problem = format!("`{key}` must be {table} with one entry for each server");
        let kind = ConfigurationErrorKind::NotAConfiguration;
        let place = (found.line.unwrap_or(1), None);
        return Err(ConfigurationError::at(kind, file, place, &problem).with_key(key));
    };
    ConfigurationError::check_count(entries.len(), found.line, root.as_str(), file)?;
    let comparisons = Cell::new(MAX_COMPARED_KEYS);
    let entries = entries.iter();
    Ok(entries
        .map(|(name, entry)| {
            let path = root.named(name, entry.line);
            read(name, path, entry, Warnings::new(&comparisons))
        })
        .collect())
}

/// The maximum number of warnings about one server, or about the file.
const MAX_WARNINGS: usize = 20;

/// The maximum number of unknown keys of a file that are compared with the known ones.
pub(crate) const MAX_COMPARED_KEYS: usize = 1000;

/// The warnings about one server, or about the file.
pub(crate) struct Warnings<'a> {
    pub(crate) list: Vec<EntryProblem>,
    pub(crate) compatibility: Vec<EntryProblem>,
    /// See [`ServerConfig::possible_causes`](crate::ServerConfig::possible_causes).
    pub(crate) possible_causes: Vec<EntryProblem>,
    /// How many more unknown keys of the file may be compared with the known ones.
    comparisons: &'a Cell<usize>,
}

impl<'a> Warnings<'a> {
    pub(crate) fn new(comparisons: &'a Cell<usize>) -> Self {
        Self {
            list: Vec::new(),
            compatibility: Vec::new(),
            possible_causes: Vec::new(),
            comparisons,
        }
    }

    pub(crate) fn push(&mut self, warning: EntryProblem) {
        if self.list.len() < MAX_WARNINGS {
            self.list.push(warning);
        }
    }

    pub(crate) fn push_compatibility(&mut self, warning: EntryProblem) {
        if self.compatibility.len() < MAX_WARNINGS {
            self.compatibility.push(warning);
        }
    }

    pub(crate) fn push_possible_cause(&mut self, cause: EntryProblem) {
        if self.possible_causes.len() < MAX_WARNINGS {
            self.possible_causes.push(cause);
        }
    }

    /// Notes text in a value that looks like a variable, or like another usual mistake, and is passed on as written. `remedy` returns the text for the name of
    /// the variable.
    pub(crate) fn note_possible_variable(
        &mut self,
        path: &KeyPath,
        text: &str,
        environment: &dyn Environment,
        remedy: impl Fn(&str) -> String,
    ) {
        let name = match foreign_variables::find_possible(text, environment) {
            Some(PossibleVariable::Named(name)) => name,
            Some(PossibleVariable::Unnamed) => "NAME",
            None => {
                let value = text.split_once('=').map_or(text, |(_, value)| value);
                if [text, value]
                    .iter()
                    .any(|text| *text == "~" || text.starts_with("~/"))
                {
                    let problem = "`~` is passed on as written; if the program does not replace it, write the full path";
                    self.push_possible_cause(path.problem(problem));
                } else if let Some(hint) = suspicious_values::hint(text) {
                    self.push_possible_cause(path.problem(hint));
                }
                return;
            }
        };
        self.push_possible_cause(path.problem(remedy(name)));
    }

    /// Removes the hints about references that the program replaces itself.
    pub(crate) fn drop_replaced_references(&mut self, program: &str) {
        if suspicious_values::replaces_references(program) {
            self.possible_causes
                .retain(|cause| cause.problem != suspicious_values::REFERENCE);
        }
    }

    /// Whether one more unknown key may be compared.
    pub(crate) fn may_compare(&self) -> bool {
        let left = self.comparisons.get();
        self.comparisons.set(left.saturating_sub(1));
        left > 0
    }
}

/// Reads `command`. Other clients have the whole command line there, as a list.
pub(crate) fn command<'a>(entry: &Table<'a>) -> Result<Option<Field<&'a str>>, EntryProblem> {
    match entry.value("command") {
        Some(Value::List(_)) => Err(entry.problem(
            "command",
            "must be a string, not a list; write its first item as `command` and the others as `args`",
        )),
        Some(Value::Table(_)) => Err(entry.problem(
            "command",
            format!(
                "must be a string, not {}; write the program as `command`, and `args` and `env` as keys of the entry",
                entry.path.table()
            ),
        )),
        _ => entry.string("command"),
    }
}

/// Whether a program is a shell, which has variables of its own.
fn is_shell(command: &str) -> bool {
    let name = command.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.strip_suffix(".exe").unwrap_or(name);
    matches!(
        name,
        "sh" | "bash" | "zsh" | "dash" | "ash" | "ksh" | "fish" | "cmd" | "powershell" | "pwsh"
    )
}
