//! The bytes of many lines, whole and in chunks. The first byte is the size of the chunks minus 1.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_startup_core::{DecodedLines, LineError, LineSplitter, decode, decode_lines};
use mcp_startup_fuzz::{Layout, json_mutator, numbered_lines};

json_mutator!(
    Layout::Lines { after: 1 },
    "../dictionaries/notification.dict"
);

fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let whole = decode_lines(bytes);
    let mut expected = DecodedLines::default();
    for (line, content) in numbered_lines(bytes) {
        match decode(content) {
            Ok(notification) => expected.notifications.extend(notification),
            Err(error) => expected.errors.push(LineError { line, error }),
        }
    }
    assert_eq!(whole, expected);

    let size = usize::from(first) + 1;
    let mut arriving = DecodedLines::default();
    for (line, content) in split(usize::MAX, bytes, size) {
        match content.map(|content| decode(&content)) {
            Ok(Ok(notification)) => arriving.notifications.extend(notification),
            Ok(Err(error)) => arriving.errors.push(LineError { line, error }),
            Err(error) => arriving.errors.push(error),
        }
    }
    assert_eq!(whole, arriving);

    // Whether a line is too long does not depend on the ends of the chunks.
    let limit = usize::from(first / 2);
    let in_chunks = split(limit, bytes, size);
    assert_eq!(in_chunks, split(limit, bytes, usize::MAX));
    for (_, line) in in_chunks {
        assert!(line.is_err() || line.is_ok_and(|line| line.len() <= limit));
    }
});

type Lines = Vec<(u64, Result<Vec<u8>, LineError>)>;

fn split(limit: usize, bytes: &[u8], size: usize) -> Lines {
    let mut lines = Vec::new();
    let mut take = |number, line: Result<&[u8], LineError>| {
        lines.push((number, line.map(<[u8]>::to_vec)));
    };
    let mut splitter = LineSplitter::with_limit(limit);
    for chunk in bytes.chunks(size) {
        splitter.push(chunk, &mut take);
    }
    splitter.finish(&mut take);
    lines
}
