//! A credential store that a host implements.

// guide: own-store
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup::CredentialStoreTrouble;
use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, RecordLock, ReplaceOutcome, StoreError,
    StoreFuture,
};
use secrecy::{ExposeSecret, SecretString};

/// Stores records in the vault of an app that runs as a single process. In this example, the vault is a map.
#[derive(Debug, Default)]
struct VaultStore {
    vault: Mutex<HashMap<String, SecretString>>,
    locks: Mutex<HashMap<CredentialKey, Arc<tokio::sync::Mutex<()>>>>,
}

impl VaultStore {
    fn vault(&self) -> MutexGuard<'_, HashMap<String, SecretString>> {
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_of(&self, key: &CredentialKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(key.clone()).or_default().clone()
    }
}

/// A record that can't be read is an error. It must never look like a missing record.
fn read(json: Option<&SecretString>) -> Result<Option<CredentialRecord>, StoreError> {
    let corrupt = |error| {
        let trouble = CredentialStoreTrouble::Corrupt;
        StoreError::new("vault", trouble, format!("{error}"))
    };
    json.map(|json| CredentialRecord::parse(json.expose_secret()).map_err(corrupt))
        .transpose()
}

impl CredentialStore for VaultStore {
    fn name(&self) -> &str {
        "vault"
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async { read(self.vault().get(key.as_str())) })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        Box::pin(async move {
            // Compare and write in one step, so that no other task can store a record in between.
            let mut vault = self.vault();
            let stored = read(vault.get(key.as_str()))?;
            if stored.as_ref() != expected {
                return Ok(ReplaceOutcome::Conflict(stored));
            }
            match new {
                Some(new) => vault.insert(key.as_str().to_owned(), new.to_json()),
                None => vault.remove(key.as_str()),
            };
            Ok(ReplaceOutcome::Stored)
        })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(async {
            let guard = self.lock_of(key).lock_owned().await;
            Ok(RecordLock::new(guard))
        })
    }

    fn prove_writable<'a>(&'a self, _key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
// guide end

// guide: conformance
mcp_startup_auth::conformance!(vault, (VaultStore::default(), ()));
// guide end

#[tokio::test]
async fn a_host_uses_its_own_store() {
    // guide: own-store-set
    use mcp_startup::auth::CredentialStores;
    use mcp_startup::{Startup, StartupOptions};

    let store = Arc::new(VaultStore::default());
    let mut options = StartupOptions::default();
    options.stores = Some(CredentialStores::from_store(store));
    let startup = Startup::new(options).unwrap();
    // guide end
    let lab = mcp_startup_lab::Lab::start(0).await.unwrap();
    let server = crate::server(&lab, "first-sign-in");
    let status = startup.auth_status(&server, false).await;
    assert!(status.store_error.is_none());
}
