//! The atlas: runs every HTTP scenario of the lab through the engine, and through a host with its own requests. Each scenario
//! contains the expected result.

#![allow(clippy::unwrap_used)]

mod host;
mod starts;

use std::io::Write;

/// Prints the number of cases. It bypasses the capture of the test harness, because the output of a test run must contain it.
fn print_count(what: &str, count: usize) {
    let line = format!("atlas: {what} {count} cases\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}
