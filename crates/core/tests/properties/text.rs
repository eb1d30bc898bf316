//! Arbitrary text, and the properties of `printable`.

use mcp_startup_core::printable;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Returns arbitrary text, including control characters, quotes and other scripts.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => vec(any::<char>(), 0..12).prop_map(String::from_iter),
        3 => "[a-z]{1,8}",
        1 => vec(select(vec!['\n', '\r', '\u{1b}', '"', '\\', '\u{0}', '\u{2028}', '\u{202e}', 'é']), 0..400)
            .prop_map(String::from_iter),
        1 => vec(select(vec!["##", "#", "[", "vso[", "::", ":", " ", "error", "a", "\u{200d}", "\u{fe0f}"]), 0..20)
            .prop_map(|parts| parts.concat()),
        1 => vec(select(vec!['a', '\u{200d}', '\u{fe0f}', '\u{1f469}', '\u{1f3fd}', '\u{2764}']), 0..100)
            .prop_map(String::from_iter),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printable_text_is_short_and_printing_it_again_changes_nothing(text in text(), chars in 0_usize..80) {
        let shown = printable(&text, chars);
        prop_assert!(shown.chars().count() <= chars.max(1));
        prop_assert!(!shown.chars().any(char::is_control));
        prop_assert_eq!(printable(&shown, chars.max(1)), shown);
    }
}
