//! Credential stores that are implemented in Python.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mcp_startup_host::{
    HostFuture, HostLease, HostLeaseState, HostLock, HostRecords, host_lock, lease_state, runtime,
};
use pyo3::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use crate::attach::attach;

/// The answer of Python: an optional text, or an error message.
type Answer = Result<Option<String>, String>;

/// A store, called through the bridge of `_store.py`, which runs it on an event loop.
pub struct Records(Arc<Py<PyAny>>);

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl Records {
    pub fn new(bridge: Py<PyAny>) -> Self {
        Self(Arc::new(bridge))
    }

    /// Calls the bridge on a thread that may wait for the GIL.
    fn ask(
        &self,
        operation: &'static str,
        arguments: Vec<Option<String>>,
    ) -> HostFuture<Option<String>> {
        let bridge = self.0.clone();
        Box::pin(async move {
            let (sender, answer) = oneshot::channel();
            let called = in_background(move |py| {
                let reply = Reply(Mutex::new(Some(sender)));
                bridge
                    .call_method1(py, "call", (operation, arguments, reply))
                    .map(drop)
                    .map_err(|error| error.to_string())
            });
            called.await?;
            // A reply that was dropped never answers.
            answer
                .await
                .unwrap_or_else(|_| Err("the store did not answer".to_owned()))
        })
    }
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce(Python<'_>) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let ended = || "Python is shutting down".to_owned();
    let handle = runtime::handle().map_err(|error| error.to_string())?;
    let worked = handle.spawn_blocking(move || attach(work));
    match worked.await {
        Ok(Some(result)) => result,
        Ok(None) => Err(ended()),
        Err(error) => Err(error.to_string()),
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
        let bridge = self.0.clone();
        Box::pin(async move {
            let token = locked.await?.unwrap_or_default();
            Ok(host_lock(token, |token| Held {
                bridge,
                token: Some(token),
                attempt_has_ended: AtomicBool::new(false),
            }))
        })
    }
}

/// A held lock of the store. Dropping it releases the lock.
struct Held {
    bridge: Arc<Py<PyAny>>,
    token: Option<String>,
    attempt_has_ended: AtomicBool,
}

impl HostLease for Held {
    fn renew(&self, attempt: Option<String>) -> HostFuture<Option<HostLeaseState>> {
        let records = Records(self.bridge.clone());
        let renewed = records.ask("renew", vec![self.token.clone(), attempt]);
        Box::pin(async move { lease_state(renewed.await?.as_deref()) })
    }

    fn end_attempt(&self) {
        self.attempt_has_ended.store(true, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (bridge, token) = (self.bridge.clone(), self.token.take());
        let ended = *self.attempt_has_ended.get_mut();
        if let Ok(handle) = runtime::handle() {
            handle.spawn_blocking(move || {
                attach(|py| {
                    if let Err(error) = bridge.call_method1(py, "release", (token, ended)) {
                        error.write_unraisable(py, None);
                    }
                });
            });
        }
    }
}

/// Calls the function that ends a lease, for the conformance suite.
pub fn lapse(bridge: Py<PyAny>) -> Box<dyn Fn(String) -> HostFuture<()> + Send + Sync> {
    let records = Records::new(bridge);
    Box::new(move |key| {
        let lapsed = records.ask("lapse", vec![Some(key)]);
        Box::pin(async move { lapsed.await.map(drop) })
    })
}

/// The receiver for the answer to one call. Only the first answer counts.
#[pyclass(frozen, module = "mcp_startup._native")]
pub struct Reply(Mutex<Option<oneshot::Sender<Answer>>>);

#[pymethods]
impl Reply {
    /// The call has succeeded, with an optional text.
    fn ok(&self, text: Option<String>) {
        self.send(Ok(text));
    }

    /// The call has failed. `message` is human-readable.
    fn error(&self, message: String) {
        self.send(Err(message));
    }
}

impl Reply {
    fn send(&self, answer: Answer) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // The caller may have stopped waiting.
            let _ = sender.send(answer);
        }
    }
}
