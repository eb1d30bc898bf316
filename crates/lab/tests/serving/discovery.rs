//! The discovery documents and client registration.

use mcp_startup_lab::Lab;
use serde_json::json;

use crate::http::{CALLBACK, get, register, send};
use crate::row;

#[tokio::test]
async fn discovery_leads_from_the_resource_to_the_token_endpoint() {
    let lab = Lab::start(0).await.unwrap();
    let base = lab.base_url();
    let prm = get(
        &lab,
        "/.well-known/oauth-protected-resource/first-sign-in/mcp",
    )
    .await
    .json();
    assert_eq!(prm["resource"], lab.url("first-sign-in"));
    assert_eq!(
        prm["authorization_servers"],
        json!([format!("{base}/first-sign-in")])
    );
    for path in [
        "/.well-known/oauth-authorization-server/first-sign-in",
        "/.well-known/openid-configuration/first-sign-in",
        "/first-sign-in/.well-known/openid-configuration",
    ] {
        let metadata = get(&lab, path).await.json();
        assert_eq!(
            metadata["issuer"],
            format!("{base}/first-sign-in"),
            "{path}"
        );
        assert_eq!(
            metadata["token_endpoint"],
            format!("{base}/first-sign-in/token")
        );
        assert_eq!(
            metadata["code_challenge_methods_supported"],
            json!(["S256"])
        );
    }
    for (path, status) in [
        (
            "/.well-known/oauth-protected-resource/discovery-500/mcp",
            500,
        ),
        ("/.well-known/oauth-authorization-server/discovery-500", 500),
        ("/.well-known/oauth-protected-resource/api-key/mcp", 404),
        (
            "/.well-known/oauth-protected-resource/no-authorization-server/mcp",
            200,
        ),
        (
            "/.well-known/oauth-authorization-server/no-authorization-server",
            404,
        ),
        (
            "/.well-known/openid-configuration/no-authorization-server",
            404,
        ),
        ("/.well-known/oauth-protected-resource", 404),
        (
            "/.well-known/oauth-authorization-server/first-sign-in/mcp",
            404,
        ),
        ("/.well-known/oauth-protected-resource/stdio-ready/mcp", 404),
    ] {
        assert_eq!(get(&lab, path).await.status, status, "{path}");
    }
    let prm = get(
        &lab,
        "/.well-known/oauth-protected-resource/wrong-resource/mcp",
    )
    .await
    .json();
    assert_eq!(prm["resource"], "https://other.example/mcp");
    assert_eq!(
        prm["authorization_servers"],
        json!([format!("{base}/wrong-resource")])
    );

    let registration = r#"{"redirect_uris":["http://127.0.0.1/callback"]}"#;
    let client = send(&lab, "POST", "/first-sign-in/register", "", registration).await;
    assert_eq!(
        (client.status, &client.json()["client_id"]),
        (201, &json!("client-1"))
    );
    let revoked = send(&lab, "POST", "/first-sign-in/revoke", "", "token=any").await;
    assert_eq!(revoked.status, 200);
}

#[tokio::test]
async fn scenarios_change_fields_of_documents_and_registration() {
    let discovery = json!({
        "protectedResourceFields": { "resource": "{base}", "scopes_supported": null },
        "authorizationServerFields": { "code_challenge_methods_supported": ["plain"], "registration_endpoint": null },
    });
    let authorization = json!({ "registered": { "client_id": "other", "client_secret": "s", "token_endpoint_auth_method": null } });
    let rejects = json!({ "register": { "status": 400, "body": { "json": { "error": "invalid_redirect_uri" } } } });
    let rows = vec![
        row(
            "changed",
            json!({ "mcp": {}, "discovery": discovery, "authorization": authorization }),
        ),
        row("rejects", json!({ "mcp": {}, "authorization": rejects })),
    ];
    let lab = Lab::start_with(rows, 0).await.unwrap();
    let prm = get(&lab, "/.well-known/oauth-protected-resource/changed/mcp")
        .await
        .json();
    assert_eq!(
        (&prm["resource"], prm.get("scopes_supported")),
        (&json!(lab.base_url()), None)
    );
    assert_eq!(
        prm["authorization_servers"],
        json!([format!("{}/changed", lab.base_url())])
    );
    let metadata = get(&lab, "/.well-known/oauth-authorization-server/changed")
        .await
        .json();
    assert_eq!(
        metadata["code_challenge_methods_supported"],
        json!(["plain"])
    );
    assert_eq!(metadata.get("registration_endpoint"), None);
    assert_eq!(
        metadata["token_endpoint"],
        format!("{}/changed/token", lab.base_url())
    );

    let client = register(&lab, "changed", CALLBACK).await.json();
    let expected =
        json!({ "client_id": "other", "client_secret": "s", "redirect_uris": [CALLBACK] });
    assert_eq!(client, expected);
    assert_eq!(register(&lab, "rejects", CALLBACK).await.status, 400);
    let empty = send(&lab, "POST", "/changed/register", "", "{}").await;
    assert_eq!(empty.json()["error"], "invalid_redirect_uri");
}
