//! The memory limit for every run, and large input.

use crate::harness::output::Finished;

/// The highest peak memory that a run may have.
const MEMORY_LIMIT_MB: f64 = 100.0;

pub const MB: usize = 1_000_000;
pub const GB: usize = 1_000_000_000;

pub fn assert_memory_limit(finished: &Finished, case: &str) {
    println!("{case}: {:.0} MB", finished.peak_mb);
    assert!(
        finished.peak_mb <= MEMORY_LIMIT_MB,
        "{case}: {} MB",
        finished.peak_mb
    );
}

/// The text `before`, followed by nested lists that are opened and never closed.
pub fn nested_lists(before: &str, levels: usize) -> Vec<u8> {
    [before.as_bytes(), &vec![b'['; levels]].concat()
}
