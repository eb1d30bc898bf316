//! Event streams (server-sent events): recognizes their bytes and limits the size of each event.

use sse_stream::Sse;

/// Whether bytes may be the beginning of an event stream: a field, a comment or a blank line.
pub(crate) fn looks_like_events(bytes: &[u8]) -> bool {
    let first = bytes
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .map_or(bytes, |end| &bytes[..end]);
    let first = first.strip_prefix("\u{feff}".as_bytes()).unwrap_or(first);
    first.is_empty()
        || [&b":"[..], b"data", b"event", b"id", b"retry"]
            .iter()
            .any(|field| first.starts_with(field) || field.starts_with(first))
}

/// Whether an event is a JSON-RPC message. Other events are, for example, heartbeats. An event without a name is a `message`
/// (WHATWG HTML, section 9.2.6), and only those carry messages (MCP, Streamable HTTP).
pub(crate) fn is_message(event: &Sse) -> bool {
    let data = event.data.as_deref().unwrap_or_default();
    is_unnamed(event) && data.trim_start().starts_with(['{', '[']) && data.contains("\"jsonrpc\"")
}

/// Whether an event has no name of its own.
pub(crate) fn is_unnamed(event: &Sse) -> bool {
    matches!(event.event.as_deref(), None | Some("" | "message"))
}

/// Counts the bytes since the last blank line, which ends an event.
pub(crate) struct EventSizeLimit {
    limit: usize,
    event: usize,
    line: usize,
}

impl EventSizeLimit {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            event: 0,
            line: 0,
        }
    }

    /// The size of the event that is being read, in bytes.
    pub fn event(&self) -> usize {
        self.event
    }

    pub fn take(&mut self, chunk: &[u8]) -> Result<(), std::io::Error> {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.event += piece.len();
            self.line += piece.len();
            if piece.ends_with(b"\n") {
                if self.line <= 2 && piece.iter().all(|byte| matches!(byte, b'\n' | b'\r')) {
                    self.event = 0;
                }
                self.line = 0;
            }
            if self.event > self.limit {
                return Err(std::io::Error::other("an event exceeds the size limit"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 100_000;

    #[test]
    fn the_limit_applies_to_each_event_regardless_of_the_chunks() {
        let event = b"data: {\"a\":1}\r\n\r\n";
        let many = event.repeat(LIMIT / event.len() + 10);
        for size in [1, 7, 17, 4096] {
            let mut bound = EventSizeLimit::new(LIMIT);
            assert!(
                many.chunks(size).all(|chunk| bound.take(chunk).is_ok()),
                "chunks of {size}"
            );
        }
        let mut bound = EventSizeLimit::new(LIMIT);
        let endless = vec![b'x'; 4096];
        let taken = (0..).take_while(|_| bound.take(&endless).is_ok()).count();
        assert_eq!(taken, LIMIT / endless.len());
    }

    #[test]
    fn an_html_page_does_not_look_like_events() {
        for (bytes, expected) in [
            (&b"data: x\n"[..], true),
            (b": comment\n", true),
            (b"\n\nid: 1", true),
            (b"eve", true),
            (b"<html>", false),
            (b"{\"a\":1}", false),
        ] {
            assert_eq!(
                looks_like_events(bytes),
                expected,
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
