use serde_json::{Value, json};

use super::*;

fn record(token: &str) -> CredentialRecord {
    CredentialRecord::from_json(&json!({"access_token": token})).unwrap()
}

/// Simulates a program that takes no lock and writes at the worst moment.
#[test]
fn a_change_made_during_the_write_survives() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let (mine, other) = (
        CredentialKey::new("a", "https://a"),
        CredentialKey::new("b", "https://b"),
    );
    fs::write(store.file(), "{}").unwrap();
    let mut changes = vec![
        format!(r#"{{"{}":{{"access_token":"b1"}}}}"#, other.as_str()),
        format!(
            r#"{{"{}":{{"access_token":"b2"}},"version":2}}"#,
            other.as_str()
        ),
    ];
    let replaced = store.replace_locked(&mine, None, Some(&record("a1")), || {
        if let Some(change) = changes.pop() {
            fs::write(store.file(), change).unwrap();
        }
    });
    assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
    let stored = |key| store.load_blocking(&[key]).remove(0).unwrap();
    assert_eq!(stored(&mine), Some(record("a1")));
    assert_eq!(stored(&other), Some(record("b1")));

    // The same applies to a change of the record itself.
    let newer = format!(r#"{{"{}":{{"access_token":"a2"}}}}"#, mine.as_str());
    let replaced = store.replace_locked(&mine, Some(&record("a1")), None, || {
        fs::write(store.file(), &newer).unwrap();
    });
    assert_eq!(replaced, Ok(ReplaceOutcome::Conflict(Some(record("a2")))));
    assert_eq!(fs::read_to_string(store.file()).unwrap(), newer);

    // If the other program never stops, the replace fails, and the content of that program is kept.
    let mut count = 0;
    let replaced = store.replace_locked(&other, None, Some(&record("b3")), || {
        count += 1;
        fs::write(store.file(), format!(r#"{{"count":{count}}}"#)).unwrap();
    });
    assert_eq!(
        replaced.unwrap_err().trouble,
        CredentialStoreTrouble::Unreadable
    );
    let left: Value = serde_json::from_slice(&fs::read(store.file()).unwrap()).unwrap();
    assert_eq!((count, left), (ATTEMPTS, json!({"count": ATTEMPTS})));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn only_the_temporary_file_of_a_killed_process_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let left_over = home
        .path()
        .join(format!("{TEMPORARY_PREFIX}0123{TEMPORARY_SUFFIX}"));
    let others = [".credentials.json.bak", "x.mcp-startup.tmp"].map(|n| home.path().join(n));
    for path in others.iter().chain([&left_over]) {
        fs::write(path, "secret").unwrap();
    }
    let key = CredentialKey::new("a", "https://a");
    store.prove_writable_locked(&key).unwrap();
    assert!(!left_over.exists() && others.iter().all(|path| path.exists()));
    assert!(!store.file().exists());
}

#[tokio::test]
async fn a_read_that_begins_after_a_load_answers_it_even_if_other_loads_are_dropped() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let keys: Vec<_> = (0..1000)
        .map(|n| CredentialKey::new(&n.to_string(), "https://a"))
        .collect();
    for round in 0..20 {
        let records = keys.iter().map(|key| {
            (
                key.as_str().to_owned(),
                json!({"access_token": format!("{round}")}),
            )
        });
        let records: serde_json::Map<_, _> = records.collect();
        let file = Value::from(records).to_string();
        fs::write(store.file(), file).unwrap();
        let all = futures::future::join_all(keys.iter().map(|key| store.load(key)));
        let mut dropped: Vec<_> = keys.iter().map(|key| store.load(key)).collect();
        for load in dropped.iter_mut().take(100) {
            let _ = futures::poll!(load);
        }
        drop(dropped);
        for loaded in all.await {
            assert_eq!(loaded, Ok(Some(record(&round.to_string()))));
        }
    }
}

/// Happens if the runtime shuts down before the reader has begun.
#[tokio::test]
async fn a_dropped_reader_is_an_error_and_the_next_load_succeeds() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let key = CredentialKey::new("a", "https://a");
    let (sender, receiver) = oneshot::channel();
    let load = PendingLoad {
        key: key.clone(),
        sender,
    };
    assert!(store.pending_loads.add(load));
    drop(Reader::new(store.clone()));
    assert!(receiver.await.is_err());
    assert_eq!(store.load(&key).await, Ok(None));
}

#[test]
fn the_last_of_two_entries_with_one_key_is_valid_and_a_write_merges_them() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path());
    let key = CredentialKey::new("a", "https://a");
    let of = |token: &str| format!(r#""{}":{{"access_token":"{token}"}}"#, key.as_str());
    let twice = format!(r#"{{"x":1,{},"x":2,{}}}"#, of("first"), of("last"));
    fs::write(store.file(), twice).unwrap();
    let loaded = store.load_blocking(&[&key]);
    assert_eq!(loaded, [Ok(Some(record("last")))]);
    let replaced = store.replace_locked(&key, Some(&record("last")), None, || {});
    assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
    let left = fs::read_to_string(store.file()).unwrap();
    assert_eq!(left, "{\n  \"x\": 1,\n  \"x\": 2\n}");
}
