use super::*;
use crate::store::{RecordLock, ReplaceOutcome, StoreFuture};

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
fn a_damaged_file_is_an_error_and_not_an_empty_store() {
    let record_of = |value: &str| format!("{{\"{}\":{value}}}", key().as_str()).into_bytes();
    for (content, detail) in [
        (b"".to_vec(), "is empty"),
        (b" \r\n".to_vec(), "is empty"),
        (vec![0; 100], "is empty"),
        (b"\xef\xbb\xbf{}".to_vec(), "byte order mark"),
        (b"\xff\xfe{\0}\0".to_vec(), "UTF-16"),
        (b"\xfe\xff\0{\0}".to_vec(), "UTF-16"),
        (b"{\0}\0".to_vec(), "UTF-16"),
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
fn a_record_is_found_only_under_its_name_and_url() {
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
fn the_error_names_an_unsupported_store() {
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
async fn the_first_record_is_found_and_an_error_counts_only_if_no_store_has_one() {
    let record =
        |token: &str| CredentialRecord::parse(&format!(r#"{{"access_token":"{token}"}}"#)).unwrap();
    let empty = || -> Arc<dyn CredentialStore> { Arc::new(crate::MemoryStore::default()) };
    async fn full(record: CredentialRecord) -> Arc<dyn CredentialStore> {
        let store = crate::MemoryStore::default();
        let stored = store.replace(&key(), None, Some(&record)).await;
        assert_eq!(stored, Ok(crate::ReplaceOutcome::Stored));
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
    for (at, (stores, expected)) in cases.into_iter().enumerate() {
        let stores = CredentialStores {
            stores,
            unreadable: None,
        };
        let found = stores.find(&key()).await;
        let found = found
            .map(|found| found.map(|found| found.record))
            .map_err(|error| error.trouble);
        assert_eq!(found, expected.map(|token| token.map(record)), "case {at}");
    }
}

#[tokio::test]
async fn a_sign_in_is_saved_in_the_first_store_that_accepts_it_and_removed_from_all() {
    let record =
        |token: &str| CredentialRecord::parse(&format!(r#"{{"access_token":"{token}"}}"#)).unwrap();
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
fn an_encrypted_store_is_reported_if_the_other_stores_are_empty() {
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
fn a_symbolic_link_or_a_folder_is_not_read() {
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

/// A store that a test can make fail. Its records survive a failure.
#[derive(Debug, Default)]
struct Faulty {
    inner: crate::MemoryStore,
    /// Storing a record fails.
    is_full: bool,
    /// Removing a record fails too.
    is_read_only: bool,
    /// A load fails.
    is_unreadable: std::sync::atomic::AtomicBool,
    /// Every operation fails, because the store does not exist.
    is_absent: bool,
}

impl Faulty {
    fn full() -> Self {
        Self {
            is_full: true,
            ..Self::default()
        }
    }

    fn absent() -> Arc<Self> {
        Arc::new(Self {
            is_absent: true,
            ..Self::full()
        })
    }

    fn read_only() -> Self {
        Self {
            is_read_only: true,
            ..Self::full()
        }
    }

    async fn with(self, token: &str) -> Arc<Self> {
        let stored = self.inner.replace(&key(), None, Some(&record(token))).await;
        assert_eq!(stored, Ok(ReplaceOutcome::Stored));
        Arc::new(self)
    }

    async fn token(&self) -> Option<CredentialRecord> {
        self.inner.load(&key()).await.unwrap()
    }
}

impl CredentialStore for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        if self.is_absent {
            let trouble = CredentialStoreTrouble::Absent;
            let error = StoreError::new("faulty", trouble, "there is none");
            return Box::pin(async { Err(error) });
        }
        if self.is_unreadable.load(std::sync::atomic::Ordering::SeqCst) {
            let error = StoreError::new("faulty", CredentialStoreTrouble::Locked, "it is locked");
            return Box::pin(async { Err(error) });
        }
        self.inner.load(key)
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        let fails = if new.is_some() {
            self.is_full
        } else {
            self.is_read_only
        };
        if fails {
            let trouble = CredentialStoreTrouble::Unreadable;
            let error = StoreError::new("faulty", trouble, "no space is left");
            return Box::pin(async { Err(error) });
        }
        self.inner.replace(key, expected, new)
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        self.inner.lock(key)
    }
}

fn record(token: &str) -> CredentialRecord {
    CredentialRecord::parse(&format!(r#"{{"access_token":"{token}"}}"#)).unwrap()
}

fn list(stores: &[Arc<Faulty>]) -> CredentialStores {
    CredentialStores {
        stores: stores.iter().map(|store| store.clone() as _).collect(),
        unreadable: None,
    }
}

#[tokio::test]
async fn a_saved_record_is_the_one_that_a_search_returns_or_the_save_fails() {
    let new = record("new");
    let found = async |stores: &CredentialStores| {
        let found = stores.find(&key()).await.unwrap();
        found.map(|found| found.record)
    };

    // The older record can be removed: it no longer takes precedence.
    let first = Faulty::full().with("old").await;
    let second = Arc::new(Faulty::default());
    let stores = list(&[first.clone(), second.clone()]);
    assert_eq!(stores.save(&key(), &new).await, Ok(()));
    assert_eq!(found(&stores).await, Some(new.clone()));
    assert_eq!(
        (first.token().await, second.token().await),
        (None, Some(new.clone()))
    );

    // The older record can't be removed: the new one is taken back, and the error names the store.
    for before in [None, Some("before")] {
        let first = Faulty::read_only().with("old").await;
        let second = match before {
            Some(before) => Faulty::default().with(before).await,
            None => Arc::new(Faulty::default()),
        };
        let third = Faulty::default().with("third").await;
        let stores = list(&[first.clone(), second.clone(), third.clone()]);
        let error = stores.save(&key(), &new).await.unwrap_err();
        assert_eq!(error.store, "faulty");
        for part in ["older sign-in", "no space is left", "sign in again"] {
            assert!(error.detail.contains(part), "{error}");
        }
        assert_eq!(first.token().await, Some(record("old")));
        assert_eq!(second.token().await, before.map(record));
        assert_eq!(third.token().await, Some(record("third")));
        // A sign-in learns it before it opens a browser.
        assert_eq!(stores.prove_writable(&key()).await, Err(error));
    }

    // A store that can be neither read nor written does not count.
    let first = Faulty::read_only().with("old").await;
    first
        .is_unreadable
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let second = Arc::new(Faulty::default());
    let stores = list(&[first, second]);
    assert_eq!(stores.prove_writable(&key()).await, Ok(()));
    assert_eq!(stores.save(&key(), &new).await, Ok(()));
    assert_eq!(found(&stores).await, Some(new.clone()));

    // The record that is already stored there needs no change.
    let first = Faulty::read_only().with("new").await;
    let second = Arc::new(Faulty::default());
    let stores = list(&[first, second]);
    assert_eq!(stores.save(&key(), &new).await, Ok(()));
    assert_eq!(found(&stores).await, Some(new));
}

#[tokio::test]
async fn nothing_is_stored_in_a_store_that_does_not_exist() {
    let second = Faulty::default().with("old").await;
    let stores = list(&[Faulty::absent(), second.clone()]);
    let found = stores.find(&key()).await.unwrap();
    assert_eq!(found.map(|found| found.record), Some(record("old")));
    assert_eq!(stores.remove(&key()).await, Ok(true));
    assert_eq!(second.token().await, None);
    assert!(stores.find(&key()).await.unwrap().is_none());
    assert_eq!(stores.remove(&key()).await, Ok(false));
    assert_eq!(stores.prove_writable(&key()).await, Ok(()));
    assert_eq!(stores.save(&key(), &record("new")).await, Ok(()));
    assert_eq!(second.token().await, Some(record("new")));

    // The trouble of the other store is the cause.
    let unreadable = Faulty::default();
    let is_unreadable = &unreadable.is_unreadable;
    is_unreadable.store(true, std::sync::atomic::Ordering::SeqCst);
    let stores = list(&[Faulty::absent(), Arc::new(unreadable)]);
    let error = stores.find(&key()).await.unwrap_err();
    assert_eq!(error.trouble, CredentialStoreTrouble::Locked);

    // Without another store, no sign-in could be stored.
    let stores = list(&[Faulty::absent()]);
    let error = stores.find(&key()).await.unwrap_err();
    assert_eq!(error.trouble, CredentialStoreTrouble::Absent);
    assert!(stores.prove_writable(&key()).await.is_err());
}

#[tokio::test]
async fn a_save_is_proved_to_succeed_only_if_it_would() {
    let prove = async |stores: &[Arc<Faulty>]| list(stores).prove_writable(&key()).await.is_ok();
    let (good, full) = (
        || Arc::new(Faulty::default()),
        || Arc::new(Faulty::read_only()),
    );
    assert!(prove(&[good()]).await);
    assert!(!prove(&[full()]).await);
    assert!(prove(&[full(), good()]).await);
    assert!(!prove(&[full(), full()]).await);
    assert!(prove(&[good(), Faulty::read_only().with("old").await]).await);
    assert!(!prove(&[]).await);
}

#[tokio::test]
async fn a_damaged_record_is_replaced_and_removed_and_the_others_stay() {
    let other = CredentialKey::new("other", URL);
    let kept = format!(
        r#""{}": {{ "access_token":"kept" , "x":1.50}}"#,
        other.as_str()
    );
    for damaged in [
        "7",
        "[]",
        "\"text\"",
        r#"{"access_token":{"x":1}}"#,
        r#"{"expires_at":"soon"}"#,
    ] {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(FILE_NAME);
        let content = format!(r#"{{{kept},"{}":{damaged},"version":3}}"#, key().as_str());
        let stores = CredentialStores::new(home.path(), StoreSelection::File);
        let content_now = || std::fs::read_to_string(&file).unwrap();
        let has_others = || {
            let text = content_now();
            text.contains(r#"{ "access_token":"kept" , "x":1.50}"#)
                && text.contains("\"version\": 3")
        };

        std::fs::write(&file, &content).unwrap();
        let error = stores.find(&key()).await.unwrap_err();
        assert_eq!(error.trouble, CredentialStoreTrouble::Corrupt);
        assert_eq!(stores.prove_writable(&key()).await, Ok(()));
        assert_eq!(content_now(), content);
        assert_eq!(
            stores.save(&key(), &record("new")).await,
            Ok(()),
            "{damaged}"
        );
        let found = stores.find(&key()).await.unwrap().unwrap();
        assert_eq!(found.record, record("new"));
        assert!(has_others(), "{}", content_now());

        std::fs::write(&file, &content).unwrap();
        assert_eq!(stores.remove(&key()).await, Ok(true), "{damaged}");
        assert!(stores.find(&key()).await.unwrap().is_none());
        assert!(has_others(), "{}", content_now());
    }
    // Damage of the whole file is reported, and nothing is written.
    for damaged in ["", "{", "[]", "{\"a\":1"] {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(FILE_NAME), damaged).unwrap();
        let stores = CredentialStores::new(home.path(), StoreSelection::File);
        for result in [
            stores.prove_writable(&key()).await,
            stores.save(&key(), &record("new")).await,
            stores.remove(&key()).await.map(drop),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.trouble, CredentialStoreTrouble::Corrupt);
            for advice in ["move", "delete", "remove", "rename"] {
                assert!(!error.detail.contains(advice), "{error}");
            }
        }
        let content = std::fs::read_to_string(home.path().join(FILE_NAME)).unwrap();
        assert_eq!(content, damaged);
    }
}

#[tokio::test]
async fn the_lock_of_a_record_has_a_time_limit_and_is_taken_once_for_all_stores() {
    let (home, key) = (tempfile::tempdir().unwrap(), key());
    let stores = CredentialStores::new(home.path(), StoreSelection::Auto);
    let short = Duration::from_millis(100);
    let locked = stores.lock(&key, short).await.unwrap();
    let began = std::time::Instant::now();
    let refused = tokio::time::timeout(Duration::from_secs(30), stores.lock(&key, short)).await;
    let error = refused.unwrap().unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(error.is_in_use(), "{error}");
    // Another record is free.
    let other = CredentialKey::new("other", URL);
    drop(stores.lock(&other, short).await.unwrap());
    drop(locked);
    drop(stores.lock(&key, DEFAULT_LOCK_LIMIT).await.unwrap());

    // A lock that is granted after the time limit is released.
    let memory = Arc::new(crate::MemoryStore::default());
    let stores = CredentialStores::from_store(memory.clone());
    let guard = memory.lock(&key).await.unwrap();
    assert!(stores.lock(&key, short).await.unwrap_err().is_in_use());
    drop(guard);
    let locked = stores.lock(&key, DEFAULT_LOCK_LIMIT).await.unwrap();
    assert_eq!(locked.save(&record("new")).await.map(drop), Ok(()));
    assert_eq!(locked.find().await.unwrap().unwrap().record, record("new"));
    assert_eq!(locked.remove().await, Ok(true));
    assert_eq!(locked.remove().await, Ok(false));
}

#[cfg(unix)]
#[test]
fn the_file_store_warns_about_its_permissions() {
    use std::os::unix::fs::PermissionsExt;

    let home = tempfile::tempdir().unwrap();
    let warnings = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(home.path(), permissions).unwrap();
        CredentialStores::new(home.path(), StoreSelection::File).warnings()
    };
    assert_eq!(warnings(0o700), Vec::<String>::new());
    let found = warnings(0o777);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("chmod go-w"), "{found:?}");
}
