//! The events of a check or a watch, read in batches.

use std::sync::{Arc, Mutex as Lock, OnceLock, PoisonError};

use futures::{FutureExt, Stream, StreamExt};
use mcp_startup::auth::HostStore;
use mcp_startup::{Startup, StartupEvent, WatchHandle};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::options::{Opened, Options};
use crate::{HostError, runtime};

/// The maximum number of events in a batch.
const BATCH: usize = 256;

/// The events of a check or a watch. The starts begin with the first call of [`next`](Self::next).
///
/// Dropping it ends every start immediately. A refresh that has been sent is still saved.
pub struct Events {
    inner: Arc<Inner>,
}

struct Inner {
    /// Held across awaits: concurrent calls of `next` get their batches one after another.
    state: Mutex<State>,
    /// The target of `retry`. Set when a watch begins.
    handle: OnceLock<WatchHandle>,
    /// Cancels each start under way: it reports `cancelled`, and the stream ends.
    cancelled: CancellationToken,
    /// Ends everything without further events.
    closed: CancellationToken,
    startup: Lock<Option<Startup>>,
}

type Stopping = Box<dyn Fn() + Send>;

enum State {
    Waiting(String, Option<HostStore>, Kind),
    Running(
        std::pin::Pin<Box<dyn Stream<Item = StartupEvent> + Send>>,
        Stopping,
    ),
    Ended,
}

#[derive(Clone, Copy)]
enum Kind {
    Check,
    Watch,
}

impl Events {
    /// Starts each server once. `options` is [`Options`] as JSON.
    pub fn of_check(options: String, store: Option<HostStore>) -> Self {
        Self::new(State::Waiting(options, store, Kind::Check))
    }

    /// Starts each server, and restarts a failed server when that may help. A server that is ready is closed, as in a check.
    ///
    /// `options` is [`Options`] as JSON.
    pub fn of_watch(options: String, store: Option<HostStore>) -> Self {
        Self::new(State::Waiting(options, store, Kind::Watch))
    }

    fn new(state: State) -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(state),
                handle: OnceLock::new(),
                cancelled: CancellationToken::new(),
                closed: CancellationToken::new(),
                startup: Lock::new(None),
            }),
        }
    }

    /// Waits for the next event. Returns it with the events that are available at that moment. An empty list means that there are no
    /// more events.
    ///
    /// # Errors
    ///
    /// Fails if the options or the configuration can't be used. No events follow an error.
    pub fn next(
        &self,
    ) -> impl Future<Output = Result<Vec<StartupEvent>, HostError>> + Send + use<> {
        let inner = self.inner.clone();
        async move {
            let mut state = inner.state.lock().await;
            if let State::Waiting(..) = &*state
                && let State::Waiting(options, store, kind) =
                    std::mem::replace(&mut *state, State::Ended)
            {
                let opened = Options::parse(&options)?.open(store).await?;
                if inner.cancelled.is_cancelled() {
                    // No start has begun, so there is none to report as cancelled.
                    return Ok(Vec::new());
                }
                *state = inner.begin(opened, kind);
            }
            let State::Running(events, stop) = &mut *state else {
                return Ok(Vec::new());
            };
            let mut is_stopping = false;
            let first = loop {
                tokio::select! {
                    biased;
                    () = inner.closed.cancelled() => break None,
                    () = inner.cancelled.cancelled(), if !is_stopping => {
                        is_stopping = true;
                        stop();
                    }
                    event = events.next() => break event,
                }
            };
            let Some(first) = first else {
                *state = State::Ended;
                return Ok(Vec::new());
            };
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Some(Some(event)) = events.next().now_or_never()
            {
                batch.push(event);
            }
            Ok(batch)
        }
    }

    /// Restarts a failed server now. Does nothing for a check, or if the server is starting or ready.
    ///
    /// Returns whether the watch has a server with this name. Before it has begun, that is not known, and the result is `true`.
    pub fn retry(&self, name: &str) -> bool {
        let Some(handle) = self.inner.handle.get() else {
            return true;
        };
        handle.retry(name);
        handle.has_server(name)
    }

    /// Cancels the starts under way. Each reports `cancelled` and ends its program; no events follow.
    pub fn cancel(&self) {
        self.inner.cancelled.cancel();
    }

    /// Ends every start immediately, as dropping does.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.inner.close();
    }
}

impl Inner {
    fn begin(&self, opened: Opened, kind: Kind) -> State {
        let Opened { startup, servers } = opened;
        let state = match kind {
            Kind::Check => {
                let check = startup.check(servers);
                let stop = check.canceller();
                State::Running(Box::pin(check), Box::new(move || stop.cancel()))
            }
            Kind::Watch => {
                let watch = startup.watch_check(servers);
                let handle = watch.handle();
                let _ = self.handle.set(handle.clone());
                let events = watch.map(|(event, _)| event);
                State::Running(Box::pin(events), Box::new(move || handle.cancel()))
            }
        };
        *self.startup.lock().unwrap_or_else(PoisonError::into_inner) = Some(startup);
        state
    }

    fn close(self: &Arc<Self>) {
        self.closed.cancel();
        match self.state.try_lock() {
            Ok(mut state) => *state = State::Ended,
            // A call of `next` holds the state. It releases it now, because `closed` is set; if its task is aborted, it ends no start.
            Err(_) => {
                if let Ok(handle) = runtime::handle() {
                    let inner = self.clone();
                    handle.spawn(async move { *inner.state.lock().await = State::Ended });
                }
            }
        }
        let startup = self
            .startup
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(startup) = startup {
            runtime::finish_later(startup);
        }
    }
}
