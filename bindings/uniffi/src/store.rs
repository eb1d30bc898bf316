//! A credential store that is written in Swift or Kotlin.

use std::fmt;
use std::sync::Arc;

use mcp_startup_host::{HostFuture, HostRecords, HostStore, runtime};
use secrecy::{ExposeSecret, SecretString};

/// What a store of the app does, over texts.
#[uniffi::export(with_foreign)]
#[async_trait::async_trait]
pub trait StoreCalls: Send + Sync {
    /// The record under `key`.
    async fn load(&self, key: String) -> Result<Option<String>, StoreFailure>;

    /// Stores `new` under `key`, if what is stored is `expected`; `false` where it is not.
    async fn replace(
        &self,
        key: String,
        expected: Option<String>,
        new: Option<String>,
    ) -> Result<bool, StoreFailure>;

    /// Waits for the lock of `key`, and gives what it is released by.
    async fn lock(&self, key: String) -> Result<String, StoreFailure>;

    /// Releases a lock.
    async fn release(&self, token: String) -> Result<(), StoreFailure>;
}

/// The store can't do it: why, as a sentence.
#[derive(Debug, uniffi::Error)]
pub enum StoreFailure {
    /// In the app's words.
    Failed {
        /// The sentence.
        reason: String,
    },
}

impl fmt::Display for StoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Failed { reason } = self;
        f.write_str(reason)
    }
}

impl std::error::Error for StoreFailure {}

impl From<uniffi::UnexpectedUniFFICallbackError> for StoreFailure {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed {
            reason: error.reason,
        }
    }
}

/// The store that these calls make.
pub fn store(calls: Option<Arc<dyn StoreCalls>>) -> Option<HostStore> {
    calls.map(|calls| HostStore::new(Records(calls)))
}

struct Records(Arc<dyn StoreCalls>);

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

fn reason(failure: StoreFailure) -> String {
    failure.to_string()
}

impl HostRecords for Records {
    fn load(&self, key: String) -> HostFuture<Option<SecretString>> {
        let calls = self.0.clone();
        Box::pin(async move {
            let record = calls.load(key).await.map_err(reason)?;
            Ok(record.map(SecretString::from))
        })
    }

    fn replace(
        &self,
        key: String,
        expected: Option<SecretString>,
        new: Option<SecretString>,
    ) -> HostFuture<bool> {
        let calls = self.0.clone();
        let text = |secret: Option<SecretString>| secret.map(|s| s.expose_secret().to_owned());
        let (expected, new) = (text(expected), text(new));
        Box::pin(async move { calls.replace(key, expected, new).await.map_err(reason) })
    }

    fn lock(&self, key: String) -> HostFuture<Box<dyn Send + Sync>> {
        let calls = self.0.clone();
        Box::pin(async move {
            let token = calls.lock(key).await.map_err(reason)?;
            Ok(Box::new(Held { calls, token }) as _)
        })
    }
}

/// A lock of the store, given back when this is dropped.
struct Held {
    calls: Arc<dyn StoreCalls>,
    token: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        let (calls, token) = (self.calls.clone(), std::mem::take(&mut self.token));
        if let Ok(handle) = runtime::handle() {
            // Who holds a lock that can't be released finds out when it is asked for again.
            handle.spawn(async move { drop(calls.release(token).await) });
        }
    }
}
