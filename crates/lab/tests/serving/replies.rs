//! Replies of rules: redirects, pages, and bodies that are long or never end.

use std::time::{Duration, Instant};

use mcp_startup_lab::Lab;
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::http::{call, connect, get, rpc, send};
use crate::row;

#[tokio::test]
async fn redirects_lead_to_pages_and_rules_distinguish_paths() {
    let fields = json!({
        "mcp": { "respond": [
            { "when": { "path": "/mcp", "method": "initialize" }, "reply": { "redirect": "{resource}/" } },
            { "when": { "path": "/mcp" }, "reply": { "status": 302, "redirect": "{issuer}/login" } },
        ] },
        "pages": { "/login": { "contentType": "text/html", "body": { "text": "<h1>Sign in</h1>" } } },
    });
    let lab = Lab::start_with(vec![row("moves", fields)], 0)
        .await
        .unwrap();
    let got = call(&lab, "moves", "none", "initialize").await;
    assert_eq!(got.status, 307);
    assert!(
        got.head
            .contains(&format!("location: {}/", lab.url("moves"))),
        "{}",
        got.head
    );
    assert_eq!(
        send(&lab, "POST", "/moves/mcp/", "", &rpc("initialize"))
            .await
            .status,
        200
    );
    assert_eq!(call(&lab, "moves", "none", "ping").await.status, 302);
    assert_eq!(get(&lab, "/moves/login").await.body, "<h1>Sign in</h1>");
}

#[tokio::test]
async fn long_bodies_have_the_described_length_and_endless_ones_continue() {
    let sized = json!({ "respond": [{ "reply": { "body": { "bytes": 200_000 } } }] });
    let comments = json!({ "respond": [{ "reply": { "contentType": "text/event-stream", "body": "endless" } }] });
    let mut rows = mcp_startup_lab::scenarios().to_vec();
    rows.push(row("sized", json!({ "mcp": sized })));
    rows.push(row("comments", json!({ "mcp": comments })));
    let lab = Lab::start_with(rows, 0).await.unwrap();

    let got = call(&lab, "sized", "none", "initialize").await;
    assert!(
        got.head.contains("transfer-encoding: chunked"),
        "{}",
        got.head
    );
    // Each chunk is a line with its length and a line with its data.
    let text: String = got.body.split("\r\n").skip(1).step_by(2).collect();
    assert_eq!(text.len(), 200_000);
    assert_eq!(
        serde_json::from_str::<String>(&text).unwrap().len(),
        199_998
    );

    let mut socket = connect(&lab, "POST", "/huge-initialize/mcp", "", &rpc("initialize")).await;
    let mut first = vec![0; 4_000_000];
    socket.read_exact(&mut first).await.unwrap();

    for (name, part) in [("endless-initialize", "a"), ("comments", ": wait\n\n")] {
        let path = format!("/{name}/mcp");
        let mut socket = connect(&lab, "POST", &path, "", &rpc("initialize")).await;
        let (mut seen, started) = (String::new(), Instant::now());
        while seen.rmatches(part).count() < 4 {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "{name}: {seen}"
            );
            let mut buffer = [0; 1024];
            let read = socket.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{name}: the body ended");
            let text = String::from_utf8_lossy(&buffer[..read]);
            seen.push_str(text.split_once("\r\n\r\n").map_or(&*text, |(_, body)| body));
        }
    }
}
