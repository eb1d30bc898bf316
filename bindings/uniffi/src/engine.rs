//! The engine: checks and watches, sign-in and sign-out.

use std::sync::Arc;

use mcp_startup_host::{Events as HostEvents, HostError, TestedStore, answer, runtime};
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::sync::{Notify, oneshot};

use crate::store::{StoreCalls, store};

const CANCELLED: &str = "the call was cancelled";

/// Runs the work on the runtime of the process, and awaits it from a foreign executor. Dropping the future cancels the work.
async fn wait<T: Serialize + Send + 'static>(
    work: impl Future<Output = Result<T, HostError>> + Send + 'static,
) -> String {
    let (sender, receiver) = oneshot::channel();
    let spawned = runtime::run(work, move |result| {
        // The receiver may be gone.
        let _ = sender.send(answer(result));
    });
    let _work = match spawned {
        Ok(task) => AbortOnDrop(task.abort_handle()),
        Err(error) => return answer::<()>(Err(error)),
    };
    receiver
        .await
        .unwrap_or_else(|_| answer::<()>(Err(HostError::Internal(CANCELLED.to_owned()))))
}

/// Aborts a task when it is dropped.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Cancels the call that it is passed to. Swift needs it, because the generated Swift code does not cancel the call with its task. The
/// generated Kotlin code does.
#[derive(uniffi::Object)]
struct Cancellation(Notify);

#[uniffi::export]
impl Cancellation {
    #[uniffi::constructor]
    fn new() -> Arc<Self> {
        Arc::new(Self(Notify::new()))
    }

    /// Cancels the call, or a call that begins later.
    fn cancel(&self) {
        self.0.notify_one();
    }
}

/// Does the same as [`wait`], but returns as soon as `cancellation` is triggered.
async fn wait_unless<T: Serialize + Send + 'static>(
    cancellation: Option<Arc<Cancellation>>,
    work: impl Future<Output = Result<T, HostError>> + Send + 'static,
) -> String {
    let cancelled = async {
        match &cancellation {
            Some(cancellation) => cancellation.0.notified().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = cancelled => answer::<()>(Err(HostError::Internal(CANCELLED.to_owned()))),
        answer = wait(work) => answer,
    }
}

/// The events of a check or a watch.
#[derive(uniffi::Object)]
struct Events(HostEvents);

#[uniffi::export]
impl Events {
    /// Starts each server once.
    #[uniffi::constructor]
    fn of_check(options: String, calls: Option<Arc<dyn StoreCalls>>) -> Arc<Self> {
        Arc::new(Self(HostEvents::of_check(options, store(calls))))
    }

    /// Starts each server, and restarts a failed server when that may help.
    #[uniffi::constructor]
    fn of_watch(options: String, calls: Option<Arc<dyn StoreCalls>>) -> Arc<Self> {
        Arc::new(Self(HostEvents::of_watch(options, store(calls))))
    }

    /// Waits for the next events. Returns a list, which is empty after the last event.
    async fn next(&self) -> String {
        wait(self.0.next()).await
    }

    fn retry(&self, name: String) {
        self.0.retry(&name);
    }

    fn cancel(&self) {
        self.0.cancel();
    }

    fn close(&self) {
        self.0.close();
    }
}

/// Finds the files of the MCP clients on this machine.
#[uniffi::export(default(cancellation = None))]
async fn discover(options: String, cancellation: Option<Arc<Cancellation>>) -> String {
    wait_unless(cancellation, clients::discover(options)).await
}

/// Finds the servers that a check with these options leaves out.
#[uniffi::export(default(cancellation = None))]
async fn not_checked(options: String, cancellation: Option<Arc<Cancellation>>) -> String {
    wait_unless(cancellation, clients::not_checked(options)).await
}

#[cfg(feature = "clients")]
use mcp_startup_host as clients;

/// A library for phones exports the same functions, because the code that UniFFI generates looks for each of them.
#[cfg(not(feature = "clients"))]
mod clients {
    use super::HostError;

    pub async fn discover(_options: String) -> Result<(), HostError> {
        Err(HostError::InvalidArgument(
            "this library was built without the feature `clients`, and can't find MCP clients"
                .to_owned(),
        ))
    }

    pub use discover as not_checked;
}

/// `rejected_status` is the status of the response that refused the request that had `sent`, if there was one.
#[uniffi::export(default(cancellation = None))]
async fn authorization(
    options: String,
    calls: Option<Arc<dyn StoreCalls>>,
    server: String,
    rejected_status: Option<u16>,
    sent: Option<String>,
    challenge: Option<String>,
    cancellation: Option<Arc<Cancellation>>,
) -> String {
    let rejected =
        rejected_status.map(|status| mcp_startup_host::rejected(status, sent, challenge));
    let store = store(calls);
    wait_unless(cancellation, async move {
        let header = mcp_startup_host::authorization(options, store, server, rejected).await?;
        Ok(header.map(|header| header.expose_secret().to_owned()))
    })
    .await
}

/// As [`authorization`]. Returns null if `url` has another origin than the server.
#[allow(
    clippy::too_many_arguments,
    reason = "the languages call it with named arguments"
)]
#[uniffi::export(default(cancellation = None))]
async fn request_authorization(
    options: String,
    calls: Option<Arc<dyn StoreCalls>>,
    server: String,
    url: String,
    rejected_status: Option<u16>,
    sent: Option<String>,
    challenge: Option<String>,
    cancellation: Option<Arc<Cancellation>>,
) -> String {
    let rejected =
        rejected_status.map(|status| mcp_startup_host::rejected(status, sent, challenge));
    let store = store(calls);
    wait_unless(
        cancellation,
        mcp_startup_host::request_authorization(options, store, server, url, rejected),
    )
    .await
}

#[uniffi::export(default(cancellation = None))]
async fn auth_status(
    options: String,
    calls: Option<Arc<dyn StoreCalls>>,
    server: String,
    online: bool,
    cancellation: Option<Arc<Cancellation>>,
) -> String {
    wait_unless(
        cancellation,
        mcp_startup_host::auth_status(options, store(calls), server, online),
    )
    .await
}

#[uniffi::export(default(cancellation = None))]
async fn begin_sign_in(
    options: String,
    calls: Option<Arc<dyn StoreCalls>>,
    server: String,
    redirect_uri: String,
    cancellation: Option<Arc<Cancellation>>,
) -> String {
    let store = store(calls);
    wait_unless(
        cancellation,
        mcp_startup_host::begin_sign_in(options, store, server, redirect_uri),
    )
    .await
}

#[uniffi::export(default(cancellation = None))]
async fn finish_sign_in(
    options: String,
    calls: Option<Arc<dyn StoreCalls>>,
    pending: String,
    callback_url: String,
    cancellation: Option<Arc<Cancellation>>,
) -> String {
    let store = store(calls);
    wait_unless(
        cancellation,
        mcp_startup_host::finish_sign_in(options, store, pending, callback_url),
    )
    .await
}

#[uniffi::export(default(cancellation = None))]
async fn sign_out(
    options: String,
    calls: Option<Arc<dyn StoreCalls>>,
    server: String,
    cancellation: Option<Arc<Cancellation>>,
) -> String {
    wait_unless(
        cancellation,
        mcp_startup_host::sign_out(options, store(calls), server),
    )
    .await
}

#[uniffi::export(default(cancellation = None))]
async fn test_credential_store(
    calls: Arc<dyn StoreCalls>,
    cancellation: Option<Arc<Cancellation>>,
) -> String {
    let store = TestedStore {
        options: "{}".to_owned(),
        host: store(Some(calls)),
    };
    let tested = mcp_startup_host::test_credential_store(store, None);
    wait_unless(cancellation, tested).await
}

/// Waits until the new token of every refresh in flight is saved. Call it before the app ends.
#[uniffi::export]
async fn finish() {
    if !runtime::is_finished() {
        wait(async {
            runtime::finished().await;
            Ok(())
        })
        .await;
    }
}
