//! Finds line breaks that a program has written as `\n` (two characters), as the formats of some logs do. A message is one line.
//!
//! Each function takes linear time.

use std::borrow::Cow;

const WRITTEN: &str = "\\n";
/// The longest word before a line break that is checked, in bytes.
const WORD_BYTES: usize = 200;

/// Returns the lines of a text with written line breaks. The text is one line on a terminal.
pub(super) fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(WRITTEN) {
        if at >= start && is_break(&text[..at], &text[at + WRITTEN.len()..]) {
            lines.push(text[start..at].trim_end_matches("\\r"));
            start = at + WRITTEN.len();
        }
    }
    lines.push(&text[start..]);
    lines
}

/// Returns a text on one line: a space takes the place of each line break.
pub(super) fn on_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(['\n', '\r']) && !text.contains(WRITTEN) {
        return text.into();
    }
    let parts = text.lines().flat_map(lines);
    let parts: Vec<&str> = parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(" ").into()
}

/// Whether the written line break between two texts is one, and not a part of a path of Windows, such as `C:\new` and `src\new`.
fn is_break(before: &str, after: &str) -> bool {
    let is_edge = |character: char| character.is_whitespace() || "\"'`)}]".contains(character);
    let before = before.trim_end_matches("\\r");
    let begins_next = after.is_empty()
        || after.starts_with(is_edge)
        || after.starts_with(WRITTEN)
        || after.starts_with("\\r");
    if before.is_empty() || before.ends_with(WRITTEN) || begins_next {
        return true;
    }
    // The path before it, if there is one.
    let tail = before
        .char_indices()
        .rev()
        .take_while(|(at, character)| !is_edge(*character) && before.len() - at <= WORD_BYTES)
        .last();
    let word = tail.map_or("", |(start, _)| &before[start..]);
    let is_drive = word.len() == 2 && word.ends_with(':');
    let is_path = is_drive || word.contains('\\') || word.starts_with(['.', '%']);
    let ends_sentence = word.ends_with(['.', ',', ':', ';', '!', '?'])
        || before.ends_with(|last: char| is_edge(last) && !last.is_whitespace());
    let begins_sentence = after.starts_with(|first: char| first.is_uppercase() || first == '-');
    !is_path && (ends_sentence || begins_sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_line_breaks_are_told_from_paths() {
        let rows = [
            ("no break", vec!["no break"]),
            (
                "failed: it is invalid.\\nYour token: x\\r\\n\\r\\nERR_1\\r\\n",
                vec!["failed: it is invalid.", "Your token: x", "", "ERR_1", ""],
            ),
            ("a token\\nRun it", vec!["a token", "Run it"]),
            ("Error:\\n  no key", vec!["Error:", "  no key"]),
            ("error \"x\"\\n", vec!["error \"x\"", ""]),
            ("C:\\new\\name", vec!["C:\\new\\name"]),
            ("in src\\new", vec!["in src\\new"]),
            ("in \\new\\x", vec!["in \\new\\x"]),
            ("at 50%\\nDone", vec!["at 50%", "Done"]),
            (".\\node_modules\\x", vec![".\\node_modules\\x"]),
            ("..\\..\\Name", vec!["..\\..\\Name"]),
            ("%APPDATA%\\npm", vec!["%APPDATA%\\npm"]),
            ("\\\\host\\share\\Name", vec!["\\\\host\\share\\Name"]),
            ("C:\\Users\\Node.\\nRun", vec!["C:\\Users\\Node.\\nRun"]),
        ];
        for (text, expected) in rows {
            assert_eq!(lines(text), expected, "{text}");
        }
        assert_eq!(on_one_line("a\r\n  b.\\nC\n"), "a b. C");
        assert_eq!(on_one_line("C:\\new"), "C:\\new");
    }

    #[test]
    fn a_text_of_line_breaks_takes_linear_time() {
        for text in ["\\n", "\\r", "\\r\\n", "a\\n", "\\\\n", "."] {
            let text = text.repeat(50_000 / text.len());
            assert!(on_one_line(&text).len() <= text.len());
        }
    }
}
