//! The atlas: every row of the lab that is reached over HTTP, started by the engine, and by a host with its own requests. What must
//! come out stands in the row.

#![allow(clippy::unwrap_used)]

mod host;
mod starts;

use std::io::Write;

/// Says how many cases were run, past the capture of the test harness: the count is part of what a run says.
fn ran(what: &str, count: usize) {
    let line = format!("atlas: {what} {count} cases\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}
