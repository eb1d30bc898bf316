//! The refresh transaction against the lab's authorization server: one request, and no answer lost.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_startup_auth::conformance::dropped_after;
use mcp_startup_auth::network::Network;
use mcp_startup_auth::{
    CredentialKey, CredentialRecord, CredentialStore, FileStore, MemoryStore, RecordLock, Refresh,
    Refreshed, Replaced, RequestLog, StoreError, StoreFuture, discover, refresh,
};
use mcp_startup_core::CredentialStoreTrouble;
use mcp_startup_lab::{Lab, Target, parse_scenarios};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio_util::task::TaskTracker;

const NAME: &str = "server";

/// A server whose token has expired, and what is stored for it.
struct Case {
    lab: Lab,
    store: Arc<dyn CredentialStore>,
    key: CredentialKey,
    tasks: TaskTracker,
}

/// A lab with one server, whose token endpoint does what `token` says.
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
            Ok(Replaced::Stored)
        ));
        Self {
            lab,
            store,
            key,
            tasks: TaskTracker::new(),
        }
    }

    async fn refresh(&self) -> Refreshed {
        let resource = self.lab.url(NAME).parse().unwrap();
        let outside = Network::new().unwrap().beyond(&resource).await;
        let log = RequestLog::default();
        let found = discover(&outside, &resource, None, &log).await;
        let wanted = Refresh {
            key: self.key.clone(),
            rejected: Some("expired-token".into()),
            resource: found.resource.unwrap(),
            metadata: found.metadata.unwrap(),
            client: None,
            scopes: None,
        };
        refresh(self.store.clone(), outside, wanted, log, &self.tasks).await
    }

    fn sent(&self) -> usize {
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

/// The token that came out, and whether it could not be saved.
fn token(refreshed: Refreshed) -> (String, bool) {
    match refreshed {
        Refreshed::Token {
            access_token,
            not_saved,
        } => (access_token.expose_secret().to_owned(), not_saved.is_some()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_refresh_gives_is_stored_with_all_else_that_was_there() {
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
        assert_eq!(case.sent(), 1);
        let request = case.lab.requests(NAME).pop().unwrap();
        assert_eq!(request.parameters["resource"], case.lab.url(NAME));
        assert!(!request.parameters.contains_key("scope"), "{request:?}");
    }
}

#[tokio::test]
async fn of_many_at_once_one_refreshes_and_all_have_its_token() {
    let home = tempfile::tempdir().unwrap();
    let case = Case::new(
        r#"{"rotates": true}"#,
        Arc::new(FileStore::new(home.path())),
    )
    .await;
    let all = futures::future::join_all((0..8).map(|_| case.refresh())).await;
    for refreshed in all {
        assert_eq!(token(refreshed), ("fresh-token-1".to_owned(), false));
    }
    assert_eq!(case.sent(), 1);
    assert_eq!(case.stored().await["refresh_token"], "fresh-refresh-1");
}

#[tokio::test]
async fn a_refresh_that_nobody_waits_for_any_more_is_saved_all_the_same() {
    let slow = r#"{"respond": [{"when": {}, "reply": {"delayMs": 300, "body": {"json":
        {"access_token": "late-token", "token_type": "Bearer", "refresh_token": "late-refresh"}}}}]}"#;
    let case = Case::new(slow, Arc::new(MemoryStore::default())).await;
    {
        let mut refreshing = std::pin::pin!(case.refresh());
        let sent = async {
            while case.sent() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            refreshed = &mut refreshing => panic!("{refreshed:?}"),
            () = sent => {}
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

/// A store in memory with a fault.
#[derive(Debug, Default)]
struct Faulty {
    memory: MemoryStore,
    cannot_prove: bool,
    /// Fails every `replace` once it is set.
    cannot_save: AtomicBool,
    /// Signs in anew, without the lock, when something is to be saved.
    signs_in: AtomicBool,
}

fn full() -> StoreError {
    StoreError {
        store: "test".to_owned(),
        trouble: CredentialStoreTrouble::Unreadable,
        detail: "no space is left".to_owned(),
    }
}

impl CredentialStore for Faulty {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        self.memory.load(key)
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, Replaced> {
        Box::pin(async move {
            if self.cannot_save.load(Ordering::Relaxed) {
                return Err(full());
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
        self.memory.lock(key)
    }

    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        match self.cannot_prove {
            true => Box::pin(async { Err(full()) }),
            false => self.memory.prove_writable(key),
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_where_its_answer_could_not_be_saved() {
    let store = Faulty {
        cannot_prove: true,
        ..Faulty::default()
    };
    let case = Case::new("{}", Arc::new(store)).await;
    assert!(matches!(case.refresh().await, Refreshed::StoreFailed(_)));
    assert_eq!(case.sent(), 0);
}

#[tokio::test]
async fn a_token_that_cannot_be_saved_serves_all_the_same_and_that_is_said() {
    let store = Arc::new(Faulty::default());
    let case = Case::new("{}", store.clone()).await;
    store.cannot_save.store(true, Ordering::Relaxed);
    assert_eq!(
        token(case.refresh().await),
        ("fresh-token-1".to_owned(), true)
    );
    assert_eq!(case.stored().await["access_token"], "expired-token");
}

#[tokio::test]
async fn a_sign_in_that_came_between_stands_and_is_used() {
    let store = Arc::new(Faulty::default());
    let case = Case::new("{}", store.clone()).await;
    store.signs_in.store(true, Ordering::Relaxed);
    assert_eq!(
        token(case.refresh().await),
        ("signed-in-token".to_owned(), false)
    );
    assert_eq!(case.stored().await["access_token"], "signed-in-token");
}

#[tokio::test]
async fn a_refresh_token_goes_to_the_issuer_that_granted_it_alone() {
    let store = Arc::new(MemoryStore::default());
    let case = Case::new("{}", store).await;
    let now = case.store.load(&case.key).await.unwrap().unwrap();
    let changes = [("issuer".to_owned(), json!("https://another.example"))];
    let other = now.with(&changes.into_iter().collect()).unwrap();
    case.store
        .replace(&case.key, Some(&now), Some(&other))
        .await
        .unwrap();
    assert!(matches!(case.refresh().await, Refreshed::NotSent));
    assert_eq!(case.sent(), 0);
}

/// The authorization server takes a used refresh token for theft, and then refuses everything: what is lost once is lost for good.
#[tokio::test]
async fn a_start_that_is_given_up_at_any_await_of_a_refresh_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let stores: [(&str, Arc<dyn CredentialStore>); 2] = [
        ("memory", Arc::new(MemoryStore::default())),
        ("file", Arc::new(FileStore::new(home.path()))),
    ];
    for (name, store) in stores {
        let (mut cut_short, mut polls) = (0, 0);
        loop {
            // Each lab has a port of its own, and so each case a record of its own.
            let case = Case::new(r#"{"rotates": true}"#, store.clone()).await;
            let given_up = dropped_after(case.refresh(), polls).await;
            case.tasks.close();
            case.tasks.wait().await;
            let stored = case.stored().await;
            let wanted = match case.sent() {
                0 => ("expired-token", "good-refresh"),
                _ => ("fresh-token-1", "fresh-refresh-1"),
            };
            let tokens = (
                stored["access_token"].as_str(),
                stored["refresh_token"].as_str(),
            );
            assert_eq!(
                tokens,
                (Some(wanted.0), Some(wanted.1)),
                "{name}, after {polls} polls"
            );
            assert!(case.sent() <= 1);
            // Nothing holds the lock, and the next start has what it needs: by a refresh, or without one.
            let next = tokio::time::timeout(Duration::from_secs(10), case.refresh()).await;
            assert_eq!(
                token(next.unwrap()),
                ("fresh-token-1".to_owned(), false),
                "{name}, {polls}"
            );
            assert_eq!(case.sent(), 1);
            if given_up.is_some() {
                break;
            }
            cut_short += 1;
            polls += 1;
        }
        println!("{name}: given up at {cut_short} awaits");
        assert!(cut_short >= 5, "{name}: {cut_short}");
    }
}
