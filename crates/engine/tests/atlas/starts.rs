//! Starts all scenarios with the engine at the same time.

use std::collections::BTreeMap;
use std::path::Path;

use futures::StreamExt;
use mcp_startup::auth::{CredentialKey, now_ms};
use mcp_startup::config::{self, ServerEntry};
use mcp_startup::{McpServerStartupState, Startup, StartupEvent, StartupFailure, StartupOptions};
use mcp_startup_lab::{Lab, Scenario, Target, config_toml};
use serde_json::Value;

use crate::print_count;

const FILE: &str = ".credentials.json";

/// The configuration and the stored records of a user whose servers are these scenarios.
fn startup_of(
    lab: &Lab,
    rows: &[&Scenario],
    home: &Path,
    now_ms: i64,
) -> (Startup, Vec<ServerEntry>) {
    let mut records = serde_json::Map::new();
    for row in rows {
        if let Some(record) = row.stored_record(&lab.base_url(), now_ms) {
            let url = record["server_url"].as_str().unwrap();
            let key = CredentialKey::new(&row.name, url);
            records.insert(key.as_str().to_owned(), record);
        }
    }
    std::fs::write(home.join(FILE), serde_json::to_vec(&records).unwrap()).unwrap();
    let text = config_toml(rows.iter().copied(), &lab.base_url(), &["mcp-startup"]);
    let path = home.join("config.toml");
    let configuration = config::parse(&text, &path, &config::ProcessEnvironment).unwrap();
    let mut options = StartupOptions::for_configuration(&configuration);
    if cfg!(windows) {
        // Under Wine, so many connections at the same time take longer than the time limits of the scenarios.
        options.concurrency = 16;
    }
    (Startup::new(options).unwrap(), configuration.servers)
}

async fn check_all(
    startup: &Startup,
    servers: Vec<ServerEntry>,
) -> BTreeMap<String, Vec<StartupEvent>> {
    let mut check = startup.check(servers);
    let mut events: BTreeMap<String, Vec<StartupEvent>> = BTreeMap::new();
    while let Some(event) = check.next().await {
        let name = event.notification.name().to_owned();
        events.entry(name).or_default().push(event);
    }
    events
}

/// The stored record of a scenario. An expiry that is at most a minute late is replaced by the expected one, because a refresh takes
/// time.
fn stored_of(row: &Scenario, records: &Value, expected: Option<&Value>) -> Option<Value> {
    let url = row
        .stored
        .as_ref()
        .map(|_| expected.unwrap()["server_url"].as_str().unwrap())?;
    let mut stored = records[CredentialKey::new(&row.name, url).as_str()].clone();
    let expiry = |record: &Value| record["expires_at"].as_i64();
    if let (Some(got), Some(expected)) = (expiry(&stored), expected.and_then(expiry))
        && row.expect.stored.is_some()
        && (0..60_000).contains(&(got - expected))
    {
        stored["expires_at"] = expected.into();
    }
    Some(stored)
}

fn verdict_of(failure: &StartupFailure) -> (String, String, Option<String>) {
    let text = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    (
        text(serde_json::to_value(failure.kind()).unwrap()),
        text(serde_json::to_value(failure.recovery()).unwrap()),
        failure.reason().map(|reason| reason.to_string()),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_has_its_expected_result() {
    let lab = Lab::start(0).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let now_ms = now_ms();
    let rows: Vec<&Scenario> = lab
        .scenarios()
        .iter()
        .filter(|row| row.mcp.is_some())
        .collect();
    let (startup, servers) = startup_of(&lab, &rows, home.path(), now_ms);
    let events = check_all(&startup, servers).await;
    let records = std::fs::read(home.path().join(FILE)).unwrap();
    let records: Value = serde_json::from_slice(&records).unwrap();
    let mut wrong = Vec::new();
    for row in &rows {
        let events = &events[&row.name];
        assert_eq!(events.len(), 2, "{}: {events:?}", row.name);
        assert_eq!(
            events[0].notification.status(),
            &McpServerStartupState::Starting
        );
        let last = &events[1];
        let requests = lab.requests(&row.name);
        let refreshes = requests
            .iter()
            .filter(|request| request.to == Target::Token);
        let discovers = requests
            .iter()
            .any(|request| request.to == Target::Discovery);
        let expect = &row.expect;
        let expected_record = row.expected_record(&lab.base_url(), now_ms);
        let got = Observed {
            state: last.notification.status().to_string(),
            verdict: last.failure.as_ref().map(verdict_of),
            reason: last.notification.failure_reason().map(ToString::to_string),
            tokens_sent: lab.tokens_sent(&row.name),
            refresh_tokens_sent: refreshes.map(|request| request.token.clone()).collect(),
            discovers,
            stored: stored_of(row, &records, expected_record.as_ref()),
        };
        let expected = Observed {
            state: expect.state.clone(),
            verdict: expect.kind.clone().map(|kind| {
                let recovery = expect.recovery.clone().unwrap_or_else(|| "none".to_owned());
                (kind, recovery, expect.reason.clone())
            }),
            reason: expect.reason.clone(),
            tokens_sent: expect
                .tokens_sent
                .clone()
                .unwrap_or_else(|| got.tokens_sent.clone()),
            refresh_tokens_sent: expect.refresh_tokens_sent.clone(),
            discovers: expect.discovers.unwrap_or(discovers),
            stored: expected_record,
        };
        if got != expected {
            let evidence = last.failure.as_ref().map(|failure| failure.evidence());
            let evidence = serde_json::to_string(&evidence).unwrap();
            wrong.push(format!(
                "{} ({})\n  got      {got:?}\n  expected {expected:?}\n  {evidence}",
                row.name, row.because
            ));
        }
        if let Some(failure) = &last.failure {
            let message = failure.message();
            assert!(message.contains(&row.name), "{message}");
        }
    }
    print_count("starts over HTTP", rows.len());
    assert!(
        wrong.is_empty(),
        "{} of {} rows:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

/// The result of a start, with everything that a scenario can specify.
#[derive(Debug, PartialEq)]
struct Observed {
    state: String,
    verdict: Option<(String, String, Option<String>)>,
    reason: Option<String>,
    tokens_sent: Vec<String>,
    refresh_tokens_sent: Vec<String>,
    discovers: bool,
    stored: Option<Value>,
}
