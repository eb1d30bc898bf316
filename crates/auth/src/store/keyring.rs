//! The store in the system keyring: Secret Service on Linux and BSD, Keychain on macOS, Credential Manager on Windows.

mod episode;
mod system;
#[cfg(test)]
mod tests;
mod thread;

use std::path::PathBuf;
use std::sync::Arc;

use keyring_core::api::CredentialStore as System;
use keyring_core::{Entry, Error};
use mcp_startup_core::CredentialStoreTrouble;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use self::thread::{Keyring, Operation};
use super::lock_files::LockFiles;
use crate::store::keyring_entry;
use crate::store::{CredentialKey, CredentialRecord, Expected};
use crate::store::{CredentialStore, RecordLock, ReplaceOutcome, StoreError, StoreFuture};

/// The service name of Codex's entries. The account of an entry is the key of its record.
const SERVICE: &str = "Codex MCP Credentials";
/// The attribute `target` of Codex's entries in the Secret Service.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
const TARGET: &str = "default";
/// The lock around read, compare and write, because no keyring has an atomic compare-and-swap.
const KEYRING_LOCK: &str = "keyring-store.lock";
const NAME: &str = "keyring";

/// Stores records in the system keyring, in the same entries as Codex.
///
/// * The locks are the lock files of [`FileStore`](crate::FileStore). Codex uses them for every store.
/// * If the keyring does not respond within 4 s, the operation fails. Until the keyring responds, all other operations fail
///   immediately.
/// * A locked keyring prompts the user to unlock it. If the user dismisses the prompt or does not respond, the operation fails,
///   and the operations after it fail immediately, without a prompt: until the keyring is unlocked (if the system reveals that),
///   until [`retry`](CredentialStore::retry) is called, or for 15 minutes.
/// * All stores of a process share this state and one thread, which makes all calls to the keyring.
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
            keyring: Keyring::of_this_process(),
        }
    }

    async fn change(
        &self,
        key: &CredentialKey,
        expected: Expected,
        new: Option<&CredentialRecord>,
    ) -> Result<ReplaceOutcome, StoreError> {
        let (key, new) = (key.clone(), new.cloned());
        let lock = self.locks.of_store(KEYRING_LOCK).await?;
        let operation = Operation::write(key.as_str());
        let change = move |system: &Arc<System>| {
            let _lock = lock;
            let entry = entry(system, &key)?;
            // Only this entry can be damaged below: damage of the whole keyring ends the operation.
            let stored = match read(&entry) {
                Ok(text) => text.map(|text| parse(&text)).transpose(),
                Err(Error::BadEncoding(_) | Error::BadDataFormat(..)) => Err(not_text()),
                Err(error) => return Err(failure(&error)),
            };
            if !expected.is_met_by(&stored) {
                return stored.map(ReplaceOutcome::Conflict);
            }
            match &new {
                Some(new) => write(&entry, &keyring_entry::write(new))?,
                None if stored == Ok(None) => {}
                None => delete(&entry)?,
            }
            Ok(ReplaceOutcome::Stored)
        };
        self.keyring.run(operation, change).await
    }
}

impl CredentialStore for KeyringStore {
    fn name(&self) -> &str {
        NAME
    }

    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        let (key, operation) = (key.clone(), Operation::read(key.as_str()));
        let load = move |system: &Arc<System>| match read(&entry(system, &key)?) {
            Ok(text) => text.map(|text| parse(&text)).transpose(),
            Err(error) => Err(failure(&error)),
        };
        Box::pin(self.keyring.run(operation, load))
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        let expected = Expected::Record(expected.cloned());
        Box::pin(self.change(key, expected, new))
    }

    fn replace_damaged<'a>(
        &'a self,
        key: &'a CredentialKey,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        Box::pin(self.change(key, Expected::Damaged, new))
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(self.locks.record(key))
    }

    fn lock_holder(&self, key: &CredentialKey) -> Option<u32> {
        self.locks.record_holder(key)
    }

    fn store_lock_holder(&self) -> Option<u32> {
        self.locks.holder(KEYRING_LOCK)
    }

    /// Writes the stored entry again unchanged. If there is none, creates and deletes another entry.
    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        let key = key.clone();
        Box::pin(async move {
            let lock = self.locks.of_store(KEYRING_LOCK).await?;
            let operation = Operation::write(key.as_str());
            let prove = move |system: &Arc<System>| {
                let _lock = lock;
                let found = entry(system, &key)?;
                match read(&found) {
                    Ok(Some(text)) => write(&found, &SecretString::from(text.as_str())),
                    // An entry that is not text can be replaced, so another entry proves that the keyring can be written.
                    Ok(None) | Err(Error::BadEncoding(_) | Error::BadDataFormat(..)) => {
                        let probe = build(system, &format!("{}|probe", key.as_str()))?;
                        write(&probe, &SecretString::from("{}"))?;
                        delete(&probe)
                    }
                    Err(error) => Err(failure(&error)),
                }
            };
            self.keyring.run(operation, prove).await
        })
    }

    fn retry(&self) {
        self.keyring.retry();
    }

    fn warnings(&self) -> Vec<String> {
        let absent = "This session has no system keyring, so no sign-in in it is found.";
        let absent = self.keyring.is_absent().then(|| absent.to_owned());
        Vec::from_iter(absent)
    }
}

/// The record in the text of an entry.
fn parse(text: &str) -> Result<CredentialRecord, StoreError> {
    keyring_entry::read(text).map_err(|error| {
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
    let modifiers = Some(std::collections::HashMap::from([("target", TARGET)]));
    #[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "android")))))]
    let modifiers = None;
    let entry = system.build(SERVICE, account, modifiers.as_ref());
    entry.map_err(|error| failure(&error))
}

fn read(entry: &Entry) -> keyring_core::Result<Option<Zeroizing<String>>> {
    match entry.get_password() {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(error),
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
        Error::BadEncoding(_) | Error::BadDataFormat(..) => return not_text(),
        Error::BadStoreFormat(_) => (Trouble::Corrupt, "it is damaged".to_owned()),
        Error::Ambiguous(_) => (
            Trouble::Corrupt,
            "it has more than one entry for this server".to_owned(),
        ),
        Error::TooLong(_, limit) => (
            Trouble::Unreadable,
            format!("its entries can't be longer than {limit} characters"),
        ),
        other if system::is_absent(other) => (
            Trouble::Absent,
            "this session has no system keyring; run this in your desktop session, or set `mcp_oauth_credentials_store = \"file\"` in config.toml".to_owned(),
        ),
        other => (Trouble::Unreadable, format!("it can't be reached: {other}")),
    };
    StoreError::new(NAME, trouble, detail)
}

fn not_text() -> StoreError {
    let detail = "its entry for this server is not text";
    StoreError::new(NAME, CredentialStoreTrouble::Corrupt, detail)
}
