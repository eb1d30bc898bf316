//! Reads the files of stores, up to a maximum size. Never writes to the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::file;

/// The maximum size of a store: 4 MiB. A larger store is not read.
pub const MAX_STORE_BYTES: usize = 4 * 1024 * 1024;
/// The maximum number of entries of a folder that are read.
const MAX_ENTRIES: usize = 10_000;

/// The files of a machine. Tests replace them. Nothing is ever written.
pub trait StoreFiles {
    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// The error of the system. [`io::ErrorKind::FileTooLarge`] if the file is larger, and
    /// [`io::ErrorKind::IsADirectory`] or [`io::ErrorKind::InvalidInput`] if it is not a regular file.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Returns when a file was last modified, in ms since the Unix epoch. Some stores have only the lifetime of a token. By default,
    /// that is not known.
    fn modified_ms(&self, _path: &Path) -> Option<i64> {
        None
    }

    /// Returns the paths of the entries of a folder, in the order of their names. An unreadable folder has none.
    fn list(&self, folder: &Path) -> Vec<PathBuf>;
}

/// The files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemFiles;

impl StoreFiles for SystemFiles {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        file::read_bytes(path, limit)
    }

    fn modified_ms(&self, path: &Path) -> Option<i64> {
        let modified = fs::metadata(path).ok()?.modified().ok()?;
        i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
    }

    fn list(&self, folder: &Path) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let entries = entries.take(MAX_ENTRIES).filter_map(Result::ok);
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    }
}
