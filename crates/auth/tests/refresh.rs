//! The refresh transaction against the lab's authorization server: it sends one request and loses no token.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_startup_auth::conformance::dropped_after;
use mcp_startup_auth::network::Network;
use mcp_startup_auth::{
    CredentialKey, CredentialRecord, CredentialStore, FileStore, Lease, MemoryStore, RecordLock,
    RefreshOutcome, RefreshRequest, ReplaceOutcome, RequestLog, StoreError, StoreFuture, discover,
    refresh,
};
use mcp_startup_core::{CredentialStoreTrouble, RequestEvidence, RequestTarget};
use mcp_startup_lab::{Lab, Target, parse_scenarios};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio_util::task::TaskTracker;

const NAME: &str = "server";

/// A server with an expired token and a store with its record.
struct Case {
    lab: Lab,
    store: Arc<dyn CredentialStore>,
    key: CredentialKey,
    tasks: TaskTracker,
    /// The requests of the last refresh.
    log: RequestLog,
}

/// Starts a lab with one server. `token` is the JSON of its token endpoint.
async fn lab(token: &str) -> Lab {
    let row = format!(
        r#"[{{"name": "{NAME}", "about": "for a refresh", "mcp": {{"serves": {{"tokens": ["good-token"]}}}}, "token": {token},
            "expect": {{"state": "ready"}}}}]"#
    );
    Lab::start_with(parse_scenarios(&row).unwrap(), 0)
        .await
        .unwrap()
}

fn record(lab: &Lab, token: &str) -> CredentialRecord {
    let record = json!({
        "server_name": NAME, "server_url": lab.url(NAME), "issuer": format!("{}/{NAME}", lab.base_url()),
        "client_id": "client-1", "access_token": token, "expires_at": 1, "refresh_token": "good-refresh",
        "scopes": ["mcp:tools"], "from_another_version": {"kept": true}
    });
    CredentialRecord::from_json(&record).unwrap()
}

impl Case {
    async fn new(token: &str, store: Arc<dyn CredentialStore>) -> Self {
        let lab = lab(token).await;
        let key = CredentialKey::new(NAME, &lab.url(NAME));
        let stored = record(&lab, "expired-token");
        assert!(matches!(
            store.replace(&key, None, Some(&stored)).await,
            Ok(ReplaceOutcome::Stored)
        ));
        Self {
            lab,
            store,
            key,
            tasks: TaskTracker::new(),
            log: RequestLog::default(),
        }
    }

    /// The evidence about the last request to the token endpoint.
    fn token_evidence(&self) -> RequestEvidence {
        self.log.last(RequestTarget::Token).unwrap()
    }

    async fn refresh(&self) -> RefreshOutcome {
        self.refresh_at(None).await
    }

    /// Refreshes, at another token endpoint if there is one.
    async fn refresh_at(&self, token_endpoint: Option<&str>) -> RefreshOutcome {
        let resource = self.lab.url(NAME).parse().unwrap();
        let guarded = Network::new().unwrap().guarded_client(&resource).await;
        let discovery = discover(&guarded, &resource, None, None, &self.log).await;
        let mut metadata = discovery.metadata.unwrap();
        if let Some(url) = token_endpoint {
            metadata.token_endpoint = url.to_owned();
        }
        let request = RefreshRequest {
            key: self.key.clone(),
            rejected: Some("expired-token".into()),
            server: resource,
            configured_resource: None,
            published_resource: discovery.resource,
            metadata,
            client: None,
            scopes: None,
        };
        refresh(
            self.store.clone(),
            guarded,
            request,
            self.log.clone(),
            &self.tasks,
        )
        .await
    }

    /// The number of requests that the token endpoint received.
    fn token_requests(&self) -> usize {
        let requests = self.lab.requests(NAME);
        requests
            .iter()
            .filter(|request| request.to == Target::Token)
            .count()
    }

    async fn stored(&self) -> serde_json::Value {
        let record = self.store.load(&self.key).await.unwrap().unwrap();
        serde_json::from_str(record.to_json().expose_secret()).unwrap()
    }
}

/// The access token of a refresh, and whether saving it failed. Panics for any other outcome.
fn token(outcome: RefreshOutcome) -> (String, bool) {
    match outcome {
        RefreshOutcome::Token {
            access_token,
            not_saved,
        } => (access_token.expose_secret().to_owned(), not_saved.is_some()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refresh_stores_the_new_tokens_and_keeps_the_other_fields() {
    let home = tempfile::tempdir().unwrap();
    for (endpoint, refresh_token) in [
        ("{}", "good-refresh"),
        (r#"{"rotates": true}"#, "fresh-refresh-1"),
    ] {
        let case = Case::new(endpoint, Arc::new(FileStore::new(home.path()))).await;
        assert_eq!(
            token(case.refresh().await),
            ("fresh-token-1".to_owned(), false)
        );
        let stored = case.stored().await;
        assert_eq!(stored["access_token"], "fresh-token-1");
        assert_eq!(stored["refresh_token"], refresh_token);
        assert!(stored["expires_at"].as_i64().unwrap() > 1_700_000_000_000);
        assert_eq!(stored["from_another_version"], json!({"kept": true}));
        assert_eq!(stored["scopes"], json!(["mcp:tools"]));
        assert_eq!(case.token_requests(), 1);
        let request = case.lab.requests(NAME).pop().unwrap();
        assert_eq!(request.parameters["resource"], case.lab.url(NAME));
        assert!(!request.parameters.contains_key("scope"), "{request:?}");
    }
}

#[tokio::test]
async fn one_of_many_concurrent_refreshes_sends_a_request_and_all_return_its_token() {
    let home = tempfile::tempdir().unwrap();
    let case = Case::new(
        r#"{"rotates": true}"#,
        Arc::new(FileStore::new(home.path())),
    )
    .await;
    let all = futures::future::join_all((0..8).map(|_| case.refresh())).await;
    for outcome in all {
        assert_eq!(token(outcome), ("fresh-token-1".to_owned(), false));
    }
    assert_eq!(case.token_requests(), 1);
    assert_eq!(case.stored().await["refresh_token"], "fresh-refresh-1");
}

#[tokio::test]
async fn a_refresh_is_saved_even_if_its_caller_stops_waiting() {
    let slow = r#"{"respond": [{"when": {}, "reply": {"delayMs": 300, "body": {"json":
        {"access_token": "late-token", "token_type": "Bearer", "refresh_token": "late-refresh"}}}}]}"#;
    let case = Case::new(slow, Arc::new(MemoryStore::default())).await;
    {
        let mut refreshing = std::pin::pin!(case.refresh());
        let is_sent = async {
            while case.token_requests() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            outcome = &mut refreshing => panic!("{outcome:?}"),
            () = is_sent => {}
        }
    }
    case.tasks.close();
    case.tasks.wait().await;
    let stored = case.stored().await;
    assert_eq!(
        (&stored["access_token"], &stored["refresh_token"]),
        (&json!("late-token"), &json!("late-refresh"))
    );
}

/// The authorization server may have replaced the old refresh token.
#[tokio::test]
async fn the_refresh_token_of_a_reply_without_a_usable_access_token_is_kept() {
    let reply = |body: &str| {
        let body = json!({ "respond": [{ "reply": { "body": { "text": body } } }] });
        body.to_string()
    };
    let renewed = r#""refresh_token":"next-refresh","expires_in":3600,"scope":"other""#;
    for (body, expected) in [
        (
            format!(r#"{{"access_token":"a\r\nb",{renewed}}}"#),
            "next-refresh",
        ),
        (
            format!(r#"{{"access_token":"a","token_type":"DPoP",{renewed}}}"#),
            "next-refresh",
        ),
        (format!(r#"{{"access_token":7,{renewed}}}"#), "next-refresh"),
        (
            format!(r#"{{"access_token":"\ud800",{renewed}}}"#),
            "next-refresh",
        ),
        (format!("{{{renewed}}}"), "next-refresh"),
        (
            format!(r#"{{"access_token":" ","authed_user":{{{renewed}}}}}"#),
            "next-refresh",
        ),
        // It grants nothing.
        (
            format!(r#"{{"error":"invalid_grant",{renewed}}}"#),
            "good-refresh",
        ),
        (r#"{"access_token":"a\r\nb"}"#.to_owned(), "good-refresh"),
    ] {
        let case = Case::new(&reply(&body), Arc::new(MemoryStore::default())).await;
        let before = case.stored().await;
        assert!(
            matches!(case.refresh().await, RefreshOutcome::Refused),
            "{body}"
        );
        let mut expected_record = before;
        expected_record["refresh_token"] = expected.into();
        assert_eq!(case.stored().await, expected_record, "{body}");
        // The next refresh sends the new one, which the lab does not list.
        assert!(
            matches!(case.refresh().await, RefreshOutcome::Refused),
            "{body}"
        );
        let request = case.lab.requests(NAME).pop().unwrap();
        let is_new = request.token != "good-refresh";
        assert_eq!(is_new, expected != "good-refresh", "{body}");
    }
    // The end of the attempt is known.
    let (case, lease, _) = leasing(&reply(&format!("{{{renewed}}}"))).await;
    assert!(matches!(case.refresh().await, RefreshOutcome::Refused));
    assert!(lease.attempt.lock().unwrap().is_none());
    // It is saved even if another program changes the record.
    let store = Arc::new(FaultyStore::default());
    let case = Case::new(&reply(&format!("{{{renewed}}}")), store.clone()).await;
    store.cannot_save.store(true, Ordering::Relaxed);
    assert!(matches!(case.refresh().await, RefreshOutcome::Refused));
    assert_eq!(case.stored().await["refresh_token"], "good-refresh");
}

/// Starts a token endpoint that sends the beginning of a response, and then closes the connection.
async fn unfinished(head: &'static str, body: &'static str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        let response =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{head}\r\n\r\n{body}");
        socket.write_all(response.as_bytes()).await.unwrap();
    });
    url
}

/// A proxy that shortens a response, or a server with a wrong `Content-Length`.
#[tokio::test]
async fn the_tokens_in_the_received_part_of_a_response_are_not_lost() {
    const WHOLE: &str =
        r#"{"access_token":"new-token","refresh_token":"next-refresh","token_type":"Bearer"}"#;
    const PART: &str = r#"{"access_token":"new-token","refresh_token":"next-refresh","token_ty"#;
    const LENGTH: &str = "Content-Length: 1000";
    const CUT: &str = r#"{"access_token":"new-tok"#;
    let mut refreshing = Vec::new();
    for (head, body, is_received) in [
        (LENGTH, WHOLE, true),
        (LENGTH, PART, true),
        (LENGTH, CUT, false),
        (LENGTH, "access_token=new-tok", false),
        // The header is wrong.
        ("Content-Encoding: gzip", WHOLE, true),
    ] {
        refreshing.push(async move {
            let case = Case::new("{}", Arc::new(MemoryStore::default())).await;
            let url = unfinished(head, body).await;
            let outcome = case.refresh_at(Some(&url)).await;
            let stored = case.stored().await;
            let refresh_token = match is_received {
                true => {
                    assert_eq!(token(outcome), ("new-token".to_owned(), false), "{body}");
                    "next-refresh"
                }
                false => {
                    assert!(matches!(outcome, RefreshOutcome::Refused), "{body}");
                    "good-refresh"
                }
            };
            assert_eq!(stored["refresh_token"], refresh_token, "{body}");
        });
    }
    futures::future::join_all(refreshing).await;
}

/// A memory store that fails on demand.
#[derive(Debug, Default)]
struct FaultyStore {
    memory: MemoryStore,
    /// Makes `prove_writable` fail.
    cannot_prove: bool,
    /// Makes every `replace` fail.
    cannot_save: AtomicBool,
    /// Makes the next `replace` store the record of another sign-in first, without the lock.
    signs_in: AtomicBool,
    /// If set, its locks are leases.
    lease: Option<Arc<LeaseState>>,
}

/// The state of the leases of a [`FaultyStore`].
#[derive(Debug, Default)]
struct LeaseState {
    /// Makes the lease end before the attempt begins.
    is_lost: AtomicBool,
    /// Makes the lease too short for the request.
    is_short: AtomicBool,
    /// The refresh token of an attempt that has not ended.
    attempt: Mutex<Option<String>>,
}

#[derive(Debug)]
struct TestLease(Arc<LeaseState>, #[allow(dead_code)] RecordLock);

impl Lease for TestLease {
    fn is_held_for(&self, time: Duration) -> bool {
        !self.0.is_short.load(Ordering::Relaxed) || time < Duration::from_secs(1)
    }

    fn begin_attempt<'a>(
        &'a self,
        refresh_token: &'a SecretString,
    ) -> StoreFuture<'a, Option<u64>> {
        Box::pin(async move {
            if self.0.is_lost.load(Ordering::Relaxed) {
                return Err(StoreError::lock_lost("test"));
            }
            let token = refresh_token.expose_secret().to_owned();
            let before = self.0.attempt.lock().unwrap().replace(token.clone());
            Ok((before == Some(token)).then_some(1_790_000_000_000))
        })
    }

    fn end_attempt(&self) {
        *self.0.attempt.lock().unwrap() = None;
    }
}

fn disk_full() -> StoreError {
    StoreError {
        store: "test".to_owned(),
        trouble: CredentialStoreTrouble::Unreadable,
        detail: "no space is left".to_owned(),
    }
}

impl CredentialStore for FaultyStore {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        self.memory.load(key)
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        Box::pin(async move {
            if self.cannot_save.load(Ordering::Relaxed) {
                return Err(disk_full());
            }
            if self.signs_in.swap(false, Ordering::Relaxed)
                && let Some(now) = self.memory.load(key).await?
            {
                let changes = [("access_token".to_owned(), json!("signed-in-token"))];
                let newer = now.with(&changes.into_iter().collect()).unwrap();
                self.memory.replace(key, Some(&now), Some(&newer)).await?;
            }
            self.memory.replace(key, expected, new).await
        })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(async move {
            let lock = self.memory.lock(key).await?;
            Ok(match &self.lease {
                Some(lease) => RecordLock::leased(TestLease(lease.clone(), lock)),
                None => lock,
            })
        })
    }

    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        match self.cannot_prove {
            true => Box::pin(async { Err(disk_full()) }),
            false => self.memory.prove_writable(key),
        }
    }
}

#[tokio::test]
async fn no_refresh_is_sent_if_the_store_is_not_writable() {
    let store = FaultyStore {
        cannot_prove: true,
        ..FaultyStore::default()
    };
    let case = Case::new("{}", Arc::new(store)).await;
    assert!(matches!(
        case.refresh().await,
        RefreshOutcome::StoreFailed(_)
    ));
    assert_eq!(case.token_requests(), 0);
}

#[tokio::test]
async fn a_token_that_cannot_be_saved_is_returned_with_the_store_error() {
    let store = Arc::new(FaultyStore::default());
    let case = Case::new("{}", store.clone()).await;
    store.cannot_save.store(true, Ordering::Relaxed);
    assert_eq!(
        token(case.refresh().await),
        ("fresh-token-1".to_owned(), true)
    );
    assert_eq!(case.stored().await["access_token"], "expired-token");
}

#[tokio::test]
async fn a_sign_in_during_a_refresh_is_kept_and_its_token_is_used() {
    let store = Arc::new(FaultyStore::default());
    let case = Case::new("{}", store.clone()).await;
    store.signs_in.store(true, Ordering::Relaxed);
    assert_eq!(
        token(case.refresh().await),
        ("signed-in-token".to_owned(), false)
    );
    assert_eq!(case.stored().await["access_token"], "signed-in-token");
    assert_eq!(case.token_evidence().superseded, Some(true));
}

/// A case whose store grants leases, and the state of the leases.
async fn leasing(token: &str) -> (Case, Arc<LeaseState>, Arc<FaultyStore>) {
    let lease = Arc::new(LeaseState::default());
    let store = Arc::new(FaultyStore {
        lease: Some(lease.clone()),
        ..FaultyStore::default()
    });
    (Case::new(token, store.clone()).await, lease, store)
}

#[tokio::test]
async fn no_refresh_is_sent_after_the_lock_was_lost_or_if_it_may_end_before_the_response() {
    let (case, lease, _) = leasing("{}").await;
    for flag in [&lease.is_lost, &lease.is_short] {
        flag.store(true, Ordering::Relaxed);
        match case.refresh().await {
            RefreshOutcome::StoreFailed(error) => {
                assert_eq!(error.trouble, CredentialStoreTrouble::InUse)
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(case.token_requests(), 0);
        flag.store(false, Ordering::Relaxed);
    }
}

/// The outcome of an attempt is known if the authorization server granted or refused a token.
#[tokio::test]
async fn a_refresh_whose_outcome_is_unknown_explains_the_refusal_of_the_next_one() {
    let refuses = |status: u16| {
        format!(
            r#"{{"respond": [{{"when": {{}}, "reply": {{"status": {status}, "body": {{"json": {{"error": "invalid_grant"}}}}}}}}]}}"#
        )
    };
    for (status, is_known) in [(400, true), (502, false)] {
        let (case, lease, _) = leasing(&refuses(status)).await;
        assert!(matches!(case.refresh().await, RefreshOutcome::Refused));
        assert_eq!(case.token_evidence().sent_before_at_ms, None);
        assert_eq!(
            lease.attempt.lock().unwrap().is_none(),
            is_known,
            "{status}"
        );
        assert!(matches!(case.refresh().await, RefreshOutcome::Refused));
        let explained = (!is_known).then_some(1_790_000_000_000);
        assert_eq!(
            case.token_evidence().sent_before_at_ms,
            explained,
            "{status}"
        );
    }
    // The response was received and could not be saved.
    let (case, lease, store) = leasing("{}").await;
    store.cannot_save.store(true, Ordering::Relaxed);
    assert!(token(case.refresh().await).1);
    assert!(lease.attempt.lock().unwrap().is_some());
    store.cannot_save.store(false, Ordering::Relaxed);
    assert!(!token(case.refresh().await).1);
    assert!(lease.attempt.lock().unwrap().is_none());
}

#[tokio::test]
async fn a_refresh_token_is_sent_only_to_the_issuer_that_granted_it() {
    let store = Arc::new(MemoryStore::default());
    let case = Case::new("{}", store).await;
    let now = case.store.load(&case.key).await.unwrap().unwrap();
    let changes = [("issuer".to_owned(), json!("https://another.example"))];
    let other = now.with(&changes.into_iter().collect()).unwrap();
    case.store
        .replace(&case.key, Some(&now), Some(&other))
        .await
        .unwrap();
    assert!(matches!(case.refresh().await, RefreshOutcome::NotSent));
    assert_eq!(case.token_requests(), 0);
}

/// The authorization server treats a second use of a refresh token as theft and then refuses every token, so a lost token could not
/// be replaced.
#[tokio::test]
async fn a_start_that_is_dropped_at_any_await_of_a_refresh_loses_no_token() {
    let home = tempfile::tempdir().unwrap();
    let stores: [(&str, Arc<dyn CredentialStore>); 2] = [
        ("memory", Arc::new(MemoryStore::default())),
        ("file", Arc::new(FileStore::new(home.path()))),
    ];
    for (name, store) in stores {
        let (mut dropped, mut polls) = (0, 0);
        loop {
            // Each lab has its own port, so each case has its own record.
            let case = Case::new(r#"{"rotates": true}"#, store.clone()).await;
            let completed = dropped_after(case.refresh(), polls).await;
            case.tasks.close();
            case.tasks.wait().await;
            let stored = case.stored().await;
            let expected = match case.token_requests() {
                0 => ("expired-token", "good-refresh"),
                _ => ("fresh-token-1", "fresh-refresh-1"),
            };
            let tokens = (
                stored["access_token"].as_str(),
                stored["refresh_token"].as_str(),
            );
            assert_eq!(
                tokens,
                (Some(expected.0), Some(expected.1)),
                "{name}, after {polls} polls"
            );
            assert!(case.token_requests() <= 1);
            // The lock is free, and the next start gets a token, with a refresh or without one.
            let next = tokio::time::timeout(Duration::from_secs(10), case.refresh()).await;
            assert_eq!(
                token(next.unwrap()),
                ("fresh-token-1".to_owned(), false),
                "{name}, {polls}"
            );
            assert_eq!(case.token_requests(), 1);
            if completed.is_some() {
                break;
            }
            dropped += 1;
            polls += 1;
        }
        println!("{name}: dropped at {dropped} awaits");
        assert!(dropped >= 5, "{name}: {dropped}");
    }
}
