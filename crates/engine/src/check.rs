//! Many starts at once, as one stream of events.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::Stream;
use mcp_startup_auth::network::{self, ClientError};
use mcp_startup_auth::{CredentialStores, StoreSelection};
use mcp_startup_config::{Configuration, CredentialStoreMode, ServerEntry};
use mcp_startup_core::{McpServerStatusUpdatedNotification, StartPhase};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::event::{Progress, StartupEvent};
use crate::findings::Findings;
use crate::start::{LiveServer, Means, Outcome, mask, start};
use crate::stdio::Program;

/// How long a start may take where neither the caller nor the configuration says: 30 s.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(30);
/// How many servers start at once unless told otherwise.
pub const DEFAULT_CONCURRENCY: usize = 256;

/// How servers are started.
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
                default_limit: DEFAULT_LIMIT,
            }),
            concurrency: options.concurrency.max(1),
            count_tools: options.count_tools,
        })
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

    /// What goes on between the changes of state, for someone who watches. To be taken before the first event; a second call
    /// gets nothing.
    pub fn progress(&mut self) -> mpsc::UnboundedReceiver<Progress> {
        self.run.progress()
    }
}

impl Stream for Check {
    type Item = StartupEvent;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<StartupEvent>> {
        let polled = self.run.events.poll_recv(context);
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

    /// As [`Check::progress`].
    pub fn progress(&mut self) -> mpsc::UnboundedReceiver<Progress> {
        self.run.progress()
    }
}

impl Stream for Start {
    type Item = (StartupEvent, Option<LiveServer>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.run.events.poll_recv(context)
    }
}

#[derive(Clone, Copy, Debug)]
enum Keeping {
    Nothing { count_tools: bool },
    Live,
}

type Events = mpsc::UnboundedSender<(StartupEvent, Option<LiveServer>)>;

/// The task that owns every start of one call, and what comes out of it.
#[derive(Debug)]
struct Run {
    // Unbounded, and yet bounded: two events for each server.
    events: mpsc::UnboundedReceiver<(StartupEvent, Option<LiveServer>)>,
    progress: Option<mpsc::UnboundedReceiver<Progress>>,
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
        let (event_sender, events) = mpsc::unbounded_channel();
        let (progress_sender, progress) = mpsc::unbounded_channel();
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
                        progress_sender.clone(),
                    )),
                    events: event_sender.clone(),
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
            drop((event_sender, progress_sender));
            while starts.join_next().await.is_some() {}
        });
        Self {
            events,
            progress: Some(progress),
            cancellation,
            owner,
        }
    }

    fn progress(&mut self) -> mpsc::UnboundedReceiver<Progress> {
        self.progress
            .take()
            .unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}

/// One server of a run.
struct One {
    entry: ServerEntry,
    means: Arc<Means>,
    findings: Arc<Findings>,
    events: Events,
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
        let keep_listening = matches!(self.keeping, Keeping::Live);
        let outcome = start(
            &self.entry,
            &self.means,
            self.findings.clone(),
            keep_listening,
            &self.cancellation,
        )
        .await;
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
        failure: Option<mcp_startup_core::StartupFailure>,
        live: Option<LiveServer>,
    ) {
        let event = StartupEvent {
            notification,
            phase,
            elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            required: self.entry.required,
            failure,
        };
        // Whoever asked may have gone.
        let _ = self.events.send((event, live));
    }
}

async fn end(program: Option<Program>) {
    if let Some(program) = program {
        program.end().await;
    }
}
