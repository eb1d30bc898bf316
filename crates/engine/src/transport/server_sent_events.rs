//! Event streams (server-sent events): recognizes their bytes and limits the size of each event.

use std::borrow::Cow;

use http::HeaderValue;
use mcp_startup_auth::network::without_byte_order_mark;
use sse_stream::Sse;

use super::invalid_messages::without_half_pairs;
use super::message_buffer::MessageBuffer;
use super::read_limits::{HANDSHAKE_BYTES, MessageLimit};
use super::short_messages::short_message;

/// Whether bytes may be the beginning of an event stream: a field, a comment or a blank line.
pub(crate) fn looks_like_events(bytes: &[u8]) -> bool {
    let first = bytes
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .map_or(bytes, |end| &bytes[..end]);
    let first = without_byte_order_mark(first);
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

/// Whether an event reports an error in words of its own.
pub(crate) fn is_error(event: &Sse) -> bool {
    event.event.as_deref() == Some("error")
}

/// The longest ID of an event that is kept, in bytes. The SDK keeps the last one of each stream, and sends it when it opens the stream again.
const MAX_ID_BYTES: usize = 1024;

/// Whether the ID of an event can be sent in the header `Last-Event-ID`.
fn is_usable_id(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES && HeaderValue::from_str(id).is_ok()
}

/// The least time before a stream is opened again, in ms. A server can request 0, and end each stream immediately.
const MIN_RETRY_MS: u64 = 100;

/// The data of an event, whose message is a [`short_message`] while the server starts. Long data that is not JSON is cut.
fn short_data(data: &[u8], is_starting: bool) -> Cow<'_, [u8]> {
    let short = match short_message(data, is_starting) {
        None => return Cow::Borrowed(data),
        Some(Err(_)) => without_half_pairs(data)
            .and_then(|repaired| short_message(&repaired, is_starting)?.ok()),
        Some(Ok(short)) => Some(short),
    };
    match short {
        Some(short) => Cow::Owned(short),
        None => Cow::Borrowed(&data[..data.len().min(HANDSHAKE_BYTES)]),
    }
}

/// The name and the value of the field in a line that is not a comment.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let (name, value) = line.split_at(colon);
    let value = value.strip_prefix(b":").unwrap_or(value);
    (name, value.strip_prefix(b" ").unwrap_or(value))
}

/// Keeps the lines of an event stream that matter, so that the parser of the SDK accepts the stream.
///
/// The standard ignores comments, unknown fields, invalid values of `retry` and all but the last value of a field, and reads a line
/// without a colon as a field without a value (WHATWG HTML, section 9.2.6). The parser refuses some of them.
///
/// It also limits the size of each event, because only it knows where one ends, and passes on the data of a whole event: its
/// [`short_message`] while the server starts.
#[derive(Default)]
pub(crate) struct FieldFilter {
    limit: MessageLimit,
    /// The size of the event that is being read, in bytes.
    event_bytes: usize,
    line: MessageBuffer,
    after_first_line: bool,
    after_carriage_return: bool,
    /// The values of `data` in the current event, each with a line end.
    data: MessageBuffer,
    /// The last value of each field except `data` in the current event.
    event: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
}

impl FieldFilter {
    /// The size of the event that is being read, in bytes.
    pub fn event_bytes(&self) -> usize {
        self.event_bytes
    }

    /// Returns the lines that matter of the events that are complete. Fails if an event is larger than allowed. `now` is the limit of an
    /// event that begins.
    pub fn take(
        &mut self,
        chunk: &[u8],
        now: MessageLimit,
        is_starting: bool,
    ) -> std::io::Result<Vec<u8>> {
        let mut kept = Vec::new();
        for piece in chunk.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            // A line may end with both.
            let after_carriage_return = std::mem::take(&mut self.after_carriage_return);
            if after_carriage_return && piece == b"\n" {
                continue;
            }
            let is_blank = self.line.is_empty() && matches!(piece, [b'\n' | b'\r']);
            self.limit = self.limit.or_larger(self.event_bytes, now);
            self.event_bytes = match is_blank {
                true => 0,
                false => self.event_bytes + piece.len(),
            };
            if self.event_bytes > self.limit.bytes {
                return Err(std::io::Error::other("an event exceeds the size limit"));
            }
            match piece {
                [line @ .., end @ (b'\n' | b'\r')] => {
                    self.after_carriage_return = *end == b'\r';
                    if self.line.is_empty() {
                        self.end_line(line, is_starting, &mut kept);
                    } else {
                        let mut whole = std::mem::take(&mut self.line);
                        whole.add(line, self.limit.bytes);
                        self.end_long_line(whole, is_starting, &mut kept);
                    }
                }
                part => self.line.add(part, self.limit.bytes),
            }
        }
        Ok(kept)
    }

    /// Like [`end_line`](Self::end_line). The data of a large event is not copied.
    fn end_long_line(&mut self, mut line: MessageBuffer, is_starting: bool, kept: &mut Vec<u8>) {
        let (name, value) = field(&line);
        if name != b"data" || !self.data.is_empty() || !self.after_first_line {
            return self.end_line(&line, is_starting, kept);
        }
        line.remove_front(line.len() - value.len());
        line.add(b"\n", self.limit.bytes);
        self.data = line;
    }

    fn end_line(&mut self, line: &[u8], is_starting: bool, kept: &mut Vec<u8>) {
        let line = match std::mem::replace(&mut self.after_first_line, true) {
            true => line,
            false => without_byte_order_mark(line),
        };
        if line.is_empty() {
            self.end_event(is_starting, kept);
            return;
        }
        if line.starts_with(b":") {
            return;
        }
        let (name, value) = field(line);
        if name == b"data" {
            self.data.add(value, self.limit.bytes);
            self.data.add(b"\n", self.limit.bytes);
            return;
        }
        let value = String::from_utf8_lossy(value);
        match name {
            b"event" => self.event = Some(value.into_owned()),
            b"id" if is_usable_id(&value) => self.id = Some(value.into_owned()),
            b"retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(|retry: u64| retry.max(MIN_RETRY_MS));
            }
            _ => {}
        }
    }

    /// Ends an event. A blank line after none, for instance after a comment, is left out: the parser would read it as an event.
    fn end_event(&mut self, is_starting: bool, kept: &mut Vec<u8>) {
        let data = std::mem::take(&mut self.data);
        if let Some(whole) = data.strip_suffix(b"\n") {
            let data = short_data(whole, is_starting);
            let text = String::from_utf8_lossy(&data);
            kept.reserve(text.len() + 100);
            for line in text.split('\n') {
                for part in ["data: ", line, "\n"] {
                    kept.extend_from_slice(part.as_bytes());
                }
            }
        }
        let fields = [
            self.event.take().map(|value| format!("event: {value}\n")),
            self.id.take().map(|value| format!("id: {value}\n")),
            self.retry.take().map(|value| format!("retry: {value}\n")),
        ];
        let mut is_event = !data.is_empty();
        for field in fields.into_iter().flatten() {
            kept.extend_from_slice(field.as_bytes());
            is_event = true;
        }
        if is_event {
            kept.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: MessageLimit = limit(100_000);

    const fn limit(bytes: usize) -> MessageLimit {
        MessageLimit { bytes, values: 0 }
    }

    #[test]
    fn the_limit_applies_to_each_event() {
        for event in [
            "data: {\"a\":1}\r\n\r\n",
            "data: 1\n\n",
            "data: 1\r\r",
            "\r",
        ] {
            let many = event.repeat(LIMIT.bytes / event.len() + 10);
            for size in [1, 7, 17, 4096] {
                let mut filter = FieldFilter::default();
                let mut chunks = many.as_bytes().chunks(size);
                assert!(
                    chunks.all(|chunk| filter.take(chunk, LIMIT, false).is_ok()),
                    "{event:?} in chunks of {size}"
                );
            }
        }
        let mut filter = FieldFilter::default();
        let endless = vec![b'x'; 4096];
        let taken = (0..)
            .take_while(|_| filter.take(&endless, LIMIT, false).is_ok())
            .count();
        assert_eq!(taken, LIMIT.bytes / endless.len());
    }

    #[test]
    fn an_event_whose_lines_end_in_the_next_chunk_has_no_blank_line() {
        for chunks in [
            ["data: 1\n", "a", "\n"],
            ["data: 1\r", "a", "\r"],
            ["data: 1\r\n", "a\r", "\n"],
        ] {
            let mut filter = FieldFilter::default();
            let mut chunks = chunks.iter().cycle().take(10_000);
            assert!(chunks.any(|chunk| filter.take(chunk.as_bytes(), limit(1000), false).is_err()));
        }
    }

    #[test]
    fn the_data_of_a_large_event_is_that_of_a_small_one() {
        let long = "x".repeat(200_000);
        for (stream, expected) in [
            (format!("data: {long}\n\n"), vec![long.clone()]),
            (format!("data:{long}\r\n\r\n"), vec![long.clone()]),
            (
                format!("data: {long}\ndata: end\n\n"),
                vec![long.clone(), "end".to_owned()],
            ),
            (
                format!("data: a\ndata: {long}\ndata: {long}\n\n"),
                vec!["a".to_owned(), long.clone(), long.clone()],
            ),
            (
                format!("id: {long}\n: {long}\ndata: a\n\n"),
                vec!["a".to_owned()],
            ),
            (format!("\u{feff}data: {long}\n\n"), vec![long.clone()]),
            (format!("data: a\n\ndata: {long}\n\ndata: b\n\n"), {
                vec!["a".to_owned(), long.clone(), "b".to_owned()]
            }),
        ] {
            for size in [1000, 65_537, stream.len()] {
                let mut filter = FieldFilter::default();
                let chunks = stream.as_bytes().chunks(size);
                let kept: Vec<u8> = chunks
                    .flat_map(|chunk| filter.take(chunk, limit(stream.len()), false).unwrap())
                    .collect();
                let kept = String::from_utf8(kept).unwrap();
                let data: Vec<&str> = kept
                    .lines()
                    .filter_map(|line| line.strip_prefix("data: "))
                    .collect();
                assert!(data == expected, "{} in chunks of {size}", &stream[..20]);
            }
        }
    }

    proptest! {
        #[test]
        fn chunks_change_no_decision(
            stream in "(data: 1|a|:|\u{feff}|\n|\r|\r\n){0,60}",
            sizes in prop::collection::vec(1_usize..5, 1..20),
            bytes in 1_usize..30,
        ) {
            let mut whole = FieldFilter::default();
            let expected = whole.take(stream.as_bytes(), limit(bytes), false);
            let mut sizes = sizes.iter().cycle();
            let (mut filter, mut rest) = (FieldFilter::default(), stream.as_bytes());
            let mut kept = Ok(Vec::new());
            while let (Ok(so_far), [_, ..]) = (&mut kept, rest) {
                let (chunk, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                rest = after;
                match filter.take(chunk, limit(bytes), false) {
                    Ok(more) => so_far.extend(more),
                    Err(error) => kept = Err(error),
                }
            }
            prop_assert_eq!(kept.map_err(drop), expected.map_err(drop));
        }
    }

    #[test]
    fn a_lower_limit_applies_to_the_next_event() {
        let mut filter = FieldFilter::default();
        filter.take(b"data: 1", LIMIT, false).unwrap();
        filter.take(b"2345", limit(10), false).unwrap();
        filter.take(b"\n\ndata: 1", limit(10), false).unwrap();
        filter.take(b"2345", limit(10), false).unwrap_err();
    }

    #[test]
    fn only_the_fields_that_matter_are_kept() {
        let long_id = format!("id: {}\n\n", "x".repeat(MAX_ID_BYTES + 1));
        let rows = [
            ("data: 1\r\n\r\n", "data: 1\n\n"),
            ("data: 1\r\r", "data: 1\n\n"),
            ("\u{feff}data:1\n\n", "data: 1\n\n"),
            (": comment\n\ndata\n\n", "data: \n\n"),
            ("\n\r\n:\n\r\rdata: 1\n\n\n\n", "data: 1\n\n"),
            (
                "event: a\nevent: b\nid: 1\nid: 2\ndata: x\n\n",
                "data: x\nevent: b\nid: 2\n\n",
            ),
            (
                "retry: soon\nretry: 500\nnonsense\nother: 1\n\n",
                "retry: 500\n\n",
            ),
            ("retry: 0\n\n", "retry: 100\n\n"),
            ("retry: 99999999999999999999999\nid: \0\n\n", ""),
            ("id: 1\nid: \u{1}\nid: \u{7f}\n\n", "id: 1\n\n"),
            (&long_id, ""),
            ("data: 1\ndata: incompl", ""),
        ];
        for (stream, expected) in rows {
            for size in [1, 2, 100] {
                let mut filter = FieldFilter::default();
                let chunks = stream.as_bytes().chunks(size);
                let kept: Vec<u8> = chunks
                    .flat_map(|chunk| filter.take(chunk, LIMIT, false).unwrap())
                    .collect();
                assert_eq!(
                    String::from_utf8_lossy(&kept),
                    expected,
                    "{stream:?} in chunks of {size}"
                );
            }
        }
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
