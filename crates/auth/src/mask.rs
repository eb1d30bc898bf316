//! Hides the secrets that a start was given in whatever text comes back.

use std::fmt;

use mcp_startup_core::printable;
use secrecy::{ExposeSecret, SecretString};

/// Shorter values (`1`, `yes`) are no secrets, and masking them would leave no text readable.
const SHORTEST: usize = 4;
const SHORTEST_LINE: usize = 8;
const MASKED: &str = "[masked]";

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
    secrets: Vec<SecretString>,
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({})", self.secrets.len())
    }
}

impl Mask {
    /// Hides this value from now on; of one with many lines also each line that is long enough to be a secret.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.contains('\n') {
            let lines = secret
                .lines()
                .filter(|line| line.trim().len() >= SHORTEST_LINE);
            lines.for_each(|line| self.add(line));
        }
        self.add_one(secret);
        // As it stands in a URL.
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        self.add_one(&encoded);
    }

    fn add_one(&mut self, secret: &str) {
        if secret.len() >= SHORTEST
            && !self
                .secrets
                .iter()
                .any(|known| known.expose_secret() == secret)
        {
            self.secrets.push(SecretString::from(secret));
            // A secret that holds another one must go first, or a piece of it stays.
            self.secrets
                .sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        }
    }

    /// `text`, which was not cut off anywhere, with every secret replaced.
    pub fn hide_whole(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.expose_secret(), MASKED)
        })
    }

    /// `text` with every secret replaced, and what is left of one where the text was cut off at its end or its front.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = self.hide_whole(text);
        let cut_off = self
            .secrets
            .iter()
            .filter_map(|secret| beginning_at_end(&hidden, secret.expose_secret()))
            .min();
        if let Some(cut_off) = cut_off {
            hidden.truncate(cut_off);
            hidden.push_str(MASKED);
        }
        let left_over = self
            .secrets
            .iter()
            .filter_map(|secret| end_at_beginning(&hidden, secret.expose_secret()))
            .max();
        if let Some(left_over) = left_over {
            hidden.replace_range(..left_over, MASKED);
        }
        hidden
    }

    /// Foreign text as it may be kept: secrets replaced, control characters escaped, at most `max_chars` characters.
    pub fn foreign(&self, text: &str, max_chars: usize) -> String {
        printable(&self.hide(text), max_chars)
    }
}

/// Where `text` ends with the beginning of `secret`, if that is long enough to tell something.
fn beginning_at_end(text: &str, secret: &str) -> Option<usize> {
    secret
        .char_indices()
        .map(|(at, _)| &secret[..at])
        .filter(|beginning| beginning.len() >= SHORTEST && text.ends_with(beginning))
        .map(|beginning| text.len() - beginning.len())
        .next_back()
}

/// Up to where `text` begins with the end of `secret`, if that is long enough to tell something.
fn end_at_beginning(text: &str, secret: &str) -> Option<usize> {
    secret
        .char_indices()
        .skip(1)
        .map(|(at, _)| &secret[at..])
        .find(|end| end.len() >= SHORTEST && text.starts_with(end))
        .map(str::len)
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
    }

    #[test]
    fn a_secret_that_was_cut_off_or_has_many_lines_is_hidden_too() {
        let mut mask = Mask::default();
        mask.add("-----BEGIN-----\nline-of-a-key\n-----END-----");
        mask.add("long-secret-token");
        assert_eq!(mask.hide("said: line-of-a-key"), "said: [masked]");
        assert_eq!(mask.hide("said: long-sec"), "said: [masked]");
        assert_eq!(mask.hide("said: lon"), "said: lon");
        assert_eq!(mask.hide("cret-token said"), "[masked] said");
        assert_eq!(mask.hide("ken said"), "ken said");
        assert_eq!(mask.hide("a long-secret-token long"), "a [masked] [masked]");
    }
}
