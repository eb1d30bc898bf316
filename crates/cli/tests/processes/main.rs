//! The processes that the program starts: which programs are searched for, how they end, and that none remains.
//!
//! Linux only: the tests find processes in /proc, and only there the program supervises its servers.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod browser;
mod endings;
#[path = "../harness/mod.rs"]
mod harness;
mod launcher;
mod library_hosts;
mod marked;
mod open;
mod search_path;
mod supervisor;
