//! Every row of the lab that is reached over HTTP, started by the engine: what must come out stands in the row.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use mcp_startup::auth::{CredentialKey, CredentialStores, StoreSelection};
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::{McpServerStartupState, Startup, StartupEvent, StartupFailure, StartupOptions};
use mcp_startup_lab::{Lab, Scenario};

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as i64
}

/// A user's servers: one for each row, with what is stored for them.
struct User {
    home: tempfile::TempDir,
    servers: Vec<ServerEntry>,
}

fn user_of(lab: &Lab, rows: &[&Scenario]) -> User {
    let mut records = serde_json::Map::new();
    let mut servers = Vec::new();
    for row in rows {
        if let Some(record) = row.stored_record(&lab.base_url(), now_ms()) {
            let url = record["server_url"].as_str().unwrap();
            let key = CredentialKey::new(&row.name, url);
            records.insert(key.as_str().to_owned(), record);
        }
        let mut server = ServerConfig::http(&row.name, &lab.url(&row.name)).unwrap();
        if let Some(configured) = &row.configured {
            server = server
                .with_bearer_token("LAB_TOKEN", configured.bearer.as_str())
                .unwrap();
        }
        if let Some(seconds) = row.startup_timeout_sec {
            server = server
                .with_startup_timeout(Duration::from_secs(seconds))
                .unwrap();
        }
        servers.push(ServerEntry::from(server));
    }
    let home = tempfile::tempdir().unwrap();
    let file = serde_json::to_vec(&records).unwrap();
    std::fs::write(home.path().join(".credentials.json"), file).unwrap();
    User { home, servers }
}

fn startup_of(user: &User) -> Startup {
    let mut options = StartupOptions::default();
    options.stores = Some(CredentialStores::new(
        user.home.path(),
        StoreSelection::File,
    ));
    Startup::new(options).unwrap()
}

async fn check_all(lab: &Lab, rows: &[&Scenario]) -> BTreeMap<String, Vec<StartupEvent>> {
    let user = user_of(lab, rows);
    let mut check = startup_of(&user).check(user.servers.clone());
    let mut events: BTreeMap<String, Vec<StartupEvent>> = BTreeMap::new();
    while let Some(event) = check.next().await {
        let name = event.notification.name().to_owned();
        events.entry(name).or_default().push(event);
    }
    events
}

fn said(failure: &StartupFailure) -> (String, String, Option<String>) {
    let text = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    (
        text(serde_json::to_value(failure.kind()).unwrap()),
        text(serde_json::to_value(failure.recovery()).unwrap()),
        failure.reason().map(|reason| reason.to_string()),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_comes_to_what_it_says() {
    let lab = Lab::start(0).await.unwrap();
    let rows: Vec<&Scenario> = lab
        .scenarios()
        .iter()
        .filter(|row| row.mcp.is_some())
        .collect();
    let events = check_all(&lab, &rows).await;
    let mut wrong = Vec::new();
    for row in &rows {
        let events = &events[&row.name];
        assert_eq!(events.len(), 2, "{}: {events:?}", row.name);
        assert_eq!(
            events[0].notification.status(),
            &McpServerStartupState::Starting
        );
        let last = &events[1];
        let got = (
            last.notification.status().to_string(),
            last.failure.as_ref().map(said),
            last.notification.failure_reason().map(ToString::to_string),
            lab.tokens_sent(&row.name),
        );
        let expect = &row.expect;
        let wanted = (
            expect.state.clone(),
            expect.kind.clone().map(|kind| {
                let recovery = expect.recovery.clone().unwrap_or_else(|| "none".to_owned());
                (kind, recovery, expect.reason.clone())
            }),
            expect.reason.clone(),
            expect.tokens_sent.clone().unwrap_or_else(|| got.3.clone()),
        );
        if got != wanted {
            let evidence = last
                .failure
                .as_ref()
                .map(|failure| failure.evidence().clone());
            wrong.push(format!(
                "{}\n  got    {got:?}\n  wanted {wanted:?}\n  {evidence:?}",
                row.name
            ));
        }
        if let Some(failure) = &last.failure {
            assert!(
                failure.message().contains(&row.name),
                "{}",
                failure.message()
            );
        }
    }
    println!("scenarios: {} rows over HTTP", rows.len());
    assert!(
        wrong.is_empty(),
        "{} of {} rows:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}
