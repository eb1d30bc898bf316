//! Values that are passed on as written and are probably a mistake: a reference of 1Password, a placeholder of an example,
//! quotation marks, a long dash, and words for a shell. They are hints after a failure, never errors.

/// The hint for a reference of 1Password.
pub(crate) const REFERENCE: &str = "a reference of 1Password (`op://…`) is not replaced; write the value itself, or start the program with `op run`";

/// Returns the hint for a value, if it has one of the usual mistakes. The hint has no part of the value.
pub(crate) fn hint(value: &str) -> Option<&'static str> {
    let value = value.trim();
    if has_reference(value) {
        return Some(REFERENCE);
    }
    // `--key=VALUE`, `NAME=VALUE` and `Bearer VALUE`.
    let ends = [
        value.split_once('=').map(|(_, end)| end),
        value.split_once(' ').map(|(_, end)| end),
    ];
    let mut parts = std::iter::once(value).chain(ends.into_iter().flatten());
    if parts.any(is_placeholder) {
        return Some("it looks like the placeholder of an example; replace it with the value");
    }
    if is_quoted(value) {
        return Some(
            "the quotation marks are a part of the value, because no shell reads it; remove them",
        );
    }
    if begins_with_long_dash(value) {
        return Some("it begins with a long dash, as text programs write it; write `-` or `--`");
    }
    is_for_shell(value).then_some(
        "it is for a shell, and no shell reads it; remove it, or run the whole line with `sh -c`",
    )
}

/// Whether a program replaces references of 1Password.
pub(crate) fn replaces_references(program: &str) -> bool {
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
    name.trim_end_matches(".exe") == "op"
}

fn has_reference(value: &str) -> bool {
    let mut references = value.match_indices("op://");
    references.any(|(at, _)| !value[..at].ends_with(|before: char| before.is_alphanumeric()))
}

/// Whether a value is a name in angle brackets, such as `<YOUR_API_KEY>`, or one that begins with `YOUR_`.
fn is_placeholder(value: &str) -> bool {
    const MAX_BYTES: usize = 60;
    let is_part =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'-' | b'.');
    let in_brackets = value
        .strip_prefix('<')
        .and_then(|value| value.strip_suffix('>'));
    let name = in_brackets.unwrap_or(value);
    let is_name = !name.is_empty() && name.len() <= MAX_BYTES && name.bytes().all(is_part);
    let beginning = name.get(..5).unwrap_or_default();
    let is_yours = matches!(beginning, "YOUR_" | "your_" | "your-" | "YOUR-");
    is_name && (in_brackets.is_some() || is_yours)
}

fn is_quoted(value: &str) -> bool {
    ['"', '\'', '`'].iter().any(|quote| {
        let inner = value
            .strip_prefix(*quote)
            .and_then(|value| value.strip_suffix(*quote));
        inner.is_some_and(|inner| !inner.contains(*quote))
    })
}

/// Whether a value is an option whose hyphens were replaced by a dash.
fn begins_with_long_dash(value: &str) -> bool {
    let option = value.trim_start_matches(['–', '—', '−']);
    option.len() < value.len() && option.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// Whether a value is a redirection, such as `2>/dev/null`, or an operator between commands.
fn is_for_shell(value: &str) -> bool {
    let redirection =
        value.trim_start_matches(|first: char| first.is_ascii_digit() || first == '&');
    let is_redirection = redirection.strip_prefix('>').is_some_and(|target| {
        let target = target.trim_start_matches(['>', '|', ' ']);
        target.is_empty() || target.starts_with(['/', '&', '.', '~']) || target == "NUL"
    });
    is_redirection || matches!(value, "&&" | "||" | "|" | ";" | "<" | "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_mistakes_in_values_have_a_hint() {
        for (value, part) in [
            ("op://Personal/acme/credential", "1Password"),
            ("Bearer op://Personal/acme/credential", "1Password"),
            ("--key=op://Personal/acme/credential", "1Password"),
            ("<YOUR_API_KEY>", "placeholder"),
            ("Bearer <token>", "placeholder"),
            ("--key=<your key>", "placeholder"),
            ("your-api-key-here", "placeholder"),
            ("YOUR_TOKEN", "placeholder"),
            ("\"127.0.0.1\"", "quotation marks"),
            ("'a b'", "quotation marks"),
            ("–rm", "long dash"),
            ("—directory=/srv", "long dash"),
            ("2>/dev/null", "shell"),
            ("2>&1", "shell"),
            ("&>", "shell"),
            (">>./log", "shell"),
            ("&&", "shell"),
        ] {
            assert!(
                hint(value).is_some_and(|hint| hint.contains(part)),
                "{value}"
            );
        }
        for value in [
            "",
            "a",
            "shop://a",
            "<>",
            "<html><body>",
            "a<b>",
            "<a href=\"x\">",
            "\"",
            "\"a\" and \"b\"",
            "{\"a\":\"b\"}",
            "yours",
            "–",
            "– a",
            "a–b",
            ">=2",
            "2",
            "a && b",
            "x=>y",
        ] {
            assert_eq!(hint(value), None, "{value}");
        }
    }
}
