//! Runs the conformance suite on the stores of this crate, and tests what is specific to the file store: its file format, its
//! lock files, and concurrent or killed processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[cfg(unix)]
mod child_process;
#[cfg(unix)]
mod concurrent_processes;
#[cfg(unix)]
mod credential_file;
#[cfg(unix)]
mod home_folder;
mod host_store;
#[cfg(unix)]
mod lock_files;
#[cfg(unix)]
mod write_failures;

use mcp_startup_auth::{FileStore, MemoryStore, conformance};

conformance!(memory, (MemoryStore::default(), ()));
conformance!(file, {
    let home = tempfile::tempdir().unwrap();
    (FileStore::new(home.path()), home)
});
