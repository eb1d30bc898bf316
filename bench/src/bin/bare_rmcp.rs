//! Starts many MCP servers with rmcp and as little code as possible: one shared HTTP client without TLS, `initialize`, `tools/list`,
//! close.
//!
//! Usage: bare_rmcp CONFIG    JSON with `mcpServers`; prints a line with `ready` for each server

use mcp_startup_bench::bare::{Failure, start_all};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    start_all(reqwest::Client::new()).await
}
