//! Blanks the parts of a text that JSON does not allow and that have only one meaning: comments, commas before a closing bracket,
//! and spaces that only look like spaces. Every other character keeps its place.

use std::borrow::Cow;

use crate::spanned::mistakes::is_invisible_space;

/// A text without its comments, trailing commas and invisible spaces.
pub(crate) struct LenientText<'a> {
    /// The text. It has the length of the source, and the same line breaks.
    pub text: Cow<'a, str>,
    /// The byte offset of the first blanked part of each kind, and its name for a message.
    pub blanked: Vec<(usize, &'static str)>,
}

pub(crate) const COMMENTS: &str = "comments";
pub(crate) const TRAILING_COMMAS: &str = "trailing commas";
pub(crate) const INVISIBLE_SPACES: &str = "invisible spaces";

/// Blanks comments (`//`, `/* */` and `#`), trailing commas and invisible spaces. The content of strings is kept.
pub(crate) fn blank(source: &str) -> LenientText<'_> {
    let mut blanks = Blanks {
        source,
        text: None,
        first: Vec::new(),
    };
    let bytes = source.as_bytes();
    // The last byte other than white space, and a comma that nothing has followed yet.
    let mut last = 0;
    let mut comma = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let rest = &bytes[at..];
        let length = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => 1,
            b'#' => blanks.blank(at, length_of_line(rest), COMMENTS),
            b'/' if rest.starts_with(b"//") => blanks.blank(at, length_of_line(rest), COMMENTS),
            b'/' if rest.starts_with(b"/*") => match source[at + 2..].find("*/") {
                Some(end) => blanks.blank(at, end + 4, COMMENTS),
                // Without an end, the rest of the file is not JSON.
                None => break,
            },
            0x80.. => {
                let character = source[at..].chars().next().unwrap_or_default();
                if is_invisible_space(character) {
                    blanks.blank(at, character.len_utf8(), INVISIBLE_SPACES)
                } else {
                    (last, comma) = (byte, None);
                    character.len_utf8()
                }
            }
            b'"' => {
                (last, comma) = (byte, None);
                length_of_string(rest)
            }
            b',' => {
                let follows_a_value = !matches!(last, 0 | b',' | b':' | b'{' | b'[');
                (last, comma) = (byte, follows_a_value.then_some(at));
                1
            }
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    blanks.blank(comma, 1, TRAILING_COMMAS);
                }
                last = byte;
                1
            }
            _ => {
                (last, comma) = (byte, None);
                1
            }
        };
        at += length;
    }
    blanks.into_text()
}

struct Blanks<'a> {
    source: &'a str,
    /// A copy of the source, made for the first blank.
    text: Option<Vec<u8>>,
    first: Vec<(usize, &'static str)>,
}

impl<'a> Blanks<'a> {
    /// Replaces each byte with a space, except for line breaks. Returns `length`.
    fn blank(&mut self, at: usize, length: usize, name: &'static str) -> usize {
        if self.first.iter().all(|(_, known)| *known != name) {
            self.first.push((at, name));
        }
        let text = self
            .text
            .get_or_insert_with(|| self.source.as_bytes().to_vec());
        for byte in text.iter_mut().skip(at).take(length) {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        length
    }

    fn into_text(self) -> LenientText<'a> {
        // Only whole characters were replaced.
        let text = self.text.and_then(|text| String::from_utf8(text).ok());
        LenientText {
            text: text.map_or(Cow::Borrowed(self.source), Cow::Owned),
            blanked: self.first,
        }
    }
}

/// Skips white space and comments at the beginning of a text.
pub(crate) fn trim_start(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|character: char| {
            character.is_ascii_whitespace() || is_invisible_space(character)
        });
        let end = if rest.starts_with("//") {
            length_of_line(rest.as_bytes())
        } else if let Some(comment) = rest.strip_prefix("/*") {
            match comment.find("*/") {
                Some(end) => end + 4,
                None => return rest,
            }
        } else {
            return rest;
        };
        rest = &rest[end..];
    }
}

fn length_of_line(text: &[u8]) -> usize {
    let end = text.iter().position(|byte| *byte == b'\n');
    end.unwrap_or(text.len())
}

/// The length of a string with its quotation marks. It ends before a line break, which JSON does not allow in a string.
fn length_of_string(text: &[u8]) -> usize {
    let mut is_escaped = true;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\n' => return at,
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
