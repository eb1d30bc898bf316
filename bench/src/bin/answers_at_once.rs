//! A minimal MCP server that responds immediately, or after MS milliseconds. Over streamable HTTP, it prints its URL and ends when its
//! stdin ends. With `stdio`, it uses stdin and stdout.
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
        // Without a runtime or threads, because 50 of these processes start at the same time.
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
    let respond = move |body: Bytes| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        answer(&body)
    };
    until_stdin_ends(axum::serve(listener, Router::new().route("/mcp", post(respond)))).await
}
