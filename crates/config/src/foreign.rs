//! Text that a file or its author chose, made fit to be shown: no terminal code and no invisible character survives.

/// How much of one name or word is shown.
const SHOWN_CHARACTERS: usize = 200;

/// Control, direction and other invisible characters as escapes; everything else as it is.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            shown.extend(character.escape_debug());
            if shown.ends_with(character) {
                // `escape_debug` lets some of them through.
                shown.pop();
                shown.extend(character.escape_unicode());
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// As [`escaped`], and cut after 200 characters.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", escaped(&text[..end])),
        None => escaped(text),
    }
}

/// One segment of a dotted key: bare where TOML allows it, quoted otherwise.
pub(crate) fn key_segment(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_bare {
        shown(name)
    } else {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", shown(&quoted))
    }
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_written_out() {
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
            assert_eq!(escaped(text), expected);
        }
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), 201);
    }

    #[test]
    fn segments_are_quoted_where_toml_would() {
        let cases = [
            ("linear-2_x", "linear-2_x"),
            ("my server", "\"my server\""),
            ("a.b/c", "\"a.b/c\""),
            ("", "\"\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("a\nb", "\"a\\nb\""),
        ];
        for (name, expected) in cases {
            assert_eq!(key_segment(name), expected);
        }
    }
}
