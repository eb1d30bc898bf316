//! [`Watch`]: starts servers and restarts a failed server when that may help, until the host cancels it.

pub(crate) mod backoff;
mod store_changes;
mod watched_server;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use mcp_startup_config::ServerEntry;
use mcp_startup_core::McpServerStartupState;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::watched_server::keep_starting_each;
use crate::event::{StartupEvent, Update};
use crate::run::{OnReady, Run};
use crate::start::LiveServer;
use crate::startup::Startup;

impl Startup {
    /// Starts every enabled server, keeps the servers that are ready, and restarts failed servers until you cancel the watch.
    ///
    /// A watch restarts a failed server in three cases:
    ///
    /// * You call [`Watch::retry`], for example from a "Try again" button.
    /// * The stored credentials of the server change: any process has signed in or refreshed the token. The watch checks the store
    ///   about once a second, for failed servers that use a stored sign-in. A store error does not count as a change, and neither
    ///   does a refresh by the start itself. The first change restarts the server immediately. If more changes follow within an hour,
    ///   the watch waits longer after each of them, so that two hosts can't cause each other's restarts forever. A sign-in in another
    ///   client counts too, if that client keeps sign-ins that can be read
    ///   ([`held_sign_in_source`](mcp_startup_config::ServerConfig::held_sign_in_source)).
    /// * The failure is temporary: its recovery is [`Recovery::Retry`](crate::Recovery::Retry), or the credential store is in use or can't
    ///   be read or written to. The watch waits for a random part of 1 s, then of 2 s,
    ///   4 s and so on up to 5 min. If the MCP server or the token endpoint has sent `Retry-After`, the watch waits for that time
    ///   too, but for at most an hour.
    ///
    /// Each start has a `starting` event and one closing event. A server never has two starts at the same time, and
    /// [`StartupOptions::concurrency`](crate::StartupOptions::concurrency) limits the starts of all servers together. The watch
    /// does not restart a server before you have read its failure from the stream. It never opens a browser.
    ///
    /// A server that is ready belongs to you, and the watch no longer monitors it. If you lose the connection, start a new watch.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use futures::StreamExt;
    /// use mcp_startup::auth::{CredentialKey, CredentialRecord, CredentialStore, CredentialStores, MemoryStore};
    /// use mcp_startup::config::ServerConfig;
    /// use mcp_startup::{McpServerStartupState, Startup, StartupOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let lab = mcp_startup_lab::Lab::start(0).await?;
    /// let url = lab.url("first-sign-in");
    /// let server = ServerConfig::http("first-sign-in", &url)?;
    /// let store = MemoryStore::default();
    /// let mut options = StartupOptions::default();
    /// options.stores = Some(CredentialStores::from_store(Arc::new(store.clone())));
    ///
    /// let mut watch = Startup::new(options)?.watch(vec![server.into()]);
    /// while let Some((event, live)) = watch.next().await {
    ///     match event.notification.status() {
    ///         McpServerStartupState::Failed => {
    ///             // The user signs in, here or in another process.
    ///             let record = CredentialRecord::parse(r#"{"access_token": "good-token"}"#)?;
    ///             store.replace(&CredentialKey::new("first-sign-in", &url), None, Some(&record)).await?;
    ///         }
    ///         McpServerStartupState::Ready => {
    ///             println!("{} is ready", event.notification.name());
    ///             live.unwrap().close().await;
    ///             watch.cancel();
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self, servers: Vec<ServerEntry>) -> Watch {
        Watch::begin(self, servers, OnReady::Keep)
    }

    /// Starts and restarts servers as [`watch`](Self::watch) does, but closes each server that is ready, as
    /// [`check`](Self::check) does. The stream yields no live servers.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    pub fn watch_check(&self, servers: Vec<ServerEntry>) -> Watch {
        Watch::begin(self, servers, OnReady::Close)
    }
}

/// A running watch: a stream of events, with a [`LiveServer`] for each `ready`.
///
/// The stream ends only after [`cancel`](Self::cancel), even if every server is ready or has failed. If you drop the watch, all
/// starts end immediately, without a `cancelled` event, and no server is restarted.
///
/// [`Startup::watch`] and [`Startup::watch_check`] create it.
#[derive(Debug)]
pub struct Watch {
    run: Run,
    handle: WatchHandle,
}

/// Controls a [`Watch`] from code that does not own its stream, such as a button. Clones control the same watch.
#[derive(Clone, Debug)]
pub struct WatchHandle {
    servers: Arc<[(String, Signals)]>,
    cancellation: CancellationToken,
}

/// The signals for the task of one server. A signal wakes the task only if it waits at that moment.
#[derive(Clone, Debug, Default)]
struct Signals {
    pub(super) retry: Arc<Notify>,
    /// The host has read the failure from the stream.
    pub(super) failure_is_read: Arc<Notify>,
}

impl WatchHandle {
    /// Restarts the server named `name` now if it has failed. Does nothing if the server is starting, ready or unknown, so a second
    /// or a late call is harmless.
    pub fn retry(&self, name: &str) {
        self.signals(name)
            .for_each(|signals| signals.retry.notify_waiters());
    }

    /// Ends the watch. Each server that is still starting has a `cancelled` event, its program ends, and then the stream ends. The
    /// live servers that the stream has returned are not affected.
    pub fn cancel(&self) {
        self.cancellation.cancel();
    }

    /// Returns whether the watch has a server with this name.
    pub fn has_server(&self, name: &str) -> bool {
        self.signals(name).next().is_some()
    }

    fn signals(&self, name: &str) -> impl Iterator<Item = &Signals> {
        let named = self.servers.iter().filter(move |(known, _)| known == name);
        named.map(|(_, signals)| signals)
    }
}

impl Watch {
    fn begin(startup: &Startup, servers: Vec<ServerEntry>, on_ready: OnReady) -> Self {
        let enabled = servers.into_iter().filter(|entry| entry.enabled);
        let servers: Vec<_> = enabled.map(|entry| (entry, Signals::default())).collect();
        let named = servers
            .iter()
            .map(|(entry, signals)| (entry.name.clone(), signals.clone()));
        let named = named.collect();
        let run = Run::begin(startup, on_ready, |starts| {
            keep_starting_each(starts, servers)
        });
        Self {
            handle: WatchHandle {
                servers: named,
                cancellation: run.cancellation.clone(),
            },
            run,
        }
    }

    /// Returns a handle that controls this watch from elsewhere.
    pub fn handle(&self) -> WatchHandle {
        self.handle.clone()
    }

    /// Restarts a failed server now. See [`WatchHandle::retry`].
    pub fn retry(&self, name: &str) {
        self.handle.retry(name);
    }

    /// Ends the watch. See [`WatchHandle::cancel`].
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Returns the next [`Update`]: an event, or a step between two events that you can show as progress, such as the time of the
    /// next restart. Returns `None` when the watch has ended.
    ///
    /// Use it instead of the stream, which yields only the events. This method is cancel safe: if you drop the future, no update is
    /// lost.
    pub async fn update(&mut self) -> Option<(Update, Option<LiveServer>)> {
        let (update, live) = self.run.updates.recv().await?;
        if let Update::Event(event) = &update {
            self.signal_read(event);
        }
        Some((update, live))
    }

    fn signal_read(&self, event: &StartupEvent) {
        if *event.notification.status() == McpServerStartupState::Failed {
            let signals = self.handle.signals(event.notification.name());
            signals.for_each(|signals| signals.failure_is_read.notify_waiters());
        }
    }
}

impl Stream for Watch {
    type Item = (StartupEvent, Option<LiveServer>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.run.poll_event(context);
        if let Poll::Ready(Some((event, _))) = &polled {
            self.signal_read(event);
        }
        polled
    }
}
