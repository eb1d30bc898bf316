//! A client with rmcp and as little code as possible: `initialize`, `tools/list`, close.

use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{RoleClient, ServiceExt, service::RunningService};
use serde_json::Value;
use tokio::process::Command;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Starts the servers of the file that the first argument names, and prints a line with `ready` for each.
pub async fn start_all(client: reqwest::Client) -> Result<(), Failure> {
    let config = std::env::args().nth(1).ok_or("pass the path of a configuration")?;
    let config: Value = serde_json::from_str(&std::fs::read_to_string(config)?)?;
    let servers = config["mcpServers"].as_object().ok_or("no mcpServers")?;
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
