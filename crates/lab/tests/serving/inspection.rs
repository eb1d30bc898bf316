//! The lab's own resources: the list of scenarios at `/`, and the recorded requests.

use mcp_startup_lab::Lab;
use serde_json::{Value, json};

use crate::http::{call, get};

#[tokio::test]
async fn requests_are_recorded_without_unlisted_tokens() {
    let lab = Lab::start(0).await.unwrap();
    for token in ["none", "good-token", "good-token", "a-real-secret", " "] {
        call(&lab, "stale-clock", token, "initialize").await;
    }
    get(
        &lab,
        "/.well-known/oauth-protected-resource/stale-clock/mcp",
    )
    .await;
    assert_eq!(
        lab.tokens_sent("stale-clock"),
        ["none", "good-token", "unlisted", "blank"]
    );

    let response = get(&lab, "/stale-clock/requests").await;
    assert!(!response.body.contains("a-real-secret"));
    let requests = response.json();
    assert_eq!(
        requests,
        json!(lab.requests("stale-clock")),
        "reading the requests is not recorded"
    );
    assert_eq!(
        requests[1],
        json!({
            "to": "mcp",
            "method": "POST",
            "host": lab.address().to_string(),
            "path": "/stale-clock/mcp",
            "rpcMethod": "initialize",
            "token": "good-token",
            "parameters": {},
        })
    );
    assert_eq!(requests[5]["to"], "discovery");
    assert_eq!(lab.requests("ready"), []);
}

#[tokio::test]
async fn root_lists_every_scenario_with_placeholders_filled() {
    let lab = Lab::start(0).await.unwrap();
    let listed = get(&lab, "/").await.json();
    assert_eq!(listed.as_array().unwrap().len(), lab.scenarios().len());
    for (listed, row) in listed.as_array().unwrap().iter().zip(lab.scenarios()) {
        assert_eq!(listed["name"], row.name);
        assert_eq!(listed["expect"], json!(row.expect));
        match &row.stdio {
            None => assert_eq!(listed["url"], lab.url(&row.name)),
            Some(stdio) => assert_eq!(
                (&listed["url"], &listed["stdio"]),
                (&Value::Null, &json!(stdio))
            ),
        }
        let issuer = row
            .stored
            .as_ref()
            .and_then(|stored| stored.issuer.as_ref());
        if let Some(issuer) = issuer {
            let own = format!("{}/{}", lab.base_url(), row.name);
            let filled = issuer
                .replace("{issuer}", &own)
                .replace("{base}", &lab.base_url());
            assert_eq!(listed["stored"]["issuer"], filled);
        }
    }
}
