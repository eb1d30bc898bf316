//! The least that starts many MCP servers with rmcp: one shared HTTP client without TLS, `initialize`, `tools/list`, close.
//!
//! Usage: bare_rmcp URL COUNT

use rmcp::ServiceExt;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(count)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bare_rmcp URL COUNT".into());
    };
    let client = reqwest::Client::new();
    let starts: Vec<_> = (0..count.parse::<usize>()?)
        .map(|_| {
            let config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
            let transport = StreamableHttpClientTransport::with_client(client.clone(), config);
            tokio::spawn(async move {
                let service = ().serve(transport).await.map_err(|error| error.to_string())?;
                let tools = service.list_all_tools().await.map_err(|error| error.to_string())?;
                service.cancel().await.map_err(|error| error.to_string())?;
                Ok::<usize, String>(tools.len())
            })
        })
        .collect();
    for start in starts {
        let tools = start.await??;
        println!("ready {tools}");
    }
    Ok(())
}
