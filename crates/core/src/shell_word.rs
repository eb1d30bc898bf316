//! Quotes a word of a command that a message suggests.

use crate::{begins_log_command, is_hidden, printable};

/// Returns a word of a command, quoted for the shells of this system if necessary. It is not shortened, so that it can be copied.
///
/// ```
/// use mcp_startup_core::shell_word;
///
/// assert_eq!(shell_word("linear"), "linear");
/// let quoted = if cfg!(windows) { "\"my server\"" } else { "'my server'" };
/// assert_eq!(shell_word("my server"), quoted);
/// ```
#[doc(hidden)]
pub fn shell_word(text: &str) -> String {
    match cfg!(windows) {
        true => word_on_windows(text),
        false => word_on_unix(text),
    }
}

/// A word for PowerShell. `cmd.exe` reads it the same way, unless it contains `%` or a character that only PowerShell can escape.
fn word_on_windows(text: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || r"-_./\:+".contains(character);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    if printable(text, usize::MAX) != text {
        let escaped = |(at, character): (usize, char)| match character {
            '"' | '`' | '$' | '“' | '”' | '„' => format!("`{character}"),
            hidden if is_hidden(hidden) || begins_log_command(&text[at..]) => {
                format!("`u{{{:x}}}", u32::from(hidden))
            }
            other => other.into(),
        };
        let text: String = text.char_indices().map(escaped).collect();
        return format!("\"{text}\"");
    }
    if !text.contains(['"', '$', '`', '%', '“', '”', '„']) {
        // A program would read a backslash before the quotation mark as an escape.
        let backslashes = text.len() - text.trim_end_matches('\\').len();
        return format!("\"{text}{}\"", r"\".repeat(backslashes));
    }
    // PowerShell reads typographic quotation marks like straight ones.
    let doubled = |character: char| match character {
        '\'' | '‘' | '’' | '‚' | '‛' => character.to_string().repeat(2),
        other => other.into(),
    };
    format!("'{}'", text.chars().map(doubled).collect::<String>())
}

/// A word for bash, zsh and fish.
fn word_on_unix(text: &str) -> String {
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

/// A word with hidden characters or a command to a CI service, as bash and zsh read it.
fn ansi_quoted(text: &str) -> String {
    let mut quoted = "$'".to_owned();
    for (at, character) in text.char_indices() {
        match character {
            '\'' | '\\' => quoted.extend(['\\', character]),
            character if is_hidden(character) || begins_log_command(&text[at..]) => {
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
            ("##[x]", r"$'\U00000023#[x]'"),
            ("linear", "linear"),
            ("my server", "'my server'"),
            ("it's", r"'it'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("--help", "'--help'"),
            ("", "''"),
        ] {
            assert_eq!(word_on_unix(name), wanted);
        }
        for (name, wanted) in [
            ("a\u{202e}\"b", "\"a`u{202e}`\"b\""),
            ("##[x]", "\"`u{23}#[x]\""),
            ("linear", "linear"),
            (r"C:\Users\Ada\config.toml", r"C:\Users\Ada\config.toml"),
            (r"C:\My Files\", r#""C:\My Files\\""#),
            ("my server", "\"my server\""),
            ("it's", "\"it's\""),
            ("$(reboot)", "'$(reboot)'"),
            ("100% it's", "'100% it''s'"),
            ("say \"hi\" to ‘her’", "'say \"hi\" to ‘‘her’’'"),
            ("a,b & c", "\"a,b & c\""),
            ("@args", "\"@args\""),
            ("--help", "\"--help\""),
            ("", "\"\""),
        ] {
            assert_eq!(word_on_windows(name), wanted);
        }
    }
}
