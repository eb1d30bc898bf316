//! Credential stores that are implemented in JavaScript.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcp_startup_host::{
    HostFuture, HostLease, HostLeaseState, HostLock, HostRecords, HostStore, host_lock, lease_state,
};
use napi::Status;
use napi::bindgen_prelude::{FnArgs, Promise};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use secrecy::{ExposeSecret, SecretString};

/// An operation and its arguments.
type Question = FnArgs<(String, Vec<Option<String>>)>;

/// The function of `lib/store.cts` that runs the operations of a store. Its promise resolves to a text or null.
///
/// The reference is weak: the call that uses the store keeps the process alive, and not the store.
pub type Ask = ThreadsafeFunction<Question, Promise<Option<String>>, Question, Status, false, true>;

/// Wraps the function as a store.
pub fn store(ask: Option<Ask>) -> Option<HostStore> {
    ask.map(|ask| HostStore::new(Records(Arc::new(ask))))
}

struct Records(Arc<Ask>);

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl Records {
    fn ask(
        &self,
        operation: &'static str,
        arguments: Vec<Option<String>>,
    ) -> HostFuture<Option<String>> {
        let ask = self.0.clone();
        Box::pin(async move {
            let question = (operation.to_owned(), arguments).into();
            let answer = async { ask.call_async(question).await?.await };
            answer.await.map_err(|error| error.reason.to_string())
        })
    }
}

impl HostRecords for Records {
    fn load(&self, key: String) -> HostFuture<Option<SecretString>> {
        let loaded = self.ask("load", vec![Some(key)]);
        Box::pin(async move { Ok(loaded.await?.map(SecretString::from)) })
    }

    fn replace(
        &self,
        key: String,
        expected: Option<SecretString>,
        new: Option<SecretString>,
    ) -> HostFuture<bool> {
        let text = |secret: Option<SecretString>| secret.map(|s| s.expose_secret().to_owned());
        let replaced = self.ask("replace", vec![Some(key), text(expected), text(new)]);
        Box::pin(async move { Ok(replaced.await?.is_some()) })
    }

    fn lock(&self, key: String) -> HostFuture<HostLock> {
        let locked = self.ask("lock", vec![Some(key)]);
        let ask = self.0.clone();
        Box::pin(async move {
            let token = locked.await?.unwrap_or_default();
            Ok(host_lock(token, |token| Held {
                ask,
                token: Some(token),
                attempt_has_ended: AtomicBool::new(false),
            }))
        })
    }
}

/// A held lock of the store. Dropping it releases the lock.
struct Held {
    ask: Arc<Ask>,
    token: Option<String>,
    attempt_has_ended: AtomicBool,
}

impl HostLease for Held {
    fn renew(&self, attempt: Option<String>) -> HostFuture<Option<HostLeaseState>> {
        let records = Records(self.ask.clone());
        let renewed = records.ask("renew", vec![self.token.clone(), attempt]);
        Box::pin(async move { lease_state(renewed.await?.as_deref()) })
    }

    fn end_attempt(&self) {
        self.attempt_has_ended.store(true, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let ended = self.attempt_has_ended.get_mut().then(String::new);
        let question = ("release".to_owned(), vec![self.token.take(), ended]).into();
        self.ask
            .call(question, ThreadsafeFunctionCallMode::NonBlocking);
    }
}

/// Calls the function that ends a lease, for the conformance suite.
pub fn lapse(ask: Ask) -> Box<dyn Fn(String) -> HostFuture<()> + Send + Sync> {
    let records = Records(Arc::new(ask));
    Box::new(move |key| {
        let lapsed = records.ask("lapse", vec![Some(key)]);
        Box::pin(async move { lapsed.await.map(drop) })
    })
}
