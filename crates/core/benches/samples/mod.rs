//! Input for the benchmarks and for `examples/throughput.rs`.

use mcp_startup_core::{CODEX_VERSIONS, CredentialFacts, Evidence};
use serde_json::Value;

/// Returns the lines that the app-server of each supported version of Codex wrote, with the version. The last one is the newest.
pub fn codex_lines() -> std::io::Result<Vec<(&'static str, String)>> {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");
    let lines = CODEX_VERSIONS.iter().map(|version| {
        let path = format!("{fixtures}/codex-app-server-{version}.jsonl");
        Ok((*version, std::fs::read_to_string(path)?))
    });
    lines.collect()
}

/// The time at which [`facts`] are assessed, in ms since the Unix epoch.
pub const NOW_MS: i64 = 1_800_000_500_000;
const EVIDENCE: &str = include_str!("../../../../tests/vectors/judge.json");

/// A thousand credentials of every kind: good, expired, without an expiry, and without tokens.
pub fn facts() -> Vec<CredentialFacts> {
    (0..1000)
        .map(|n| CredentialFacts {
            access_token: n % 7 != 0,
            refresh_token: n % 3 == 0,
            expires_at_ms: (n % 5 != 0).then_some(1_800_000_000_000 + n * 1000),
        })
        .collect()
}

/// The evidence of every case of `tests/vectors/judge.json`.
pub fn evidence() -> serde_json::Result<Vec<Evidence>> {
    let rows: Vec<Value> = serde_json::from_str(EVIDENCE)?;
    let evidence = rows
        .into_iter()
        .map(|mut row| serde_json::from_value(row["evidence"].take()));
    evidence.collect()
}
