//! A store that a host implements with [`HostRecords`]: the conformance suite, and the host's errors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mcp_startup_auth::{
    CredentialStore, HostFuture, HostLease, HostLeaseState, HostLock, HostRecords, HostStore,
    conformance,
};
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

    fn lock(&self, key: String) -> HostFuture<HostLock> {
        let lock = self.locks.lock().unwrap().entry(key).or_default().clone();
        Box::pin(async { Ok(HostLock::held(lock.lock_owned().await)) })
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

/// A host whose locks are leases. Clones are hosts that share the records.
#[derive(Clone, Debug, Default)]
struct Leases {
    texts: Texts,
    rows: Arc<Mutex<HashMap<String, Row>>>,
}

/// The lease of a record.
#[derive(Debug, Default)]
struct Row {
    holder: Option<u64>,
    has_ended: bool,
    /// The last holder.
    last: u64,
    /// The attempt without a known outcome, with its holder and its time.
    attempt: Option<(String, u64, u64)>,
}

const LEASE: std::time::Duration = std::time::Duration::from_secs(60);

struct HeldRow {
    rows: Arc<Mutex<HashMap<String, Row>>>,
    key: String,
    holder: u64,
    attempt_has_ended: std::sync::atomic::AtomicBool,
}

impl HostLease for HeldRow {
    fn renew(&self, attempt: Option<String>) -> HostFuture<Option<HostLeaseState>> {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.entry(self.key.clone()).or_default();
        if row.holder != Some(self.holder) {
            return deferred(Ok(None));
        }
        row.has_ended = false;
        let mut sent_before_at_ms = None;
        if let Some(attempt) = attempt {
            match &row.attempt {
                Some((earlier, holder, at)) if *earlier == attempt => {
                    sent_before_at_ms = (*holder != self.holder).then_some(*at);
                }
                _ => row.attempt = Some((attempt, self.holder, 1)),
            }
        }
        deferred(Ok(Some(HostLeaseState {
            remaining: LEASE,
            sent_before_at_ms,
        })))
    }

    fn end_attempt(&self) {
        self.attempt_has_ended
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Drop for HeldRow {
    fn drop(&mut self) {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.entry(self.key.clone()).or_default();
        if row.holder == Some(self.holder) {
            row.holder = None;
            if *self.attempt_has_ended.get_mut() {
                row.attempt = None;
            }
        }
    }
}

impl HostRecords for Leases {
    fn load(&self, key: String) -> HostFuture<Option<SecretString>> {
        self.texts.load(key)
    }

    fn replace(
        &self,
        key: String,
        expected: Option<SecretString>,
        new: Option<SecretString>,
    ) -> HostFuture<bool> {
        self.texts.replace(key, expected, new)
    }

    fn lock(&self, key: String) -> HostFuture<HostLock> {
        let rows = self.rows.clone();
        Box::pin(async move {
            loop {
                {
                    let mut all = rows.lock().unwrap();
                    let row = all.entry(key.clone()).or_default();
                    if row.holder.is_none() || row.has_ended {
                        row.last += 1;
                        (row.holder, row.has_ended) = (Some(row.last), false);
                        return Ok(HostLock::Leased(Box::new(HeldRow {
                            rows: rows.clone(),
                            key,
                            holder: row.last,
                            attempt_has_ended: false.into(),
                        })));
                    }
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
    }
}

#[tokio::test]
async fn a_host_with_leases_passes_both_halves() {
    let host = Leases::default();
    let (one, two) = (HostStore::new(host.clone()), HostStore::new(host.clone()));
    conformance::run(&one).await;
    let lapse = async |key: &mcp_startup_auth::CredentialKey| {
        let mut rows = host.rows.lock().unwrap();
        rows.get_mut(key.as_str()).unwrap().has_ended = true;
    };
    conformance::leases::run(&one, &two, lapse).await;
}
