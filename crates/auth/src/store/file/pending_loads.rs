//! Concurrent loads of the file store share one read of the file. This module never interprets the file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::FileStore;
use crate::store::{CredentialKey, CredentialRecord, StoreError};

pub(super) type LoadResult = Result<Option<CredentialRecord>, StoreError>;

/// The loads that arrive while the file is being read. One later read, which begins after they arrived, answers all of them.
/// Without this, ten thousand servers would read a file of ten thousand records ten thousand times.
#[derive(Debug, Default)]
pub(super) struct PendingLoads(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    loads: Vec<PendingLoad>,
    has_reader: bool,
}

#[derive(Debug)]
pub(super) struct PendingLoad {
    pub key: CredentialKey,
    pub sender: oneshot::Sender<LoadResult>,
}

impl PendingLoads {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a load. Returns `true` if no [`Reader`] is running, so that the caller must start one.
    pub fn add(&self, load: PendingLoad) -> bool {
        let mut queue = self.lock();
        queue.loads.push(load);
        !std::mem::replace(&mut queue.has_reader, true)
    }
}

/// Reads the file and answers the pending loads. If it is dropped before it is done, the pending loads fail, and the next load
/// starts another reader.
pub(super) struct Reader {
    store: FileStore,
    is_done: bool,
}

impl Reader {
    pub fn new(store: FileStore) -> Self {
        let is_done = false;
        Self { store, is_done }
    }

    /// Reads the file again and again until no load is pending.
    pub fn run(&mut self) {
        loop {
            let mut loads = {
                let mut queue = self.store.pending_loads.lock();
                if queue.loads.is_empty() {
                    queue.has_reader = false;
                    self.is_done = true;
                    return;
                }
                std::mem::take(&mut queue.loads)
            };
            loads.retain(|load| !load.sender.is_closed());
            let keys: Vec<_> = loads.iter().map(|load| &load.key).collect();
            let results = self.store.load_blocking(&keys);
            for (load, result) in loads.into_iter().zip(results) {
                // The caller may have stopped waiting.
                let _ = load.sender.send(result);
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.is_done {
            let mut queue = self.store.pending_loads.lock();
            queue.has_reader = false;
            queue.loads.clear();
        }
    }
}
