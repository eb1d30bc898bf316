//! Attacks by a hostile MCP server or authorization server, as data in `tests/attacks`.
//!
//! Each case starts the hostile servers, checks them together with working servers, and measures the program: its time, its
//! peak memory, the requests that it sent, and the size of its report. The working servers must be ready in every case.
//!
//! The environment variable `ATTACKS_REPORT` names a file to which each case appends its figures, and `ATTACKS_PROGRAM` names
//! another build of the program to measure.

#![allow(clippy::print_stdout, clippy::unwrap_used)]
#![cfg_attr(windows, allow(dead_code, reason = "there, the suite is left out"))]

mod attack;
mod content;
#[path = "../harness/mod.rs"]
mod harness;
mod hidden_characters;
mod hostile_program;
mod hostile_server;
mod interruption;
// Its limits are times and memory: Wine has others, and the tests measure no memory on Windows.
#[cfg(unix)]
mod suite;
mod trial;
