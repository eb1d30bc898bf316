//! The revocation endpoint.

use mcp_startup_lab::Lab;
use serde_json::json;

use crate::http::{call, post_token, send};
use crate::row;

#[tokio::test]
async fn revoked_tokens_are_rejected_unless_the_scenario_refuses() {
    let serves = json!({ "serves": { "tokens": ["good-token"] } });
    let refuses =
        json!({ "revoke": [{ "when": { "token": "good-token" }, "reply": { "status": 503 } }] });
    let rows = vec![
        row("revokes", json!({ "mcp": serves })),
        row(
            "refuses",
            json!({ "mcp": serves, "authorization": refuses }),
        ),
        row(
            "confidential",
            json!({ "mcp": serves, "authorization": { "registered": { "client_secret": "s" } } }),
        ),
    ];
    let lab = Lab::start_with(rows, 0).await.unwrap();
    let revoke = async |name: &str, form: &str| {
        send(&lab, "POST", &format!("/{name}/revoke"), "", form)
            .await
            .status
    };
    let is_accepted =
        async |name: &str, token: &str| call(&lab, name, token, "initialize").await.status == 200;
    let form = "grant_type=refresh_token&refresh_token=good-refresh";

    assert_eq!(revoke("revokes", "").await, 400);
    assert_eq!(revoke("revokes", "token=unknown").await, 200);
    assert!(is_accepted("revokes", "good-token").await);
    assert_eq!(
        revoke("revokes", "token=good-token&token_type_hint=access_token").await,
        200
    );
    assert!(!is_accepted("revokes", "good-token").await);
    assert_eq!(post_token(&lab, "revokes", form).await.status, 200);
    assert!(is_accepted("revokes", "fresh-token-1").await);
    assert_eq!(revoke("revokes", "token=good-refresh").await, 200);
    assert!(!is_accepted("revokes", "fresh-token-1").await);
    assert_eq!(
        post_token(&lab, "revokes", form).await.json()["error"],
        "invalid_grant"
    );

    assert_eq!(revoke("refuses", "token=good-token").await, 503);
    assert!(is_accepted("refuses", "good-token").await);
    assert_eq!(revoke("refuses", "token=good-refresh").await, 200);

    assert_eq!(
        revoke("confidential", "token=good-token&client_id=client-1").await,
        401
    );
    assert_eq!(
        revoke(
            "confidential",
            "token=good-token&client_id=client-1&client_secret=s"
        )
        .await,
        200
    );

    let requests = lab.requests("revokes");
    let revocation = requests
        .iter()
        .filter(|request| request.path == "/revokes/revoke")
        .nth(2);
    let revocation = revocation.unwrap();
    assert_eq!(revocation.token, "good-token");
    assert_eq!(revocation.parameters["token_type_hint"], "access_token");
}
