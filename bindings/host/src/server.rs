//! The calls for one server: the header for a host's own requests, the sign-in, the sign-out, and the authorization status.
//!
//! In each call, `options` is [`Options`] as JSON.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use futures::FutureExt;
use mcp_startup::auth::{
    CredentialKey, CredentialStore, HostFuture, HostLease, HostLeaseState, HostLock, HostStore,
    PendingSignIn, conformance,
};
use mcp_startup::config::TransportConfig;
use mcp_startup::{AuthStatus, Rejected, SignedOut, Startup};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use crate::options::{Opened, Options};
use crate::{HostError, runtime};

/// Returns the value of the `Authorization` header for a request that the host sends itself. `None` means: send no such header.
///
/// After an answer of 401, pass the rejected header value as `rejected`: the call returns the value for the second attempt. See
/// [`mcp_startup::Startup::authorization`].
///
/// # Errors
///
/// [`HostError::Failure`] with the verdict if no credential is left to send, and [`HostError::InvalidArgument`] if the status of `rejected`
/// is neither 401 nor 403.
pub async fn authorization(
    options: String,
    store: Option<HostStore>,
    server: String,
    rejected: Option<Rejected>,
) -> Result<Option<SecretString>, HostError> {
    require_refusal(rejected.as_ref())?;
    let (startup, entry) = Options::parse(&options)?.open_one(store, server).await?;
    let startup = Finished(startup);
    let header = startup.0.authorization(&entry, rejected.as_ref()).await;
    header.map_err(HostError::Failure)
}

/// Returns the header for a request of an adapter, which may send requests to any URL. `None` means that `url` has another origin
/// than the server: the request must not have the header, and its response is none of the server's.
///
/// # Errors
///
/// As [`authorization`], and [`HostError::InvalidArgument`] if the server is a program.
pub async fn request_authorization(
    options: String,
    store: Option<HostStore>,
    server: String,
    url: String,
    rejected: Option<Rejected>,
) -> Result<Option<RequestAuthorization>, HostError> {
    require_refusal(rejected.as_ref())?;
    let (startup, entry) = Options::parse(&options)?.open_one(store, server).await?;
    if let Ok(config) = &entry.config {
        let TransportConfig::Http(http) = &config.transport else {
            let name = &entry.name;
            return Err(HostError::InvalidArgument(format!(
                "`{name}` is a program; only requests to a server with a URL can be authorized"
            )));
        };
        if !Url::parse(&url).is_ok_and(|url| url.origin() == http.url.origin()) {
            return Ok(None);
        }
    }
    let startup = Finished(startup);
    let header = startup.0.authorization(&entry, rejected.as_ref()).await;
    let header = header.map_err(HostError::Failure)?;
    Ok(Some(RequestAuthorization {
        header: header.map(|header| header.expose_secret().to_owned()),
    }))
}

/// Fails if another status than one of a refusal was passed: no verdict could explain it.
fn require_refusal(rejected: Option<&Rejected>) -> Result<(), HostError> {
    match rejected.map(|rejected| rejected.status) {
        None | Some(401 | 403) => Ok(()),
        Some(status) => Err(HostError::InvalidArgument(format!(
            "the rejected request: `status` must be 401 or 403, not {status}"
        ))),
    }
}

/// The authorization of a request to a server. It contains a secret.
#[derive(Serialize)]
pub struct RequestAuthorization {
    /// The value of the `Authorization` header, or `None` to send none.
    pub header: Option<String>,
}

/// An engine. When this is dropped, also because the host has cancelled the call, a task of the process takes over the waiting for
/// the refreshes, code exchanges and sign-outs in flight.
pub(crate) struct Finished(pub Startup);

impl Drop for Finished {
    fn drop(&mut self) {
        runtime::finish_later(self.0.clone());
    }
}

/// Describes a request that the server answered with `status`: 401 or 403. `authorization` is the value of its `Authorization` header, and
/// `challenge` is the `WWW-Authenticate` header of the answer.
pub fn rejected(status: u16, authorization: Option<String>, challenge: Option<String>) -> Rejected {
    let mut rejected = Rejected::new(authorization.as_deref());
    rejected.challenge = challenge;
    rejected.status = status;
    rejected
}

/// Returns how a client is authorized at the server, and the state of the stored credential. Without `online` it sends no request.
///
/// # Errors
///
/// Fails if the options or the configuration can't be used.
pub async fn auth_status(
    options: String,
    store: Option<HostStore>,
    server: String,
    online: bool,
) -> Result<AuthStatus, HostError> {
    let (startup, entry) = Options::parse(&options)?.open_one(store, server).await?;
    Ok(startup.auth_status(&entry, online).await)
}

/// A sign-in in progress. Both fields contain secrets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    /// The URL of the sign-in page. Open it in the user's browser.
    pub authorization_url: String,
    /// The state of the sign-in, for [`finish_sign_in`]. Valid for one use and for 15 minutes, in any process.
    pub pending: String,
}

/// Begins a sign-in, for which `options` can have `challenge` and `scopes`. See [`mcp_startup::Startup::begin_sign_in_with`].
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
    let mut options = Options::parse(&options)?;
    let sign_in = options.take_sign_in();
    let (startup, entry) = options.open_one(store, server).await?;
    let begun = startup
        .begin_sign_in_with(&entry, &redirect_uri, &sign_in)
        .await?;
    Ok(Begun {
        authorization_url: begun.authorization_url,
        pending: begun.pending.to_json().expose_secret().to_owned(),
    })
}

/// Finishes a sign-in. `callback_url` is the complete URL to which the authorization server redirected the browser. See
/// [`mcp_startup::Startup::finish_sign_in`].
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
    let Opened { startup, servers } = options.open(store).await?;
    let startup = Finished(startup);
    let (startup, name) = (&startup.0, pending.server_name());
    let finished = match servers.iter().find(|server| server.name == name) {
        Some(server) => {
            startup
                .finish_sign_in_to(server, &pending, &callback_url)
                .await
        }
        None => startup.finish_sign_in(&pending, &callback_url).await,
    };
    Ok(finished?)
}

/// Signs out. See [`mcp_startup::Startup::sign_out`].
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
    let startup = Finished(startup);
    Ok(startup.0.sign_out(&entry).await?)
}

/// Wraps a lock that a host granted with a token. The bindings begin the token of a lock that can be lost with `lease `.
pub fn host_lock<L: HostLease>(token: String, hold: impl FnOnce(String) -> L) -> HostLock {
    let is_lease = token.starts_with("lease ");
    let held = hold(token);
    match is_lease {
        true => HostLock::Leased(Box::new(held)),
        false => HostLock::held(held),
    }
}

/// Reads the state of a lease as the bindings write it: how long it lasts and, after a space, the time of an earlier attempt, both in
/// ms. `None` means that the lock was lost.
///
/// # Errors
///
/// A message if the text is something else.
pub fn lease_state(text: Option<&str>) -> Result<Option<HostLeaseState>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    let mut numbers = text.split(' ').map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(remaining)), None) => Ok((remaining, None)),
        (Some(Ok(remaining)), Some(Ok(sent))) => Ok((remaining, Some(sent))),
        _ => Err("`renew` must return how long the lease lasts, in ms".to_owned()),
    }
    .map(|(remaining, sent_before_at_ms)| {
        Some(HostLeaseState {
            remaining: Duration::from_millis(remaining),
            sent_before_at_ms,
        })
    })
}

/// A store for [`test_credential_store`].
pub struct TestedStore {
    /// [`Options`] as JSON. If the host does not implement the store, they name a user of a database.
    pub options: String,
    /// The store of the host.
    pub host: Option<HostStore>,
}

impl TestedStore {
    async fn open(self) -> Result<Arc<dyn CredentialStore>, HostError> {
        let store = Options::parse(&self.options)?.store(self.host).await?;
        store
            .ok_or_else(|| HostError::InvalidArgument("the options: `store` is missing".to_owned()))
    }
}

/// The lease half of the conformance suite, for a store whose locks can be lost.
pub struct LeaseTest {
    /// Another instance of the store, as on another host.
    pub other: TestedStore,
    /// Ends the lease of a key now.
    pub lapse: Box<dyn Fn(String) -> HostFuture<()> + Send + Sync>,
}

/// Runs the conformance suite on a host's store. See [`mod@mcp_startup::auth::conformance`]. The store must be empty; the suite leaves
/// test records in it.
///
/// # Errors
///
/// [`HostError::CredentialStore`] with the first case that fails.
pub async fn test_credential_store(
    store: TestedStore,
    leases: Option<LeaseTest>,
) -> Result<(), HostError> {
    let store = store.open().await?;
    let mut case = "";
    let ran = {
        let _quiet = Quiet::new();
        AssertUnwindSafe(conformance::run_cases(&*store, |name| case = name))
            .catch_unwind()
            .await
    };
    ran.map_err(|panic| failed_case(case, &*panic))?;
    let Some(LeaseTest { other, lapse }) = leases else {
        return Ok(());
    };
    let other = other.open().await?;
    // The future of the cases can't move to another thread.
    let handle = runtime::handle()?;
    let tested =
        handle.spawn_blocking(move || handle.block_on(test_leases(&*store, &*other, lapse)));
    tested
        .await
        .unwrap_or_else(|error| Err(HostError::CredentialStore(error.to_string())))
}

async fn test_leases(
    store: &dyn CredentialStore,
    other: &dyn CredentialStore,
    lapse: Box<dyn Fn(String) -> HostFuture<()> + Send + Sync>,
) -> Result<(), HostError> {
    let mut case = "";
    let _quiet = Quiet::new();
    let lapse = async |key: &CredentialKey| {
        if let Err(error) = lapse(key.as_str().to_owned()).await {
            std::panic::panic_any(format!("`lapse` must succeed, but failed: {error}"));
        }
    };
    let cases = conformance::leases::run_cases(store, other, lapse, |name| case = name);
    let ran = AssertUnwindSafe(cases).catch_unwind().await;
    ran.map_err(|panic| failed_case(case, &*panic))
}

fn failed_case(case: &str, panic: &(dyn std::any::Any + Send)) -> HostError {
    let reason = panic.downcast_ref::<String>().map(String::as_str);
    let reason = reason.or_else(|| panic.downcast_ref::<&str>().copied());
    let reason = reason.unwrap_or("a case failed");
    let case = case.replace('_', " ");
    HostError::CredentialStore(format!(
        "the credential store failed the conformance test \"{case}\": {reason}"
    ))
}

/// Suppresses the output of panics while a value of this type exists. Here a panic is the normal report of a failed case.
struct Quiet;

static QUIET: AtomicUsize = AtomicUsize::new(0);

impl Quiet {
    fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let previous = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if QUIET.load(Ordering::Relaxed) == 0 {
                    previous(info);
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
