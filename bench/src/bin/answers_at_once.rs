//! An MCP server that does nothing but answer, at once or after MS milliseconds. Over streamable HTTP it prints its URL and ends with its
//! stdin; with `stdio` it speaks there.
//!
//! Usage: answers_at_once [MS | stdio]

use std::io::{BufRead, Write};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use mcp_startup_bench::{answer, reply, until_stdin_ends};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        // No runtime and no thread: fifty of them are started at once.
        Some("stdio") => stdio(),
        Some(pause) => http(Duration::from_millis(pause.parse()?)),
        None => http(Duration::ZERO),
    }
}

fn stdio() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        if let Some(reply) = reply(&serde_json::from_str(&line?)?) {
            writeln!(out, "{reply}")?;
            out.flush()?;
        }
    }
    Ok(())
}

#[tokio::main]
async fn http(pause: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}/mcp", listener.local_addr()?);
    let asked = move |body: Bytes| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        answer(&body)
    };
    until_stdin_ends(axum::serve(listener, Router::new().route("/mcp", post(asked)))).await
}
