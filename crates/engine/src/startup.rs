//! [`Startup`]: the entry point for starts and sign-ins, and its options.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use mcp_startup_auth::network::{ClientError, Network};
use mcp_startup_auth::{CredentialStores, PendingSignIn, SignInBegun, SignInError, StoreSelection};
use mcp_startup_config::{
    Configuration, CredentialSettings, CredentialStoreMode, ProtocolEra, ServerEntry,
};
use mcp_startup_core::StartupFailure;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::authorization::sign_in::{
    self, AuthStatus, ClientChoice, SignInHistory, SignInOptions, SignedOut,
};
use crate::authorization::{self, RecentRefreshes, Rejected};
use crate::check::{Check, Start};
use crate::run::{OnReady, Run, start_each};
use crate::shared_context::SharedContext;
use crate::transport::stdio::Supervisors;

/// The default of [`StartupOptions::concurrency`]: 256 servers at the same time.
pub const DEFAULT_CONCURRENCY: usize = 256;

/// Options for starting servers: where credentials are stored, and the limits of a start.
///
/// For the servers of a configuration file, begin with [`for_configuration`](Self::for_configuration).
///
/// ```
/// use mcp_startup::{Startup, StartupOptions};
///
/// let mut options = StartupOptions::default();
/// options.concurrency = 8;
/// let startup = Startup::new(options)?;
/// # Ok::<(), mcp_startup::ClientError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StartupOptions {
    /// The stores of the credentials. With `None`, which is the default, starts send no stored token and
    /// [`finish_sign_in`](Startup::finish_sign_in) fails.
    pub stores: Option<CredentialStores>,
    /// The maximum duration of each start. It overrides the limit in the configuration of a server. With `None`, the limit is the
    /// configured one, or [`DEFAULT_LIMIT`](crate::DEFAULT_LIMIT). The default is `None`.
    pub limit: Option<Duration>,
    /// The name under which the user of the host sets `limit`, for messages: for example `--timeout`.
    pub limit_option: Option<&'static str>,
    /// Whether the user of the host gave the servers on a command line, so that no message names a key of a configuration. The default is
    /// `false`.
    pub on_command_line: bool,
    /// The era of MCP that all servers speak, if you know it. It overrides the era in the configuration of a server. With `None`,
    /// which is the default, the configuration decides.
    pub protocol_era: Option<ProtocolEra>,
    /// The maximum number of servers that start at the same time, in all calls of one [`Startup`] together. `0` means 1. The default
    /// is [`DEFAULT_CONCURRENCY`].
    pub concurrency: usize,
    /// The maximum number of programs that start at the same time. `0` means 1. With `None`, which is the default, only
    /// [`concurrency`](Self::concurrency) limits them.
    pub program_concurrency: Option<usize>,
    /// Whether each start records what happens in it, as [`StartupEvent::timeline`](crate::StartupEvent::timeline). The default is
    /// `false`.
    pub timeline: bool,
    /// The URL of your app's client ID metadata document, if you publish one. With it, a sign-in needs no client registration at
    /// an authorization server that supports these documents.
    pub client_metadata_url: Option<String>,
    /// The command that runs the programs of stdio servers under supervisors, on Linux. With `None`, which is the default, and on
    /// other systems, the program leads a process group.
    ///
    /// A supervisor ends every process that the program leaves behind, also a daemon that has left the process group, and also if
    /// your process is killed. The executable `mcp-startup` of the same version is one, with the command `mcp-startup __supervise`.
    /// Pass an absolute path. The command is started with the first program, and creates a process for each program. It inherits the
    /// environment, the limits and the other attributes of your process, and the programs inherit all but the environment from it. If
    /// a supervisor can't be started, the program is started without it.
    pub supervisor: Option<Vec<OsString>>,
}

impl StartupOptions {
    /// The default options, with the credential stores that the configuration selects.
    pub fn for_configuration(configuration: &Configuration) -> Self {
        Self::for_credentials(&configuration.credentials)
    }

    /// The default options, with the credential stores in these settings.
    pub fn for_credentials(settings: &CredentialSettings) -> Self {
        let selection = match &settings.mode {
            CredentialStoreMode::Auto => StoreSelection::Auto,
            CredentialStoreMode::File => StoreSelection::File,
            CredentialStoreMode::Keyring => StoreSelection::Keyring,
            CredentialStoreMode::Unknown(name) => StoreSelection::Unknown(name.clone()),
        };
        Self {
            stores: Some(CredentialStores::new(&settings.home, selection)),
            ..Self::default()
        }
    }
}

impl Default for StartupOptions {
    fn default() -> Self {
        Self {
            stores: None,
            limit: None,
            limit_option: None,
            on_command_line: false,
            protocol_era: None,
            concurrency: DEFAULT_CONCURRENCY,
            program_concurrency: None,
            timeline: false,
            client_metadata_url: None,
            supervisor: None,
        }
    }
}

/// Starts servers, signs in to them, and authorizes your own requests to them.
///
/// Create one `Startup` and keep it: all its starts share its HTTP clients and their TLS configuration. A clone is cheap and shares
/// them too.
#[derive(Clone)]
pub struct Startup {
    pub(crate) shared: Arc<SharedContext>,
    /// The permits of starts, and those of starts of programs.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) program_permits: Arc<Semaphore>,
    /// The one permit of the start that begins.
    pub(crate) turn: Arc<Semaphore>,
}

fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)))
}

impl std::fmt::Debug for Startup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Startup").finish_non_exhaustive()
    }
}

impl Startup {
    /// Creates a `Startup` with its own HTTP clients. It starts no server.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if TLS can't be set up.
    pub fn new(options: StartupOptions) -> Result<Self, ClientError> {
        let network = Network::new()?;
        Ok(Self::from_parts(
            options,
            network,
            Arc::default(),
            Arc::default(),
        ))
    }

    /// Returns a `Startup` with other options that shares the HTTP clients of this one.
    ///
    /// It also shares the memory of recent refreshes ([`authorization`](Self::authorization)) and of finished sign-ins
    /// ([`finish_sign_in`](Self::finish_sign_in)).
    #[must_use]
    pub fn with_options(&self, options: StartupOptions) -> Self {
        let SharedContext {
            network,
            recent_refreshes,
            sign_ins,
            ..
        } = &*self.shared;
        Self::from_parts(
            options,
            network.clone(),
            recent_refreshes.clone(),
            sign_ins.clone(),
        )
    }

    fn from_parts(
        options: StartupOptions,
        network: Network,
        recent_refreshes: Arc<RecentRefreshes>,
        sign_ins: Arc<SignInHistory>,
    ) -> Self {
        Self {
            shared: Arc::new(SharedContext {
                network,
                stores: options.stores,
                limit: options.limit,
                limit_option: options.limit_option,
                on_command_line: options.on_command_line,
                protocol_era: options.protocol_era,
                eras: Arc::default(),
                records_timelines: options.timeline,
                refreshes: TaskTracker::new(),
                recent_refreshes,
                running_starts: Arc::default(),
                sign_ins,
                client_metadata_url: options.client_metadata_url,
                supervisors: options.supervisor.map(Supervisors::new),
            }),
            permits: semaphore(options.concurrency),
            program_permits: semaphore(options.program_concurrency.unwrap_or(usize::MAX)),
            turn: semaphore(1),
        }
    }

    /// Waits until the new token of every refresh in flight is saved, and until every code exchange and sign-out in flight has
    /// completed: at most 30 s for each.
    ///
    /// Before shutdown, await this method. If the runtime ends during a refresh, the new token is lost, and the authorization
    /// server may no longer accept the old one: the user then has to sign in again.
    ///
    /// You don't need it after a [`check`](Self::check) whose stream has ended, because the stream waits for the refreshes itself.
    /// You do need it after you have dropped a stream or the future of a [`finish_sign_in`](Self::finish_sign_in) or
    /// [`sign_out`](Self::sign_out), and if you keep live servers.
    pub async fn finish(&self) {
        self.shared.finish_refreshes().await;
    }

    /// Returns the value of the `Authorization` header for a request that you send to the server yourself, with another SDK.
    /// `None` means: send no such header.
    ///
    /// Call it before a request, without `rejected`. It returns the configured credential or the stored token. If the stored token
    /// has expired, it refreshes the token first. If the server answers your request with 401, pass the rejected header value as
    /// `rejected`: the method returns the value for the second attempt. If it answers with 403, set [`Rejected::status`], and the method
    /// returns the verdict. Tokens are read, locked and refreshed as during a start.
    ///
    /// Call this method inside a Tokio runtime. It takes at most as long as a start may take
    /// ([`StartupOptions::limit`]). A refresh continues after that limit; [`finish`](Self::finish) waits for it.
    ///
    /// # Errors
    ///
    /// Returns the verdict that a start would report if no credential is left to send. Without `rejected`, it fails only if the
    /// entry can't be used or the limit has passed.
    ///
    /// ```
    /// use mcp_startup::config::ServerConfig;
    /// use mcp_startup::{Rejected, Startup, StartupFailureKind, StartupOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let lab = mcp_startup_lab::Lab::start(0).await?;
    /// let server = ServerConfig::http("first-sign-in", &lab.url("first-sign-in"))?.into();
    /// let startup = Startup::new(StartupOptions::default())?;
    ///
    /// let header = startup.authorization(&server, None).await.unwrap();
    /// assert!(header.is_none(), "no token is stored");
    /// // The server answers your request without this header with 401.
    /// let failure = startup.authorization(&server, Some(&Rejected::new(None))).await.unwrap_err();
    /// assert_eq!(failure.kind(), StartupFailureKind::SignInRequired);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn authorization(
        &self,
        server: &ServerEntry,
        rejected: Option<&Rejected>,
    ) -> Result<Option<SecretString>, Box<StartupFailure>> {
        authorization::authorization(server, &self.shared, rejected).await
    }

    /// Begins a sign-in to a server. Returns the URL that the user must open in a browser, and a
    /// [`PendingSignIn`] that you pass to [`finish_sign_in`](Self::finish_sign_in).
    ///
    /// The authorization server redirects the browser to `redirect_uri`. It can be an `http` URL on loopback, an `https` URL, or a
    /// URL with your app's private scheme (RFC 8252, section 7).
    ///
    /// Until the sign-in is finished, nothing is saved, and a stored record is unchanged. Several sign-ins can be pending at the
    /// same time, to the same server too.
    ///
    /// # Errors
    ///
    /// Returns a [`SignInError`]; see [`SignInError::kind`]. If the credential store could not save the sign-in, or another program uses
    /// the record for more than 3 s, the kind is [`StoreFailed`](mcp_startup_auth::SignInFailureKind::StoreFailed), and nothing was sent.
    ///
    /// ```no_run
    /// # async fn sign_in(startup: mcp_startup::Startup, server: mcp_startup::config::ServerEntry) -> Result<(), mcp_startup::auth::SignInError> {
    /// let begun = startup.begin_sign_in(&server, "http://127.0.0.1:8123/callback").await?;
    /// println!("open {}", begun.authorization_url);
    /// # let callback_url = "";
    /// // The browser is redirected to the redirect URI. Pass the complete URL.
    /// startup.finish_sign_in(&begun.pending, callback_url).await
    /// # }
    /// ```
    pub async fn begin_sign_in(
        &self,
        server: &ServerEntry,
        redirect_uri: &str,
    ) -> Result<SignInBegun, SignInError> {
        let options = SignInOptions::default();
        self.begin_sign_in_with(server, redirect_uri, &options)
            .await
    }

    /// Begins a sign-in as [`begin_sign_in`](Self::begin_sign_in) does, with options.
    ///
    /// Use it for a step-up: if the server answers your own request with 403 and `insufficient_scope`, pass the `WWW-Authenticate`
    /// header of that answer as [`SignInOptions::challenge`]. For a request of a [`LiveServer`](crate::LiveServer), the method
    /// `auth_challenge` of the SDK's error returns that header. The sign-in then requests the scopes of the challenge together with
    /// the configured ones and those that were granted before.
    ///
    /// # Errors
    ///
    /// Returns a [`SignInError`]; see [`begin_sign_in`](Self::begin_sign_in). After three step-ups in a row, and after a step-up that
    /// has already requested the same scopes, the kind is [`Denied`](mcp_startup_auth::SignInFailureKind::Denied): another prompt
    /// would not help.
    pub async fn begin_sign_in_with(
        &self,
        server: &ServerEntry,
        redirect_uri: &str,
        options: &SignInOptions,
    ) -> Result<SignInBegun, SignInError> {
        sign_in::begin(server, &self.shared, redirect_uri, options).await
    }

    /// Finishes a sign-in: exchanges the authorization code in `callback_url` for tokens, and saves them where Codex would.
    ///
    /// `callback_url` is the complete URL to which the browser was redirected. `pending` is valid for one sign-in and for 15
    /// minutes. Another process may have created it ([`PendingSignIn::parse`]).
    ///
    /// From the moment that the code is sent, the exchange is a task of its own. If you drop the future, the exchange and the save
    /// continue; [`finish`](Self::finish) waits for them. Call this method inside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns a [`SignInError`]; see [`SignInError::kind`]. A record that was stored before is unchanged. After
    /// [`InvalidCallback`](mcp_startup_auth::SignInFailureKind::InvalidCallback) you can call this method again with the same
    /// `pending`, because the right redirect may still arrive.
    ///
    /// The kind is [`StoreFailed`](mcp_startup_auth::SignInFailureKind::StoreFailed) in two cases. If the store can't be written to, or
    /// another program uses the record for more than 20 s, the code was not sent, and you can call this method again. If the tokens
    /// were granted but could not be saved, they were revoked if the authorization server supports
    /// that; the message contains the result.
    pub async fn finish_sign_in(
        &self,
        pending: &PendingSignIn,
        callback_url: &str,
    ) -> Result<(), SignInError> {
        sign_in::finish(&self.shared, None, pending, callback_url).await
    }

    /// Finishes a sign-in as [`finish_sign_in`](Self::finish_sign_in) does, also one that another process has begun. `server` is the
    /// server of the sign-in: an error then shows what its sign-in service responded, with the secrets of the server masked.
    ///
    /// # Errors
    ///
    /// Returns a [`SignInError`]; see [`finish_sign_in`](Self::finish_sign_in).
    pub async fn finish_sign_in_to(
        &self,
        server: &ServerEntry,
        pending: &PendingSignIn,
        callback_url: &str,
    ) -> Result<(), SignInError> {
        sign_in::finish(&self.shared, Some(server), pending, callback_url).await
    }

    /// Signs out of a server: revokes the tokens if the authorization server offers revocation (RFC 7009), and removes the record
    /// from every store. The record is removed even if the revocation fails.
    ///
    /// The record stays locked meanwhile, so that no refresh can store new tokens. If a refresh is in flight, this method waits for it
    /// for up to 20 s, and then revokes the new tokens. Once the revocation has begun, dropping the future does not end it;
    /// [`finish`](Self::finish) waits for it. Call this method inside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns a [`SignInError`] if the entry can't be used, if the stored record can't be read or removed, or if another program uses
    /// it. In the last case, nothing was revoked.
    pub async fn sign_out(&self, server: &ServerEntry) -> Result<SignedOut, SignInError> {
        sign_in::sign_out(server, &self.shared).await
    }

    /// Returns how a client is authorized at a server, and describes the stored record.
    ///
    /// With `online` set to `false`, it sends no request. With `true`, it queries the server if the configuration and the stored
    /// record don't answer the question.
    pub async fn auth_status(&self, server: &ServerEntry, online: bool) -> AuthStatus {
        sign_in::status(server, &self.shared, online).await
    }

    /// Returns the OAuth client that a sign-in to a server would use, and the reason. It queries the server and its authorization
    /// server, and changes nothing.
    pub async fn sign_in_client(&self, server: &ServerEntry) -> ClientChoice {
        sign_in::client_choice(server, &self.shared).await
    }

    /// Starts every enabled server, reports the result of each start, and closes each server as soon as its state is known.
    ///
    /// The servers start independently, at most [`StartupOptions::concurrency`] at the same time. The starts begin immediately, even
    /// before you read the stream. A server that fails is an event of the stream, not an error.
    ///
    /// To end all starts immediately, drop the [`Check`]. To receive a `cancelled` event for each of them, call [`Check::cancel`].
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    pub fn check(&self, servers: Vec<ServerEntry>) -> Check {
        Check::new(Run::begin(self, OnReady::Close, |starts| {
            start_each(starts, servers)
        }))
    }

    /// Starts every enabled server and keeps the servers that are ready.
    ///
    /// The stream yields a [`LiveServer`](crate::LiveServer) with each `ready` event. The live servers belong to you: they stay
    /// connected after the stream has ended, until you close or drop them. Otherwise this method behaves as
    /// [`check`](Self::check) does. To restart failed servers too, use [`watch`](Self::watch).
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use mcp_startup::config::ServerConfig;
    /// use mcp_startup::{Startup, StartupOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let lab = mcp_startup_lab::Lab::start(0).await?;
    /// let server = ServerConfig::http("ready", &lab.url("ready"))?;
    /// let mut start = Startup::new(StartupOptions::default())?.start(vec![server.into()]);
    /// while let Some((event, live)) = start.next().await {
    ///     if let Some(live) = live {
    ///         println!("{} has {} tools", event.notification.name(), live.peer().list_all_tools().await?.len());
    ///         live.close().await;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(&self, servers: Vec<ServerEntry>) -> Start {
        Start::new(Run::begin(self, OnReady::Keep, |starts| {
            start_each(starts, servers)
        }))
    }
}
