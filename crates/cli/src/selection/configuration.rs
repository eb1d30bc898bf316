//! The configuration of the app-server: the servers of a file or of all clients, which can be read again while it runs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_startup::auth::now_ms;
use mcp_startup::config::clients::{
    self, ClientFile, FileReport, NotChecked, SelectOptions, SelectedServer,
};
use mcp_startup::config::{self, CredentialSettings, ProcessEnvironment};
use mcp_startup_app_server::{Configuration, ConfigurationSource};

use super::{
    Selection, current_folder, discover, shown, unreadable, with_trust_option, without_home,
};
use crate::CommandError;
use crate::arguments::Source;

/// The files that the arguments select. They are read whenever they are needed.
pub struct SelectedFiles {
    pub source: Source,
    /// The files of clients, as they were when they could be read.
    readable: Mutex<Vec<ClientFile>>,
}

impl SelectedFiles {
    pub fn new(source: Source) -> Self {
        Self {
            source,
            readable: Mutex::default(),
        }
    }

    /// Reads the servers, and the settings for where sign-ins are stored. A file without servers is not an error: the user may
    /// add one.
    pub fn read_all(&self) -> Result<(Configuration, CredentialSettings), CommandError> {
        match &self.source.config {
            Some(path) => self.read_file(path),
            None => Ok(self.read_clients()),
        }
    }

    /// Whether the clients of this machine have no servers, and none of their files has an error.
    pub fn is_empty(&self) -> bool {
        let files = discover(&self.source);
        let has_nothing = |file: &ClientFile| file.servers.is_empty() && file.error.is_none();
        without_home().is_none() && files.iter().all(has_nothing)
    }

    fn read_file(&self, path: &Path) -> Result<(Configuration, CredentialSettings), CommandError> {
        let mut configuration = config::read(path, &ProcessEnvironment)?;
        if !self.source.as_written {
            let machine = clients::ThisMachine::default();
            for entry in &mut configuration.servers {
                clients::see_through_mcp_remote(entry, &machine, now_ms());
            }
        }
        let servers = configuration.servers.into_iter().map(SelectedServer::from);
        let credentials = configuration.credentials;
        let configuration = Configuration {
            servers: servers.collect(),
            not_checked: Vec::new(),
            unreadable: Vec::new(),
            path: Some(configuration.path),
            home: home(&credentials),
        };
        Ok((configuration, credentials))
    }

    /// A file that can't be read keeps its earlier contents: without them, a reload would end its servers.
    fn read_clients(&self) -> (Configuration, CredentialSettings) {
        let mut files = discover(&self.source);
        let mut readable = self.lock();
        let unreadable = files.iter_mut().filter_map(|file| {
            let message = unreadable(file)?;
            let is_same = |other: &ClientFile| {
                (other.client, other.scope, &other.path) == (file.client, file.scope, &file.path)
            };
            if let Some(index) = readable.iter().position(is_same) {
                *file = readable.swap_remove(index);
            }
            Some(message)
        });
        let unreadable = unreadable.collect();
        let options = SelectOptions {
            names: Vec::new(),
            trust_project: self.source.trust_project,
            as_written: self.source.as_written,
            now_ms: now_ms(),
        };
        let machine = clients::ThisMachine::default();
        let selected = clients::select(&files, &machine, &current_folder(), &options);
        let not_checked = with_trust_option(selected.not_checked);
        let credentials = clients::credentials(&files, &ProcessEnvironment);
        *readable = files;
        of_clients(selected.servers, not_checked, unreadable, credentials)
    }

    /// The configuration with the servers of a selection from the files of clients, and where sign-ins are stored.
    pub fn of_selection(&self, selection: Selection) -> (Configuration, CredentialSettings) {
        *self.lock() = selection.files;
        of_clients(
            selection.servers,
            selection.not_checked,
            selection.unreadable,
            selection.credentials,
        )
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ClientFile>> {
        self.readable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_clients(
    servers: Vec<SelectedServer>,
    not_checked: Vec<NotChecked>,
    unreadable: Vec<String>,
    credentials: CredentialSettings,
) -> (Configuration, CredentialSettings) {
    let configuration = Configuration {
        servers,
        not_checked,
        unreadable,
        path: None,
        home: home(&credentials),
    };
    (configuration, credentials)
}

/// The folder of Codex, as an absolute path.
fn home(credentials: &CredentialSettings) -> PathBuf {
    let home = &credentials.home;
    std::path::absolute(home).unwrap_or_else(|_| home.clone())
}

impl ConfigurationSource for SelectedFiles {
    fn read(&self) -> Result<Configuration, String> {
        match self.read_all() {
            Ok((configuration, _)) => Ok(configuration),
            Err(error) => Err(match &self.source.config {
                // The message may not name the file.
                Some(path) if !error.to_string().contains(&shown(path)) => {
                    format!("{}: {error}", shown(path))
                }
                _ => error.to_string(),
            }),
        }
    }

    fn clients(&self) -> Vec<FileReport> {
        clients::report(&discover(&self.source))
    }
}
