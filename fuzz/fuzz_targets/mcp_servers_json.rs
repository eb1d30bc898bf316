//! The `mcpServers` JSON, with secret environment variables.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_startup_fuzz::{Layout, check_configuration, json_mutator};

json_mutator!(Layout::Whole, "../dictionaries/mcp_servers_json.dict");

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    let without_mark = text.strip_prefix('\u{feff}').unwrap_or(text);
    if without_mark.trim_start().starts_with('{') {
        check_configuration(text);
    } else {
        // Without the brace, the text would be read as TOML.
        check_configuration(&format!("{{{text}"));
    }
    Corpus::Keep
});
