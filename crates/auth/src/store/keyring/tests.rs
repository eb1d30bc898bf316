//! The keyring store with a simulated keyring that counts its prompts.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use futures::future::join_all;
use keyring_core::api::{Credential, CredentialApi, CredentialStoreApi};
use serde_json::json;

use super::thread::Access;
use super::*;

/// A keyring. If it is locked, each call for an existing entry, and each write, shows a prompt.
#[derive(Debug, Default)]
struct Simulated {
    entries: Mutex<HashMap<String, Vec<u8>>>,
    is_locked: AtomicBool,
    prompts: AtomicUsize,
    /// If set, a prompt stays open until this receives a message. Otherwise, it is dismissed immediately.
    prompt: Option<Mutex<mpsc::Receiver<()>>>,
    /// Whether the system can tell that a call would prompt.
    is_secretive: bool,
}

impl Simulated {
    fn open(&self) -> keyring_core::Result<()> {
        if self.is_locked.load(Ordering::SeqCst) {
            self.prompts.fetch_add(1, Ordering::SeqCst);
            if let Some(prompt) = &self.prompt {
                let _ = prompt.lock().unwrap().recv();
            }
            if self.is_locked.load(Ordering::SeqCst) {
                return Err(Error::NoStorageAccess("dismissed".into()));
            }
        }
        Ok(())
    }

    fn prompts(&self) -> usize {
        self.prompts.load(Ordering::SeqCst)
    }

    fn lock(&self, is_locked: bool) {
        self.is_locked.store(is_locked, Ordering::SeqCst);
    }
}

/// The connection to a simulated keyring.
#[derive(Debug)]
struct Connection(Arc<Simulated>);

#[derive(Debug)]
struct Account(Arc<Simulated>, String);

impl CredentialStoreApi for Connection {
    fn vendor(&self) -> String {
        "simulated".to_owned()
    }

    fn id(&self) -> String {
        "simulated".to_owned()
    }

    fn build(
        &self,
        _service: &str,
        user: &str,
        _modifiers: Option<&HashMap<&str, &str>>,
    ) -> keyring_core::Result<Entry> {
        let account = Account(self.0.clone(), user.to_owned());
        Ok(Entry::new_with_credential(Arc::new(account)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl CredentialApi for Account {
    fn set_secret(&self, secret: &[u8]) -> keyring_core::Result<()> {
        self.0.open()?;
        let mut entries = self.0.entries.lock().unwrap();
        entries.insert(self.1.clone(), secret.to_vec());
        Ok(())
    }

    fn get_secret(&self) -> keyring_core::Result<Vec<u8>> {
        let found = self.0.entries.lock().unwrap().get(&self.1).cloned();
        let found = found.ok_or(Error::NoEntry)?;
        self.0.open()?;
        Ok(found)
    }

    fn delete_credential(&self) -> keyring_core::Result<()> {
        self.get_secret()?;
        self.0.entries.lock().unwrap().remove(&self.1);
        Ok(())
    }

    fn get_credential(&self) -> keyring_core::Result<Option<Arc<Credential>>> {
        Ok(None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Several stores of one process over a simulated keyring.
struct Stores {
    _home: tempfile::TempDir,
    simulated: Arc<Simulated>,
    stores: Vec<KeyringStore>,
}

fn stores(simulated: Simulated, limit: Duration) -> Stores {
    let simulated = Arc::new(simulated);
    let (connecting, peeking) = (simulated.clone(), simulated.clone());
    let access = Access {
        connect: Arc::new(move || Ok(Arc::new(Connection(connecting.clone())))),
        would_prompt: Arc::new(move |operation| {
            let has_entry = peeking
                .entries
                .lock()
                .unwrap()
                .contains_key(operation.account());
            let is_locked = peeking.is_locked.load(Ordering::SeqCst);
            let would_prompt = is_locked && (has_entry || operation.writes());
            (!peeking.is_secretive).then_some(would_prompt)
        }),
    };
    let keyring = Arc::new(Keyring::new(access, limit));
    let home = tempfile::tempdir().unwrap();
    let store = || KeyringStore {
        locks: LockFiles::new(home.path().to_owned(), NAME),
        keyring: keyring.clone(),
    };
    Stores {
        stores: (0..3).map(|_| store()).collect(),
        _home: home,
        simulated,
    }
}

const LONG: Duration = Duration::from_secs(60);

fn key(n: usize) -> CredentialKey {
    CredentialKey::new(&n.to_string(), "https://a")
}

fn record(token: &str) -> CredentialRecord {
    CredentialRecord::from_json(&json!({"access_token": token})).unwrap()
}

/// Stores eight records and then locks the keyring.
async fn fill_and_lock(stores: &Stores) {
    for n in 0..8 {
        let replaced = stores.stores[0]
            .replace(&key(n), None, Some(&record("t")))
            .await;
        assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
    }
    stores.simulated.lock(true);
}

/// Calls several methods of each store for each record, all at once. Every call must fail because the keyring is locked.
async fn assert_all_fail(stores: &Stores) {
    let keys: Vec<_> = (0..8).map(key).collect();
    let calls = stores.stores.iter().flat_map(|store| {
        keys.iter().map(async |key| {
            let (loaded, proved, replaced) = futures::join!(
                store.load(key),
                store.prove_writable(key),
                store.replace(key, None, None)
            );
            [loaded.map(drop), proved, replaced.map(drop)]
        })
    });
    for result in join_all(calls).await.concat() {
        let error = result.unwrap_err();
        assert_eq!(error.trouble, CredentialStoreTrouble::Locked, "{error}");
    }
}

#[tokio::test]
async fn a_locked_keyring_prompts_once_for_all_records_and_stores_of_a_process() {
    for is_secretive in [false, true] {
        let simulated = Simulated {
            is_secretive,
            ..Simulated::default()
        };
        let stores = stores(simulated, LONG);
        fill_and_lock(&stores).await;
        for _ in 0..3 {
            assert_all_fail(&stores).await;
            assert_eq!(stores.simulated.prompts(), 1);
        }
        // The user asks for it.
        stores.stores[1].retry();
        assert_all_fail(&stores).await;
        assert_eq!(stores.simulated.prompts(), 2);
    }
}

#[tokio::test]
async fn after_a_refusal_a_missing_entry_is_still_found_to_be_missing() {
    let stores = stores(Simulated::default(), LONG);
    fill_and_lock(&stores).await;
    assert_all_fail(&stores).await;
    let store = &stores.stores[2];
    assert_eq!(store.load(&key(8)).await, Ok(None));
    // A new entry would prompt.
    assert!(store.prove_writable(&key(8)).await.is_err());
    assert_all_fail(&stores).await;
    assert_eq!(stores.simulated.prompts(), 1);
}

#[tokio::test]
async fn a_keyring_that_is_unlocked_elsewhere_is_used_again() {
    let stores = stores(Simulated::default(), LONG);
    fill_and_lock(&stores).await;
    assert_all_fail(&stores).await;
    stores.simulated.lock(false);
    let store = &stores.stores[2];
    assert_eq!(store.load(&key(1)).await, Ok(Some(record("t"))));
    assert_eq!(store.prove_writable(&key(1)).await, Ok(()));
    assert_eq!(stores.simulated.prompts(), 1);
}

#[tokio::test]
async fn a_prompt_without_a_response_stays_the_only_one() {
    let (answer, prompt) = mpsc::channel();
    let simulated = Simulated {
        prompt: Some(Mutex::new(prompt)),
        ..Simulated::default()
    };
    let stores = stores(simulated, Duration::from_millis(50));
    fill_and_lock(&stores).await;
    assert_all_fail(&stores).await;
    // The prompt is still open, so even a retry shows no other one.
    stores.stores[0].retry();
    assert_all_fail(&stores).await;
    assert_eq!(stores.simulated.prompts(), 1);
    // The user unlocks the keyring in the prompt.
    stores.simulated.lock(false);
    answer.send(()).unwrap();
    let loaded = async {
        while stores.stores[0].load(&key(1)).await != Ok(Some(record("t"))) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, loaded).await.unwrap();
    assert_eq!(stores.simulated.prompts(), 1);
}

#[tokio::test]
async fn a_damaged_entry_can_be_replaced_and_removed() {
    let stores = stores(Simulated::default(), LONG);
    let store = &stores.stores[0];
    let damage = |text: &[u8]| {
        let mut entries = stores.simulated.entries.lock().unwrap();
        entries.insert(key(1).as_str().to_owned(), text.to_vec());
    };
    for text in [&b"{\"token_response\":7}"[..], b"", b"[]", b"\xff\xfe"] {
        damage(text);
        let error = store.load(&key(1)).await.unwrap_err();
        assert_eq!(error.trouble, CredentialStoreTrouble::Corrupt);
        assert_eq!(store.prove_writable(&key(1)).await, Ok(()));
        assert!(
            store
                .replace(&key(1), None, Some(&record("a")))
                .await
                .is_err()
        );
        let new = record("a");
        let replaced = store.replace_damaged(&key(1), Some(&new)).await;
        assert_eq!(replaced, Ok(ReplaceOutcome::Stored));
        assert_eq!(store.load(&key(1)).await, Ok(Some(new.clone())));
        // The record is not damaged any more.
        let replaced = store.replace_damaged(&key(1), None).await;
        assert_eq!(replaced, Ok(ReplaceOutcome::Conflict(Some(new))));
        damage(text);
        let removed = store.replace_damaged(&key(1), None).await;
        assert_eq!(removed, Ok(ReplaceOutcome::Stored));
        assert_eq!(store.load(&key(1)).await, Ok(None));
        let removed = store.replace_damaged(&key(1), None).await;
        assert_eq!(removed, Ok(ReplaceOutcome::Conflict(None)));
    }
    assert!(stores.simulated.entries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_call_waits_for_the_lock_of_the_keyring_only_until_its_limit() {
    let stores = stores(Simulated::default(), LONG);
    let (mut store, holder) = (stores.stores[0].clone(), &stores.stores[1]);
    store.locks.store_lock_limit = Duration::from_millis(50);
    let lock = holder.locks.of_store(KEYRING_LOCK).await;
    let new = record("t");
    let key = key(1);
    let calls = futures::future::join3(
        store.replace(&key, None, Some(&new)),
        store.replace_damaged(&key, Some(&new)),
        store.prove_writable(&key),
    );
    let calls = tokio::time::timeout(Duration::from_secs(30), calls).await;
    let (replaced, replaced_damaged, proved) = calls.unwrap();
    for result in [replaced.map(drop), replaced_damaged.map(drop), proved] {
        assert!(result.unwrap_err().is_in_use());
    }
    drop(lock);
    assert_eq!(holder.prove_writable(&key).await, Ok(()));
}
