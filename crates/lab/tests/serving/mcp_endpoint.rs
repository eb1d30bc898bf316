//! The MCP endpoint: each kind of scenario answers as its row describes, over Streamable HTTP.

use mcp_startup_lab::Lab;
use serde_json::json;

use crate::http::{call, rpc, send};

#[tokio::test]
async fn scenarios_answer_as_described() {
    let lab = Lab::start(0).await.unwrap();
    // Scenario, token, JSON-RPC method, status, part of the head, part of the body.
    for (row, token, method, status, head, body) in [
        (
            "ready",
            "none",
            "initialize",
            200,
            "mcp-session-id: lab-session",
            r#""protocolVersion":"2025-06-18""#,
        ),
        (
            "ready",
            "none",
            "initialize",
            200,
            "content-type: application/json",
            "",
        ),
        ("ready", "none", "tools/list", 200, "", "tool-3"),
        ("ready", "none", "server/discover", 200, "", "-32601"),
        (
            "ready-sse",
            "none",
            "initialize",
            200,
            "content-type: text/event-stream",
            "data: {",
        ),
        (
            "ready-modern",
            "none",
            "server/discover",
            200,
            "",
            r#""supportedVersions":["2026-07-28"]"#,
        ),
        ("ready-modern", "none", "initialize", 404, "", "-32601"),
        (
            "ready-modern",
            "none",
            "tools/list",
            200,
            "",
            r#""resultType":"complete""#,
        ),
        (
            "ready-both-eras",
            "none",
            "server/discover",
            200,
            "",
            "supportedVersions",
        ),
        (
            "ready-both-eras",
            "none",
            "initialize",
            200,
            "",
            "serverInfo",
        ),
        (
            "ready-stored-token",
            "good-token",
            "initialize",
            200,
            "",
            "serverInfo",
        ),
        (
            "first-sign-in",
            "none",
            "initialize",
            401,
            "/.well-known/oauth-protected-resource/first-sign-in/mcp\"",
            "",
        ),
        (
            "revoked-no-refresh",
            "revoked-token",
            "initialize",
            401,
            "error=\"invalid_token\"",
            "",
        ),
        (
            "api-key",
            "none",
            "initialize",
            401,
            "www-authenticate: bearer\r\n",
            "an API key",
        ),
        (
            "expired-but-served",
            "expired-token",
            "initialize",
            200,
            "",
            "serverInfo",
        ),
        (
            "insufficient-scope",
            "good-token",
            "initialize",
            403,
            "error=\"insufficient_scope\"",
            "",
        ),
        (
            "insufficient-scope",
            "none",
            "initialize",
            401,
            "resource_metadata",
            "",
        ),
        (
            "access-denied",
            "good-token",
            "initialize",
            403,
            "content-type: text/plain",
            "does not allow",
        ),
        ("server-500", "none", "initialize", 500, "", "Internal"),
        (
            "rate-limited",
            "none",
            "initialize",
            429,
            "retry-after: 30",
            "",
        ),
        ("not-found-404", "none", "initialize", 404, "", "Not Found"),
        (
            "html-page",
            "none",
            "initialize",
            200,
            "content-type: text/html; charset=utf-8",
            "<h1>",
        ),
        (
            "other-json",
            "none",
            "initialize",
            200,
            "content-type: application/json",
            r#""version":3"#,
        ),
        (
            "unknown-protocol-version",
            "none",
            "initialize",
            200,
            "",
            "1999-01-01",
        ),
        (
            "huge-initialize",
            "none",
            "server/discover",
            200,
            "",
            "-32601",
        ),
        ("no-such-row", "none", "initialize", 404, "", "/ lists"),
        (
            "stdio-ready",
            "none",
            "initialize",
            404,
            "",
            "does not handle POST",
        ),
    ] {
        let got = call(&lab, row, token, method).await;
        let exchange = format!("{row} {token} {method}: {}\n{}", got.head, got.body);
        assert_eq!(got.status, status, "{exchange}");
        assert!(format!("{}\r\n", got.head).contains(head), "{exchange}");
        assert!(got.body.contains(body), "{exchange}");
        assert!(!got.head.contains('{'), "{exchange}");
    }
}

#[tokio::test]
async fn endpoint_follows_streamable_http() {
    let lab = Lab::start(0).await.unwrap();
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    for (method, body, status) in [
        ("POST", notification, 202),
        ("POST", "{", 400),
        ("POST", "[]", 400),
        ("GET", "", 405),
        ("DELETE", "", 200),
    ] {
        let got = send(&lab, method, "/ready/mcp", "", body).await;
        assert_eq!(got.status, status, "{method} {body}: {}", got.body);
    }
    let got = send(&lab, "POST", "/ready/mcp/", "", &rpc("ping")).await;
    assert_eq!(got.json()["result"], json!({}));
    let huge = "x".repeat(1024 * 1024 + 1);
    assert_eq!(
        send(&lab, "POST", "/ready/mcp", "", &huge).await.status,
        413
    );
}
