//! Quotes a word of a command that a message suggests.

use crate::{is_hidden, printable};

/// Returns a word of a command, quoted for a shell if necessary. It is not shortened, so that it can be copied.
///
/// ```
/// use mcp_startup_core::shell_word;
///
/// assert_eq!(shell_word("linear"), "linear");
/// assert_eq!(shell_word("it's"), r"'it'\''s'");
/// ```
#[doc(hidden)]
pub fn shell_word(text: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_./@:+".contains(character);
    let shown = printable(text, usize::MAX);
    if shown != text {
        return ansi_quoted(text);
    }
    match !shown.is_empty() && !shown.starts_with('-') && shown.chars().all(plain) {
        true => shown,
        false => format!("'{}'", shown.replace('\'', r"'\''")),
    }
}

/// A word with hidden characters, as bash and zsh read it.
fn ansi_quoted(text: &str) -> String {
    let mut quoted = "$'".to_owned();
    for character in text.chars() {
        match character {
            '\'' | '\\' => quoted.extend(['\\', character]),
            character if is_hidden(character) => {
                quoted += &format!("\\U{:08x}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_name_is_quoted_for_a_shell() {
        for (name, wanted) in [
            ("a\u{202e}'b", r"$'a\U0000202e\'b'"),
            ("linear", "linear"),
            ("my server", "'my server'"),
            ("it's", r"'it'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("--help", "'--help'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(name), wanted);
        }
    }
}
