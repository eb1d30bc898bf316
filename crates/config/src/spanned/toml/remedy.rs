//! Turns an error of the TOML parser into the mistake of the user and its usual remedy. Never quotes the file, which may
//! hold a token.

use crate::escaping::escape_and_truncate;
use crate::spanned::mistakes;

/// Describes the problem at `offset` of a text. `message` is the message of the parser.
pub(super) fn describe(text: &str, offset: usize, message: &str) -> String {
    let (before, rest) = text.split_at_checked(offset).unwrap_or((text, ""));
    if let Some(problem) = mistakes::describe(before, rest) {
        return problem;
    }
    if mistakes::is_yaml(text) {
        return "the file is written in YAML; write it in JSON: {\"mcpServers\": {…}}".to_owned();
    }
    let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
    let next = rest.chars().next();
    if rest.starts_with("//") || line.starts_with('/') {
        return "a comment of another language; in TOML, a comment begins with `#`".to_owned();
    }
    if text.trim_start().starts_with('{') {
        return "the file is written in JSON; write it in TOML, with a table for each server: [mcp_servers.NAME]"
            .to_owned();
    }
    let begins_as_json = text.trim_start().strip_prefix('[');
    if begins_as_json.is_some_and(|rest| rest.trim_start().starts_with('{')) {
        return "a JSON file must have the form {\"mcpServers\": {…}}; write its servers there"
            .to_owned();
    }
    let has = |part: &str| message.contains(part);
    let problem = if has("unicode value") || has("escaped value") {
        "a backslash between double quotation marks must be doubled; double it, or write single quotation marks: 'C:\\Users'"
    } else if (next == Some(':') || line.trim_end().ends_with(':'))
        && (has("key with no value") || has("missing assignment"))
    {
        "a colon; write an equals sign (`=`) between a key and its value"
    } else if has("missing assignment") || has("key with no value") {
        "a key without a value; write an equals sign (`=`) and the value after it"
    } else if has("duplicate key") {
        "duplicate key; a key and a table may occur only once: remove one of them"
    } else if has("missing comma between array") {
        "a comma or the closing bracket of a list is missing; write `,` between items, and `]` at the end"
    } else if has("missing comma") {
        "a comma is missing; write `,` between the keys in braces"
    } else if has("unexpected key or value") && matches!(next, Some(',' | ';')) {
        "a comma or semicolon at the end of the line; remove it"
    } else if has("unexpected key or value") {
        "more text after the value; write each key on a line of its own"
    } else if has("unclosed table") || has("unclosed array table") {
        match next {
            None | Some('\n' | '\r') => "the bracket is not closed; write `]`",
            _ => {
                "a name with a space or another special character; write quotation marks around it: [mcp_servers.\"my server\"]"
            }
        }
    } else if has("unquoted key") {
        "a key with a special character; write quotation marks around it"
    } else if has("invalid basic string") || has("invalid literal string") {
        "a string is not closed on its line; write its closing quotation mark"
    } else if has("must be quoted") || has("invalid boolean") || has("invalid float") {
        unquoted(rest)
    } else {
        return format!("{}; fix this line", escape_and_truncate(message));
    };
    problem.to_owned()
}

/// The problem of a value that is not a string, number, list or table.
fn unquoted(rest: &str) -> &'static str {
    let end = rest.find(|character: char| !character.is_ascii_alphabetic());
    let word = &rest[..end.unwrap_or(rest.len())];
    if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") {
        return "`true` and `false` are written in lower case; correct this word";
    }
    match rest.chars().next() {
        None | Some('\n' | '\r' | '#') => "a key without a value; write the value after `=`",
        _ => "text without quotation marks; write double ones (\") around it",
    }
}
