//! What a place where records are kept must do.

use std::fmt;
use std::pin::Pin;

use mcp_startup_core::CredentialStoreTrouble;
use serde::Serialize;

use crate::record::{CredentialKey, CredentialRecord};

/// What the methods of a [`CredentialStore`] return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A place where records are kept. A host can supply its own: whoever refreshes a credential relies on each sentence here,
/// and a store that keeps all but one of them signs its users out now and then.
///
/// **For every method:**
///
/// * An error never means "nothing stored", and none shows anything of what is stored. After an error of `replace` it is
///   open whether the record was stored: [`load`](Self::load) tells.
/// * A future may be dropped at any point. It then leaves nothing half done behind, and no lock. What a dropped `replace`
///   had begun may still come to pass, as a whole, or not at all.
/// * No future blocks the thread that polls it. Who waits for a lock may wait for ever, and gives up by dropping the future; all
///   else ends within seconds, by an error where the store does not answer.
/// * Records are kept whole: each field as it came, those that nobody here knows too. The records of other keys, and
///   whatever else the store holds, stay as they are.
///
/// [`FileStore`](crate::FileStore) and [`MemoryStore`](crate::MemoryStore) are two such stores:
///
/// ```
/// use mcp_startup_auth::{CredentialKey, CredentialRecord, CredentialStore, MemoryStore, Replaced};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = MemoryStore::default();
/// let key = CredentialKey::new("linear", "https://mcp.linear.app/mcp");
/// let record = CredentialRecord::from_json(&json!({"access_token": "t"}))?;
///
/// let guard = store.lock(&key).await?;
/// let loaded = store.load(&key).await?;
/// match store.replace(&key, loaded.as_ref(), Some(&record)).await? {
///     Replaced::Stored => {}
///     Replaced::Conflict(newer) => println!("somebody was faster: {newer:?}"),
/// }
/// drop(guard);
/// assert_eq!(store.load(&key).await?, Some(record));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait CredentialStore: fmt::Debug + Send + Sync {
    /// What a person calls it: `file`, `keyring`, …
    fn name(&self) -> &str {
        "host"
    }

    /// The record under `key`; `None` where nothing is stored, and only there.
    ///
    /// It sees every `replace` that returned [`Replaced::Stored`] before it was called, in this process or another, and
    /// never a part of one. It waits for no lock.
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>>;

    /// Stores `new` under `key`, or deletes what is there if `new` is `None`, if what is stored equals `expected`.
    ///
    /// * Comparing and storing are one step: nobody who goes through this method, in whatever task or process, can store
    ///   something between the two. Of many that expect the same, exactly one gets [`Replaced::Stored`].
    /// * [`Replaced::Stored`] is returned once the record is where a crash or a power failure can't take it away.
    /// * [`Replaced::Conflict`] is returned with what is stored instead of `expected`, and nothing is changed. A caller
    ///   that repeats itself after an error may find the very `new` there.
    /// * It does not ask for the [`lock`](Self::lock) of the key, and does not wait for one.
    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, Replaced>;

    /// Waits until nobody else holds the lock of `key`, and holds it until the guard is dropped.
    ///
    /// * It excludes every other task and process that can reach the same record, for as long as a refresh takes, and it
    ///   ends with the process that holds it, however that ends.
    /// * Locks of different keys have nothing to do with each other.
    /// * When the waiting future is dropped, the lock is not held: not even if it was granted at that moment.
    /// * It is not reentrant: a task that holds it and asks again waits for itself.
    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock>;

    /// Proves that a record of the usual size can be stored under `key`, by storing as much and taking it away again.
    ///
    /// It is called before a refresh is sent: an authorization server that rotates refresh tokens has made the old one
    /// worthless by the time the new one arrives, so a store that can't write must say so before. What is stored stays as
    /// it is. An `Ok` is no promise; an error means that a `replace` would fail now.
    ///
    /// Unless it is overridden, what is stored is written over by itself.
    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            // With nothing stored there is nothing to refresh; and who was faster has proved it.
            if let Some(record) = self.load(key).await? {
                self.replace(key, Some(&record), Some(&record)).await?;
            }
            Ok(())
        })
    }
}

/// What became of a [`replace`](CredentialStore::replace).
#[derive(Clone, Debug, PartialEq)]
pub enum Replaced {
    /// What was expected was there, and the new record is stored for good.
    Stored,
    /// Something else is stored: this. Nothing was changed.
    Conflict(Option<CredentialRecord>),
}

/// The lock of one record, held until this is dropped.
#[must_use = "the lock is released when this is dropped"]
pub struct RecordLock {
    _guard: Box<dyn Send + Sync>,
}

impl RecordLock {
    /// The lock that `guard` holds, and releases when it is dropped.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self {
            _guard: Box::new(guard),
        }
    }
}

impl fmt::Debug for RecordLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordLock").finish_non_exhaustive()
    }
}

/// What is stored can't be known or changed: the store is locked, unreadable, corrupt, can't be written, or is of a kind
/// that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("the credential store ({store}) can't be used: {detail}")]
pub struct StoreError {
    /// Which store: `file`, `keyring`, or as the configuration calls it.
    pub store: String,
    /// Why, as a stable value.
    pub trouble: CredentialStoreTrouble,
    /// Why, as the rest of a sentence; never anything of what is stored.
    pub detail: String,
}

impl StoreError {
    /// An error of the store called `store`: why, as a stable value, and as the rest of a sentence.
    pub fn new(store: &str, trouble: CredentialStoreTrouble, detail: impl Into<String>) -> Self {
        Self {
            store: store.to_owned(),
            trouble,
            detail: detail.into(),
        }
    }

    /// Reading broke off by an error of this program's own: nothing is known, and that is not "nothing stored".
    pub fn broken(store: &str, error: &dyn std::error::Error) -> Self {
        Self::new(store, CredentialStoreTrouble::Unreadable, error.to_string())
    }
}
