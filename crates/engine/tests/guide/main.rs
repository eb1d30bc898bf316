//! The code of `docs/guide.md`, run against the lab. What stands between `guide:` and `guide end` is what the page shows; `cargo
//! xtask generate` takes it there.

#![allow(clippy::unwrap_used)]

mod check;
mod own_requests;
mod own_store;
mod show;
mod sign_in;
mod watch;

use std::sync::Arc;

use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, MemoryStore, now_ms,
};
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::{Startup, StartupOptions};
use mcp_startup_lab::Lab;

/// A server of the lab, as a configuration would have it.
fn server(lab: &Lab, name: &str) -> ServerEntry {
    ServerConfig::http(name, &lab.url(name)).unwrap().into()
}

/// A host with this store.
fn host(store: &MemoryStore) -> Startup {
    let mut options = StartupOptions::default();
    options.stores = Some(CredentialStores::of(Arc::new(store.clone())));
    Startup::new(options).unwrap()
}

/// Stores what the lab's row says is stored for its client.
async fn store_for(store: &MemoryStore, lab: &Lab, name: &str) {
    let row = lab.scenarios().iter().find(|row| row.name == name).unwrap();
    let record = row.stored_record(&lab.base_url(), now_ms()).unwrap();
    let record = CredentialRecord::from_json(&record).unwrap();
    let key = CredentialKey::new(name, &lab.url(name));
    store.replace(&key, None, Some(&record)).await.unwrap();
}
