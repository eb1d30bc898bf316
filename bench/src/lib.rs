//! A minimal MCP server and a minimal MCP client, which the programs of the benchmarks share.

pub mod bare;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

/// Returns the response to a request over either transport, or `None` for a notification.
pub fn reply(message: &Value) -> Option<Value> {
    let id = message.get("id")?;
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "answers-at-once", "version": "1"}
        }),
        Some("tools/list") => json!({"tools": [{"name": "one", "inputSchema": {"type": "object"}}]}),
        _ => json!({}),
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

/// Returns the response to a POST over streamable HTTP.
pub fn answer(body: &[u8]) -> Response {
    let Ok(message) = serde_json::from_slice::<Value>(body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match reply(&message) {
        None => StatusCode::ACCEPTED.into_response(),
        Some(reply) => json_of(&reply),
    }
}

/// Returns a response with this JSON.
pub fn json_of(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// Serves until stdin ends.
pub async fn until_stdin_ends(
    serving: impl IntoFuture<Output = std::io::Result<()>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut rest = Vec::new();
    tokio::select! {
        ended = serving.into_future() => ended?,
        _ = async { tokio::io::stdin().read_to_end(&mut rest).await } => {}
    }
    Ok(())
}
