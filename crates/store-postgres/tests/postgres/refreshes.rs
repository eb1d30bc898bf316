//! The refresh transaction of several hosts, with the lab's authorization server, which rotates refresh tokens.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use mcp_startup_auth::network::Network;
use mcp_startup_auth::{
    CredentialKey, CredentialRecord, CredentialStore, RefreshOutcome, RefreshRequest, RequestLog,
    discover, refresh,
};
use mcp_startup_core::{RequestEvidence, RequestTarget};
use mcp_startup_lab::{Lab, Target, parse_scenarios};
use mcp_startup_store_postgres::{PostgresStore, UserStore};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::database;
use crate::server::{KEY_1, TestDatabase};

const NAME: &str = "server";
const LAPSE: &str = "update mcp_startup_lease set expires_at = clock_timestamp() - interval '1 ms'";

/// Starts a server whose token endpoint is `token`.
async fn lab(token: &str) -> Lab {
    let row = format!(
        r#"[{{"name": "{NAME}", "about": "for a refresh", "mcp": {{"serves": {{"tokens": ["good-token"]}}}}, "token": {token},
            "expect": {{"state": "ready"}}}}]"#
    );
    Lab::start_with(parse_scenarios(&row).unwrap(), 0)
        .await
        .unwrap()
}

fn key(lab: &Lab) -> CredentialKey {
    CredentialKey::new(NAME, &lab.url(NAME))
}

/// A host with a connection pool of its own. It stores an expired token if none is stored.
async fn host(database: &TestDatabase, lab: &Lab) -> (PostgresStore, UserStore) {
    let postgres = database.store(KEY_1).await;
    let store = postgres.for_user("t", "u").unwrap();
    let record = CredentialRecord::from_json(&json!({
        "issuer": format!("{}/{NAME}", lab.base_url()), "client_id": "client-1", "access_token": "expired-token",
        "expires_at": 1, "refresh_token": "good-refresh"
    }));
    let record = record.unwrap();
    store.replace(&key(lab), None, Some(&record)).await.unwrap();
    (postgres, store)
}

async fn refreshed(store: &UserStore, lab: &Lab) -> (RefreshOutcome, Option<RequestEvidence>) {
    let server = lab.url(NAME).parse().unwrap();
    let guarded = Network::new().unwrap().guarded_client(&server).await;
    let log = RequestLog::default();
    let discovery = discover(&guarded, &server, None, None, &log).await;
    let request = RefreshRequest {
        key: key(lab),
        rejected: Some("expired-token".into()),
        server,
        configured_resource: None,
        published_resource: discovery.resource,
        metadata: discovery.metadata.unwrap(),
        client: None,
        scopes: None,
    };
    let tasks = TaskTracker::new();
    let outcome = refresh(
        Arc::new(store.clone()),
        guarded,
        request,
        log.clone(),
        &tasks,
    )
    .await;
    tasks.close();
    tasks.wait().await;
    (outcome, log.last(RequestTarget::Token))
}

fn token(outcome: &RefreshOutcome) -> &str {
    match outcome {
        RefreshOutcome::Token {
            access_token,
            not_saved: None,
        } => access_token.expose_secret(),
        other => panic!("{other:?}"),
    }
}

fn token_requests(lab: &Lab) -> usize {
    let requests = lab.requests(NAME).into_iter();
    requests
        .filter(|request| request.to == Target::Token)
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixteen_hosts_sends_a_refresh_and_all_return_its_token() {
    let database = database!("refreshes::one_of_sixteen_hosts_sends_a_refresh");
    let lab = lab(r#"{"rotates": true}"#).await;
    let hosts = join_all((0..16).map(|_| host(&database, &lab))).await;
    let outcomes = join_all(hosts.iter().map(|(_, store)| refreshed(store, &lab))).await;
    for (outcome, _) in &outcomes {
        assert_eq!(token(outcome), "fresh-token-1");
    }
    assert_eq!(token_requests(&lab), 1);
    // Nothing is left of the attempt, and the lock is free.
    join_all(hosts.iter().map(|(postgres, _)| postgres.close())).await;
    let statistics = hosts[0].0.statistics().await.unwrap();
    assert_eq!((statistics.locks, statistics.open_attempts), (0, 0));
}

/// The first request waits for its response, and the next one is refused, as by a server that has replaced the refresh token.
const SLOW: &str = r#"{"respond": [
    {"when": {}, "times": 1, "reply": {"delayMs": 1500, "body": {"json":
        {"access_token": "late-token", "token_type": "Bearer", "refresh_token": "late-refresh"}}}},
    {"when": {}, "reply": {"status": 400, "body": {"json": {"error": "invalid_grant"}}}}]}"#;

async fn until_requested(lab: &Lab, requests: usize) {
    while token_requests(lab) < requests {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The lease ends while a host waits for the response, as if the host had been paused. The authorization server then receives
/// the refresh token twice, which no lock can prevent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_ends_during_a_refresh_loses_no_token_and_explains_the_refusal() {
    let database = database!("refreshes::a_lease_that_ends_during_a_refresh");
    let lab = lab(SLOW).await;
    let ((_, first), (_, second)) = (host(&database, &lab).await, host(&database, &lab).await);
    let taken_over = async {
        until_requested(&lab, 1).await;
        database.sql(LAPSE);
        refreshed(&second, &lab).await
    };
    let ((late, _), (refused, evidence)) = tokio::join!(refreshed(&first, &lab), taken_over);
    assert!(matches!(refused, RefreshOutcome::Refused), "{refused:?}");
    let evidence = evidence.unwrap();
    assert_eq!(evidence.oauth_error.as_deref(), Some("invalid_grant"));
    assert!(evidence.sent_before_at_ms.is_some());
    assert_eq!(token(&late), "late-token");
    let stored = second.load(&key(&lab)).await.unwrap().unwrap();
    assert_eq!(
        stored.refresh_token().unwrap().expose_secret(),
        "late-refresh"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_record_stays_and_the_evidence_says_so() {
    let database = database!("refreshes::a_newer_record_stays_and_the_evidence_says_so");
    let lab = lab(SLOW).await;
    let ((_, first), (_, second)) = (host(&database, &lab).await, host(&database, &lab).await);
    let signs_in = async {
        until_requested(&lab, 1).await;
        database.sql(LAPSE);
        let stores = mcp_startup_auth::CredentialStores::from_store(Arc::new(second.clone()));
        let text = r#"{"access_token":"signed-in-token"}"#;
        let record = CredentialRecord::parse(text).unwrap();
        stores.save(&key(&lab), &record).await.unwrap();
    };
    let ((outcome, evidence), ()) = tokio::join!(refreshed(&first, &lab), signs_in);
    assert_eq!(token(&outcome), "signed-in-token");
    assert_eq!(evidence.unwrap().superseded, Some(true));
    let stored = second.load(&key(&lab)).await.unwrap().unwrap();
    assert_eq!(
        stored.access_token().unwrap().expose_secret(),
        "signed-in-token"
    );
}
