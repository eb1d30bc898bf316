//! Tool lists of many tools, many pages and many bytes: they are counted, or the server is ready with a warning (DESIGN, section 2).

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use mcp_startup::config::ServerConfig;
use mcp_startup::{McpServerStartupState, Startup, StartupOptions, StartupWarningKind, Update};
use serde_json::{Value, json};

const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"test","version":"1"}}"#;

/// A list of tools: pages of so many tools, and the size of each description in bytes.
#[derive(Clone, Copy, Debug)]
struct List {
    pages: usize,
    tools: usize,
    description: usize,
}

impl List {
    /// The result of each page. They exist before the start, whose limit is for the client.
    fn results(self) -> Vec<String> {
        let tool = json!({
            "name": "tool",
            "description": "d".repeat(self.description),
            "inputSchema": {"type": "object", "properties": {
                "path": {"type": "string", "description": "A path"},
                "depth": {"type": "integer"},
            }, "required": ["path"]},
        });
        let tools = vec![tool.to_string(); self.tools].join(",");
        let page = |number| match number < self.pages {
            true => format!(r#"{{"tools":[{tools}],"nextCursor":"{number}"}}"#),
            false => format!(r#"{{"tools":[{tools}]}}"#),
        };
        (1..=self.pages).map(page).collect()
    }
}

/// A server with a list.
struct Server {
    results: Vec<String>,
    in_events: bool,
}

async fn answer(State(server): State<Arc<Server>>, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    let result = match message["method"].as_str() {
        Some("initialize") => INITIALIZED,
        Some("tools/list") => {
            let cursor = message["params"]["cursor"].as_str();
            let page: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
            &server.results[page]
        }
        _ => return axum::http::StatusCode::ACCEPTED.into_response(),
    };
    let reply = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#,
        message["id"]
    );
    match server.in_events {
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
            };
            let results = list.results();
            let server = Server { results, in_events };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/mcp", listener.local_addr().unwrap());
            let router = Router::new().fallback(answer).with_state(Arc::new(server));
            tokio::spawn(async move { axum::serve(listener, router).await });
            let config = ServerConfig::http("test", &url).unwrap();
            assert_eq!(
                check(config).await,
                (true, count, warning),
                "{list:?} {in_events}"
            );
        }
    }
}

// The server is a shell script.
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
