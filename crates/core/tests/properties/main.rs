//! Properties that hold for every input, tested with generated inputs.

#![allow(
    clippy::unwrap_used,
    reason = "a panic in a test helper fails the test"
)]

#[path = "../actions/mod.rs"]
mod actions;

mod any_evidence;
mod any_lines;
mod any_notifications;
mod decoding;
mod lines;
mod text;
mod tracker;
mod verdict;
