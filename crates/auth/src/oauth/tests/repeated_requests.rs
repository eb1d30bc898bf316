//! Requests that are sent again in another form, because the authorization server has refused the form of the first one.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::network::test_internet::RecordedRequest;

const BAD_CLIENT: (u16, &str) = (
    401,
    r#"{"error":"invalid_client","error_description":"unknown"}"#,
);
const NO_CLIENT_ID: (u16, &str) = (
    400,
    r#"{"error":"invalid_request","error_description":"client_id should not be null"}"#,
);
const BAD_SCOPE: (u16, &str) = (400, r#"{"error":"invalid_scope"}"#);
const BAD_REQUEST: (u16, &str) = (
    400,
    r#"{"error":"invalid_request","error_description":"AADSTS90009"}"#,
);
const BAD_TARGET: (u16, &str) = (400, r#"{"error":"invalid_target"}"#);
const SPENT: (u16, &str) = (400, r#"{"error":"invalid_grant"}"#);
const UNAVAILABLE: (u16, &str) = (503, r#"{"error":"invalid_client"}"#);
const GRANT: (u16, &str) = (200, GRANTED);

/// A server with these pages that answers the POST requests in turn. The last answer stays.
pub(super) fn answering(pages: Pages, replies: &[(u16, &str)]) -> TestInternet {
    let replies: Vec<String> = replies
        .iter()
        .map(|(status, body)| {
            response(
                *status,
                "content-type: application/json\r\nretry-after: 90\r\n",
                body,
            )
        })
        .collect();
    let (pages, next) = (pages.into_responses(), AtomicUsize::new(0));
    TestInternet::new(move |target| match target.starts_with("POST ") {
        true => {
            let at = next.fetch_add(1, Ordering::SeqCst);
            replies[at.min(replies.len() - 1)].clone()
        }
        false => pages(target),
    })
}

/// The forms that were posted.
fn forms(internet: &TestInternet) -> Vec<RecordedRequest> {
    let requests = internet.requests().into_iter();
    requests
        .filter(|request| request.target.starts_with("POST "))
        .collect()
}

/// Where a form has the secret of its client.
fn place(form: &RecordedRequest) -> &'static str {
    match form.head.contains("authorization: basic ") {
        true => "header",
        false if form.body.contains("client_secret=") => "form",
        false => "none",
    }
}

/// The scopes of a form.
fn scope(form: &RecordedRequest) -> Option<String> {
    values(url::form_urlencoded::parse(form.body.as_bytes()), "scope").pop()
}

/// Refreshes a token of a client with a secret, and returns whether it was granted, and the forms.
async fn refreshed(
    issuer: &str,
    scopes: (&[&str], Option<&[&str]>),
    replies: &[(u16, &str)],
) -> (bool, Vec<RecordedRequest>) {
    let internet = answering(Pages::default(), replies);
    let network = internet.network("", Vec::new());
    let server: Url = SERVER.parse().unwrap();
    let (granted, configured) = scopes;
    let record = json!({
        "server_name": "server", "server_url": SERVER, "issuer": issuer, "client_id": "client-1", "client_secret": "s",
        "access_token": "old", "refresh_token": "refresh-0", "expires_at": 1, "scopes": granted,
    });
    let record = CredentialRecord::from_json(&record).unwrap();
    let key = CredentialKey::new("server", SERVER);
    let store = Arc::new(MemoryStore::default());
    store.replace(&key, None, Some(&record)).await.unwrap();
    let metadata = json!({
        "issuer": issuer, "authorization_endpoint": "http://mcp.example/authorize", "token_endpoint": TOKEN_ENDPOINT,
    });
    let owned = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let request = RefreshRequest {
        key,
        rejected: Some("old".into()),
        server: server.clone(),
        configured_resource: None,
        published_resource: None,
        metadata: serde_json::from_value(metadata).unwrap(),
        client: None,
        scopes: configured.map(owned),
    };
    let guarded = network.guarded_client(&server).await;
    let log = RequestLog::default();
    let outcome = refresh(store, guarded, request, log, &TaskTracker::new()).await;
    let is_granted = matches!(outcome, RefreshOutcome::Token { .. });
    (is_granted, forms(&internet))
}

const HERE: &str = "http://mcp.example";

#[tokio::test]
async fn a_refresh_sends_the_secret_at_another_place_only_if_the_client_is_rejected() {
    for (replies, is_granted, places) in [
        (&[GRANT][..], true, &["header"][..]),
        (&[BAD_CLIENT, GRANT], true, &["header", "form"]),
        (&[NO_CLIENT_ID, GRANT], true, &["header", "form"]),
        (&[BAD_CLIENT, BAD_CLIENT], false, &["header", "form"]),
        (&[BAD_CLIENT, SPENT], false, &["header", "form"]),
        // The refresh token was read.
        (&[SPENT, GRANT], false, &["header"]),
        (&[UNAVAILABLE, GRANT], false, &["header"]),
    ] {
        let (granted, forms) = refreshed(HERE, (&[], None), replies).await;
        assert_eq!(granted, is_granted, "{replies:?}");
        let found: Vec<_> = forms.iter().map(place).collect();
        assert_eq!(found, places, "{replies:?}");
    }
}

#[tokio::test]
async fn a_refresh_names_other_scopes_only_if_the_first_ones_are_refused() {
    let granted = &["b", "a"][..];
    for (granted, configured, replies, is_granted, expected) in [
        (granted, None, &[GRANT][..], true, &[None][..]),
        (
            granted,
            None,
            &[BAD_REQUEST, GRANT],
            true,
            &[None, Some("b a")],
        ),
        (
            granted,
            None,
            &[BAD_SCOPE, GRANT],
            true,
            &[None, Some("b a")],
        ),
        (
            granted,
            None,
            &[BAD_SCOPE, BAD_SCOPE],
            false,
            &[None, Some("b a")],
        ),
        (granted, None, &[BAD_TARGET, GRANT], false, &[None]),
        (granted, None, &[SPENT, GRANT], false, &[None]),
        (&[], None, &[BAD_REQUEST, GRANT], false, &[None]),
        (
            granted,
            Some(&["a"][..]),
            &[BAD_SCOPE, GRANT],
            true,
            &[Some("a b"), None],
        ),
        (
            granted,
            Some(&["a"]),
            &[BAD_TARGET, GRANT],
            true,
            &[Some("a b"), None],
        ),
        (
            granted,
            Some(&["a"]),
            &[BAD_REQUEST, GRANT],
            false,
            &[Some("a b")],
        ),
        // The client is rejected, and then the scopes.
        (
            granted,
            None,
            &[BAD_CLIENT, BAD_REQUEST, GRANT],
            true,
            &[None, None, Some("b a")],
        ),
    ] {
        let (was_granted, forms) = refreshed(HERE, (granted, configured), replies).await;
        assert_eq!(was_granted, is_granted, "{configured:?} {replies:?}");
        let scopes: Vec<_> = forms.iter().map(scope).collect();
        let scopes: Vec<_> = scopes.iter().map(Option::as_deref).collect();
        assert_eq!(scopes, expected, "{configured:?} {replies:?}");
    }
}

#[tokio::test]
async fn a_sign_in_sends_the_secret_at_another_place_only_if_the_client_is_rejected() {
    for (methods, replies, is_granted, places) in [
        (
            json!(["client_secret_basic"]),
            &[GRANT][..],
            true,
            &["header"][..],
        ),
        (json!(["client_secret_post"]), &[GRANT], true, &["form"]),
        (
            json!(["client_secret_basic"]),
            &[BAD_CLIENT, GRANT],
            false,
            &["header"],
        ),
        (
            json!(["client_secret_post", "client_secret_basic"]),
            &[BAD_CLIENT, GRANT],
            true,
            &["header", "form"],
        ),
        (
            Value::Null,
            &[NO_CLIENT_ID, GRANT],
            true,
            &["header", "form"],
        ),
        (Value::Null, &[SPENT, GRANT], false, &["header"]),
        // The code may have been used by the first request, so its refusal is the reason.
        (
            Value::Null,
            &[BAD_CLIENT, SPENT],
            false,
            &["header", "form"],
        ),
    ] {
        let fields = match methods {
            Value::Null => json!({}),
            _ => json!({ "token_endpoint_auth_methods_supported": methods }),
        };
        let pages = Pages::default().authorization_server(METADATA, &fields);
        let internet = answering(pages, replies);
        let network = internet.network("", Vec::new());
        let guarded = network.guarded_client(&SERVER.parse().unwrap()).await;
        let mut request = Case::new(Pages::default()).await.request;
        request.client.client = Some(("client-1".to_owned(), Some("s".into())));
        let log = RequestLog::default();
        let begun = begin_sign_in(&guarded, &request, &log).await.unwrap();
        let pending = begun.pending;
        let callback = format!("{REDIRECT_URI}?state={}&code=code-1", pending.state());
        let limit = std::time::Duration::from_secs(20);
        let finished =
            finish_sign_in(&guarded, &pending, &callback, limit, &log, &Mask::default()).await;
        assert_eq!(finished.is_ok(), is_granted, "{fields} {replies:?}");
        if let Err(error) = finished
            && replies[0] == BAD_CLIENT
        {
            assert!(error.message().contains("invalid_client"), "{error}");
        }
        let found: Vec<_> = forms(&internet).iter().map(place).collect();
        assert_eq!(found, places, "{fields} {replies:?}");
    }
}

#[tokio::test]
async fn a_registration_is_repeated_without_its_scope_and_shows_the_words_of_a_refusal() {
    const REGISTERED: (u16, &str) = (201, r#"{"client_id":"client-2"}"#);
    const POLICY: (u16, &str) = (
        403,
        r#"{"error":"insufficient_scope","error_description":"Not permitted to use specified clientScope"}"#,
    );
    const FULL: (u16, &str) = (
        503,
        r#"{"error":"temporarily_unavailable","error_description":"500 clients are registered"}"#,
    );
    const OTHER: (u16, &str) = (400, r#"{"error":"invalid_redirect_uri"}"#);
    for (replies, has_scope, words) in [
        (&[REGISTERED][..], &[true][..], ""),
        (&[POLICY, REGISTERED], &[true, false], ""),
        (&[POLICY, POLICY], &[true, false], "Not permitted"),
        (&[OTHER, REGISTERED], &[true], "invalid_redirect_uri"),
        (
            &[FULL, REGISTERED],
            &[true],
            "HTTP 503: 500 clients are registered): try again in 90 s",
        ),
    ] {
        let fields = json!({ "registration_endpoint": "http://mcp.example/register" });
        let pages = Pages::default().authorization_server(METADATA, &fields);
        let internet = answering(pages, replies);
        let network = internet.network("", Vec::new());
        let guarded = network.guarded_client(&SERVER.parse().unwrap()).await;
        let mut request = Case::new(Pages::default()).await.request;
        request.client.client = None;
        request.scopes = Some(vec!["mcp:tools".to_owned()]);
        let begun = begin_sign_in(&guarded, &request, &RequestLog::default()).await;
        match begun {
            Ok(begun) => {
                assert_eq!(words, "", "{replies:?}");
                // The scopes are requested nevertheless.
                assert_eq!(parameter(&begun.authorization_url, "scope"), ["mcp:tools"]);
            }
            Err(error) => assert!(
                !words.is_empty() && error.message().contains(words),
                "{error}"
            ),
        }
        let found: Vec<_> = forms(&internet)
            .iter()
            .map(|form| form.body.contains(r#""scope":"mcp:tools""#))
            .collect();
        assert_eq!(found, has_scope, "{replies:?}");
    }
}
