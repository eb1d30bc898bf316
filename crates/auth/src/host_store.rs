//! A store that a host keeps in another language, where a record is a text.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_startup_core::CredentialStoreTrouble;
use secrecy::{ExposeSecret, SecretString};

use crate::mask::Mask;
use crate::record::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, Replaced, StoreError, StoreFuture};

const NAME: &str = "host";
/// How long the host may take to load or to replace a record. It may wait for a lock for as long as it takes.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How often a record that is changed between a look at it and the change is looked at again.
const ATTEMPTS: usize = 10;
/// How much of what a host says of an error is shown, in characters.
const DETAIL_CHARS: usize = 200;

/// What a host does for its own store, whatever language it is written in: the three calls of a [`CredentialStore`], over texts.
///
/// A key is [`CredentialKey::as_str`]; a record is JSON, which the host keeps as it is. An error is a sentence for a person.
/// Futures run to their end, whoever waits for them.
pub trait HostRecords: fmt::Debug + Send + Sync + 'static {
    /// The record under `key`; `None` where nothing is stored, and only there.
    fn load(&self, key: String) -> HostFuture<Option<SecretString>>;

    /// Stores `new` under `key`, or deletes what is there if `new` is `None`, if what is stored is the text `expected`. `false` where it
    /// is not, and then nothing is changed. Comparing and storing are one step; `true` means that no crash takes it away.
    fn replace(
        &self,
        key: String,
        expected: Option<SecretString>,
        new: Option<SecretString>,
    ) -> HostFuture<bool>;

    /// Waits until nobody else holds the lock of `key`, and holds it until what this returns is dropped: among all processes that
    /// reach the same records.
    fn lock(&self, key: String) -> HostFuture<Box<dyn Send + Sync>>;
}

/// What the calls of [`HostRecords`] return.
pub type HostFuture<T> =
    std::pin::Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'static>>;

/// A host's own store as a [`CredentialStore`].
#[derive(Clone, Debug)]
pub struct HostStore(Arc<dyn HostRecords>);

impl HostStore {
    /// The store that these calls make.
    pub fn new(records: impl HostRecords) -> Self {
        Self(Arc::new(records))
    }

    /// The text that is stored, and the record it is.
    async fn stored(
        &self,
        key: &CredentialKey,
    ) -> Result<Option<(SecretString, CredentialRecord)>, StoreError> {
        let loaded = answer(self.0.load(key.as_str().to_owned()), &[]).await?;
        let Some(text) = loaded else {
            return Ok(None);
        };
        match CredentialRecord::parse(text.expose_secret()) {
            Ok(record) => Ok(Some((text, record))),
            Err(error) => {
                let trouble = CredentialStoreTrouble::Corrupt;
                Err(StoreError::new(NAME, trouble, error.to_string()))
            }
        }
    }
}

impl CredentialStore for HostStore {
    fn name(&self) -> &str {
        NAME
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async move { Ok(self.stored(key).await?.map(|(_, record)| record)) })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, Replaced> {
        Box::pin(async move {
            for _ in 0..ATTEMPTS {
                // Records are equal by what they mean; the host compares the texts it has.
                let (text, record) = self.stored(key).await?.unzip();
                if record.as_ref() != expected {
                    return Ok(Replaced::Conflict(record));
                }
                let replaced = self.0.replace(
                    key.as_str().to_owned(),
                    text,
                    new.map(CredentialRecord::to_json),
                );
                if answer(replaced, &[expected, new]).await? {
                    return Ok(Replaced::Stored);
                }
            }
            let (trouble, detail) = (
                CredentialStoreTrouble::Unreadable,
                "it says that something else is stored than it loads",
            );
            Err(StoreError::new(NAME, trouble, detail))
        })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(async move {
            let lock = self.0.lock(key.as_str().to_owned());
            // On a task of its own: a lock that is granted when nobody waits for it any more must be given back.
            let granted = tokio::spawn(lock).await;
            match granted.map_err(|error| StoreError::broken(NAME, &error))? {
                Ok(guard) => Ok(RecordLock::new(guard)),
                Err(detail) => Err(refused(&detail, &[])),
            }
        })
    }
}

/// What the host answers, in time.
async fn answer<T: Send + 'static>(
    call: HostFuture<T>,
    records: &[Option<&CredentialRecord>],
) -> Result<T, StoreError> {
    // To its end, though nobody waits: half a call is nothing that a host could be asked to undo.
    match tokio::time::timeout(ANSWER_LIMIT, tokio::spawn(call)).await {
        Ok(Ok(Ok(answer))) => Ok(answer),
        Ok(Ok(Err(detail))) => Err(refused(&detail, records)),
        Ok(Err(error)) => Err(StoreError::broken(NAME, &error)),
        Err(_) => {
            let detail = format!("no answer within {} s", ANSWER_LIMIT.as_secs());
            let trouble = CredentialStoreTrouble::Unreadable;
            Err(StoreError::new(NAME, trouble, detail))
        }
    }
}

/// An error in the host's words, in which none of these records' secrets is shown.
fn refused(detail: &str, records: &[Option<&CredentialRecord>]) -> StoreError {
    let mut mask = Mask::default();
    for record in records.iter().flatten() {
        record.secrets().for_each(|secret| mask.add(secret));
    }
    let detail = mask.foreign(detail, DETAIL_CHARS);
    StoreError::new(NAME, CredentialStoreTrouble::Unreadable, detail)
}
