//! Starts that go on while the host runs: a server that failed is started again when that may help.

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures::{FutureExt, Stream};
use mcp_startup_auth::{CredentialKey, CredentialStores};
use mcp_startup_config::{ServerEntry, TransportConfig};
use mcp_startup_core::{McpServerStartupState, Recovery, StartupFailure};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::authorization;
use crate::backoff::{pause, random, retry_after};
use crate::check::{Keeping, Run, Starts, Startup, before_the_next};
use crate::event::{StartupEvent, Update};
use crate::findings::Findings;
use crate::known::Known;
use crate::means::{Means, milliseconds};
use crate::start::LiveServer;
use crate::stored::credential_key;

/// How often what is stored for the servers that failed is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A change of what is stored that comes so long after the last one has nothing to do with that.
const CHANGES_BELONG_TOGETHER: Duration = Duration::from_secs(60 * 60);

impl Startup {
    /// Starts every enabled server and keeps those that are ready, as [`start`](Self::start) does; and goes on. A server that
    /// failed is started again, with a new `starting` and one closing event,
    ///
    /// * when the host asks for it: [`Watch::retry`];
    /// * when what is stored for it is not what its start has found there: a sign-in by any process. It is looked for about once a
    ///   second, for servers that failed and take a stored sign-in. That a store can't be read is no such change, nor is
    ///   a refresh by the start itself. A second change that does not help waits a while, and each further one twice as long:
    ///   two hosts that both refresh must not keep each other going;
    /// * by itself, where [`Recovery::Retry`] says that this may help: after at most 1 s, then 2 s, 4 s and so on up to 5 min, each
    ///   time a random part of that, and not before the `Retry-After` of the MCP server or of the token endpoint, of which
    ///   at most an hour is waited for.
    ///
    /// There is never more than one start of a server at a time, nor more of them all than
    /// [`StartupOptions::concurrency`](crate::StartupOptions::concurrency). No server is started again before its failure has been
    /// read from the stream. None of this opens a browser.
    ///
    /// A server that is ready is done with: what becomes of it is the host's, and a new watch starts it anew.
    ///
    /// Must be called inside a Tokio runtime.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use futures::StreamExt;
    /// use mcp_startup::auth::{CredentialKey, CredentialRecord, CredentialStore, CredentialStores, MemoryStore};
    /// use mcp_startup::config::ServerConfig;
    /// use mcp_startup::{McpServerStartupState, Startup, StartupOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let lab = mcp_startup_lab::Lab::start(0).await?;
    /// let url = lab.url("first-sign-in");
    /// let server = ServerConfig::http("first-sign-in", &url)?;
    /// let store = MemoryStore::default();
    /// let mut options = StartupOptions::default();
    /// options.stores = Some(CredentialStores::of(Arc::new(store.clone())));
    ///
    /// let mut watch = Startup::new(options)?.watch(vec![server.into()]);
    /// while let Some((event, live)) = watch.next().await {
    ///     match event.notification.status() {
    ///         McpServerStartupState::Failed => {
    ///             // Meanwhile somebody signs in, here or in another process.
    ///             let record = CredentialRecord::parse(r#"{"access_token": "good-token"}"#)?;
    ///             store.replace(&CredentialKey::new("first-sign-in", &url), None, Some(&record)).await?;
    ///         }
    ///         McpServerStartupState::Ready => {
    ///             println!("{} is ready", event.notification.name());
    ///             live.unwrap().close().await;
    ///             watch.cancel();
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self, servers: Vec<ServerEntry>) -> Watch {
        Watch::begin(self, servers, Keeping::Live)
    }

    /// The same, but for one thing: a server that is ready is closed, as a [`check`](Self::check) does it.
    ///
    /// Must be called inside a Tokio runtime.
    pub fn watch_check(&self, servers: Vec<ServerEntry>) -> Watch {
        let keeping = Keeping::Nothing {
            count_tools: self.count_tools,
        };
        Watch::begin(self, servers, keeping)
    }
}

/// Starts under way, and those to come: a stream of events, and with each `ready` its live server. It goes on until it is
/// cancelled, whatever the servers come to.
///
/// Dropped, it ends every start at once, and what waits; [`Watch::cancel`] lets each start say so.
#[derive(Debug)]
pub struct Watch {
    run: Run,
    handle: WatchHandle,
}

/// What can be asked of a [`Watch`] by somebody else than who reads it: of a button, say.
#[derive(Clone, Debug)]
pub struct WatchHandle {
    servers: Arc<[(String, Signals)]>,
    cancellation: CancellationToken,
}

/// What the task of a server waits for. Each is heard by who waits at that moment, and by nobody later.
#[derive(Clone, Debug, Default)]
struct Signals {
    retry: Arc<Notify>,
    /// The host knows that the server has failed.
    failure_is_read: Arc<Notify>,
}

impl WatchHandle {
    /// Starts the server of this name again now, if it has failed. Does nothing if it is starting or ready, or has never been
    /// there: it is safe to be called twice, or by a button that is late.
    pub fn retry(&self, name: &str) {
        self.signals(name)
            .for_each(|signals| signals.retry.notify_waiters());
    }

    /// Ends the watch. Each start under way says `cancelled`, its program ends, and the stream ends after that. What is ready stays
    /// with whom it was handed to.
    pub fn cancel(&self) {
        self.cancellation.cancel();
    }

    fn signals(&self, name: &str) -> impl Iterator<Item = &Signals> {
        let named = self.servers.iter().filter(move |(known, _)| known == name);
        named.map(|(_, signals)| signals)
    }
}

impl Watch {
    fn begin(startup: &Startup, servers: Vec<ServerEntry>, keeping: Keeping) -> Self {
        let enabled = servers.into_iter().filter(|entry| entry.enabled);
        let servers: Vec<_> = enabled.map(|entry| (entry, Signals::default())).collect();
        let named = servers
            .iter()
            .map(|(entry, signals)| (entry.name.clone(), signals.clone()));
        let named = named.collect();
        let run = Run::begin(startup, keeping, |starts| {
            keep_starting_each(starts, servers)
        });
        Self {
            handle: WatchHandle {
                servers: named,
                cancellation: run.cancellation.clone(),
            },
            run,
        }
    }

    /// What can be asked of it by somebody else.
    pub fn handle(&self) -> WatchHandle {
        self.handle.clone()
    }

    /// See [`WatchHandle::retry`].
    pub fn retry(&self, name: &str) {
        self.handle.retry(name);
    }

    /// See [`WatchHandle::cancel`].
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// The next of all that there is to tell, for someone who watches: what the stream gives, and what goes on in between, such as
    /// when the next try is due. Dropped, it has lost nothing.
    pub async fn update(&mut self) -> Option<(Update, Option<LiveServer>)> {
        let told = self.run.told.recv().await?;
        if let Update::Event(event) = &told.0 {
            self.is_read(event);
        }
        Some(told)
    }

    fn is_read(&self, event: &StartupEvent) {
        if *event.notification.status() == McpServerStartupState::Failed {
            let signals = self.handle.signals(event.notification.name());
            signals.for_each(|signals| signals.failure_is_read.notify_waiters());
        }
    }
}

impl Stream for Watch {
    type Item = (StartupEvent, Option<LiveServer>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.run.poll_event(context);
        if let Poll::Ready(Some((event, _))) = &polled {
            self.is_read(event);
        }
        polled
    }
}

/// The whole of a watch: a task for each server, and one that looks at what is stored for those that failed.
async fn keep_starting_each(starts: Starts, servers: Vec<(ServerEntry, Signals)>) {
    let mut tasks = JoinSet::new();
    let (failed, to_look_at) = mpsc::unbounded_channel();
    let (means, cancellation) = (starts.means.clone(), starts.cancellation.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = cancellation.cancelled() => {}
            () = look_at_stores(&means, to_look_at) => {}
        }
    });
    for (entry, signals) in servers {
        let server = Watched {
            key: looked_for(&entry),
            entry,
            signals,
            failed: failed.clone(),
            starts: starts.clone(),
            transient: 0,
            changes: Changes::default(),
        };
        tasks.spawn(server.keep_starting());
        before_the_next().await;
    }
    starts.cancellation.cancelled().await;
    while tasks.join_next().await.is_some() {}
}

/// The key of what a start of this server would look for in the stores; `None` where it would not.
fn looked_for(entry: &ServerEntry) -> Option<CredentialKey> {
    let config = entry.config.as_ref().ok()?;
    match &config.transport {
        TransportConfig::Http(http) if authorization::configured(http).is_none() => {
            Some(credential_key(config, http))
        }
        TransportConfig::Http(_) | TransportConfig::Stdio(_) => None,
    }
}

/// A server of a watch.
struct Watched {
    entry: ServerEntry,
    key: Option<CredentialKey>,
    signals: Signals,
    /// Where it goes when it has failed, to be looked at.
    failed: mpsc::UnboundedSender<Weak<LookedAt>>,
    starts: Starts,
    /// How many times in a row it has failed in a way that may pass.
    transient: u32,
    changes: Changes,
}

/// The changes of what is stored for a server that have not helped it.
#[derive(Default)]
struct Changes {
    last: Option<Instant>,
    /// How many came soon after another.
    repeated: u32,
}

impl Changes {
    /// How long to wait after one that is seen now: not at all after the first.
    fn pause(&mut self, now: Instant, random: f64) -> Duration {
        let before = self.last.replace(now);
        if before.is_none_or(|before| now - before > CHANGES_BELONG_TOGETHER) {
            self.repeated = 0;
            return Duration::ZERO;
        }
        let pause = pause(self.repeated, random, None);
        self.repeated = self.repeated.saturating_add(1);
        pause
    }
}

/// What a server that failed waits for.
struct Waiting {
    retried: Pin<Box<OwnedNotified>>,
    failure_is_read: Pin<Box<OwnedNotified>>,
    /// When it is started by itself.
    due: Option<Instant>,
    stored: Option<Arc<LookedAt>>,
}

impl Watched {
    /// Starts it, and again, until it is ready or the watch is over: one start after the other.
    async fn keep_starting(mut self) {
        loop {
            let starts = self.starts.clone();
            let entry = self.entry.clone();
            let mut waiting = None;
            let failed = |failure: &StartupFailure, findings: &Findings| {
                let (begun, update) = self.after(failure, findings);
                waiting = Some(begun);
                Some(update)
            };
            starts.start(&entry, failed).await;
            let Some(waiting) = waiting else {
                return;
            };
            if self.wait(waiting).await.is_none() {
                return;
            }
        }
    }

    /// It has failed. From this moment on it can be told to start again; nobody has heard of it yet.
    fn after(&mut self, failure: &StartupFailure, findings: &Findings) -> (Waiting, Update) {
        let pause = match failure.recovery() {
            Recovery::Retry => {
                let asked_for = retry_after(failure.evidence(), SystemTime::now());
                let pause = pause(self.transient, random(), asked_for);
                self.transient = self.transient.saturating_add(1);
                Some(pause)
            }
            _ => {
                self.transient = 0;
                None
            }
        };
        let waiting = Waiting {
            retried: Box::pin(self.signals.retry.clone().notified_owned()),
            failure_is_read: Box::pin(self.signals.failure_is_read.clone().notified_owned()),
            due: pause.map(|pause| Instant::now() + pause),
            stored: self.key.clone().map(|key| {
                Arc::new(LookedAt {
                    key,
                    known: findings.known.clone(),
                    news: Notify::new(),
                })
            }),
        };
        if let Some(stored) = &waiting.stored {
            let _ = self.failed.send(Arc::downgrade(stored));
        }
        (waiting, self.update(pause))
    }

    fn update(&self, pause: Option<Duration>) -> Update {
        Update::Waiting {
            name: self.entry.name.clone(),
            retry_in_ms: pause.map(milliseconds),
        }
    }

    /// Waits until it is to be started again; `None` where the watch is over before.
    async fn wait(&mut self, mut waiting: Waiting) -> Option<()> {
        let starts = self.starts.clone();
        let mut over = pin!(starts.cancellation.cancelled());
        loop {
            tokio::select! {
                () = &mut over => return None,
                () = &mut waiting.retried => break,
                () = until(waiting.due) => break,
                () = news(waiting.stored.as_deref()) => {
                    waiting.stored = None;
                    let now = Instant::now();
                    let pause = self.changes.pause(now, random());
                    if pause.is_zero() {
                        break;
                    }
                    let due = now + pause;
                    if waiting.due.is_none_or(|before| due < before) {
                        waiting.due = Some(due);
                        starts.tell(self.update(Some(pause)), None);
                    }
                }
            }
        }
        tokio::select! {
            () = &mut over => None,
            // Who does not read is not told more and more.
            () = &mut waiting.failure_is_read => Some(()),
        }
    }
}

/// Until that moment; for ever, where there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// What is stored for a server that failed.
struct LookedAt {
    key: CredentialKey,
    known: Arc<Known>,
    news: Notify,
}

async fn news(stored: Option<&LookedAt>) {
    match stored {
        Some(stored) => stored.news.notified().await,
        None => std::future::pending().await,
    }
}

/// Looks at what is stored for each server that failed, about once a second, until it is started again.
async fn look_at_stores(means: &Means, mut failed: mpsc::UnboundedReceiver<Weak<LookedAt>>) {
    struct Looking {
        at: Weak<LookedAt>,
        /// How many times in a row the store could not be read.
        errors: u32,
        next: Instant,
    }
    let Some(stores) = &means.stores else {
        return;
    };
    let looking = |at| Looking {
        at,
        errors: 0,
        next: Instant::now(),
    };
    let mut all: Vec<Looking> = Vec::new();
    loop {
        // Nothing has failed: there is nothing to look at.
        if all.is_empty() {
            let Some(at) = failed.recv().await else {
                return;
            };
            all.push(looking(at));
        }
        tokio::time::sleep(LOOK_EVERY).await;
        while let Ok(at) = failed.try_recv() {
            all.push(looking(at));
        }
        all.retain(|one| one.at.strong_count() > 0);
        for one in &mut all {
            let Some(at) = one.at.upgrade() else {
                continue;
            };
            if one.next > Instant::now() {
                continue;
            }
            match look(stores, &at).await {
                Some(is_news) => {
                    one.errors = 0;
                    if is_news {
                        at.news.notify_one();
                    }
                }
                // A keyring that is locked asks its user each time: less and less often, then.
                None => {
                    one.errors += 1;
                    one.next = Instant::now() + pause(one.errors, 1.0, None);
                }
            }
        }
    }
}

/// Whether something else is stored than the start has found; `None` where that can't be known.
async fn look(stores: &CredentialStores, at: &LookedAt) -> Option<bool> {
    // A store of the host's that panics must not be the end of all looking.
    let finding = AssertUnwindSafe(stores.find(&at.key)).catch_unwind();
    let found = finding.await.ok()?.ok()?;
    Some(at.known.is_news(found.as_ref().map(|found| &found.record)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_is_worth_a_start_at_once_and_those_that_follow_wait() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let seconds = Duration::from_secs;
        let mut now = Instant::now();
        let mut changes = Changes::default();
        for (later, wanted) in [
            (minutes(0), seconds(0)),
            (minutes(1), seconds(1)),
            (minutes(1), seconds(2)),
            (minutes(59), seconds(4)),
            // This one has nothing to do with those before.
            (minutes(61), seconds(0)),
            (minutes(0), seconds(1)),
        ] {
            now += later;
            assert_eq!(changes.pause(now, 1.0), wanted, "{later:?} later");
        }
    }
}
