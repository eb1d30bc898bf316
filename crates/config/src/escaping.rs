//! Makes text from a configuration file safe to print: control codes and other hidden characters are escaped.

use mcp_startup_core::printable;

/// The number of characters after which [`escape_and_truncate`] cuts a text.
const MAX_CHARACTERS: usize = 200;

/// Escapes control characters, bidirectional formatting characters and other hidden characters.
pub(crate) fn escape(text: &str) -> String {
    printable(text, usize::MAX)
}

/// Escapes a text as [`escape`] does, and cuts it after 200 characters of the input.
pub(crate) fn escape_and_truncate(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", escape(&text[..end])),
        None => escape(text),
    }
}

/// Formats one segment of a dotted key: a bare key if TOML allows it, otherwise a quoted key.
pub(crate) fn format_key_segment(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_bare {
        escape_and_truncate(name)
    } else {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", escape_and_truncate(&quoted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped() {
        let cases = [
            ("plain é 名前 🦀 \\ \" '", "plain é 名前 🦀 \\ \" '"),
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("a\nb\tc\0", "a\\nb\\tc\\u{0}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            (
                "x\u{202e}y\u{200d}z\u{feff}",
                "x\\u{202e}y\\u{200d}z\\u{feff}",
            ),
            ("\u{206a}\u{e0041}\u{ad}", "\\u{206a}\\u{e0041}\\u{ad}"),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text), expected);
        }
        assert_eq!(escape_and_truncate(&"é".repeat(1000)).chars().count(), 201);
    }

    #[test]
    fn key_segments_are_quoted_as_in_toml() {
        let cases = [
            ("linear-2_x", "linear-2_x"),
            ("my server", "\"my server\""),
            ("a.b/c", "\"a.b/c\""),
            ("", "\"\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("a\nb", "\"a\\nb\""),
        ];
        for (name, expected) in cases {
            assert_eq!(format_key_segment(name), expected);
        }
    }
}
