//! Finds secrets that are not known, by their unmistakable shapes: a JWT, a key with the prefix of its issuer, the credential after
//! `Bearer`, the value of `api_key=`, the password in a URL. A server may print those of others, such as the one of its own backend.
//!
//! It must never hide a word of an ordinary message. So a value counts only if it has a digit, as almost every random value does.

use std::ops::Range;

use super::steps;

/// How much of a value is read to decide whether it is a secret, in bytes.
const READ_BYTES: usize = 256;
/// The shortest credential after `Bearer` or `Basic`, in bytes.
const SHORTEST_CREDENTIAL: usize = 16;
/// The shortest value of a parameter, as in `api_key=VALUE`, in bytes.
const SHORTEST_VALUE: usize = 6;
/// The shortest value after a colon and a space, which are common in sentences, in bytes.
const SHORTEST_VALUE_IN_SENTENCE: usize = 12;

/// The ends of the names of parameters whose values are secrets, in lower case and without `_` and `-`.
const NAMES: [&str; 10] = [
    "apikey",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "authtoken",
    "clientsecret",
    "secretkey",
    "password",
    "passwd",
    "token",
];
/// The longest name that is read, in bytes.
const NAME_BYTES: usize = 64;

/// The prefixes of keys, and how many letters and digits without a break follow at least.
const PREFIXES: [(&[u8], usize); 24] = [
    (b"sk-", 16),
    (b"sk_live_", 16),
    (b"sk_test_", 16),
    (b"rk_live_", 16),
    (b"ghp_", 20),
    (b"gho_", 20),
    (b"ghu_", 20),
    (b"ghs_", 20),
    (b"ghr_", 20),
    (b"github_pat_", 20),
    (b"glpat-", 16),
    (b"xoxa-", 10),
    (b"xoxb-", 10),
    (b"xoxp-", 10),
    (b"xoxr-", 10),
    (b"xoxs-", 10),
    (b"xapp-", 10),
    (b"AKIA", 16),
    (b"AIza", 20),
    (b"ya29.", 20),
    (b"npm_", 30),
    (b"hf_", 30),
    (b"lin_api_", 30),
    (b"secret_", 40),
];

/// Calls `found` with the range of each secret. Takes linear time.
pub(super) fn each(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut at = 0;
    while at < text.len() {
        steps::count(1);
        if !is_of_word(text[at]) {
            at = match password_in_url(text, at) {
                Some(password) => {
                    found(password.clone());
                    password.end
                }
                None => at + 1,
            };
            continue;
        }
        let length = text[at..].iter().take_while(|byte| is_of_word(**byte));
        let end = at + length.count();
        steps::count(end - at);
        let word = &text[at..end];
        let secret = match is_jwt(word) || has_prefix_of_key(word) {
            // A full stop may follow it.
            true => Some(at..end - trailing_periods(word)),
            false => credential_after(text, at..end).or_else(|| value_after(text, at..end)),
        };
        at = match secret {
            Some(secret) => {
                found(secret.clone());
                secret.end
            }
            None => end,
        };
    }
}

/// The characters of a name, a JWT, or a key. A credential may have others too.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn trailing_periods(word: &[u8]) -> usize {
    word.iter().rev().take_while(|byte| **byte == b'.').count()
}

fn has_digit(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
}

/// Whether a word is a JSON Web Token, or the beginning of one: the base64 of `{"` and more.
fn is_jwt(word: &[u8]) -> bool {
    const SHORTEST_PART: usize = 20;
    let first = word.split(|byte| *byte == b'.').next().unwrap_or_default();
    first.starts_with(b"eyJ") && first.len() >= SHORTEST_PART
        || first.starts_with(b"eyJ") && word.len() > first.len() + SHORTEST_PART
}

fn has_prefix_of_key(word: &[u8]) -> bool {
    let found = PREFIXES.iter().find(|(prefix, _)| word.starts_with(prefix));
    found.is_some_and(|(prefix, least)| {
        let mut runs = word[prefix.len()..].split(|byte| !byte.is_ascii_alphanumeric());
        runs.any(|run| run.len() >= *least && has_digit(run))
    })
}

/// The credential after the name of an authentication scheme.
fn credential_after(text: &[u8], scheme: Range<usize>) -> Option<Range<usize>> {
    let name = &text[scheme.clone()];
    if !name.eq_ignore_ascii_case(b"bearer") && !name.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let spaces = text[scheme.end..].iter().take_while(|byte| **byte == b' ');
    let start = scheme.end + spaces.take(READ_BYTES).count();
    // RFC 9110, section 11.2: token68.
    let is_of_token = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let length = text[start..].iter().take_while(is_of_token).count();
    steps::count(length);
    let token = &text[start..start + length];
    let is_secret = start > scheme.end && length >= SHORTEST_CREDENTIAL && has_digit(token);
    let padding = text[start + length..]
        .iter()
        .take_while(|byte| **byte == b'=');
    is_secret.then(|| start..start + length + padding.take(READ_BYTES).count())
}

/// The value of a parameter, a member or a variable whose name is that of a secret: `api_key=VALUE`, `"api_key": "VALUE"`.
fn value_after(text: &[u8], name: Range<usize>) -> Option<Range<usize>> {
    let is_token = names_secret(&text[name.clone()])?;
    let skipped = |at: usize, skips: fn(u8) -> bool| {
        let rest = text.get(at..).unwrap_or_default();
        at + rest.iter().take(8).take_while(|byte| skips(**byte)).count()
    };
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'' | b'`' | b'\\');
    let is_space = |byte: u8| byte == b' ';
    let at = skipped(skipped(name.end, is_quote), is_space);
    let separator = *text.get(at)?;
    if !matches!(separator, b'=' | b':') {
        return None;
    }
    let unquoted = skipped(at + 1, is_space);
    let start = skipped(unquoted, is_quote);
    let is_of_value =
        |byte: &u8| !byte.is_ascii_whitespace() && !b"\"'`\\&;,<>(){}[]".contains(byte);
    let length = |limit: usize| {
        let value = text[start..].iter().take(limit);
        let length = value.take_while(|byte| is_of_value(byte)).count();
        steps::count(length);
        length
    };
    let value = &text[start..start + length(READ_BYTES)];
    let is_in_sentence = unquoted > at + 1 && start == unquoted;
    let is_secret = match is_in_sentence {
        true => {
            let has_letter = value.iter().any(u8::is_ascii_alphabetic);
            value.len() >= SHORTEST_VALUE_IN_SENTENCE && has_letter && !is_token && !is_url(value)
        }
        false => value.len() >= SHORTEST_VALUE && !is_url(value),
    };
    (is_secret && has_digit(value)).then(|| start..start + length(usize::MAX))
}

/// The password in a URL whose `://` is at this place, unless it is only an example.
fn password_in_url(text: &[u8], at: usize) -> Option<Range<usize>> {
    const EXAMPLES: [&[u8]; 5] = [b"password", b"passwd", b"pass", b"pw", b"secret"];
    let rest = text[at..].strip_prefix(b"://")?;
    let ends = |byte: &&u8| !byte.is_ascii_whitespace() && !b"/?#\"'`\\<>[](){}$*".contains(byte);
    let length = rest.iter().take(READ_BYTES).take_while(ends).count();
    steps::count(length);
    let authority = &rest[..length];
    let end = authority.iter().rposition(|byte| *byte == b'@')?;
    let start = authority[..end].iter().position(|byte| *byte == b':')? + 1;
    let password = &authority[start..end];
    let is_example = EXAMPLES
        .iter()
        .any(|example| password.eq_ignore_ascii_case(example));
    let start = at + 3 + start;
    (!password.is_empty() && !is_example).then(|| start..start + password.len())
}

/// `None` if a name is not that of a secret. Otherwise, whether it is only `token`, a word that is common in messages.
fn names_secret(name: &[u8]) -> Option<bool> {
    let plain: String = name
        .iter()
        .skip(name.len().saturating_sub(NAME_BYTES))
        .filter(|byte| !matches!(byte, b'_' | b'-'))
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    let mut names = NAMES.iter();
    let found = names.find(|secret| plain.ends_with(**secret))?;
    Some(*found == "token")
}

fn is_url(value: &[u8]) -> bool {
    value.starts_with(b"http://") || value.starts_with(b"https://")
}
