//! A check or a watch, read in batches.

use std::sync::{Arc, Mutex as Lock, OnceLock, PoisonError};

use futures::{FutureExt, Stream, StreamExt};
use mcp_startup::auth::HostStore;
use mcp_startup::{Startup, StartupEvent, WatchHandle};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::options::{Opened, Options};
use crate::{HostError, runtime};

/// How many events are handed on at once, so that a batch does not grow without bound.
const BATCH: usize = 256;

/// The events of a check or a watch. Nothing begins before they are asked for.
///
/// Dropped, it ends every start at once; a refresh that was sent is saved all the same.
pub struct Events {
    inner: Arc<Inner>,
}

struct Inner {
    /// Held over an await: two that ask at once get one batch after the other.
    state: Mutex<State>,
    /// Where `retry` goes, once a watch has begun.
    handle: OnceLock<WatchHandle>,
    /// Each start says that it is cancelled, and the stream ends.
    cancelled: CancellationToken,
    /// Everything ends now.
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
    /// One start of each server. `options`: [`Options`] as JSON.
    pub fn of_check(options: String, store: Option<HostStore>) -> Self {
        Self::new(State::Waiting(options, store, Kind::Check))
    }

    /// Starts that go on: a server that failed is started again when that may help. Those that are ready are closed, as in a check.
    ///
    /// `options`: [`Options`] as JSON.
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

    /// Waits for the next events, and gives all that are there. None, and there will be no more.
    ///
    /// # Errors
    ///
    /// [`HostError`] where the options or the configuration can't be used; there will be no more then either.
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
                    // Nothing is starting that could be given up.
                    return Ok(Vec::new());
                }
                *state = inner.begin(opened, kind);
            }
            let State::Running(events, stop) = &mut *state else {
                return Ok(Vec::new());
            };
            let mut asked = false;
            let first = loop {
                tokio::select! {
                    biased;
                    () = inner.closed.cancelled() => break None,
                    () = inner.cancelled.cancelled(), if !asked => {
                        asked = true;
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

    /// Starts the server of this name again now, if this is a watch and it has failed; else nothing.
    pub fn retry(&self, name: &str) {
        if let Some(handle) = self.inner.handle.get() {
            handle.retry(name);
        }
    }

    /// Gives up what is still starting: each such start says `cancelled`, its program ends, and there are no events after that.
    pub fn cancel(&self) {
        self.inner.cancelled.cancel();
    }

    /// Ends everything at once, as dropping it does.
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
            // Who waits for the next events lets go of it by that, or is being aborted and ends nothing.
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
