//! Properties of encoding and decoding.

use mcp_startup_core::{StartupTracker, decode, decode_lines, encode};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::any_lines::{any_line, damaged_line, joined};
use crate::any_notifications::any_notification;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_any_bytes_never_panics(bytes in vec(any::<u8>(), 0..200), line in damaged_line()) {
        let _ = decode(&bytes);
        let _ = decode_lines(&bytes);
        let _ = StartupTracker::default().apply_lines(&bytes);
        if let Ok(Some(read)) = decode(&line) {
            // A decoded notification survives encoding and decoding.
            prop_assert_eq!(decode(encode(&read).as_bytes()), Ok(Some(read)));
        }
    }

    #[test]
    fn an_encoded_notification_decodes_to_itself(notification in any_notification()) {
        let line = encode(&notification);
        prop_assert!(!line.bytes().any(|byte| byte < 0x20), "a line break or a raw control character");
        prop_assert_eq!(decode(line.as_bytes()), Ok(Some(notification)));
    }

    /// A space before a line excludes it from the fast path.
    #[test]
    fn the_fast_path_and_the_general_decoder_agree(line in any_line()) {
        let general = decode(&[b" ", &line[..]].concat());
        match (decode(&line), general) {
            (Err(fast), Err(general)) => prop_assert_eq!((fast.kind, fast.field), (general.kind, general.field)),
            (fast, general) => prop_assert_eq!(fast, general),
        }
    }

    #[test]
    fn no_known_state_but_failed_has_a_reason(line in any_line()) {
        if let Ok(Some(read)) = decode(&line)
            && read.failure_reason().is_some()
        {
            prop_assert!(!matches!(read.status().as_str(), "starting" | "ready" | "cancelled"));
        }
    }

    #[test]
    fn invalid_lines_do_not_affect_valid_ones(
        lines in vec((any_notification(), option::of(vec(any::<u8>(), 0..80))), 0..12),
        ends in vec(any::<bool>(), 24),
        last_end in any::<bool>(),
    ) {
        let mut all = Vec::new();
        let mut expected = Vec::new();
        let mut invalid = Vec::new();
        for (notification, garbage) in lines {
            if let Some(mut garbage) = garbage {
                garbage.retain(|byte| !matches!(byte, b'\n' | b'\r'));
                // No JSON value begins with this byte.
                garbage.insert(0, b'x');
                all.push(garbage);
                invalid.push(all.len() as u64);
            }
            all.push(encode(&notification).into_bytes());
            expected.push(notification);
        }
        let read = decode_lines(&joined(&all, &ends, last_end));
        prop_assert_eq!(read.notifications, expected);
        let numbers: Vec<u64> = read.errors.iter().map(|error| error.line).collect();
        prop_assert_eq!(numbers, invalid);
    }
}
