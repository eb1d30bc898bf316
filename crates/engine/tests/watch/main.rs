//! A watch: when it restarts a failed server, and how it ends.

#![allow(clippy::unwrap_used)]

mod counting_store;
mod end;
// /proc distinguishes a running process from a zombie.
#[cfg(target_os = "linux")]
mod programs;
mod restarts;
mod stored_records;

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, ReplaceOutcome,
};
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::{LiveServer, Startup, StartupEvent, StartupOptions, Update, Watch};
use mcp_startup_lab::{Lab, RecordedRequest, parse_scenarios};

/// The limit for everything that must happen, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap()
}

async fn lab_with(rows: &str) -> Lab {
    Lab::start_with(parse_scenarios(rows).unwrap(), 0)
        .await
        .unwrap()
}

/// A lab scenario whose MCP server answers by these rules first, and then as a server that is ready.
fn scenario(name: &str, rules: &str) -> String {
    format!(
        r#"{{"name": "{name}", "about": "", "mcp": {{"respond": [{rules}]}}, "expect": {{"state": "failed"}}}}"#
    )
}

fn http(lab: &Lab, name: &str) -> ServerEntry {
    ServerConfig::http(name, &lab.url(name)).unwrap().into()
}

fn startup(stores: Option<CredentialStores>) -> Startup {
    let mut options = StartupOptions::default();
    options.stores = stores;
    Startup::new(options).unwrap()
}

async fn next(watch: &mut Watch) -> (StartupEvent, Option<LiveServer>) {
    within(watch.next()).await.unwrap()
}

/// The next event as `NAME STATE`.
async fn next_state(watch: &mut Watch) -> String {
    let (event, _) = next(watch).await;
    state_of(&event)
}

fn state_of(event: &StartupEvent) -> String {
    let notification = &event.notification;
    format!("{} {}", notification.name(), notification.status())
}

/// The remaining events, each as `NAME STATE`.
async fn remaining_states(watch: &mut Watch) -> Vec<String> {
    within(watch.map(|(event, _)| state_of(&event)).collect()).await
}

/// The pause of the next `Update::Waiting`, in ms.
async fn next_pause(watch: &mut Watch) -> Option<u64> {
    loop {
        let (update, _) = within(watch.update()).await.unwrap();
        if let Update::Waiting { retry_in_ms, .. } = update {
            return retry_in_ms;
        }
    }
}

fn handshakes(lab: &Lab, name: &str) -> usize {
    let requests = lab.requests(name);
    let is_handshake =
        |request: &&RecordedRequest| request.rpc_method.as_deref() == Some("initialize");
    requests.iter().filter(is_handshake).count()
}

fn record(token: &str) -> CredentialRecord {
    let json = serde_json::json!({ "access_token": token, "client_id": "client-1" });
    CredentialRecord::from_json(&json).unwrap()
}

/// The stored record of a lab scenario.
fn record_of(lab: &Lab, name: &str) -> Option<CredentialRecord> {
    let row = lab.scenarios().iter().find(|row| row.name == name).unwrap();
    let record = row.stored_record(&lab.base_url(), 0)?;
    Some(CredentialRecord::from_json(&record).unwrap())
}

fn key_of(lab: &Lab, name: &str) -> CredentialKey {
    CredentialKey::new(name, &lab.url(name))
}

/// Replaces the stored record, as another process would.
async fn save(store: &dyn CredentialStore, key: &CredentialKey, new: Option<&CredentialRecord>) {
    let stored = store.load(key).await.unwrap();
    let replaced = store.replace(key, stored.as_ref(), new).await.unwrap();
    assert_eq!(replaced, ReplaceOutcome::Stored);
}
