//! How a reader treats a line: rules, and examples that are decoded when the page is generated.

use std::fmt::Write;

use mcp_startup_core::{DecodeErrorKind, MAX_LINE_BYTES, METHOD, decode};

use super::Result;
use super::type_sections::enum_section;
use crate::generate::pages::markdown::{code, table_row};
use crate::generate::schemas::{self, string};

/// Examples of lines, each with a description.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "only the required fields",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"ready"}}"#,
    ),
    (
        "a state from a newer server",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"paused"}}"#,
    ),
    (
        "a reason from a newer server",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"failed","failureReason":"quotaExceeded"}}"#,
    ),
    (
        "an environment",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","environmentId":"e","status":"ready"}}"#,
    ),
    (
        "additional fields",
        r#"{"jsonrpc":"2.0","method":"mcpServer/startupStatus/updated","emittedAtMs":1,"params":{"name":"a","status":"ready","tools":3}}"#,
    ),
    (
        "a reason on a start that did not fail",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"ready","failureReason":"reauthenticationRequired"}}"#,
    ),
    (
        "another message",
        r#"{"method":"thread/started","params":{}}"#,
    ),
    ("a response", r#"{"id":1,"result":{}}"#),
    ("a blank line", ""),
    (
        "a name of the wrong type",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":7,"status":"ready"}}"#,
    ),
    (
        "no status",
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a"}}"#,
    ),
    ("an array", "[]"),
    ("an incomplete line", r#"{"method":"#),
];

/// Returns the section as Markdown.
pub fn section() -> Result<String> {
    let mut page = String::from(
        "\
## Reading

Writing is strict. Reading is lenient, because a newer server may send new values and fields:

* An unknown state or reason is kept as its text, and written again unchanged.
* `environmentId`, which Codex writes since 0.171, is a text or null. It is kept, and written again between `name` and `status` if
  the line has it. A notification that was not read never has it, and the strict schema does not.
* Other unknown fields of the message and of the params are dropped.
* A `failureReason` with a known state other than `failed` violates the contract. It is dropped, so that a client does not ask
  the user to sign in to a server that is ready.
* Any other well-formed message is ignored without an error.
* An invalid line is an error that names the field. If many lines are decoded, the error has the line number, and the other
  lines are not affected.

| Line | Result |
| --- | --- |
",
    );
    for (what, line) in EXAMPLES {
        let outcome = match decode(line.as_bytes()) {
            Ok(Some(notification)) => code(&serde_json::to_string(&notification)?),
            Ok(None) => "ignored".to_owned(),
            Err(error) => {
                let kind = serde_json::to_value(error.kind)?;
                let field = error
                    .field
                    .map_or_else(String::new, |field| format!(", field {}", code(field)));
                format!("error {}{field}: {}", code(string(&kind)?), error.message)
            }
        };
        let line = if line.is_empty() {
            String::new()
        } else {
            format!(": {}", code(&shortened(line)))
        };
        table_row(&mut page, &[&format!("{what}{line}"), &outcome])?;
    }
    let kinds = schemas::documented::<DecodeErrorKind>()?;
    enum_section(&mut page, "DecodeErrorKind", &kinds, "Kind")?;
    writeln!(
        page,
        "\n`MAX_LINE_BYTES` is {MAX_LINE_BYTES} ({} MiB). It limits the lines of a stream of bytes.",
        MAX_LINE_BYTES / (1024 * 1024)
    )?;
    Ok(page)
}

/// Abbreviates the method in a line, to keep the table narrow.
fn shortened(line: &str) -> String {
    line.replace(&format!("\"method\":\"{METHOD}\""), "…")
}
