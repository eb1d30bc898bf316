//! The listener on loopback to which the browser returns at the end of a sign-in (RFC 8252, section 7.3).
//!
//! It opens no browser, and sends nothing to the authorization server.

mod address;
mod page;
mod server;

use std::time::Duration;

use mcp_startup_auth::{PendingSignIn, SignInError, SignInFailureKind};
use mcp_startup_config::ServerEntry;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use self::address::Address;
pub use self::page::CallbackPage;
use crate::Startup;

/// How many callbacks wait until [`CallbackListener::next`] returns them.
const WAITING_CALLBACKS: usize = 4;
/// How long the browser has to fetch its last page.
const LAST_PAGE_LIMIT: Duration = Duration::from_secs(1);

/// The address of a [`CallbackListener`]. By default, the configuration of the server decides.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallbackOptions {
    /// The port on loopback; `0` for a free one. With `None`, which is the default, it is the port in the configuration, then the port
    /// of the redirect URI, and otherwise a free one.
    pub port: Option<u16>,
    /// The redirect URI. With `None`, which is the default, it is the one in the configuration, and otherwise
    /// `http://127.0.0.1:PORT/callback`. A redirect URI that is not on loopback must lead to the listener, for example through a proxy.
    pub redirect_uri: Option<String>,
}

/// Listens on loopback until the browser returns from the authorization server.
///
/// Bind it before [`begin_sign_in`](Startup::begin_sign_in), which takes its [`redirect_uri`](Self::redirect_uri). Then show the
/// authorization URL to the user, and call [`finish_sign_in`](Self::finish_sign_in).
///
/// The listener answers at most 16 connections at the same time, and reads at most 16 KiB of each. Every path except that of the
/// redirect URI is 404. If you drop it, it stops listening immediately; pages that are being sent get up to 1 s.
///
/// ```
/// use mcp_startup::auth::{CredentialStores, MemoryStore};
/// use mcp_startup::config::ServerConfig;
/// use mcp_startup::{CallbackListener, CallbackOptions, Startup, StartupOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let lab = mcp_startup_lab::Lab::start(0).await?;
/// let mut options = StartupOptions::default();
/// options.stores = Some(CredentialStores::from_store(std::sync::Arc::new(MemoryStore::default())));
/// let startup = Startup::new(options)?;
/// let server = ServerConfig::http("first-sign-in", &lab.url("first-sign-in"))?.into();
///
/// let mut listener = CallbackListener::bind(&server, &CallbackOptions::default()).await?;
/// let begun = startup.begin_sign_in(&server, listener.redirect_uri()).await?;
/// println!("Open {}", begun.authorization_url);
/// # let browser = mcp_startup::auth::network::Network::new()?;
/// # let page = browser.server_client().get(&begun.authorization_url).send().await?;
/// # let callback = page.headers()["location"].to_str()?.to_owned();
/// # let browsing = tokio::spawn(async move { browser.server_client().get(callback).send().await?.text().await });
/// let limit = std::time::Duration::from_secs(300);
/// listener.finish_sign_in(&startup, &begun.pending, limit).await?;
/// listener.close().await;
/// # assert!(browsing.await??.contains("You are signed in"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CallbackListener {
    redirect_uri: String,
    callbacks: mpsc::Receiver<Callback>,
    /// Dropping it ends the server.
    end: watch::Sender<()>,
    serving: JoinHandle<()>,
}

impl CallbackListener {
    /// Listens where the browser returns after a sign-in to `server`: on 127.0.0.1, or on both loopback addresses if the host of the
    /// redirect URI is `localhost`. Call it inside a Tokio runtime. It waits up to 2 s for a port in use, because a listener that was
    /// dropped needs a moment to free its port.
    ///
    /// # Errors
    ///
    /// Returns an error that names the address, for example if another program uses the port.
    pub async fn bind(server: &ServerEntry, options: &CallbackOptions) -> std::io::Result<Self> {
        let (listeners, redirect_uri) = Address::of(server, options).listen().await?;
        let (callbacks_in, callbacks) = mpsc::channel(WAITING_CALLBACKS);
        let end = watch::Sender::new(());
        let serving = server::serve(
            listeners,
            redirect_uri.clone(),
            callbacks_in,
            end.subscribe(),
        );
        Ok(Self {
            redirect_uri,
            callbacks,
            end,
            serving: tokio::spawn(serving),
        })
    }

    /// The redirect URI, for [`begin_sign_in`](Startup::begin_sign_in).
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Waits until a browser requests the redirect URI. Any program on the machine can send such a request.
    ///
    /// Returns `None` if the listener has stopped, which happens only if the runtime ends. If you drop the future, no callback is lost.
    pub async fn next(&mut self) -> Option<Callback> {
        self.callbacks.recv().await
    }

    /// Waits until the browser returns, finishes the sign-in, and tells the user the result in the browser.
    ///
    /// A callback of another sign-in is answered and does not end the waiting: any program can send one. `limit` is for the return of the
    /// browser, and never ends an exchange. If you drop the future during the exchange of the code, the exchange and the save
    /// continue; [`Startup::finish`] waits for them.
    ///
    /// # Errors
    ///
    /// Returns the error of [`Startup::finish_sign_in`], but never
    /// [`InvalidCallback`](SignInFailureKind::InvalidCallback). If the browser does not return within `limit`, the kind is
    /// [`Expired`](SignInFailureKind::Expired).
    pub async fn finish_sign_in(
        &mut self,
        startup: &Startup,
        pending: &PendingSignIn,
        limit: Duration,
    ) -> Result<(), SignInError> {
        let deadline = Instant::now() + limit;
        loop {
            let callback = match timeout_at(deadline, self.next()).await {
                Ok(Some(callback)) => callback,
                Ok(None) => return Err(stopped()),
                Err(_) => return Err(not_completed_within(limit)),
            };
            let finished = startup.finish_sign_in(pending, &callback.url).await;
            let page = CallbackPage::of(&finished);
            callback.answer(page);
            if page != CallbackPage::InvalidCallback {
                return finished;
            }
        }
    }

    /// Stops listening, and waits until the browser has its last page, at most 1 s.
    pub async fn close(self) {
        drop(self.end);
        let _ = self.serving.await;
    }
}

fn stopped() -> SignInError {
    SignInError::new(
        SignInFailureKind::Unavailable,
        "the listener for the browser has stopped, and nothing was changed: start a new sign-in",
    )
}

fn not_completed_within(limit: Duration) -> SignInError {
    let problem = sign_in_not_completed(limit, "try again, or allow more time");
    let message = format!("the sign-in {problem}");
    SignInError::new(SignInFailureKind::Expired, message)
}

/// The rest of a message about a sign-in that the browser has not finished within its limit, after words such as `the sign-in`.
///
/// `to_do` is what the user of the host can do.
pub fn sign_in_not_completed(limit: Duration, to_do: &str) -> String {
    format!(
        "was not completed within {} s, and nothing was changed: {to_do}. If the sign-in page shows an error, contact the operator of the server",
        limit.as_secs_f64()
    )
}

/// A request of a browser to the redirect URI.
#[derive(Debug)]
pub struct Callback {
    /// The complete URL, for [`finish_sign_in`](Startup::finish_sign_in). It contains the authorization code.
    pub url: String,
    page: oneshot::Sender<CallbackPage>,
}

impl Callback {
    /// Sends the page to the browser. If you drop the callback instead, the browser shows [`CallbackPage::Ended`].
    pub fn answer(self, page: CallbackPage) {
        // The browser may have closed the connection.
        let _ = self.page.send(page);
    }
}
