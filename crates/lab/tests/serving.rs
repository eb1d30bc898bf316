//! The lab over a plain socket.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use mcp_startup_lab::{Lab, LabError, Scenario, Target, parse_scenarios};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Response {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
}

impl Response {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

async fn connect(lab: &Lab, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
    let mut socket = TcpStream::connect(lab.address()).await.unwrap();
    let (host, length) = (lab.address(), body.len());
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

async fn send(lab: &Lab, method: &str, path: &str, headers: &str, body: &str) -> Response {
    let mut text = String::new();
    let mut socket = connect(lab, method, path, headers, body).await;
    socket.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Response {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

async fn get(lab: &Lab, path: &str) -> Response {
    send(lab, "GET", path, "", "").await
}

fn rpc(method: &str) -> String {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
    let params = match method {
        "initialize" => json!({ "protocolVersion": "2025-06-18" }),
        _ => json!({ "_meta": meta }),
    };
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

/// A JSON-RPC request to a row, with a token or none.
async fn call(lab: &Lab, row: &str, token: &str, method: &str) -> Response {
    let authorization = match token {
        "none" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    send(
        lab,
        "POST",
        &format!("/{row}/mcp"),
        &authorization,
        &rpc(method),
    )
    .await
}

async fn refresh(lab: &Lab, row: &str, form: &str) -> Response {
    send(lab, "POST", &format!("/{row}/token"), "", form).await
}

/// A row with these fields, and what every row must have.
fn row(name: &str, fields: Value) -> Scenario {
    let mut row = json!({ "name": name, "about": "", "expect": { "state": "ready" } });
    for (key, value) in fields.as_object().unwrap() {
        row[key] = value.clone();
    }
    parse_scenarios(&json!([row]).to_string())
        .unwrap()
        .remove(0)
}

#[tokio::test]
async fn the_rows_answer_as_they_are_written() {
    let lab = Lab::start(0).await.unwrap();
    // row, token, JSON-RPC method, status, in the head, in the body
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
            "has nothing at POST",
        ),
    ] {
        let got = call(&lab, row, token, method).await;
        let what = format!("{row} {token} {method}: {}\n{}", got.head, got.body);
        assert_eq!(got.status, status, "{what}");
        assert!(format!("{}\r\n", got.head).contains(head), "{what}");
        assert!(got.body.contains(body), "{what}");
        assert!(!got.head.contains('{'), "{what}");
    }
}

#[tokio::test]
async fn the_endpoint_keeps_to_the_transport() {
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

#[tokio::test]
async fn discovery_documents_lead_from_the_resource_to_the_token_endpoint() {
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

    let asked = r#"{"redirect_uris":["http://127.0.0.1/callback"]}"#;
    let client = send(&lab, "POST", "/first-sign-in/register", "", asked).await;
    assert_eq!(
        (client.status, &client.json()["client_id"]),
        (201, &json!("client-1"))
    );
    let revoked = send(&lab, "POST", "/first-sign-in/revoke", "", "token=any").await;
    assert_eq!(revoked.status, 200);
}

#[tokio::test]
async fn a_refresh_gives_a_token_that_is_served() {
    let wants_token = json!({ "serves": { "tokens": ["good-token"] } });
    let rows = vec![
        row("plain", json!({ "mcp": wants_token })),
        row(
            "rotates",
            json!({ "mcp": wants_token, "token": { "rotates": true, "expiresIn": null } }),
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
    let granted = refresh(&lab, "plain", form).await.json();
    let wanted =
        json!({ "access_token": "fresh-token-1", "token_type": "Bearer", "expires_in": 3600 });
    assert_eq!(granted, wanted);
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

    let granted = refresh(&lab, "rotates", form).await.json();
    let wanted = json!({ "access_token": "fresh-token-1", "token_type": "Bearer", "refresh_token": "fresh-refresh-1" });
    assert_eq!(granted, wanted);
    let reused = refresh(&lab, "rotates", form).await;
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
            refresh(&lab, "plain", form).await.json()["error"],
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
    let wanted = [
        ("client_id", "client-1"),
        ("grant_type", "refresh_token"),
        ("resource", "http://x/mcp"),
    ];
    assert_eq!(parameters, wanted);
}

/// The verifier of RFC 7636, appendix B, and its challenge.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1:1/callback";

/// Fields as a query or a form, in which these stand in place of the usual ones; `""` leaves one out.
fn fields(usual: &[(&str, &str)], others: &[(&str, &str)]) -> String {
    let new = others
        .iter()
        .filter(|(name, _)| usual.iter().all(|(known, _)| known != name));
    let all = usual.iter().map(|(name, value)| {
        let other = others.iter().find(|(changed, _)| changed == name);
        (*name, other.map_or(*value, |(_, value)| *value))
    });
    let all = all
        .chain(new.copied())
        .filter(|(_, value)| !value.is_empty());
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(all)
        .finish()
}

/// The parameters that the user of a row comes back with; the status where they do not come back.
async fn sign_in(
    lab: &Lab,
    row: &str,
    others: &[(&str, &str)],
) -> Result<Vec<(String, String)>, u16> {
    let usual = [
        ("response_type", "code"),
        ("client_id", "client-1"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "a state"),
        ("scope", "mcp:tools"),
        ("resource", &lab.url(row)),
    ];
    let query = fields(&usual, others);
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

async fn register(lab: &Lab, row: &str, redirect_uri: &str) -> Response {
    let body = json!({ "redirect_uris": [redirect_uri] }).to_string();
    send(lab, "POST", &format!("/{row}/register"), "", &body).await
}

fn pairs(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, u16> {
    let pairs = pairs.iter();
    Ok(pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect())
}

#[tokio::test]
async fn a_user_comes_back_with_a_code_or_with_what_the_row_says() {
    let promises = json!({ "authorizationServerFields": { "authorization_response_iss_parameter_supported": true, "client_id_metadata_document_supported": true } });
    let answer = |answer: Value| json!({ "mcp": {}, "authorization": { "answer": answer } });
    let rows = vec![
        row("good", json!({ "mcp": {} })),
        row("promises", json!({ "mcp": {}, "discovery": promises })),
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
        "nobody has registered"
    );
    for name in ["good", "promises", "denies", "wrong", "silent"] {
        assert_eq!(register(&lab, name, CALLBACK).await.status, 201);
    }
    let issuer = |name: &str| format!("{}/{name}", lab.base_url());
    let (promises, wrong) = (issuer("promises"), issuer("wrong/x"));
    let document = ("client_id", "https://host.example/client");
    let denied = |error| pairs(&[("error", error), ("state", "a state")]);
    for (name, others, wanted) in [
        (
            "good",
            vec![],
            pairs(&[("code", "fresh-code-1"), ("state", "a state")]),
        ),
        (
            "good",
            vec![("scope", "")],
            pairs(&[("code", "fresh-code-2"), ("state", "a state")]),
        ),
        (
            "promises",
            vec![document],
            pairs(&[
                ("code", "fresh-code-1"),
                ("iss", &promises),
                ("state", "a state"),
            ]),
        ),
        (
            "denies",
            vec![],
            pairs(&[
                ("error", "access_denied"),
                ("error_description", "not you"),
                ("state", "a state"),
            ]),
        ),
        (
            "wrong",
            vec![],
            pairs(&[
                ("code", "fresh-code-1"),
                ("iss", &wrong),
                ("state", "other"),
            ]),
        ),
        ("silent", vec![], pairs(&[])),
        (
            "configured",
            vec![("client_id", "mine")],
            pairs(&[("code", "fresh-code-1"), ("state", "a state")]),
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
            sign_in(&lab, name, &others).await,
            wanted,
            "{name} {others:?}"
        );
    }

    let requests = lab.requests("promises");
    let asked = requests
        .iter()
        .find(|request| request.path == "/promises/authorize")
        .unwrap();
    let names: Vec<_> = asked.parameters.keys().map(String::as_str).collect();
    let wanted = [
        "client_id",
        "code_challenge_method",
        "redirect_uri",
        "resource",
        "response_type",
        "scope",
    ];
    assert_eq!(names, wanted, "neither state nor challenge is kept");
}

#[tokio::test]
async fn a_code_gives_tokens_once_to_who_has_the_verifier_and_the_secret() {
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
    // "client-1:s%26e+cret"
    let basic = "Authorization: Basic Y2xpZW50LTE6cyUyNmUrY3JldA==\r\n";
    let exchange = async |name: &str, header: &str, others: &[(&str, &str)]| {
        let answer = sign_in(&lab, name, &[]).await.unwrap();
        let (resource, code) = (lab.url(name), answer[0].1.clone());
        let usual = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("client_id", "client-1"),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("resource", &resource),
        ];
        let form = fields(&usual, others);
        let got = send(&lab, "POST", &format!("/{name}/token"), header, &form).await;
        (got, form)
    };
    let mine = ("client_secret", "s&e cret");
    for (name, header, others, error) in [
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
        ("public", "", vec![mine], "invalid_client"),
        ("post", "", vec![], "invalid_client"),
        (
            "post",
            "",
            vec![("client_secret", "another")],
            "invalid_client",
        ),
        ("post", basic, vec![], "invalid_client"),
        ("basic", "", vec![mine], "invalid_client"),
        (
            "basic",
            "Authorization: Basic !\r\n",
            vec![],
            "invalid_client",
        ),
        ("either", "", vec![], "invalid_client"),
    ] {
        let (got, _) = exchange(name, header, &others).await;
        let status = if error == "invalid_client" { 401 } else { 400 };
        assert_eq!(
            (got.status, got.json()),
            (status, json!({ "error": error })),
            "{name} {others:?}"
        );
    }
    for (name, header, others) in [
        ("public", "", vec![]),
        ("post", "", vec![mine]),
        ("basic", basic, vec![("client_id", "")]),
        ("either", basic, vec![("client_id", "")]),
        ("either", "", vec![mine]),
    ] {
        let (got, form) = exchange(name, header, &others).await;
        let number = if others == [mine] && name == "either" {
            2
        } else {
            1
        };
        let (access, refresh) = (
            format!("fresh-token-{number}"),
            format!("fresh-refresh-{number}"),
        );
        let wanted = json!({ "access_token": access, "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh, "scope": "mcp:tools" });
        assert_eq!((got.status, got.json()), (200, wanted), "{name}");
        assert_eq!(call(&lab, name, &access, "initialize").await.status, 200);

        if name == "public" {
            // Once more: that is theft, and all is revoked (RFC 6749, section 4.1.2).
            let again = self::refresh(&lab, name, &form).await;
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
        "no secret is kept"
    );
}

#[tokio::test]
async fn what_is_revoked_is_worth_nothing_unless_the_row_refuses() {
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
    let is_served =
        async |name: &str, token: &str| call(&lab, name, token, "initialize").await.status == 200;
    let granted = "grant_type=refresh_token&refresh_token=good-refresh";

    assert_eq!(revoke("revokes", "").await, 400);
    assert_eq!(revoke("revokes", "token=nobody-knows").await, 200);
    assert!(is_served("revokes", "good-token").await);
    assert_eq!(
        revoke("revokes", "token=good-token&token_type_hint=access_token").await,
        200
    );
    assert!(!is_served("revokes", "good-token").await);
    assert_eq!(refresh(&lab, "revokes", granted).await.status, 200);
    assert!(is_served("revokes", "fresh-token-1").await);
    assert_eq!(revoke("revokes", "token=good-refresh").await, 200);
    assert!(!is_served("revokes", "fresh-token-1").await);
    assert_eq!(
        refresh(&lab, "revokes", granted).await.json()["error"],
        "invalid_grant"
    );

    assert_eq!(revoke("refuses", "token=good-token").await, 503);
    assert!(is_served("refuses", "good-token").await);
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

#[tokio::test]
async fn documents_and_registration_have_the_fields_that_the_row_says() {
    let discovery = json!({
        "protectedResourceFields": { "resource": "{base}", "scopes_supported": null },
        "authorizationServerFields": { "code_challenge_methods_supported": ["plain"], "registration_endpoint": null },
    });
    let authorization = json!({ "registered": { "client_id": "other", "client_secret": "s", "token_endpoint_auth_method": null } });
    let refuses = json!({ "register": { "status": 400, "body": { "json": { "error": "invalid_redirect_uri" } } } });
    let rows = vec![
        row(
            "changed",
            json!({ "mcp": {}, "discovery": discovery, "authorization": authorization }),
        ),
        row("refuses", json!({ "mcp": {}, "authorization": refuses })),
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
    let wanted = json!({ "client_id": "other", "client_secret": "s", "redirect_uris": [CALLBACK] });
    assert_eq!(client, wanted);
    assert_eq!(register(&lab, "refuses", CALLBACK).await.status, 400);
    let nothing = send(&lab, "POST", "/changed/register", "", "{}").await;
    assert_eq!(nothing.json()["error"], "invalid_redirect_uri");
}

#[tokio::test]
async fn the_token_endpoint_fails_as_its_row_says() {
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
        let got = refresh(&lab, row, form).await;
        assert_eq!((got.status, got.body.as_str()), (status, body), "{row}");
        assert!(got.head.contains(head), "{row}: {}", got.head);
    }
    assert_eq!(refresh(&lab, "once", form).await.status, 200);

    let started = Instant::now();
    assert_eq!(refresh(&lab, "slow", form).await.status, 503);
    assert!(started.elapsed() >= Duration::from_millis(300));

    let mut nothing = Vec::new();
    let mut socket = connect(&lab, "POST", "/closes/token", "", form).await;
    // Closed at once, or reset: either way without a byte.
    let _ = socket.read_to_end(&mut nothing).await;
    assert!(nothing.is_empty());
    let mut socket = connect(&lab, "POST", "/hangs/token", "", form).await;
    let waited = tokio::time::timeout(Duration::from_millis(300), socket.read_u8()).await;
    assert!(waited.is_err(), "it answered");
    assert_eq!(lab.requests("hangs").len(), 1);
}

#[tokio::test]
async fn a_redirect_may_lead_to_a_page_and_a_rule_may_tell_paths_apart() {
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
async fn a_huge_body_is_as_long_as_its_row_says_and_an_endless_one_goes_on() {
    let exactly = json!({ "respond": [{ "reply": { "body": { "bytes": 200_000 } } }] });
    let comments = json!({ "respond": [{ "reply": { "contentType": "text/event-stream", "body": "endless" } }] });
    let mut rows = mcp_startup_lab::scenarios().to_vec();
    rows.push(row("exactly", json!({ "mcp": exactly })));
    rows.push(row("comments", json!({ "mcp": comments })));
    let lab = Lab::start_with(rows, 0).await.unwrap();

    let got = call(&lab, "exactly", "none", "initialize").await;
    assert!(
        got.head.contains("transfer-encoding: chunked"),
        "{}",
        got.head
    );
    // A chunk is a line of its length and a line of itself.
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
            let mut some = [0; 1024];
            let read = socket.read(&mut some).await.unwrap();
            assert!(read > 0, "{name}: it ended");
            let from = String::from_utf8_lossy(&some[..read]);
            seen.push_str(from.split_once("\r\n\r\n").map_or(&*from, |(_, body)| body));
        }
    }
}

#[tokio::test]
async fn what_came_in_can_be_read_but_no_token_that_may_be_real() {
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

    let served = get(&lab, "/stale-clock/requests").await;
    assert!(!served.body.contains("a-real-secret"));
    let requests = served.json();
    assert_eq!(
        requests,
        json!(lab.requests("stale-clock")),
        "reading is not recorded"
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
async fn the_root_lists_every_row_with_its_placeholders_filled() {
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

#[tokio::test]
async fn dropping_it_closes_every_connection_and_frees_its_port() {
    let lab = Lab::start(0).await.unwrap();
    let address = lab.address();
    let mut hanging = connect(&lab, "POST", "/hangs/mcp", "", &rpc("initialize")).await;
    assert!(
        matches!(Lab::start(address.port()).await, Err(LabError::Listen { port, .. }) if port == address.port())
    );
    drop(lab);
    let mut nothing = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), hanging.read_to_end(&mut nothing));
    let _ = closed.await.expect("the connection is still open");
    assert!(nothing.is_empty());
    assert!(TcpStream::connect(address).await.is_err());
    let again = Lab::start(address.port()).await.unwrap();
    assert_eq!(
        call(&again, "ready", "none", "initialize").await.status,
        200
    );
    again.stop().await;
}

#[tokio::test]
async fn rows_that_contradict_themselves_are_not_served() {
    let mut twin = mcp_startup_lab::scenarios()[0].clone();
    twin.mcp = None;
    let refused = Lab::start_with(vec![twin], 0).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the scenario `ready` cannot be served: a row has either `mcp` or `stdio`"
    );
}
