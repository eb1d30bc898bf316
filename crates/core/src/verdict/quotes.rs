//! Finds the words to quote: the message in an error response, or the line of a program's output, that has the reason of a failure.
//!
//! Each function takes linear time. The text is already limited, masked and without control characters.

use std::borrow::Cow;

use serde_json::Value;

/// The names of the JSON members that contain a message for users, the most specific first: RFC 6749, RFC 9457, JSON-RPC, and the usual
/// names of web frameworks.
const SENTENCES: [&str; 11] = [
    "error_description",
    "detail",
    "message",
    "errorSummary",
    "error_message",
    "errorMessage",
    "description",
    "reason",
    "msg",
    "title",
    "error",
];
/// The names of the JSON members that contain other objects or lists with such a message.
const CONTAINERS: [&str; 4] = ["error", "errors", "detail", "details"];
/// How many levels of such objects are searched.
const MAX_DEPTH: usize = 4;

/// Returns the message of an error response: the text of a JSON member that is meant for users, the text of an HTML page, or the
/// first lines of plain text. Returns `None` if the body has no words.
pub(crate) fn sentence(body: &str) -> Option<Cow<'_, str>> {
    let body = body.trim().trim_start_matches('\u{feff}').trim_start();
    let sentence = match serde_json::from_str::<Value>(body) {
        Ok(Value::String(text)) => Cow::from(text),
        Ok(json) => Cow::from(sentence_of_json(&json, 0)?),
        Err(_) if body.starts_with('<') => Cow::from(text_of_html(body)),
        Err(_) => Cow::from(body),
    };
    has_words(&sentence).then_some(sentence)
}

fn sentence_of_json(json: &Value, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    match json {
        Value::Object(members) => {
            let text = |name: &&str| {
                let text = members.get(*name)?.as_str()?;
                has_words(text).then(|| text.trim().to_owned())
            };
            // `{"error": "not_found"}` is a code. The text of another member has more information.
            let nested = CONTAINERS
                .iter()
                .filter_map(|name| members.get(*name))
                .filter(|member| !member.is_string())
                .find_map(|member| sentence_of_json(member, depth + 1));
            let (last, others) = SENTENCES.split_last()?;
            others
                .iter()
                .find_map(text)
                .filter(|found| found.contains(' ') || nested.is_none())
                .or(nested)
                .or_else(|| text(last))
        }
        Value::Array(items) => items
            .iter()
            .find_map(|item| sentence_of_json(item, depth + 1)),
        Value::String(text) => has_words(text).then(|| text.trim().to_owned()),
        _ => None,
    }
}

/// Returns the title of an HTML page, or its text if it has no title.
fn text_of_html(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|tag| {
        let start = tag + lower[tag..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        Some(page[start..end].trim())
    });
    if let Some(title) = title.filter(|title| has_words(title)) {
        return title.to_owned();
    }
    let mut text = String::new();
    let mut in_tag = false;
    for character in page.chars() {
        match character {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                text.push(' ');
            }
            _ if !in_tag => text.push(character),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Returns whether the words of an error response are about the credential of the request: it is invalid, expired or missing.
pub(crate) fn blames_credential(words: &str) -> bool {
    const CREDENTIALS: [&str; 8] = [
        "token",
        "api key",
        "api-key",
        "apikey",
        "api_key",
        "credential",
        "authorization header",
        "bearer",
    ];
    const FAULTS: [&str; 13] = [
        "invalid",
        "expired",
        "incorrect",
        "malformed",
        "badly formatted",
        "missing",
        "revoked",
        "unknown",
        "not valid",
        "bad ",
        "no longer valid",
        "must be provided",
        "required",
    ];
    let words = words.to_ascii_lowercase();
    CREDENTIALS.iter().any(|name| words.contains(name))
        && FAULTS.iter().any(|fault| words.contains(fault))
}

/// What is wrong with the output of a program that attempts to speak MCP: MCP over stdio is one JSON message a line, in UTF-8.
pub(crate) fn framing_fault(stdout: &str) -> Option<&'static str> {
    let has_json_rpc = stdout.contains("\"jsonrpc\"");
    if stdout
        .lines()
        .any(|line| starts_with_ignoring_case(line.trim_start(), "content-length:"))
    {
        return Some("it writes Content-Length headers, like a language server");
    }
    // A NUL after each ASCII character. `printable` escapes it.
    if stdout.matches("\\u{0}").count() > 4 || stdout.matches('\0').count() > 4 {
        return Some("it writes UTF-16 instead of UTF-8");
    }
    if !has_json_rpc {
        return None;
    }
    // `[INFO] {…` is the prefix of a logger.
    let is_start = |line: &str| {
        let line = line.trim_start();
        let inside = line.strip_prefix('[').unwrap_or(line);
        inside.trim_start().starts_with('{')
    };
    match stdout.lines().find(|line| line.contains("\"jsonrpc\"")) {
        Some(line) if is_start(line) && line.trim_end().ends_with(['}', ']']) => None,
        Some(line) if !is_start(line) && line.contains('{') => {
            Some("it writes other text on the line of a JSON message")
        }
        Some(line) if is_start(line) => Some("it does not end the line after a JSON message"),
        _ => Some("it writes a JSON message on several lines"),
    }
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Returns the line of a program's output that has the reason of a failure, without the notices, stack frames and hints around it.
///
/// If the program `waits`, a line that asks the user to do something is preferred to an error.
pub(crate) fn reason(output: &str, waits: bool) -> Option<Cow<'_, str>> {
    let lines: Vec<&str> = output.lines().map(last_version).collect();
    let useful = |line: &&&str| !is_noise(line);
    if waits && let Some(at) = lines.iter().rposition(|line| asks_user(line)) {
        return Some(with_next(&lines, at, |line| {
            line.to_ascii_lowercase().contains("code")
        }));
    }
    if let Some(line) = exception_of_traceback(&lines) {
        return Some(line.into());
    }
    let of_npm = |line: &&&str| npm_error(line).is_some_and(|text| !is_npm_detail(text));
    if let Some(line) = lines.iter().find(of_npm) {
        return npm_error(line).map(Cow::from);
    }
    let is_error =
        |line: &&str| !line.starts_with([' ', '\t']) && !is_noise(line) && names_error(line);
    if let Some(at) = lines.iter().rposition(is_error) {
        // The message of a Rust panic is on the next line, and so are the details after a colon.
        let continues = lines[at].trim_end().ends_with(':');
        return Some(with_next(&lines, at, |_| continues));
    }
    let last = match lines.iter().any(|line| has_words(line)) {
        true => lines.iter().rev().find(useful)?.trim(),
        false => output.trim().lines().next_back()?,
    };
    (!last.is_empty()).then(|| last.into())
}

/// Returns a line, joined with the next useful one if `continues` accepts it.
fn with_next<'a>(lines: &[&'a str], at: usize, continues: impl Fn(&str) -> bool) -> Cow<'a, str> {
    let line = lines[at].trim();
    let next = lines[at + 1..].iter().find(|line| !is_noise(line));
    match next.filter(|next| continues(next)) {
        Some(next) => format!("{line} {}", next.trim()).into(),
        None => line.into(),
    }
}

/// Returns the text of a line after the last carriage return, with which a program overwrites a progress display.
fn last_version(line: &str) -> &str {
    let mut versions = line.rsplit('\r');
    versions.find(|text| has_words(text)).unwrap_or("")
}

/// Returns the exception at the end of a Python traceback.
fn exception_of_traceback<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let is_header = |line: &&str| line.contains("Traceback (most recent call last)");
    let header = lines.iter().rposition(is_header)?;
    let after = lines[header + 1..].iter();
    let mut outside = after.filter(|line| !line.starts_with([' ', '\t', '|', '+']));
    let exception = outside.find(|line| !is_noise(line))?;
    Some(exception.trim())
}

/// Returns the text of an error line of npm.
fn npm_error(line: &str) -> Option<&str> {
    let line = line.trim();
    let text = ["npm error", "npm ERR!"]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))?;
    Some(text.trim())
}

/// Whether the text of an error line of npm only accompanies the reason.
fn is_npm_detail(text: &str) -> bool {
    const DETAILS: [&str; 9] = [
        "code ",
        "errno ",
        "syscall ",
        "path ",
        "dest ",
        "A complete log",
        "404 Note that",
        "404 tarball",
        "command ",
    ];
    !has_words(text)
        || text.chars().all(|digit| digit.is_ascii_digit())
        || DETAILS.iter().any(|detail| text.starts_with(detail))
}

/// Whether a line has no reason: a notice, a stack frame, a hint, a banner, or only punctuation.
fn is_noise(line: &str) -> bool {
    const BEGINNINGS: [&str; 24] = [
        "npm notice",
        "npm warn",
        "npm WARN",
        "npm http",
        "npm info",
        "npm verb",
        "npm error A complete log",
        "npm ERR! A complete log",
        "A complete log of this run",
        "[notice]",
        "Node.js v",
        "Bun v",
        "note: run with `RUST_BACKTRACE",
        "For more information",
        "for more information",
        "Try '",
        "Usage:",
        "usage:",
        "throw ",
        "Require stack",
        "code: '",
        "requireStack:",
        "WARNING: You are using pip",
        "Stack trace:",
    ];
    let text = line.trim();
    let is_progress_of_npm = text.starts_with("npm http") && text.contains('%');
    !has_words(text)
        || (BEGINNINGS
            .iter()
            .any(|beginning| text.starts_with(beginning))
            && !is_progress_of_npm)
        || is_stack_frame(text)
}

/// Whether a line is a frame of a stack trace: Node, Java and .NET (`at …`), Python (`File "…", line 3`), or a source location.
fn is_stack_frame(text: &str) -> bool {
    let is_call = text.strip_prefix("at ").is_some_and(|rest| {
        rest.contains([':', '(']) || rest.starts_with("async ") || rest.contains("<anonymous>")
    });
    let is_python = text.starts_with("File \"") && text.contains(", line ");
    let location = text.rsplit_once(':');
    let is_location = location.is_some_and(|(file, line)| {
        !file.contains(' ')
            && !line.is_empty()
            && line.bytes().all(|byte| byte.is_ascii_digit())
            && (file.starts_with("node:") || file.starts_with("file:") || file.starts_with('/'))
    });
    is_call || is_python || is_location
}

/// Whether a line begins like an error, possibly after a timestamp, a level or a name.
fn names_error(line: &str) -> bool {
    const WORDS: [&str; 21] = [
        "error",
        "fatal",
        "panic",
        "exception",
        "failed",
        "failure",
        "cannot",
        "can't",
        "could not",
        "couldn't",
        "unable",
        "denied",
        "missing",
        "invalid",
        "not found",
        "not set",
        "required",
        "refused",
        "unauthorized",
        "econn",
        "eaddr",
    ];
    let beginning: String = line.chars().take(120).collect();
    let beginning = beginning.to_ascii_lowercase();
    WORDS.iter().any(|word| beginning.contains(word))
}

/// Whether a line asks the user to do something in a browser.
fn asks_user(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("://")
        && [
            "open",
            "visit",
            "go to",
            "sign in",
            "log in",
            "authorize",
            "browser",
            "code",
        ]
        .iter()
        .any(|word| line.contains(word))
}
