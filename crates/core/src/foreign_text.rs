//! Text that came from elsewhere and is shown to a person.

/// `text` made fit to be shown on one line: control characters (line ends and terminal codes among them) and the
/// characters that turn the direction of writing are replaced by a visible escape, and it is cut to `max_chars`
/// characters with an ellipsis.
///
/// ```
/// use mcp_startup_core::printable;
///
/// assert_eq!(printable("a\u{1b}[31mred\n", 100), "a\\u{1b}[31mred\\n");
/// assert_eq!(printable("0123456789", 5), "0123…");
/// ```
pub fn printable(text: &str, max_chars: usize) -> String {
    // Most texts are as they should be. No early end: so many bytes are looked at at once.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~');
    if text.len() <= max_chars && text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut length = 0;
    for character in text.chars() {
        let start = shown.len();
        if is_unprintable(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
        length += shown[start..].chars().count();
        if length > max_chars {
            while shown.chars().count() >= max_chars.max(1) {
                shown.pop();
            }
            shown.push('…');
            break;
        }
    }
    shown
}

fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        let hostile = "\u{1b}]0;t\u{7}\u{9b}2J\r\n\t\u{202e}evil\u{0}";
        let shown = printable(hostile, 200);
        assert!(!shown.chars().any(is_unprintable), "{shown:?}");
    }

    #[test]
    fn it_is_cut_by_characters_not_bytes() {
        assert_eq!(printable("ééééé", 5), "ééééé");
        assert_eq!(printable("éééééé", 5), "éééé…");
        assert_eq!(printable(&"\n".repeat(50), 7).chars().count(), 7);
        assert_eq!(printable("abc", 0), "…");
    }
}
