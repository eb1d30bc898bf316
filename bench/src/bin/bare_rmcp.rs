//! Starts many MCP servers with rmcp and as little code as possible: one shared HTTP client without TLS, `initialize`, `tools/list`,
//! close.
//!
//! Usage: bare_rmcp CONFIG    JSON with `mcpServers`; prints a line with `ready` for each server

use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{RoleClient, ServiceExt, service::RunningService};
use serde_json::Value;
use tokio::process::Command;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let config = std::env::args().nth(1).ok_or("usage: bare_rmcp CONFIG")?;
    let config: Value = serde_json::from_str(&std::fs::read_to_string(config)?)?;
    let servers = config["mcpServers"].as_object().ok_or("no mcpServers")?;
    let client = reqwest::Client::new();
    let starts: Vec<_> = servers
        .values()
        .cloned()
        .map(|server| tokio::spawn(start(server, client.clone())))
        .collect();
    for start in starts {
        println!("ready {}", start.await??);
    }
    Ok(())
}

async fn start(server: Value, client: reqwest::Client) -> Result<usize, Failure> {
    let service: RunningService<RoleClient, ()> = match server["command"].as_str() {
        Some(command) => {
            let mut command = Command::new(command);
            command.args(server["args"].as_array().into_iter().flatten().filter_map(Value::as_str));
            ().serve(TokioChildProcess::new(command)?).await?
        }
        None => {
            let url = server["url"].as_str().ok_or("neither command nor url")?;
            let config = StreamableHttpClientTransportConfig::with_uri(url);
            ().serve(StreamableHttpClientTransport::with_client(client, config)).await?
        }
    };
    let tools = service.list_all_tools().await?;
    service.cancel().await?;
    Ok(tools.len())
}
