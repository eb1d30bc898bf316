//! Many starts at once, as one stream of events.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream};
use mcp_startup_auth::network::{ClientError, Network};
use mcp_startup_auth::{CredentialStores, PendingSignIn, SignInBegun, SignInError, StoreSelection};
use mcp_startup_config::{Configuration, CredentialStoreMode, ServerEntry};
use mcp_startup_core::{McpServerStatusUpdatedNotification, StartPhase, StartupFailure, judge};
use secrecy::SecretString;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::event::{StartupEvent, Update};
use crate::findings::Findings;
use crate::given::mask;
use crate::header::{self, Rejected};
use crate::lately::Lately;
use crate::means::{Finished, Means, milliseconds};
use crate::sign_in::{self, AuthStatus, SignedOut};
use crate::start::{LiveServer, Outcome, start};
use crate::stdio::Program;

/// How many servers start at once unless told otherwise.
pub const DEFAULT_CONCURRENCY: usize = 256;

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
    /// The URL of the host's client id metadata document, where it publishes one: its sign-ins need no registration at an
    /// authorization server that takes such documents.
    pub client_metadata_url: Option<String>,
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
            client_metadata_url: None,
        }
    }
}

/// Starts servers: holds what all starts share, the HTTP clients and their one TLS configuration among it.
#[derive(Clone)]
pub struct Startup {
    pub(crate) means: Arc<Means>,
    concurrency: usize,
    pub(crate) count_tools: bool,
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
        let network = Network::new()?;
        Ok(Self::of(options, network, Arc::default(), Arc::default()))
    }

    /// The same for other options. What is costly is shared, the HTTP clients and their one TLS configuration; and so is what is
    /// remembered from one call to the next: that a token was just refreshed ([`authorization`](Self::authorization)), and that
    /// a sign-in was finished.
    #[must_use]
    pub fn with(&self, options: StartupOptions) -> Self {
        let Means {
            network,
            lately,
            finished,
            ..
        } = &*self.means;
        Self::of(options, network.clone(), lately.clone(), finished.clone())
    }

    fn of(
        options: StartupOptions,
        network: Network,
        lately: Arc<Lately>,
        finished: Arc<Finished>,
    ) -> Self {
        Self {
            means: Arc::new(Means {
                network,
                stores: options.stores,
                limit: options.limit,
                refreshes: TaskTracker::new(),
                lately,
                finished,
                client_metadata_url: options.client_metadata_url,
            }),
            concurrency: options.concurrency.max(1),
            count_tools: options.count_tools,
        }
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

    /// Begins a sign-in to a server: gives the URL that the user is to open in their browser, and what finishes it. `redirect_uri`
    /// is where they come back to: `http` on loopback, `https`, or a scheme of the app's own (RFC 8252, section 7).
    ///
    /// Nothing is stored before it is finished, and what was stored before stays until then. Sign-ins to several servers, or several
    /// to one, do not disturb each other.
    ///
    /// # Errors
    ///
    /// [`SignInError`], by its kind.
    ///
    /// ```no_run
    /// # async fn sign_in(startup: mcp_startup::Startup, server: mcp_startup::config::ServerEntry) -> Result<(), mcp_startup::auth::SignInError> {
    /// let begun = startup.begin_sign_in(&server, "http://127.0.0.1:8123/callback").await?;
    /// println!("open {}", begun.authorization_url);
    /// # let came_back = "";
    /// // The browser comes back to the redirect URI: with all of that URL it is finished.
    /// startup.finish_sign_in(&begun.pending, came_back).await
    /// # }
    /// ```
    pub async fn begin_sign_in(
        &self,
        server: &ServerEntry,
        redirect_uri: &str,
    ) -> Result<SignInBegun, SignInError> {
        sign_in::begin(server, &self.means, redirect_uri).await
    }

    /// Finishes a sign-in: exchanges the code that the user came back with, and stores what is granted, where Codex would.
    ///
    /// A `pending` is good for one sign-in within 15 min. It may come from another process
    /// ([`PendingSignIn::parse`]).
    ///
    /// # Errors
    ///
    /// [`SignInError`], by its kind; what was stored before is stored still. After
    /// [`InvalidCallback`](mcp_startup_auth::SignInFailureKind::InvalidCallback) the right answer may still come.
    pub async fn finish_sign_in(
        &self,
        pending: &PendingSignIn,
        callback_url: &str,
    ) -> Result<(), SignInError> {
        sign_in::finish(&self.means, pending, callback_url).await
    }

    /// Signs out of a server: what was granted is revoked where its authorization server offers that (RFC 7009), and what is
    /// stored is removed from every place, whatever came of that.
    ///
    /// # Errors
    ///
    /// [`SignInError`] where the entry can't be used, or what is stored can't be read or removed.
    pub async fn sign_out(&self, server: &ServerEntry) -> Result<SignedOut, SignInError> {
        sign_in::sign_out(server, &self.means).await
    }

    /// How a client is authorized at a server, and what is stored for it. Without `online` nothing is sent; with it the server is
    /// asked, where that is the only way to know.
    pub async fn auth_status(&self, server: &ServerEntry, online: bool) -> AuthStatus {
        sign_in::status(server, &self.means, online).await
    }

    /// Starts every enabled server, says what each start came to, and closes each when its state is known.
    ///
    /// Must be called inside a Tokio runtime. Dropped, it ends every start at once; [`Check::cancel`] lets each say so.
    pub fn check(&self, servers: Vec<ServerEntry>) -> Check {
        let keeping = Keeping::Nothing {
            count_tools: self.count_tools,
        };
        Check {
            run: Run::begin(self, keeping, |starts| start_each(starts, servers)),
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
            run: Run::begin(self, Keeping::Live, |starts| start_each(starts, servers)),
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

    /// What [`cancel`](Self::cancel) does, for somebody else than who reads the stream: of a button, say.
    pub fn canceller(&self) -> CancellationToken {
        self.run.cancellation.clone()
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
pub(crate) enum Keeping {
    Nothing { count_tools: bool },
    Live,
}

/// What is told of a run, and with the `ready` of a server that is kept, the server.
pub(crate) type Told = (Update, Option<LiveServer>);

/// The task that owns every start of one call, and what comes out of it.
#[derive(Debug)]
pub(crate) struct Run {
    // Unbounded, and yet bounded: a handful for each server. (A server is started again only after its failure was read.)
    pub told: mpsc::UnboundedReceiver<Told>,
    pub cancellation: CancellationToken,
    owner: JoinHandle<()>,
}

impl Drop for Run {
    fn drop(&mut self) {
        // The owner's starts go with it, and each start's program with the start.
        self.owner.abort();
    }
}

/// What the starts of one call share, and the way to make one.
#[derive(Clone)]
pub(crate) struct Starts {
    pub means: Arc<Means>,
    pub cancellation: CancellationToken,
    permits: Arc<Semaphore>,
    sender: mpsc::UnboundedSender<Told>,
    keeping: Keeping,
}

impl Starts {
    /// Starts a server as soon as one more may be started. `failed` hears of a failure before anybody else does; what it
    /// returns is told after it.
    pub async fn start(
        &self,
        entry: &ServerEntry,
        failed: impl FnOnce(&StartupFailure, &Findings) -> Option<Update>,
    ) {
        tokio::select! {
            permit = self.permits.acquire() => {
                let one = One {
                    entry,
                    starts: self,
                    findings: Arc::new(Findings::new(
                        entry.name.clone(),
                        mask(entry),
                        tell(&self.sender),
                    )),
                };
                one.run(failed).await;
                drop(permit);
            }
            // What has not begun has nothing to say.
            () = self.cancellation.cancelled() => {}
        }
    }

    pub fn tell(&self, update: Update, live: Option<LiveServer>) {
        // Whoever asked may have gone.
        let _ = self.sender.send((update, live));
    }
}

/// Awaited between two starts that begin: what the first sent is on its way then, and what came meanwhile was read. Of hundreds that
/// begin in one moment each opens a connection of its own, where the first ones' could be used again.
pub(crate) async fn before_the_next() {
    tokio::task::yield_now().await;
}

/// One start of every enabled server.
async fn start_each(starts: Starts, servers: Vec<ServerEntry>) {
    let mut tasks = JoinSet::new();
    for entry in servers.into_iter().filter(|entry| entry.enabled) {
        let starts = starts.clone();
        tasks.spawn(async move { starts.start(&entry, |_, _| None).await });
        before_the_next().await;
    }
    while tasks.join_next().await.is_some() {}
}

impl Run {
    /// A run is over with the future that `work` makes: it owns the starts.
    pub fn begin<F: Future<Output = ()> + Send + 'static>(
        startup: &Startup,
        keeping: Keeping,
        work: impl FnOnce(Starts) -> F,
    ) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let cancellation = CancellationToken::new();
        let starts = Starts {
            means: startup.means.clone(),
            cancellation: cancellation.clone(),
            permits: Arc::new(Semaphore::new(
                startup.concurrency.min(Semaphore::MAX_PERMITS),
            )),
            sender,
            keeping,
        };
        let work = work(starts.clone());
        let owner = tokio::spawn(async move {
            work.await;
            // A refresh that was sent is saved, whatever became of the start that wanted it.
            if !starts.means.refreshes.is_empty() {
                starts.tell(Update::Saving, None);
            }
            starts.means.finish_refreshes().await;
            // With `starts` ends the stream.
        });
        Self {
            told,
            cancellation,
            owner,
        }
    }

    pub fn poll_event(
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

/// One start of a server.
struct One<'a> {
    entry: &'a ServerEntry,
    starts: &'a Starts,
    findings: Arc<Findings>,
}

impl One<'_> {
    async fn run(self, failed: impl FnOnce(&StartupFailure, &Findings) -> Option<Update>) {
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
        let live = matches!(self.starts.keeping, Keeping::Live);
        let starting = start(
            self.entry,
            &self.starts.means,
            self.findings.clone(),
            live,
            &self.starts.cancellation,
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
        match (outcome, self.starts.keeping) {
            (Outcome::Cancelled(program), _) => {
                self.say(began, Notification::cancelled(name), phase, None, None);
                end(program).await;
            }
            (Outcome::Failed(failure, program), _) => {
                let update = failed(&failure, &self.findings);
                let said = Notification::from_failure(name, &failure);
                self.say(began, said, phase, Some(*failure), None);
                if let Some(update) = update {
                    self.starts.tell(update, None);
                }
                end(program).await;
            }
            (Outcome::Ready(live), Keeping::Live) => {
                self.say(began, Notification::ready(name), phase, None, Some(live));
            }
            (Outcome::Ready(live), Keeping::Nothing { count_tools }) => {
                self.say(began, Notification::ready(name), phase, None, None);
                if count_tools {
                    tokio::select! {
                        () = self.starts.cancellation.cancelled() => {}
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
            elapsed_ms: milliseconds(began.elapsed()),
            required: self.entry.required,
            failure,
            not_saved: self.findings.not_saved(),
        };
        self.starts.tell(Update::Event(event), live);
    }
}

async fn end(program: Option<Program>) {
    if let Some(program) = program {
        program.end().await;
    }
}
