//! Starting servers, and signing in and out.

use std::sync::Arc;

use mcp_startup_host::{Events as HostEvents, HostError, answer, runtime};
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::sync::{Notify, oneshot};

use crate::store::{StoreCalls, store};

/// Does the work on the runtime, for a foreign executor that waits. Dropped, the work is given up.
async fn wait<T: Serialize + Send + 'static>(
    work: impl Future<Output = Result<T, HostError>> + Send + 'static,
) -> String {
    let (sender, answered) = oneshot::channel();
    let begun = runtime::run(work, move |result| {
        // Nobody may be waiting any more.
        let _ = sender.send(answer(result));
    });
    let _work = match begun {
        Ok(task) => Abandoned(task.abort_handle()),
        Err(error) => return answer::<()>(Err(error)),
    };
    answered
        .await
        .unwrap_or_else(|_| answer::<()>(Err(HostError::Internal("given up".to_owned()))))
}

/// Work that nobody waits for any more, once this is dropped.
struct Abandoned(tokio::task::AbortHandle);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Gives up the call that it was handed to. For Swift, where the task that waits is not told to let go of the call, as Kotlin's is.
#[derive(uniffi::Object)]
struct Cancellation(Notify);

#[uniffi::export]
impl Cancellation {
    #[uniffi::constructor]
    fn new() -> Arc<Self> {
        Arc::new(Self(Notify::new()))
    }

    /// Gives the call up, or as soon as it begins.
    fn cancel(&self) {
        self.0.notify_one();
    }
}

/// The same as [`wait`], until it is cancelled.
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
        () = cancelled => answer::<()>(Err(HostError::Internal("given up".to_owned()))),
        answer = wait(work) => answer,
    }
}

/// A check or a watch.
#[derive(uniffi::Object)]
struct Events(HostEvents);

#[uniffi::export]
impl Events {
    /// One start of each server.
    #[uniffi::constructor]
    fn of_check(options: String, calls: Option<Arc<dyn StoreCalls>>) -> Arc<Self> {
        Arc::new(Self(HostEvents::of_check(options, store(calls))))
    }

    /// Starts that go on.
    #[uniffi::constructor]
    fn of_watch(options: String, calls: Option<Arc<dyn StoreCalls>>) -> Arc<Self> {
        Arc::new(Self(HostEvents::of_watch(options, store(calls))))
    }

    /// Waits for the next events: a list, empty at the end.
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

#[uniffi::export(default(cancellation = None))]
async fn authorization(
    options: String,
    calls: Option<Arc<dyn StoreCalls>>,
    server: String,
    rejected: bool,
    sent: Option<String>,
    challenge: Option<String>,
    cancellation: Option<Arc<Cancellation>>,
) -> String {
    let rejected = rejected.then(|| mcp_startup_host::rejected(sent, challenge));
    let store = store(calls);
    wait_unless(cancellation, async move {
        let header = mcp_startup_host::authorization(options, store, server, rejected).await?;
        Ok(header.map(|header| header.expose_secret().to_owned()))
    })
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
    match store(Some(calls)) {
        Some(store) => {
            wait_unless(cancellation, mcp_startup_host::test_credential_store(store)).await
        }
        None => answer::<()>(Ok(())),
    }
}

/// Waits until every refresh that was sent is saved: before the app ends.
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
