//! Variables that a client reads from its own files, before the environment or in place of it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::env_file;
use super::machine::{Machine, System};
use super::reading::MAX_BYTES;
use crate::environment::Environment;
use crate::held_sign_ins::StoreFiles;

/// The client's own variables, and the environment for the others.
pub(super) struct ClientVariables<'a> {
    pub own: BTreeMap<String, String>,
    /// `None` if the client replaces only its own variables.
    pub environment: Option<&'a dyn Environment>,
}

impl Environment for ClientVariables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let own = self.own.get(name).cloned();
        own.or_else(|| self.environment?.get(name))
    }
}

/// Reads the variables of files with `NAME=value` lines. The first file with a variable wins.
pub(super) fn of_env_files(machine: &dyn Machine, paths: &[PathBuf]) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for path in paths {
        let text = machine.read(path, MAX_BYTES).ok();
        let Some(text) = text.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            continue;
        };
        let mut of_file = BTreeMap::new();
        for (name, value) in env_file::parse(&text) {
            of_file.insert(name, value.expose_secret().to_owned());
        }
        for (name, value) in of_file {
            variables.entry(name).or_insert(value);
        }
    }
    variables
}

/// A machine whose environment has the client's variables.
pub(super) struct MachineWithVariables<'a> {
    pub machine: &'a dyn Machine,
    pub variables: ClientVariables<'a>,
}

impl Machine for MachineWithVariables<'_> {
    fn system(&self) -> System {
        self.machine.system()
    }

    fn environment(&self) -> &dyn Environment {
        &self.variables
    }

    fn exists(&self, path: &Path) -> bool {
        self.machine.exists(path)
    }

    fn wait(&self, time: Duration) {
        self.machine.wait(time);
    }
}

impl StoreFiles for MachineWithVariables<'_> {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.machine.read(path, limit)
    }

    fn list(&self, folder: &Path) -> Vec<PathBuf> {
        self.machine.list(folder)
    }
}
