//! The client that a sign-in would use, and the reason.

use mcp_startup::ClientSource;
use mcp_startup::config::ServerConfig;
use serde_json::json;

use crate::{Client, User, lab_of, row};

#[tokio::test(flavor = "multi_thread")]
async fn the_choice_of_a_client_has_a_reason() {
    let fields = |fields| json!({ "discovery": { "authorizationServerFields": fields } });
    let no_client = json!({ "registration_endpoint": null });
    let document = "https://host.example/client.json";
    for (about, server, metadata_url, resource, source, reason, deviations) in [
        (
            "registration",
            json!({}),
            None,
            None,
            Some(ClientSource::Registration),
            "no client ID and no metadata document is configured",
            0,
        ),
        (
            "document-unsupported",
            json!({}),
            Some(document),
            None,
            Some(ClientSource::Registration),
            "does not support metadata documents",
            0,
        ),
        (
            "document",
            fields(json!({ "client_id_metadata_document_supported": true })),
            Some(document),
            None,
            Some(ClientSource::MetadataDocument),
            "supports metadata documents",
            0,
        ),
        (
            "configured",
            json!({ "configured": { "clientId": "configured-client" } }),
            Some(document),
            Some(""),
            Some(ClientSource::Configuration),
            "a client ID is configured",
            1,
        ),
        (
            "no-client",
            fields(no_client),
            None,
            None,
            None,
            "does not register this client",
            0,
        ),
        (
            "no-pkce",
            fields(json!({ "code_challenge_methods_supported": null })),
            None,
            None,
            None,
            "does not publish support for PKCE",
            0,
        ),
        (
            "bearer",
            json!({ "configured": { "bearer": "x" } }),
            None,
            None,
            None,
            "the configuration has its token",
            0,
        ),
    ] {
        let lab = lab_of(vec![row(about, &server)]).await;
        let client = Client {
            metadata_url: metadata_url.map(str::to_owned),
            resource: resource.map(str::to_owned),
            ..Client::default()
        };
        let user = User::with(&lab, about, &client);
        let before = user.file();
        let choice = user.startup.sign_in_client(&user.server).await;
        assert_eq!(choice.source, source, "{about}");
        assert!(choice.reason.contains(reason), "{about}: {}", choice.reason);
        assert_eq!(choice.deviations.len(), deviations, "{about}");
        assert_eq!(user.file(), before, "{about}");
        assert!(user.requests_at("register").is_empty(), "{about}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_needs_no_client() {
    let lab = lab_of(vec![row("any", &json!({}))]).await;
    let user = User::new(&lab, "any");
    let program = ServerConfig::stdio("program", "true", ["x"])
        .unwrap()
        .into();
    let choice = user.startup.sign_in_client(&program).await;
    assert_eq!(choice.source, None);
    assert!(choice.reason.contains("needs no sign-in"));
}
