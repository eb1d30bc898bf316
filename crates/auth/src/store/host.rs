//! A store that a host implements with three calls over texts, for instance in another language.

mod lease;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_startup_core::CredentialStoreTrouble;
use secrecy::{ExposeSecret, SecretString};

pub use self::lease::{HostLease, HostLeaseState};
use crate::mask::Mask;
use crate::store::{CredentialKey, CredentialRecord, Expected};
use crate::store::{CredentialStore, RecordLock, ReplaceOutcome, StoreError, StoreFuture};

const NAME: &str = "host";
/// The time limit for a load or a replace. The caller of `lock` has the limit for a lock.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// How often a replace is tried again if the host's record changes between load and replace.
const ATTEMPTS: usize = 10;
/// The longest part of a host's error message that is shown, in characters.
const DETAIL_CHARS: usize = 200;

/// The calls that a host implements for its own store, in any language. [`HostStore`] makes a [`CredentialStore`] of them.
///
/// A key is the text of [`CredentialKey::as_str`]. A record is a JSON text.
///
/// # Rules for every call
///
/// * The host must store the JSON of a record without changing its fields.
/// * A call must fail if it cannot determine the state of the store. A failure must never mean that nothing is stored.
/// * An error must be a human-readable message without secrets.
/// * A `load` or `replace` must complete within 10 s. After that, [`HostStore`] reports an error.
/// * A call must not rely on being cancelled: every future runs to completion, even if the caller stops waiting.
pub trait HostRecords: fmt::Debug + Send + Sync + 'static {
    /// Returns the record under `key`. It must return `None` if nothing is stored there, and in no other case.
    fn load(&self, key: String) -> HostFuture<Option<SecretString>>;

    /// Compares the stored text with `expected` and, if they are equal, stores `new` under `key` and returns `true`. `None` means
    /// no record: a `new` of `None` deletes the record.
    ///
    /// `expected` can be equal to `new`, which proves that the host can write. It can be a text that is not a record, which is
    /// then replaced.
    ///
    /// * The comparison and the write must be atomic, among all processes that can access the same records.
    /// * It must compare with the text that [`load`](Self::load) returns.
    /// * It must return `true` only after the change is durable: a crash must not undo it.
    /// * If the texts differ, it must change nothing and return `false`.
    fn replace(
        &self,
        key: String,
        expected: Option<SecretString>,
        new: Option<SecretString>,
    ) -> HostFuture<bool>;

    /// Waits until the lock of `key` is free and takes it. Dropping the returned lock must release it.
    ///
    /// It may wait: [`HostStore`] stops waiting after a time limit, and then releases a lock that is granted later.
    ///
    /// * The lock must exclude every other task and process that can access the same record.
    /// * The lock must end when the process that holds it ends: at once, or at the latest when its lease ends.
    /// * The locks of different keys must be independent.
    fn lock(&self, key: String) -> HostFuture<HostLock>;
}

/// A lock that a host granted. Dropping it must release the lock.
pub enum HostLock {
    /// It is held until it is dropped.
    Held(Box<dyn Send + Sync>),
    /// It ends by itself unless it is renewed.
    Leased(Box<dyn HostLease>),
}

impl HostLock {
    /// Wraps a guard that holds the lock until it is dropped.
    pub fn held(guard: impl Send + Sync + 'static) -> Self {
        Self::Held(Box::new(guard))
    }
}

/// The future that the calls of [`HostRecords`] return.
pub type HostFuture<T> =
    std::pin::Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'static>>;

/// A [`CredentialStore`] over a host's [`HostRecords`].
#[derive(Clone, Debug)]
pub struct HostStore(Arc<dyn HostRecords>);

impl HostStore {
    /// Creates a store that makes these calls.
    pub fn new(records: impl HostRecords) -> Self {
        Self(Arc::new(records))
    }

    /// The stored text.
    async fn text(&self, key: &CredentialKey) -> Result<Option<SecretString>, StoreError> {
        call(self.0.load(key.as_str().to_owned()), &[]).await
    }

    async fn change(
        &self,
        key: &CredentialKey,
        expected: Expected,
        new: Option<&CredentialRecord>,
    ) -> Result<ReplaceOutcome, StoreError> {
        for _ in 0..ATTEMPTS {
            // Two records with the same meaning can have different texts, and the host compares texts.
            let text = self.text(key).await?;
            let stored = parse(text.as_ref());
            if !expected.is_met_by(&stored) {
                return stored.map(ReplaceOutcome::Conflict);
            }
            let replaced = self.0.replace(
                key.as_str().to_owned(),
                text,
                new.map(CredentialRecord::to_json),
            );
            let stored = stored.ok().flatten();
            if call(replaced, &[stored.as_ref(), new]).await? {
                return Ok(ReplaceOutcome::Stored);
            }
        }
        let (trouble, detail) = (
            CredentialStoreTrouble::Unreadable,
            "`replace` keeps reporting a conflict with the record that `load` returned",
        );
        Err(StoreError::new(NAME, trouble, detail))
    }
}

/// The record in a stored text.
fn parse(text: Option<&SecretString>) -> Result<Option<CredentialRecord>, StoreError> {
    let record = text.map(|text| CredentialRecord::parse(text.expose_secret()));
    record.transpose().map_err(|error| {
        let detail = format!("its record for this server is damaged: {error}");
        StoreError::new(NAME, CredentialStoreTrouble::Corrupt, detail)
    })
}

impl CredentialStore for HostStore {
    fn name(&self) -> &str {
        NAME
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async move { parse(self.text(key).await?.as_ref()) })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        let expected = Expected::Record(expected.cloned());
        Box::pin(self.change(key, expected, new))
    }

    fn replace_damaged<'a>(
        &'a self,
        key: &'a CredentialKey,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        Box::pin(self.change(key, Expected::Damaged, new))
    }

    /// Replaces the stored text with itself. The text may be that of a damaged record.
    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let text = self.text(key).await?;
            let stored = parse(text.as_ref()).ok().flatten();
            let replaced = self.0.replace(key.as_str().to_owned(), text.clone(), text);
            // A conflict also proves that the host can write: another process has just written.
            call(replaced, &[stored.as_ref()]).await.map(drop)
        })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(async move {
            let lock = self.0.lock(key.as_str().to_owned());
            // A separate task, so that a lock is released even if it is granted after the caller stopped waiting.
            let granted = tokio::spawn(lock).await;
            match granted.map_err(|error| StoreError::broken(NAME, &error))? {
                Ok(HostLock::Held(guard)) => Ok(RecordLock::new(guard)),
                Ok(HostLock::Leased(lease)) => lease::leased(lease.into(), key).await,
                Err(detail) => Err(host_error(&detail, &[])),
            }
        })
    }
}

/// The result of a call, within the time limit. Error messages show no secret of `records`.
async fn call<T: Send + 'static>(
    future: HostFuture<T>,
    records: &[Option<&CredentialRecord>],
) -> Result<T, StoreError> {
    // A separate task, so that the call runs to completion: no host can undo half a call.
    match tokio::time::timeout(CALL_LIMIT, tokio::spawn(future)).await {
        Ok(Ok(Ok(result))) => Ok(result),
        Ok(Ok(Err(detail))) => Err(host_error(&detail, records)),
        Ok(Err(error)) => Err(StoreError::broken(NAME, &error)),
        Err(_) => {
            let detail = format!("it did not respond within {} s", CALL_LIMIT.as_secs());
            let trouble = CredentialStoreTrouble::Unreadable;
            Err(StoreError::new(NAME, trouble, detail))
        }
    }
}

/// A store error with the host's message, in which the secrets of `records` are masked.
fn host_error(detail: &str, records: &[Option<&CredentialRecord>]) -> StoreError {
    let mut mask = Mask::default();
    for record in records.iter().flatten() {
        record.secrets().for_each(|secret| mask.add(secret));
    }
    let detail = mask.foreign(detail, DETAIL_CHARS);
    StoreError::new(NAME, CredentialStoreTrouble::Unreadable, detail)
}
