//! A store that a host implements with [`HostRecords`]: the conformance suite, and the host's errors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mcp_startup_auth::{CredentialStore, HostFuture, HostRecords, HostStore, conformance};
use secrecy::{ExposeSecret, SecretString};

conformance!(host, (HostStore::new(Texts::default()), ()));

/// A host's records. It stores each text with other whitespace than it receives, as a host may.
#[derive(Clone, Debug, Default)]
struct Texts {
    records: Arc<Mutex<HashMap<String, String>>>,
    locks: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
    /// If set, `replace` fails with this error.
    error: Option<&'static str>,
}

/// Resolves after one turn of the runtime, like an answer from another language.
fn deferred<T: Send + 'static>(result: Result<T, String>) -> HostFuture<T> {
    Box::pin(async {
        tokio::task::yield_now().await;
        result
    })
}

impl HostRecords for Texts {
    fn load(&self, key: String) -> HostFuture<Option<SecretString>> {
        let record = self.records.lock().unwrap().get(&key).cloned();
        deferred(Ok(record.map(SecretString::from)))
    }

    fn replace(
        &self,
        key: String,
        expected: Option<SecretString>,
        new: Option<SecretString>,
    ) -> HostFuture<bool> {
        if let Some(error) = self.error {
            return deferred(Err(error.to_owned()));
        }
        let mut records = self.records.lock().unwrap();
        let is_expected = records.get(&key).map(String::as_str)
            == expected.as_ref().map(ExposeSecret::expose_secret);
        if is_expected {
            match new {
                Some(new) => records.insert(key, format!("\n{} ", new.expose_secret())),
                None => records.remove(&key),
            };
        }
        deferred(Ok(is_expected))
    }

    fn lock(&self, key: String) -> HostFuture<Box<dyn Send + Sync>> {
        let lock = self.locks.lock().unwrap().entry(key).or_default().clone();
        Box::pin(async { Ok(Box::new(lock.lock_owned().await) as _) })
    }
}

#[tokio::test]
async fn secrets_of_the_record_are_masked_in_the_hosts_error() {
    let texts = Texts {
        error: Some("the vault\nis closed to canary-token"),
        ..Texts::default()
    };
    let (key, record) = (conformance::key("a"), conformance::record("canary-token"));
    let replaced = HostStore::new(texts)
        .replace(&key, None, Some(&record))
        .await;
    assert_eq!(
        replaced.unwrap_err().detail,
        "the vault\\nis closed to [masked]"
    );
}

#[tokio::test]
async fn a_damaged_record_of_a_host_can_be_replaced_and_removed() {
    let texts = Texts::default();
    let records = texts.records.clone();
    let damage = async |key: &mcp_startup_auth::CredentialKey| {
        let damaged = (key.as_str().to_owned(), "[\"damaged\"]".to_owned());
        records.lock().unwrap().extend([damaged]);
    };
    let store = HostStore::new(texts);
    conformance::a_damaged_record_can_be_replaced_and_removed(&store, damage).await;
}

#[tokio::test]
async fn a_host_that_cannot_write_is_found_out_before_a_record_exists() {
    let texts = Texts {
        error: Some("the vault is read-only"),
        ..Texts::default()
    };
    let proved = HostStore::new(texts)
        .prove_writable(&conformance::key("a"))
        .await;
    assert_eq!(proved.unwrap_err().detail, "the vault is read-only");
}

#[tokio::test]
async fn a_text_that_is_not_a_record_is_corrupt_and_not_an_empty_store() {
    let (texts, key) = (Texts::default(), conformance::key("a"));
    let array = (key.as_str().to_owned(), "[1]".to_owned());
    texts.records.lock().unwrap().extend([array]);
    let error = HostStore::new(texts).load(&key).await.unwrap_err();
    assert_eq!(
        error.trouble,
        mcp_startup_core::CredentialStoreTrouble::Corrupt
    );
}
