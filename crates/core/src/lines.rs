//! Splits bytes into lines, all at once or as they arrive. Does not interpret the lines.

use crate::decode_error::{DecodeError, LineError};

/// The default maximum length of a line for [`LineSplitter`], in bytes: 16 MiB.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// Returns the lines of `bytes` without their line ends (LF or CRLF), with numbers starting at 1. A line end at the end of
/// `bytes` does not start another line.
pub(crate) fn split_lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = bytes;
    let mut number = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let line;
        (line, rest) = match memchr::memchr(b'\n', rest) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        number += 1;
        Some((number, without_carriage_return(line)))
    })
}

/// Splits a stream of bytes into lines, within bounded memory. The stream may arrive in pieces of any size.
///
/// A line that is longer than the limit is reported once and skipped. The lines after it are returned as usual.
///
/// ```
/// use mcp_startup_core::LineSplitter;
///
/// let mut splitter = LineSplitter::default();
/// let mut lines = Vec::new();
/// splitter.push(b"one\ntw", |number, line| lines.push((number, line.map(<[u8]>::to_vec))));
/// splitter.push(b"o\n", |number, line| lines.push((number, line.map(<[u8]>::to_vec))));
/// assert_eq!(lines, [(1, Ok(b"one".to_vec())), (2, Ok(b"two".to_vec()))]);
/// ```
#[derive(Debug)]
pub struct LineSplitter {
    pending: Vec<u8>,
    limit: usize,
    discarding: bool,
    lines: u64,
}

impl Default for LineSplitter {
    fn default() -> Self {
        Self::with_limit(MAX_LINE_BYTES)
    }
}

impl LineSplitter {
    /// Creates a splitter for lines of at most `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            pending: Vec::new(),
            limit,
            discarding: false,
            lines: 0,
        }
    }

    /// Adds the next bytes of the stream. Calls `on_line` for each line that they complete, with the line number, starting at
    /// 1. A line that is longer than the limit is an error.
    pub fn push(&mut self, bytes: &[u8], mut on_line: impl FnMut(u64, Result<&[u8], LineError>)) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (piece, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            if std::mem::take(&mut self.discarding) {
                continue;
            }
            self.lines += 1;
            if self.pending.len() + piece.len() > self.limit {
                on_line(self.lines, Err(self.too_long()));
            } else if self.pending.is_empty() {
                on_line(self.lines, Ok(without_carriage_return(piece)));
            } else {
                self.pending.extend_from_slice(piece);
                on_line(self.lines, Ok(without_carriage_return(&self.pending)));
            }
            self.pending.clear();
        }
        if self.discarding {
            return;
        }
        if self.pending.len() + rest.len() > self.limit {
            self.lines += 1;
            self.discarding = true;
            self.pending = Vec::new();
            on_line(self.lines, Err(self.too_long()));
        } else {
            self.pending.extend_from_slice(rest);
        }
    }

    /// Ends the stream. Calls `on_line` for the last line if it has no line end.
    pub fn finish(mut self, mut on_line: impl FnMut(u64, Result<&[u8], LineError>)) {
        if !self.pending.is_empty() {
            self.lines += 1;
            on_line(self.lines, Ok(without_carriage_return(&self.pending)));
        }
    }

    fn too_long(&self) -> LineError {
        LineError {
            line: self.lines,
            error: DecodeError::too_long(self.limit),
        }
    }
}

fn without_carriage_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(limit: usize, pieces: &[&[u8]]) -> Vec<(u64, Result<Vec<u8>, u64>)> {
        let mut lines = Vec::new();
        let mut take = |number, line: Result<&[u8], LineError>| {
            lines.push((number, line.map(<[u8]>::to_vec).map_err(|error| error.line)));
        };
        let mut splitter = LineSplitter::with_limit(limit);
        for piece in pieces {
            splitter.push(piece, &mut take);
        }
        splitter.finish(&mut take);
        lines
    }

    #[test]
    fn lines_do_not_depend_on_the_pieces() {
        let whole: &[u8] = b"a\r\n\nbcd\ne";
        let expected = vec![
            (1, Ok(b"a".to_vec())),
            (2, Ok(b"".to_vec())),
            (3, Ok(b"bcd".to_vec())),
            (4, Ok(b"e".to_vec())),
        ];
        for size in 1..=whole.len() {
            let pieces: Vec<_> = whole.chunks(size).collect();
            assert_eq!(read(100, &pieces), expected, "pieces of {size}");
        }
        let all: Vec<_> = split_lines(whole)
            .map(|(number, line)| (number, Ok(line.to_vec())))
            .collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_line_over_the_limit_is_reported_once_and_the_next_line_is_returned() {
        let expected = vec![
            (1, Ok(b"ok".to_vec())),
            (2, Err(2)),
            (3, Ok(b"on".to_vec())),
        ];
        assert_eq!(read(4, &[b"ok\n123456789\non\n"]), expected);
        assert_eq!(read(4, &[b"ok\n12345", b"6789", b"0\non\n"]), expected);
        let expected_without_end = vec![(1, Err(1))];
        assert_eq!(read(4, &[b"123", b"456", b"789"]), expected_without_end);
    }
}
