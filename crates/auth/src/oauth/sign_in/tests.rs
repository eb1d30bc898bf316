use mcp_startup_core::{ClientSource, DiscoveryProblem};
use rmcp::transport::auth::AuthorizationMetadata;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::callback::{Callback, check_redirect_uri};
use super::client::{Client, MAX_CLIENT_ID_BYTES};
use super::*;

const REDIRECT_URI: &str = "http://127.0.0.1:8123/callback";

fn metadata(fields: Value) -> AuthorizationMetadata {
    let mut metadata = json!({
        "issuer": "https://auth.example",
        "authorization_endpoint": "https://auth.example/authorize",
        "token_endpoint": "https://auth.example/token",
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        metadata[name] = value.clone();
    }
    serde_json::from_value(metadata).unwrap()
}

fn request() -> SignInRequest {
    SignInRequest {
        server_name: "server".to_owned(),
        server_url: "https://mcp.example/mcp".to_owned(),
        url: "https://mcp.example/mcp".parse().unwrap(),
        redirect_uri: REDIRECT_URI.to_owned(),
        challenge: None,
        client: ClientSettings::default(),
        scopes: None,
        steps_up: false,
        additional_scopes: Vec::new(),
        resource: None,
        prompt: None,
        mask: Mask::default(),
    }
}

fn pending(redirect_uri: &str, require_issuer: bool) -> PendingSignIn {
    let pending = json!({
        "serverName": "server\u{1b}",
        "serverUrl": "https://mcp.example/mcp",
        "resource": "https://mcp.example/mcp",
        "redirectUri": redirect_uri,
        "client": { "id": "client-1", "secret": "secret-canary", "isConfigured": false, "issued": {} },
        "scopes": [],
        "expiresAtMs": i64::MAX,
        "metadata": metadata(Value::Null),
        "state": {
            "pkce_verifier": "verifier-canary",
            "csrf_token": "state-1",
            "expected_issuer": "https://auth.example",
            "require_issuer": require_issuer,
            "created_at": 0,
        },
    });
    PendingSignIn::parse(&pending.to_string()).unwrap()
}

#[test]
fn scopes_are_the_union_of_the_configured_or_challenged_and_the_additional_ones() {
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    // configured, challenge, of the resource, additional, supported, requested
    for (configured, challenge, of_resource, additional, supported, expected) in [
        (None, None, "", "", "", ""),
        (None, None, "a b", "", "", "a b"),
        (None, Some("Bearer"), "a b", "", "", "a b"),
        (None, Some("Bearer scope=\"\""), "a b", "", "", "a b"),
        (None, Some("Bearer scope=\"c  d\""), "a b", "", "", "c d"),
        (
            None,
            Some("Basic, Bearer realm=\"x\", scope=c"),
            "a",
            "",
            "",
            "c",
        ),
        // Exactly the configured scopes are requested, unless this is a step-up.
        (Some("e"), None, "a", "", "", "e"),
        (Some(""), None, "a", "", "", ""),
        (Some("e"), Some("Bearer scope=\"c\""), "a", "", "", "e"),
        (Some("e"), None, "a", "", "offline_access", "e"),
        (
            Some("e"),
            Some("Bearer error=\"insufficient_scope\", scope=\"c\""),
            "a",
            "",
            "offline_access",
            "e c",
        ),
        (Some(""), Some("Bearer scope=\"c\""), "a", "", "", ""),
        (
            Some("c e"),
            Some("Bearer scope=\"e c d\""),
            "",
            "",
            "",
            "c e",
        ),
        // A step-up keeps the granted scopes.
        (
            Some("e"),
            Some("Bearer error=\"insufficient_scope\", scope=\"c\""),
            "a",
            "b e",
            "",
            "e c b",
        ),
        (
            Some("e"),
            Some("Bearer error=\"insufficient_scope\", scope=\"c\""),
            "",
            "b offline_access",
            "offline_access",
            "e c b offline_access",
        ),
        // Those that a user wants too are requested with those of the server.
        (None, None, "a", "w", "", "a w"),
        (None, None, "a", "w", "offline_access", "a w offline_access"),
        (None, None, "", "w", "offline_access", "w offline_access"),
        (None, Some("Bearer scope=\"c\""), "a", "w", "", "c w"),
        (Some("e"), None, "a", "w", "offline_access", "e w"),
        // Without duplicates, and in this order.
        (None, Some("Bearer scope=\"c a\""), "", "a b c", "", "c a b"),
        (Some("e"), None, "", "a e", "", "e a"),
        (
            None,
            None,
            "a",
            "",
            "a b offline_access",
            "a offline_access",
        ),
        (
            None,
            None,
            "offline_access a",
            "",
            "offline_access",
            "offline_access a",
        ),
        (None, None, "offline_access a", "", "", "offline_access a"),
        (None, None, "", "a", "offline_access", "a offline_access"),
        (None, None, "", "", "offline_access", ""),
    ] {
        let sign_in = SignInRequest {
            challenge: challenge.map(str::to_owned),
            scopes: configured.map(words),
            steps_up: challenge.is_some_and(|text| text.contains("insufficient_scope")),
            additional_scopes: words(additional),
            ..request()
        };
        let found = Discovery {
            scopes: words(of_resource),
            ..Discovery::default()
        };
        let metadata = metadata(json!({ "scopes_supported": words(supported) }));
        let requested = scopes(&sign_in, &found, &metadata).join(" ");
        assert_eq!(
            requested, expected,
            "{challenge:?} {of_resource:?} {additional:?} {supported:?}"
        );
    }
}

#[test]
fn the_number_of_requested_scopes_is_bounded() {
    let many: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let challenge = format!(r#"Bearer scope="{}""#, many.join(" "));
    let sign_in = SignInRequest {
        challenge: Some(challenge),
        additional_scopes: many.into_iter().rev().collect(),
        ..request()
    };
    let requested = scopes(&sign_in, &Discovery::default(), &metadata(Value::Null));
    assert_eq!(requested.len(), 2 * crate::oauth::scopes::MAX_SCOPES);
}

#[test]
fn the_authorization_url_has_the_resource_as_published_and_the_configured_prompt() {
    for (url, resource, prompt, expected) in [
        (
            "https://a.example/authorize?state=s&resource=https%3A%2F%2Fm.example%2F",
            Some("https://m.example"),
            None,
            "https://a.example/authorize?state=s&resource=https%3A%2F%2Fm.example",
        ),
        (
            "https://a.example/authorize?tenant=1&state=s",
            Some("https://m.example/mcp/"),
            None,
            "https://a.example/authorize?tenant=1&state=s&resource=https%3A%2F%2Fm.example%2Fmcp%2F",
        ),
        (
            "https://a.example/?state=s&resource=https%3A%2F%2Fm.example",
            None,
            None,
            "https://a.example/?state=s",
        ),
        (
            "https://a.example/?state=s+%26",
            Some("urn:x"),
            Some("consent"),
            "https://a.example/?state=s+%26&resource=urn%3Ax&prompt=consent",
        ),
        // The authorization server's own prompt would be a second one.
        (
            "https://a.example/?Prompt=login&state=s",
            Some("urn:x"),
            Some("consent"),
            "https://a.example/?state=s&resource=urn%3Ax&prompt=consent",
        ),
        (
            "https://a.example/?prompt=login&state=s",
            None,
            None,
            "https://a.example/?prompt=login&state=s",
        ),
    ] {
        let request = SignInRequest {
            prompt: prompt.map(str::to_owned),
            ..request()
        };
        let found = authorization_url(url, resource, &request);
        assert_eq!(found.unwrap(), expected);
    }
}

#[test]
fn the_authorization_url_has_the_authentication_that_a_challenge_requires() {
    let long = format!(
        r#"Bearer error="insufficient_user_authentication", acr_values="{}""#,
        "a".repeat(501)
    );
    for (challenge, expected) in [
        (
            r#"Bearer error="insufficient_user_authentication", acr_values="urn:a urn:b", max_age="5""#,
            "https://a.example/?state=s&acr_values=urn%3Aa+urn%3Ab&max_age=5",
        ),
        (
            r#"Bearer error="insufficient_user_authentication", max_age=0"#,
            "https://a.example/?acr_values=own&state=s&max_age=0",
        ),
        (
            r#"Bearer error="insufficient_user_authentication", max_age="soon""#,
            "https://a.example/?acr_values=own&state=s",
        ),
        (
            r#"Bearer error="invalid_token", acr_values="urn:a", max_age=5"#,
            "https://a.example/?acr_values=own&state=s",
        ),
        (&long, "https://a.example/?acr_values=own&state=s"),
    ] {
        let request = SignInRequest {
            challenge: Some(challenge.to_owned()),
            ..request()
        };
        let url = "https://a.example/?acr_values=own&state=s";
        let found = authorization_url(url, None, &request);
        assert_eq!(found.unwrap(), expected, "{challenge}");
    }
}

#[test]
fn a_callback_is_accepted_only_at_the_redirect_uri() {
    let valid = "state=state-1&code=c";
    for (redirect_uri, callback, is_accepted) in [
        (REDIRECT_URI, format!("{REDIRECT_URI}?{valid}"), true),
        (REDIRECT_URI, format!("\t {REDIRECT_URI}?{valid}\n"), true),
        (
            REDIRECT_URI,
            format!("{REDIRECT_URI}?{valid}#fragment"),
            true,
        ),
        (
            REDIRECT_URI,
            format!("{REDIRECT_URI}?{valid}&iss=https://auth.example"),
            true,
        ),
        (REDIRECT_URI, format!("{REDIRECT_URI}/?{valid}"), false),
        (
            REDIRECT_URI,
            format!("{REDIRECT_URI}?{valid}&{valid}"),
            false,
        ),
        (REDIRECT_URI, format!("{REDIRECT_URI}#{valid}"), false),
        (REDIRECT_URI, valid.to_owned(), false),
        (
            "https://host.example/cb",
            format!("https://host.example:443/cb?{valid}"),
            true,
        ),
        (
            "https://host.example/cb",
            format!("https://HOST.example/cb?{valid}"),
            true,
        ),
        (
            "https://host.example/cb",
            format!("http://host.example/cb?{valid}"),
            false,
        ),
        (
            "https://host.example/cb?of=mine",
            format!("https://host.example/cb?of=mine&{valid}"),
            true,
        ),
        (
            "com.example.app:/cb",
            format!("com.example.app:/cb?{valid}"),
            true,
        ),
        (
            "com.example.app:cb",
            format!("com.example.app:cb?{valid}"),
            true,
        ),
        (
            "com.example.app:cb",
            format!("com.example.other:cb?{valid}"),
            false,
        ),
        ("app://signed-in", format!("app://signed-in?{valid}"), true),
        ("app://signed-in", format!("app://elsewhere?{valid}"), false),
    ] {
        let pending = pending(redirect_uri, false);
        let callback_read = Callback::read(&pending, &callback, &Mask::default());
        assert_eq!(callback_read.is_ok(), is_accepted, "{callback}");
        if let Err(error) = callback_read {
            assert_eq!(
                error.kind(),
                SignInFailureKind::InvalidCallback,
                "{callback}"
            );
            assert!(error.message().contains("server\\u{1b}"), "{error}");
        }
    }
}

#[test]
fn an_error_response_counts_only_from_the_expected_issuer() {
    use SignInFailureKind::{Denied, InvalidCallback, Misconfigured};
    // Whether the server promises an `iss`, the parameters, the kind of the error, and a part of its message.
    for (promised, parameters, expected, message) in [
        (
            false,
            "state=state-1&error=access_denied",
            Denied,
            "(access_denied)",
        ),
        (false, "state=state-1&error=x&code=c", Denied, "(x)"),
        (
            false,
            "state=state-1&error=a&error_description=b%07",
            Denied,
            "(a: b\\u{7})",
        ),
        (
            false,
            "state=state-1&error=a%1b&error_description=+",
            Denied,
            "(a\\u{1b})",
        ),
        (
            true,
            "state=state-1&error=a&iss=https://auth.example",
            Denied,
            "(a)",
        ),
        (
            true,
            "state=state-1&error=a",
            Misconfigured,
            "does not name its issuer (`iss`), which must be https://auth.example,",
        ),
        (
            false,
            "state=state-1&error=a&iss=https://b.example",
            Misconfigured,
            "names the issuer https://b.example (`iss`) instead of https://auth.example,",
        ),
        (
            true,
            "state=state-1&code=c",
            Misconfigured,
            "contact the operator",
        ),
        (
            false,
            "state=state-1&code=c&iss=https://auth.example/",
            Misconfigured,
            "https://auth.example/ (`iss`)",
        ),
        (
            false,
            "state=state-1&code=c&iss=https://a.example/%1b?key=k",
            Misconfigured,
            "https://a.example/\\u{1b} (`iss`)",
        ),
        (
            false,
            "state=state-1&code=c&iss=https://key@a.example",
            Misconfigured,
            "(a URL with a user name) (`iss`)",
        ),
        (
            true,
            "state=state-2&code=c&iss=https://b.example",
            InvalidCallback,
            "another sign-in",
        ),
        (
            false,
            "state=state-2&error=a",
            InvalidCallback,
            "another sign-in",
        ),
        (false, "error=a", InvalidCallback, "another sign-in"),
        (false, "state=state-1", InvalidCallback, "`code`"),
    ] {
        let callback = format!("{REDIRECT_URI}?{parameters}");
        let error = pending(REDIRECT_URI, promised)
            .check_with(&callback, &Mask::default())
            .unwrap_err();
        assert_eq!(error.kind(), expected, "{parameters}");
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn a_redirect_uri_is_https_or_loopback_or_an_app_scheme() {
    for (redirect_uri, is_valid) in [
        (REDIRECT_URI, true),
        ("http://localhost/callback", true),
        ("http://[::1]:1/", true),
        ("https://host.example/callback?of=mine", true),
        ("com.example.app:/callback", true),
        ("app://signed-in", true),
        ("cursor://anysphere.cursor-mcp/oauth/callback", true),
        ("javascript:x", false),
        ("data:text/html,x", false),
        ("file:///tmp/x", false),
        ("about:blank", false),
        ("blob:https://host.example/x", false),
        ("ftp://127.0.0.1/", false),
        ("http://host.example/callback", false),
        ("http://192.168.1.1/callback", false),
        ("http://127.0.0.1/callback#part", false),
        ("https://host.example/#", false),
        ("/callback", false),
        ("", false),
    ] {
        assert_eq!(
            check_redirect_uri(redirect_uri).is_ok(),
            is_valid,
            "{redirect_uri}"
        );
    }
    let error = check_redirect_uri("\u{1b}[2J").unwrap_err();
    assert_eq!(error.kind(), SignInFailureKind::InvalidConfiguration);
    assert!(!error.message().contains(char::is_control), "{error}");
}

#[test]
fn a_registration_keeps_only_the_fields_that_later_requests_need() {
    let secret = json!({ "client_secret": "s", "client_secret_expires_at": null });
    for (response, expected) in [
        (json!({ "client_id": "c" }), Some(("c", None, json!({})))),
        (
            json!({ "client_id": "c", "client_secret": "" }),
            Some(("c", None, json!({}))),
        ),
        (
            json!({ "client_id": "c", "client_secret": "s", "client_name": "n" }),
            Some(("c", Some("s"), secret.clone())),
        ),
        (
            json!({ "client_id": "c", "client_secret": "s", "client_secret_expires_at": "soon", "token_endpoint_auth_method": "none" }),
            Some(("c", Some("s"), secret.clone())),
        ),
        (
            json!({ "client_id": "c", "client_secret": "s", "client_secret_expires_at": -1 }),
            Some(("c", Some("s"), secret.clone())),
        ),
        (
            json!({ "client_id": "c", "client_secret": "s", "client_secret_expires_at": 1_u64 << 53 }),
            Some(("c", Some("s"), secret.clone())),
        ),
        (
            json!({ "client_id": "c", "client_secret": "s", "client_secret_expires_at": 7, "token_endpoint_auth_method": "client_secret_post" }),
            Some((
                "c",
                Some("s"),
                json!({ "client_secret": "s", "client_secret_expires_at": 7, "token_endpoint_auth_method": "client_secret_post" }),
            )),
        ),
        (json!({ "client_id": "" }), None),
        (json!({ "client_id": 7 }), None),
        (
            json!({ "client_id": "c".repeat(MAX_CLIENT_ID_BYTES + 1) }),
            None,
        ),
        (json!({ "client_secret": "s" }), None),
        (json!([]), None),
    ] {
        let client = Client::registered(response.to_string().as_bytes(), "none");
        let got = client.as_ref().ok().map(|client| {
            let issued = Value::Object(client.issued.clone());
            (client.id.as_str(), client.secret.as_deref(), issued)
        });
        assert_eq!(got, expected, "{response}");
    }
    assert!(Client::registered(b"<html>", "none").is_err());
    // A response that omits the method confirms the requested one (RFC 7591, section 3.2.1).
    let response = br#"{"client_id":"c","client_secret":"s"}"#;
    let client = Client::registered(response, "client_secret_post").unwrap();
    assert_eq!(
        client.issued["token_endpoint_auth_method"],
        "client_secret_post"
    );
}

#[test]
fn the_host_of_the_sign_in_is_that_of_the_authorization_url() {
    for (authorization_url, host) in [
        (
            "https://auth.example/authorize?x=https://b.example/",
            "auth.example",
        ),
        ("https://auth.example:8443?x", "auth.example:8443"),
        ("http://[::1]:80/", "[::1]:80"),
        ("https://xn--uth-6na.example/", "xn--uth-6na.example"),
        ("https://auth.example", "auth.example"),
    ] {
        let begun = SignInBegun {
            authorization_url: authorization_url.to_owned(),
            pending: pending(REDIRECT_URI, false),
        };
        assert_eq!(begun.authorization_host(), host);
    }
}

#[test]
fn debug_output_has_no_secret() {
    let pending = pending(REDIRECT_URI, false);
    let begun = SignInBegun {
        authorization_url: "https://auth.example/authorize".to_owned(),
        pending: pending.clone(),
    };
    assert!(!format!("{pending:?} {begun:?}").contains("canary"));
    let error = PendingSignIn::parse("{\"client\":\"canary\"}").unwrap_err();
    assert!(!format!("{error:?} {error}").contains("canary"));
    assert!(
        pending
            .to_json()
            .expose_secret()
            .contains("verifier-canary")
    );
}

/// The same decision is made for a start and for a sign-in.
#[tokio::test]
async fn a_sign_in_begins_only_with_pkce_usable_endpoints_and_a_client() {
    use DiscoveryProblem::*;
    let network = crate::network::test_internet::network(Vec::new());
    let guarded = network
        .guarded_client(&"https://10.0.0.1/mcp".parse().unwrap())
        .await;
    let client = |id: &str| Some((id.to_owned(), None));
    let settings = |client, metadata_url: Option<&str>, allow_unpublished_pkce| ClientSettings {
        client,
        metadata_url: metadata_url.map(str::to_owned),
        allow_unpublished_pkce,
        never_registers: false,
    };
    let none = || settings(None, None, false);
    let configured = || settings(client("c"), None, false);
    let document = || settings(None, Some("https://host.example/client.json"), false);
    let lenient = || settings(client("c"), None, true);
    let registers = "https://auth.example/register";
    for (fields, settings, expected) in [
        (
            json!({ "registration_endpoint": registers }),
            none(),
            Ok(ClientSource::Registration),
        ),
        (
            json!({ "registration_endpoint": registers }),
            configured(),
            Ok(ClientSource::Configuration),
        ),
        (
            json!({ "registration_endpoint": registers }),
            document(),
            Ok(ClientSource::Registration),
        ),
        (
            json!({ "registration_endpoint": registers, "client_id_metadata_document_supported": true }),
            document(),
            Ok(ClientSource::MetadataDocument),
        ),
        (
            json!({ "client_id_metadata_document_supported": true }),
            configured(),
            Ok(ClientSource::Configuration),
        ),
        (
            json!({ "client_id_metadata_document_supported": true }),
            none(),
            Err(ClientDocumentRequired),
        ),
        (
            json!({ "client_id_metadata_document_supported": "true" }),
            document(),
            Err(ClientRequired),
        ),
        (json!({}), none(), Err(ClientRequired)),
        (json!({}), configured(), Ok(ClientSource::Configuration)),
        (
            json!({ "registration_endpoint": registers, "token_endpoint_auth_methods_supported": ["private_key_jwt"] }),
            none(),
            Err(ClientRequired),
        ),
        (
            json!({ "registration_endpoint": registers, "token_endpoint_auth_methods_supported": [] }),
            none(),
            Ok(ClientSource::Registration),
        ),
        (
            json!({ "registration_endpoint": registers, "token_endpoint_auth_methods_supported": ["client_secret_post"] }),
            none(),
            Ok(ClientSource::Registration),
        ),
        (
            json!({ "registration_endpoint": "http://auth.example/register" }),
            none(),
            Err(InvalidMetadata),
        ),
        (
            json!({ "registration_endpoint": "http://auth.example/register" }),
            configured(),
            Ok(ClientSource::Configuration),
        ),
        (
            json!({ "code_challenge_methods_supported": null }),
            configured(),
            Err(PkceNotPublished),
        ),
        (
            json!({ "code_challenge_methods_supported": null }),
            lenient(),
            Ok(ClientSource::Configuration),
        ),
        (
            json!({ "code_challenge_methods_supported": ["plain"] }),
            lenient(),
            Err(PkceNotSupported),
        ),
        (
            json!({ "code_challenge_methods_supported": [] }),
            lenient(),
            Err(PkceNotSupported),
        ),
        (
            json!({ "response_types_supported": ["token"] }),
            configured(),
            Err(InvalidMetadata),
        ),
        (
            json!({ "response_types_supported": ["token", "code"] }),
            configured(),
            Ok(ClientSource::Configuration),
        ),
        (
            json!({ "grant_types_supported": ["client_credentials", "refresh_token"] }),
            configured(),
            Err(Unsupported),
        ),
        (
            json!({ "grant_types_supported": [] }),
            configured(),
            Ok(ClientSource::Configuration),
        ),
        (
            json!({ "require_pushed_authorization_requests": true }),
            configured(),
            Err(Unsupported),
        ),
        (
            json!({ "require_pushed_authorization_requests": false }),
            configured(),
            Ok(ClientSource::Configuration),
        ),
        (
            json!({ "require_signed_request_object": true }),
            configured(),
            Err(Unsupported),
        ),
        (
            json!({ "dpop_bound_access_tokens_required": true }),
            configured(),
            Err(Unsupported),
        ),
        (
            json!({ "authorization_endpoint": "http://auth.example/authorize" }),
            configured(),
            Err(InvalidMetadata),
        ),
        (
            json!({ "authorization_endpoint": "file:///bin/true" }),
            configured(),
            Err(InvalidMetadata),
        ),
    ] {
        let mut all = json!({ "code_challenge_methods_supported": ["S256"] });
        for (name, value) in fields.as_object().unwrap() {
            all[name] = value.clone();
        }
        let found = sign_in_client(&guarded, &metadata(all), &settings);
        assert_eq!(found, expected, "{fields} {settings:?}");
    }
}
