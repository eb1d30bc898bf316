//! Invalid and hostile input: configuration files, entries, servers and notifications. The program reports each as an error,
//! in bounded memory and without a panic, and starts the other servers as usual.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod bad_server;
mod configuration_files;
mod entries;
mod follow;
#[path = "../harness/mod.rs"]
mod harness;
mod http_servers;
mod memory;
mod programs;
