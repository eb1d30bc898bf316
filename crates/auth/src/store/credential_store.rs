//! The contract of a credential store: the trait that every store implements, and its errors. It does not know the stores.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use mcp_startup_core::CredentialStoreTrouble;
use secrecy::SecretString;
use serde::Serialize;

use crate::store::{CredentialKey, CredentialRecord};

/// How the detail of an error begins if a lock was not released in time.
const IN_USE: &str = "in use by another";

/// The future that the methods of a [`CredentialStore`] return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The stream that [`CredentialStore::changes`] returns.
pub type ChangeStream = Pin<Box<dyn Stream<Item = ()> + Send>>;

/// How often records are read again in a store that can't notice changes.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// A stream that yields once a second.
pub(crate) fn every_second() -> ChangeStream {
    let ticks = futures::stream::repeat(()).then(|()| tokio::time::sleep(READ_AGAIN));
    Box::pin(ticks)
}

/// A place that stores records. A host can implement its own.
///
/// The refresh transaction relies on every rule below. A store that breaks a rule can lose a refresh token, and the user then
/// has to sign in again. The module `conformance` (feature `conformance`) tests a store against these rules.
///
/// # Rules for every method
///
/// * A method must return an error if it cannot determine the state of the store. An error must never mean that nothing is stored.
/// * An error must not contain any part of a stored record.
/// * A future must tolerate being dropped at any point. Dropping it must leave no partial change and no held lock.
/// * A `replace` that is dropped must take effect completely or not at all. It may take effect after the drop.
/// * A future must not block the thread that polls it.
/// * [`lock`](Self::lock) may wait indefinitely; the caller has a time limit and stops waiting by dropping the future. Every
///   other method must complete within seconds, and must return an error if the store does not respond or another program
///   keeps it busy.
/// * A store must keep every field of a record unchanged, including fields that this crate does not know.
/// * A method must not change the records under other keys or any other content of the store.
///
/// After [`replace`](Self::replace) returns an error, the new record may or may not be stored. The caller must call
/// [`load`](Self::load) to find out.
///
/// # Examples
///
/// ```
/// use mcp_startup_auth::{CredentialKey, CredentialRecord, CredentialStore, MemoryStore, ReplaceOutcome};
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
///     ReplaceOutcome::Stored => {}
///     ReplaceOutcome::Conflict(newer) => println!("another process stored {newer:?}"),
/// }
/// drop(guard);
/// assert_eq!(store.load(&key).await?, Some(record));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait CredentialStore: fmt::Debug + Send + Sync {
    /// The name of the store in messages and reports: `file`, `keyring`, … The default is `host`.
    fn name(&self) -> &str {
        "host"
    }

    /// Loads the record under `key`.
    ///
    /// * It must return `None` if nothing is stored under `key`, and in no other case.
    /// * It must see every `replace` that returned [`ReplaceOutcome::Stored`] before the call, in this process or another.
    /// * It must never return a partially written record.
    /// * It must not wait for the [`lock`](Self::lock) of the key.
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>>;

    /// Compares the stored record with `expected` and, if they are equal, stores `new` under `key`. `None` means no record:
    /// a `new` of `None` deletes the record.
    ///
    /// * The comparison and the write must be atomic: no other call of this method, in any task or process, may write between
    ///   them. If several concurrent calls expect the same record, exactly one must return [`ReplaceOutcome::Stored`].
    /// * It must return [`ReplaceOutcome::Stored`] only after the change is durable: a crash or a power failure must not undo
    ///   it.
    /// * If the stored record differs from `expected`, it must change nothing and return [`ReplaceOutcome::Conflict`] with the
    ///   stored record. If a caller repeats a call that failed, the stored record can equal `new`.
    /// * It must neither take nor wait for the [`lock`](Self::lock) of the key.
    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome>;

    /// Replaces or removes a damaged record: one that [`load`](Self::load) reports as
    /// [`Corrupt`](CredentialStoreTrouble::Corrupt), so that no `expected` can describe it.
    ///
    /// * The comparison is between the stored texts: if the text changes after it was found to be damaged, this must change
    ///   nothing. The rules of [`replace`](Self::replace) for atomicity, durability and locks apply.
    /// * If the stored record is not damaged, or there is none, it must change nothing and return
    ///   [`ReplaceOutcome::Conflict`] with the stored record.
    /// * If the damage is not limited to this record, it must change nothing and return an error.
    ///
    /// The default implementation is for a store that can't hold a damaged record: it returns the result of a load as a conflict
    /// or an error.
    fn replace_damaged<'a>(
        &'a self,
        key: &'a CredentialKey,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        let _ = new;
        Box::pin(async move { self.load(key).await.map(ReplaceOutcome::Conflict) })
    }

    /// Waits until the lock of `key` is free and takes it. Dropping the guard releases it.
    ///
    /// * The lock must exclude every other task and process that can access the same record.
    /// * A running holder must keep the lock until it drops the guard: a refresh holds it until the new record is stored.
    /// * The lock ends with the process, even if the process crashes or is killed: at once, or, if the store grants leases, at
    ///   the latest one lease later. The guard of a lease is a [`Lease`], which a store must renew while it is held, and which
    ///   can tell that it was lost.
    /// * The locks of different keys must be independent.
    /// * Dropping the future must leave the lock free, even if the lock was granted at that moment.
    ///
    /// The lock is not reentrant: a task that takes it twice waits forever.
    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock>;

    /// The ID of the process that holds the lock of `key`, if the store can find it without waiting. It is shown to the user.
    fn lock_holder(&self, key: &CredentialKey) -> Option<u32> {
        let _ = key;
        None
    }

    /// The ID of the process that holds the lock of the whole store, if it has such a lock and can find the process without waiting. It
    /// is shown to the user.
    fn store_lock_holder(&self) -> Option<u32> {
        None
    }

    /// Returns a stream that yields when a record may have changed, and never ends. A watch then reads the records of failed servers
    /// again.
    ///
    /// * It must yield within about a second after a sign-in by another process, unless that is not noticed because of a fault. It
    ///   must then yield within a minute.
    /// * It may yield without a change.
    ///
    /// The default implementation yields once a second.
    fn changes(&self) -> ChangeStream {
        every_second()
    }

    /// Warnings about the store for the user, such as permissions that let other users change it. Each is one human-readable
    /// sentence without a secret. Must return without waiting.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Ends a refusal that the store remembers, such as that of a locked keyring: the user has asked for a retry.
    fn retry(&self) {}

    /// Proves that a record of the usual size can be stored under `key`, by a write of that size.
    ///
    /// The refresh transaction calls this before it sends the refresh token. An authorization server that rotates refresh
    /// tokens invalidates the old token when it issues the new one, so a store that can't write must report it before that.
    ///
    /// * It must return an error if a `replace` would fail now. `Ok` does not guarantee that a later `replace` succeeds.
    /// * It must succeed if the stored record is damaged and [`replace_damaged`](Self::replace_damaged) can replace it.
    /// * It must leave the stored record unchanged, and must remove anything that it writes in addition.
    ///
    /// A sign-in calls this too, before it opens a browser, and there may be no record then.
    ///
    /// The default implementation replaces the stored record with itself, or no record with none. A store for which that proves
    /// little should implement this method.
    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let record = self.load(key).await?;
            // A conflict also proves that the store can write: another process has just written.
            self.replace(key, record.as_ref(), record.as_ref()).await?;
            Ok(())
        })
    }
}

/// Takes the lock of `key` within `limit`.
///
/// # Errors
///
/// [`StoreError::in_use`] if another holder does not release it in time, and the errors of [`CredentialStore::lock`].
pub(crate) async fn lock_within(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    limit: Duration,
) -> Result<RecordLock, StoreError> {
    match tokio::time::timeout(limit, store.lock(key)).await {
        Ok(locked) => locked,
        Err(_) => Err(StoreError::in_use(store.name(), store.lock_holder(key))),
    }
}

/// The outcome of a [`replace`](CredentialStore::replace).
#[derive(Clone, Debug, PartialEq)]
pub enum ReplaceOutcome {
    /// The stored record was the expected one. The change is durable.
    Stored,
    /// The stored record is not the expected one, and nothing was changed. The value is the stored record.
    Conflict(Option<CredentialRecord>),
}

/// A lock that ends by itself, at the latest one lease after its holder stopped. The store renews it while it is held.
/// Dropping it must release the lock.
///
/// A holder that is paused for longer than its lease loses the lock and can't prevent that. It must then send nothing that
/// can't be undone. It may still save what it has received, because [`replace`](CredentialStore::replace) never overwrites a
/// newer record.
pub trait Lease: Send + Sync {
    /// Whether the lock is held for at least this much longer, even if it is not renewed again. Must return without waiting,
    /// and must count the time from before the last renewal was requested.
    fn is_held_for(&self, time: Duration) -> bool;

    /// Renews the lease, and records that `refresh_token` is about to be sent, without storing the token itself. If the same
    /// token was recorded before and that attempt has not [ended](Self::end_attempt), this returns when, in ms since the Unix
    /// epoch: the token may have been used.
    ///
    /// * It must return an error, and record nothing, if the lock was lost.
    /// * The record must be durable, and must outlive the lock.
    fn begin_attempt<'a>(&'a self, refresh_token: &'a SecretString)
    -> StoreFuture<'a, Option<u64>>;

    /// Notes that the outcome of the attempt is known, so that the release of the lock removes its record. Must return without
    /// waiting.
    fn end_attempt(&self);
}

/// The lock of one record. Dropping it releases the lock.
#[must_use = "the lock is released when this is dropped"]
pub struct RecordLock(Guard);

enum Guard {
    /// It is held until it is dropped.
    Held(#[allow(dead_code, reason = "dropping it releases the lock")] Box<dyn Send + Sync>),
    Leased(Box<dyn Lease>),
}

impl RecordLock {
    /// Wraps the guard of a store whose locks end with the process. Dropping `guard` must release the lock.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self(Guard::Held(Box::new(guard)))
    }

    /// Wraps the guard of a store that grants leases.
    pub fn leased(lease: impl Lease + 'static) -> Self {
        Self(Guard::Leased(Box::new(lease)))
    }

    /// Whether the lock is held for at least this much longer. False if it was lost. See [`Lease::is_held_for`].
    pub fn is_held_for(&self, time: Duration) -> bool {
        match &self.0 {
            Guard::Held(_) => true,
            Guard::Leased(lease) => lease.is_held_for(time),
        }
    }

    /// Records that `refresh_token` is about to be sent, if the lock is a lease. See [`Lease::begin_attempt`].
    ///
    /// # Errors
    ///
    /// [`StoreError::lock_lost`] if the lock was lost, and any [`StoreError`] if the attempt can't be recorded.
    pub async fn begin_attempt(
        &self,
        refresh_token: &SecretString,
    ) -> Result<Option<u64>, StoreError> {
        match &self.0 {
            Guard::Held(_) => Ok(None),
            Guard::Leased(lease) => lease.begin_attempt(refresh_token).await,
        }
    }

    /// Notes that the outcome of the attempt is known. See [`Lease::end_attempt`].
    pub fn end_attempt(&self) {
        if let Guard::Leased(lease) = &self.0 {
            lease.end_attempt();
        }
    }
}

impl fmt::Debug for RecordLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordLock").finish_non_exhaustive()
    }
}

/// A store can't be read or written: it is locked, unreadable, not writable or corrupt, or this program does not support it. This
/// error never means that nothing is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("the credential store ({store}) can't be used: {detail}")]
pub struct StoreError {
    /// The name of the store: `file`, `keyring`, or another name from the configuration.
    pub store: String,
    /// The reason, as a stable value.
    pub trouble: CredentialStoreTrouble,
    /// A human-readable reason, without a capital letter and a full stop. It contains no part of a stored record.
    pub detail: String,
}

impl StoreError {
    /// Creates an error of the store named `store`. See [`detail`](Self::detail) for its form.
    pub fn new(store: &str, trouble: CredentialStoreTrouble, detail: impl Into<String>) -> Self {
        Self {
            store: store.to_owned(),
            trouble,
            detail: detail.into(),
        }
    }

    /// Creates the error for a lock that another program did not release in time. `holder` is the ID of its process, if known.
    pub fn in_use(store: &str, holder: Option<u32>) -> Self {
        let detail = match holder {
            Some(holder) if holder == std::process::id() => {
                format!("{IN_USE} task of this program (process {holder})")
            }
            Some(holder) => format!("{IN_USE} program (process {holder})"),
            None => format!("{IN_USE} program"),
        };
        Self::new(store, CredentialStoreTrouble::InUse, detail)
    }

    /// Creates the error for a lock that its holder lost before it sent anything: the holder was paused for longer than its
    /// lease, or could not reach the store to renew it.
    pub fn lock_lost(store: &str) -> Self {
        let detail = "the lock of the record ended while this program was paused or could not reach the store, so nothing was \
                      sent; try again";
        Self::new(store, CredentialStoreTrouble::InUse, detail)
    }

    /// Whether another program did not release a lock in time, and not, for instance, a keyring that the user has to unlock.
    pub fn is_in_use(&self) -> bool {
        self.trouble == CredentialStoreTrouble::InUse
    }

    /// Creates an error for a call that an internal error of this program ended, such as a task that panicked.
    pub fn broken(store: &str, error: &dyn std::error::Error) -> Self {
        Self::new(store, CredentialStoreTrouble::Unreadable, error.to_string())
    }
}
