//! Runs the cases of a table, counts them, and records skipped tests.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs `test` for every case, four at a time. Runs all cases even if one fails, and then panics with the number of failures.
pub fn for_each_case<T: Sync>(cases: &[T], test: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if catch_unwind(AssertUnwindSafe(|| test(case))).is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!("{} cases", cases.len());
    assert_eq!(failed, 0, "of {} cases, this many failed", cases.len());
}

/// Records that a test was skipped, as `tests/e2e/README.md` describes. `test` is its path in the test program.
pub fn skip(test: &str, reason: &str) {
    let line = format!("{} {test}: {reason}\n", env!("CARGO_CRATE_NAME"));
    eprint!("skipped: {line}");
    if let Some(file) = std::env::var_os("MCP_STARTUP_E2E_SKIPPED") {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// Prints the number of atlas cases that were run. It bypasses the output capture of the test harness, because `scripts/test`
/// reads the number.
pub fn report_count(what: &str, count: usize) {
    let line = format!("atlas: {what} {count} cases\n");
    io::stdout().write_all(line.as_bytes()).unwrap();
}
