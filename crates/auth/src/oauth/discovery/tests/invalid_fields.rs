//! The document and the field that a discovery names if metadata can't be used.

use super::*;

/// A document with an invalid field is named, with its field. One at a guessed address is only named if it is certainly the metadata of
/// the server.
#[tokio::test]
async fn the_invalid_field_of_a_document_is_named() {
    const ISSUER: &str = "http://mcp.example";
    const OPENID: &str = "http://mcp.example/.well-known/openid-configuration";
    let invalid = (
        DiscoveryOutcome::Unusable,
        Some(DiscoveryProblem::InvalidMetadata),
    );
    let mismatch = unusable(DiscoveryProblem::ResourceMismatch);
    let no_server = unusable(DiscoveryProblem::NoAuthorizationServer);
    let of_server = |name: &str, value: serde_json::Value| {
        Pages::default()
            .prm(PRM, ISSUER)
            .authorization_server(METADATA, &json!({ name: value }))
    };
    let text_of_server = |body: &str| {
        Pages::default()
            .prm(PRM, ISSUER)
            .with(METADATA, response(200, "", body))
    };
    let of_resource = |name: &str, value: serde_json::Value| {
        let mut document = json!({ "resource": SERVER, "authorization_servers": [ISSUER] });
        document[name] = value;
        Pages::default().json(PRM, &document)
    };
    let published = (DiscoveryOutcome::Published, None);
    let rows = [
        (
            of_server("token_endpoint", json!(7)),
            invalid,
            METADATA,
            "token_endpoint: must be a string, not 7",
        ),
        (
            of_server("token_endpoint", json!(null)),
            invalid,
            METADATA,
            "token_endpoint: must be a string, not null",
        ),
        (
            of_server("authorization_endpoint", json!(["a"])),
            invalid,
            METADATA,
            "authorization_endpoint: must be a string, not a list",
        ),
        (
            of_server("registration_endpoint", json!(true)),
            invalid,
            METADATA,
            "registration_endpoint: must be a string, not true",
        ),
        (
            of_server("issuer", json!({})),
            invalid,
            METADATA,
            "issuer: must be a string, not an object",
        ),
        (
            of_server("scopes_supported", json!("a")),
            invalid,
            METADATA,
            "scopes_supported: must be a list of strings, not \"a\"",
        ),
        (
            of_server("response_types_supported", json!(["code", 1])),
            invalid,
            METADATA,
            "response_types_supported[1]: must be a string, not 1",
        ),
        (
            of_server("code_challenge_methods_supported", json!({})),
            invalid,
            METADATA,
            "code_challenge_methods_supported: must be a list of strings, not an object",
        ),
        (
            of_server("token_endpoint", json!("https://u:p@a.example/t")),
            invalid,
            METADATA,
            "token_endpoint: must be a URL without a user name and a fragment, not a URL with a user name",
        ),
        (
            of_server("token_endpoint", json!("http://a.example/t")),
            no_server,
            METADATA,
            "token_endpoint: must be a public https URL, not \"http://a.example/t\"",
        ),
        (
            text_of_server("{\"issuer\":\"http://mcp.example\"}"),
            invalid,
            METADATA,
            "authorization_endpoint: is missing",
        ),
        (
            text_of_server("[]"),
            invalid,
            METADATA,
            "JSON: must be an object, not a list",
        ),
        (
            text_of_server("{\"issuer\":"),
            invalid,
            METADATA,
            "JSON: the text ends too early, before a value at line 1 column 10",
        ),
        // The document of the issuer counts more than an error at another address.
        (
            Pages::default()
                .prm(PRM, ISSUER)
                .json(METADATA, &json!({ "error": "x" }))
                .authorization_server(OPENID, &json!({ "token_endpoint": 7 })),
            invalid,
            OPENID,
            "token_endpoint: must be a string, not 7",
        ),
        // The server is its own authorization server, at a guessed address.
        (
            Pages::default().authorization_server(METADATA, &json!({ "token_endpoint": 7 })),
            invalid,
            METADATA,
            "token_endpoint: must be a string, not 7",
        ),
        (
            of_resource("authorization_servers", json!(ISSUER)),
            invalid,
            PRM,
            "authorization_servers: must be a list of strings, not \"http://mcp.example\"",
        ),
        (
            of_resource("authorization_servers", json!([7])),
            invalid,
            PRM,
            "authorization_servers[0]: must be a string, not 7",
        ),
        (
            of_resource("authorization_servers", json!(["https://["])),
            no_server,
            PRM,
            "authorization_servers: must name an issuer by its URL",
        ),
        (
            of_resource("authorization_servers", json!([])),
            no_server,
            PRM,
            "authorization_servers: must name an issuer",
        ),
        (
            of_resource("scopes_supported", json!(7)),
            invalid,
            PRM,
            "scopes_supported: must be a list of strings, not 7",
        ),
        (
            of_resource("resource", json!("https://other.example/mcp")),
            mismatch,
            PRM,
            "resource: must be the URL of the server, not \"https://other.example/mcp\"",
        ),
    ];
    for (pages, expected, document, field) in rows {
        let (found, ..) = discover_at(pages, None).await;
        assert_eq!(outcome(&found), expected, "{field}");
        assert_eq!(
            found.evidence.document.as_deref(),
            Some(document),
            "{field}"
        );
        assert_eq!(found.evidence.invalid_field.as_deref(), Some(field));
    }
    let of_pointer = [
        (json!(7), "resource: must be a string, not 7"),
        (json!(null), "resource: is missing"),
        (
            json!("mcp"),
            "resource: must be a URL without a fragment, not \"mcp\"",
        ),
    ];
    for (resource, field) in of_pointer {
        let (found, ..) = discover_at(of_resource("resource", resource), Some(CHALLENGE)).await;
        assert_eq!(outcome(&found), invalid, "{field}");
        assert_eq!(found.evidence.document.as_deref(), Some(PRM), "{field}");
        assert_eq!(found.evidence.invalid_field.as_deref(), Some(field));
    }
    let not_published = (DiscoveryOutcome::NotPublished, None);
    let of_nothing = [
        (
            Pages::default().json(METADATA, &json!({ "error": "not found" })),
            not_published,
        ),
        (
            Pages::default().authorization_server(METADATA, &json!({ "issuer": 7 })),
            not_published,
        ),
        (of_resource("resource", json!(7)), not_published),
        (Pages::valid(), published),
    ];
    for (pages, expected) in of_nothing {
        let (found, ..) = discover_at(pages, None).await;
        assert_eq!(outcome(&found), expected, "{found:?}");
        assert_eq!(
            (found.evidence.document, found.evidence.invalid_field),
            (None, None)
        );
    }
}
