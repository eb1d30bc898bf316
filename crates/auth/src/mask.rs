//! Hides the secrets that a start was given in whatever text comes back.

use std::fmt;

use mcp_startup_core::printable;
use secrecy::{ExposeSecret, SecretString};

/// Shorter values (`1`, `yes`) are no secrets, and masking them would leave no text readable.
const SHORTEST: usize = 4;
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
    /// Hides this value from now on.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
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

    /// `text` with every secret replaced.
    pub fn hide(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.expose_secret(), MASKED)
        })
    }

    /// Foreign text as it may be kept: secrets replaced, control characters escaped, at most `max_chars` characters.
    pub fn foreign(&self, text: &str, max_chars: usize) -> String {
        printable(&self.hide(text), max_chars)
    }
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
}
