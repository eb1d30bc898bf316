//! The part of a text from a file that a message may show. Some users write a secret in place of a key, of a word or of the name of a
//! variable, so a message shows only what has the form of one.

use std::borrow::Cow;

/// The maximum length of a word in a message, in bytes.
const MAX_WORD_BYTES: usize = 30;

/// The maximum length of the name of a variable in a message, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 60;

/// The maximum length of a name with digits that is neither in upper case nor in lower case. Tokens are longer.
const MAX_MIXED_BYTES: usize = 20;

/// Replaces text that is not shown.
pub(crate) const HIDDEN: &str = "…";

/// Returns a key up to the first colon, equals sign or white space. In `"Authorization: Bearer TOKEN": ""`, the rest is the value.
pub(crate) fn key(name: &str) -> Cow<'_, str> {
    let is_separator =
        |character: char| matches!(character, ':' | '=' | '：' | '＝') || character.is_whitespace();
    let begin = name.len() - name.trim_start().len();
    let end = name[begin..]
        .find(is_separator)
        .map_or(name.len(), |end| begin + end);
    match name[end..].chars().all(is_separator) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(format!("{}{HIDDEN}", &name[..end])),
    }
}

/// Returns a text that should be one of a few words, if it looks like a word.
pub(crate) fn word(text: &str) -> Option<&str> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (!text.is_empty() && text.len() <= MAX_WORD_BYTES && text.bytes().all(is_part)).then_some(text)
}

/// Returns the name of a variable, or [`HIDDEN`] if the text is no such name or looks like a token.
pub(crate) fn variable(name: &str) -> &str {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name = name.bytes().all(is_part)
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && is_no_token(name);
    match is_name {
        true => name,
        false => HIDDEN,
    }
}

/// Whether a text is short enough for a name and does not look like a token: a long mixture of letters and digits.
pub(crate) fn is_no_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && (text.len() <= MAX_MIXED_BYTES
            || !text.bytes().any(|byte| byte.is_ascii_digit())
            || is_safe_name(text))
}

/// Whether a text is the name of a variable and has either upper-case letters and digits, or lower-case letters only. Use it for a
/// name that nothing marks as one: a shorter text may be a token too.
pub(crate) fn is_safe_name(name: &str) -> bool {
    let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && (name.bytes().all(is_upper) || name.bytes().all(is_lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_where_a_value_can_begin() {
        let cases = [
            ("Authorization: Bearer x", "Authorization…"),
            ("Authorization:x", "Authorization…"),
            ("API_KEY=x", "API_KEY…"),
            ("Bearer x", "Bearer…"),
            ("KEY\tx", "KEY…"),
            ("KEY\u{a0}x", "KEY…"),
            ("KEY：x", "KEY…"),
            ("=x", "…"),
            (" : x", " …"),
            // Nothing is hidden, so the mistake is shown.
            ("command ", "command "),
            (" command", " command"),
            ("Authorization:", "Authorization:"),
            ("X-Api-Key", "X-Api-Key"),
            ("a.b/c", "a.b/c"),
            ("", ""),
        ];
        for (name, shown) in cases {
            assert_eq!(key(name), shown);
        }
    }

    #[test]
    fn only_words_and_names_are_shown() {
        let words = [
            ("streamable_http-2", true),
            ("Bearer x", false),
            ("a:b", false),
            ("é", false),
            ("", false),
            (&"a".repeat(30), true),
            (&"a".repeat(31), false),
        ];
        for (text, is_shown) in words {
            assert_eq!(word(text).is_some(), is_shown, "{text}");
        }
        let names = [
            ("ACME_TOKEN", true),
            ("acmeToken2", true),
            ("acmeTokenOfTheProduction", true),
            ("COMPANY_S3_BUCKET_TOKEN_2", true),
            ("sk-abc", false),
            ("2FA", false),
            ("", false),
            ("ghp_aB3dEfGhIjKlMnOpQrStUv", false),
            ("0123456789abcdef", false),
            (&"A".repeat(61), false),
        ];
        for (name, is_shown) in names {
            assert_eq!(variable(name) == name, is_shown, "{name}");
        }
    }
}
