//! The report of `--format json`: stable names, one document.

use std::io::Write;

use mcp_startup_core::{
    McpServerStartupFailureReason, McpServerStartupState, StartPhase, StartupFailure, printable,
};
use serde::Serialize;

use crate::exit_status::ExitStatus;

/// The result of a check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The configuration that was read; null for the demo.
    pub configuration: Option<String>,
    /// The time the whole check took, in ms.
    pub elapsed_ms: u64,
    /// The exit status of `mcp-startup check`.
    pub exit_status: u8,
    /// The servers, in the order of the configuration.
    pub servers: Vec<ServerReport>,
}

/// The result of one start.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerReport {
    pub name: String,
    pub required: bool,
    pub status: McpServerStartupState,
    pub failure_reason: Option<McpServerStartupFailureReason>,
    /// The last phase that the start entered.
    pub phase: StartPhase,
    /// The time the start took, in ms.
    pub elapsed_ms: u64,
    /// How many tools a ready server has; null if it did not list them.
    pub tools: Option<usize>,
    /// Why it failed.
    pub failure: Option<StartupFailure>,
    /// Why a refreshed sign-in could not be saved.
    pub not_saved: Option<String>,
}

impl Report {
    pub fn new(
        configuration: Option<String>,
        elapsed_ms: u64,
        status: ExitStatus,
        servers: Vec<ServerReport>,
    ) -> Self {
        Self {
            configuration,
            elapsed_ms,
            exit_status: status.code(),
            servers,
        }
    }
}

/// Prints one JSON document on stdout. Characters that could control a terminal are escaped; they occur only in strings.
///
/// # Errors
///
/// The error of writing to stdout.
pub fn print(document: &impl Serialize) -> std::io::Result<()> {
    let mut text = String::new();
    for character in serde_json::to_string_pretty(document)?.chars() {
        // serde_json has escaped the other characters below a space.
        match is_plain(character) {
            true => text.push(character),
            false => text.push_str(&format!("\\u{:04x}", u32::from(character))),
        }
    }
    text.push('\n');
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn is_plain(character: char) -> bool {
    if matches!(character, '\n' | ' '..='~') {
        return true;
    }
    let mut utf8 = [0; 4];
    let text = character.encode_utf8(&mut utf8);
    printable(text, 10) == *text
}
