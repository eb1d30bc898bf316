//! The issues of a validation in JavaScript: lists that Node displays, which are not JSON, and the lines of `z.prettifyError`.
//!
//! Each function takes linear time.

use std::borrow::Cow;
use std::collections::HashMap;

use super::has_words;

/// Returns the lines, with the issues of a validation in the line that has its reason. The number of lines does not change.
pub(super) fn with_issues(mut lines: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    // `✖ Invalid input`, and `→ at ACME_KEY` on the next line.
    for at in 1..lines.len() {
        let path = lines[at].trim().strip_prefix("→ at ").map(str::to_owned);
        if let Some(path) = path.filter(|_| lines[at - 1].starts_with("✖ ")) {
            let text = lines[at - 1].trim_start_matches("✖ ").trim_end().to_owned();
            lines[at - 1] = format!("✖ {path}: {text}").into();
            lines[at] = "".into();
        }
    }
    // `Invalid environment variables: { … }` before the exception with the same words.
    let mut headings = HashMap::new();
    let mut repeated = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim();
        let text = line.strip_prefix("Error: ").unwrap_or(line);
        match headings.get(text) {
            Some(heading) if text.len() < line.len() => repeated.push((*heading, at)),
            _ => {
                let text = text.trim_start_matches(|first: char| !first.is_alphanumeric());
                if let Some((heading, issues)) = text.split_once(": ")
                    && issues.starts_with(['[', '{'])
                {
                    headings.insert(heading.to_owned(), at);
                }
            }
        }
    }
    for (heading, summary) in repeated {
        let text = lines[heading].trim_start_matches(|first: char| !first.is_alphanumeric());
        if !text.starts_with("Error: ") {
            lines[heading] = format!("Error: {text}").into();
        }
        lines[summary] = "".into();
    }
    lines
}

/// Returns the first issue in the lines after a bracket, as Node displays it: its path and its message, or a name with its problems.
pub(super) fn displayed_issue<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut path = None;
    for line in lines {
        // The end of the list, and of an issue in it.
        if line.starts_with([']', '}']) {
            return None;
        }
        let line = line.trim();
        if line.starts_with('}') {
            path = None;
        }
        if line.starts_with("{ ") {
            let member = |name| member_on_line(line, name).and_then(text_of);
            if let Some(message) = member(" message: ") {
                return Some(with_path(member(" path: "), message));
            }
            continue;
        }
        let Some((name, value)) = line.trim_end_matches(',').split_once(": ") else {
            continue;
        };
        let name = name.trim_matches(['\'', '"']);
        let text = text_of(value);
        match (name, text) {
            ("path", Some(text)) => path = Some(text),
            ("message", Some(text)) => return Some(with_path(path, text)),
            // `ACME_KEY: [ 'Required' ]`, and `ACME_KEY: { _errors: [ 'Required' ] }`.
            (name, Some(text)) if value.starts_with(['[', '{']) && !name.starts_with('_') => {
                return Some(format!("{name}: {text}"));
            }
            _ => {}
        }
    }
    None
}

fn with_path(path: Option<String>, message: String) -> String {
    match path {
        Some(path) => format!("{path}: {message}"),
        None => message,
    }
}

/// Returns the value of a member in an object on one line: a list or a text.
fn member_on_line<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = line.split_once(name)?;
    let end = match value.chars().next()? {
        '[' => ']',
        quote @ ('\'' | '"' | '`') => quote,
        _ => return None,
    };
    let length = value[1..].find(end)?;
    Some(&value[..length + 2])
}

/// Returns the texts of a value that Node displays: `'Required'`, or `[ 'a', 'b' ]` as `a.b`.
fn text_of(value: &str) -> Option<String> {
    let value = value.strip_prefix("{ _errors: ").unwrap_or(value);
    let value = value.trim_matches(['[', ']', '{', '}', ' ']);
    let parts = value.split(", ");
    let is_quoted = value.starts_with(['\'', '"', '`']);
    let parts: Vec<&str> = parts
        .map(|part| part.trim_matches(['\'', '"', '`']))
        .collect();
    let text = match is_quoted && value.contains("', '") {
        true => parts.join("."),
        false => value.trim_matches(['\'', '"', '`']).to_owned(),
    };
    (is_quoted && has_words(&text)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::super::reason;

    #[test]
    fn the_reason_of_a_validation_names_its_first_field() {
        let rows = [
            (
                "❌ Invalid environment variables: { ACME_URL: [ 'Invalid url' ] }\nError: Invalid environment variables\n    at f (file:///x.mjs:1:5)\n",
                "Error: Invalid environment variables: { ACME_URL: [ 'Invalid url' ] }",
            ),
            (
                "❌ Invalid environment variables: [\n  {\n    code: 'invalid_type',\n    received: 'undefined',\n    path: [ 'ACME_SECRET' ],\n    message: 'Required'\n  }\n]\n    throw new Error(\"Invalid environment variables\");\n\nError: Invalid environment variables\n    at f (file:///x.mjs:1:5)\n",
                "Error: Invalid environment variables: ACME_SECRET: Required",
            ),
            (
                "❌ Invalid environment variables: {\n  ACME_URL: [ 'Required' ],\n  ACME_KEY: [ 'Required' ]\n}\nError: Invalid environment variables\n",
                "Error: Invalid environment variables: ACME_URL: Required",
            ),
            (
                "Invalid environment variables: {\n  _errors: [],\n  ACME_URL: { _errors: [ 'Required' ] }\n}\n",
                "Invalid environment variables: ACME_URL: Required",
            ),
            (
                "Failed to start: invalid configuration\n✖ Invalid input: expected string, received undefined\n  → at ACME_KEY\n",
                "✖ ACME_KEY: Invalid input: expected string, received undefined",
            ),
            (
                "Invalid input: [\n  {\n    path: [ 'a', 'b' ]\n  },\n  {\n    message: 'too long'\n  }\n]\n",
                "Invalid input: too long",
            ),
            (
                "Invalid input: [\n  { code: 'custom', path: [ 'server', 'url' ], message: \"it's empty\" }\n]\n",
                "Invalid input: server.url: it's empty",
            ),
            // No issue.
            ("Error: it failed: {\n}\n", "Error: it failed: {"),
            (
                "it failed: { code: 7 }\nError: another reason\n",
                "Error: another reason",
            ),
        ];
        for (output, expected) in rows {
            assert_eq!(reason(output, false).as_deref(), Some(expected), "{output}");
        }
    }
}
