//! Makes foreign text safe to show to users.

/// Makes `text` safe to show on one line.
///
/// Replaces control characters (including line breaks and terminal escape codes), invisible characters and characters that
/// change the writing direction with a visible escape such as `\n` or `\u{1b}`. Cuts the result to at most `max_chars`
/// characters and ends it with an ellipsis if something was cut.
///
/// ```
/// use mcp_startup_core::printable;
///
/// assert_eq!(printable("a\u{1b}[31mred\n", 100), "a\\u{1b}[31mred\\n");
/// assert_eq!(printable("0123456789", 5), "0123…");
/// ```
pub fn printable(text: &str, max_chars: usize) -> String {
    // Most texts need no change. `fold` does not stop early, so the compiler can check many bytes at a time.
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
    fn control_and_direction_characters_are_escaped() {
        let hostile = "\u{1b}]0;t\u{7}\u{9b}2J\r\n\t\u{202e}evil\u{0}";
        let shown = printable(hostile, 200);
        assert!(!shown.chars().any(is_unprintable), "{shown:?}");
    }

    #[test]
    fn text_is_cut_by_characters_not_bytes() {
        assert_eq!(printable("ééééé", 5), "ééééé");
        assert_eq!(printable("éééééé", 5), "éééé…");
        assert_eq!(printable(&"\n".repeat(50), 7).chars().count(), 7);
        assert_eq!(printable("abc", 0), "…");
    }
}
