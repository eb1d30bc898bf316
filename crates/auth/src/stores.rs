//! The places where records are kept.

use std::path::Path;
use std::sync::Arc;

use mcp_startup_core::CredentialStoreTrouble;

use crate::file_store::FileStore;
use crate::record::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, StoreError};

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

/// The stores of one home: the folder of Codex's `config.toml`, with `.credentials.json` in it.
#[derive(Clone, Debug)]
pub struct CredentialStores {
    file: FileStore,
    selection: StoreSelection,
}

impl CredentialStores {
    /// The stores in the folder `home`, as the configuration selects them.
    pub fn new(home: &Path, selection: StoreSelection) -> Self {
        Self {
            file: FileStore::new(home),
            selection,
        }
    }

    /// Where a record that was found can be written again.
    pub fn writable(&self) -> Arc<dyn CredentialStore> {
        Arc::new(self.file.clone())
    }

    /// The record under `key`; `None` where nothing is stored. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where that can't be known. That is not "nothing stored": nobody who has signed in may be asked to sign
    /// in for the first time because a store was locked.
    ///
    /// ```
    /// use mcp_startup_auth::{CredentialKey, CredentialStores, StoreSelection};
    ///
    /// let home = tempfile::tempdir()?;
    /// let key = CredentialKey::new("linear", "https://mcp.linear.app/mcp");
    /// let stores = CredentialStores::new(home.path(), StoreSelection::File);
    /// assert!(stores.load(&key)?.is_none());
    ///
    /// std::fs::write(home.path().join(".credentials.json"), format!(r#"{{"{}": {{"access_token": "t"}}}}"#, key.as_str()))?;
    /// assert!(stores.load(&key)?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(&self, key: &CredentialKey) -> Result<Option<CredentialRecord>, StoreError> {
        match &self.selection {
            StoreSelection::File => self.file.load_blocking(key),
            StoreSelection::Auto => match self.file.load_blocking(key)? {
                Some(record) => Ok(Some(record)),
                None => Err(unsupported("keyring")),
            },
            StoreSelection::Keyring => Err(unsupported("keyring")),
            StoreSelection::Unknown(name) => Err(unsupported(name)),
        }
    }
}

fn unsupported(store: &str) -> StoreError {
    StoreError {
        store: store.to_owned(),
        trouble: CredentialStoreTrouble::Unsupported,
        detail: "this version reads the file store alone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE_NAME: &str = ".credentials.json";
    const URL: &str = "https://mcp.example/mcp";

    fn key() -> CredentialKey {
        CredentialKey::new("server", URL)
    }

    fn with_file(
        content: &[u8],
        selection: StoreSelection,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(FILE_NAME), content).unwrap();
        CredentialStores::new(home.path(), selection).load(&key())
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
    fn a_store_that_cannot_be_read_yet_is_named_unless_the_file_has_the_record() {
        let empty = || b"{}".to_vec();
        let full = || format!("{{\"{}\":{{\"access_token\":\"t\"}}}}", key().as_str()).into_bytes();
        let unknown = StoreSelection::Unknown("vault".to_owned());
        for (selection, content, wanted) in [
            (StoreSelection::Auto, full(), Ok(true)),
            (StoreSelection::Auto, empty(), Err("keyring")),
            (StoreSelection::File, empty(), Ok(false)),
            (StoreSelection::Keyring, full(), Err("keyring")),
            (unknown, full(), Err("vault")),
        ] {
            let got = with_file(&content, selection.clone());
            match (got, wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found.is_some(), wanted, "{selection:?}"),
                (Err(error), Err(store)) => {
                    assert_eq!(
                        (error.trouble, error.store.as_str()),
                        (CredentialStoreTrouble::Unsupported, store)
                    );
                }
                (got, wanted) => panic!("{selection:?}: {got:?}, wanted {wanted:?}"),
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_and_a_folder_are_not_read() {
        let home = tempfile::tempdir().unwrap();
        let stores = CredentialStores::new(home.path(), StoreSelection::File);
        let file = home.path().join(FILE_NAME);
        std::fs::create_dir(&file).unwrap();
        assert_eq!(
            stores.load(&key()).unwrap_err().trouble,
            CredentialStoreTrouble::Unreadable
        );
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(home.path().join("elsewhere"), "{}").unwrap();
        std::os::unix::fs::symlink(home.path().join("elsewhere"), &file).unwrap();
        assert_eq!(
            stores.load(&key()).unwrap_err().trouble,
            CredentialStoreTrouble::Unreadable
        );
    }
}
