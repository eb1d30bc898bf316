//! The warning about a server that is ready but can't be fully used.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::printable::printable;

use super::MESSAGE_CHARS;
use super::facts::{Facts, text_of};
use super::program_output::is_error;
use super::quotes::sentence;

/// The kind of a warning, as a stable value for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum StartupWarningKind {
    /// The server responded to the request for its tools with an error.
    ToolListFailed,
    /// The list of tools does not conform to the schema of MCP. Most clients then show no tool of this server.
    ToolListInvalid,
    /// The server did not list its tools in time.
    ToolListTimedOut,
    /// The server listed more than 10,000 tools, or more than 100 pages or 10 MB of them. The rest was not read.
    ToolListTooLong,
    /// The program wrote text to its stdout, which MCP reserves for messages (transports, stdio). Other clients may refuse the server.
    TextOnStdout,
}

/// A problem with a server that is ready: a stable kind, and a human-readable message.
///
/// ```
/// use mcp_startup_core::{Evidence, StartupWarningKind, warn};
///
/// let evidence: Evidence = serde_json::from_str(r#"{
///     "server": "files",
///     "protocol": {"invalidMethod": "tools/list", "invalidField": "tools[1].inputSchema: must be an object, not null"}
/// }"#)?;
/// let warning = warn(StartupWarningKind::ToolListInvalid, &evidence);
/// assert_eq!(
///     warning.message,
///     "files is ready, but its list of tools is invalid, so clients may show none of them; report this to its author: \
///      tools[1].inputSchema: must be an object, not null"
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub struct StartupWarning {
    /// The kind of the warning, as a stable value for programs.
    pub kind: StartupWarningKind,
    /// A human-readable message with the problem, its cause and the next step for the user. It names the server, and is one line
    /// of at most 300 characters without control characters.
    pub message: String,
}

/// Creates a warning with the message that follows from the evidence of the start.
pub fn warn(kind: StartupWarningKind, evidence: &Evidence) -> StartupWarning {
    let message = Facts::of(evidence).warning_message(kind);
    StartupWarning {
        kind,
        message: printable(&message, MESSAGE_CHARS),
    }
}

impl Facts<'_> {
    /// Returns the status, the words or the error with which the server refused to list its tools.
    pub(super) fn tool_list_refusal(&self) -> Option<String> {
        let protocol = self.evidence.protocol.as_ref();
        let status = self.status().filter(|status| !(200..300).contains(status));
        let status = status.map(|status| format!("HTTP {status}"));
        let words = self.words().map(|words| words.into_owned());
        let error = self.protocol_error();
        let cause = text_of(&self.evidence.cause);
        // The page of a proxy or a sign-in.
        let page = protocol
            .and_then(|protocol| text_of(&protocol.not_mcp))
            .filter(|_| !self.has_event_stream())
            .and_then(sentence);
        let why = words
            .or_else(|| error.map(str::to_owned))
            .or_else(|| page.map(Cow::into_owned))
            .or_else(|| cause.map(str::to_owned));
        match (status, why) {
            (Some(status), Some(why)) => Some(format!("{status}: {why}")),
            (status, why) => status.or(why),
        }
    }

    /// Adds the error that the program reported in its output, if a refusal has no reason.
    pub(super) fn with_reported_reason(&self, refusal: String) -> String {
        let is_generic = self.words().is_none() && self.has_generic_error();
        match self.last_words() {
            Some(line) if is_generic && is_error(&line) => {
                format!("{refusal}: {line}")
            }
            _ => refusal,
        }
    }
}
