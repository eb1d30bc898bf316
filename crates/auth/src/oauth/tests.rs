//! Whole sign-ins and refreshes with hostile metadata, and the records that they write.

mod codex;
mod echoed_secrets;
mod repeated_requests;

use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;
use url::Url;

use super::test_pages::{METADATA, PRM, Pages, SERVER};
use super::*;
use crate::mask::Mask;
use crate::network::test_internet::{TestInternet, response};
use crate::network::{GuardedClient, RequestLog};
use crate::store::{CredentialKey, CredentialRecord, CredentialStore, MemoryStore};

const REDIRECT_URI: &str = "http://127.0.0.1:8123/callback";
const TOKEN_ENDPOINT: &str = "http://mcp.example/token";
const GRANTED: &str =
    r#"{"access_token":"token-1","refresh_token":"refresh-1","token_type":"Bearer"}"#;
const VICTIM: &str = "https://victim.example/api";

/// A public server and what a client does there.
struct Case {
    internet: TestInternet,
    guarded: GuardedClient,
    request: SignInRequest,
}

impl Case {
    /// A server whose token endpoint grants tokens.
    async fn new(pages: Pages) -> Self {
        Self::with(pages.post(TOKEN_ENDPOINT, GRANTED)).await
    }

    async fn with(pages: Pages) -> Self {
        let internet = pages.internet();
        let network = internet.network("", Vec::new());
        Self {
            guarded: network.guarded_client(&SERVER.parse().unwrap()).await,
            internet,
            request: SignInRequest {
                server_name: "server".to_owned(),
                server_url: SERVER.to_owned(),
                url: SERVER.parse().unwrap(),
                redirect_uri: REDIRECT_URI.to_owned(),
                challenge: None,
                client: ClientSettings {
                    client: Some(("client-1".to_owned(), None)),
                    ..ClientSettings::default()
                },
                scopes: None,
                steps_up: false,
                additional_scopes: Vec::new(),
                resource: None,
                prompt: None,
                mask: Mask::default(),
            },
        }
    }

    async fn begin(&self) -> Result<SignInBegun, SignInError> {
        begin_sign_in(&self.guarded, &self.request, &RequestLog::default()).await
    }

    async fn finish(&self, pending: &PendingSignIn) -> CredentialRecord {
        let callback = format!("{REDIRECT_URI}?state={}&code=code-1", pending.state());
        let log = RequestLog::default();
        let limit = std::time::Duration::from_secs(20);
        let mask = Mask::default();
        let finished = finish_sign_in(&self.guarded, pending, &callback, limit, &log, &mask);
        finished.await.unwrap()
    }

    /// Refreshes a token of the authorization server that a discovery finds.
    async fn refresh(&self, published_resource: Option<&str>) -> RefreshOutcome {
        let log = RequestLog::default();
        let url = &self.request.url;
        let challenge = self.request.challenge.as_deref();
        let found = discover(&self.guarded, url, challenge, None, &log).await;
        let record = json!({
            "server_name": "server", "server_url": SERVER, "issuer": "http://mcp.example",
            "client_id": "client-1", "access_token": "old", "refresh_token": "refresh-0",
            "expires_at": 1, "scopes": ["granted:one", "configured:one"],
        });
        let record = CredentialRecord::from_json(&record).unwrap();
        let key = CredentialKey::new("server", SERVER);
        let store = Arc::new(MemoryStore::default());
        store.replace(&key, None, Some(&record)).await.unwrap();
        let published_resource = published_resource.map(str::to_owned);
        let request = RefreshRequest {
            key,
            rejected: Some("old".into()),
            server: url.clone(),
            configured_resource: self.request.resource.clone(),
            published_resource: published_resource.or(found.resource),
            metadata: found.metadata.unwrap(),
            client: None,
            scopes: self.request.scopes.clone(),
        };
        refresh(
            store,
            self.guarded.clone(),
            request,
            log,
            &TaskTracker::new(),
        )
        .await
    }

    /// The values of a field in the last form that the token endpoint received.
    fn last_form(&self, field: &str) -> Vec<String> {
        let form = self.internet.requests().pop().unwrap();
        assert!(form.target.starts_with("POST "), "{form:?}");
        values(url::form_urlencoded::parse(form.body.as_bytes()), field)
    }
}

fn values(pairs: url::form_urlencoded::Parse<'_>, field: &str) -> Vec<String> {
    let pairs = pairs.filter(|(name, _)| name.eq_ignore_ascii_case(field));
    pairs.map(|(_, value)| value.into_owned()).collect()
}

fn parameter(authorization_url: &str, field: &str) -> Vec<String> {
    let url = Url::parse(authorization_url).unwrap();
    values(url.query_pairs(), field)
}

fn of_a_resource(resource: &str) -> Value {
    json!({ "resource": resource, "authorization_servers": ["http://mcp.example"] })
}

#[tokio::test]
async fn metadata_cannot_request_a_token_for_the_resource_of_another_service() {
    let hostile = || Pages::default().authorization_server(METADATA, &of_a_resource(VICTIM));
    let pointer = r#"Bearer resource_metadata="http://mcp.example/prm""#;
    let here = "http://mcp.example/prm";
    let none = json!({ "resource": SERVER });
    for (about, pages, challenge, configured, expected) in [
        (
            "authorization server metadata",
            hostile(),
            None,
            None,
            SERVER,
        ),
        (
            "authorization server metadata after that of the resource",
            hostile().json(PRM, &of_a_resource("http://mcp.example")),
            None,
            None,
            "http://mcp.example",
        ),
        (
            "a rejected document",
            hostile().json(PRM, &of_a_resource(VICTIM)),
            None,
            None,
            SERVER,
        ),
        (
            "a fallback from the challenge",
            hostile().json(PRM, &of_a_resource("http://mcp.example/mcp/")),
            Some(pointer),
            None,
            "http://mcp.example/mcp/",
        ),
        (
            "a redirect to a document of another resource",
            hostile()
                .redirect(PRM, 307, "/prm")
                .json(here, &of_a_resource(VICTIM)),
            None,
            None,
            SERVER,
        ),
        (
            "a redirect to a document of the resource",
            hostile()
                .redirect(PRM, 307, "/prm")
                .json(here, &of_a_resource("http://mcp.example")),
            None,
            None,
            "http://mcp.example",
        ),
        (
            "two documents, the second of another resource",
            hostile()
                .json(here, &none)
                .json(PRM, &of_a_resource(VICTIM)),
            Some(pointer),
            None,
            SERVER,
        ),
        (
            "two documents, both of the resource",
            hostile()
                .json(here, &none)
                .json(PRM, &of_a_resource(SERVER)),
            Some(pointer),
            None,
            SERVER,
        ),
        (
            "the configuration",
            hostile().json(PRM, &of_a_resource(SERVER)),
            None,
            Some("https://api.example"),
            "https://api.example",
        ),
    ] {
        let mut case = Case::new(pages).await;
        case.request.challenge = challenge.map(str::to_owned);
        case.request.resource = configured.map(str::to_owned);
        let begun = case.begin().await.unwrap();
        let asked = parameter(&begun.authorization_url, "resource");
        assert_eq!(asked, [expected], "{about}: sign-in");
        case.finish(&begun.pending).await;
        assert_eq!(case.last_form("resource"), [expected], "{about}: code");
        case.refresh(None).await;
        assert_eq!(case.last_form("resource"), [expected], "{about}: refresh");
    }
}

#[tokio::test]
async fn the_resource_is_checked_again_where_it_is_used() {
    for (kept, expected) in [
        (VICTIM, SERVER),
        ("http://mcp.example/other", SERVER),
        ("http://mcp.example", "http://mcp.example"),
    ] {
        let case = Case::new(Pages::default().authorization_server(METADATA, &json!({}))).await;
        case.refresh(Some(kept)).await;
        assert_eq!(case.last_form("resource"), [expected], "refresh");
        // A host can keep a pending sign-in where other programs write.
        let begun = case.begin().await.unwrap();
        let pending = begun.pending.to_json();
        let mut pending: Value = serde_json::from_str(pending.expose_secret()).unwrap();
        pending["resource"] = kept.into();
        let pending = PendingSignIn::parse(&pending.to_string()).unwrap();
        case.finish(&pending).await;
        assert_eq!(case.last_form("resource"), [expected], "code");
    }
}

#[tokio::test]
async fn the_authorization_url_has_each_parameter_of_the_client_once() {
    let own = [
        "redirect_uri=https://evil.example/&redirect_uri=https://evil.example/2",
        "Redirect_URI=https://evil.example/",
        "state=chosen&State=chosen&STATE=chosen",
        "response_type=token&response_type=id_token",
        "client_id=evil&CLIENT_ID=evil",
        "code_challenge=chosen&code_challenge_method=plain",
        "Code_Challenge=chosen&Code_Challenge_Method=plain&code_challenge=again",
        "scope=all&Scope=all",
        "resource=https://victim.example/api&Resource=https://victim.example/api",
        "nonce=chosen&response_mode=form_post&request=x&request_uri=https://evil.example/",
        "%73tate=chosen&redirect%5furi=https://evil.example/",
        "audience=https://victim.example/api&prompt=none&login_hint=evil",
        "",
    ];
    for own in own {
        let endpoint = format!("https://auth.example/authorize?tenant=7&{own}&tenant=8");
        let fields = json!({ "authorization_endpoint": endpoint });
        let pages = Pages::default()
            .json(PRM, &of_a_resource(SERVER))
            .authorization_server(METADATA, &fields);
        let mut case = Case::new(pages).await;
        case.request.scopes = Some(vec!["a".to_owned(), "b".to_owned()]);
        let begun = case.begin().await.unwrap();
        let url = &begun.authorization_url;
        assert_eq!(begun.authorization_host(), "auth.example");
        for (name, expected) in [
            ("response_type", "code"),
            ("client_id", "client-1"),
            ("redirect_uri", REDIRECT_URI),
            ("state", begun.pending.state()),
            ("code_challenge_method", "S256"),
            ("scope", "a b"),
            ("resource", SERVER),
        ] {
            assert_eq!(parameter(url, name), [expected], "{own}: {name}");
        }
        let challenge = parameter(url, "code_challenge");
        assert_eq!(challenge.len(), 1, "{own}");
        assert_ne!(challenge, ["chosen"], "{own}");
        assert_eq!(parameter(url, "tenant"), ["7", "8"], "{own}");
        let all = Url::parse(url).unwrap().query_pairs().count();
        assert_eq!(all, 10, "{own}: {url}");
    }
}

#[tokio::test]
async fn an_endpoint_with_a_user_name_or_a_fragment_begins_no_sign_in() {
    for (field, published) in [
        (
            "authorization_endpoint",
            "https://good.example@auth.example/authorize",
        ),
        (
            "authorization_endpoint",
            "https://:password@auth.example/authorize",
        ),
        (
            "authorization_endpoint",
            "https://auth.example/authorize#part",
        ),
        (
            "authorization_endpoint",
            "https://auth.example/authorize?tenant=7#",
        ),
        ("token_endpoint", "http://user@mcp.example/token"),
        ("token_endpoint", "http://mcp.example/token#part"),
        (
            "registration_endpoint",
            "http://user:password@mcp.example/register",
        ),
        ("registration_endpoint", "http://mcp.example/register#part"),
    ] {
        let pages = Pages::default()
            .json(PRM, &of_a_resource(SERVER))
            .authorization_server(METADATA, &json!({ field: published }))
            .post("http://mcp.example/register", r#"{"client_id":"client-2"}"#);
        let mut case = Case::new(pages).await;
        case.request.client = ClientSettings::default();
        let error = case.begin().await.unwrap_err();
        assert_eq!(
            error.kind(),
            SignInFailureKind::Misconfigured,
            "{published}"
        );
        let sent = case.internet.targets();
        assert!(
            sent.iter().all(|target| target.starts_with("GET ")),
            "{sent:?}"
        );
    }
}

#[tokio::test]
async fn a_token_endpoint_does_not_choose_the_parameters_of_a_request() {
    let own = "http://mcp.example/token?tenant=7&resource=https://victim.example/api&client_id=evil&Audience=x";
    let cleaned = "http://mcp.example/token?tenant=7";
    let pages = Pages::default()
        .authorization_server(METADATA, &json!({ "token_endpoint": own }))
        .post(cleaned, GRANTED);
    let case = Case::new(pages).await;
    let begun = case.begin().await.unwrap();
    case.finish(&begun.pending).await;
    case.refresh(None).await;
    let targets = case.internet.targets();
    let posts: Vec<_> = targets
        .iter()
        .filter(|target| target.starts_with("POST "))
        .collect();
    assert_eq!(
        posts,
        [&format!("POST {cleaned}"), &format!("POST {cleaned}")]
    );
}

#[tokio::test]
async fn a_token_is_not_revoked_at_an_endpoint_with_a_user_name() {
    for (endpoint, expected) in [
        ("http://mcp.example/revoke", Revocation::Revoked),
        ("http://user@mcp.example/revoke", Revocation::Failed),
        ("http://mcp.example/revoke#part", Revocation::Failed),
    ] {
        let pages = Pages::default()
            .authorization_server(METADATA, &json!({ "revocation_endpoint": endpoint }))
            .post("http://mcp.example/revoke", "{}");
        let case = Case::new(pages).await;
        let record = json!({ "issuer": "http://mcp.example", "client_id": "client-1", "refresh_token": "r" });
        let record = CredentialRecord::from_json(&record).unwrap();
        let log = RequestLog::default();
        let revoked = revoke(&case.guarded, &record, None, &log).await;
        assert_eq!(revoked, expected, "{endpoint}");
        let sent = case
            .internet
            .targets()
            .iter()
            .any(|target| target.starts_with("POST "));
        assert_eq!(sent, expected == Revocation::Revoked, "{endpoint}");
    }
}

#[tokio::test]
async fn a_refresh_with_configured_scopes_keeps_the_granted_ones() {
    for (configured, expected) in [
        (None, Vec::new()),
        (
            Some(vec!["configured:one"]),
            vec!["configured:one granted:one"],
        ),
        (
            Some(vec!["configured:two"]),
            vec!["configured:two granted:one configured:one"],
        ),
    ] {
        let mut case = Case::new(Pages::default().authorization_server(METADATA, &json!({}))).await;
        case.request.scopes =
            configured.map(|scopes| scopes.into_iter().map(str::to_owned).collect());
        case.refresh(None).await;
        assert_eq!(case.last_form("scope"), expected);
    }
}

#[tokio::test]
async fn a_sign_in_ends_when_its_limit_of_requests_is_exceeded() {
    let case = Case::new(Pages::valid()).await;
    let log = RequestLog::default();
    while log
        .try_sent(mcp_startup_core::RequestEvidence::default())
        .is_ok()
    {}
    let error = begin_sign_in(&case.guarded, &case.request, &log)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), SignInFailureKind::Misconfigured);
    assert!(error.message().contains("too many requests"), "{error}");
    assert!(case.internet.targets().is_empty());
}
