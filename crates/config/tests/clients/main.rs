//! Discovery of every client's files, on machines whose environment and files are supplied by the tests. The expected results are
//! from the documentation and the sources of the clients, as of November 2026.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::type_complexity
)]

mod damaged_files;
mod fake_machine;
mod lists;
mod other_keys;
mod other_sources;
mod report;
mod samples;
mod server_details;
mod systems;
mod toml_clients;
mod yaml;
