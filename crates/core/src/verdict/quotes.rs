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
/// The line in place of the part of an output that was left out.
const CUT: &str = "…";
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

/// Returns the title of an HTML page, or its text if the title is missing or is a single word such as "Error".
fn text_of_html(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|tag| {
        let start = tag + lower[tag..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        Some(page[start..end].trim())
    });
    let title = title.filter(|title| has_words(title));
    if let Some(title) = title.filter(|title| title.contains(char::is_whitespace)) {
        return title.to_owned();
    }
    // The text of the body, without the title, styles and scripts.
    let start = lower.find("<body").or_else(|| lower.find("</head"));
    let text = visible_text(&page[start.unwrap_or(0)..]);
    match title {
        Some(title) if !has_words(&text) => title.to_owned(),
        _ => text,
    }
}

/// Returns the text of HTML outside tags, styles and scripts. It replaces the usual character references.
fn visible_text(html: &str) -> String {
    const REFERENCES: [(&str, &str); 6] = [
        ("&nbsp;", " "),
        ("&#39;", "'"),
        ("&quot;", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    let mut text = String::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        text.push(' ');
        rest = &rest[start..];
        let hidden = ["<style", "<script", "<title"]
            .into_iter()
            .find(|tag| starts_with_ignoring_case(rest, tag));
        if let Some(tag) = hidden {
            let end = rest
                .match_indices("</")
                .find(|(at, _)| starts_with_ignoring_case(&rest[at + 2..], &tag[1..]));
            rest = end.map_or("", |(at, _)| &rest[at..]);
        }
        rest = rest.find('>').map_or("", |end| &rest[end + 1..]);
    }
    text.push_str(rest);
    for (reference, character) in REFERENCES {
        text = text.replace(reference, character);
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
        Some(line) if line.trim_start().starts_with('[') && line.trim_end().ends_with(']') => {
            Some("it writes a list (batch) of messages")
        }
        Some(line) if is_start(line) && line.trim_end().ends_with(['}', ']']) => {
            // The engine removes complete lines with a message.
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(line.trim()).is_ok();
            is_json.then_some("it does not end the line after a JSON message")
        }
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
    if waits && let Some(request) = request_to_user(&lines) {
        return Some(request.into());
    }
    if let Some(line) = exception_of_group(&lines) {
        return Some(line.into());
    }
    if let Some(at) = exception_of_traceback(output, &lines) {
        // The invalid field and its problem are on the next lines.
        let lines_after = if lines[at].contains("validation error") {
            2
        } else {
            0
        };
        return Some(with_following(&lines, at, lines_after).into());
    }
    if let Some(at) = lines.iter().position(|line| is_crash(line)) {
        let continues = lines[at].trim_end().ends_with(':');
        return Some(with_following(&lines, at, usize::from(continues)).into());
    }
    // uv shows the causes of an error as a tree. The last one may have several lines.
    if let Some(at) = lines.iter().rposition(|line| line.contains("─▶ ")) {
        let cause = with_following(&lines, at, 2);
        return cause
            .split_once("─▶ ")
            .map(|(_, text)| text.to_owned().into());
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
        return Some(with_following(&lines, at, usize::from(continues)).into());
    }
    let last = match lines.iter().any(|line| has_words(line)) {
        true => lines.iter().rev().find(useful)?.trim(),
        false => output.trim().lines().next_back()?,
    };
    (!last.is_empty()).then(|| last.into())
}

/// Returns a line, joined with the next `count` useful ones.
fn with_following(lines: &[&str], at: usize, count: usize) -> String {
    let following = lines[at + 1..].iter().filter(|line| !is_noise(line));
    let parts = std::iter::once(&lines[at]).chain(following.take(count));
    parts.map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Returns the lines that ask the user to do something in a browser. The address and the code may be on lines of their own.
fn request_to_user(lines: &[&str]) -> Option<String> {
    const MAX_LINES: usize = 4;
    let useful: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| !is_noise(line))
        .collect();
    let (at, start) = (0..useful.len()).rev().find_map(|at| {
        let asks = |line: &&str| asks_user(line);
        let before = at.checked_sub(1).map(|before| useful[before]);
        match useful[at].contains("://") {
            true if asks(&useful[at]) => Some((at, at)),
            true if before.is_some_and(|line| line.trim_end().ends_with(':') && asks(&line)) => {
                Some((at, at - 1))
            }
            _ => None,
        }
    })?;
    let mut end = at + 1;
    while end < useful.len().min(at + MAX_LINES)
        && (useful[end].to_ascii_lowercase().contains("code")
            || end > at + 1 && useful[end - 1].trim_end().ends_with(':'))
    {
        end += 1;
    }
    let parts: Vec<&str> = useful[start..end].iter().map(|line| line.trim()).collect();
    Some(parts.join(" "))
}

/// Whether a line is the report of a runtime about an exception that the program did not handle. Details follow it.
fn is_crash(line: &str) -> bool {
    ["Unhandled exception. ", "Unhandled exception: ", "panic: "]
        .iter()
        .any(|beginning| line.starts_with(beginning))
}

/// Returns the text of a line after the last carriage return, with which a program overwrites a progress display.
fn last_version(line: &str) -> &str {
    let mut versions = line.rsplit('\r');
    versions.find(|text| has_words(text)).unwrap_or("")
}

/// Returns the first exception in a Python exception group, whose own line has no reason.
fn exception_of_group<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let header = lines
        .iter()
        .position(|line| line.contains("Exception Group Traceback"))?;
    let inside = lines[header + 1..].iter();
    let mut inside = inside.filter_map(|line| line.trim_start().strip_prefix("| "));
    inside.find(|text| {
        !text.starts_with([' ', '|', '+'])
            && !text.contains("Traceback (most recent call last)")
            && !text.contains("ExceptionGroup: ")
            && has_words(text)
    })
}

/// Returns the index of the exception at the end of a Python traceback.
fn exception_of_traceback(output: &str, lines: &[&str]) -> Option<usize> {
    let is_header = |line: &&str| line.contains("Traceback (most recent call last)");
    let header = lines.iter().rposition(is_header)?;
    let is_exception = |line: &&str| !line.starts_with([' ', '\t', '|', '+']) && !is_noise(line);
    // The line after the part that was left out has no beginning, so its indentation is unknown.
    let after_cut = output.lines().map(|line| line == CUT);
    let is_whole = std::iter::once(true).chain(after_cut.map(|is_cut| !is_cut));
    let mut rows = lines.iter().zip(is_whole).skip(header + 1);
    let after = rows.position(|(line, is_whole)| is_whole && is_exception(line))?;
    Some(header + 1 + after)
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
    const BEGINNINGS: [&str; 28] = [
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
        "Emitted 'error' event",
        "errno: ",
        "syscall: '",
        "address: '",
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
    const WORDS: [&str; 8] = [
        "open",
        "visit",
        "go to",
        "sign in",
        "log in",
        "authorize",
        "browser",
        "code",
    ];
    let line = line.to_ascii_lowercase();
    WORDS.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_in_the_output_of_a_program() {
        let rows = [
            (
                "Traceback (most recent call last):\n  File \"/x/server.py\", line 9, in <module>\nValidationError: 1 validation error for Settings\napi_key\n  Field required [type=missing]\n    For further information visit https://errors.example\n",
                "ValidationError: 1 validation error for Settings api_key Field required [type=missing]",
            ),
            (
                "Traceback (most recent call last):\n  File \"/x/server.py\", line 4, in <module>\n    from fastm\n…\nages/pydantic/fields.py\", line 293, in __init__\n    raise TypeError('both')\nTypeError: both\n",
                "TypeError: both",
            ),
            (
                "Unhandled exception. SqlException: Login failed for user 'mcp'.\n   at Sql.Open()\nError Number:18456,State:1\n",
                "Unhandled exception. SqlException: Login failed for user 'mcp'.",
            ),
            (
                "  + Exception Group Traceback (most recent call last):\n  |   File \"/x.py\", line 9, in <module>\n  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n  +-+---- 1 ----\n    | Traceback (most recent call last):\n    |   File \"/x.py\", line 5, in main\n    | ConnectionError: no route\n    +----\n",
                "ConnectionError: no route",
            ),
            (
                "Error: listen EADDRINUSE\n    at f (node:net:1)\nEmitted 'error' event on Server instance at:\n    at g (node:net:2) {\n  errno: -98,\n  syscall: 'listen'\n}\n",
                "Error: listen EADDRINUSE",
            ),
            (
                "panic: no such file\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:14 +0x1d8\nexit status 2\n",
                "panic: no such file",
            ),
            (
                "  × No solution found:\n  ╰─▶ Because acme was not found and you require\n      acme, we can conclude nothing.\n",
                "Because acme was not found and you require acme, we can conclude nothing.",
            ),
            (
                "error: the following arguments were not provided:\n  --root <ROOT>\n\nUsage: acme --root <ROOT>\n",
                "error: the following arguments were not provided: --root <ROOT>",
            ),
        ];
        for (output, expected) in rows {
            assert_eq!(reason(output, false).as_deref(), Some(expected), "{output}");
        }
    }

    #[test]
    fn a_request_to_the_user_has_its_address_and_its_code() {
        let rows = [
            (
                "Open https://login.example/device and enter the code F7K2\n",
                "Open https://login.example/device and enter the code F7K2",
            ),
            (
                "To sign in, visit:\n\n    https://login.example/device\n\nand enter the code:\n\n    F7K2\n\n⠙ Waiting...\n",
                "To sign in, visit: https://login.example/device and enter the code: F7K2",
            ),
            ("Listening on http://localhost:1\nlast\n", "last"),
        ];
        for (output, expected) in rows {
            assert_eq!(reason(output, true).as_deref(), Some(expected), "{output}");
        }
    }

    #[test]
    fn a_page_is_quoted_by_its_title_or_its_text() {
        let rows = [
            (
                "<title>502 Bad Gateway</title><h1>x</h1>",
                "502 Bad Gateway",
            ),
            (
                "<html><head><title>Error</title></head><body><pre>it&#39;s gone<br></pre></body>",
                "it's gone",
            ),
            ("<title>Error</title>", "Error"),
            (
                "<style>a > b {}</style><script>if (a < b) {}</script><p>Down until 14:00</p>",
                "Down until 14:00",
            ),
        ];
        for (page, expected) in rows {
            assert_eq!(sentence(page).as_deref(), Some(expected), "{page}");
        }
    }

    #[test]
    fn the_fault_of_the_framing_is_named() {
        const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":0,"result":{}}"#;
        let rows = [
            (
                MESSAGE.to_owned(),
                Some("it does not end the line after a JSON message"),
            ),
            (
                format!("[{MESSAGE}]"),
                Some("it writes a list (batch) of messages"),
            ),
            (
                format!("[INFO] {MESSAGE}"),
                Some("it writes other text on the line of a JSON message"),
            ),
            (r#"{"jsonrpc":"2.0", nonsense}"#.to_owned(), None),
            ("{\"msg\":\"hello\"}".to_owned(), None),
        ];
        for (stdout, expected) in rows {
            assert_eq!(framing_fault(&stdout), expected, "{stdout}");
        }
    }
}
