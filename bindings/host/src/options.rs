//! What a host asks for: which servers, and how they are started.

use std::sync::Arc;
use std::time::Duration;

use mcp_startup::auth::{CredentialStores, HostStore};
use mcp_startup::config::{
    self, Configuration, ProcessEnvironment, ServerEntry, codex_home, user_path,
};
use mcp_startup::{Startup, StartupOptions};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{HostError, runtime};

/// The place that a server has which was not read from a file.
const IN_CODE: &str = "mcpServers";

/// What a host asks for, as JSON in camelCase. Every field may be absent or null.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// The configuration: a file of Codex or of Claude; `~/` is the user's folder. Absent, and without `mcpServers`: Codex's own.
    pub config: Option<String>,
    /// The servers themselves, in place of a file: the object `mcpServers` of a `.mcp.json`.
    pub mcp_servers: Option<Box<RawValue>>,
    /// The names of those that are meant. Absent: those that are enabled.
    pub servers: Option<Vec<String>>,
    /// How long each start may take, in ms, over what the configuration says.
    pub timeout_ms: Option<u64>,
    /// How many servers start at once.
    pub concurrency: Option<usize>,
    /// The URL of the host's client id metadata document, where it publishes one.
    pub client_metadata_url: Option<String>,
}

/// What the options come to.
pub(crate) struct Opened {
    pub startup: Startup,
    pub servers: Vec<ServerEntry>,
}

impl Options {
    /// Reads them from JSON.
    ///
    /// # Errors
    ///
    /// [`HostError::InvalidArgument`] that names the option.
    pub fn parse(json: &str) -> Result<Self, HostError> {
        serde_json::from_str(json)
            .map_err(|error| HostError::InvalidArgument(format!("the options: {error}")))
    }

    /// Reads the configuration, on a thread that may wait for the disk.
    pub(crate) async fn open(self, store: Option<HostStore>) -> Result<Opened, HostError> {
        let opening = tokio::task::spawn_blocking(move || self.open_now(store));
        let opened = opening.await;
        opened.unwrap_or_else(|error| Err(HostError::Internal(error.to_string())))
    }

    /// The same for one server; `servers` of the options does not matter.
    pub(crate) async fn open_one(
        mut self,
        store: Option<HostStore>,
        server: String,
    ) -> Result<(Startup, ServerEntry), HostError> {
        self.servers = Some(vec![server]);
        let mut opened = self.open(store).await?;
        match opened.servers.is_empty() {
            // The name has been found; so it is there.
            true => Err(HostError::Internal("the server is gone".to_owned())),
            false => Ok((opened.startup, opened.servers.swap_remove(0))),
        }
    }

    fn open_now(self, store: Option<HostStore>) -> Result<Opened, HostError> {
        let configuration = self.configuration()?;
        let servers = match self.servers {
            // None of them: to `select` no names are those that are enabled.
            Some(names) if names.is_empty() => Vec::new(),
            names => configuration.select(&names.unwrap_or_default())?,
        };
        let mut options = StartupOptions::for_configuration(&configuration);
        if let Some(store) = store {
            options.stores = Some(CredentialStores::of(Arc::new(store)));
        }
        options.limit = match self.timeout_ms {
            Some(0) => {
                let problem = "the options: the time limit must be more than zero";
                return Err(HostError::InvalidArgument(problem.to_owned()));
            }
            limit => limit.map(Duration::from_millis),
        };
        if let Some(concurrency) = self.concurrency {
            options.concurrency = concurrency;
        }
        options.client_metadata_url = self.client_metadata_url;
        // Nothing of an event says how many there are.
        options.count_tools = false;
        Ok(Opened {
            startup: runtime::startup(options)?,
            servers,
        })
    }

    fn configuration(&self) -> Result<Configuration, HostError> {
        let environment = &ProcessEnvironment;
        let path = match (&self.config, &self.mcp_servers) {
            (Some(_), Some(_)) => {
                let problem = "the options: either `config` or `mcpServers`, not both";
                return Err(HostError::InvalidArgument(problem.to_owned()));
            }
            (None, Some(servers)) => {
                let text = format!("{{\"mcpServers\":{}}}", servers.get());
                return Ok(config::parse(&text, IN_CODE.as_ref(), environment)?);
            }
            (Some(path), None) => user_path(path, environment),
            (None, None) => codex_home(environment)
                .map(|home| home.join("config.toml"))
                .ok_or_else(|| {
                    let problem = "neither CODEX_HOME nor HOME is set: name a configuration";
                    HostError::InvalidArgument(problem.to_owned())
                })?,
        };
        Ok(config::read(&path, environment)?)
    }
}
