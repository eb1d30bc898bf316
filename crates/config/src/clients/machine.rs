//! The parts of a machine that discovery uses: its system, its environment variables and its files. Tests replace all three.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::{Environment, ProcessEnvironment};
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
pub trait Machine: StoreFiles {
    /// Returns the operating system.
    fn system(&self) -> System;

    /// Returns the environment variables.
    fn environment(&self) -> &dyn Environment;

    /// Whether a path exists.
    fn exists(&self, path: &Path) -> bool;

    /// Waits before a file is read again that another program may be writing. By default, the thread sleeps.
    fn wait(&self, time: Duration) {
        std::thread::sleep(time);
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

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}

impl StoreFiles for ThisMachine<'_> {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        SystemFiles.read(path, limit)
    }

    fn list(&self, folder: &Path) -> Vec<PathBuf> {
        SystemFiles.list(folder)
    }

    fn modified_ms(&self, path: &Path) -> Option<i64> {
        SystemFiles.modified_ms(path)
    }
}
