//! Hides the secrets that a start was given in whatever text comes back.

use std::fmt;
use std::ops::Range;

use mcp_startup_core::printable;
use secrecy::{ExposeSecret, SecretString};

/// Shorter values (`1`, `yes`) are no secrets, and masking them would leave no text readable.
const SHORTEST: usize = 4;
/// Of what is shorter no lines are looked for, and nothing in base64: too much else looks like it.
const SHORTEST_PART: usize = 8;
const MASKED: &str = "[masked]";
/// The longest way to write one character, in bytes: `\u{10ffff}`, or two `\uXXXX`.
const LONGEST_SPELLING: usize = 12;

/// The values that were given to one start: tokens, headers, environment. A server, an authorization server or a program
/// may echo any of them; text of theirs passes through here before it is kept or shown.
///
/// ```
/// use mcp_startup_auth::Mask;
///
/// let mut mask = Mask::default();
/// mask.add("s3cret-token");
/// assert_eq!(mask.foreign("bad token s3cret-token\n", 80), "bad token [masked]\\n");
/// ```
#[derive(Clone, Default)]
pub struct Mask {
    /// The secrets, and the digits of base64 that stand for each and nothing else.
    secrets: Vec<SecretString>,
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({})", self.secrets.len())
    }
}

impl Mask {
    /// Hides this value from now on, however it is written: escaped for a URL, for JSON or for HTML, or in base64. Of one with many
    /// lines also each line that is long enough to be a secret.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.contains('\n') {
            let lines = secret
                .lines()
                .filter(|line| line.trim().len() >= SHORTEST_PART);
            lines.for_each(|line| self.add(line));
        }
        self.add_one(secret);
        if secret.len() >= SHORTEST_PART {
            // In a header of RFC 6749, section 2.3.1, it is escaped before it is encoded.
            let escaped: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            for text in [secret, &escaped] {
                pieces_in_base64(text.as_bytes())
                    .iter()
                    .for_each(|piece| self.add_one(piece));
            }
        }
    }

    fn add_one(&mut self, secret: &str) {
        let is_known = |known: &SecretString| known.expose_secret() == secret;
        if secret.len() >= SHORTEST && !self.secrets.iter().any(is_known) {
            self.secrets.push(SecretString::from(secret));
        }
    }

    /// `text`, which was not cut off anywhere, with every secret replaced.
    pub fn hide_whole(&self, text: &str) -> String {
        replaced(text, self.found_in(text, false))
    }

    /// `text` with every secret replaced, and what is left of one where the text was cut off at its end or its front.
    pub fn hide(&self, text: &str) -> String {
        replaced(text, self.found_in(text, true))
    }

    /// A URL that a server has chosen, or made by ours: secrets replaced, and nothing shown from where one begins. What a URL library
    /// does to a path may take a secret apart.
    pub fn hide_in_url(&self, url: &str) -> String {
        let hidden = self.hide(url);
        let beginnings = self.secrets.iter().filter_map(|secret| {
            let secret = secret.expose_secret();
            let beginning = secret.get(..SHORTEST_PART)?;
            // One that is a URL itself begins as all of them do.
            (!secret.contains("://")).then(|| hidden.find(beginning))?
        });
        match beginnings.min() {
            Some(at) => format!("{}{MASKED}", &hidden[..at]),
            None => hidden,
        }
    }

    /// Foreign text as it may be kept: secrets replaced, control characters escaped, at most `max_chars` characters.
    pub fn foreign(&self, text: &str, max_chars: usize) -> String {
        printable(&self.hide(text), max_chars)
    }

    fn found_in(&self, text: &str, may_be_cut: bool) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let secrets = || self.secrets.iter().map(ExposeSecret::expose_secret);
        for (at, _) in text.char_indices() {
            for secret in secrets() {
                match begin(&text[at..], secret) {
                    Begun::Whole(length) => found.push(at..at + length),
                    Begun::CutOff if may_be_cut => found.push(at..text.len()),
                    Begun::CutOff | Begun::Not => {}
                }
            }
        }
        if may_be_cut {
            let ends = secrets().filter_map(|secret| end_at_beginning(text, secret));
            found.extend(ends.map(|end| 0..end));
        }
        found.sort_by_key(|range| range.start);
        found
    }
}

/// `text` with `[masked]` in place of what is in these ranges, which are sorted by their starts; one for those that overlap.
fn replaced(text: &str, found: Vec<Range<usize>>) -> String {
    let mut hidden = String::new();
    let mut shown = 0;
    for range in found {
        if range.start >= shown {
            hidden.push_str(&text[shown..range.start]);
            hidden.push_str(MASKED);
        }
        shown = shown.max(range.end);
    }
    hidden.push_str(&text[shown..]);
    hidden
}

/// How much of a secret a text begins with.
enum Begun {
    Not,
    /// All of it, in so many bytes.
    Whole(usize),
    /// So much that it tells something, and there the text ends.
    CutOff,
}

fn begin(text: &str, secret: &str) -> Begun {
    let mut rest = text;
    let mut before = None;
    for (at, character) in secret.char_indices() {
        // All backslashes in a row were taken for one, as each may have been escaped, and again; with them one that escapes what
        // comes now.
        let after_backslash = before.replace(character) == Some('\\');
        let escaped = || after_backslash.then(|| without_backslash(rest, character));
        match without(rest, character).or_else(|| escaped().flatten()) {
            Some(shorter) => rest = shorter,
            None if after_backslash && character == '\\' => {}
            None if at >= SHORTEST && is_cut_off(rest) => return Begun::CutOff,
            None => return Begun::Not,
        }
    }
    Begun::Whole(text.len() - rest.len())
}

/// Whether nothing is left of a text, or only what may be the beginning of a character that was cut off.
fn is_cut_off(rest: &str) -> bool {
    rest.is_empty()
        || (rest.len() < LONGEST_SPELLING && rest.starts_with(['%', '\\', '&', '\u{fffd}']))
}

/// Up to where `text` begins with the end of `secret`, if that is long enough to tell something.
fn end_at_beginning(text: &str, secret: &str) -> Option<usize> {
    // Of the first character there may be a part, in one of the ways to write it.
    let part = |character: char| {
        character.is_ascii_alphanumeric() || "%\\&{};#\u{fffd}".contains(character)
    };
    let starts = text.char_indices().take(LONGEST_SPELLING);
    let starts = starts.scan(true, |only_parts, (at, character)| {
        let is_start = *only_parts;
        *only_parts &= part(character);
        is_start.then_some(at)
    });
    let ends = secret.char_indices().skip(1).map(|(at, _)| &secret[at..]);
    let ends: Vec<_> = ends.take_while(|end| end.len() >= SHORTEST).collect();
    starts
        .flat_map(|start| ends.iter().map(move |end| (start, end)))
        .filter_map(|(start, end)| match begin(&text[start..], end) {
            Begun::Whole(length) => Some(start + length),
            Begun::Not | Begun::CutOff => None,
        })
        .max()
}

/// What is left of `text` after this character, as it is or escaped for a URL, JSON, HTML or a program's source.
fn without(text: &str, character: char) -> Option<&str> {
    match text.as_bytes().first()? {
        b'%' => without_percent(text, character),
        b'&' => without_html(text, character),
        b'\\' => without_backslash(text, character),
        b'+' if character == ' ' => Some(&text[1..]),
        // RFC 4648, section 5: the same digits for a URL.
        b'-' if character == '+' => Some(&text[1..]),
        b'_' if character == '/' => Some(&text[1..]),
        _ => None,
    }
    .or_else(|| text.strip_prefix(character))
}

/// `%C3%A9` (RFC 3986, section 2.1).
fn without_percent(text: &str, character: char) -> Option<&str> {
    let mut buffer = [0; 4];
    let bytes = character.encode_utf8(&mut buffer).bytes();
    bytes.into_iter().try_fold(text, |rest, byte| {
        let digits = rest.strip_prefix('%')?.get(..2)?;
        (u8::from_str_radix(digits, 16) == Ok(byte)).then(|| &rest[3..])
    })
}

/// `\"`, `\\`, `\/`, `\n`, `\u00e9`, `\ud83e\udd80`, `\u{e9}`; with more backslashes, where that was quoted again.
fn without_backslash(text: &str, character: char) -> Option<&str> {
    let escaped = text.trim_start_matches('\\');
    let short = match character {
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\\' => return Some(escaped),
        '"' | '\'' | '/' => Some(character),
        _ => None,
    };
    if let Some(rest) = short.and_then(|short| escaped.strip_prefix(short)) {
        return Some(rest);
    }
    let digits = escaped.strip_prefix('u')?;
    if let Some((digits, rest)) = digits
        .strip_prefix('{')
        .and_then(|braced| braced.split_once('}'))
    {
        return is_number_of(digits, 16, character).then_some(rest);
    }
    let mut buffer = [0; 2];
    let units = character.encode_utf16(&mut buffer).iter();
    units.copied().try_fold(escaped, |rest, unit| {
        let digits = rest.trim_start_matches('\\').strip_prefix('u')?;
        let is_it = u16::from_str_radix(digits.get(..4)?, 16) == Ok(unit);
        is_it.then(|| &digits[4..])
    })
}

/// `&quot;`, `&#34;`, `&#x22;`.
fn without_html(text: &str, character: char) -> Option<&str> {
    let (name, rest) = text.strip_prefix('&')?.split_once(';')?;
    let is_it = match (
        name.strip_prefix("#x").or(name.strip_prefix("#X")),
        name.strip_prefix('#'),
    ) {
        (Some(digits), _) => is_number_of(digits, 16, character),
        (None, Some(digits)) => is_number_of(digits, 10, character),
        (None, None) => matches!(
            (name, character),
            ("quot", '"') | ("amp", '&') | ("lt", '<') | ("gt", '>') | ("apos", '\'')
        ),
    };
    is_it.then_some(rest)
}

fn is_number_of(digits: &str, radix: u32, character: char) -> bool {
    u32::from_str_radix(digits, radix) == Ok(character.into())
}

/// The digits of base64 (RFC 4648, section 4) that stand for `secret` and nothing else, for each of the three ways in which it may
/// stand among other bytes.
fn pieces_in_base64(secret: &[u8]) -> [String; 3] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    [0, 2, 4].map(|first_bit| {
        // So many bits of the first byte belong to a digit that the byte before has a part in.
        let bit = |at: usize| secret[at / 8] >> (7 - at % 8) & 1;
        let starts = (first_bit..)
            .step_by(6)
            .take_while(|at| at + 6 <= secret.len() * 8);
        starts
            .map(|start| {
                let digit = (start..start + 6).fold(0, |digit, at| digit << 1 | bit(at));
                char::from(DIGITS[usize::from(digit)])
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_left_however_they_overlap() {
        let mut mask = Mask::default();
        for secret in ["abcd", "abcdefgh", "  spaced  ", "x", ""] {
            mask.add(secret);
        }
        let hidden = mask.hide("abcdefgh abcd abcdabcdefgh spaced x");
        assert_eq!(hidden, "[masked] [masked] [masked][masked] [masked] x");
        assert!(!format!("{mask:?}").contains("abcd"));
        mask.add("ghijklmn");
        assert_eq!(mask.hide("abcdefghijklmn"), "[masked]");
    }

    #[test]
    fn a_secret_that_was_cut_off_or_has_many_lines_is_hidden_too() {
        let mut mask = Mask::default();
        mask.add("-----BEGIN-----\nline-of-a-key\n-----END-----");
        mask.add("long-secret-token");
        mask.add("sécrét=\"token\"");
        for (text, hidden) in [
            ("said: line-of-a-key", "said: [masked]"),
            ("said: long-sec", "said: [masked]"),
            ("said: lon", "said: lon"),
            ("cret-token said", "[masked] said"),
            ("ken said", "ken said"),
            ("a long-secret-token long", "a [masked] [masked]"),
            ("said: sécr\u{fffd}", "said: [masked]"),
            ("said: s%C3%A9cr%C3", "said: [masked]"),
            ("said: s\\u00e9cr\\u00", "said: [masked]"),
            ("A9t%3D%22token%22 said", "[masked] said"),
            ("t;token&quot; said", "[masked] said"),
            ("\u{fffd}t=\"token\" said", "[masked] said"),
        ] {
            assert_eq!(mask.hide(text), hidden, "{text}");
        }
    }

    #[test]
    fn of_a_url_nothing_is_shown_from_where_a_secret_begins() {
        let mut mask = Mask::default();
        mask.add("s3cret-to/ken?=x");
        mask.add("https://given.example/path");
        for (url, hidden) in [
            (
                "https://a.example/x/s3cret-to/other",
                "https://a.example/x/[masked]",
            ),
            (
                "https://a.example/x/s3cret-to/ken",
                "https://a.example/x/[masked]",
            ),
            ("https://a.example/x", "https://a.example/x"),
        ] {
            assert_eq!(mask.hide_in_url(url), hidden);
        }
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_written() {
        let mut mask = Mask::default();
        mask.add("c+n/ry==\"é\\\\🦀&");
        for written in [
            "c+n/ry==\"é\\\\🦀&",
            "c%2Bn%2Fry%3D%3D%22%C3%A9%5C%5C%F0%9F%A6%80%26",
            "c+n/ry==%22%c3%a9%5c%5c%f0%9f%a6%80&",
            "c+n/ry==\\\"é\\\\\\\\🦀&",
            "c+n\\/ry==\\\"\\u00e9\\\\\\\\\\ud83e\\udd80&",
            "c+n/ry==\\\\\\\"\\\\u00E9\\\\\\\\\\\\\\\\\\\\ud83e\\\\udd80&",
            "c+n/ry==\\\"\\u{e9}\\\\\\\\\\u{1f980}&",
            "c+n&#x2F;ry==&quot;&#233;\\\\🦀&amp;",
        ] {
            assert_eq!(
                mask.hide(&format!("a {written} b")),
                "a [masked] b",
                "{written}"
            );
        }
        let mut mask = Mask::default();
        mask.add("a secret value");
        for encoded in [
            "YSBzZWNyZXQgdmFsdWU=",
            "bWU6YSBzZWNyZXQgdmFsdWU=",
            "bTphIHNlY3JldCB2YWx1ZTttb3Jl",
            "OmEgc2VjcmV0IHZhbHVl",
            "bWU6YStzZWNyZXQrdmFsdWU=",
        ] {
            let hidden = mask.hide(encoded);
            assert!(
                hidden.contains(MASKED) && hidden.len() < MASKED.len() + 12,
                "{encoded}: {hidden}"
            );
        }
        assert_eq!(mask.hide("a+secret+value"), MASKED);
    }
}
