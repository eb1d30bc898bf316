//! The program's commands: their output in each format, their exit statuses, and the configuration file and the servers that
//! they use. The test program `sign_in` covers `login`, `logout` and `status`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod arguments;
mod ci;
mod clients;
// The shells of Unix.
#[cfg(unix)]
mod completion;
mod configuration_file;
mod credential_store;
mod demo_and_lab;
mod exit_status;
mod explain;
mod follow;
#[path = "../harness/mod.rs"]
mod harness;
#[cfg(windows)]
mod launchers;
mod ndjson;
mod report;
mod selection;
mod suggestions;
mod table;
// Only Unix has pseudo-terminals.
#[cfg(unix)]
mod terminal;
