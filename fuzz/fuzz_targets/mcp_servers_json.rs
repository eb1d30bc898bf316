//! The `mcpServers` JSON, with variables that are secret.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};
use mcp_startup_fuzz::{Layout, check_configuration, mutate};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let dictionary = include_str!("../dictionaries/mcp_servers_json.dict");
    mutate(data, size, max_size, seed, Layout::Whole, dictionary)
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    let without_mark = text.strip_prefix('\u{feff}').unwrap_or(text);
    if without_mark.trim_start().starts_with('{') {
        check_configuration(text);
    } else {
        // Else it would be the other format.
        check_configuration(&format!("{{{text}"));
    }
    Corpus::Keep
});
