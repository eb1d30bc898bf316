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
fn a_damaged_file_is_an_error_and_not_an_empty_store() {
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
