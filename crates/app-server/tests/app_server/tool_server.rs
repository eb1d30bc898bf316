//! An MCP server with a tool and a resource, over Streamable HTTP.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// The length of the text that the tool `large` returns.
pub const LARGE_BYTES: usize = 1024 * 1024;

pub struct ToolServer {
    pub url: String,
    /// The IDs of the requests that were cancelled.
    pub cancelled: mpsc::UnboundedReceiver<Value>,
    /// The IDs of the calls of `wait`, which are never answered.
    pub waiting: mpsc::UnboundedReceiver<Value>,
    /// The token that each request must have, if it is not empty.
    pub token: watch::Sender<String>,
    /// Dropping it stops the server.
    _serving: JoinSet<std::io::Result<()>>,
}

impl ToolServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (cancelled_sender, cancelled) = mpsc::unbounded_channel();
        let (waiting_sender, waiting) = mpsc::unbounded_channel();
        let (token, required) = watch::channel(String::new());
        let answer = move |headers: HeaderMap, body: String| {
            let expected = format!("Bearer {}", *required.borrow());
            let sent = headers.get(header::AUTHORIZATION);
            let is_authorized =
                expected == "Bearer " || sent.is_some_and(|sent| *sent == *expected);
            let (cancelled, waiting) = (cancelled_sender.clone(), waiting_sender.clone());
            async move {
                match is_authorized {
                    true => answer(body, cancelled, waiting).await,
                    false => {
                        challenged(StatusCode::UNAUTHORIZED, r#"Bearer error="invalid_token""#)
                    }
                }
            }
        };
        let router = Router::new().route("/mcp", post(answer));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            cancelled,
            waiting,
            token,
            _serving: serving,
        }
    }
}

async fn answer(
    body: String,
    cancelled: mpsc::UnboundedSender<Value>,
    waiting: mpsc::UnboundedSender<Value>,
) -> Response {
    let request: Value = serde_json::from_str(&body).unwrap();
    let params = &request["params"];
    if request["method"] == "notifications/cancelled" {
        cancelled.send(params["requestId"].clone()).unwrap();
    }
    if params["name"] == "wait" {
        waiting.send(request["id"].clone()).unwrap();
        std::future::pending::<()>().await;
    }
    let more = r#"Bearer error="insufficient_scope", scope="files:read files:write""#;
    match params["name"].as_str() {
        Some("count") => return counting(&request),
        Some("private") => return challenged(StatusCode::UNAUTHORIZED, "Bearer"),
        Some("more") => return challenged(StatusCode::FORBIDDEN, more),
        Some("broken") => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some("other-id") => {
            return json_response(
                &json!({ "jsonrpc": "2.0", "id": 99, "result": { "content": [] } }),
            );
        }
        _ => {}
    }
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
        "tools/call" if params["name"] == "large" => json!({
            "content": [{ "type": "text", "text": "x".repeat(LARGE_BYTES) }],
        }),
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

/// An event stream with progress, also of a request that does not exist, and the result.
fn counting(request: &Value) -> Response {
    let progress = |token: &Value, progress: usize, message: &str| {
        let params =
            json!({ "progressToken": token, "progress": progress, "total": 3, "message": message });
        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
    };
    let token = &request["params"]["_meta"]["progressToken"];
    let long = "x".repeat(100_000);
    let result = json!({ "content": [] });
    let messages = [
        progress(token, 1, "first\u{1b}[2J"),
        progress(&json!(1_000_000), 2, "of another request"),
        progress(&json!("other"), 2, "of another client"),
        progress(token, 2, &long),
        progress(token, 3, "last"),
        json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }),
    ];
    let events = messages.map(|message| format!("data: {message}\n\n"));
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    (headers, events.concat()).into_response()
}

fn challenged(status: StatusCode, challenge: &'static str) -> Response {
    (status, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
}

fn json_response(message: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (headers, message.to_string()).into_response()
}
