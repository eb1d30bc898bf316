//! Limits the files of a project that one discovery reads. A repository could otherwise have thousands of files, each below the limit of
//! one. The files of the user are not limited together.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::Client;
use super::machine::{Machine, System};
use super::places::Places;
use super::profile::{FileFormat, Scope};
use super::{ClientFile, ClientServer};
use crate::environment::Environment;
use crate::error::{ConfigurationError, ConfigurationErrorKind};
use crate::held_sign_ins::StoreFiles;

/// How often files of the project are read. Several clients can read the same file.
const MAX_READS: usize = 500;

/// The total size of the files: 16 MiB. Each line, each value of a list or an object, and each of these itself counts as
/// [`SIZE_OF_PART`] more bytes, so that it also limits the memory for servers and values.
const MAX_SIZE: usize = 16 * 1024 * 1024;
const SIZE_OF_PART: usize = 256;

/// A machine on which the files of the current project are missing that exceed the limits.
pub(super) struct ProjectLimit<'a> {
    places: Places<'a>,
    reads: Cell<usize>,
    size: Cell<usize>,
    left_out: RefCell<BTreeSet<PathBuf>>,
}

impl<'a> ProjectLimit<'a> {
    pub fn new(machine: &'a dyn Machine, folder: &'a Path) -> Self {
        Self {
            places: Places::new(machine, folder),
            reads: Cell::new(MAX_READS),
            size: Cell::new(MAX_SIZE),
            left_out: RefCell::default(),
        }
    }

    /// Whether a file was left out.
    pub fn is_exceeded(&self) -> bool {
        !self.left_out.borrow().is_empty()
    }

    /// One of the files that were left out, with the number of the others in its error.
    pub fn left_out(&self, client: Client) -> Option<ClientFile> {
        let left_out = self.left_out.borrow();
        let path = left_out.first()?;
        let others = match left_out.len() - 1 {
            0 => "this file is".to_owned(),
            1 => "this file and 1 other one are".to_owned(),
            others => format!("this file and {others} other ones are"),
        };
        let problem = format!(
            "{others} not read: the project has too many or too large files for MCP clients; remove those that you do not need"
        );
        let kind = ConfigurationErrorKind::TooLarge;
        let error = ConfigurationError::new(kind, path, &problem);
        let none: Result<Vec<ClientServer>, _> = Err(error);
        let (scope, format) = (Scope::Project, FileFormat::Json);
        Some(ClientFile::new(client, scope, path.clone(), format, none))
    }

    /// Counts a file. Returns whether it is within the limits.
    fn count(&self, bytes: &[u8]) -> bool {
        let parts = bytes
            .iter()
            .filter(|byte| b"{[,\n\r".contains(byte))
            .count();
        let size = bytes.len() + parts * SIZE_OF_PART;
        let left = (self.reads.get().checked_sub(1)).zip(self.size.get().checked_sub(size));
        let Some((reads, size)) = left else {
            return false;
        };
        self.reads.set(reads);
        self.size.set(size);
        true
    }
}

impl Machine for ProjectLimit<'_> {
    fn system(&self) -> System {
        self.places.machine.system()
    }

    fn environment(&self) -> &dyn Environment {
        self.places.machine.environment()
    }

    fn exists(&self, path: &Path) -> bool {
        self.places.machine.exists(path)
    }

    fn wait(&self, time: Duration) {
        self.places.machine.wait(time);
    }
}

impl StoreFiles for ProjectLimit<'_> {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let machine = self.places.machine;
        // A file `.git` is no file of a client.
        if path.ends_with(".git") || !self.places.is_in_project(path) {
            return machine.read(path, limit);
        }
        let bytes = match self.is_exceeded() {
            true if !machine.exists(path) => return Err(io::ErrorKind::NotFound.into()),
            true => None,
            false => Some(machine.read(path, limit)?).filter(|bytes| self.count(bytes)),
        };
        bytes.ok_or_else(|| {
            self.left_out.borrow_mut().insert(path.to_owned());
            io::ErrorKind::NotFound.into()
        })
    }

    fn modified_ms(&self, path: &Path) -> Option<i64> {
        self.places.machine.modified_ms(path)
    }

    fn list(&self, folder: &Path) -> Vec<PathBuf> {
        self.places.machine.list(folder)
    }
}
