//! Records that end with the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, Replaced, StoreFuture};

/// Keeps records in memory. Its clones share them: "every process that can reach the same record" is this one.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    records: Arc<Mutex<HashMap<CredentialKey, CredentialRecord>>>,
    locks: Arc<Mutex<HashMap<CredentialKey, Arc<tokio::sync::Mutex<()>>>>>,
}

impl CredentialStore for MemoryStore {
    fn name(&self) -> &str {
        "memory"
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async { Ok(unpoisoned(&self.records).get(key).cloned()) })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, Replaced> {
        Box::pin(async move {
            let mut records = unpoisoned(&self.records);
            let stored = records.get(key);
            if stored != expected {
                return Ok(Replaced::Conflict(stored.cloned()));
            }
            match new {
                Some(new) => records.insert(key.clone(), new.clone()),
                None => records.remove(key),
            };
            Ok(Replaced::Stored)
        })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(async {
            let lock = unpoisoned(&self.locks)
                .entry(key.clone())
                .or_default()
                .clone();
            Ok(RecordLock::new(lock.lock_owned().await))
        })
    }
}

/// No panic leaves anything half done in these maps.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
