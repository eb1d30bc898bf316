//! The store in the system keyring: Secret Service on Linux and BSD, Keychain on macOS, Credential Manager on Windows.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use keyring_core::api::CredentialStore as System;
use keyring_core::{Entry, Error};
use mcp_startup_core::CredentialStoreTrouble;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use super::lock_files::LockFiles;
use crate::store::keyring_entry;
use crate::store::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, ReplaceOutcome, StoreError, StoreFuture};

/// The service name of Codex's entries. The account of an entry is the key of its record.
const SERVICE: &str = "Codex MCP Credentials";
/// The lock around read, compare and write, because no keyring has an atomic compare-and-swap.
const KEYRING_LOCK: &str = "keyring-store.lock";
/// The time limit for one operation. A locked keyring prompts the user, and there may be no user.
const LIMIT: Duration = Duration::from_secs(4);
const NAME: &str = "keyring";

/// Stores records in the system keyring, in the same entries as Codex.
///
/// * The locks are the lock files of [`FileStore`](crate::FileStore). Codex uses them for every store.
/// * If the keyring does not respond within 4 s, the operation fails. Until the keyring responds, all other operations fail
///   immediately.
/// * One thread per store makes all calls to the keyring. It ends when the last clone of the store is dropped.
///
/// The futures need a Tokio runtime with time enabled.
#[derive(Clone, Debug)]
pub struct KeyringStore {
    locks: LockFiles,
    keyring: Arc<Keyring>,
}

impl KeyringStore {
    /// Creates a store in the keyring of the user, with its lock files in the folder `home`.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self {
            locks: LockFiles::new(home.into(), NAME),
            keyring: Arc::default(),
        }
    }
}

impl CredentialStore for KeyringStore {
    fn name(&self) -> &str {
        NAME
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        let key = key.clone();
        Box::pin(self.keyring.run(move |system| load(system, &key)))
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        let key = key.clone();
        let (expected, new) = (expected.cloned(), new.cloned());
        Box::pin(async move {
            let lock = self.locks.wait_for(KEYRING_LOCK.to_owned()).await?;
            let replace = move |system: &Arc<System>| {
                let _lock = lock;
                let stored = load(system, &key)?;
                if stored != expected {
                    return Ok(ReplaceOutcome::Conflict(stored));
                }
                match (&new, &stored) {
                    (Some(new), _) => write(&entry(system, &key)?, &keyring_entry::write(new))?,
                    (None, Some(_)) => delete(&entry(system, &key)?)?,
                    (None, None) => {}
                }
                Ok(ReplaceOutcome::Stored)
            };
            self.keyring.run(replace).await
        })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(self.locks.record(key))
    }

    /// Writes the stored entry again unchanged. If there is none, creates and deletes another entry.
    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        let key = key.clone();
        Box::pin(async move {
            let lock = self.locks.wait_for(KEYRING_LOCK.to_owned()).await?;
            let prove = move |system: &Arc<System>| {
                let _lock = lock;
                let found = entry(system, &key)?;
                match read(&found)? {
                    Some(text) => write(&found, &SecretString::from(text.as_str())),
                    None => {
                        let probe = build(system, &format!("{}|probe", key.as_str()))?;
                        write(&probe, &SecretString::from("{}"))?;
                        delete(&probe)
                    }
                }
            };
            self.keyring.run(prove).await
        })
    }
}

fn load(system: &Arc<System>, key: &CredentialKey) -> Result<Option<CredentialRecord>, StoreError> {
    let Some(text) = read(&entry(system, key)?)? else {
        return Ok(None);
    };
    let record = keyring_entry::read(&text);
    record.map(Some).map_err(|error| {
        let detail = format!("its entry for this server is damaged: {error}");
        StoreError::new(NAME, CredentialStoreTrouble::Corrupt, detail)
    })
}

/// The entry of a record, whether or not it exists in the keyring yet.
fn entry(system: &Arc<System>, key: &CredentialKey) -> Result<Entry, StoreError> {
    build(system, key.as_str())
}

fn build(system: &Arc<System>, account: &str) -> Result<Entry, StoreError> {
    // In the Secret Service, Codex's entries have this attribute, and Codex searches for it.
    #[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
    let modifiers = Some(std::collections::HashMap::from([("target", "default")]));
    #[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "android")))))]
    let modifiers = None;
    let entry = system.build(SERVICE, account, modifiers.as_ref());
    entry.map_err(|error| failure(&error))
}

fn read(entry: &Entry) -> Result<Option<Zeroizing<String>>, StoreError> {
    match entry.get_password() {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

fn write(entry: &Entry, text: &SecretString) -> Result<(), StoreError> {
    let written = entry.set_password(text.expose_secret());
    written.map_err(|error| failure(&error))
}

fn delete(entry: &Entry) -> Result<(), StoreError> {
    match entry.delete_credential() {
        Ok(()) | Err(Error::NoEntry) => Ok(()),
        Err(error) => Err(failure(&error)),
    }
}

/// The store error for an error of the keyring, without any entry that the keyring error may quote.
fn failure(error: &Error) -> StoreError {
    use CredentialStoreTrouble as Trouble;
    let (trouble, detail) = match error {
        Error::NoStorageAccess(_) => (
            Trouble::Locked,
            "it is locked and was not unlocked".to_owned(),
        ),
        Error::BadEncoding(_) | Error::BadDataFormat(..) => (
            Trouble::Corrupt,
            "its entry for this server is not text".to_owned(),
        ),
        Error::BadStoreFormat(_) => (Trouble::Corrupt, "it is damaged".to_owned()),
        Error::Ambiguous(_) => (
            Trouble::Corrupt,
            "it has more than one entry for this server".to_owned(),
        ),
        Error::TooLong(_, limit) => (
            Trouble::Unreadable,
            format!("its entries can't be longer than {limit} characters"),
        ),
        other => (Trouble::Unreadable, format!("it can't be reached: {other}")),
    };
    StoreError::new(NAME, trouble, detail)
}

fn no_response() -> StoreError {
    let detail = format!("it did not respond within {} s", LIMIT.as_secs());
    StoreError::new(NAME, CredentialStoreTrouble::Locked, detail)
}

type Job = Box<dyn FnOnce(&mut Option<Arc<System>>) + Send>;

/// The thread that calls the keyring. A call that hangs must delay neither the runtime nor the end of the process.
#[derive(Debug, Default)]
struct Keyring {
    /// Allows one operation at a time, so that the time limit does not include the wait for other operations.
    turn: tokio::sync::Mutex<()>,
    jobs: OnceLock<Mutex<mpsc::Sender<Job>>>,
    hangs: Arc<AtomicBool>,
}

impl Keyring {
    async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Arc<System>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Held until the operation has ended.
        let _turn = self.turn.lock().await;
        if self.hangs.load(Ordering::Relaxed) {
            return Err(no_response());
        }
        let (sender, receiver) = oneshot::channel();
        let hangs = self.hangs.clone();
        self.send(Box::new(move |connection| {
            let result = connected(connection).and_then(operation);
            // The next operation opens a new connection in case this one was lost.
            if result
                .as_ref()
                .is_err_and(|error| error.trouble == CredentialStoreTrouble::Unreadable)
            {
                *connection = None;
            }
            hangs.store(false, Ordering::Relaxed);
            // The caller may have stopped waiting.
            let _ = sender.send(result);
        }));
        match tokio::time::timeout(LIMIT, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(closed)) => Err(StoreError::broken(NAME, &closed)),
            Err(_) => {
                self.hangs.store(true, Ordering::Relaxed);
                Err(no_response())
            }
        }
    }

    fn send(&self, job: Job) {
        let jobs = self.jobs.get_or_init(|| {
            let (sender, receiver) = mpsc::channel::<Job>();
            let thread = std::thread::Builder::new().name("mcp-startup-keyring".to_owned());
            // If the thread can't be started, the jobs are dropped, and the waiting operations fail.
            let _ = thread.spawn(move || {
                let mut connection = None;
                receiver.into_iter().for_each(|job| job(&mut connection));
            });
            Mutex::new(sender)
        });
        let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = jobs.send(job);
    }
}

fn connected(connection: &mut Option<Arc<System>>) -> Result<&Arc<System>, StoreError> {
    if connection.is_none() {
        *connection = Some(system().map_err(|error| failure(&error))?);
    }
    match connection {
        Some(system) => Ok(system),
        None => Err(no_response()),
    }
}

#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
fn system() -> keyring_core::Result<Arc<System>> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn system() -> keyring_core::Result<Arc<System>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn system() -> keyring_core::Result<Arc<System>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(
    target_os = "macos",
    windows,
    all(unix, not(any(target_vendor = "apple", target_os = "android")))
)))]
fn system() -> keyring_core::Result<Arc<System>> {
    Err(Error::NotSupportedByStore(
        "this system has no supported keyring".to_owned(),
    ))
}
