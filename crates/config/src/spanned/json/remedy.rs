//! Turns an error of the JSON parser into the mistake of the user and its usual remedy. Never quotes the file, which may
//! hold a token.

use mcp_startup_core::json_problem;

use crate::escaping::escape;
use crate::spanned::mistakes;

/// Describes the problem at `offset` of a text that has neither comments nor trailing commas.
pub(super) fn describe(text: &str, offset: usize, error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(message, _)| message);
    if let Some(problem) = not_an_object(text) {
        return problem.to_owned();
    }
    let (before, rest) = text.split_at_checked(offset).unwrap_or((text, ""));
    let next = rest.chars().next();
    if error.is_eof() {
        return unclosed(text);
    }
    // The errors within a string.
    match message {
        "invalid escape" | "invalid unicode code point" => {
            return "a backslash in a string must be doubled, as in \"C:\\\\Users\"; write `\\\\` in place of `\\`"
                .to_owned();
        }
        _ if message.starts_with("control character") => {
            // The parser may point to the character before it.
            let mut near = rest.chars().take(2);
            return control_character(before, near.find(|character| character.is_control()));
        }
        _ if error.is_data() => return not_at_root(text).to_owned(),
        "recursion limit exceeded" => {
            return "values are nested too deeply; remove them".to_owned();
        }
        _ => {}
    }
    if let Some(problem) = mistakes::describe(before, rest) {
        return problem;
    }
    let previous = before.trim_end().chars().next_back();
    let problem = match next {
        Some('\'' | '`') => {
            "single quotation marks are not allowed; write double ones (\") around keys and text"
        }
        Some(';') => "a semicolon; write a comma in its place",
        Some('=') => "an equals sign; write a colon (`:`) between a key and its value",
        Some('/') => "a comment without its end; write `*/` after it, or remove it",
        Some(',') if previous == Some(',') => "one comma too many; remove it",
        Some(',' | '}' | ']') if previous == Some(':') => {
            "a key without a value; write the value after the colon"
        }
        Some(',') if matches!(previous, Some('{' | '[')) => "one comma too many; remove it",
        Some('}' | ']') if message.starts_with("trailing") => {
            "one closing bracket too many; remove it, or remove one before it"
        }
        _ if message.starts_with("trailing") => {
            "text after the closing bracket of the file; remove it, or one closing bracket too many before it"
        }
        Some('}') if message.contains("`]`") => {
            "a list is closed with `}`, or its `]` is missing; close it with `]`"
        }
        Some(']') if message.contains("`}`") => {
            "an object is closed with `]`, or its `}` is missing; close it with `}`"
        }
        Some(':') if message.contains("`]`") => {
            "a list has keys; write `{` and `}` in place of `[` and `]`"
        }
        // `"say "hello" again"`
        Some(character)
            if message.starts_with("expected `,`")
                && before.ends_with('"')
                && !character.is_whitespace()
                && !is_value_start(character) =>
        {
            "a comma is missing, or a quotation mark within a text; write it as `\\\"`"
        }
        Some(character)
            if message.starts_with("expected `,`")
                && (is_value_start(character) || character.is_alphanumeric()) =>
        {
            return format!(
                "a comma (`,`) is missing before this; write it at the end of line {}",
                before.trim_end().matches('\n').count() + 1
            );
        }
        Some('}' | ',') if message.starts_with("expected `:`") => {
            "a key without a value; write a colon (`:`) and the value after it"
        }
        _ if message.starts_with("expected `:`") => {
            "a colon (`:`) is missing between a key and its value; write it"
        }
        _ if message == "key must be a string" => {
            "a key without quotation marks; write double ones (\") around each key"
        }
        _ if message == "expected ident" || message == "expected value" => {
            return unquoted(text, offset).to_owned();
        }
        _ if message.contains("number") => {
            "not a number; write double quotation marks (\") around text"
        }
        _ => return format!("{}; fix this line", escape(&json_problem(error))),
    };
    problem.to_owned()
}

/// The problem of a file without an object. Text without the outer braces of an object is another mistake.
fn not_an_object(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let is_scalar = || {
        let parsed = serde_json::from_str::<serde_json::Value>(text);
        parsed.is_ok_and(|value| !value.is_object())
    };
    match text.chars().next() {
        None => Some("the file is empty; write {\"mcpServers\": {…}}"),
        _ if mistakes::is_yaml(text) => {
            Some("the file is written in YAML; write it in JSON: {\"mcpServers\": {…}}")
        }
        Some('[') if mistakes::is_toml(text) => {
            Some("the file is written in TOML; write it in JSON: {\"mcpServers\": {…}}")
        }
        Some('<') if !text.starts_with(mistakes::CONFLICT) => Some(
            "the file is an HTML or XML page, as a server sends it for an error; download the file again",
        ),
        Some('[') if is_scalar() => {
            Some("the file has a list; write {\"mcpServers\": {…}} in its place")
        }
        _ if is_scalar() => {
            Some("the file has no object; write {\"mcpServers\": {…}} in its place")
        }
        _ => None,
    }
}

/// The problem of a file whose root is no object, and that has more mistakes.
fn not_at_root(text: &str) -> &'static str {
    match text.trim_start().chars().next() {
        Some('"') => {
            "the outer braces are missing; write `{` before the first key, and `}` at the end of the file"
        }
        _ => "the file has no object; write {\"mcpServers\": {…}} in its place",
    }
}

/// The problem of a string that holds a control character, mostly a line break.
fn control_character(before: &str, next: Option<char>) -> String {
    let line = before.rsplit('\n').next().unwrap_or_default();
    let quote = line
        .chars()
        .rev()
        .find(|character| mistakes::is_typographic_quote(*character));
    match (next, quote) {
        (Some('\n' | '\r'), Some(quote)) => format!(
            "a string has no closing quotation mark; {quote} is a typographic one: write \" in its place"
        ),
        (Some('\n' | '\r'), None) => {
            "a string is not closed on its line; write the closing quotation mark (\"), or `\\n` for a line break"
                .to_owned()
        }
        (Some('\t'), _) => "a tab in a string; write `\\t`".to_owned(),
        _ => "a control character in a string; remove it".to_owned(),
    }
}

fn is_value_start(character: char) -> bool {
    matches!(character, '"' | '{' | '[' | '-') || character.is_ascii_digit()
}

/// The problem of a value that is not a string, number, list or object.
fn unquoted(text: &str, offset: usize) -> &'static str {
    let is_part = |byte: &u8| byte.is_ascii_alphabetic();
    let bytes = text.as_bytes();
    let (before, after) = bytes.split_at_checked(offset).unwrap_or((bytes, &[]));
    let start = before.iter().rev().take_while(|byte| is_part(byte)).count();
    let end = after.iter().take_while(|byte| is_part(byte)).count();
    let word = &bytes[before.len() - start..before.len() + end];
    let constants: [&[u8]; 3] = [b"true", b"false", b"null"];
    if constants
        .iter()
        .any(|constant| word.eq_ignore_ascii_case(constant))
    {
        return "`true`, `false` and `null` are written in lower case; correct this word";
    }
    if [&b"None"[..], b"nil", b"undefined"].contains(&word) {
        return "there is no such value; write `null`, or remove the key";
    }
    "a value without quotation marks; write double ones (\") around text"
}

/// The problem of a text that ends too early: the innermost bracket that is not closed.
fn unclosed(text: &str) -> String {
    let mut open = Vec::new();
    let mut string = None;
    let mut is_escaped = false;
    let mut line = 1;
    for byte in text.bytes() {
        match (string, byte) {
            _ if std::mem::take(&mut is_escaped) => {}
            (Some(_), b'\\') => is_escaped = true,
            (Some(_), b'"') => string = None,
            (None, b'"') => string = Some(line),
            (None, b'{' | b'[') => open.push((byte, line)),
            (None, b'}' | b']') => {
                open.pop();
            }
            _ => {}
        }
        line += usize::from(byte == b'\n');
    }
    match (string, open.last()) {
        (Some(line), _) => format!(
            "the file ends within a string; write the closing quotation mark (\") of the string in line {line}"
        ),
        (None, Some((b'{', line))) => {
            format!("the file ends too early; write the closing `}}` for the `{{` in line {line}")
        }
        (None, Some((_, line))) => {
            format!("the file ends too early; write the closing `]` for the `[` in line {line}")
        }
        (None, None) => "the file is empty; write {\"mcpServers\": {…}}".to_owned(),
    }
}
