//! Stored sign-ins: the record, its stores and their locks.
//!
//! A [`CredentialStore`] loads, replaces and locks one [`CredentialRecord`] at a time. [`CredentialStores`] searches several
//! stores in order. This module never sends an HTTP request, assesses a credential or reads a configuration.

mod codex_encrypted;
#[cfg(feature = "conformance")]
pub mod conformance;
mod credential_store;
mod expected;
mod file;
mod file_system;
mod host;
#[cfg(feature = "keyring")]
mod keyring;
#[cfg(any(feature = "keyring", fuzzing))]
pub(crate) mod keyring_entry;
mod lock_files;
mod lookup;
mod memory;
mod record;

pub use credential_store::{
    ChangeStream, CredentialStore, Lease, RecordLock, ReplaceOutcome, StoreError, StoreFuture,
};
pub(crate) use credential_store::{every_second, lock_within};
pub(crate) use expected::Expected;
pub use file::FileStore;
pub use host::{HostFuture, HostLease, HostLeaseState, HostLock, HostRecords, HostStore};
#[cfg(feature = "keyring")]
pub use keyring::KeyringStore;
pub use lookup::{CredentialStores, DEFAULT_LOCK_LIMIT, FoundRecord, LockedRecord, StoreSelection};
pub use memory::MemoryStore;
#[cfg(any(feature = "keyring", fuzzing))]
pub(crate) use record::Fields;
pub use record::{CorruptRecord, CredentialKey, CredentialRecord};
