//! The configuration of the app-server: the servers of a file or of all clients, which can be read again while it runs.

use std::path::{Path, PathBuf};

use mcp_startup::auth::now_ms;
use mcp_startup::config::clients::{self, FileReport, NotChecked, SelectOptions, SelectedServer};
use mcp_startup::config::{self, CredentialSettings, ProcessEnvironment};
use mcp_startup_app_server::{Configuration, ConfigurationSource};

use super::{Selection, current_folder, discover, shown, with_trust_option};
use crate::CommandError;
use crate::arguments::Source;

/// The files that the arguments select. They are read whenever they are needed.
pub struct SelectedFiles(pub Source);

impl SelectedFiles {
    /// Reads the servers, and the settings for where sign-ins are stored. A file without servers is not an error: the user may
    /// add one.
    pub fn read_all(&self) -> Result<(Configuration, CredentialSettings), CommandError> {
        match &self.0.config {
            Some(path) => self.read_file(path),
            None => self.read_clients(),
        }
    }

    fn read_file(&self, path: &Path) -> Result<(Configuration, CredentialSettings), CommandError> {
        let mut configuration = config::read(path, &ProcessEnvironment)?;
        if !self.0.as_written {
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

    /// A file that can't be read is an error: without it, a reload would end its servers.
    fn read_clients(&self) -> Result<(Configuration, CredentialSettings), CommandError> {
        let mut files = discover(&self.0);
        if let Some(error) = files.iter_mut().find_map(|file| file.error.take()) {
            return Err(error.into());
        }
        let options = SelectOptions {
            names: Vec::new(),
            trust_project: self.0.trust_project,
            as_written: self.0.as_written,
            now_ms: now_ms(),
        };
        let machine = clients::ThisMachine::default();
        let selected = clients::select(&files, &machine, &current_folder(), &options);
        let not_checked = with_trust_option(selected.not_checked);
        let credentials = clients::credentials(&files, &ProcessEnvironment);
        Ok(of_clients(
            selected.servers,
            not_checked,
            Vec::new(),
            credentials,
        ))
    }
}

/// The configuration with the servers of a selection from the files of clients, and where sign-ins are stored.
pub fn of_selection(selection: Selection) -> (Configuration, CredentialSettings) {
    of_clients(
        selection.servers,
        selection.not_checked,
        selection.unreadable,
        selection.credentials,
    )
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
            Err(error) => Err(match &self.0.config {
                // The message may not name the file.
                Some(path) if !error.to_string().contains(&shown(path)) => {
                    format!("{}: {error}", shown(path))
                }
                _ => error.to_string(),
            }),
        }
    }

    fn clients(&self) -> Vec<FileReport> {
        clients::report(&discover(&self.0))
    }
}
