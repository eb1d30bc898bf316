//! An MCP server over streamable HTTP that does nothing but answer. It prints its URL and ends with its stdin.

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}/mcp", listener.local_addr()?);
    let serving = axum::serve(listener, Router::new().route("/mcp", post(answer)));
    let mut rest = Vec::new();
    tokio::select! {
        ended = serving => ended?,
        _ = async { tokio::io::stdin().read_to_end(&mut rest).await } => {}
    }
    Ok(())
}

async fn answer(body: Bytes) -> Response {
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(id) = message.get("id") else {
        return StatusCode::ACCEPTED.into_response();
    };
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "answers-at-once", "version": "1"}
        }),
        Some("tools/list") => json!({"tools": [{"name": "one", "inputSchema": {"type": "object"}}]}),
        _ => json!({}),
    };
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}
