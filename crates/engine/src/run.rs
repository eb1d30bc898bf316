//! The task that owns all starts of one check, start or watch, and the channel of their updates.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::FutureExt;
use mcp_startup_config::{ServerEntry, TransportConfig};
use mcp_startup_core::{
    McpServerStartupState, McpServerStatusUpdatedNotification, StartPhase, StartupFailure, judge,
};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::event::{StartupEvent, Update};
use crate::shared_context::{SharedContext, milliseconds};
use crate::start::evidence_collector::EvidenceCollector;
use crate::start::masked_secrets::mask;
use crate::start::{LiveServer, Outcome, start};
use crate::startup::Startup;
use crate::transport::stdio::Program;

/// What happens to a server that is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OnReady {
    /// It is closed.
    Close,
    /// It goes to the host.
    Keep,
}

/// An update, and with the `ready` of a server that is kept, the server.
pub(crate) type RunUpdate = (Update, Option<LiveServer>);

/// The task that owns all starts of one call, and the receiver of their updates.
#[derive(Debug)]
pub(crate) struct Run {
    // The number of queued updates is bounded by the number of servers: a watch restarts a server only after its failure was read.
    pub updates: mpsc::UnboundedReceiver<RunUpdate>,
    pub cancellation: CancellationToken,
    owner: JoinHandle<()>,
}

impl Drop for Run {
    fn drop(&mut self) {
        // This drops the starts, and each start ends its program when it is dropped.
        self.owner.abort();
    }
}

/// The context of the starts of one call.
#[derive(Clone)]
pub(crate) struct Starts {
    pub shared: Arc<SharedContext>,
    pub cancellation: CancellationToken,
    permits: Arc<Semaphore>,
    /// The permits for programs. A start takes one of these before one of `permits`, so that programs never hold up URLs.
    program_permits: Arc<Semaphore>,
    turn: Arc<Semaphore>,
    sender: mpsc::UnboundedSender<RunUpdate>,
    on_ready: OnReady,
}

impl Starts {
    /// Starts a server as soon as the limit on concurrent starts permits it. If the server fails, `failed` is called before the
    /// event is sent, and the update that it returns is sent after the event.
    pub async fn start(
        &self,
        entry: &ServerEntry,
        failed: impl FnOnce(&StartupFailure, &EvidenceCollector) -> Option<Update>,
    ) {
        tokio::select! {
            biased;
            // A start that has not begun has no events. A cancelled start gives back its permit, so this is checked first.
            () = self.cancellation.cancelled() => {}
            permits = self.permits(entry) => {
                let running = self.shared.running_starts.begin();
                let collector = EvidenceCollector::new(
                    entry.name.clone(),
                    mask(entry),
                    progress_sender(&self.sender),
                );
                let collector = match self.shared.records_timelines {
                    true => collector.with_timeline(),
                    false => collector,
                };
                let start = SingleStart {
                    entry,
                    starts: self,
                    collector: Arc::new(collector),
                };
                start.run(failed).await;
                drop((permits, running));
            }
        }
    }

    async fn permits(&self, entry: &ServerEntry) -> [Option<SemaphorePermit<'_>>; 2] {
        let is_program = matches!(
            &entry.config,
            Ok(config) if matches!(config.transport, TransportConfig::Stdio(_))
        );
        // The semaphores are never closed.
        let of_programs = match is_program {
            true => self.program_permits.acquire().await.ok(),
            false => None,
        };
        let permit = self.permits.acquire().await.ok();
        // The starts that have begun send their requests and read answers before the next one begins. If hundreds of starts began at the
        // same moment, each would open a connection instead of reusing an idle one.
        let _turn = self.turn.acquire().await;
        tokio::task::yield_now().await;
        [of_programs, permit]
    }

    pub fn send(&self, update: Update, live: Option<LiveServer>) {
        // The receiver may have been dropped.
        let _ = self.sender.send((update, live));
    }
}

/// Starts every enabled server once.
pub(crate) async fn start_each(starts: Starts, servers: Vec<ServerEntry>) {
    let mut tasks = JoinSet::new();
    for entry in servers.into_iter().filter(|entry| entry.enabled) {
        let starts = starts.clone();
        tasks.spawn(async move { starts.start(&entry, |_, _| None).await });
    }
    while tasks.join_next().await.is_some() {}
}

impl Run {
    /// Begins a run. `work` creates the future that owns the starts; the run ends with that future.
    pub fn begin<F: Future<Output = ()> + Send + 'static>(
        startup: &Startup,
        on_ready: OnReady,
        work: impl FnOnce(Starts) -> F,
    ) -> Self {
        let (sender, updates) = mpsc::unbounded_channel();
        let cancellation = CancellationToken::new();
        let starts = Starts {
            shared: startup.shared.clone(),
            cancellation: cancellation.clone(),
            permits: startup.permits.clone(),
            program_permits: startup.program_permits.clone(),
            turn: startup.turn.clone(),
            sender,
            on_ready,
        };
        let work = work(starts.clone());
        let owner = tokio::spawn(async move {
            work.await;
            // A refresh that was sent is saved, even if the start that requested it has ended.
            if !starts.shared.refreshes.is_empty() {
                starts.send(Update::Saving, None);
            }
            starts.shared.finish_refreshes().await;
            // Here `starts` is dropped, which ends the stream.
        });
        Self {
            updates,
            cancellation,
            owner,
        }
    }

    pub fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<(StartupEvent, Option<LiveServer>)>> {
        loop {
            match self.updates.poll_recv(context) {
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

/// The function by which a start reports its progress. It holds the sender weakly: a live server must not keep the stream open.
fn progress_sender(
    sender: &mpsc::UnboundedSender<RunUpdate>,
) -> impl Fn(Update) + Send + Sync + 'static {
    let sender = sender.downgrade();
    move |update| {
        // The receiver may have been dropped.
        if let Some(sender) = sender.upgrade() {
            let _ = sender.send((update, None));
        }
    }
}

/// One start of a server, from its `starting` event to its closing event.
struct SingleStart<'a> {
    entry: &'a ServerEntry,
    starts: &'a Starts,
    collector: Arc<EvidenceCollector>,
}

impl SingleStart<'_> {
    async fn run(self, failed: impl FnOnce(&StartupFailure, &EvidenceCollector) -> Option<Update>) {
        use McpServerStatusUpdatedNotification as Notification;
        let name = &self.entry.name;
        let began = Instant::now();
        self.send_event(
            began,
            Notification::starting(name),
            StartPhase::Configuring,
            None,
        );
        let live = matches!(self.starts.on_ready, OnReady::Keep);
        let starting = start(
            self.entry,
            &self.starts.shared,
            self.collector.clone(),
            live,
            &self.starts.cancellation,
        );
        // Every `starting` is followed by a closing event, even after a panic.
        let outcome = match AssertUnwindSafe(starting).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.collector.update(|evidence| {
                    evidence.cause = Some("an internal error in mcp-startup".to_owned())
                });
                Outcome::Failed(Box::new(judge(self.collector.evidence())), None)
            }
        };
        let phase = self.collector.phase();
        match (outcome, self.starts.on_ready) {
            (Outcome::Cancelled(program), _) => {
                self.send_event(began, Notification::cancelled(name), phase, None);
                end(program).await;
            }
            (Outcome::Failed(failure, program), _) => {
                let update = failed(&failure, &self.collector);
                let notification = Notification::from_failure(name, &failure);
                self.send_event(began, notification, phase, Some(*failure));
                if let Some(update) = update {
                    self.starts.send(update, None);
                }
                end(program).await;
            }
            (Outcome::Ready(live, tools, warning), on_ready) => {
                let mut event = self.event(began, Notification::ready(name), phase, None);
                event.warning = warning;
                event.tools = tools;
                let (kept, closed) = match on_ready {
                    OnReady::Keep => (Some(live), None),
                    OnReady::Close => (None, Some(live)),
                };
                self.starts.send(Update::Event(event), kept);
                self.collector.report_tools(tools);
                if let Some(live) = closed {
                    live.close().await;
                }
            }
        }
    }

    fn send_event(
        &self,
        began: Instant,
        notification: McpServerStatusUpdatedNotification,
        phase: StartPhase,
        failure: Option<StartupFailure>,
    ) {
        let event = self.event(began, notification, phase, failure);
        self.starts.send(Update::Event(event), None);
    }

    fn event(
        &self,
        began: Instant,
        notification: McpServerStatusUpdatedNotification,
        phase: StartPhase,
        failure: Option<StartupFailure>,
    ) -> StartupEvent {
        let configuration_warnings = match notification.status() {
            McpServerStartupState::Starting => Vec::new(),
            _ => {
                let compatibility = self.entry.compatibility_warnings.iter();
                let compatibility =
                    compatibility.map(|warning| self.collector.configuration_evidence(warning));
                self.collector
                    .read(|evidence| evidence.configuration_warnings.clone())
                    .into_iter()
                    .chain(compatibility)
                    .collect()
            }
        };
        let timeline = match notification.status() {
            McpServerStartupState::Starting => None,
            _ => self.collector.end_timeline(),
        };
        StartupEvent {
            notification,
            phase,
            elapsed_ms: milliseconds(began.elapsed()),
            required: self.entry.required,
            failure,
            warning: None,
            tools: None,
            not_saved: self.collector.save_error(),
            configuration_warnings,
            timeline,
        }
    }
}

async fn end(program: Option<Program>) {
    if let Some(program) = program {
        program.end().await;
    }
}
