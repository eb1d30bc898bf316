//! [`AppServer`]: the engine, the credential stores and the configuration, which all clients share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use mcp_startup::{ClientError, ResultMemory, Startup, StartupOptions};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::configuration::{Configuration, ConfigurationSource};
use crate::protocol::RpcError;
use crate::session::Session;

/// How many bytes of results wait for all clients together to read them.
const UNREAD_BYTES: usize = 32 * 1024 * 1024;
/// How many bytes of requests of all clients are answered at the same time.
const REQUEST_BYTES: usize = 32 * 1024 * 1024;

/// Options of an [`AppServer`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppServerOptions {
    /// The options of the starts. Timelines are recorded in any case.
    pub startup: StartupOptions,
    /// The name and the version of the program, for `userAgent`: for example `mcp-startup/1.0.0`.
    pub user_agent: String,
}

impl AppServerOptions {
    /// Options with this name and version of the program.
    pub fn new(startup: StartupOptions, user_agent: impl Into<String>) -> Self {
        Self {
            startup,
            user_agent: user_agent.into(),
        }
    }
}

/// The engine, the credential stores and the configuration, which all clients share. A clone is cheap and is the same server.
#[derive(Clone)]
pub struct AppServer {
    shared: Arc<Shared>,
}

struct Shared {
    startup: Startup,
    user_agent: String,
    results: ResultMemory,
    requests: ResultMemory,
    source: Arc<dyn ConfigurationSource>,
    // A session reads the configuration and registers itself under this lock, so that it misses no reload. A reload holds it while
    // files are read.
    configuration: tokio::sync::Mutex<Arc<Configuration>>,
    sessions: Mutex<Vec<Weak<Session>>>,
    /// The connections, and the ends of their servers.
    connections: TaskTracker,
    ending: CancellationToken,
}

impl std::fmt::Debug for AppServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppServer").finish_non_exhaustive()
    }
}

impl AppServer {
    /// Creates an app-server for the servers of `configuration`, which `source` reads again. It starts no server.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if TLS can't be set up.
    pub fn new(
        mut options: AppServerOptions,
        configuration: Configuration,
        source: impl ConfigurationSource + 'static,
    ) -> Result<Self, ClientError> {
        options.startup.timeline = true;
        Ok(Self {
            shared: Arc::new(Shared {
                startup: Startup::new(options.startup)?,
                user_agent: options.user_agent,
                results: ResultMemory::new(UNREAD_BYTES),
                requests: ResultMemory::new(REQUEST_BYTES),
                source: Arc::new(source),
                configuration: tokio::sync::Mutex::new(Arc::new(configuration)),
                sessions: Mutex::default(),
                connections: TaskTracker::new(),
                ending: CancellationToken::new(),
            }),
        })
    }

    /// Ends all connections and their servers, and then waits until refreshes, sign-ins and sign-outs in flight are saved.
    ///
    /// Await it before the runtime ends. Then the transports return.
    pub async fn end(&self) {
        self.shared.ending.cancel();
        self.shared.connections.close();
        self.shared.connections.wait().await;
        self.shared.startup.finish().await;
    }

    pub(crate) fn startup(&self) -> &Startup {
        &self.shared.startup
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.shared.user_agent
    }

    /// The memory for the requests that are being answered.
    pub(crate) fn requests(&self) -> &ResultMemory {
        &self.shared.requests
    }

    /// The memory for the results that clients have not read yet.
    pub(crate) fn results(&self) -> &ResultMemory {
        &self.shared.results
    }

    pub(crate) fn source(&self) -> Arc<dyn ConfigurationSource> {
        self.shared.source.clone()
    }

    pub(crate) fn connections(&self) -> &TaskTracker {
        &self.shared.connections
    }

    /// Cancelled when all connections must end.
    pub(crate) fn ending(&self) -> &CancellationToken {
        &self.shared.ending
    }

    pub(crate) async fn configuration(&self) -> Arc<Configuration> {
        self.shared.configuration.lock().await.clone()
    }

    /// Starts the servers of a session, and from now on those of each reload.
    pub(crate) async fn begin(&self, session: &Arc<Session>) {
        let configuration = self.shared.configuration.lock().await;
        self.change_sessions(|sessions| sessions.push(Arc::downgrade(session)));
        session.apply(&configuration).await;
    }

    /// Reads the configuration again, and applies it to all sessions.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration can't be read. Then nothing has changed. Returns an error, too, if files of some clients
    /// can't be read, after the others were applied.
    pub(crate) async fn reload(&self) -> Result<(), RpcError> {
        let mut configuration = self.shared.configuration.lock().await;
        let source = self.source();
        let read = tokio::task::spawn_blocking(move || source.read()).await;
        let read = read.map_err(|_| RpcError::failed("The configuration could not be read."))?;
        let read = read.map_err(|problem| {
            let message = format!(
                "The configuration could not be reloaded, so the servers are unchanged: {problem}"
            );
            unreadable_configuration(message)
        })?;
        *configuration = Arc::new(read);
        for session in self.sessions() {
            session.apply(&configuration).await;
            session.set_reloaded();
        }
        match configuration.unreadable.as_slice() {
            [] => Ok(()),
            unreadable => Err(unreadable_configuration(format!(
                "The servers of a file that can't be read are unchanged: {}",
                unreadable.join("; ")
            ))),
        }
    }

    /// The sessions of all clients.
    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        self.change_sessions(|sessions| {
            sessions.retain(|session| session.strong_count() > 0);
            sessions.iter().filter_map(Weak::upgrade).collect()
        })
    }

    fn change_sessions<T>(&self, change: impl FnOnce(&mut Vec<Weak<Session>>) -> T) -> T {
        let sessions = self.shared.sessions.lock();
        change(&mut sessions.unwrap_or_else(PoisonError::into_inner))
    }
}

fn unreadable_configuration(message: String) -> RpcError {
    RpcError::failed(message).with_reason("configurationUnreadable")
}
