//! The token endpoint: refreshes, and the ways in which they fail.

use std::time::{Duration, Instant};

use mcp_startup_lab::{Lab, Target};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::http::{call, connect, post_token};
use crate::row;

#[tokio::test]
async fn refreshed_token_is_accepted() {
    let needs_token = json!({ "serves": { "tokens": ["good-token"] } });
    let rows = vec![
        row("plain", json!({ "mcp": needs_token })),
        row(
            "rotates",
            json!({ "mcp": needs_token, "token": { "rotates": true, "expiresIn": null } }),
        ),
    ];
    let lab = Lab::start_with(rows, 0).await.unwrap();
    let form = "grant_type=refresh_token&refresh_token=good-refresh&client_id=client-1&resource=http%3A%2F%2Fx%2Fmcp";
    assert_eq!(
        call(&lab, "plain", "fresh-token-1", "initialize")
            .await
            .status,
        401
    );
    let granted = post_token(&lab, "plain", form).await.json();
    let expected =
        json!({ "access_token": "fresh-token-1", "token_type": "Bearer", "expires_in": 3600 });
    assert_eq!(granted, expected);
    assert_eq!(
        call(&lab, "plain", "fresh-token-1", "initialize")
            .await
            .status,
        200
    );
    assert_eq!(
        call(&lab, "rotates", "fresh-token-1", "initialize")
            .await
            .status,
        401
    );

    let granted = post_token(&lab, "rotates", form).await.json();
    let expected = json!({ "access_token": "fresh-token-1", "token_type": "Bearer", "refresh_token": "fresh-refresh-1" });
    assert_eq!(granted, expected);
    let reused = post_token(&lab, "rotates", form).await;
    assert_eq!(
        (reused.status, reused.json()),
        (400, json!({ "error": "invalid_grant" }))
    );
    assert_eq!(
        call(&lab, "rotates", "fresh-token-1", "initialize")
            .await
            .status,
        401
    );

    for (form, error) in [
        (
            "grant_type=refresh_token&refresh_token=unknown",
            "invalid_grant",
        ),
        ("grant_type=refresh_token", "invalid_request"),
        ("", "invalid_request"),
        ("grant_type=password", "unsupported_grant_type"),
    ] {
        assert_eq!(
            post_token(&lab, "plain", form).await.json()["error"],
            error,
            "{form}"
        );
    }

    let requests = lab.requests("plain");
    let first = requests
        .iter()
        .find(|request| request.to == Target::Token)
        .unwrap();
    assert_eq!(first.token, "good-refresh");
    let parameters: Vec<_> = first
        .parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("client_id", "client-1"),
        ("grant_type", "refresh_token"),
        ("resource", "http://x/mcp"),
    ];
    assert_eq!(parameters, expected);
}

#[tokio::test]
async fn token_endpoint_fails_as_described() {
    let token = |reply: Value| json!({ "mcp": {}, "token": { "respond": [{ "reply": reply }] } });
    let rows = vec![
        row(
            "json",
            token(json!({ "status": 400, "body": { "json": { "error": "invalid_grant" } } })),
        ),
        row(
            "form",
            token(
                json!({ "status": 401, "body": { "form": { "error": "invalid_client", "error_description": "a b" } } }),
            ),
        ),
        row(
            "inside-200",
            token(json!({ "body": { "json": { "error": "token_revoked", "ok": false } } })),
        ),
        row(
            "created",
            token(
                json!({ "status": 201, "body": { "json": { "access_token": "new", "token_type": "bEaReR" } } }),
            ),
        ),
        row(
            "moved",
            token(json!({ "redirect": "{elsewhere}/moved/token" })),
        ),
        row("slow", token(json!({ "delayMs": 300, "status": 503 }))),
        row("closes", token(json!({ "close": true }))),
        row("hangs", token(json!({ "hang": true }))),
        row(
            "once",
            json!({ "mcp": {}, "token": { "respond": [{ "times": 1, "reply": { "status": 503 } }] } }),
        ),
    ];
    let lab = Lab::start_with(rows, 0).await.unwrap();
    let form = "grant_type=refresh_token&refresh_token=good-refresh";
    let elsewhere = format!(
        "location: http://localhost:{}/moved/token",
        lab.address().port()
    );
    for (row, status, head, body) in [
        (
            "json",
            400,
            "application/json",
            r#"{"error":"invalid_grant"}"#,
        ),
        (
            "form",
            401,
            "application/x-www-form-urlencoded",
            "error=invalid_client&error_description=a+b",
        ),
        (
            "inside-200",
            200,
            "application/json",
            r#"{"error":"token_revoked","ok":false}"#,
        ),
        (
            "created",
            201,
            "application/json",
            r#"{"access_token":"new","token_type":"bEaReR"}"#,
        ),
        ("moved", 307, elsewhere.as_str(), ""),
        ("once", 503, "", ""),
    ] {
        let got = post_token(&lab, row, form).await;
        assert_eq!((got.status, got.body.as_str()), (status, body), "{row}");
        assert!(got.head.contains(head), "{row}: {}", got.head);
    }
    assert_eq!(post_token(&lab, "once", form).await.status, 200);

    let started = Instant::now();
    assert_eq!(post_token(&lab, "slow", form).await.status, 503);
    assert!(started.elapsed() >= Duration::from_millis(300));

    let mut received = Vec::new();
    let mut socket = connect(&lab, "POST", "/closes/token", "", form).await;
    // The connection is closed or reset, in both cases without a byte.
    let _ = socket.read_to_end(&mut received).await;
    assert!(received.is_empty());
    let mut socket = connect(&lab, "POST", "/hangs/token", "", form).await;
    let waited = tokio::time::timeout(Duration::from_millis(300), socket.read_u8()).await;
    assert!(waited.is_err(), "the lab answered");
    assert_eq!(lab.requests("hangs").len(), 1);
}
