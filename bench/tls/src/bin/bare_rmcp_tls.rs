//! Starts many MCP servers with rmcp, as `bare_rmcp` does, with a shared HTTP client that has TLS.
//!
//! Usage: bare_rmcp_tls CONFIG    JSON with `mcpServers`; prints a line with `ready` for each server

use mcp_startup_bench::bare::{Failure, start_all};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // Fails only if there is a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    start_all(reqwest::Client::new()).await
}
