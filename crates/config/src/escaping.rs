//! Makes text from a configuration file safe to print: control codes and invisible characters are escaped.

/// The number of characters after which [`escape_and_truncate`] cuts a text.
const MAX_CHARACTERS: usize = 200;

/// Escapes control characters, bidirectional formatting characters and other invisible characters.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) {
            escaped.extend(character.escape_debug());
            if escaped.ends_with(character) {
                // `escape_debug` leaves some of them as they are.
                escaped.pop();
                escaped.extend(character.escape_unicode());
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
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

fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_escaped() {
        let cases = [
            ("plain é 名前 🦀 \\ \" '", "plain é 名前 🦀 \\ \" '"),
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("a\nb\tc\0", "a\\nb\\tc\\0"),
            ("\u{9b}31m", "\\u{9b}31m"),
            (
                "x\u{202e}y\u{200d}z\u{feff}",
                "x\\u{202e}y\\u{200d}z\\u{feff}",
            ),
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
