//! `mcp-startup app-server` as a process: the files of the user's clients, signals, and a kill at the worst moment.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod client;
#[path = "../harness/mod.rs"]
mod harness;
mod kills;
#[path = "../processes/marked.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod marked;
mod reload;
mod signals;
mod unread_results;
