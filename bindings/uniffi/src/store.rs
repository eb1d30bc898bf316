//! The interface to a credential store that is written in Swift or Kotlin.

use std::fmt;
use std::sync::Arc;

use mcp_startup_host::{HostFuture, HostLock, HostRecords, HostStore, runtime};
use secrecy::{ExposeSecret, SecretString};

/// The calls of an app's credential store. Keys and records are strings.
#[uniffi::export(with_foreign)]
#[async_trait::async_trait]
pub trait StoreCalls: Send + Sync {
    /// Returns the record under `key`.
    async fn load(&self, key: String) -> Result<Option<String>, StoreFailure>;

    /// Stores `new` under `key` if the stored record equals `expected`. Returns `false` if it does not.
    async fn replace(
        &self,
        key: String,
        expected: Option<String>,
        new: Option<String>,
    ) -> Result<bool, StoreFailure>;

    /// Waits for the lock of `key`. Returns a token for [`release`](Self::release).
    async fn lock(&self, key: String) -> Result<String, StoreFailure>;

    /// Releases the lock with this token.
    async fn release(&self, token: String) -> Result<(), StoreFailure>;
}

/// The error of a call.
#[derive(Debug, uniffi::Error)]
pub enum StoreFailure {
    /// The call failed.
    Failed {
        /// The app's message.
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

/// Creates a store from the calls of an app.
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

    fn lock(&self, key: String) -> HostFuture<HostLock> {
        let calls = self.0.clone();
        Box::pin(async move {
            let token = calls.lock(key).await.map_err(reason)?;
            Ok(HostLock::held(Held { calls, token }))
        })
    }
}

/// A lock of the store. Dropping it releases the lock.
struct Held {
    calls: Arc<dyn StoreCalls>,
    token: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        let (calls, token) = (self.calls.clone(), std::mem::take(&mut self.token));
        if let Ok(handle) = runtime::handle() {
            // An error has no receiver here. A lock that stays held makes the next `lock` call of this key wait.
            handle.spawn(async move { drop(calls.release(token).await) });
        }
    }
}
