//! The sign-ins that a client has begun, and its sign-outs. The client opens the browser, which returns to a listener on loopback.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_startup::auth::{PendingSignIn, SIGN_IN_LIMIT, SignInError};
use mcp_startup::{
    CallbackListener, CallbackOptions, CallbackPage, ClientRegistration, SignInOptions, printable,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{NAME_CHARS, Server, Session};
use crate::app_server::AppServer;
use crate::protocol::RpcError;
use crate::protocol::codex::{
    McpServerOauthClientRegistration, McpServerOauthLoginCompletedNotification,
    McpServerOauthLoginParams, McpServerOauthLoginResponse,
};
use crate::protocol::startup::{ServerParams, SignedOut};

/// How long a sign-in waits for the browser, if the client does not choose it.
const DEFAULT_LIMIT: Duration = Duration::from_secs(300);

/// The sign-ins of a client that wait for the browser, by their IDs.
#[derive(Default)]
pub(super) struct SignIns {
    waiting: Mutex<HashMap<String, Waiting>>,
}

struct Waiting {
    server: String,
    ended: CancellationToken,
}

impl SignIns {
    /// Adds a sign-in, and ends the earlier ones to its server. Under one lock, so that two that begin at once leave one.
    fn add(&self, id: String, added: Waiting) {
        let mut waiting = self.lock();
        let earlier = waiting
            .values()
            .filter(|earlier| earlier.server == added.server);
        earlier.for_each(|earlier| earlier.ended.cancel());
        waiting.insert(id, added);
    }

    /// Ends all of them.
    pub fn end(&self) {
        self.cancel(|_, _| true);
    }

    /// Ends those that `selects` selects, by ID and server. Returns whether there was one.
    fn cancel(&self, selects: impl Fn(&str, &str) -> bool) -> bool {
        let waiting = self.lock();
        let selected = waiting
            .iter()
            .filter(|(id, waiting)| selects(id, &waiting.server));
        selected.map(|(_, waiting)| waiting.ended.cancel()).count() > 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Begins a sign-in. An earlier one to the same server ends.
    ///
    /// # Errors
    ///
    /// Returns an error if no sign-in can begin.
    pub async fn login(
        self: &Arc<Self>,
        params: McpServerOauthLoginParams,
    ) -> Result<McpServerOauthLoginResponse, RpcError> {
        let server = self.server(&params.name, params.environment_id.as_deref())?;
        let limit = limit(params.timeout_secs)?;
        // An earlier sign-in may listen on the configured port.
        self.sign_ins.cancel(|_, name| name == server.entry.name);
        let listener = CallbackListener::bind(&server.entry, &CallbackOptions::default()).await;
        let listener = listener.map_err(|error| {
            RpcError::failed(format!("The sign-in could not begin: {error}."))
                .with_reason("callbackUnavailable")
        })?;
        let mut options = SignInOptions::default();
        options.scopes = params.scopes.unwrap_or_default();
        options.client_registration = match params.client_registration {
            None | Some(McpServerOauthClientRegistration::Auto) => ClientRegistration::Auto,
            Some(McpServerOauthClientRegistration::Cimd) => ClientRegistration::MetadataDocument,
            Some(McpServerOauthClientRegistration::Dcr) => ClientRegistration::Dynamic,
        };
        let startup = self.app.startup();
        let begun = startup.begin_sign_in_with(&server.entry, listener.redirect_uri(), &options);
        let begun = begun.await.map_err(|error| refused(&server, &error))?;

        let id = Uuid::now_v7().to_string();
        let ended = CancellationToken::new();
        let waiting = Waiting {
            server: server.entry.name.clone(),
            ended: ended.clone(),
        };
        self.sign_ins.add(id.clone(), waiting);
        let sign_in = SignIn {
            app: self.app.clone(),
            session: self.clone(),
            server,
            thread_id: params.thread_id,
            id: id.clone(),
            pending: begun.pending,
            listener,
            limit,
            ended,
        };
        self.app.connections().spawn(sign_in.run());
        Ok(McpServerOauthLoginResponse {
            authorization_url: begun.authorization_url,
            login_id: id,
        })
    }

    /// Ends a sign-in that waits for the browser. Returns whether there was one.
    pub fn cancel_login(&self, id: &str) -> bool {
        self.sign_ins.cancel(|known, _| known == id)
    }

    /// Signs out of a server, and starts it again for all clients.
    ///
    /// # Errors
    ///
    /// Returns an error if the stored record can't be read or removed.
    pub async fn sign_out(&self, params: ServerParams) -> Result<SignedOut, RpcError> {
        let server = self.server(&params.name, params.environment_id.as_deref())?;
        let signed_out = self.app.startup().sign_out(&server.entry).await;
        let signed_out = signed_out.map_err(|error| refused(&server, &error))?;
        if signed_out.was_stored {
            restart(&self.app, &server);
        }
        Ok(signed_out)
    }
}

/// Starts this server again for all clients, because its stored sign-in has changed.
fn restart(app: &AppServer, server: &Server) {
    for session in app.sessions() {
        if let Ok(same) = session.server(&server.entry.name, None)
            && same.entry.is_unchanged(&server.entry)
        {
            same.restart();
        }
    }
}

fn limit(seconds: Option<i64>) -> Result<Duration, RpcError> {
    match seconds.map(u64::try_from) {
        None => Ok(DEFAULT_LIMIT),
        // A sign-in that has begun is valid for 15 minutes.
        Some(Ok(seconds @ 1..)) => Ok(Duration::from_secs(seconds).min(SIGN_IN_LIMIT)),
        Some(_) => Err(RpcError::invalid_params(
            "`timeoutSecs` must be at least 1.",
        )),
    }
}

fn refused(server: &Server, error: &SignInError) -> RpcError {
    let name = printable(&server.entry.name, NAME_CHARS);
    RpcError::failed(format!("{name}: {error}")).with_reason(error.kind())
}

/// A sign-in that waits for the browser.
struct SignIn {
    app: AppServer,
    session: Arc<Session>,
    server: Arc<Server>,
    thread_id: Option<String>,
    id: String,
    pending: PendingSignIn,
    listener: CallbackListener,
    limit: Duration,
    ended: CancellationToken,
}

impl SignIn {
    /// Waits for the browser, finishes the sign-in, reports it, and starts the server again.
    async fn run(mut self) {
        let error = self.finish().await.err();
        // The port is free for the next sign-in, even if this client reads slowly.
        let closing = self.app.connections().spawn(self.listener.close());
        self.session.sign_ins.lock().remove(&self.id);
        let success = error.is_none();
        let completed = McpServerOauthLoginCompletedNotification {
            name: self.server.entry.name.clone(),
            thread_id: self.thread_id,
            login_id: self.id,
            success,
            error,
        };
        let outgoing = self.session.outgoing.clone();
        outgoing
            .notify("mcpServer/oauthLogin/completed", &completed)
            .await;
        if success {
            restart(&self.app, &self.server);
        }
        let _ = closing.await;
    }

    /// # Errors
    ///
    /// Returns a message for the user.
    async fn finish(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + self.limit;
        loop {
            let callback = tokio::select! {
                biased;
                () = self.ended.cancelled() => {
                    return Err("The sign-in was cancelled, and nothing was changed.".to_owned());
                }
                () = tokio::time::sleep_until(deadline) => {
                    return Err(format!(
                        "The sign-in was not completed within {} s, and nothing was changed: begin it again.",
                        self.limit.as_secs()
                    ));
                }
                callback = self.listener.next() => callback,
            };
            let Some(callback) = callback else {
                return Err(
                    "The listener for the browser has stopped: begin the sign-in again.".to_owned(),
                );
            };
            // Outside of the `select!`: a code that was sent is not given up.
            let startup = self.app.startup();
            let finished = startup.finish_sign_in(&self.pending, &callback.url).await;
            let page = CallbackPage::of(&finished);
            callback.answer(page);
            // After another program's request, the right one may still arrive.
            if page != CallbackPage::InvalidCallback {
                return finished.map_err(|error| error.to_string());
            }
        }
    }
}
