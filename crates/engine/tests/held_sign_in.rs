//! The sign-in that another client holds: when its token is sent, and the failure of a start that can't use it.
//!
//! The rows follow from the design, section 7: a valid token is sent to its own server only, it is never refreshed and never stored, and
//! our own credentials take precedence.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, FileStore, MemoryStore,
};
use mcp_startup::config::{HeldSignIn, ServerConfig};
use mcp_startup::{
    CredentialSent, HeldSignInState, LiveServer, McpServerStartupFailureReason,
    McpServerStartupState, Recovery, Rejected, Startup, StartupEvent, StartupFailureKind,
    StartupOptions,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const NAME: &str = "tickets";
/// The token of the other client.
const HELD: &str = "held-token-7f3a91";
/// The token of our own store.
const OWN: &str = "own-token-52bc08";

/// The state of the server, and its requests.
#[derive(Default)]
struct Facts {
    /// The tokens that the server accepts.
    valid: HashSet<&'static str>,
    /// Whether the server requires no token.
    is_open: bool,
    /// Whether the server requires a scope that no token has.
    requires_scope: bool,
    /// Whether the server repeats the token in its refusal.
    echoes: bool,
    /// Where the server redirects to.
    redirects_to: Option<String>,
    /// The path and the token of each request.
    requests: Vec<(String, Option<String>)>,
}

/// An MCP server that is also its authorization server.
#[derive(Clone)]
struct Server {
    facts: Arc<Mutex<Facts>>,
    address: SocketAddr,
    store: MemoryStore,
}

impl Server {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            facts: Arc::default(),
            address: listener.local_addr().unwrap(),
            store: MemoryStore::default(),
        };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap()
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    fn key(&self) -> CredentialKey {
        CredentialKey::new(NAME, &self.url())
    }

    /// The tokens of the requests to the MCP server, in their order, without repetitions.
    fn tokens(&self) -> Vec<Option<String>> {
        let requests = self.facts();
        let to_mcp = requests.requests.iter().filter(|(path, _)| path == "/mcp");
        let mut tokens: Vec<_> = to_mcp.map(|(_, token)| token.clone()).collect();
        tokens.dedup();
        tokens
    }

    fn has_token_request(&self) -> bool {
        let requests = self.facts();
        requests.requests.iter().any(|(path, _)| path == "/token")
    }

    async fn store_own(&self, refresh_token: Option<&str>) {
        let record = json!({
            "server_name": NAME, "server_url": self.url(), "issuer": format!("http://{}", self.address),
            "client_id": "client", "access_token": OWN, "refresh_token": refresh_token,
        });
        let record = CredentialRecord::from_json(&record).unwrap();
        let key = self.key();
        let replacing = self.store.replace(&key, None, Some(&record));
        replacing.await.unwrap();
    }

    fn startup(&self) -> Startup {
        let mut options = StartupOptions::default();
        options.stores = Some(CredentialStores::from_store(Arc::new(self.store.clone())));
        Startup::new(options).unwrap()
    }

    fn config(&self, held: Option<HeldSignIn>) -> ServerConfig {
        let mut config = ServerConfig::http(NAME, &self.url()).unwrap();
        config.held_sign_in = held;
        config
    }

    async fn start(&self, config: ServerConfig) -> (StartupEvent, Option<LiveServer>) {
        let mut start = self.startup().start(vec![config.into()]);
        start.next().await.unwrap();
        start.next().await.unwrap()
    }
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let url = server.url();
    let origin = format!("http://{}", server.address);
    let mut facts = server.facts();
    let authorization = headers.get(header::AUTHORIZATION);
    let token = authorization.map(|value| value.to_str().unwrap().replace("Bearer ", ""));
    facts.requests.push((uri.path().to_owned(), token.clone()));
    let json = |value: Value| {
        let json = [(header::CONTENT_TYPE, "application/json")];
        (json, value.to_string()).into_response()
    };
    match (method.as_str(), uri.path()) {
        (_, path) if path.starts_with("/.well-known/oauth-protected-resource") => {
            return json(json!({"resource": url, "authorization_servers": [origin]}));
        }
        (_, path) if path.starts_with("/.well-known/") => {
            return json(json!({
                "issuer": origin, "authorization_endpoint": format!("{origin}/authorize"),
                "token_endpoint": format!("{origin}/token"), "registration_endpoint": format!("{origin}/register"),
                "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            }));
        }
        ("POST", "/token") => {
            let refusal = json(json!({"error": "invalid_grant"}));
            return (StatusCode::BAD_REQUEST, refusal).into_response();
        }
        ("POST", "/mcp") => {}
        (_, "/mcp") => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        _ => return StatusCode::NOT_FOUND.into_response(),
    }
    if let Some(to) = &facts.redirects_to {
        return (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, to.clone())],
        )
            .into_response();
    }
    if facts.requires_scope {
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"issues:write\"";
        return (
            StatusCode::FORBIDDEN,
            [(header::WWW_AUTHENTICATE, challenge)],
        )
            .into_response();
    }
    let is_valid = token
        .as_deref()
        .is_some_and(|token| facts.valid.contains(token));
    if !facts.is_open && !is_valid {
        let echo = token.filter(|_| facts.echoes).unwrap_or_default();
        let challenge = format!("Bearer error=\"invalid_token\", error_description=\"no {echo}\"");
        let body = format!("{{\"error\": \"the token {echo} is not valid\"}}");
        let headers = [
            (header::WWW_AUTHENTICATE, challenge),
            (header::CONTENT_TYPE, "application/json".to_owned()),
        ];
        return (StatusCode::UNAUTHORIZED, headers, body).into_response();
    }
    let message: Value = serde_json::from_slice(&body).unwrap();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "x", "version": "1"}
        }),
        Some("tools/list") => json!({"tools": []}),
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
}

/// A valid sign-in of Claude Code.
fn valid() -> Option<HeldSignIn> {
    Some(HeldSignIn {
        client: "Claude Code".to_owned(),
        state: HeldSignInState::Valid,
        access_token: Some(HELD.into()),
        refresh_token: true,
        expires_at_ms: Some(4_000_000_000_000),
    })
}

fn expired(refresh_token: bool) -> Option<HeldSignIn> {
    Some(HeldSignIn {
        state: HeldSignInState::Expired,
        access_token: None,
        refresh_token,
        expires_at_ms: Some(1_000_000_000_000),
        ..valid().unwrap()
    })
}

fn unknown_url() -> Option<HeldSignIn> {
    Some(HeldSignIn {
        client: "Cursor CLI".to_owned(),
        state: HeldSignInState::UnknownUrl,
        access_token: None,
        expires_at_ms: None,
        ..valid().unwrap()
    })
}

fn some(token: &str) -> Option<String> {
    Some(token.to_owned())
}

fn assert_ready(event: &StartupEvent) {
    let status = event.notification.status();
    assert_eq!(*status, McpServerStartupState::Ready, "{event:?}");
}

/// Asserts that the start failed because only another client can refresh the sign-in. Returns the message.
#[track_caller]
fn assert_held(event: &StartupEvent, state: HeldSignInState) -> String {
    let failure = event.failure.as_ref().unwrap();
    let kind = (failure.kind(), failure.recovery(), failure.reason());
    let expected = (
        StartupFailureKind::SignInHeldByClient,
        Recovery::OpenClient,
        None,
    );
    assert_eq!(kind, expected, "{failure:?}");
    assert_eq!(event.notification.failure_reason(), None);
    let held = failure.evidence().held_sign_in.as_ref().unwrap();
    assert_eq!(held.state, Some(state));
    failure.message().to_owned()
}

#[tokio::test]
async fn a_valid_token_is_sent_and_not_stored() {
    let server = Server::new().await;
    server.facts().valid.insert(HELD);
    let (event, live) = server.start(server.config(valid())).await;
    assert_ready(&event);
    live.unwrap().close().await;
    assert_eq!(server.tokens(), [some(HELD)]);
    assert!(!server.has_token_request());
    let stored = server.store.load(&server.key()).await.unwrap();
    assert!(stored.is_none(), "the token is in our store");
}

#[tokio::test]
async fn a_rejected_token_is_reported_and_not_refreshed() {
    let server = Server::new().await;
    let (event, _) = server.start(server.config(valid())).await;
    let message = assert_held(&event, HeldSignInState::Valid);
    assert_eq!(
        message,
        "tickets rejected the access token of Claude Code: open Claude Code, which renews its sign-in, or sign in here"
    );
    let requests = &event.failure.as_ref().unwrap().evidence().requests;
    assert_eq!(requests[0].credential_sent, Some(CredentialSent::Held));
    assert_eq!(server.tokens(), [some(HELD)]);
    let to_mcp = server
        .facts()
        .requests
        .iter()
        .filter(|(path, _)| path == "/mcp")
        .count();
    assert_eq!(to_mcp, 1, "a rejected token is sent once");
    assert!(!server.has_token_request());
    assert!(server.store.load(&server.key()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_expired_token_is_not_sent() {
    for (refresh_token, todo) in [
        (
            true,
            "open Claude Code, which refreshes it, or sign in here",
        ),
        (
            false,
            "open Claude Code, and sign in again there, or sign in here",
        ),
    ] {
        let server = Server::new().await;
        let (event, _) = server.start(server.config(expired(refresh_token))).await;
        let message = assert_held(&event, HeldSignInState::Expired);
        assert!(message.ends_with(todo), "{message}");
        assert_eq!(server.tokens(), [None]);
        assert!(!server.has_token_request());
    }
}

#[tokio::test]
async fn a_token_that_has_expired_since_the_store_was_read_is_not_sent() {
    let server = Server::new().await;
    let held = valid().map(|held| HeldSignIn {
        expires_at_ms: Some(1_000_000_000_000),
        ..held
    });
    let (event, _) = server.start(server.config(held)).await;
    assert_held(&event, HeldSignInState::Expired);
    assert_eq!(server.tokens(), [None]);
}

#[tokio::test]
async fn a_sign_in_that_is_stored_by_name_is_not_sent() {
    let server = Server::new().await;
    // Even if a caller passes the token.
    let with_token = unknown_url().map(|held| HeldSignIn {
        access_token: Some(HELD.into()),
        ..held
    });
    for held in [unknown_url(), with_token] {
        let (event, _) = server.start(server.config(held)).await;
        let message = assert_held(&event, HeldSignInState::UnknownUrl);
        assert!(message.contains("Cursor CLI stores no URL"), "{message}");
        assert_eq!(server.tokens(), [None]);
    }
}

#[tokio::test]
async fn a_token_without_enough_access_is_reported() {
    let server = Server::new().await;
    server.facts().requires_scope = true;
    let (event, _) = server.start(server.config(valid())).await;
    let message = assert_held(&event, HeldSignInState::Valid);
    assert!(message.contains("more access"), "{message}");
}

#[tokio::test]
async fn a_server_without_authorization_is_ready_with_any_sign_in() {
    for held in [valid(), expired(true), unknown_url(), None] {
        let server = Server::new().await;
        server.facts().is_open = true;
        let (event, _) = server.start(server.config(held)).await;
        assert_ready(&event);
    }
}

#[tokio::test]
async fn a_configured_credential_takes_precedence() {
    let server = Server::new().await;
    server.facts().valid.insert(HELD);
    let bearer = server
        .config(valid())
        .with_bearer_token("KEY", "configured")
        .unwrap();
    let header = server
        .config(valid())
        .with_header("authorization", "Bearer configured")
        .unwrap();
    for config in [bearer, header] {
        let (event, _) = server.start(config).await;
        let failure = event.failure.unwrap();
        assert_eq!(failure.kind(), StartupFailureKind::CredentialRejected);
        assert_eq!(failure.evidence().held_sign_in, None);
        assert_eq!(server.tokens(), [some("configured")]);
    }
}

#[tokio::test]
async fn our_own_sign_in_takes_precedence() {
    let server = Server::new().await;
    server.store_own(None).await;
    server.facts().valid.extend([OWN, HELD]);
    let (event, _) = server.start(server.config(valid())).await;
    assert_ready(&event);
    assert_eq!(server.tokens(), [some(OWN)]);
}

#[tokio::test]
async fn the_token_of_another_client_is_sent_if_our_own_sign_in_is_spent() {
    for refresh_token in [None, Some("refresh")] {
        let server = Server::new().await;
        server.store_own(refresh_token).await;
        server.facts().valid.insert(HELD);
        let (event, _) = server.start(server.config(valid())).await;
        assert_ready(&event);
        assert_eq!(server.tokens(), [some(OWN), some(HELD)]);
        let stored = server.store.load(&server.key()).await.unwrap().unwrap();
        assert!(!format!("{:?}", stored.to_json()).contains(HELD));
    }
}

/// The verdict is the one of a start without the sign-in of another client.
#[tokio::test]
async fn our_own_spent_sign_in_decides_the_verdict() {
    for refresh_token in [None, Some("refresh")] {
        for held in [valid(), expired(true), unknown_url(), None] {
            let server = Server::new().await;
            server.store_own(refresh_token).await;
            let (event, _) = server.start(server.config(held)).await;
            let failure = event.failure.as_ref().unwrap();
            assert_eq!(failure.kind(), StartupFailureKind::ReauthenticationRequired);
            assert_eq!(
                event.notification.failure_reason(),
                Some(&McpServerStartupFailureReason::ReauthenticationRequired)
            );
        }
    }
}

#[tokio::test]
async fn a_redirect_takes_no_token_to_another_origin() {
    let (server, other) = (Server::new().await, Server::new().await);
    other.facts().valid.insert(HELD);
    server.facts().redirects_to = Some(other.url());
    let (event, _) = server.start(server.config(valid())).await;
    assert_ne!(*event.notification.status(), McpServerStartupState::Ready);
    assert_eq!(server.tokens(), [some(HELD)]);
    let tokens: Vec<_> = other.facts().requests.drain(..).collect();
    assert!(
        tokens.iter().all(|(_, token)| token.is_none()),
        "{tokens:?}"
    );
}

/// Discovery sends no token, and a step of it is never authorized by one.
#[tokio::test]
async fn only_the_url_of_the_server_receives_the_token() {
    let server = Server::new().await;
    let (event, _) = server.start(server.config(valid())).await;
    assert_held(&event, HeldSignInState::Valid);
    let facts = server.facts();
    assert!(facts.requests.len() > 2, "{:?}", facts.requests);
    for (path, token) in &facts.requests {
        assert_eq!(token.is_some(), path == "/mcp", "{path}");
    }
}

/// A keyring that can't be reached, and a file that is damaged, have no usable sign-in of our own.
#[tokio::test]
async fn the_token_is_sent_if_our_own_store_can_not_be_read() {
    for (is_accepted, held) in [(true, valid()), (false, valid()), (false, expired(true))] {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".credentials.json"), "{ damaged").unwrap();
        let server = Server::new().await;
        if is_accepted {
            server.facts().valid.insert(HELD);
        }
        let mut options = StartupOptions::default();
        let store = FileStore::new(home.path());
        options.stores = Some(CredentialStores::from_store(Arc::new(store)));
        let startup = Startup::new(options).unwrap();
        let mut start = startup.start(vec![server.config(held).into()]);
        start.next().await.unwrap();
        let (event, _) = start.next().await.unwrap();
        if is_accepted {
            assert_ready(&event);
        } else {
            // The first row of the table of kinds.
            let kind = event.failure.unwrap().kind();
            assert_eq!(kind, StartupFailureKind::CredentialStoreUnavailable);
        }
        let text = std::fs::read_to_string(home.path().join(".credentials.json")).unwrap();
        assert_eq!(text, "{ damaged");
    }
}

/// A live server whose token is revoked uses our own sign-in, as soon as there is one.
#[tokio::test]
async fn a_live_server_changes_to_our_own_sign_in() {
    let server = Server::new().await;
    server.facts().valid.insert(HELD);
    let (event, live) = server.start(server.config(valid())).await;
    assert_ready(&event);
    let live = live.unwrap();
    server.facts().valid.clear();
    assert!(live.peer().list_tools(None).await.is_err());
    assert!(!server.has_token_request());
    server.store_own(None).await;
    server.facts().valid.insert(OWN);
    assert!(live.peer().list_tools(None).await.is_ok());
    assert_eq!(server.tokens(), [some(HELD), some(OWN)]);
    live.close().await;
}

#[tokio::test]
async fn a_host_that_makes_its_own_requests_gets_the_token() {
    let server = Server::new().await;
    let startup = server.startup();
    let entry = server.config(valid()).into();
    let bearer = format!("Bearer {HELD}");
    let first = startup.authorization(&entry, None).await.unwrap().unwrap();
    assert_eq!(first.expose_secret(), bearer);
    let again = startup
        .authorization(&entry, Some(&Rejected::new(None)))
        .await;
    assert_eq!(again.unwrap().unwrap().expose_secret(), bearer);
    let rejected = Rejected::new(Some(&bearer));
    let failure = startup
        .authorization(&entry, Some(&rejected))
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), StartupFailureKind::SignInHeldByClient);
    let requests = &failure.evidence().requests;
    assert_eq!(requests[0].credential_sent, Some(CredentialSent::Held));
    for held in [expired(true), unknown_url()] {
        let entry = server.config(held).into();
        assert!(startup.authorization(&entry, None).await.unwrap().is_none());
        let failure = startup
            .authorization(&entry, Some(&Rejected::new(None)))
            .await;
        let kind = failure.unwrap_err().kind();
        assert_eq!(kind, StartupFailureKind::SignInHeldByClient);
    }
}

/// The server repeats the token in its challenge and in its body.
#[tokio::test]
async fn the_token_is_in_no_output() {
    let server = Server::new().await;
    server.facts().echoes = true;
    let config = server.config(valid());
    let mut texts = vec![format!("{config:?}{config:#?}")];
    let mut start = server.startup().start(vec![config.clone().into()]);
    while let Some((event, _)) = start.next().await {
        texts.push(format!("{event:?}{event:#?}{start:?}"));
        texts.push(mcp_startup::encode(&event.notification));
        if let Some(failure) = &event.failure {
            texts.push(failure.message().to_owned());
            texts.push(serde_json::to_string(failure).unwrap());
        }
    }
    let mut rejected = Rejected::new(Some(&format!("Bearer {HELD}")));
    rejected.challenge = Some(format!("Bearer error_description=\"no {HELD}\""));
    let failure = server
        .startup()
        .authorization(&config.into(), Some(&rejected))
        .await;
    let failure = failure.unwrap_err();
    texts.push(format!(
        "{failure:?}{}",
        serde_json::to_string(&failure).unwrap()
    ));
    assert!(texts.len() > 6);
    for text in texts {
        assert!(!text.contains(HELD), "{text}");
    }
    assert_eq!(server.tokens(), [some(HELD)]);
}
