//! The configuration of the servers, which a client can reload. Reads no file itself.

use std::path::PathBuf;
use std::sync::Arc;

use mcp_startup::config::clients::{FileReport, NotChecked, SelectedServer};

/// The servers that each client starts.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// The servers. Each has a name of its own. A disabled server is listed and not started.
    pub servers: Vec<SelectedServer>,
    /// The servers that are neither listed nor started, with the reason.
    pub not_checked: Vec<NotChecked>,
    /// The files of clients that can't be read, each as a message for the user that names the client and the file. Their servers are
    /// those that the files had when they could be read.
    pub unreadable: Vec<String>,
    /// The file of the servers without an owner. `None` if they come from no file.
    pub path: Option<PathBuf>,
    /// The folder with the configuration and the sign-ins of Codex, as an absolute path. Clients see it as `codexHome`.
    pub home: PathBuf,
}

/// Reads the configuration. Both methods may block.
pub trait ConfigurationSource: Send + Sync {
    /// Reads the servers.
    ///
    /// # Errors
    ///
    /// Returns a message for the user that names the file and what is wrong.
    fn read(&self) -> Result<Configuration, String>;

    /// Finds the MCP clients on this machine, for `mcpStartup/clients/list`.
    fn clients(&self) -> Vec<FileReport>;
}

impl<T: ConfigurationSource + ?Sized> ConfigurationSource for Arc<T> {
    fn read(&self) -> Result<Configuration, String> {
        (**self).read()
    }

    fn clients(&self) -> Vec<FileReport> {
        (**self).clients()
    }
}
