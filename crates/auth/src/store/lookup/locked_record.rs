//! A record whose lock this program holds: it saves and removes the record in the stores of one list.

use std::time::Duration;

use mcp_startup_core::CredentialStoreTrouble;

use super::{CredentialStores, FoundRecord, StoreErrors};
use crate::store::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, ReplaceOutcome, StoreError};

/// How often a change is tried again after a change by a program that takes no lock.
const ATTEMPTS: usize = 10;

/// A record whose lock is held, from [`CredentialStores::lock`]. Dropping it releases the lock.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use mcp_startup_auth::{CredentialKey, CredentialRecord, CredentialStores, MemoryStore};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let stores = CredentialStores::from_store(Arc::new(MemoryStore::default()));
/// let key = CredentialKey::new("linear", "https://mcp.linear.app/mcp");
/// stores.prove_writable(&key).await?;
/// let locked = stores.lock(&key, Duration::from_secs(10)).await?;
/// // Exchange the code for tokens here.
/// locked.save(&CredentialRecord::from_json(&json!({"access_token": "t"}))?).await?;
/// assert!(locked.find().await?.is_some());
/// assert!(locked.remove().await?);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct LockedRecord<'a> {
    stores: &'a CredentialStores,
    key: CredentialKey,
    lock: Option<RecordLock>,
}

impl<'a> LockedRecord<'a> {
    pub(super) fn new(
        stores: &'a CredentialStores,
        key: &CredentialKey,
        lock: Option<RecordLock>,
    ) -> Self {
        Self {
            stores,
            key: key.clone(),
            lock,
        }
    }

    /// Makes sure that the lock is held for at least this much longer. Call it before a step that can't be undone. See
    /// [`Lease`](crate::Lease).
    ///
    /// # Errors
    ///
    /// [`StoreError::lock_lost`] if it is not. [`save`](Self::save) is still allowed: granted tokens must be saved.
    pub fn check_held_for(&self, time: Duration) -> Result<(), StoreError> {
        match &self.lock {
            Some(lock) if !lock.is_held_for(time) => {
                let store = self.stores.stores.first();
                Err(StoreError::lock_lost(
                    store.map_or("store", |store| store.name()),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Finds the record, as [`CredentialStores::find`] does. A damaged record is an error;
    /// [`save`](Self::save) and [`remove`](Self::remove) still work.
    ///
    /// # Errors
    ///
    /// The errors of [`CredentialStores::find`].
    pub async fn find(&self) -> Result<Option<FoundRecord>, StoreError> {
        self.stores.find(&self.key).await
    }

    /// The record of each store that has one. A store that can't be read, or whose record is damaged, is left out.
    pub async fn stored(&self) -> Vec<CredentialRecord> {
        let mut stored = Vec::new();
        for store in &self.stores.stores {
            stored.extend(store.load(&self.key).await.ok().flatten());
        }
        stored
    }

    /// Saves the record of a new sign-in in the first store that accepts it, and replaces any earlier record, even a damaged one.
    /// Like Codex, it then removes the record from the stores after that one.
    ///
    /// The save counts only if the next search returns the new record. If a store that accepts no record still has an older one
    /// that a search would find first, the older one is removed.
    ///
    /// Returns the records that are no longer stored, also those that a program without the lock has just stored. Their tokens
    /// stay valid: see [`revoke_replaced`](crate::revoke_replaced).
    ///
    /// # Errors
    ///
    /// * The [`StoreError`] of the first store, if no store accepts the record.
    /// * The [`StoreError`] of the store with the older record, if that record can't be removed. The new record is then taken
    ///   back from the store that accepted it.
    pub async fn save(
        &self,
        record: &CredentialRecord,
    ) -> Result<Vec<CredentialRecord>, StoreError> {
        let (mut first_error, mut replaced) = (None, Vec::new());
        for (at, store) in self.stores.stores.iter().enumerate() {
            let before = match overwrite(&**store, &self.key, Some(record)).await {
                Ok(before) => before,
                Err(error) => {
                    first_error = first_error.or(Some(error));
                    continue;
                }
            };
            if let Err(mut error) = self.confirm(at, record, &mut replaced).await {
                if let Err(kept) = take_back(&**store, &self.key, record, before).await {
                    tracing::debug!(%kept, "can't take back a record that does not count");
                    let name = store.name();
                    error.detail += &format!("; the new sign-in is still in the store `{name}`");
                }
                return Err(error);
            }
            replaced.extend(before.into_record());
            for other in self.stores.stores.iter().skip(at + 1) {
                match overwrite(&**other, &self.key, None).await {
                    Ok(removed) => replaced.extend(removed.into_record()),
                    Err(error) => tracing::debug!(%error, "can't remove an older record"),
                }
            }
            return Ok(replaced);
        }
        Err(first_error.unwrap_or_else(|| self.stores.no_store()))
    }

    /// Removes the record from every store, even a damaged one. Returns whether a record was stored.
    ///
    /// # Errors
    ///
    /// The [`StoreError`] of the first store that fails. The record is removed from the other stores anyway.
    pub async fn remove(&self) -> Result<bool, StoreError> {
        let (mut removed, mut errors) = (false, StoreErrors::default());
        for store in &self.stores.stores {
            match overwrite(&**store, &self.key, None).await {
                Ok(before) => {
                    errors.store_worked();
                    removed |= !matches!(before, Stored::Nothing);
                }
                Err(error) => errors.add(error),
            }
        }
        match errors.first() {
            Some(error) => Err(error),
            None => self.stores.check_unreadable_store().map(|()| removed),
        }
    }

    /// Makes sure that a search returns `record`, which the store at the position `at` has just stored. Removes older records
    /// from the stores before it, and adds them to `replaced`.
    async fn confirm(
        &self,
        at: usize,
        record: &CredentialRecord,
        replaced: &mut Vec<CredentialRecord>,
    ) -> Result<(), StoreError> {
        let failed = |detail: &str| {
            let name = self.stores.stores[at].name();
            Err(StoreError::new(
                name,
                CredentialStoreTrouble::Unreadable,
                detail,
            ))
        };
        // Each round removes the record of one store, and the last one finds the new record.
        for _ in 0..=at {
            let Some((found_at, found)) = self.stores.find_with_position(&self.key).await? else {
                return failed("it does not return the record that it has just stored");
            };
            // A store may write a record in another form, so the tokens decide.
            let is_saved = found_at == at && found.record.has_same_tokens(record);
            if is_saved || found.record == *record {
                return Ok(());
            }
            if found_at >= at {
                return failed("another program has just replaced the record; sign in again");
            }
            let older = &*found.store;
            match overwrite(older, &self.key, None).await {
                Ok(removed) => replaced.extend(removed.into_record()),
                Err(error) => return Err(older_sign_in(older, &error)),
            }
        }
        failed("another program keeps changing the record")
    }
}

/// The error for a store that a search reads first, and in which an older record can be neither replaced nor removed.
pub(super) fn older_sign_in(store: &dyn CredentialStore, error: &StoreError) -> StoreError {
    // The user can't do more than wait.
    if error.is_in_use() {
        return error.clone();
    }
    let detail = format!(
        "it has an older sign-in for this server, which takes precedence and can't be replaced: {}; make this store writable, \
         or sign out with the program that stored it, and sign in again",
        error.detail
    );
    StoreError::new(store.name(), error.trouble, detail)
}

/// The content of a store under a key.
enum Stored {
    Nothing,
    Record(Box<CredentialRecord>),
    /// A record that can't be parsed.
    Damaged,
}

impl Stored {
    fn into_record(self) -> Option<CredentialRecord> {
        match self {
            Self::Record(record) => Some(*record),
            Self::Nothing | Self::Damaged => None,
        }
    }
}

impl From<Option<CredentialRecord>> for Stored {
    fn from(record: Option<CredentialRecord>) -> Self {
        record.map_or(Self::Nothing, |record| Self::Record(Box::new(record)))
    }
}

/// Replaces the stored record with `new`, or removes it. Returns the earlier content. The caller must hold the lock of the record, so
/// that no refresh runs at the same time.
async fn overwrite(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    new: Option<&CredentialRecord>,
) -> Result<Stored, StoreError> {
    let is_corrupt = |error: &StoreError| error.trouble == CredentialStoreTrouble::Corrupt;
    let mut stored = match store.load(key).await {
        Ok(record) => Stored::from(record),
        Err(error) if is_corrupt(&error) => Stored::Damaged,
        Err(error) => return Err(error),
    };
    // A program that does not take the lock can change the record at any time.
    for _ in 0..ATTEMPTS {
        let outcome = match &stored {
            Stored::Nothing if new.is_none() => return Ok(stored),
            Stored::Nothing => store.replace(key, None, new).await,
            Stored::Record(record) => store.replace(key, Some(record), new).await,
            Stored::Damaged => store.replace_damaged(key, new).await,
        };
        stored = match outcome {
            Ok(ReplaceOutcome::Stored) => return Ok(stored),
            Ok(ReplaceOutcome::Conflict(newer)) => newer.into(),
            Err(error) if is_corrupt(&error) && !matches!(stored, Stored::Damaged) => {
                Stored::Damaged
            }
            Err(error) => return Err(error),
        };
    }
    let detail = "another program keeps changing the record";
    Err(StoreError::new(
        store.name(),
        CredentialStoreTrouble::Unreadable,
        detail,
    ))
}

/// Puts back the content before `record`. A record of another program, stored since then, stays.
async fn take_back(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    record: &CredentialRecord,
    before: Stored,
) -> Result<(), StoreError> {
    let before = match &before {
        Stored::Record(before) => Some(&**before),
        // The text of a damaged record is lost. It had no use.
        Stored::Nothing | Stored::Damaged => None,
    };
    match store.load(key).await? {
        Some(found) if found.has_same_tokens(record) => {
            store.replace(key, Some(&found), before).await.map(drop)
        }
        _ => Ok(()),
    }
}
