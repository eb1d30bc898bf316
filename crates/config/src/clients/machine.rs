//! The parts of a machine that discovery uses: its system, its environment variables and its files. Tests replace all three.

use std::io;
use std::path::{Path, PathBuf};

use crate::environment::{Environment, ProcessEnvironment};
use crate::file;
use crate::held_sign_ins::{StoreFiles, SystemFiles};

/// An operating system, for the places where clients keep their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum System {
    /// Linux, and other systems that are neither of the other two.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl System {
    /// The system that this program was built for.
    pub const CURRENT: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Linux
    };
}

/// The parts of a machine that [`discover_on`](super::discover_on) uses. Nothing is ever written.
pub trait Machine {
    /// Returns the operating system.
    fn system(&self) -> System;

    /// Returns the environment variables.
    fn environment(&self) -> &dyn Environment;

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// The error of the system. [`io::ErrorKind::FileTooLarge`] if the file is larger, and
    /// [`io::ErrorKind::IsADirectory`] or [`io::ErrorKind::InvalidInput`] if it is not a regular file.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Returns the paths of the entries of a folder, in the order of their names. An unreadable folder has none.
    fn list(&self, folder: &Path) -> Vec<PathBuf>;

    /// Whether a path exists.
    fn exists(&self, path: &Path) -> bool;

    /// Returns when a file was last modified, in ms since the Unix epoch. By default, that is not known.
    fn modified_ms(&self, _path: &Path) -> Option<i64> {
        None
    }
}

/// The machine that this program runs on, with the environment of the process or another one.
pub struct ThisMachine<'a> {
    environment: &'a dyn Environment,
}

impl<'a> ThisMachine<'a> {
    /// Creates the machine with these environment variables.
    pub fn with_environment(environment: &'a dyn Environment) -> Self {
        Self { environment }
    }
}

impl Default for ThisMachine<'static> {
    fn default() -> Self {
        Self::with_environment(&ProcessEnvironment)
    }
}

impl Machine for ThisMachine<'_> {
    fn system(&self) -> System {
        System::CURRENT
    }

    fn environment(&self) -> &dyn Environment {
        self.environment
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        file::read_bytes(path, limit)
    }

    fn list(&self, folder: &Path) -> Vec<PathBuf> {
        let mut paths = SystemFiles.list(folder);
        paths.sort();
        paths
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn modified_ms(&self, path: &Path) -> Option<i64> {
        SystemFiles.modified_ms(path)
    }
}
