//! Limits how many values a JSON message may have before it is parsed.
//!
//! A parsed message can need 200 times as much memory as its text: `[{},{},…]` has a value every three bytes. So a limit of
//! bytes is not enough.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Messages with more values are parsed one at a time.
const LARGE: usize = 10_000;

/// Counts the values of a JSON text, in the order of its bytes and at least as many as it has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ValueCounter {
    values: usize,
    in_string: bool,
    is_escaped: bool,
}

impl ValueCounter {
    /// Returns the number of values so far.
    pub fn count(&mut self, bytes: &[u8]) -> usize {
        for byte in bytes {
            if self.in_string {
                match byte {
                    _ if std::mem::take(&mut self.is_escaped) => {}
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                // Each value follows one of these, but for the first.
                b'[' | b'{' | b',' | b':' => self.values += 1,
                _ => {}
            }
        }
        self.values
    }

    /// Counts one line of a stream of messages after the other, and returns the most values that a line has.
    pub fn count_lines(&mut self, bytes: &[u8]) -> usize {
        let mut most = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            most = most.max(self.count(line));
            if line.ends_with(b"\n") {
                *self = Self::default();
            }
        }
        most
    }
}

/// The values of a JSON text, and at least as many as it has.
pub fn json_values(text: &[u8]) -> usize {
    ValueCounter::default().count(text)
}

/// One large message at a time is parsed in a process.
static LARGE_MESSAGE: Semaphore = Semaphore::const_new(1);

/// Waits for the turn of a large message to be parsed. Small messages need none.
///
/// Without it, ten servers that each send the largest message would need ten times its memory at once.
pub(crate) async fn parse_turn(text: &[u8]) -> Option<SemaphorePermit<'static>> {
    // Each value has a byte at least.
    match text.len() > LARGE && json_values(text) > LARGE {
        true => LARGE_MESSAGE.acquire().await.ok(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_fewer_than_the_values_of_the_text() {
        for (text, least, most) in [
            (r#"{"a":1}"#, 2, 3),
            (r#"[1,2,3]"#, 3, 4),
            (r#""[{,:\"[{,:""#, 0, 1),
            (r#"[{},{},{}]"#, 4, 7),
            (r#"{"a\\":[1,2],"b":"\\\""}"#, 5, 7),
            ("", 0, 0),
        ] {
            for size in [1, 3, 100] {
                let mut counter = ValueCounter::default();
                let mut count = 0;
                for chunk in text.as_bytes().chunks(size) {
                    count = counter.count(chunk);
                }
                assert!((least..=most).contains(&count), "{text}: {count}");
            }
        }
    }

    #[test]
    fn each_line_is_counted_by_itself() {
        let mut counter = ValueCounter::default();
        assert_eq!(counter.count_lines(b"[1,2]\n[1,2,3,4]\n\"[,"), 4);
        assert_eq!(counter.count_lines(b"[,\"\n[1"), 1);
    }
}
