//! The configuration of the app-server: the servers of a file or of all clients, which can be read again while it runs.

use std::path::Path;

use mcp_startup::auth::now_ms;
use mcp_startup::config::clients::{self, FileReport, SelectOptions};
use mcp_startup::config::{self, CredentialSettings, ProcessEnvironment, ServerEntry};
use mcp_startup_app_server::{Configuration, ConfigurationSource};

use super::{current_folder, discover, shown};
use crate::CommandError;
use crate::arguments::Source;

/// The files that the arguments select. They are read whenever they are needed.
pub struct SelectedFiles(pub Source);

impl SelectedFiles {
    /// Reads the servers, and the settings for where sign-ins are stored. A file without servers is not an error: the user may
    /// add one.
    pub fn read_all(&self) -> Result<(Vec<ServerEntry>, CredentialSettings), CommandError> {
        match &self.0.config {
            Some(path) => self.read_file(path),
            None => self.read_clients(),
        }
    }

    fn read_file(
        &self,
        path: &Path,
    ) -> Result<(Vec<ServerEntry>, CredentialSettings), CommandError> {
        let mut configuration = config::read(path, &ProcessEnvironment)?;
        if !self.0.as_written {
            let machine = clients::ThisMachine::default();
            for entry in &mut configuration.servers {
                clients::see_through_mcp_remote(entry, &machine, now_ms());
            }
        }
        Ok((configuration.servers, configuration.credentials))
    }

    /// A file that can't be read is an error: without it, a reload would end its servers.
    fn read_clients(&self) -> Result<(Vec<ServerEntry>, CredentialSettings), CommandError> {
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
        let servers = selected.servers.into_iter().map(|server| server.entry);
        let credentials = clients::credentials(&files, &ProcessEnvironment);
        Ok((servers.collect(), credentials))
    }
}

/// The configuration for the app-server.
pub fn configuration(servers: Vec<ServerEntry>, credentials: &CredentialSettings) -> Configuration {
    let home = credentials.home.clone();
    Configuration {
        servers,
        home: std::path::absolute(&home).unwrap_or(home),
    }
}

impl ConfigurationSource for SelectedFiles {
    fn read(&self) -> Result<Configuration, String> {
        match self.read_all() {
            Ok((servers, credentials)) => Ok(configuration(servers, &credentials)),
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
