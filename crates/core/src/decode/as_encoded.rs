//! The layout in which [`encode`](crate::encode) and Codex's app-server write the notification, read where it stands.
//!
//! Nearly every line of a real stream has it, and reading it as any JSON costs three times as much, for what is not in it: another
//! order, spaces, escapes. A line that differs in one byte is left to the reader of any JSON; the two agree on every line that both
//! read (`tests/properties.rs`, and the fuzz target `notification`).

use memchr::memchr2;

use super::NotificationRef;

/// Everything before the first value. [`METHOD`](crate::METHOD) stands in it.
const START: &str = r#"{"method":"mcpServer/startupStatus/updated","params":{"threadId":"#;

/// `None` says nothing about the line, but that it must be read as any JSON.
pub(super) fn read(line: &str) -> Option<NotificationRef<'_>> {
    let rest = line.strip_prefix(START)?;
    if has_control_character(rest) {
        return None;
    }
    let (thread_id, rest) = nullable(rest)?;
    let (name, rest) = string(rest.strip_prefix(r#","name":"#)?)?;
    let (status, rest) = string(rest.strip_prefix(r#","status":"#)?)?;
    let (error, rest) = nullable(rest.strip_prefix(r#","error":"#)?)?;
    let (failure_reason, rest) = nullable(rest.strip_prefix(r#","failureReason":"#)?)?;
    let rest = rest.strip_prefix('}')?;
    // Codex's app-server says when it was sent, in ms since the Unix epoch.
    let rest = match rest.strip_prefix(r#","emittedAtMs":"#) {
        Some(number) => after_integer(number)?,
        None => rest,
    };
    (rest == "}").then(|| NotificationRef {
        thread_id: thread_id.map(Into::into),
        name: name.into(),
        status: status.into(),
        error: error.map(Into::into),
        failure_reason: failure_reason.map(Into::into),
    })
}

fn nullable(text: &str) -> Option<(Option<&str>, &str)> {
    if let Some(rest) = text.strip_prefix("null") {
        return Some((None, rest));
    }
    let (value, rest) = string(text)?;
    Some((Some(value), rest))
}

/// A string without an escape, and what follows it.
fn string(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let (value, rest) = text.split_at_checked(memchr2(b'"', b'\\', text.as_bytes())?)?;
    Some((value, rest.strip_prefix('"')?))
}

/// JSON has none in a string but as an escape (RFC 8259, section 7). Looked for in the whole line, many bytes at a time.
fn has_control_character(line: &str) -> bool {
    line.bytes()
        .fold(false, |found, byte| found | (byte < 0x20))
}

/// What follows an integer of JSON that is not negative.
fn after_integer(text: &str) -> Option<&str> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(length)?;
    (digits == "0" || !digits.is_empty() && !digits.starts_with('0')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{McpServerStatusUpdatedNotification as Notification, encode};

    /// What is written here, and what Codex's app-server wrote, is read here: else it would only be slow, and no test would say so.
    #[test]
    fn the_layout_is_that_of_encode_and_of_codex() {
        let ours = [
            Notification::starting("a"),
            Notification::failed("é", "it's not there").with_thread_id("t"),
            Notification::reauthentication_required("a", "sign in again"),
        ]
        .map(|said| encode(&said));
        let codex = include_str!("../../../../tests/fixtures/codex-app-server-0.169.0.jsonl");
        for line in ours.iter().map(String::as_str).chain(codex.lines()) {
            let escaped = line.contains('\\');
            assert_eq!(read(line).is_none(), escaped, "{line}");
        }
    }

    #[test]
    fn what_differs_is_left_to_the_reader_of_any_json() {
        let end = r#""name":"a","status":"ready","error":null,"failureReason":null}"#;
        let line = format!("{START}null,{end}");
        assert!(read(&format!("{line}}}")).is_some());
        for rest in [
            "",
            "}\r",
            "} ",
            "}}",
            r#","emittedAtMs":}"#,
            r#","emittedAtMs":01}"#,
            r#","emittedAtMs":-1}"#,
            r#","emittedAtMs":1.5}"#,
            r#","emittedAtMs":1,"method":"x"}"#,
            r#","id":1}"#,
        ] {
            assert!(read(&format!("{line}{rest}")).is_none(), "{rest}");
        }
        for thread in [
            "7",
            r#""\x""#,
            r#""\ud800""#,
            r#""a\""#,
            "\"a\tb\"",
            r#""a"#,
            "nul",
            "true",
            "",
            " null",
        ] {
            assert!(
                read(&format!("{START}{thread},{end}}}")).is_none(),
                "{thread}"
            );
        }
    }
}
