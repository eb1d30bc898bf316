//! The spellings that a value can have in text: percent-encoded, JSON, HTML, base64, punycode, a list of the numbers of its bytes, in
//! another case.
//!
//! Each function here reads its input once. A [`Spelled`] keeps the place of every byte in the original text, so that a secret
//! that is found in a decoded spelling can be hidden in the original.

use std::ops::Range;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mcp_startup_core::is_hidden;

use super::steps;

/// The longest escape of one character, in bytes: a character reference with zeros before its number.
pub(super) const LONGEST_ESCAPE: usize = 16;
/// The longest HTML character reference that is decoded, in bytes, without the `&`.
const LONGEST_REFERENCE: usize = 15;
/// The longest label of a host name (RFC 1035, section 2.3.4).
const LONGEST_LABEL: usize = 63;
/// A shorter run of base64 digits can't contain a secret.
const SHORTEST_BASE64: usize = 11;
/// A shorter run of hexadecimal digits can't contain a secret.
const SHORTEST_BASE16: usize = 16;
/// A shorter list of numbers can't contain a secret.
const SHORTEST_LIST: usize = 8;
/// At most this many characters are between two numbers of a list, as in `104,\r\n  113`.
const LONGEST_SEPARATOR: usize = 8;

/// Bytes, and the range of the original text that each byte comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Spelled {
    pub bytes: Vec<u8>,
    origins: Vec<Range<u32>>,
}

impl Spelled {
    /// The text verbatim.
    pub fn verbatim(text: &str) -> Self {
        let origin = |at: usize| at as u32..at as u32 + 1;
        Self {
            bytes: text.as_bytes().to_vec(),
            origins: (0..text.len()).map(origin).collect(),
        }
    }

    /// The part of the original text that these bytes come from.
    pub fn origin_of(&self, bytes: Range<usize>) -> Range<usize> {
        let last = &self.origins[bytes.end - 1];
        self.origins[bytes.start].start as usize..last.end as usize
    }

    /// Whether the first byte comes from before `end` in the original text.
    pub fn begins_before(&self, end: usize) -> bool {
        self.origins
            .first()
            .is_some_and(|origin| (origin.start as usize) < end)
    }

    /// Whether the last byte comes from after `start` in the original text.
    pub fn ends_after(&self, start: usize) -> bool {
        self.origins
            .last()
            .is_some_and(|origin| origin.end as usize > start)
    }

    /// How many of the bytes come from before `end` in the original text.
    pub fn len_before(&self, end: usize) -> usize {
        self.origins
            .partition_point(|origin| origin.end as usize <= end)
    }

    /// How many of the bytes come from before `start` in the original text.
    pub fn start_at(&self, start: usize) -> usize {
        self.origins
            .partition_point(|origin| (origin.start as usize) < start)
    }

    fn push(&mut self, bytes: &[u8], origin: Range<u32>) {
        steps::count(bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.origins.extend(bytes.iter().map(|_| origin.clone()));
    }

    fn push_char(&mut self, character: char, origin: Range<u32>) {
        self.push(character.encode_utf8(&mut [0; 4]).as_bytes(), origin);
    }

    fn range(&self, from: usize, length: usize) -> Range<u32> {
        let last = self.origins[from + length - 1].end;
        self.origins[from].start..last
    }

    /// With one layer of escapes decoded; `None` if there is no escape.
    pub fn decoded(&self) -> Option<Self> {
        let mut decoded = Self::default();
        let mut at = 0;
        let mut is_changed = false;
        let mut after_label_character = false;
        while at < self.bytes.len() {
            steps::count(1);
            let rest = &self.bytes[at..];
            let escape = match rest[0] {
                b'%' => percent(rest),
                b'\\' => Some(backslashes(rest)),
                b'&' => reference(rest),
                b'x' | b'X' if !after_label_character => punycode(rest),
                _ => None,
            };
            after_label_character = is_of_label(rest[0]);
            match escape {
                Some((characters, length)) => {
                    let origin = self.range(at, length);
                    match characters {
                        Decoded::Byte(byte) => decoded.push(&[byte], origin),
                        Decoded::Character(character) => decoded.push_char(character, origin),
                        Decoded::Text(text) => decoded.push(text.as_bytes(), origin),
                        Decoded::Nothing => {}
                    }
                    is_changed = true;
                    at += length;
                }
                None => {
                    decoded.push(&rest[..1], self.origins[at].clone());
                    at += 1;
                }
            }
        }
        is_changed.then_some(decoded)
    }

    /// The decoded bytes of its runs of base64 digits, once for each of the four places in a group where a value may begin. A run may be
    /// on several lines (RFC 2045, section 6.8).
    pub fn base64(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            let mut digits = Vec::new();
            loop {
                let start = at;
                let run = self.bytes[at..].iter().take_while(|byte| is_base64(**byte));
                at += run.count();
                digits.extend(start..at);
                match self.bytes[at..] {
                    [b'\n', next, ..] if at > start && is_base64(next) => at += 1,
                    [b'\r', b'\n', next, ..] if at > start && is_base64(next) => at += 2,
                    _ => break,
                }
            }
            steps::count(digits.len().max(1));
            if digits.len() >= SHORTEST_BASE64 {
                found.extend((0..4).map(|skipped| self.base64_from(&digits[skipped..])));
            }
            at += usize::from(digits.is_empty());
        }
        found
    }

    /// The bytes in its lists of numbers: `[104, 105]` or `{"type":"Buffer","data":[104,105]}`, and in hexadecimal `68 69`,
    /// `68:69` or `0x68, 0x69`.
    pub fn lists(&self) -> Vec<Self> {
        let mut found = self.lists_of(decimal_byte);
        found.extend(self.lists_of(hexadecimal_byte));
        found
    }

    /// The lists of the numbers that `read` finds at the beginning of a text, with their lengths.
    fn lists_of(&self, read: fn(&[u8]) -> Option<(u8, usize)>) -> Vec<Self> {
        let mut found = Vec::new();
        let mut list = Self::default();
        let (mut at, mut after_word) = (0, false);
        while at < self.bytes.len() {
            steps::count(1);
            let number = read(&self.bytes[at..]).filter(|_| !after_word);
            let Some((byte, length)) = number else {
                found.extend(take_list(&mut list));
                after_word = self.bytes[at].is_ascii_alphanumeric();
                at += 1;
                continue;
            };
            list.push(&[byte], self.range(at, length));
            at += length;
            let rest = self.bytes[at..].iter().take(LONGEST_SEPARATOR);
            at += rest.take_while(|byte| is_between_numbers(**byte)).count();
            after_word = false;
        }
        found.extend(take_list(&mut list));
        found
    }

    /// The decoded bytes of its runs of hexadecimal digits, from the first digit and from the second one.
    pub fn base16(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            let digits = self.bytes[at..]
                .iter()
                .take_while(|byte| byte.is_ascii_hexdigit())
                .count();
            steps::count(digits.max(1));
            if digits >= SHORTEST_BASE16 {
                found
                    .extend((0..2).map(|skipped| self.base16_from(at + skipped, digits - skipped)));
            }
            at += digits.max(1);
        }
        found
    }

    fn base16_from(&self, start: usize, length: usize) -> Self {
        let mut decoded = Self::default();
        for (pair, digits) in self.bytes[start..start + length]
            .chunks_exact(2)
            .enumerate()
        {
            let byte = hexadecimal(digits).and_then(|byte| u8::try_from(byte).ok());
            decoded.push(&[byte.unwrap_or_default()], self.range(start + 2 * pair, 2));
        }
        decoded
    }

    /// The bytes of base64 digits at these places.
    fn base64_from(&self, places: &[usize]) -> Self {
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &STANDARD,
            GeneralPurposeConfig::new()
                .with_decode_allow_trailing_bits(true)
                .with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        // A single digit after the last group has no value.
        let length = places.len() - usize::from(places.len() % 4 == 1);
        let digits: Vec<u8> = places[..length]
            .iter()
            .map(|place| match self.bytes[*place] {
                b'-' => b'+',
                b'_' => b'/',
                digit => digit,
            })
            .collect();
        let bytes = LENIENT.decode(digits).unwrap_or_default();
        let mut decoded = Self::default();
        for (at, byte) in bytes.into_iter().enumerate() {
            // Byte 0 of a group is in digits 0 and 1, byte 1 in 1 and 2, byte 2 in 2 and 3.
            let first = at / 3 * 4 + at % 3;
            let (from, to) = (places[first], places[first + 1]);
            decoded.push(&[byte], self.range(from, to + 1 - from));
        }
        decoded
    }

    /// In lower case, and with one character for those that a URL or base64 writes in two ways. Hidden characters are
    /// removed, and full-width ones become those of ASCII, as in a host name (Unicode Technical Standard 46).
    pub fn folded(&self) -> Self {
        let mut folded = Self::default();
        folded.bytes.reserve(self.bytes.len());
        folded.origins.reserve(self.bytes.len());
        let mut at = 0;
        for chunk in self.bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                let length = character.len_utf8();
                let origin = self.range(at, length);
                match not_full_width(character) {
                    '+' | ' ' => folded.push(b"-", origin),
                    '/' => folded.push(b"_", origin),
                    // The selector of the emoji presentation is the only one that no reader sees and that is not hidden.
                    hidden if is_hidden(hidden) || hidden == '\u{fe0f}' => {}
                    character => {
                        for lower in character.to_lowercase() {
                            folded.push_char(lower, origin.clone());
                        }
                    }
                }
                at += length;
            }
            let invalid = chunk.invalid();
            if !invalid.is_empty() {
                for byte in invalid {
                    folded.push(&[*byte], self.origins[at].clone());
                    at += 1;
                }
            }
        }
        folded
    }
}

/// The character of ASCII in place of a full-width one.
fn not_full_width(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(character as u32 - ('\u{ff01}' as u32 - '!' as u32)).unwrap_or(character)
        }
        '\u{3000}' => ' ',
        character => character,
    }
}

enum Decoded {
    Nothing,
    Byte(u8),
    Character(char),
    Text(String),
}

type Escape = (Decoded, usize);

/// The list that was read, if it is long enough.
fn take_list(list: &mut Spelled) -> Option<Spelled> {
    let list = std::mem::take(list);
    (list.bytes.len() >= SHORTEST_LIST).then_some(list)
}

/// A number from 0 to 255 as a word of its own.
fn decimal_byte(text: &[u8]) -> Option<(u8, usize)> {
    let digits = text.iter().take(4).take_while(|byte| byte.is_ascii_digit());
    let length = digits.count();
    let number = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
    ends_word(text, length).then_some((number, length))
}

/// Two hexadecimal digits as a word of their own, perhaps after `0x`.
fn hexadecimal_byte(text: &[u8]) -> Option<(u8, usize)> {
    let prefix = match text {
        [b'0', b'x' | b'X', ..] => 2,
        _ => 0,
    };
    let number = hexadecimal(text.get(prefix..prefix + 2)?)?;
    let number = u8::try_from(number).ok()?;
    ends_word(text, prefix + 2).then_some((number, prefix + 2))
}

fn ends_word(text: &[u8], at: usize) -> bool {
    !text.get(at).is_some_and(u8::is_ascii_alphanumeric)
}

fn is_between_numbers(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b',' | b':' | b';' | b'-' | b'|' | b'.')
}

/// `%2F` (RFC 3986, section 2.1), and `%u002F` of JavaScript's `escape`.
fn percent(text: &[u8]) -> Option<Escape> {
    if text.get(1) == Some(&b'u') {
        let (character, length) = unicode(&text[1..]).filter(|_| text.get(2) != Some(&b'{'))?;
        return Some((Decoded::Character(character), length + 1));
    }
    let byte = hexadecimal(text.get(1..3)?)?;
    Some((Decoded::Byte(u8::try_from(byte).ok()?), 3))
}

/// A run of backslashes and the escape after it. Each backslash may have been escaped again.
fn backslashes(text: &[u8]) -> Escape {
    let run = run_of_backslashes(text);
    let rest = &text[run..];
    let simple = match rest.first() {
        Some(b'n') => Some('\n'),
        Some(b'r') => Some('\r'),
        Some(b't') => Some('\t'),
        _ => None,
    };
    if let Some(character) = simple {
        return (Decoded::Character(character), run + 1);
    }
    let coded = match rest.first() {
        Some(b'u') => {
            unicode(rest).map(|(character, length)| (Decoded::Character(character), length))
        }
        Some(b'x') => rest
            .get(1..3)
            .and_then(hexadecimal)
            .and_then(char::from_u32)
            .map(|character| (Decoded::Character(character), 3)),
        // Eight digits, as Python and C write them.
        Some(b'U') => rest
            .get(1..9)
            .and_then(hexadecimal)
            .and_then(char::from_u32)
            .map(|character| (Decoded::Character(character), 9)),
        Some(b'0'..=b'3') => octal(rest).map(|byte| (Decoded::Byte(byte), 3)),
        _ => None,
    };
    match coded {
        Some((decoded, length)) => (decoded, run + length),
        None => (Decoded::Nothing, run),
    }
}

fn run_of_backslashes(text: &[u8]) -> usize {
    let run = text.iter().take_while(|byte| **byte == b'\\').count();
    steps::count(run);
    run
}

/// Three octal digits of a byte.
fn octal(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(..3)?).ok()?;
    u8::from_str_radix(digits, 8).ok()
}

/// `u00e9`, `u{e9}`, `ud83e\udd80`.
fn unicode(text: &[u8]) -> Option<(char, usize)> {
    if text.get(1) == Some(&b'{') {
        let digits = text[2..].iter().take(9).position(|byte| *byte == b'}')?;
        let character = char::from_u32(hexadecimal(&text[2..2 + digits])?)?;
        return Some((character, digits + 3));
    }
    let unit = hexadecimal(text.get(1..5)?)?;
    if let Some(character) = char::from_u32(unit) {
        return Some((character, 5));
    }
    let rest = &text[5..];
    let run = run_of_backslashes(rest);
    let low = rest.get(run..)?.strip_prefix(b"u")?;
    let low = u16::try_from(hexadecimal(low.get(..4)?)?).ok()?;
    let units = [u16::try_from(unit).ok()?, low];
    let character = char::decode_utf16(units).next()?.ok()?;
    Some((character, 5 + run + 5))
}

/// `&quot;`, `&#34;`, `&#x22;` (HTML, section "Named character references").
fn reference(text: &[u8]) -> Option<Escape> {
    let body = &text[1..text.len().min(1 + LONGEST_REFERENCE)];
    if let Some(number) = body.strip_prefix(b"#") {
        let (digits, radix, skipped) = match number.first() {
            Some(b'x' | b'X') => (&number[1..], 16, 3),
            _ => (number, 10, 2),
        };
        let count = digits
            .iter()
            .take_while(|byte| char::from(**byte).is_digit(radix))
            .count();
        let digits = std::str::from_utf8(&digits[..count]).ok()?;
        let character = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
        let ends = usize::from(text.get(skipped + count) == Some(&b';'));
        return Some((Decoded::Character(character), skipped + count + ends));
    }
    let end = body.iter().position(|byte| *byte == b';')?;
    let name = std::str::from_utf8(&body[..end]).ok()?;
    let (_, character) = NAMED.iter().find(|(known, _)| *known == name)?;
    Some((Decoded::Character(*character), end + 2))
}

/// The named references of ASCII characters.
const NAMED: [(&str, char); 41] = [
    ("quot", '"'),
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("apos", '\''),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("midast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("Hat", '^'),
    ("lowbar", '_'),
    ("UnderBar", '_'),
    ("grave", '`'),
    ("lcub", '{'),
    ("lbrace", '{'),
    ("verbar", '|'),
    ("vert", '|'),
    ("VerticalLine", '|'),
    ("rcub", '}'),
    ("rbrace", '}'),
    ("hyphen", '-'),
];

/// A label of an internationalized host name: `xn--bcher-kva` (RFC 3492).
fn punycode(text: &[u8]) -> Option<Escape> {
    let label = text
        .iter()
        .take(LONGEST_LABEL + 1)
        .take_while(|byte| is_of_label(**byte))
        .count();
    steps::count(label);
    let label = &text[..label];
    if !label.get(..4)?.eq_ignore_ascii_case(b"xn--") || label.len() > LONGEST_LABEL {
        return None;
    }
    let encoded = std::str::from_utf8(&label[4..]).ok()?;
    let decoded = idna::punycode::decode_to_string(encoded)?;
    Some((Decoded::Text(decoded), label.len()))
}

fn is_of_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    u32::from_str_radix(digits, 16).ok()
}
