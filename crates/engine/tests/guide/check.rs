//! Starts every server and collects one line for each result.

// guide: check
use std::error::Error;
use std::path::Path;

use futures::StreamExt;
use mcp_startup::config::{self, ProcessEnvironment};
use mcp_startup::{McpServerStartupState, Startup, StartupOptions};

async fn check(path: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let configuration = config::read(path, &ProcessEnvironment)?;
    let startup = Startup::new(StartupOptions::for_configuration(&configuration))?;
    let mut check = startup.check(configuration.servers);
    let mut lines = Vec::new();
    while let Some(event) = check.next().await {
        let name = event.notification.name();
        match (event.notification.status(), &event.failure) {
            (McpServerStartupState::Ready, _) => lines.push(format!("{name} is ready")),
            // A message for the user. It contains the name of the server.
            (_, Some(failure)) => lines.push(failure.message().to_owned()),
            _ => {}
        }
    }
    Ok(lines)
}
// guide end

#[tokio::test]
async fn each_server_has_one_result() {
    let lab = mcp_startup_lab::Lab::start(0).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let entries = ["ready", "first-sign-in", "server-500"]
        .map(|name| format!("[mcp_servers.{name}]\nurl = \"{}\"\n", lab.url(name)));
    std::fs::write(&path, entries.concat()).unwrap();
    let mut lines = check(&path).await.unwrap();
    lines.sort();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines.iter().any(|line| line == "ready is ready"));
    assert!(lines.iter().any(|line| line.contains("first-sign-in")));
}
