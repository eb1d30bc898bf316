//! An MCP server with a tool and a resource, over Streamable HTTP.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub struct ToolServer {
    pub url: String,
    /// Dropping it stops the server.
    _serving: JoinSet<std::io::Result<()>>,
}

impl ToolServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = Router::new().route("/mcp", post(answer));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            _serving: serving,
        }
    }
}

async fn answer(body: String) -> Response {
    let request: Value = serde_json::from_str(&body).unwrap();
    let params = &request["params"];
    let result = match request["method"].as_str().unwrap() {
        "initialize" => json!({
            "protocolVersion": "2025-06-18",
            "capabilities": { "tools": {}, "resources": {} },
            "serverInfo": { "name": "tools", "version": "1" },
        }),
        "tools/list" => json!({ "tools": [{
            "name": "echo",
            "title": "Echo",
            "description": "Returns the text.",
            "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
        }] }),
        "tools/call" => json!({
            "content": [{ "type": "text", "text": params["arguments"]["text"] }],
            "structuredContent": { "text": params["arguments"]["text"] },
            "isError": false,
        }),
        "resources/list" => json!({ "resources": [
            { "uri": "test:///a", "name": "a", "mimeType": "text/plain", "size": 5 },
        ] }),
        "resources/templates/list" => json!({ "resourceTemplates": [
            { "uriTemplate": "test:///{name}", "name": "any" },
        ] }),
        "resources/read" => json!({ "contents": [
            { "uri": params["uri"], "mimeType": "text/plain", "text": "Hello" },
        ] }),
        _ if request.get("id").is_none() => return StatusCode::ACCEPTED.into_response(),
        _ => {
            let error = json!({ "code": -32601, "message": "Method not found" });
            return json_response(
                &json!({ "jsonrpc": "2.0", "id": request["id"], "error": error }),
            );
        }
    };
    json_response(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
}

fn json_response(message: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (headers, message.to_string()).into_response()
}
