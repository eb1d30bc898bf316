//! Tracks the record that one start reads and writes, to detect later changes by other processes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_startup_auth::{
    CredentialKey, CredentialRecord, CredentialStore, RecordLock, ReplaceOutcome, StoreError,
    StoreFuture,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

/// The longest wait for the lock of a record, which a refresh in another process holds.
pub(crate) const LOCK_LIMIT: Duration = Duration::from_secs(20);
/// The part of the remaining time of a start that it may wait for the lock. The rest is for the request that shows whether the
/// server requires the credential at all.
const LOCK_SHARE: f64 = 2.0 / 3.0;

/// The record that one start has read and written, for detecting later changes by other processes.
#[derive(Debug, Default)]
pub(crate) struct ObservedRecord(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    read: Read,
    /// The last record that the start wrote or tried to write. A refresh continues after its start ends.
    written: Option<CredentialRecord>,
}

#[derive(Debug, Default)]
pub(crate) enum Read {
    #[default]
    NotYet,
    Unreadable,
    Record(Option<CredentialRecord>),
}

impl ObservedRecord {
    pub fn has_read(&self, read: Read) {
        self.lock().read = read;
    }

    fn writes(&self, record: &CredentialRecord) {
        self.lock().written = Some(record.clone());
    }

    /// The last record that the start wrote or tried to write, if it has this access token.
    pub fn written(&self, access_token: &SecretString) -> Option<CredentialRecord> {
        let state = self.lock();
        let written = state.written.as_ref()?;
        let token = written.access_token()?.expose_secret();
        (token == access_token.expose_secret()).then(|| written.clone())
    }

    /// Whether the stored record is new to the start, which has neither read nor written it.
    pub fn is_news(&self, now: Option<&CredentialRecord>) -> bool {
        let mut state = self.lock();
        match &state.read {
            // The start ended before it read the record. Compare later records with this one.
            Read::NotYet => {
                state.read = Read::Record(now.cloned());
                false
            }
            // The start may have needed the record and could not read it.
            Read::Unreadable => true,
            Read::Record(read) if read.as_ref() == now => false,
            Read::Record(_) => match (&state.written, now) {
                // A store can return a record in another format.
                (Some(written), Some(now)) => !written.has_same_tokens(now),
                _ => true,
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store of a start's record. It notes each record that the start writes, before any other process can read it, and limits the
/// wait for the locks of the record and of the store.
#[derive(Debug)]
pub(crate) struct ObservingStore {
    pub store: Arc<dyn CredentialStore>,
    pub known: Arc<ObservedRecord>,
    /// When the start ends.
    pub deadline: Instant,
}

impl ObservingStore {
    fn lock_limit(&self) -> Duration {
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        remaining.mul_f64(LOCK_SHARE).min(LOCK_LIMIT)
    }
}

impl CredentialStore for ObservingStore {
    fn name(&self) -> &str {
        self.store.name()
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        self.store.load(key)
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        if let Some(new) = new {
            self.known.writes(new);
        }
        self.store.replace(key, expected, new)
    }

    fn replace_damaged<'a>(
        &'a self,
        key: &'a CredentialKey,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        if let Some(new) = new {
            self.known.writes(new);
        }
        self.store.replace_damaged(key, new)
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(async move {
            let locked = tokio::time::timeout(self.lock_limit(), self.store.lock(key));
            locked.await.unwrap_or_else(|_| {
                let holder = self.store.lock_holder(key);
                Err(StoreError::in_use(self.store.name(), holder))
            })
        })
    }

    fn lock_holder(&self, key: &CredentialKey) -> Option<u32> {
        self.store.lock_holder(key)
    }

    fn store_lock_holder(&self) -> Option<u32> {
        self.store.store_lock_holder()
    }

    fn retry(&self) {
        self.store.retry();
    }

    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let proved = tokio::time::timeout(self.lock_limit(), self.store.prove_writable(key));
            // The start itself holds the lock of the record, so another program holds the one of the whole store.
            proved.await.unwrap_or_else(|_| {
                let holder = self.store.store_lock_holder();
                Err(StoreError::in_use(self.store.name(), holder))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_startup_auth::MemoryStore;

    fn record(token: &str) -> CredentialRecord {
        CredentialRecord::parse(&format!(r#"{{"access_token":"{token}"}}"#)).unwrap()
    }

    #[test]
    fn a_record_stored_by_others_is_news_and_one_known_to_the_start_is_not() {
        let (old, new) = (record("old"), record("new"));
        let touched =
            CredentialRecord::parse(r#"{ "issuer": null, "access_token": "old" }"#).unwrap();
        let read = |record: Option<&CredentialRecord>| Read::Record(record.cloned());
        for (at, (was_read, now, expected)) in [
            (read(None), None, false),
            (read(None), Some(&new), true),
            (read(Some(&old)), Some(&old), false),
            (read(Some(&old)), Some(&touched), false),
            (read(Some(&old)), Some(&new), true),
            (read(Some(&old)), None, true),
            (Read::Unreadable, None, true),
            (Read::Unreadable, Some(&old), true),
            (Read::NotYet, Some(&old), false),
        ]
        .into_iter()
        .enumerate()
        {
            let known = ObservedRecord::default();
            known.has_read(was_read);
            assert_eq!(known.is_news(now), expected, "case {at}");
        }
        // A start that has not read the record compares with the first call.
        let known = ObservedRecord::default();
        assert!(!known.is_news(Some(&old)));
        assert!(!known.is_news(Some(&old)));
        assert!(known.is_news(Some(&new)));
    }

    #[tokio::test]
    async fn a_record_is_known_before_the_start_has_written_it() {
        let key = CredentialKey::new("server", "https://mcp.example/mcp");
        let known = Arc::new(ObservedRecord::default());
        known.has_read(Read::Record(Some(record("old"))));
        let store = ObservingStore {
            store: Arc::new(MemoryStore::default()),
            known: known.clone(),
            deadline: Instant::now() + Duration::from_secs(30),
        };
        let renewed = record("renewed");
        assert!(known.is_news(Some(&renewed)));
        let replacing = store.replace(&key, None, Some(&renewed));
        assert!(!known.is_news(Some(&renewed)));
        assert_eq!(replacing.await, Ok(ReplaceOutcome::Stored));
        assert_eq!(store.load(&key).await, Ok(Some(renewed)));
        assert!(!known.is_news(Some(&record("old"))));
        assert!(known.is_news(Some(&record("of another process"))));
        assert!(known.is_news(None));
    }

    /// A start must have time left for a request after the wait.
    #[tokio::test]
    async fn the_wait_for_the_lock_ends_before_the_start_does() {
        let key = CredentialKey::new("server", "https://mcp.example/mcp");
        let memory = MemoryStore::default();
        let _other_process = memory.lock(&key).await.unwrap();
        let start_limit = Duration::from_millis(300);
        let began = Instant::now();
        let store = ObservingStore {
            store: Arc::new(memory.clone()),
            known: Arc::default(),
            deadline: began + start_limit,
        };
        let error = store.lock(&key).await.unwrap_err();
        assert!(error.is_in_use(), "{error}");
        assert!(began.elapsed() < start_limit, "{:?}", began.elapsed());
        let long = ObservingStore {
            deadline: Instant::now() + Duration::from_secs(86_400),
            ..store
        };
        assert_eq!(long.lock_limit(), LOCK_LIMIT);
    }
}
