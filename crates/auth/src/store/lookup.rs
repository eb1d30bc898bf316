//! The stores of one home in search order. It finds, saves and removes a record across them; it never refreshes one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcp_startup_core::CredentialStoreTrouble;

use super::codex_encrypted;
use crate::store::FileStore;
#[cfg(feature = "keyring")]
use crate::store::KeyringStore;
use crate::store::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, ReplaceOutcome, StoreError};

/// How often a save is tried again after a change by a program that takes no lock.
const ATTEMPTS: usize = 10;

/// The store that the configuration selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreSelection {
    /// The system keyring, then the file `.credentials.json`.
    #[default]
    Auto,
    /// Only the file `.credentials.json`.
    File,
    /// Only the system keyring.
    Keyring,
    /// A store that this version does not support, by its name in the configuration.
    Unknown(String),
}

/// The stores of a user's records, in search order.
///
/// ```
/// use std::sync::Arc;
/// use mcp_startup_auth::{CredentialKey, CredentialStores, MemoryStore, StoreSelection};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let home = tempfile::tempdir()?;
/// let key = CredentialKey::new("linear", "https://mcp.linear.app/mcp");
/// let stores = CredentialStores::new(home.path(), StoreSelection::File);
/// assert!(stores.find(&key).await?.is_none());
///
/// std::fs::write(home.path().join(".credentials.json"), format!(r#"{{"{}": {{"access_token": "t"}}}}"#, key.as_str()))?;
/// let found = stores.find(&key).await?.unwrap();
/// assert!(found.record.access_token().is_some());
///
/// // A store of the host:
/// let stores = CredentialStores::from_store(Arc::new(MemoryStore::default()));
/// assert!(stores.find(&key).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CredentialStores {
    stores: Vec<Arc<dyn CredentialStore>>,
    unreadable: Option<UnreadableStore>,
}

/// A store that this program can't read, and that may have a record that the other stores lack.
#[derive(Clone, Debug)]
enum UnreadableStore {
    /// Codex's encrypted store, if this home has one. The path is the home.
    Encrypted(PathBuf),
    /// A store that this version does not support.
    Unsupported(String),
}

/// A record and the store that it was found in. A changed record must be written back to that store only.
#[derive(Clone, Debug)]
pub struct FoundRecord {
    /// The record.
    pub record: CredentialRecord,
    /// The store that contains it.
    pub store: Arc<dyn CredentialStore>,
}

impl CredentialStores {
    /// Creates the stores of one home, as the configuration selects them. The home is the folder of Codex's `config.toml`.
    /// Codex searches the same stores in the same order.
    pub fn new(home: &Path, selection: StoreSelection) -> Self {
        let file = || -> Arc<dyn CredentialStore> { Arc::new(FileStore::new(home)) };
        let encrypted = Some(UnreadableStore::Encrypted(home.to_owned()));
        let (stores, unreadable) = match selection {
            StoreSelection::File => (vec![file()], None),
            #[cfg(feature = "keyring")]
            StoreSelection::Auto => (vec![Arc::new(KeyringStore::new(home)), file()], encrypted),
            #[cfg(feature = "keyring")]
            StoreSelection::Keyring => (vec![Arc::new(KeyringStore::new(home)) as _], encrypted),
            #[cfg(not(feature = "keyring"))]
            StoreSelection::Auto => {
                let _ = encrypted;
                (
                    vec![file()],
                    Some(UnreadableStore::Unsupported("keyring".to_owned())),
                )
            }
            #[cfg(not(feature = "keyring"))]
            StoreSelection::Keyring => (
                Vec::new(),
                Some(UnreadableStore::Unsupported("keyring".to_owned())),
            ),
            StoreSelection::Unknown(name) => (Vec::new(), Some(UnreadableStore::Unsupported(name))),
        };
        Self { stores, unreadable }
    }

    /// Creates a list with one store, for instance a store of the host.
    pub fn from_store(store: Arc<dyn CredentialStore>) -> Self {
        Self {
            stores: vec![store],
            unreadable: None,
        }
    }

    /// Finds the record under `key` in the first store that has one. Returns `None` if nothing is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if no readable store has a record and at least one store can't be read. That differs from an empty store:
    /// a locked store must not cause a first sign-in for a user who has already signed in.
    pub async fn find(&self, key: &CredentialKey) -> Result<Option<FoundRecord>, StoreError> {
        let mut first_error = None;
        for store in &self.stores {
            match store.load(key).await {
                Ok(Some(record)) => {
                    let store = store.clone();
                    return Ok(Some(FoundRecord { record, store }));
                }
                Ok(None) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => self.check_unreadable_store().map(|()| None),
        }
    }

    /// Saves the record of a new sign-in in the first store that accepts it, and replaces any earlier record. Like Codex, it then
    /// removes the record from the stores after that one, so that a later search does not find an old record.
    ///
    /// # Errors
    ///
    /// The [`StoreError`] of the first store, if no store accepts the record.
    pub async fn save(
        &self,
        key: &CredentialKey,
        record: &CredentialRecord,
    ) -> Result<(), StoreError> {
        let mut first_error = None;
        for (at, store) in self.stores.iter().enumerate() {
            match overwrite(&**store, key, Some(record)).await {
                Ok(_) => {
                    for other in self.stores.iter().skip(at + 1) {
                        if let Err(error) = overwrite(&**other, key, None).await {
                            tracing::debug!(%error, "can't remove an older record");
                        }
                    }
                    return Ok(());
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let no_store = || {
            let detail = "no credential store is configured";
            StoreError::new("none", CredentialStoreTrouble::Unsupported, detail)
        };
        Err(match first_error {
            Some(error) => error,
            None => self.check_unreadable_store().err().unwrap_or_else(no_store),
        })
    }

    /// Removes the record under `key` from every store. Returns whether a record was stored.
    ///
    /// # Errors
    ///
    /// The [`StoreError`] of the first store that fails. The record is removed from the other stores anyway.
    pub async fn remove(&self, key: &CredentialKey) -> Result<bool, StoreError> {
        let (mut removed, mut first_error) = (false, None);
        for store in &self.stores {
            match overwrite(&**store, key, None).await {
                Ok(was_stored) => removed |= was_stored,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => self.check_unreadable_store().map(|()| removed),
        }
    }

    fn check_unreadable_store(&self) -> Result<(), StoreError> {
        match &self.unreadable {
            None => Ok(()),
            Some(UnreadableStore::Encrypted(home)) => codex_encrypted::refuse(home),
            Some(UnreadableStore::Unsupported(name)) => {
                let detail = "this program does not support this store";
                Err(StoreError::new(
                    name,
                    CredentialStoreTrouble::Unsupported,
                    detail,
                ))
            }
        }
    }
}

/// Replaces or removes the stored record under its lock, so that no refresh runs meanwhile. Returns whether a record was stored.
async fn overwrite(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    new: Option<&CredentialRecord>,
) -> Result<bool, StoreError> {
    let mut stored = store.load(key).await?;
    if stored.is_none() && new.is_none() {
        return Ok(false);
    }
    let _lock = store.lock(key).await?;
    // A program that does not take the lock can change the record at any time.
    for _ in 0..ATTEMPTS {
        match store.replace(key, stored.as_ref(), new).await? {
            ReplaceOutcome::Stored => return Ok(stored.is_some()),
            ReplaceOutcome::Conflict(newer) => stored = newer,
        }
    }
    let detail = "another program keeps changing the record";
    Err(StoreError::new(
        store.name(),
        CredentialStoreTrouble::Unreadable,
        detail,
    ))
}

#[cfg(test)]
mod tests;
