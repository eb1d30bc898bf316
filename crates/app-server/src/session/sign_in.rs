//! The sign-ins that a client has begun, and its sign-outs. The client opens the browser, which returns to a listener on loopback.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_startup::auth::{PendingSignIn, SIGN_IN_LIMIT, SignInError};
use mcp_startup::{
    CallbackListener, CallbackOptions, CallbackPage, ClientRegistration, SignInOptions, printable,
    sign_in_not_completed,
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

/// The sign-ins of a client that have begun, by their IDs.
#[derive(Default)]
pub(super) struct SignIns {
    begun: Mutex<HashMap<String, Begun>>,
}

struct Begun {
    server: String,
    ended: CancellationToken,
}

impl SignIns {
    /// Ends all of them.
    pub fn end(&self) {
        self.cancel(|_, _| true);
    }

    /// Ends those that `selects` selects, by ID and server. Returns whether there was one.
    fn cancel(&self, selects: impl Fn(&str, &str) -> bool) -> bool {
        let begun = self.lock();
        let selected = begun
            .iter()
            .filter(|(id, begun)| selects(id, &begun.server));
        selected.map(|(_, begun)| begun.ended.cancel()).count() > 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a sign-in among those of its client. Dropping it removes the sign-in.
struct Place {
    session: Arc<Session>,
    id: String,
    /// Cancelled when the sign-in must end.
    ended: CancellationToken,
}

impl Place {
    /// Adds a sign-in, and ends the earlier ones to its server. Under one lock, so that of several that begin at once one remains.
    fn take(session: &Arc<Session>, server: &Server) -> Self {
        let id = Uuid::now_v7().to_string();
        let ended = CancellationToken::new();
        let added = Begun {
            server: server.entry.name.clone(),
            ended: ended.clone(),
        };
        let mut begun = session.sign_ins.lock();
        let earlier = begun.values().filter(|begun| begun.server == added.server);
        earlier.for_each(|earlier| earlier.ended.cancel());
        begun.insert(id.clone(), added);
        Self {
            session: session.clone(),
            id,
            ended,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.session.sign_ins.lock().remove(&self.id);
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
        // Before anything else: an earlier sign-in may use the configured port.
        let place = Place::take(self, &server);
        let mut options = SignInOptions::default();
        options.scopes = params.scopes.unwrap_or_default();
        options.client_registration = match params.client_registration {
            None | Some(McpServerOauthClientRegistration::Auto) => ClientRegistration::Auto,
            Some(McpServerOauthClientRegistration::Cimd) => ClientRegistration::MetadataDocument,
            Some(McpServerOauthClientRegistration::Dcr) => ClientRegistration::Dynamic,
        };
        let beginning = async {
            let listener = CallbackListener::bind(&server.entry, &CallbackOptions::default()).await;
            let listener = listener.map_err(|error| {
                RpcError::failed(format!("The sign-in could not begin: {error}."))
                    .with_reason("callbackUnavailable")
            })?;
            let startup = self.app.startup();
            let begun =
                startup.begin_sign_in_with(&server.entry, listener.redirect_uri(), &options);
            let begun = begun.await.map_err(|error| refused(&server, &error))?;
            Ok((listener, begun))
        };
        let (listener, begun) = tokio::select! {
            biased;
            () = place.ended.cancelled() => {
                let message = "The sign-in has ended, because a later one to the same server has begun.";
                return Err(RpcError::failed(message).with_reason("cancelled"));
            }
            begun = beginning => begun?,
        };
        let response = McpServerOauthLoginResponse {
            authorization_url: begun.authorization_url,
            login_id: place.id.clone(),
        };
        let sign_in = SignIn {
            app: self.app.clone(),
            server,
            thread_id: params.thread_id,
            place,
            pending: begun.pending,
            listener,
            limit,
        };
        self.app.connections().spawn(sign_in.run());
        Ok(response)
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
    server: Arc<Server>,
    thread_id: Option<String>,
    place: Place,
    pending: PendingSignIn,
    listener: CallbackListener,
    limit: Duration,
}

impl SignIn {
    /// Waits for the browser, finishes the sign-in, reports it, and starts the server again.
    async fn run(mut self) {
        let error = self.finish().await.err();
        // The port is free for the next sign-in, even if this client reads slowly.
        let closing = self.app.connections().spawn(self.listener.close());
        let success = error.is_none();
        let completed = McpServerOauthLoginCompletedNotification {
            name: self.server.entry.name.clone(),
            thread_id: self.thread_id,
            login_id: self.place.id.clone(),
            success,
            error,
        };
        let outgoing = self.place.session.outgoing.clone();
        drop(self.place);
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
                () = self.place.ended.cancelled() => {
                    return Err("The sign-in was cancelled, and nothing was changed.".to_owned());
                }
                () = tokio::time::sleep_until(deadline) => {
                    let problem = sign_in_not_completed(self.limit, "begin it again");
                    return Err(format!("The sign-in {problem}."));
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
