//! A fast path for lines as [`encode`](crate::encode) and Codex's app-server write them: without white space, and with
//! the method first and the params second.
//!
//! Nearly every line of a real stream is such a line, and the general JSON decoder takes several times as long. The members of the
//! params and those after the params may be in any order, and unknown ones are skipped if their values are strings, integers,
//! booleans or null. So a new field of a newer Codex needs no change here. Any other line (escapes, an object or an array as a
//! value) is left to the general decoder. Both give the same result for every line that this one accepts
//! (`tests/properties/decoding.rs` and the fuzz target `notification`).

use memchr::memchr2;

use super::NotificationRef;

/// The text before the first member of the params. It contains [`METHOD`](crate::METHOD).
const START: &str = r#"{"method":"mcpServer/startupStatus/updated","params":{"#;

/// Decodes a line in the expected layout. Returns `None` for any other line, valid or not.
pub(super) fn read(line: &str) -> Option<NotificationRef<'_>> {
    let rest = line.strip_prefix(START)?;
    if has_control_character(rest) {
        return None;
    }
    let [mut thread_id, mut name, mut environment_id] = [None; 3];
    let [mut status, mut error, mut failure_reason] = [None; 3];
    let rest = members(rest, |key, value| {
        // If a key occurs twice, the last one counts, as in the general decoder.
        let field = match key {
            "threadId" => &mut thread_id,
            "name" => &mut name,
            "environmentId" => &mut environment_id,
            "status" => &mut status,
            "error" => &mut error,
            "failureReason" => &mut failure_reason,
            _ => return Some(()),
        };
        *field = Some(value.nullable_text()?);
        Some(())
    })?;
    let rest = match rest.strip_prefix(',') {
        // A second method or second params would count instead of the first.
        Some(rest) => members(rest, |key, _| {
            (key != "method" && key != "params").then_some(())
        })?,
        None => rest.strip_prefix('}')?,
    };
    rest.is_empty().then_some(())?;
    Some(NotificationRef {
        thread_id: thread_id.flatten().map(Into::into),
        name: name??.into(),
        environment_id: environment_id.map(|id| id.map(Into::into)),
        status: status??.into(),
        error: error.flatten().map(Into::into),
        failure_reason: failure_reason.flatten().map(Into::into),
    })
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Null,
    Text(&'a str),
    /// An integer or a boolean.
    Other,
}

impl<'a> Value<'a> {
    fn nullable_text(self) -> Option<Option<&'a str>> {
        match self {
            Self::Null => Some(None),
            Self::Text(text) => Some(Some(text)),
            Self::Other => None,
        }
    }
}

/// Passes each member of an object to `take`, from the first one on. Returns the text after the object.
fn members<'a>(
    mut rest: &'a str,
    mut take: impl FnMut(&'a str, Value<'a>) -> Option<()>,
) -> Option<&'a str> {
    loop {
        let (key, after) = string(rest)?;
        let (found, after) = value(after.strip_prefix(':')?)?;
        take(key, found)?;
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.strip_prefix('}'),
        }
    }
}

/// Splits a value without nesting from the text after it.
fn value(text: &str) -> Option<(Value<'_>, &str)> {
    match text.as_bytes().first()? {
        b'"' => string(text).map(|(text, rest)| (Value::Text(text), rest)),
        b'n' => Some((Value::Null, text.strip_prefix("null")?)),
        b't' => Some((Value::Other, text.strip_prefix("true")?)),
        b'f' => Some((Value::Other, text.strip_prefix("false")?)),
        _ => Some((Value::Other, after_integer(text)?)),
    }
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

    fn fixture(version: &&str) -> String {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");
        std::fs::read_to_string(format!("{fixtures}/codex-app-server-{version}.jsonl")).unwrap()
    }

    /// Without this test, a changed layout would only make decoding slower, and no other test would fail.
    #[test]
    fn lines_of_encode_and_of_codex_take_the_fast_path() {
        let ours = [
            Notification::starting("a"),
            Notification::failed("é", "it's not there").with_thread_id("t"),
            Notification::reauthentication_required("a", "sign in again"),
        ]
        .map(|notification| encode(&notification));
        let codex: String = crate::CODEX_VERSIONS.iter().map(fixture).collect();
        let codex = codex.lines();
        for line in ours.iter().map(String::as_str).chain(codex) {
            let escaped = line.contains('\\');
            assert_eq!(read(line).is_none(), escaped, "{line}");
        }
    }

    #[test]
    fn a_field_of_a_newer_codex_takes_the_fast_path() {
        let end = r#""status":"ready","error":null,"failureReason":null}"#;
        for line in [
            format!(r#"{START}"threadId":null,"name":"a","environmentId":"e",{end}}}"#),
            format!(r#"{START}"threadId":null,"name":"a","environmentId":null,{end}}}"#),
            format!(r#"{START}"new":"x","name":"a",{end}}}"#),
            format!(r#"{START}"name":"a","new":true,"newer":12,"newest":null,{end}}}"#),
            format!(r#"{START}"name":"a",{end},"emittedAtMs":1,"new":"x","newer":false}}"#),
        ] {
            assert!(read(&line).is_some(), "{line}");
        }
    }

    #[test]
    fn any_other_line_is_left_to_the_general_decoder() {
        let end = r#""name":"a","status":"ready","error":null,"failureReason":null}"#;
        let line = format!(r#"{START}"threadId":null,{end}"#);
        assert!(read(&format!("{line}}}")).is_some());
        for rest in [
            "",
            "}\r",
            "} ",
            "}}",
            ",}",
            r#","emittedAtMs":}"#,
            r#","emittedAtMs":01}"#,
            r#","emittedAtMs":-1}"#,
            r#","emittedAtMs":1.5}"#,
            r#","emittedAtMs":1,"method":"x"}"#,
            r#","params":null}"#,
            r#","new":{}}"#,
            r#","new":[]}"#,
        ] {
            assert!(read(&format!("{line}{rest}")).is_none(), "{rest}");
        }
        for thread in [
            "7",
            "true",
            r#""\x""#,
            r#""\ud800""#,
            r#""a\""#,
            "\"a\tb\"",
            r#""a"#,
            "nul",
            "",
            " null",
        ] {
            assert!(
                read(&format!(r#"{START}"threadId":{thread},{end}}}"#)).is_none(),
                "{thread}"
            );
        }
        for params in ["", r#""name":"a""#, r#""status":"ready","name":null"#] {
            assert!(read(&format!("{START}{params}}}}}")).is_none(), "{params}");
        }
    }
}
