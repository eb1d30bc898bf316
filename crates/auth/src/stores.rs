//! The places where records are kept, in the order in which they are looked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcp_startup_core::CredentialStoreTrouble;

use crate::encrypted_store;
use crate::file_store::FileStore;
#[cfg(feature = "keyring")]
use crate::keyring_store::KeyringStore;
use crate::record::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, Replaced, StoreError};

/// How often a change by a program that takes no lock is written over before this gives up.
const ATTEMPTS: usize = 10;

/// Which store the configuration chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreSelection {
    /// The system's keyring, and the file where that has nothing.
    #[default]
    Auto,
    /// The file `.credentials.json`.
    File,
    /// The system's keyring alone.
    Keyring,
    /// A store that this version does not know, as the configuration calls it.
    Unknown(String),
}

/// Where a user's records are kept: one place, or several in an order.
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
/// // A host's own.
/// let stores = CredentialStores::of(Arc::new(MemoryStore::default()));
/// assert!(stores.find(&key).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CredentialStores {
    stores: Vec<Arc<dyn CredentialStore>>,
    unreadable: Option<Unreadable>,
}

/// A place that may have what none of the stores has, and that can't be read.
#[derive(Clone, Debug)]
enum Unreadable {
    /// Codex's encrypted store, if this home has one.
    Encrypted(PathBuf),
    /// A store that this version does not have.
    Unsupported(String),
}

/// A record, and the store that it was found in: there and nowhere else it is written again.
#[derive(Clone, Debug)]
pub struct FoundRecord {
    /// The record.
    pub record: CredentialRecord,
    /// Where it was found.
    pub store: Arc<dyn CredentialStore>,
}

impl CredentialStores {
    /// The stores of one home, the folder of Codex's `config.toml`, as the configuration selects them: Codex looks for a record
    /// in the same places and in the same order.
    pub fn new(home: &Path, selection: StoreSelection) -> Self {
        let file = || -> Arc<dyn CredentialStore> { Arc::new(FileStore::new(home)) };
        let encrypted = Some(Unreadable::Encrypted(home.to_owned()));
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
                    Some(Unreadable::Unsupported("keyring".to_owned())),
                )
            }
            #[cfg(not(feature = "keyring"))]
            StoreSelection::Keyring => (
                Vec::new(),
                Some(Unreadable::Unsupported("keyring".to_owned())),
            ),
            StoreSelection::Unknown(name) => (Vec::new(), Some(Unreadable::Unsupported(name))),
        };
        Self { stores, unreadable }
    }

    /// A host's own store, and no other.
    pub fn of(store: Arc<dyn CredentialStore>) -> Self {
        Self {
            stores: vec![store],
            unreadable: None,
        }
    }

    /// The record under `key`; `None` where nothing is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where that can't be known: none of the places that can be read has a record, and one can't be read. That
    /// is not "nothing stored": nobody who has signed in may be asked to sign in for the first time because a store was locked.
    pub async fn find(&self, key: &CredentialKey) -> Result<Option<FoundRecord>, StoreError> {
        let mut trouble = None;
        for store in &self.stores {
            match store.load(key).await {
                Ok(Some(record)) => {
                    let store = store.clone();
                    return Ok(Some(FoundRecord { record, store }));
                }
                Ok(None) => {}
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        match trouble {
            Some(error) => Err(error),
            None => self.look_at_the_unreadable().map(|()| None),
        }
    }

    /// Stores the record of a sign-in, whatever was there: in the first of the places that takes it. It is removed from the
    /// others, as Codex does, so that none of them is found one day in its stead.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the first place, where none has taken it.
    pub async fn save(
        &self,
        key: &CredentialKey,
        record: &CredentialRecord,
    ) -> Result<(), StoreError> {
        let mut trouble = None;
        for (at, store) in self.stores.iter().enumerate() {
            match put(&**store, key, Some(record)).await {
                Ok(_) => {
                    for other in self.stores.iter().skip(at + 1) {
                        if let Err(error) = put(&**other, key, None).await {
                            tracing::debug!(%error, "an older record stays");
                        }
                    }
                    return Ok(());
                }
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        let nowhere = || {
            let detail = "there is no place to store a sign-in in";
            StoreError::new("none", CredentialStoreTrouble::Unsupported, detail)
        };
        Err(match trouble {
            Some(error) => error,
            None => self.look_at_the_unreadable().err().unwrap_or_else(nowhere),
        })
    }

    /// Removes what is stored under `key`, everywhere. Returns whether anything was.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the first place where that can't be known or done; the others are cleared all the same.
    pub async fn remove(&self, key: &CredentialKey) -> Result<bool, StoreError> {
        let (mut removed, mut trouble) = (false, None);
        for store in &self.stores {
            match put(&**store, key, None).await {
                Ok(there_was) => removed |= there_was,
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        match trouble {
            Some(error) => Err(error),
            None => self.look_at_the_unreadable().map(|()| removed),
        }
    }

    fn look_at_the_unreadable(&self) -> Result<(), StoreError> {
        match &self.unreadable {
            None => Ok(()),
            Some(Unreadable::Encrypted(home)) => encrypted_store::refuse(home),
            Some(Unreadable::Unsupported(name)) => {
                let detail = "this program has no such store";
                Err(StoreError::new(
                    name,
                    CredentialStoreTrouble::Unsupported,
                    detail,
                ))
            }
        }
    }
}

/// Writes over whatever is stored, under the lock of the record: no refresh is under way then. Returns whether anything was
/// stored.
async fn put(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    new: Option<&CredentialRecord>,
) -> Result<bool, StoreError> {
    let mut stored = store.load(key).await?;
    if stored.is_none() && new.is_none() {
        return Ok(false);
    }
    let _lock = store.lock(key).await?;
    // Not every program takes the lock.
    for _ in 0..ATTEMPTS {
        match store.replace(key, stored.as_ref(), new).await? {
            Replaced::Stored => return Ok(stored.is_some()),
            Replaced::Conflict(newer) => stored = newer,
        }
    }
    let detail = "it is changed all the time by another program";
    Err(StoreError::new(
        store.name(),
        CredentialStoreTrouble::Unreadable,
        detail,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE_NAME: &str = ".credentials.json";
    const URL: &str = "https://mcp.example/mcp";

    fn key() -> CredentialKey {
        CredentialKey::new("server", URL)
    }

    fn find(
        home: &Path,
        selection: StoreSelection,
        key: &CredentialKey,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        let stores = CredentialStores::new(home, selection);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let found = runtime.unwrap().block_on(stores.find(key))?;
        Ok(found.map(|found| found.record))
    }

    fn with_file(
        content: &[u8],
        selection: StoreSelection,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(FILE_NAME), content).unwrap();
        find(home.path(), selection, &key())
    }

    #[test]
    fn a_damaged_file_is_an_error_and_never_nothing_stored() {
        let record_of = |value: &str| format!("{{\"{}\":{value}}}", key().as_str()).into_bytes();
        for (content, detail) in [
            (b"".to_vec(), "not valid JSON"),
            (b"{\"canary".to_vec(), "not valid JSON"),
            (b"canary".to_vec(), "not valid JSON"),
            (b"[]".to_vec(), "not a JSON object"),
            (record_of("\"canary\""), "damaged record"),
            (
                record_of("{\"access_token\": {\"canary\": 1}}"),
                "damaged record",
            ),
        ] {
            let error = with_file(&content, StoreSelection::File).unwrap_err();
            assert_eq!(error.trouble, CredentialStoreTrouble::Corrupt);
            assert!(error.detail.contains(detail), "{error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_record_is_found_under_its_own_name_and_url_alone() {
        let stored = |key: CredentialKey| {
            let content = format!("{{\"{}\":{{\"access_token\":\"t\"}}}}", key.as_str());
            with_file(content.as_bytes(), StoreSelection::File)
                .unwrap()
                .is_some()
        };
        assert!(stored(key()));
        assert!(!stored(CredentialKey::new(
            "server",
            "https://mcp.example/other"
        )));
        assert!(!stored(CredentialKey::new("other", URL)));
    }

    #[test]
    fn a_store_that_this_program_does_not_have_is_named() {
        let full = || format!("{{\"{}\":{{\"access_token\":\"t\"}}}}", key().as_str()).into_bytes();
        let unknown = StoreSelection::Unknown("vault".to_owned());
        let error = with_file(&full(), unknown).unwrap_err();
        assert_eq!(
            (error.trouble, error.store.as_str()),
            (CredentialStoreTrouble::Unsupported, "vault")
        );
        assert!(with_file(&full(), StoreSelection::File).unwrap().is_some());
        assert!(with_file(b"{}", StoreSelection::File).unwrap().is_none());
    }

    #[tokio::test]
    async fn the_first_store_that_has_a_record_counts_and_one_that_fails_only_where_none_has() {
        let record = |token: &str| {
            CredentialRecord::parse(&format!(r#"{{"access_token":"{token}"}}"#)).unwrap()
        };
        let empty = || -> Arc<dyn CredentialStore> { Arc::new(crate::MemoryStore::default()) };
        async fn full(record: CredentialRecord) -> Arc<dyn CredentialStore> {
            let store = crate::MemoryStore::default();
            let stored = store.replace(&key(), None, Some(&record)).await;
            assert_eq!(stored, Ok(crate::Replaced::Stored));
            Arc::new(store)
        }
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(FILE_NAME), "damaged").unwrap();
        let broken = || -> Arc<dyn CredentialStore> { Arc::new(FileStore::new(home.path())) };
        let cases = [
            (
                vec![full(record("a")).await, full(record("b")).await],
                Ok(Some("a")),
            ),
            (vec![empty(), full(record("b")).await], Ok(Some("b"))),
            (vec![broken(), full(record("b")).await], Ok(Some("b"))),
            (
                vec![broken(), empty()],
                Err(CredentialStoreTrouble::Corrupt),
            ),
            (vec![empty(), empty()], Ok(None)),
        ];
        for (at, (stores, wanted)) in cases.into_iter().enumerate() {
            let stores = CredentialStores {
                stores,
                unreadable: None,
            };
            let found = stores.find(&key()).await;
            let found = found
                .map(|found| found.map(|found| found.record))
                .map_err(|error| error.trouble);
            assert_eq!(found, wanted.map(|token| token.map(record)), "case {at}");
        }
    }

    #[tokio::test]
    async fn a_sign_in_is_stored_in_the_first_place_that_takes_it_and_removed_everywhere() {
        let record = |token: &str| {
            CredentialRecord::parse(&format!(r#"{{"access_token":"{token}"}}"#)).unwrap()
        };
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(FILE_NAME), "damaged").unwrap();
        let broken = Arc::new(FileStore::new(home.path()));
        let (one, two) = (
            Arc::new(crate::MemoryStore::default()),
            Arc::new(crate::MemoryStore::default()),
        );
        let stores = |stores: Vec<Arc<dyn CredentialStore>>| CredentialStores {
            stores,
            unreadable: None,
        };
        let loaded = async |store: &crate::MemoryStore| store.load(&key()).await.unwrap();

        two.replace(&key(), None, Some(&record("older")))
            .await
            .unwrap();
        let both = stores(vec![one.clone(), two.clone()]);
        both.save(&key(), &record("new")).await.unwrap();
        assert_eq!(
            (loaded(&one).await, loaded(&two).await),
            (Some(record("new")), None)
        );
        both.save(&key(), &record("newer")).await.unwrap();
        assert_eq!(loaded(&one).await, Some(record("newer")));

        let with_broken = stores(vec![broken.clone(), two.clone()]);
        with_broken.save(&key(), &record("second")).await.unwrap();
        assert_eq!(loaded(&two).await, Some(record("second")));
        let error = with_broken.remove(&key()).await.unwrap_err();
        assert_eq!(error.trouble, CredentialStoreTrouble::Corrupt);
        assert_eq!(loaded(&two).await, None);
        assert!(
            stores(vec![broken.clone()])
                .save(&key(), &record("x"))
                .await
                .is_err()
        );
        assert_eq!(
            std::fs::read_to_string(home.path().join(FILE_NAME)).unwrap(),
            "damaged"
        );

        assert_eq!(both.remove(&key()).await, Ok(true));
        assert_eq!(both.remove(&key()).await, Ok(false));
        assert!(stores(Vec::new()).save(&key(), &record("x")).await.is_err());
    }

    #[test]
    fn an_encrypted_store_is_named_where_there_is_one_and_the_others_have_nothing() {
        let home = tempfile::tempdir().unwrap();
        let stores = |selection| CredentialStores {
            stores: vec![Arc::new(FileStore::new(home.path()))],
            ..CredentialStores::new(home.path(), selection)
        };
        let find = |selection| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(stores(selection).find(&key()))
        };
        let selections = || [StoreSelection::Auto, StoreSelection::Keyring];
        if cfg!(feature = "keyring") {
            assert!(
                selections()
                    .into_iter()
                    .all(|selection| find(selection).unwrap().is_none())
            );
        }
        std::fs::create_dir(home.path().join("secrets")).unwrap();
        std::fs::write(
            home.path().join("secrets/mcp_oauth.age"),
            "age-encryption.org/v1",
        )
        .unwrap();
        for selection in selections() {
            let error = find(selection).unwrap_err();
            assert_eq!(error.trouble, CredentialStoreTrouble::Unsupported);
            #[cfg(feature = "keyring")]
            assert_eq!(error.store, "secrets");
        }
        assert!(find(StoreSelection::File).unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_and_a_folder_are_not_read() {
        let home = tempfile::tempdir().unwrap();
        let found = || find(home.path(), StoreSelection::File, &key());
        let file = home.path().join(FILE_NAME);
        std::fs::create_dir(&file).unwrap();
        assert_eq!(
            found().unwrap_err().trouble,
            CredentialStoreTrouble::Unreadable
        );
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(home.path().join("elsewhere"), "{}").unwrap();
        std::os::unix::fs::symlink(home.path().join("elsewhere"), &file).unwrap();
        assert_eq!(
            found().unwrap_err().trouble,
            CredentialStoreTrouble::Unreadable
        );
    }
}
