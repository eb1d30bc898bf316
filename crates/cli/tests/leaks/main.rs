//! Secrets do not leak. A user has a secret in every place that can hold one, and servers echo the secrets that they receive,
//! in every part of a response and in many encodings. No secret may appear in any output format, in the log at
//! `RUST_LOG=trace`, or in a file other than the two files in which the user stores secrets.
//!
//! `places.rs` defines the places, `echoes.rs` and `program_echoes.rs` the ways to echo, and `secrets.rs` the texts and the
//! encodings. One run of the program covers one echo in one format, with a server for every place, text and encoding.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod echo_server;
mod echoes;
mod findings;
#[path = "../harness/mod.rs"]
mod harness;
mod http_servers;
#[cfg(target_os = "linux")]
mod keyring;
mod login;
mod places;
mod program_echoes;
mod programs;
mod responses;
mod run;
mod secrets;
