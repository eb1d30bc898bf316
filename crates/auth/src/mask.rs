//! Hides secrets in any foreign text: those that a start was given, and those with an unmistakable shape.

mod matcher;
mod shapes;
mod spelling;
pub(crate) mod steps;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use mcp_startup_core::printable;
use secrecy::{ExposeSecret, SecretString};

use self::matcher::Matcher;
use self::spelling::{LONGEST_ESCAPE, Spelled};

/// Shorter values (`1`, `yes`) are not secrets, and masking them would leave no text readable.
const SHORTEST: usize = 4;
/// A shorter part of a secret is too common to look for: a line of it, or its base64.
const SHORTEST_PART: usize = 8;
/// The maximum size of all secrets together, in bytes. If they are larger, all foreign text is withheld.
const MAX_SECRET_BYTES: usize = 128 * 1024;
/// The maximum size of a text, in bytes. Evidence keeps less than this.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// How often a text is decoded: a value may have been escaped, and the result again.
const LAYERS: usize = 3;

/// How a text ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The text is complete, so a secret at its end is complete too.
    Complete,
    /// The text seems to be complete. The beginning of a secret at its end is hidden, unless it is a word.
    Uncertain,
    /// The text was cut off. The beginning of a secret at its end is hidden.
    CutOff,
}

/// Whether a text is too short and too plain to be a secret: a word such as `code`, with which many messages end and many secrets
/// begin.
pub(crate) fn is_word(text: &[u8]) -> bool {
    text.len() < SHORTEST_PART && text.iter().all(u8::is_ascii_alphabetic)
}

const MASKED: &str = "[masked]";
const WITHHELD: &str = "[withheld: it may contain a secret]";

/// The values that were given to one start: tokens, headers, environment variables. A server, an authorization server or a
/// program may echo any of them, so their text passes through here before it is kept or shown.
///
/// Other values are hidden too if their shape is unmistakable: a JWT, a key with a known prefix, the credential after
/// `Bearer`, the value of a parameter such as `api_key`, and the password in a URL.
///
/// A secret is found however an honest program spells it: percent-encoded, escaped for JSON, HTML or source code, in base64 or hexadecimal,
/// as a list of its bytes, in punycode, in another case, or with hidden characters in it. The time is linear in the text, and a text is cut after 64 KiB. If all secrets together are larger than
/// 128 KiB, the text is withheld.
///
/// ```
/// use mcp_startup_auth::Mask;
///
/// let mut mask = Mask::default();
/// mask.add("s3cret-token");
/// assert_eq!(mask.foreign("bad token s3cret-token\n", 80), "bad token [masked]\\n");
/// assert_eq!(mask.foreign("bad token S3CRET%2dTOKEN", 80), "bad token [masked]");
/// assert_eq!(mask.foreign("GET /v1?api_key=8c1f02aa", 80), "GET /v1?api_key=[masked]");
/// ```
#[derive(Clone, Default)]
pub struct Mask {
    secrets: HashSet<Secret>,
    bytes: usize,
    matcher: OnceLock<Matcher>,
    beginnings: OnceLock<Matcher>,
}

/// Compared by its value; does not print.
#[derive(Clone)]
struct Secret(SecretString);

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Secret {}

impl std::hash::Hash for Secret {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.expose_secret().hash(state);
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({})", self.secrets.len())
    }
}

impl Mask {
    /// A mask that withholds all foreign text, for a program that does not know which secrets were sent.
    pub fn withholding() -> Self {
        Self {
            bytes: MAX_SECRET_BYTES + 1,
            ..Self::default()
        }
    }

    /// Hides this value from now on. If it has several lines, each line that is long enough to be a secret is hidden too.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.contains('\n') {
            let lines = secret.lines().map(str::trim);
            for line in lines.filter(|line| line.len() >= SHORTEST_PART) {
                self.add_one(line);
            }
        }
        self.add_one(secret);
    }

    fn add_one(&mut self, secret: &str) {
        if secret.len() < SHORTEST || self.withholds_all() {
            return;
        }
        if self.bytes.saturating_add(secret.len()) > MAX_SECRET_BYTES {
            self.bytes = MAX_SECRET_BYTES + 1;
            self.secrets = HashSet::new();
        } else if self.secrets.insert(Secret(secret.into())) {
            self.bytes += secret.len();
        }
        self.matcher = OnceLock::new();
        self.beginnings = OnceLock::new();
    }

    /// Whether all foreign text is withheld: the secrets are unknown, or exceed the limit.
    pub fn withholds_all(&self) -> bool {
        self.bytes > MAX_SECRET_BYTES
    }

    /// `text` with every secret replaced. The text is complete: it was not cut off at its beginning or its end.
    pub fn hide_whole(&self, text: &str) -> String {
        let (text, is_cut) = bounded(text);
        let end = match is_cut {
            true => End::CutOff,
            false => End::Complete,
        };
        self.replaced(text, |found| self.find(text, false, end, found))
    }

    /// `text` with every secret replaced, and also what remains of one if the text was cut off at its beginning or its end.
    pub fn hide(&self, text: &str) -> String {
        let (text, _) = bounded(text);
        self.replaced(text, |found| self.find(text, true, End::CutOff, found))
    }

    /// A URL that a server has chosen, or that was built from one that it has chosen. Nothing is shown from where a secret
    /// begins: URL libraries take apart what they find in a path.
    pub fn hide_in_url(&self, url: &str) -> String {
        let (url, _) = bounded(url);
        self.replaced(url, |found| {
            self.find(url, false, End::CutOff, found);
            let begins = spellings(url).filter_map(|spelled| {
                let (end, length) = self.beginnings().first(&spelled.bytes)?;
                Some(spelled.origin_of(end - length..end).start)
            });
            if let Some(start) = begins.min() {
                found.push(start..url.len());
            }
        })
    }

    /// Foreign text as it may be kept: secrets replaced, control characters escaped, at most `max_chars` characters.
    pub fn foreign(&self, text: &str, max_chars: usize) -> String {
        // The cut is far beyond the shown characters. A secret at the cut is hidden like any secret that was cut off.
        let (text, is_cut) = cut(text, max_chars.saturating_mul(8).saturating_add(4096));
        let end = match is_cut {
            true => End::CutOff,
            false => End::Uncertain,
        };
        let hidden = self.replaced(text, |found| self.find(text, false, end, found));
        let mut shown = printable(&hidden, max_chars);
        if is_cut && !shown.ends_with('…') {
            shown.push('…');
            shown = printable(&shown, max_chars);
        }
        shown
    }

    fn matcher(&self) -> &Matcher {
        self.matcher.get_or_init(|| {
            let patterns = self
                .secrets
                .iter()
                .flat_map(|secret| folded_layers(secret.0.expose_secret()));
            Matcher::new(patterns.filter(|pattern| pattern.len() >= SHORTEST))
        })
    }

    /// The first bytes of each secret. One that is a URL itself begins as all of them do.
    fn beginnings(&self) -> &Matcher {
        self.beginnings.get_or_init(|| {
            let secrets = self.secrets.iter().map(|secret| secret.0.expose_secret());
            let patterns = secrets
                .filter(|secret| !secret.contains("://"))
                .flat_map(folded_layers);
            let beginnings =
                patterns.filter_map(|pattern| Some(pattern.get(..SHORTEST_PART)?.to_vec()));
            Matcher::new(beginnings)
        })
    }

    fn replaced(&self, text: &str, find: impl FnOnce(&mut Vec<Range<usize>>)) -> String {
        if self.withholds_all() && !text.is_empty() {
            return WITHHELD.to_owned();
        }
        let mut found = Vec::new();
        for layer in layers(Spelled::verbatim(text)) {
            shapes::each(&layer.bytes, |secret| found.push(layer.origin_of(secret)));
        }
        if !self.secrets.is_empty() {
            find(&mut found);
        }
        if found.is_empty() {
            return text.to_owned();
        }
        found.sort_by_key(|range| range.start);
        let mut hidden = String::with_capacity(text.len());
        let mut shown = 0;
        for range in found {
            let (start, end) = whole_characters(text, range);
            if start >= shown {
                hidden.push_str(&text[shown..start]);
                hidden.push_str(MASKED);
            }
            shown = shown.max(end);
        }
        hidden.push_str(&text[shown..]);
        hidden
    }

    fn find(&self, text: &str, cut_before: bool, end: End, found: &mut Vec<Range<usize>>) {
        // An ellipsis means that the text was cut off before it.
        let (text, end) = match text.strip_suffix('…') {
            Some(before) => (before, End::CutOff),
            None => (text, end),
        };
        let matcher = self.matcher();
        let bytes = text.as_bytes();
        let is_of_escape =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"%\\&{};#\xef\xbf\xbd".contains(byte);
        // Where an escape may begin that the end of the text cuts off: the last of each kind, and of `\ud83e\udd80` the first half.
        let tail = text.len().saturating_sub(2 * LONGEST_ESCAPE);
        let is_first_backslash =
            |at: &usize| bytes[*at] == b'\\' && (*at == 0 || bytes[*at - 1] != b'\\');
        let last = |byte: u8| (tail..text.len()).rev().find(|at| bytes[*at] == byte);
        let backslashes = (tail..text.len()).rev().filter(is_first_backslash).take(2);
        let mut ends: Vec<usize> = [last(b'%'), last(b'&'), last(0xef)]
            .into_iter()
            .flatten()
            .chain(backslashes)
            .collect();
        ends.retain(|at| bytes[*at..].iter().all(is_of_escape));
        ends.push(text.len());
        for spelled in spellings(text) {
            matcher.each(&spelled.bytes, |end, length| {
                found.push(spelled.origin_of(end - length..end));
            });
            if end != End::Complete {
                for &at in &ends {
                    let bytes = &spelled.bytes[..spelled.len_before(at)];
                    let length = matcher.longest_prefix_at_end(bytes);
                    let is_part = end == End::CutOff || !is_word(&bytes[bytes.len() - length..]);
                    if length >= SHORTEST && is_part {
                        found.push(
                            spelled.origin_of(bytes.len() - length..bytes.len()).start..text.len(),
                        );
                    }
                }
            }
            if cut_before {
                // The text may begin within an escape.
                let escape = bytes
                    .iter()
                    .take(LONGEST_ESCAPE)
                    .take_while(|byte| is_of_escape(byte))
                    .count();
                for start in 0..=escape {
                    let from = spelled.start_at(start);
                    let length = matcher.longest_suffix_at_start(&spelled.bytes[from..]);
                    if length >= SHORTEST {
                        found.push(0..spelled.origin_of(from..from + length).end);
                    }
                }
            }
        }
        // Base64 is decoded before case is folded. The decoded text may contain escapes.
        for layer in layers(Spelled::verbatim(text)) {
            let others = layer.base16().into_iter().chain(layer.lists());
            for decoded in layer.base64().into_iter().chain(others) {
                for spelled in layers(decoded).map(|decoded| decoded.folded()) {
                    matcher.each(&spelled.bytes, |end, length| {
                        if length >= SHORTEST_PART {
                            found.push(spelled.origin_of(end - length..end));
                        }
                    });
                    // Only at the ends of the text: a search at each run would not take linear time.
                    if cut_before && spelled.begins_before(LONGEST_ESCAPE) {
                        // The run may begin within an escape that was encoded.
                        for start in 0..LONGEST_ESCAPE.min(spelled.bytes.len()) {
                            let length = matcher.longest_suffix_at_start(&spelled.bytes[start..]);
                            if length >= SHORTEST {
                                found.push(0..spelled.origin_of(start..start + length).end);
                            }
                        }
                    }
                    // A single digit after the last group has no value, and may be escaped.
                    if end != End::Complete
                        && spelled.ends_after(text.len().saturating_sub(LONGEST_ESCAPE))
                    {
                        // The run may end within an escape that was encoded.
                        let size = spelled.bytes.len();
                        let tail = size.saturating_sub(LONGEST_ESCAPE)..size;
                        let escapes = tail.filter(|at| b"%\\&\xef".contains(&spelled.bytes[*at]));
                        for at in escapes.chain([size]) {
                            let length = matcher.longest_prefix_at_end(&spelled.bytes[..at]);
                            if length >= SHORTEST {
                                found.push(spelled.origin_of(at - length..at).start..text.len());
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The text verbatim, and with each layer of escapes decoded.
fn layers(text: Spelled) -> impl Iterator<Item = Spelled> {
    std::iter::successors(Some(text), Spelled::decoded).take(LAYERS + 1)
}

fn spellings(text: &str) -> impl Iterator<Item = Spelled> {
    layers(Spelled::verbatim(text)).map(|layer| layer.folded())
}

fn folded_layers(secret: &str) -> impl Iterator<Item = Vec<u8>> {
    spellings(secret).map(|spelled| spelled.bytes)
}

fn bounded(text: &str) -> (&str, bool) {
    cut(text, MAX_TEXT_BYTES)
}

/// The first `max_bytes` bytes of the text, and whether there is more.
fn cut(text: &str, max_bytes: usize) -> (&str, bool) {
    let end = boundary_before(text, max_bytes);
    (&text[..end], end < text.len())
}

/// The range, extended to whole characters.
fn whole_characters(text: &str, range: Range<usize>) -> (usize, usize) {
    let end = (range.end..text.len()).find(|at| text.is_char_boundary(*at));
    (
        boundary_before(text, range.start),
        end.unwrap_or(text.len()),
    )
}

/// The last character boundary at or before `at`.
fn boundary_before(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or_default()
}
