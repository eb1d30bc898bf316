//! Discovery of every client's files, on machines whose environment and files are supplied by the tests.

mod damaged_files;
mod fake_machine;
mod lists;
mod samples;
mod server_details;
mod systems;
mod toml_clients;
mod yaml;
