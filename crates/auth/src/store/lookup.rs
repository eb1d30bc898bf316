//! The stores of one home in search order. It finds, locks, saves and removes a record across them; it never refreshes one.

mod locked_record;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mcp_startup_core::CredentialStoreTrouble;

pub use self::locked_record::LockedRecord;
use self::locked_record::older_sign_in;
use super::codex_encrypted;
use crate::store::FileStore;
#[cfg(feature = "keyring")]
use crate::store::KeyringStore;
use crate::store::{ChangeStream, CredentialStore, StoreError, every_second, lock_within};
use crate::store::{CredentialKey, CredentialRecord};

/// The time limit for the lock of a record, if the caller sets none.
pub const DEFAULT_LOCK_LIMIT: Duration = Duration::from_secs(10);

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

/// The stores of a user's records, in search order. All stores of a list share the lock of a record.
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
    /// Codex searches the same stores in the same order. If the home is empty because none is known, there is no store: nothing
    /// is found, and a sign-in can't be stored.
    pub fn new(home: &Path, selection: StoreSelection) -> Self {
        if home.as_os_str().is_empty() {
            return Self {
                stores: Vec::new(),
                unreadable: None,
            };
        }
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

    /// Returns the name of the store that is searched first; `None` if there is no store.
    pub fn first_name(&self) -> Option<&str> {
        self.stores.first().map(|store| store.name())
    }

    /// Finds the record under `key` in the first store that has one. Returns `None` if nothing is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if no readable store has a record and at least one store can't be read. That differs from an empty store:
    /// a locked store must not cause a first sign-in for a user who has already signed in. A store that does not exist
    /// ([`CredentialStoreTrouble::Absent`]) counts as an empty one, if there is another one.
    pub async fn find(&self, key: &CredentialKey) -> Result<Option<FoundRecord>, StoreError> {
        let found = self.find_with_position(key).await?;
        Ok(found.map(|(_, found)| found))
    }

    /// [`find`](Self::find) with the position of the store in the search order.
    async fn find_with_position(
        &self,
        key: &CredentialKey,
    ) -> Result<Option<(usize, FoundRecord)>, StoreError> {
        let mut errors = StoreErrors::default();
        for (at, store) in self.stores.iter().enumerate() {
            match store.load(key).await {
                Ok(Some(record)) => {
                    let store = store.clone();
                    return Ok(Some((at, FoundRecord { record, store })));
                }
                Ok(None) => errors.store_worked(),
                Err(error) => errors.add(error),
            }
        }
        match errors.first() {
            Some(error) => Err(error),
            None => self.check_unreadable_store().map(|()| None),
        }
    }

    /// Proves that [`save`](Self::save) for this key can succeed: at least one store takes a record of the usual size, and no
    /// store before it keeps an older record that a search would find first. A sign-in calls this before it opens a browser.
    ///
    /// This is an explicit action of the user, so a locked keyring may prompt again.
    ///
    /// # Errors
    ///
    /// The [`StoreError`] of the first store, if a save would fail.
    pub async fn prove_writable(&self, key: &CredentialKey) -> Result<(), StoreError> {
        let mut first_error = None;
        for store in &self.stores {
            store.retry();
            let Err(error) = store.prove_writable(key).await else {
                return Ok(());
            };
            if let Ok(Some(_)) = store.load(key).await {
                return Err(older_sign_in(&**store, &error));
            }
            first_error = first_error.or(Some(error));
        }
        Err(first_error.unwrap_or_else(|| self.no_store()))
    }

    /// Takes the lock of the record, which a refresh also takes. Dropping the result releases it.
    ///
    /// Take it before the step that can't be undone, such as the exchange of a code or a revocation.
    ///
    /// # Errors
    ///
    /// * [`CredentialStoreTrouble::InUse`] if another program holds the lock for longer than `limit`. The detail has the ID of
    ///   its process, if the system reveals it. See [`StoreError::is_in_use`].
    /// * Any other [`StoreError`] if the lock can't be taken.
    pub async fn lock(
        &self,
        key: &CredentialKey,
        limit: Duration,
    ) -> Result<LockedRecord<'_>, StoreError> {
        // All stores of a list share the lock of a record: a second attempt to take it would wait for the first.
        let lock = match self.stores.first() {
            Some(store) => Some(lock_within(&**store, key, limit).await?),
            None => None,
        };
        Ok(LockedRecord::new(self, key, lock))
    }

    /// Returns an error that names another program if one holds the lock of the record or of a whole store at this moment, and the
    /// system reveals it. Call it when a time limit is over, to tell the user what it was spent on.
    pub fn in_use(&self, key: &CredentialKey) -> Option<StoreError> {
        self.stores.iter().find_map(|store| {
            let holders = [store.lock_holder(key), store.store_lock_holder()];
            let mut holders = holders.into_iter().flatten();
            let holder = holders.find(|id| *id != std::process::id())?;
            Some(StoreError::in_use(store.name(), Some(holder)))
        })
    }

    /// Saves the record of a new sign-in under its lock; see [`LockedRecord::save`]. Waits at most [`DEFAULT_LOCK_LIMIT`] for the
    /// lock.
    ///
    /// # Errors
    ///
    /// The errors of [`lock`](Self::lock) and of [`LockedRecord::save`].
    pub async fn save(
        &self,
        key: &CredentialKey,
        record: &CredentialRecord,
    ) -> Result<(), StoreError> {
        let locked = self.lock(key, DEFAULT_LOCK_LIMIT).await?;
        locked.save(record).await.map(drop)
    }

    /// Removes the record from every store under its lock; see [`LockedRecord::remove`]. Waits at most [`DEFAULT_LOCK_LIMIT`] for
    /// the lock. If nothing is stored, it takes no lock.
    ///
    /// # Errors
    ///
    /// The errors of [`lock`](Self::lock) and of [`LockedRecord::remove`].
    pub async fn remove(&self, key: &CredentialKey) -> Result<bool, StoreError> {
        let mut is_stored = false;
        for store in &self.stores {
            is_stored |= match store.load(key).await {
                Ok(record) => record.is_some(),
                Err(error) => error.trouble != CredentialStoreTrouble::Absent,
            };
        }
        if !is_stored {
            return self.check_unreadable_store().map(|()| false);
        }
        self.lock(key, DEFAULT_LOCK_LIMIT).await?.remove().await
    }

    /// Ends the refusal that a store remembers: a locked keyring may prompt again. A host calls this when the user asks for a
    /// retry; [`prove_writable`](Self::prove_writable) calls it at the start of a sign-in.
    pub fn retry(&self) {
        self.stores.iter().for_each(|store| store.retry());
    }

    /// Returns a stream that yields when a record may have changed. See [`CredentialStore::changes`].
    pub fn changes(&self) -> ChangeStream {
        match self.stores.as_slice() {
            [store] => store.changes(),
            // Several stores are on this machine, where a read costs little.
            _ => every_second(),
        }
    }

    /// Warnings about the stores for the user, for instance that other users can change the credential file. Reads the metadata
    /// of that file and of the folders that contain it.
    pub fn warnings(&self) -> Vec<String> {
        self.stores
            .iter()
            .flat_map(|store| store.warnings())
            .collect()
    }

    fn no_store(&self) -> StoreError {
        let detail = "no folder for sign-ins is known; set HOME (on Windows, USERPROFILE) or CODEX_HOME to an absolute path";
        let none = StoreError::new("none", CredentialStoreTrouble::Unsupported, detail);
        self.check_unreadable_store().err().unwrap_or(none)
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

/// The errors of the stores of a list. A store that does not exist has no record, so it counts only if there is no other one.
#[derive(Default)]
struct StoreErrors {
    first: Option<StoreError>,
    absent: Option<StoreError>,
    has_worked: bool,
}

impl StoreErrors {
    fn store_worked(&mut self) {
        self.has_worked = true;
    }

    fn add(&mut self, error: StoreError) {
        match error.trouble {
            CredentialStoreTrouble::Absent => self.absent.get_or_insert(error),
            _ => self.first.get_or_insert(error),
        };
    }

    fn first(self) -> Option<StoreError> {
        self.first.or(self.absent.filter(|_| !self.has_worked))
    }
}

#[cfg(test)]
mod tests;
