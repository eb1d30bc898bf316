//! A sign-in in one call: its listener on loopback, and the wait for the browser.
//!
//! It opens no browser. The binding does, or passes the URL to the host.

use std::sync::Arc;
use std::time::Duration;

use mcp_startup::CallbackListener;
use mcp_startup::auth::{HostStore, PendingSignIn, SignInError, SignInFailureKind};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::HostError;
use crate::options::Options;
use crate::server::Finished;

/// How long a sign-in waits for the browser by default.
const DEFAULT_LIMIT: Duration = Duration::from_secs(300);

/// A sign-in with its own listener on loopback. Call [`begin`](Self::begin), show its URL to the user, and call
/// [`finish`](Self::finish).
///
/// If you drop or [`close`](Self::close) it, the listener ends. A code that was sent is still exchanged, and its tokens are saved.
pub struct InteractiveSignIn {
    inner: Arc<Inner>,
}

struct Inner {
    /// Held across awaits: `finish` waits until `begin` has ended.
    state: Mutex<State>,
    closed: CancellationToken,
}

enum State {
    New(String, Option<HostStore>, String),
    Begun(Box<Begun>),
    Ended,
}

struct Begun {
    startup: Finished,
    listener: CallbackListener,
    pending: PendingSignIn,
    limit: Duration,
}

/// The sign-in page. It contains secrets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignInPage {
    /// The URL to open in the user's browser.
    pub authorization_url: String,
}

impl InteractiveSignIn {
    /// `options` is [`Options`] as JSON, which can have `challenge`, `scopes`, `callbackPort`, `callbackUrl` and `browserTimeoutMs`. By
    /// default, the sign-in waits for the browser for 5 min.
    pub fn new(options: String, store: Option<HostStore>, server: String) -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(State::New(options, store, server)),
                closed: CancellationToken::new(),
            }),
        }
    }

    /// Listens on loopback, and begins the sign-in. See [`mcp_startup::Startup::begin_sign_in_with`].
    ///
    /// # Errors
    ///
    /// [`HostError::SignIn`]. Its kind is [`InvalidConfiguration`](SignInFailureKind::InvalidConfiguration) if the listener can't use
    /// its port.
    pub fn begin(
        &self,
    ) -> impl Future<Output = Result<SignInPage, HostError>> + Send + 'static + use<> {
        let inner = self.inner.clone();
        async move {
            let mut state = inner.state.lock().await;
            let State::New(options, store, server) = std::mem::replace(&mut *state, State::Ended)
            else {
                return Err(ended());
            };
            let beginning = begin(&options, store, server);
            let begun = inner.closed.run_until_cancelled(beginning).await;
            let (begun, page) = begun.ok_or_else(ended)??;
            *state = State::Begun(Box::new(begun));
            Ok(page)
        }
    }

    /// Waits for the browser, finishes the sign-in, and shows the result in the browser. See
    /// [`mcp_startup::CallbackListener::finish_sign_in`].
    ///
    /// # Errors
    ///
    /// [`HostError::SignIn`].
    pub fn finish(&self) -> impl Future<Output = Result<(), HostError>> + Send + 'static + use<> {
        let inner = self.inner.clone();
        async move {
            let state = std::mem::replace(&mut *inner.state.lock().await, State::Ended);
            let State::Begun(mut begun) = state else {
                return Err(ended());
            };
            let finishing =
                begun
                    .listener
                    .finish_sign_in(&begun.startup.0, &begun.pending, begun.limit);
            let finished = inner.closed.run_until_cancelled(finishing).await;
            let finished = finished.ok_or_else(ended)?;
            begun.listener.close().await;
            Ok(finished?)
        }
    }

    /// Ends the sign-in, unless it has finished.
    pub fn close(&self) {
        self.inner.closed.cancel();
        // If the state is locked, `begin` sees the cancellation, and drops the listener.
        if let Ok(mut state) = self.inner.state.try_lock() {
            *state = State::Ended;
        }
    }
}

impl Drop for InteractiveSignIn {
    fn drop(&mut self) {
        self.close();
    }
}

async fn begin(
    options: &str,
    store: Option<HostStore>,
    server: String,
) -> Result<(Begun, SignInPage), HostError> {
    let mut options = Options::parse(options)?;
    let sign_in = options.take_sign_in();
    let browser = options.take_browser();
    let (startup, entry) = options.open_one(store, server).await?;
    let startup = Finished(startup);
    let bound = CallbackListener::bind(&entry, &browser.callback).await;
    let listener = bound.map_err(|error| {
        let message = format!("{error}; choose another callback port, or a free one");
        SignInError::new(SignInFailureKind::InvalidConfiguration, message)
    })?;
    let begun = startup
        .0
        .begin_sign_in_with(&entry, listener.redirect_uri(), &sign_in)
        .await?;
    let page = SignInPage {
        authorization_url: begun.authorization_url,
    };
    let begun = Begun {
        startup,
        listener,
        pending: begun.pending,
        limit: browser.limit.unwrap_or(DEFAULT_LIMIT),
    };
    Ok((begun, page))
}

fn ended() -> HostError {
    let message = "the sign-in has ended: start a new sign-in";
    SignInError::new(SignInFailureKind::Used, message).into()
}

/// The error if no browser could be opened.
pub fn no_browser() -> HostError {
    let message = "no browser could be opened on this machine: show the URL of the sign-in to the user yourself, with the option for it";
    SignInError::new(SignInFailureKind::Unavailable, message).into()
}
