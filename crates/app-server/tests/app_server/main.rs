//! Clients of the app-server over each transport, with servers of the lab. Each message that a client reads is checked against its
//! schema.

#![allow(clippy::unwrap_used)]

mod calls;
mod client;
mod hostile_clients;
mod http;
mod page;
mod schemas;
mod sessions;
mod sign_in;
mod sockets;
mod tool_server;
mod unread_results;
mod whole_session;

use std::sync::{Arc, Mutex};

use mcp_startup::StartupOptions;
use mcp_startup::auth::{CredentialStores, MemoryStore};
use mcp_startup::config::clients::{FileProblem, FileReport, SelectedServer, ServerReport};
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup_app_server::{AppServer, AppServerOptions, Configuration, ConfigurationSource};
use mcp_startup_lab::Lab;

/// A configuration that a test changes.
#[derive(Clone, Default)]
struct Source(Arc<Mutex<Option<Configuration>>>);

impl ConfigurationSource for Source {
    fn read(&self) -> Result<Configuration, String> {
        self.0
            .lock()
            .unwrap()
            .clone()
            .ok_or_else(|| "line 3: not valid TOML".to_owned())
    }

    fn clients(&self) -> Vec<FileReport> {
        let server = ServerReport {
            name: "linear".to_owned(),
            transport: "http",
            enabled: true,
            checkable: false,
            why: Some("it needs an input".to_owned()),
            approved: None,
        };
        vec![FileReport {
            client: "vscode",
            scope: "user",
            path: "/home/user/mcp.json".to_owned(),
            format: "jsonc",
            approved: Some(true),
            error: Some(FileProblem {
                line: Some(1),
                column: None,
                message: "a duplicate key".to_owned(),
            }),
            not_read: None,
            warnings: Vec::new(),
            servers: vec![server],
        }]
    }
}

fn servers(lab: &Lab, names: &[&str]) -> Vec<ServerEntry> {
    let entries = names
        .iter()
        .map(|name| ServerConfig::http(*name, &lab.url(name)).unwrap().into());
    entries.collect()
}

fn configured(servers: Vec<ServerEntry>) -> Configuration {
    Configuration {
        servers: servers.into_iter().map(SelectedServer::from).collect(),
        not_checked: Vec::new(),
        unreadable: Vec::new(),
        path: Some("/home/user/servers.toml".into()),
        home: "/home/user/.codex".into(),
    }
}

fn app_of(configuration: Configuration) -> (AppServer, Source) {
    app_with_store(configuration, MemoryStore::default())
}

fn app_with_store(configuration: Configuration, store: MemoryStore) -> (AppServer, Source) {
    let source = Source::default();
    let mut startup = StartupOptions::default();
    startup.stores = Some(CredentialStores::from_store(Arc::new(store)));
    let options = AppServerOptions::new(startup, "test/1");
    (
        AppServer::new(options, configuration, source.clone()).unwrap(),
        source,
    )
}
