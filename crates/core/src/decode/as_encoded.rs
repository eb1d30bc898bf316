//! A fast path for lines in exactly the layout that [`encode`](crate::encode) and Codex's app-server write.
//!
//! Nearly every line of a real stream has this layout, and the general JSON decoder takes three times as long. Any other line
//! (another order, spaces, escapes) is left to the general decoder. Both give the same result for every line that this one
//! accepts (`tests/properties/decoding.rs` and the fuzz target `notification`).

use memchr::memchr2;

use super::NotificationRef;

/// The text before the first value. It contains [`METHOD`](crate::METHOD).
const START: &str = r#"{"method":"mcpServer/startupStatus/updated","params":{"threadId":"#;

/// Decodes a line in the expected layout. Returns `None` for any other line, valid or not.
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
    // Codex's app-server adds the time of sending, in ms since the Unix epoch.
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

/// Splits a string without escapes from the text after it.
fn string(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let (value, rest) = text.split_at_checked(memchr2(b'"', b'\\', text.as_bytes())?)?;
    Some((value, rest.strip_prefix('"')?))
}

/// Returns whether a line has a control character, which JSON strings may only contain as an escape (RFC 8259, section 7).
/// Checks the whole line at once, because the compiler can then check many bytes at a time.
fn has_control_character(line: &str) -> bool {
    line.bytes()
        .fold(false, |found, byte| found | (byte < 0x20))
}

/// Returns the text after a non-negative JSON integer.
fn after_integer(text: &str) -> Option<&str> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(length)?;
    (digits == "0" || !digits.is_empty() && !digits.starts_with('0')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{McpServerStatusUpdatedNotification as Notification, encode};

    /// Without this test, a changed layout would only make decoding slower, and no other test would fail.
    #[test]
    fn lines_of_encode_and_of_codex_take_the_fast_path() {
        let ours = [
            Notification::starting("a"),
            Notification::failed("é", "it's not there").with_thread_id("t"),
            Notification::reauthentication_required("a", "sign in again"),
        ]
        .map(|notification| encode(&notification));
        let codex = include_str!("../../../../tests/fixtures/codex-app-server-0.169.0.jsonl");
        for line in ours.iter().map(String::as_str).chain(codex.lines()) {
            let escaped = line.contains('\\');
            assert_eq!(read(line).is_none(), escaped, "{line}");
        }
    }

    #[test]
    fn any_other_line_is_left_to_the_general_decoder() {
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
