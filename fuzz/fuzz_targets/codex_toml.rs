//! Codex's `config.toml`, with secret environment variables.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_startup_fuzz::check_configuration;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    let without_mark = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Such a text is read as the JSON format.
    if without_mark.trim_start().starts_with('{') {
        return Corpus::Reject;
    }
    check_configuration(text);
    Corpus::Keep
});
