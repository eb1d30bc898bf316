//! `mcp-startup app-server` as a process: the files of the user's clients, signals, and a kill at the worst moment.

#![allow(clippy::unwrap_used)]

mod client;
#[path = "../harness/mod.rs"]
mod harness;
// The tests find processes in /proc.
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
#[path = "../processes/marked.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod marked;
mod reload;
mod signals;
// The test reads the memory of a process from /proc.
#[cfg(target_os = "linux")]
mod unread_results;
