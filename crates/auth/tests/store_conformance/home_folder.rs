//! The folder of a file store: its paths, their modes, and the records that the tests write into it.

use std::collections::HashMap;
use std::fs;
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mcp_startup_auth::conformance::record;
use mcp_startup_auth::{CredentialRecord, FileStore};
use serde_json::json;
use serde_json::value::RawValue;
use tempfile::TempDir;

/// The user id of `nobody`.
#[cfg(unix)]
pub const NOBODY: u32 = 65534;
/// A credential file with entries of other programs, in a layout that no serializer produces.
pub const OTHER_ENTRIES: &str = "{ \"other|0123456789abcdef\" :\n{\"access_token\" : \"\\u0061\",\"big\":12345678901234567890.10, \"x\":{ }},\n\"version\":  3e0 , \"\":[ 1,2]}";

/// A new folder and its file store.
pub fn new_home() -> (TempDir, FileStore) {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    (home, store)
}

pub fn credential_file(home: &Path) -> PathBuf {
    home.join(".credentials.json")
}

pub fn lock_folder(home: &Path) -> PathBuf {
    home.join("mcp-oauth-locks")
}

/// The lock that a process holds while it writes the credential file.
pub fn file_lock(home: &Path) -> PathBuf {
    lock_folder(home).join("file-store.lock")
}

/// The permission bits of a path.
#[cfg(unix)]
pub fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[cfg(unix)]
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The names of the entries of `folder`, sorted.
pub fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The entries of the credential file, each with its text. Panics if the file is not valid JSON.
pub fn entries(home: &Path) -> HashMap<String, Box<RawValue>> {
    serde_json::from_slice(&fs::read(credential_file(home)).unwrap()).unwrap()
}

/// Panics unless the file contains every entry of [`OTHER_ENTRIES`] with the same text.
pub fn assert_other_entries_unchanged(home: &Path) {
    let expected: HashMap<String, Box<RawValue>> = serde_json::from_str(OTHER_ENTRIES).unwrap();
    let found = entries(home);
    for (name, value) in expected {
        assert_eq!(found[&name].get(), value.get(), "{name}");
    }
}

/// A record of about 2 kB with `n` as its expiry. The tests count with it.
pub fn numbered_record(n: i64) -> CredentialRecord {
    let change = json!({"expires_at": n, "padding": "p".repeat(2000)});
    record("numbered")
        .with(change.as_object().unwrap())
        .unwrap()
}

/// The number of a [`numbered_record`]; 0 if there is no record.
pub fn number(record: Option<&CredentialRecord>) -> i64 {
    record.map_or(0, |record| record.facts().expires_at_ms.unwrap())
}

/// Whether this process runs as root: a file that it creates belongs to root.
#[cfg(unix)]
pub fn is_root() -> bool {
    tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0
}
