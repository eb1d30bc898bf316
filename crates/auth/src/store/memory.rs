//! Records that are kept in memory and lost when the process ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, ReplaceOutcome, StoreFuture};

/// Stores records in memory. Clones share the records and the locks; other processes cannot access them.
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
    ) -> StoreFuture<'a, ReplaceOutcome> {
        Box::pin(async move {
            let mut records = unpoisoned(&self.records);
            let stored = records.get(key);
            if stored != expected {
                return Ok(ReplaceOutcome::Conflict(stored.cloned()));
            }
            match new {
                Some(new) => records.insert(key.clone(), new.clone()),
                None => records.remove(key),
            };
            Ok(ReplaceOutcome::Stored)
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

/// Ignores poisoning: no code panics between two changes of these maps that belong together.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
