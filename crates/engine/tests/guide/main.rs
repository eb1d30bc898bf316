//! The code of `docs/guide.md`, run against the lab. `cargo xtask generate` copies the lines between `guide:` and `guide end` into
//! that page.

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

/// The entry of a lab server, as a configuration would contain it.
fn server(lab: &Lab, name: &str) -> ServerEntry {
    ServerConfig::http(name, &lab.url(name)).unwrap().into()
}

/// The `Startup` of a host that uses this store.
fn host(store: &MemoryStore) -> Startup {
    let mut options = StartupOptions::default();
    options.stores = Some(CredentialStores::from_store(Arc::new(store.clone())));
    Startup::new(options).unwrap()
}

/// Saves the record that the lab's scenario specifies for its client.
async fn store_for(store: &MemoryStore, lab: &Lab, name: &str) {
    let row = lab.scenarios().iter().find(|row| row.name == name).unwrap();
    let record = row.stored_record(&lab.base_url(), now_ms()).unwrap();
    let record = CredentialRecord::from_json(&record).unwrap();
    let key = CredentialKey::new(name, &lab.url(name));
    store.replace(&key, None, Some(&record)).await.unwrap();
}
