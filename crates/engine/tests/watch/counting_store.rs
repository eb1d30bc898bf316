//! A store that counts how often it is read, and that can fail or panic.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcp_startup::CredentialStoreTrouble;
use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, RecordLock, ReplaceOutcome,
    StoreError, StoreFuture,
};
use tokio::sync::watch;

use crate::within;

/// A store of a host that counts how often it is read, and that can fail or panic.
#[derive(Clone, Debug)]
pub struct CountingStore {
    pub store: Arc<dyn CredentialStore>,
    loads: Arc<watch::Sender<HashMap<CredentialKey, usize>>>,
    pub fails: Arc<AtomicBool>,
    pub panics: Arc<AtomicBool>,
    /// Nothing can be written.
    pub is_full: Arc<AtomicBool>,
}

impl CountingStore {
    pub fn new(store: impl CredentialStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            loads: Arc::default(),
            fails: Arc::default(),
            panics: Arc::default(),
            is_full: Arc::default(),
        }
    }

    pub fn stores(&self) -> Option<CredentialStores> {
        Some(CredentialStores::from_store(Arc::new(self.clone())))
    }

    pub fn loads(&self, key: &CredentialKey) -> usize {
        self.loads.borrow().get(key).copied().unwrap_or_default()
    }

    /// Waits until the record has been read `times` times more.
    pub async fn wait_for_loads(&self, times: usize, key: &CredentialKey) {
        let expected = self.loads(key) + times;
        let mut loads = self.loads.subscribe();
        let enough = loads.wait_for(|loads| loads.get(key).is_some_and(|count| *count >= expected));
        within(enough).await.unwrap();
    }
}

impl CredentialStore for CountingStore {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async {
            let loaded = match self.fails.load(Ordering::SeqCst) {
                true => {
                    let trouble = CredentialStoreTrouble::Locked;
                    Err(StoreError::new("host", trouble, "it is locked"))
                }
                false => self.store.load(key).await,
            };
            let count = |loads: &mut HashMap<_, _>| *loads.entry(key.clone()).or_default() += 1;
            self.loads.send_modify(count);
            assert!(
                !self.panics.load(Ordering::SeqCst),
                "the test makes this store panic"
            );
            loaded
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        self.store.replace(key, expected, new)
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        self.store.lock(key)
    }

    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        match self.is_full.load(Ordering::SeqCst) {
            true => Box::pin(async {
                let trouble = CredentialStoreTrouble::Unreadable;
                Err(StoreError::new("host", trouble, "no space is left"))
            }),
            false => self.store.prove_writable(key),
        }
    }
}
