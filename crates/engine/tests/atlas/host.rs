//! A host that sends its own requests and uses the engine only for the header. Its result must be the same as that of a start.

use std::path::Path;

use mcp_startup::auth::network::Network;
use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, MemoryStore, now_ms,
};
use mcp_startup::config::{self, ServerEntry};
use mcp_startup::{Rejected, Startup, StartupFailure, StartupOptions};
use mcp_startup_lab::{Lab, Scenario, Target, config_toml};
use secrecy::{ExposeSecret, SecretString};

use crate::print_count;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"host","version":"1"}}}"#;
/// No start sends more requests than this.
const MOST_REQUESTS: usize = 4;
/// The verdicts that a 401 or a 403 can lead to.
const VERDICTS_OF_REFUSALS: [&str; 9] = [
    "accessDenied",
    "authorizationMisconfigured",
    "authorizationUnavailable",
    "credentialRejected",
    "credentialRequired",
    "credentialStoreUnavailable",
    "insufficientScope",
    "reauthenticationRequired",
    "signInRequired",
];

async fn startup_of(lab: &Lab, row: &Scenario) -> (Startup, ServerEntry) {
    let text = config_toml([row], &lab.base_url(), &["mcp-startup"]);
    let path = Path::new("config.toml");
    let mut servers = config::parse(&text, path, &config::ProcessEnvironment)
        .unwrap()
        .servers;
    let store = MemoryStore::default();
    if let Some(record) = row.stored_record(&lab.base_url(), now_ms()) {
        let key = CredentialKey::new(&row.name, record["server_url"].as_str().unwrap());
        let record = CredentialRecord::from_json(&record).unwrap();
        store.replace(&key, None, Some(&record)).await.unwrap();
    }
    let mut options = StartupOptions::default();
    options.stores = Some(CredentialStores::from_store(std::sync::Arc::new(store)));
    (Startup::new(options).unwrap(), servers.remove(0))
}

/// Sends `initialize` as a host would. After a 401 or a 403, it repeats the request with another header until there is none left.
async fn host(
    startup: &Startup,
    server: &ServerEntry,
    url: &str,
) -> Result<u16, Box<StartupFailure>> {
    let network = Network::new().unwrap();
    let client = network.server_client();
    let mut header = startup.authorization(server, None).await?;
    for _ in 0..MOST_REQUESTS {
        let mut request = client
            .post(url)
            .body(INITIALIZE)
            .header("content-type", "application/json");
        if let Some(header) = &header {
            request = request.header("authorization", header.expose_secret());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        if !matches!(status, 401 | 403) {
            return Ok(status);
        }
        let mut rejected = Rejected::new(header.as_ref().map(SecretString::expose_secret));
        rejected.status = status;
        let challenge = response.headers().get("www-authenticate");
        rejected.challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
        header = startup.authorization(server, Some(&rejected)).await?;
    }
    panic!("{}: too many requests", server.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_gets_the_same_result_as_a_start() {
    let lab = Lab::start(0).await.unwrap();
    let verdict_of_refusal = |row: &&Scenario| {
        let kind = row.expect.kind.as_deref();
        kind.is_none_or(|kind| VERDICTS_OF_REFUSALS.contains(&kind))
    };
    // The host itself is responsible for redirects, other eras of MCP and later requests.
    let plain = |row: &&Scenario| {
        row.mcp.as_ref().is_some_and(|mcp| {
            mcp.respond.iter().all(|rule| {
                rule.reply.redirect.is_none() && rule.times.is_none() && rule.when.method.is_none()
            }) && mcp.era != mcp_startup_lab::Era::Modern
                && mcp
                    .unauthorized
                    .as_ref()
                    .is_none_or(|reply| reply.redirect.is_none())
        })
    };
    let stored = |row: &&Scenario| {
        let record = row.stored_record(&lab.base_url(), 0);
        record.is_none_or(|record| CredentialRecord::from_json(&record).is_ok())
    };
    let rows: Vec<&Scenario> = lab
        .scenarios()
        .iter()
        .filter(plain)
        .filter(verdict_of_refusal)
        .filter(stored)
        .collect();
    let mut wrong = Vec::new();
    for row in &rows {
        let (startup, server) = startup_of(&lab, row).await;
        let result = host(&startup, &server, &lab.url(&row.name)).await;
        let got = match &result {
            Ok(status) => ("ready".to_owned(), None, Some(*status)),
            Err(failure) => {
                let kind = serde_json::to_value(failure.kind()).unwrap();
                ("failed".to_owned(), kind.as_str().map(str::to_owned), None)
            }
        };
        let expected = (
            row.expect.state.clone(),
            row.expect.kind.clone(),
            (row.expect.state == "ready").then_some(200),
        );
        let requests = lab.requests(&row.name);
        let refreshes = requests
            .iter()
            .filter(|request| request.to == Target::Token);
        let refreshes: Vec<_> = refreshes.map(|request| request.token.clone()).collect();
        if got != expected || refreshes != row.expect.refresh_tokens_sent {
            wrong.push(format!(
                "{} ({})\n  got      {got:?} {refreshes:?}\n  expected {expected:?} {:?}",
                row.name, row.because, row.expect.refresh_tokens_sent
            ));
        }
    }
    print_count("starts by a host's own requests", rows.len());
    assert!(rows.len() >= 80, "{} rows", rows.len());
    assert!(
        wrong.is_empty(),
        "{} of {} rows:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}
