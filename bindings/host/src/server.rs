//! One server: the header for a host's own requests, signing in and out, how it is authorized. `options` is [`Options`] as JSON.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use mcp_startup::auth::{HostStore, PendingSignIn, conformance};
use mcp_startup::{AuthStatus, Rejected, SignedOut};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::options::{Opened, Options};
use crate::{HostError, runtime};

/// The `Authorization` header for a request that the host makes itself; `None` where it is to have none. After a 401 what was sent goes
/// in as `rejected`, and out comes what to send once more: see [`mcp_startup::Startup::authorization`].
///
/// # Errors
///
/// [`HostError::Failure`], the verdict, where nothing is left to send.
pub async fn authorization(
    options: String,
    store: Option<HostStore>,
    server: String,
    rejected: Option<Rejected>,
) -> Result<Option<SecretString>, HostError> {
    let (startup, entry) = Options::parse(&options)?.open_one(store, server).await?;
    let header = startup.authorization(&entry, rejected.as_ref()).await;
    runtime::finish_later(startup);
    header.map_err(HostError::Failure)
}

/// A request that was answered with 401: the value of its `Authorization` header, and the `WWW-Authenticate` of the answer.
pub fn rejected(authorization: Option<String>, challenge: Option<String>) -> Rejected {
    let mut rejected = Rejected::new(authorization.as_deref());
    rejected.challenge = challenge;
    rejected
}

/// How a client is authorized at the server, and what is stored for it. Without `online` nothing is sent.
///
/// # Errors
///
/// [`HostError`] where the options or the configuration can't be used.
pub async fn auth_status(
    options: String,
    store: Option<HostStore>,
    server: String,
    online: bool,
) -> Result<AuthStatus, HostError> {
    let (startup, entry) = Options::parse(&options)?.open_one(store, server).await?;
    Ok(startup.auth_status(&entry, online).await)
}

/// A sign-in that has begun. `pending` is a text that holds secrets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    /// Where the user signs in: to be opened in their browser.
    pub authorization_url: String,
    /// What finishes it, within 15 min, in this process or another.
    pub pending: String,
}

/// Begins a sign-in: see [`mcp_startup::Startup::begin_sign_in`].
///
/// # Errors
///
/// [`HostError::SignIn`].
pub async fn begin_sign_in(
    options: String,
    store: Option<HostStore>,
    server: String,
    redirect_uri: String,
) -> Result<Begun, HostError> {
    let (startup, entry) = Options::parse(&options)?.open_one(store, server).await?;
    let begun = startup.begin_sign_in(&entry, &redirect_uri).await?;
    Ok(Begun {
        authorization_url: begun.authorization_url,
        pending: begun.pending.to_json().expose_secret().to_owned(),
    })
}

/// Finishes a sign-in with the whole URL that the browser came back with: see [`mcp_startup::Startup::finish_sign_in`].
///
/// # Errors
///
/// [`HostError::SignIn`].
pub async fn finish_sign_in(
    options: String,
    store: Option<HostStore>,
    pending: String,
    callback_url: String,
) -> Result<(), HostError> {
    let pending = PendingSignIn::parse(&pending)?;
    let mut options = Options::parse(&options)?;
    options.servers = Some(vec![pending.server_name().to_owned()]);
    let Opened { startup, .. } = options.open(store).await?;
    Ok(startup.finish_sign_in(&pending, &callback_url).await?)
}

/// Signs out: see [`mcp_startup::Startup::sign_out`].
///
/// # Errors
///
/// [`HostError::SignIn`].
pub async fn sign_out(
    options: String,
    store: Option<HostStore>,
    server: String,
) -> Result<SignedOut, HostError> {
    let (startup, entry) = Options::parse(&options)?.open_one(store, server).await?;
    Ok(startup.sign_out(&entry).await?)
}

/// Holds a host's store to what every store must do, each sentence of it: see [`mod@mcp_startup::auth::conformance`]. The store is empty, and
/// what is left in it afterwards is rubbish.
///
/// # Errors
///
/// [`HostError::CredentialStore`] with the first thing that it does not do.
pub async fn test_credential_store(store: HostStore) -> Result<(), HostError> {
    let ran = {
        let _quiet = Quiet::new();
        AssertUnwindSafe(conformance::run(&store))
            .catch_unwind()
            .await
    };
    ran.map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        let said = said.unwrap_or("a case failed");
        HostError::CredentialStore(format!("the store does not do what it must: {said}"))
    })
}

/// While one of these is there, a panic prints nothing: a case that fails is an answer here, and no accident.
struct Quiet;

static QUIET: AtomicUsize = AtomicUsize::new(0);

impl Quiet {
    fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let loud = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if QUIET.load(Ordering::Relaxed) == 0 {
                    loud(info);
                }
            }));
        });
        QUIET.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.fetch_sub(1, Ordering::Relaxed);
    }
}
