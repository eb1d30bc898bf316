//! Foreign text on lines of a table: its white space can't push a part of it to the beginning of a row of the terminal.

use std::borrow::Cow;

use mcp_startup_core::{is_hidden, printable};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The marks at the beginning of the rows of a table that no text of a command has.
const MARKS: [char; 3] = ['✓', '✗', '·'];

/// The text, escaped and cut as by [`printable`], in which each run of white space is one space.
pub fn one_line(text: &str, max_chars: usize) -> String {
    printable(&single_spaced(text), max_chars)
}

/// The text with each run of white space as one space. White space that [`printable`] escapes is kept.
fn single_spaced(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~');
    if text.bytes().all(is_plain) && !text.contains("  ") {
        return text.into();
    }
    let mut spaced = String::with_capacity(text.len());
    let mut was_space = false;
    for character in text.chars() {
        let is_space = is_space(character);
        match (is_space, was_space) {
            (true, true) => {}
            (true, false) => spaced.push(' '),
            (false, _) => spaced.push(character),
        }
        was_space = is_space;
    }
    spaced.into()
}

/// Whether a character is shown as an empty place. The Braille pattern without dots and the null note head are symbols in Unicode.
fn is_space(character: char) -> bool {
    character.is_whitespace() && !is_hidden(character)
        || matches!(character, '\u{2800}' | '\u{1d159}')
}

/// Whether a word that is longer than a row may be broken. One of ASCII characters, such as a URL, has to be copied, and so has a command in
/// backticks. The terminal continues it on the next row, so it must not look like a row of the table there.
pub(super) fn is_breakable(word: &str) -> bool {
    match word.contains(' ') {
        true => word.contains(MARKS),
        false => !word.is_ascii(),
    }
}

/// The parts of a word, each with at most this many columns.
pub(super) fn broken(word: &str, columns: usize) -> Vec<&str> {
    let (mut parts, mut start, mut at, mut width) = (Vec::new(), 0, 0, 0);
    for character in word.graphemes(true) {
        let more = character.width();
        if width + more > columns && at > start {
            parts.push(&word[start..at]);
            (start, width) = (at, 0);
        }
        at += character.len();
        width += more;
    }
    parts.push(&word[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_white_space_is_one_space() {
        for (text, expected) in [
            ("a b", "a b"),
            ("a  b   c", "a b c"),
            (
                "a\u{a0}\u{a0}b\u{3000}c\u{2800}\u{2003} \u{202f}d",
                "a b c d",
            ),
            ("a\u{1d159}b\u{1680}", "a b "),
            ("a\n\tb\u{2028}\u{85}", "a\\n\\tb\\u{2028}\\u{85}"),
        ] {
            assert_eq!(one_line(text, 100), expected);
        }
        for character in ('\0'..=char::MAX).filter(|character| character.is_whitespace()) {
            let shown = one_line(&format!("a{character}{character}b"), 100);
            assert!(
                shown == "a b" || shown.contains('\\'),
                "{character:?}: {shown}"
            );
        }
    }

    #[test]
    fn a_word_is_broken_between_the_characters_that_a_user_sees() {
        assert_eq!(broken("名名名e\u{301}é", 4), ["名名", "名e\u{301}é"]);
        assert_eq!(broken("名名", 1), ["名", "名"]);
        assert_eq!(broken("ab", 2), ["ab"]);
    }
}
