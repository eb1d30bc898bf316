//! The bytes of many lines: all at once, and as they arrive. The first byte says in pieces of how many bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_startup_core::{DecodedLines, LineError, LineSplitter, decode, decode_lines};
use mcp_startup_fuzz::{Layout, json_mutator, lines_of};

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
    for (line, content) in lines_of(bytes) {
        match decode(content) {
            Ok(said) => expected.notifications.extend(said),
            Err(error) => expected.errors.push(LineError { line, error }),
        }
    }
    assert_eq!(whole, expected);

    let size = usize::from(first) + 1;
    let mut arriving = DecodedLines::default();
    for (line, content) in split(usize::MAX, bytes, size) {
        match content.map(|content| decode(&content)) {
            Ok(Ok(said)) => arriving.notifications.extend(said),
            Ok(Err(error)) => arriving.errors.push(LineError { line, error }),
            Err(error) => arriving.errors.push(error),
        }
    }
    assert_eq!(whole, arriving);

    // A line that is too long is so wherever the pieces end.
    let limit = usize::from(first / 2);
    let in_pieces = split(limit, bytes, size);
    assert_eq!(in_pieces, split(limit, bytes, usize::MAX));
    for (_, line) in in_pieces {
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
    for piece in bytes.chunks(size) {
        splitter.push(piece, &mut take);
    }
    splitter.finish(&mut take);
    lines
}
