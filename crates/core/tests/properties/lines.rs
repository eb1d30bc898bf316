//! Properties of `LineSplitter`.

use mcp_startup_core::{LineError, LineSplitter, decode, decode_lines};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::any_lines::{any_line, joined};

type Lines = Vec<(u64, Result<Vec<u8>, LineError>)>;

/// Splits `pieces` into lines, with their numbers.
fn split(limit: usize, pieces: &[&[u8]]) -> Lines {
    let mut lines = Vec::new();
    let mut take = |number, line: Result<&[u8], LineError>| {
        lines.push((number, line.map(<[u8]>::to_vec)));
    };
    let mut splitter = LineSplitter::with_limit(limit);
    for piece in pieces {
        splitter.push(piece, &mut take);
    }
    splitter.finish(&mut take);
    lines
}

/// Cuts `bytes` at arbitrary places. Pieces may be empty.
fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for cut in cuts {
        pieces.push(&bytes[start..cut]);
        start = cut;
    }
    pieces.push(&bytes[start..]);
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_do_not_depend_on_the_pieces(
        bytes in vec(select(&b"ab\n\r"[..]), 0..60),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
        limit in 0_usize..8,
    ) {
        prop_assert_eq!(split(limit, &pieces(&bytes, &cuts)), split(limit, &[&bytes]));
    }

    #[test]
    fn a_stream_decodes_like_a_batch(
        lines in vec(any_line(), 0..20),
        ends in vec(any::<bool>(), 20),
        last_end in any::<bool>(),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = joined(&lines, &ends, last_end);
        let expected = decode_lines(&bytes);
        let mut notifications = Vec::new();
        let mut errors = Vec::new();
        for (number, line) in split(usize::MAX, &pieces(&bytes, &cuts)) {
            match decode(&line.unwrap()) {
                Ok(notification) => notifications.extend(notification),
                Err(error) => errors.push(LineError { line: number, error }),
            }
        }
        prop_assert_eq!(notifications, expected.notifications);
        prop_assert_eq!(errors, expected.errors);
    }
}
