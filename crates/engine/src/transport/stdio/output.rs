//! The output of a program as evidence: its stderr, and the part of its stdout that is not messages.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use mcp_startup_core::printable;

use crate::start::evidence_collector::EvidenceCollector;
use crate::timeline::TimelineStep;
use crate::transport::invalid_messages::{Received, read_message};
use crate::transport::text_encoding::as_utf8;

/// How much of the beginning of stdout is kept, in bytes.
pub(super) const HEAD_BYTES: usize = 4096;
/// How much of the beginning and of the end of stderr is kept, in bytes. The cause of a failure can be at either.
const STDERR_BYTES: usize = 4096;
/// How much of the beginning and of the end goes into the evidence, in characters.
const SHOWN_CHARS: usize = 1000;

/// Replaces a tab, which is usually the indentation of a line.
const TAB: &str = "    ";
/// Replaces the part between the beginning and the end of an output.
const CUT: &str = "\n…\n";

/// The beginning and the end of a text.
#[derive(Debug, Default)]
pub(super) struct Excerpt {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    is_cut: bool,
}

impl Excerpt {
    pub fn add(&mut self, bytes: &[u8]) {
        let room = STDERR_BYTES - self.head.len();
        let (head, tail) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(tail);
        let surplus = self.tail.len().saturating_sub(STDERR_BYTES);
        self.is_cut |= surplus > 0;
        self.tail.drain(..surplus);
    }

    /// The parts of the text: one, or the beginning and the end if the part between them was not kept.
    pub fn parts(&self) -> Vec<String> {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let parts = match self.is_cut {
            true => vec![self.head.clone(), tail],
            false => vec![[self.head.as_slice(), &tail].concat()],
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        parts.into_iter().map(text).collect()
    }
}

/// The maximum length of a line of stderr for the timeline, in bytes. The rest of a longer line is left out.
const LINE_BYTES: usize = 4096;

/// Splits stderr into lines for the timeline.
pub(super) struct Lines {
    collector: Arc<EvidenceCollector>,
    line: Vec<u8>,
}

impl Lines {
    pub fn new(collector: Arc<EvidenceCollector>) -> Self {
        Self {
            collector,
            line: Vec::new(),
        }
    }

    pub fn add(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.record();
            }
        }
    }

    fn record(&mut self) {
        let line = std::mem::take(&mut self.line);
        let Some(timeline) = self.collector.timeline() else {
            return;
        };
        let text = String::from_utf8_lossy(&line).into_owned();
        if let Some(line) = shown(&[text], &self.collector) {
            timeline.record_minor(TimelineStep::ProgramOutput { line });
        }
    }
}

impl Drop for Lines {
    /// Records the last line, which has no end.
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.record();
        }
    }
}

/// Returns a line without the control sequences of a terminal. Those before a JSON message stay, because they make it invalid.
fn without_colors(line: &str) -> Cow<'_, str> {
    let plain = anstream::adapter::strip_str(line).to_string();
    let begins = |text: &str| text.trim_start().starts_with('{');
    let is_message = begins(&plain) && plain.contains("\"jsonrpc\"");
    match is_message && line.contains('\u{1b}') && !begins(line) {
        true => line.into(),
        false => plain.into(),
    }
}

/// Output as it goes into the evidence: masked and limited, with one line per line on a terminal. Returns `None` if it is blank.
///
/// Each part is masked by itself, because a secret can be cut off at the end of a part.
pub(super) fn shown(parts: &[String], collector: &EvidenceCollector) -> Option<String> {
    let shown = parts.iter().map(|part| {
        let plain: String = part.split_inclusive('\n').map(without_colors).collect();
        let masked = collector.mask(&plain);
        let lines = masked.lines();
        let lines: Vec<_> = lines
            .map(|line| printable(&overwritten(line).replace('\t', TAB), 2 * SHOWN_CHARS))
            .collect();
        lines.join("\n")
    });
    let mut shown: Vec<String> = shown.collect();
    if let [head, tail] = shown.as_mut_slice() {
        *head = without_last_line(head).to_owned();
        *tail = without_first_line(tail).to_owned();
    }
    let text = shown.join(CUT);
    let text = text.trim();
    let length = text.chars().count();
    if length <= 2 * SHOWN_CHARS {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let at = |chars: usize| {
        let index = text.char_indices().nth(chars);
        index.map_or(text.len(), |(index, _)| index)
    };
    let (head, tail) = (at(SHOWN_CHARS), at(length - SHOWN_CHARS));
    let (head, tail) = (
        without_last_line(&text[..head]),
        without_first_line(&text[tail..]),
    );
    Some(format!("{head}{CUT}{tail}"))
}

/// A text without its last line, which is cut off, if it has others.
fn without_last_line(text: &str) -> &str {
    text.rsplit_once('\n').map_or(text, |(lines, _)| lines)
}

/// A text without its first line, which is cut off, if it has others.
fn without_first_line(text: &str) -> &str {
    text.split_once('\n').map_or(text, |(_, lines)| lines)
}

/// The part of a line that a terminal shows at last: programs overwrite a progress display after a carriage return.
fn overwritten(line: &str) -> &str {
    let has_words = |text: &&str| text.chars().any(char::is_alphanumeric);
    match line.trim_end_matches('\r') {
        line if line.contains('\r') => line.rsplit('\r').find(has_words).unwrap_or(""),
        line => line,
    }
}

/// The part of stdout that is not messages, and the problem with a message in it. `head` is the beginning of stdout, of which
/// `length` bytes were read.
pub(super) fn other_output(head: &[u8], length: usize) -> (String, Option<String>) {
    let is_cut = length > head.len();
    let decoded = as_utf8(head.to_vec(), "");
    let has_message = memchr::memmem::find(&decoded, b"\"jsonrpc\"").is_some();
    if has_message && head.contains(&0) {
        let text = String::from_utf8_lossy(&decoded).into_owned();
        return (text, Some("encoding: must be UTF-8, not UTF-16".to_owned()));
    }
    let mut other = Vec::new();
    let mut problem = None;
    let mut lines = head.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let is_cut = is_cut && lines.peek().is_none() && !line.ends_with(b"\n");
        let text = line.trim_ascii();
        let is_object = text.starts_with(b"{");
        let is_json = is_object && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
        if is_json
            && problem.is_none()
            && let Received::InvalidAnswer(answer) = read_message(text, true)
        {
            problem = Some(answer.problem);
        }
        let is_message = is_json && memchr::memmem::find(text, b"\"jsonrpc\"").is_some();
        // A message without the end of its line is not a message. The end of a long one was not kept.
        if is_object && is_cut || is_message && line.ends_with(b"\n") {
            continue;
        }
        other.extend_from_slice(line);
    }
    (String::from_utf8_lossy(&other).into_owned(), problem)
}

/// The complete lines of a ready program that are text and not messages. `head` is the beginning of stdout, and `last` the beginning of
/// the last such line after the handshake.
pub(super) fn text_on_stdout(head: &[u8], last: &[u8]) -> String {
    // The line that is being read may be a message.
    let end = memchr::memrchr(b'\n', head).map_or(0, |end| end + 1);
    let lines = head[..end].split(|byte| *byte == b'\n').chain([last]);
    let has_message = |line: &&[u8]| memchr::memmem::find(line, b"\"jsonrpc\"").is_some();
    let text: Vec<_> = lines
        .filter(|line| !line.trim_ascii().is_empty() && !has_message(line))
        .map(String::from_utf8_lossy)
        .collect();
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_of_stderr_are_kept() {
        for size in [1, 7, 5000, 20_000] {
            let text = ["Error: the cause\n", &"usage\n".repeat(2000), "the end\n"].concat();
            let mut excerpt = Excerpt::default();
            text.as_bytes()
                .chunks(size)
                .for_each(|chunk| excerpt.add(chunk));
            let kept = excerpt.parts();
            assert_eq!(kept.len(), 2);
            assert!(kept[0].starts_with("Error: the cause\n"), "{kept:?}");
            assert!(kept[1].ends_with("usage\nthe end\n"), "{kept:?}");
            assert!(kept.iter().all(|part| part.len() <= STDERR_BYTES));
        }
        let mut short = Excerpt::default();
        short.add(b"one\ntwo\n");
        assert_eq!(short.parts(), ["one\ntwo\n"]);
    }

    #[test]
    fn the_control_sequences_before_a_message_are_kept() {
        let rows = [
            ("\u{1b}[31merror\u{1b}[0m\n", "error\n"),
            (
                "\u{1b}]0;title\u{7}{\"jsonrpc\":\"2.0\"}\n",
                "\u{1b}]0;title\u{7}{\"jsonrpc\":\"2.0\"}\n",
            ),
            ("{\"jsonrpc\":\"2.0\"}\n", "{\"jsonrpc\":\"2.0\"}\n"),
        ];
        for (line, expected) in rows {
            assert_eq!(without_colors(line), expected);
        }
    }

    #[test]
    fn text_of_a_ready_program_is_its_complete_lines_without_messages() {
        const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":0,"result":{}}"#;
        let rows = [
            (format!("{MESSAGE}\n"), "", ""),
            (format!("\n\r\n{MESSAGE}\n"), "", ""),
            (format!("[{MESSAGE}]\n{{\"jsonrpc\":"), "", ""),
            (format!("Ready\n{MESSAGE}\nhalf a l"), "", "Ready"),
            (format!("{MESSAGE}\n"), "GET /", "GET /"),
            (format!("a\nb\n{MESSAGE}\n"), "c", "a\nb\nc"),
        ];
        for (head, last, expected) in rows {
            let found = text_on_stdout(head.as_bytes(), last.as_bytes());
            assert_eq!(found, expected, "{head}");
        }
    }

    #[test]
    fn messages_are_not_other_output() {
        const MESSAGE: &str = r#"{"jsonrpc":"2.0","method":"notifications/message"}"#;
        let long = format!(
            "{{\"jsonrpc\":\"2.0\",\"result\":\"{}",
            "x".repeat(HEAD_BYTES)
        );
        let rows = [
            (
                format!("Starting\n{MESSAGE}\n"),
                "Starting\n".to_owned(),
                None,
            ),
            (MESSAGE.to_owned(), MESSAGE.to_owned(), None),
            (
                format!("[INFO] {MESSAGE}\n"),
                format!("[INFO] {MESSAGE}\n"),
                None,
            ),
            (
                "{\n  \"jsonrpc\": \"2.0\"\n}\n".into(),
                "{\n  \"jsonrpc\": \"2.0\"\n}\n".into(),
                None,
            ),
            (long, String::new(), None),
            (
                "{\"id\":0,\"result\":{}}\n".into(),
                "{\"id\":0,\"result\":{}}\n".into(),
                Some("jsonrpc: is missing; must be \"2.0\"".to_owned()),
            ),
        ];
        for (text, expected, problem) in rows {
            let head = &text.as_bytes()[..text.len().min(HEAD_BYTES)];
            assert_eq!(
                other_output(head, text.len()),
                (expected, problem),
                "{text}"
            );
        }
    }
}
