//! Prints the documents of `--format json` and the lines of `--format ndjson`.

use std::fmt::Write as _;
use std::io::Write as _;

use mcp_startup::config::clients::NotChecked;
use mcp_startup::config::{Configuration, EntryProblem};
use mcp_startup_core::{
    ConfigurationEvidence, McpServerStatusUpdatedNotification, begins_log_command, encode,
    is_hidden,
};
use serde::Serialize;

use crate::documents::{CheckReport, CheckedServer};
use crate::output::exit_status::ExitStatus;
use crate::output::stdout;

/// The configuration of a check, for its report.
#[derive(Debug, Default)]
pub struct CheckedConfiguration {
    /// The path of the file with all servers, unescaped, because the report is for programs. `None` if there are several, and for the demo.
    pub path: Option<String>,
    pub warnings: Vec<ConfigurationEvidence>,
}

impl CheckedConfiguration {
    pub fn of(configuration: &Configuration) -> Self {
        let warnings = configuration.warnings.iter();
        Self {
            path: Some(configuration.path.display().to_string()),
            warnings: warnings.map(warning).collect(),
        }
    }
}

/// Converts a warning about a file for a report.
pub fn warning(problem: &EntryProblem) -> ConfigurationEvidence {
    ConfigurationEvidence {
        key: Some(problem.key.clone()).filter(|key| !key.is_empty()),
        line: problem.line,
        problem: Some(problem.problem.clone()),
    }
}

impl CheckReport {
    pub(crate) fn new(
        checked: CheckedConfiguration,
        elapsed_ms: u64,
        status: ExitStatus,
        servers: Vec<CheckedServer>,
        not_checked: Vec<NotChecked>,
    ) -> Self {
        Self {
            configuration: checked.path,
            configuration_warnings: checked.warnings,
            elapsed_ms,
            exit_status: status.code(),
            servers,
            not_checked,
        }
    }
}

/// Prints one JSON document on stdout, with hidden characters escaped.
///
/// # Errors
///
/// The error of writing to stdout.
pub fn print(document: &impl Serialize) -> std::io::Result<()> {
    write_json(&serde_json::to_string_pretty(document)?)
}

/// Prints a notification on stdout as one line of JSON, with hidden characters escaped.
///
/// # Errors
///
/// The error of writing to stdout.
pub fn print_line(notification: &McpServerStatusUpdatedNotification) -> std::io::Result<()> {
    write_json(&encode(notification))
}

/// Prints a text on stdout that has no hidden characters.
///
/// # Errors
///
/// The error of writing to stdout.
pub fn print_text(text: &str) -> std::io::Result<()> {
    let mut stdout = stdout::plain();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn write_json(json: &str) -> std::io::Result<()> {
    let mut text = escape(json);
    text.push('\n');
    let mut stdout = stdout::plain();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// The same JSON value, with each hidden character as `\uXXXX`, and so the first character of a command that a CI service would obey. Only
/// the line breaks between tokens are kept: hidden characters occur only in strings, where serde_json has already escaped the line breaks.
/// A line begins with no string, so it begins with no command either.
fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + 1);
    for (at, character) in json.char_indices() {
        let is_hidden = character != '\n' && is_hidden(character);
        if is_hidden || begins_log_command(&json[at..]) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Formatting into a string can't fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_json_is_equal_as_json_and_has_no_hidden_character() {
        let every: String = ('\0'..=char::MAX).collect();
        let document = serde_json::json!({ "text": every, "\u{202e}": ["\u{9b}", "a\u{e0041}b"] });
        for json in [
            serde_json::to_string(&document).unwrap_or_default(),
            serde_json::to_string_pretty(&document).unwrap_or_default(),
        ] {
            let escaped = escape(&json);
            let is_bad = |character: char| character != '\n' && is_hidden(character);
            assert!(!escaped.contains(is_bad));
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&escaped).ok(),
                Some(document.clone())
            );
        }
        assert_eq!(
            escape(r###"["##[x]", "##vso["]"###),
            r##"["\u0023#[x]", "\u0023#vso["]"##
        );
        assert_eq!(
            escape("[\"\u{202e}\u{e0041}\"]"),
            r#"["\u202e\udb40\udc41"]"#
        );
    }
}
