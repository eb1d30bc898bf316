//! Sign-in with an authorization code: the redirect back to the client, and the exchange of the code.

use mcp_startup_lab::{Lab, Target};
use serde_json::{Value, json};

use crate::http::{CALLBACK, call, get, post_token, register, send};
use crate::row;

/// The code verifier of RFC 7636, appendix B, and its challenge.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Encodes the default fields as a form, with some of them changed. The value `""` omits a field.
fn encode(defaults: &[(&str, &str)], changes: &[(&str, &str)]) -> String {
    let added = changes
        .iter()
        .filter(|(name, _)| defaults.iter().all(|(known, _)| known != name));
    let all = defaults.iter().map(|(name, value)| {
        let change = changes.iter().find(|(changed, _)| changed == name);
        (*name, change.map_or(*value, |(_, value)| *value))
    });
    let all = all
        .chain(added.copied())
        .filter(|(_, value)| !value.is_empty());
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(all)
        .finish()
}

/// Signs in to a scenario, with some parameters of the request changed. Returns the parameters of the redirect back to the client, or
/// the status if there is no redirect.
async fn sign_in(
    lab: &Lab,
    row: &str,
    changes: &[(&str, &str)],
) -> Result<Vec<(String, String)>, u16> {
    let defaults = [
        ("response_type", "code"),
        ("client_id", "client-1"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "a state"),
        ("scope", "mcp:tools"),
        ("resource", &lab.url(row)),
    ];
    let query = encode(&defaults, changes);
    let got = get(lab, &format!("/{row}/authorize?{query}")).await;
    let location = got
        .head
        .lines()
        .find_map(|line| line.strip_prefix("location: "));
    let Some(location) = location else {
        return Err(got.status);
    };
    assert_eq!(got.status, 302);
    let (to, query) = location.split_once('?').unwrap();
    assert_eq!(to, CALLBACK);
    Ok(url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect())
}

/// The expected parameters of a redirect.
fn redirected(parameters: &[(&str, &str)]) -> Result<Vec<(String, String)>, u16> {
    let parameters = parameters.iter();
    Ok(parameters
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect())
}

#[tokio::test]
async fn user_returns_with_a_code_or_with_the_scenarios_parameters() {
    let extended = json!({ "authorizationServerFields": { "authorization_response_iss_parameter_supported": true, "client_id_metadata_document_supported": true } });
    let answer = |answer: Value| json!({ "mcp": {}, "authorization": { "answer": answer } });
    let rows = vec![
        row("good", json!({ "mcp": {} })),
        row("extended", json!({ "mcp": {}, "discovery": extended })),
        row(
            "denies",
            answer(json!({ "error": "access_denied", "error_description": "not you" })),
        ),
        row(
            "wrong",
            answer(json!({ "state": "other", "iss": "{issuer}/x" })),
        ),
        row("silent", answer(json!({ "state": null, "code": null }))),
        row(
            "configured",
            json!({ "mcp": {}, "configured": { "clientId": "mine" } }),
        ),
    ];
    let lab = Lab::start_with(rows, 0).await.unwrap();
    assert_eq!(
        sign_in(&lab, "good", &[]).await,
        Err(400),
        "no client is registered"
    );
    for name in ["good", "extended", "denies", "wrong", "silent"] {
        assert_eq!(register(&lab, name, CALLBACK).await.status, 201);
    }
    let issuer = |name: &str| format!("{}/{name}", lab.base_url());
    let (extended, wrong) = (issuer("extended"), issuer("wrong/x"));
    let document = ("client_id", "https://host.example/client");
    let denied = |error| redirected(&[("error", error), ("state", "a state")]);
    for (name, changes, expected) in [
        (
            "good",
            vec![],
            redirected(&[("code", "fresh-code-1"), ("state", "a state")]),
        ),
        (
            "good",
            vec![("scope", "")],
            redirected(&[("code", "fresh-code-2"), ("state", "a state")]),
        ),
        (
            "extended",
            vec![document],
            redirected(&[
                ("code", "fresh-code-1"),
                ("iss", &extended),
                ("state", "a state"),
            ]),
        ),
        (
            "denies",
            vec![],
            redirected(&[
                ("error", "access_denied"),
                ("error_description", "not you"),
                ("state", "a state"),
            ]),
        ),
        (
            "wrong",
            vec![],
            redirected(&[
                ("code", "fresh-code-1"),
                ("iss", &wrong),
                ("state", "other"),
            ]),
        ),
        ("silent", vec![], redirected(&[])),
        (
            "configured",
            vec![("client_id", "mine")],
            redirected(&[("code", "fresh-code-1"), ("state", "a state")]),
        ),
        (
            "good",
            vec![("response_type", "token")],
            denied("unsupported_response_type"),
        ),
        (
            "good",
            vec![("code_challenge", "")],
            denied("invalid_request"),
        ),
        (
            "good",
            vec![("code_challenge_method", "plain")],
            denied("invalid_request"),
        ),
        ("good", vec![("resource", "")], denied("invalid_target")),
        (
            "good",
            vec![("resource", "https://a.example")],
            denied("invalid_target"),
        ),
        (
            "good",
            vec![("redirect_uri", "http://127.0.0.1:1/other")],
            Err(400),
        ),
        ("good", vec![("client_id", "another")], Err(400)),
        ("good", vec![document], Err(400)),
    ] {
        assert_eq!(
            sign_in(&lab, name, &changes).await,
            expected,
            "{name} {changes:?}"
        );
    }

    let requests = lab.requests("extended");
    let authorization = requests
        .iter()
        .find(|request| request.path == "/extended/authorize")
        .unwrap();
    let names: Vec<_> = authorization
        .parameters
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "client_id",
        "code_challenge_method",
        "redirect_uri",
        "resource",
        "response_type",
        "scope",
    ];
    assert_eq!(names, expected, "neither state nor challenge is recorded");
}

#[tokio::test]
async fn code_is_exchanged_once_with_verifier_and_secret() {
    let secret =
        |method| json!({ "client_secret": "s&e cret", "token_endpoint_auth_method": method });
    let registered = |method| json!({ "mcp": { "serves": { "tokens": [] } }, "authorization": { "registered": secret(method) } });
    let rows = vec![
        row("public", json!({ "mcp": { "serves": { "tokens": [] } } })),
        row("post", registered("client_secret_post")),
        row("basic", registered("client_secret_basic")),
        row("either", registered("none")),
    ];
    let lab = Lab::start_with(rows, 0).await.unwrap();
    for name in ["public", "post", "basic", "either"] {
        assert_eq!(register(&lab, name, CALLBACK).await.status, 201);
    }
    // The header encodes `client-1:s%26e+cret`.
    let basic = "Authorization: Basic Y2xpZW50LTE6cyUyNmUrY3JldA==\r\n";
    let exchange = async |name: &str, header: &str, changes: &[(&str, &str)]| {
        let answer = sign_in(&lab, name, &[]).await.unwrap();
        let (resource, code) = (lab.url(name), answer[0].1.clone());
        let defaults = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("client_id", "client-1"),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("resource", &resource),
        ];
        let form = encode(&defaults, changes);
        let got = send(&lab, "POST", &format!("/{name}/token"), header, &form).await;
        (got, form)
    };
    let secret_field = ("client_secret", "s&e cret");
    for (name, header, changes, error) in [
        (
            "public",
            "",
            vec![("code_verifier", CHALLENGE)],
            "invalid_grant",
        ),
        ("public", "", vec![("code_verifier", "")], "invalid_request"),
        ("public", "", vec![("code", "")], "invalid_request"),
        (
            "public",
            "",
            vec![("code", "fresh-code-99")],
            "invalid_grant",
        ),
        ("public", "", vec![("redirect_uri", "")], "invalid_grant"),
        (
            "public",
            "",
            vec![("client_id", "another")],
            "invalid_grant",
        ),
        ("public", "", vec![("client_id", "")], "invalid_grant"),
        (
            "public",
            "",
            vec![("resource", "https://a.example")],
            "invalid_target",
        ),
        ("public", "", vec![secret_field], "invalid_client"),
        ("post", "", vec![], "invalid_client"),
        (
            "post",
            "",
            vec![("client_secret", "another")],
            "invalid_client",
        ),
        ("post", basic, vec![], "invalid_client"),
        ("basic", "", vec![secret_field], "invalid_client"),
        (
            "basic",
            "Authorization: Basic !\r\n",
            vec![],
            "invalid_client",
        ),
        ("either", "", vec![], "invalid_client"),
    ] {
        let (got, _) = exchange(name, header, &changes).await;
        let status = if error == "invalid_client" { 401 } else { 400 };
        assert_eq!(
            (got.status, got.json()),
            (status, json!({ "error": error })),
            "{name} {changes:?}"
        );
    }
    for (name, header, changes) in [
        ("public", "", vec![]),
        ("post", "", vec![secret_field]),
        ("basic", basic, vec![("client_id", "")]),
        ("either", basic, vec![("client_id", "")]),
        ("either", "", vec![secret_field]),
    ] {
        let (got, form) = exchange(name, header, &changes).await;
        let number = if changes == [secret_field] && name == "either" {
            2
        } else {
            1
        };
        let (access, refresh) = (
            format!("fresh-token-{number}"),
            format!("fresh-refresh-{number}"),
        );
        let expected = json!({ "access_token": access, "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh, "scope": "mcp:tools" });
        assert_eq!((got.status, got.json()), (200, expected), "{name}");
        assert_eq!(call(&lab, name, &access, "initialize").await.status, 200);

        if name == "public" {
            // A code that is used twice might be stolen, so all tokens are revoked (RFC 6749, section 4.1.2).
            let again = post_token(&lab, name, &form).await;
            assert_eq!(again.json()["error"], "invalid_grant");
            assert_eq!(call(&lab, name, &access, "initialize").await.status, 401);
        }
    }
    let requests = lab.requests("post");
    let exchanged = requests
        .iter()
        .rfind(|request| request.to == Target::Token)
        .unwrap();
    let names: Vec<_> = exchanged.parameters.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["client_id", "grant_type", "redirect_uri", "resource"],
        "no secret is recorded"
    );
}
