//! The system's keyring: Secret Service on Linux and BSD, the keychain on macOS, the Credential Manager on Windows.

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

use crate::keyring_entry;
use crate::lock_files::LockFiles;
use crate::record::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, Replaced, StoreError, StoreFuture};

/// The name that Codex keeps its entries under; their accounts are the keys of the records.
const SERVICE: &str = "Codex MCP Credentials";
/// Held around read, compare and write: no keyring can compare and write in one step.
const KEYRING_LOCK: &str = "keyring-store.lock";
/// How long the keyring may take for one thing. One that is locked asks its user, and there may be nobody to ask.
const LIMIT: Duration = Duration::from_secs(4);
const NAME: &str = "keyring";

/// Keeps records in the system's keyring, each in the entry that Codex keeps it in.
///
/// * The locks are files in the home, as those of [`FileStore`](crate::FileStore): Codex refreshes under the same, whatever
///   store it uses.
/// * What the keyring does not answer within 4 s is an error; until it answers, everything else is one at once.
/// * Its futures need a Tokio runtime with time enabled. Every call goes to the keyring from one thread, which ends with the
///   last clone of the store.
#[derive(Clone, Debug)]
pub struct KeyringStore {
    locks: LockFiles,
    keyring: Arc<Keyring>,
}

impl KeyringStore {
    /// The user's keyring, with its locks in the folder `home`.
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
        Box::pin(self.keyring.ask(move |system| load(system, &key)))
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, Replaced> {
        let key = key.clone();
        let (expected, new) = (expected.cloned(), new.cloned());
        Box::pin(async move {
            let lock = self.locks.wait_for(KEYRING_LOCK.to_owned()).await?;
            let replace = move |system: &Arc<System>| {
                let _lock = lock;
                let stored = load(system, &key)?;
                if stored != expected {
                    return Ok(Replaced::Conflict(stored));
                }
                match (&new, &stored) {
                    (Some(new), _) => write(&entry(system, &key)?, &keyring_entry::write(new))?,
                    (None, Some(_)) => delete(&entry(system, &key)?)?,
                    (None, None) => {}
                }
                Ok(Replaced::Stored)
            };
            self.keyring.ask(replace).await
        })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(self.locks.record(key))
    }

    /// What is there is written anew, as it is; where nothing is, another entry is made and taken away.
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
            self.keyring.ask(prove).await
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

/// The entry of a record: the one that is there, or the one that is to be made.
fn entry(system: &Arc<System>, key: &CredentialKey) -> Result<Entry, StoreError> {
    build(system, key.as_str())
}

fn build(system: &Arc<System>, account: &str) -> Result<Entry, StoreError> {
    // Of the Secret Service Codex's entries have this attribute too, and it looks for them by it.
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

/// What the keyring said, without what it may quote.
fn failure(error: &Error) -> StoreError {
    use CredentialStoreTrouble as Trouble;
    let (trouble, detail) = match error {
        Error::NoStorageAccess(_) => (
            Trouble::Locked,
            "it is locked, and was not unlocked".to_owned(),
        ),
        Error::BadEncoding(_) | Error::BadDataFormat(..) => (
            Trouble::Corrupt,
            "its entry for this server is no text".to_owned(),
        ),
        Error::BadStoreFormat(_) => (Trouble::Corrupt, "it is damaged".to_owned()),
        Error::Ambiguous(_) => (
            Trouble::Corrupt,
            "it has more than one entry for this server".to_owned(),
        ),
        Error::TooLong(_, limit) => (
            Trouble::Unreadable,
            format!("it keeps no more than {limit} characters in an entry"),
        ),
        other => (Trouble::Unreadable, format!("it can't be reached: {other}")),
    };
    StoreError::new(NAME, trouble, detail)
}

fn silent() -> StoreError {
    let detail = format!("it did not answer within {} s", LIMIT.as_secs());
    StoreError::new(NAME, CredentialStoreTrouble::Locked, detail)
}

type Job = Box<dyn FnOnce(&mut Option<Arc<System>>) + Send>;

/// The thread that talks to the keyring: one that hangs must hold up neither the runtime nor the end of the process.
#[derive(Debug, Default)]
struct Keyring {
    /// One question at a time, so that the limit is for what the keyring does and not for waiting behind others.
    turn: tokio::sync::Mutex<()>,
    jobs: OnceLock<Mutex<mpsc::Sender<Job>>>,
    hangs: Arc<AtomicBool>,
}

impl Keyring {
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Arc<System>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Held until the answer is there, which is what it is for.
        let _turn = self.turn.lock().await;
        if self.hangs.load(Ordering::Relaxed) {
            return Err(silent());
        }
        let (sender, receiver) = oneshot::channel();
        let hangs = self.hangs.clone();
        self.send(Box::new(move |connection| {
            let answer = connected(connection).and_then(question);
            // One that was lost is made anew.
            if answer
                .as_ref()
                .is_err_and(|error| error.trouble == CredentialStoreTrouble::Unreadable)
            {
                *connection = None;
            }
            hangs.store(false, Ordering::Relaxed);
            // Nobody may wait for it any more.
            let _ = sender.send(answer);
        }));
        match tokio::time::timeout(LIMIT, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(lost)) => Err(StoreError::broken(NAME, &lost)),
            Err(_) => {
                self.hangs.store(true, Ordering::Relaxed);
                Err(silent())
            }
        }
    }

    fn send(&self, job: Job) {
        let jobs = self.jobs.get_or_init(|| {
            let (sender, receiver) = mpsc::channel::<Job>();
            let thread = std::thread::Builder::new().name("mcp-startup-keyring".to_owned());
            // Where it can't be started the jobs are dropped, and who waits for them is told.
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
        None => Err(silent()),
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
        "no keyring of this system is known".to_owned(),
    ))
}
