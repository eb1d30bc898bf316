//! Tool lists of many tools, many pages and many bytes: they are counted, or the server is ready with a warning (DESIGN, section 2).

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use mcp_startup::config::ServerConfig;
use mcp_startup::{McpServerStartupState, Startup, StartupOptions, StartupWarningKind, Update};
use serde_json::{Value, json};

/// A list of tools: pages of so many tools, and the size of each description in bytes.
#[derive(Clone, Copy, Debug)]
struct List {
    pages: usize,
    tools: usize,
    description: usize,
    in_events: bool,
}

async fn answer(State(list): State<List>, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "test", "version": "1"},
        }),
        Some("tools/list") => {
            let cursor = message["params"]["cursor"].as_str();
            let page: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
            let tool = json!({
                "name": "tool",
                "description": "d".repeat(list.description),
                "inputSchema": {"type": "object", "properties": {
                    "path": {"type": "string", "description": "A path"},
                    "depth": {"type": "integer"},
                }, "required": ["path"]},
            });
            let mut result = json!({"tools": vec![tool; list.tools]});
            if page + 1 < list.pages {
                result["nextCursor"] = (page + 1).to_string().into();
            }
            result
        }
        _ => return axum::http::StatusCode::ACCEPTED.into_response(),
    };
    let reply = json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string();
    match list.in_events {
        true => (
            [(CONTENT_TYPE, "text/event-stream")],
            format!("event: message\ndata: {reply}\n\n"),
        )
            .into_response(),
        false => ([(CONTENT_TYPE, "application/json")], reply).into_response(),
    }
}

/// Starts the server. Returns whether it is ready, the number of its tools and the kind of its warning.
async fn check(config: ServerConfig) -> (bool, Option<usize>, Option<StartupWarningKind>) {
    let startup = Startup::new(StartupOptions::default()).unwrap();
    let mut check = startup.check(vec![config.into()]);
    let (mut is_ready, mut tools, mut warning, mut of_event) = (false, None, None, None);
    while let Some(update) = check.update().await {
        match update {
            Update::Event(event) => {
                is_ready = *event.notification.status() == McpServerStartupState::Ready;
                of_event = event.tools;
                warning = event.warning.map(|warning| warning.kind);
            }
            Update::Tools { count, .. } => tools = count,
            _ => {}
        }
    }
    assert_eq!(of_event, tools);
    (is_ready, tools, warning)
}

#[tokio::test]
async fn a_long_list_is_counted_or_reported() {
    let too_long = Some(StartupWarningKind::ToolListTooLong);
    let rows = [
        (1, 5000, 100, Some(5000), None),
        (100, 1, 10, Some(100), None),
        (101, 1, 10, None, too_long),
        (2, 5001, 10, None, too_long),
        (1, 9, 1_000_000, Some(9), None),
        (1, 11, 1_000_000, None, too_long),
        (11, 1, 1_000_000, None, too_long),
    ];
    for in_events in [false, true] {
        for (pages, tools, description, count, warning) in rows {
            let list = List {
                pages,
                tools,
                description,
                in_events,
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/mcp", listener.local_addr().unwrap());
            let router = Router::new().fallback(answer).with_state(list);
            tokio::spawn(async move { axum::serve(listener, router).await });
            let config = ServerConfig::http("test", &url).unwrap();
            assert_eq!(check(config).await, (true, count, warning), "{list:?}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_can_list_9_mb_and_a_longer_list_is_reported() {
    let script = r#"
        read line
        echo '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"t","version":"1"}}}'
        read line
        read line
        printf '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t","inputSchema":{"type":"object"},"description":"'
        head -c "$1" /dev/zero | tr '\0' 'd'
        echo '"}]}}'
        read line
    "#;
    let too_long = Some(StartupWarningKind::ToolListTooLong);
    for (bytes, count, warning) in [("9000000", Some(1), None), ("11000000", None, too_long)] {
        let config = ServerConfig::stdio("test", "sh", ["-c", script, "sh", bytes]).unwrap();
        assert_eq!(check(config).await, (true, count, warning), "{bytes}");
    }
}
