//! Many starts at once, as one stream of events.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream};
use mcp_startup_auth::network::{self, ClientError};
use mcp_startup_auth::{CredentialStores, StoreSelection};
use mcp_startup_config::{Configuration, CredentialStoreMode, ServerEntry};
use mcp_startup_core::{McpServerStatusUpdatedNotification, StartPhase, StartupFailure, judge};
use secrecy::SecretString;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::event::{StartupEvent, Update};
use crate::findings::Findings;
use crate::header::{self, Lately, Rejected};
use crate::start::{LiveServer, Means, Outcome, mask, start};
use crate::stdio::Program;

/// How many servers start at once unless told otherwise.
pub const DEFAULT_CONCURRENCY: usize = 256;

/// How many starts read what is stored at once: each holds the whole file for a moment.
const MAX_READERS: usize = 4;

/// How servers are started.
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
    /// Where credentials are stored; `None` means nowhere.
    pub stores: Option<CredentialStores>,
    /// How long each start may take: over what the configuration says.
    pub limit: Option<Duration>,
    /// How many servers start at once; at least one.
    pub concurrency: usize,
    /// Whether a check asks a server that is ready for its tools.
    pub count_tools: bool,
}

impl StartupOptions {
    /// The options for the servers of a configuration: their credentials are where it says.
    pub fn for_configuration(configuration: &Configuration) -> Self {
        let settings = &configuration.credentials;
        let selection = match &settings.mode {
            CredentialStoreMode::Auto => StoreSelection::Auto,
            CredentialStoreMode::File => StoreSelection::File,
            CredentialStoreMode::Keyring => StoreSelection::Keyring,
            CredentialStoreMode::Unknown(name) => StoreSelection::Unknown(name.clone()),
        };
        let has_place = !settings.home.as_os_str().is_empty();
        Self {
            stores: has_place.then(|| CredentialStores::new(&settings.home, selection)),
            ..Self::default()
        }
    }
}

impl Default for StartupOptions {
    fn default() -> Self {
        Self {
            stores: None,
            limit: None,
            concurrency: DEFAULT_CONCURRENCY,
            count_tools: true,
        }
    }
}

/// Starts servers: holds what all starts share, one HTTP client and one TLS configuration among it.
#[derive(Clone)]
pub struct Startup {
    means: Arc<Means>,
    concurrency: usize,
    count_tools: bool,
}

impl std::fmt::Debug for Startup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Startup").finish_non_exhaustive()
    }
}

impl Startup {
    /// Makes ready to start servers.
    ///
    /// # Errors
    ///
    /// [`ClientError`] where TLS can't be set up.
    pub fn new(options: StartupOptions) -> Result<Self, ClientError> {
        Ok(Self {
            means: Arc::new(Means {
                client: network::client()?,
                stores: options.stores,
                limit: options.limit,
                reading: Semaphore::new(MAX_READERS),
                refreshes: TaskTracker::new(),
                lately: Lately::default(),
            }),
            concurrency: options.concurrency.max(1),
            count_tools: options.count_tools,
        })
    }

    /// Waits until every refresh that was sent is saved, at most 30 s each. The stream of a [`check`](Self::check) ends after
    /// that by itself; a host that has dropped one, or that keeps servers, waits here before it ends its runtime, or a new token
    /// may be lost.
    pub async fn finish(&self) {
        self.means.finish_refreshes().await;
    }

    /// The `Authorization` header for a request that the host makes itself, with another SDK; `None` where it is to have none.
    /// The token comes through the same store, lock and refresh as that of a start.
    ///
    /// Asked without `rejected`, it is what to send first: what the configuration carries, or what is stored, refreshed where it has
    /// expired. Where the server answers 401 all the same, what was sent goes in as `rejected`, and out comes what to send
    /// once more.
    ///
    /// Must be called inside a Tokio runtime. It takes as long as a start may; [`finish`](Self::finish) waits for what goes on after
    /// that.
    ///
    /// # Errors
    ///
    /// The verdict, where nothing is left to send: the same that a start would have come to. Without `rejected`, only where the entry
    /// can't be used or the limit has passed.
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
    /// assert!(header.is_none(), "nothing is stored");
    /// // The host's request without one is answered with 401.
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
        header::authorization(server, &self.means, rejected).await
    }

    /// Starts every enabled server, says what each start came to, and closes each when its state is known.
    ///
    /// Must be called inside a Tokio runtime. Dropped, it ends every start at once; [`Check::cancel`] lets each say so.
    pub fn check(&self, servers: Vec<ServerEntry>) -> Check {
        Check {
            run: Run::begin(
                self,
                servers,
                Keeping::Nothing {
                    count_tools: self.count_tools,
                },
            ),
        }
    }

    /// Starts every enabled server and keeps those that are ready.
    ///
    /// Must be called inside a Tokio runtime.
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
        Start {
            run: Run::begin(self, servers, Keeping::Live),
        }
    }
}

/// A check under way: a stream of [`StartupEvent`]s, for each server one `starting` and one closing event. It ends when the
/// last server is closed.
#[derive(Debug)]
pub struct Check {
    run: Run,
}

impl Check {
    /// Gives up what is still starting: each such start says `cancelled`, its program ends, and the stream ends after that.
    pub fn cancel(&self) {
        self.run.cancellation.cancel();
    }

    /// The next of all that there is to tell, for someone who watches: what the stream gives, and what goes on in between.
    /// Dropped, it has lost nothing.
    pub async fn update(&mut self) -> Option<Update> {
        let (update, _) = self.run.told.recv().await?;
        Some(update)
    }
}

impl Stream for Check {
    type Item = StartupEvent;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<StartupEvent>> {
        let polled = self.run.poll_event(context);
        polled.map(|event| event.map(|(event, _)| event))
    }
}

/// A start under way: a stream of events, and with each `ready` its live server.
#[derive(Debug)]
pub struct Start {
    run: Run,
}

impl Start {
    /// Gives up what is still starting. What is ready stays with whom it was handed to.
    pub fn cancel(&self) {
        self.run.cancellation.cancel();
    }
}

impl Stream for Start {
    type Item = (StartupEvent, Option<LiveServer>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.run.poll_event(context)
    }
}

#[derive(Clone, Copy, Debug)]
enum Keeping {
    Nothing { count_tools: bool },
    Live,
}

/// What is told of a run, and with the `ready` of a server that is kept, the server.
type Told = (Update, Option<LiveServer>);

/// The task that owns every start of one call, and what comes out of it.
#[derive(Debug)]
struct Run {
    // Unbounded, and yet bounded: a handful for each server.
    told: mpsc::UnboundedReceiver<Told>,
    cancellation: CancellationToken,
    owner: JoinHandle<()>,
}

impl Drop for Run {
    fn drop(&mut self) {
        // The owner's starts go with it, and each start's program with the start.
        self.owner.abort();
    }
}

impl Run {
    fn begin(startup: &Startup, servers: Vec<ServerEntry>, keeping: Keeping) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let cancellation = CancellationToken::new();
        let permits = Arc::new(Semaphore::new(
            startup.concurrency.min(Semaphore::MAX_PERMITS),
        ));
        let means = startup.means.clone();
        let cancelled = cancellation.clone();
        let owner = tokio::spawn(async move {
            let mut starts = JoinSet::new();
            for entry in servers.into_iter().filter(|entry| entry.enabled) {
                let one = One {
                    means: means.clone(),
                    findings: Arc::new(Findings::new(
                        entry.name.clone(),
                        mask(&entry),
                        tell(&sender),
                    )),
                    sender: sender.clone(),
                    cancellation: cancelled.clone(),
                    keeping,
                    entry,
                };
                let permits = permits.clone();
                starts.spawn(async move {
                    let waited = one.cancellation.clone();
                    tokio::select! {
                        permit = permits.acquire_owned() => {
                            one.run().await;
                            drop(permit);
                        }
                        // What has not begun has nothing to say.
                        () = waited.cancelled() => {}
                    }
                });
            }
            while starts.join_next().await.is_some() {}
            // A refresh that was sent is saved, whatever became of the start that wanted it.
            if !means.refreshes.is_empty() {
                let _ = sender.send((Update::Saving, None));
            }
            means.finish_refreshes().await;
            // What keeps the stream from ending.
            drop(sender);
        });
        Self {
            told,
            cancellation,
            owner,
        }
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<(StartupEvent, Option<LiveServer>)>> {
        loop {
            match self.told.poll_recv(context) {
                Poll::Ready(Some((Update::Event(event), live))) => {
                    return Poll::Ready(Some((event, live)));
                }
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// How a start tells what goes on in it; weakly, so that a server that is kept does not keep the stream from ending.
fn tell(sender: &mpsc::UnboundedSender<Told>) -> impl Fn(Update) + Send + Sync + 'static {
    let sender = sender.downgrade();
    move |update| {
        // Nobody needs to listen.
        if let Some(sender) = sender.upgrade() {
            let _ = sender.send((update, None));
        }
    }
}

/// One server of a run.
struct One {
    entry: ServerEntry,
    means: Arc<Means>,
    findings: Arc<Findings>,
    sender: mpsc::UnboundedSender<Told>,
    cancellation: CancellationToken,
    keeping: Keeping,
}

impl One {
    async fn run(self) {
        use McpServerStatusUpdatedNotification as Notification;
        let name = &self.entry.name;
        let began = Instant::now();
        self.say(
            began,
            Notification::starting(name),
            StartPhase::Configuring,
            None,
            None,
        );
        let live = matches!(self.keeping, Keeping::Live);
        let starting = start(
            &self.entry,
            &self.means,
            self.findings.clone(),
            live,
            &self.cancellation,
        );
        // Every `starting` is followed by an end, whatever happens in between.
        let outcome = match AssertUnwindSafe(starting).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.findings.note(|evidence| {
                    evidence.cause = Some("an error of mcp-startup itself".to_owned())
                });
                Outcome::Failed(Box::new(judge(self.findings.evidence())), None)
            }
        };
        let phase = self.findings.phase();
        match (outcome, self.keeping) {
            (Outcome::Cancelled(program), _) => {
                self.say(began, Notification::cancelled(name), phase, None, None);
                end(program).await;
            }
            (Outcome::Failed(failure, program), _) => {
                let said = Notification::from_failure(name, &failure);
                self.say(began, said, phase, Some(*failure), None);
                end(program).await;
            }
            (Outcome::Ready(live), Keeping::Live) => {
                self.say(began, Notification::ready(name), phase, None, Some(live));
            }
            (Outcome::Ready(live), Keeping::Nothing { count_tools }) => {
                self.say(began, Notification::ready(name), phase, None, None);
                if count_tools {
                    tokio::select! {
                        () = self.cancellation.cancelled() => {}
                        count = live.count_tools() => self.findings.tools(count),
                    }
                }
                live.close().await;
            }
        }
    }

    fn say(
        &self,
        began: Instant,
        notification: McpServerStatusUpdatedNotification,
        phase: StartPhase,
        failure: Option<StartupFailure>,
        live: Option<LiveServer>,
    ) {
        let event = StartupEvent {
            notification,
            phase,
            elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            required: self.entry.required,
            failure,
            not_saved: self.findings.not_saved(),
        };
        // Whoever asked may have gone.
        let _ = self.sender.send((Update::Event(event), live));
    }
}

async fn end(program: Option<Program>) {
    if let Some(program) = program {
        program.end().await;
    }
}
