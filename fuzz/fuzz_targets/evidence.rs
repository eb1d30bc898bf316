//! Evidence as JSON, as a host in another language passes it, and the verdict on it.

#![no_main]

#[path = "../../crates/core/tests/actions/mod.rs"]
mod actions;

use libfuzzer_sys::fuzz_target;
use mcp_startup_core::{Evidence, judge};
use mcp_startup_fuzz::{Layout, check_verdict, json_mutator};

json_mutator!(Layout::Whole, "../dictionaries/evidence.dict");

fuzz_target!(|json: &[u8]| {
    let Ok(evidence) = serde_json::from_slice::<Evidence>(json) else {
        return;
    };
    check_verdict(&evidence);
    let failure = judge(evidence.clone());
    let (message, recovery) = (failure.message(), failure.recovery());
    assert!(
        actions::says_what_to_do(message, recovery),
        "{message:?} recommends no step for {recovery:?}"
    );
    let written = serde_json::to_string(&evidence).expect("evidence can be written");
    let read: Evidence = serde_json::from_str(&written).expect("written evidence can be read");
    assert_eq!(read, evidence);
});
