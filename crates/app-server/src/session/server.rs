//! One server of a client: the task that starts it, keeps it while it is ready, and starts it again.

use std::sync::Arc;
use std::time::Duration;

use mcp_startup::config::ServerEntry;
use mcp_startup::rmcp::RoleClient;
use mcp_startup::rmcp::service::Peer;
use mcp_startup::{
    LiveServer, McpAuthStatus, McpServerConnectionStatus, McpServerStartupState, ProgressFeed,
    Recovery, Startup, StartupEvent, Update, Watch,
};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::connection::Outgoing;
use crate::protocol::RpcError;
use crate::protocol::startup::{FailureReadResponse, FailureUpdatedNotification, StartDetails};

/// How often the connection of a live server is checked.
const CONNECTION_CHECK: Duration = Duration::from_secs(1);
/// How long to wait before a server that has lost its connection starts again: this time, doubled after each loss.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A connection that lasted longer than this was good: the next loss counts as the first.
const GOOD_CONNECTION: Duration = Duration::from_secs(600);
/// How long a cancelled start may take to report that it was cancelled.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// A server of a client, as all its requests see it.
pub(crate) struct Server {
    pub entry: ServerEntry,
    state: watch::Sender<State>,
    wanted: watch::Sender<Wanted>,
    /// When the server last answered how a client is authorized, and its answer. Locked while it is queried.
    pub last_auth_status: Mutex<Option<(Instant, McpAuthStatus)>>,
}

/// The wishes of the client for the server.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    /// Counts the restarts.
    restarts: u64,
    stopped: bool,
}

/// The state of a server.
#[derive(Clone)]
pub(crate) struct State {
    pub connection: McpServerConnectionStatus,
    /// The last event.
    status: Option<McpServerStartupState>,
    /// The event that ended the last complete start.
    ended: Option<Arc<StartupEvent>>,
    /// When the server starts again by itself.
    due: Option<Instant>,
    /// The connection of a server that is ready.
    pub peer: Option<Peer<RoleClient>>,
    /// The progress of its requests.
    pub progress: Option<ProgressFeed>,
    /// How a client is authorized, if only the server knows it. It is queried once for each start.
    pub asked_auth_status: Option<McpAuthStatus>,
}

/// Whether no start will change the state soon.
fn is_settled(connection: McpServerConnectionStatus) -> bool {
    use McpServerConnectionStatus as Status;
    !matches!(connection, Status::NotStarted | Status::Starting)
}

impl State {
    /// The message of the failure, if the last start failed.
    pub fn error(&self) -> Option<&str> {
        let failure = self.ended.as_ref()?.failure.as_ref()?;
        Some(failure.message())
    }

    /// The warning about a server that is ready.
    pub fn warning(&self) -> Option<&str> {
        let warning = self.ended.as_ref()?.warning.as_ref()?;
        Some(&warning.message)
    }

    fn details(&self) -> StartDetails {
        let Some(event) = &self.ended else {
            return StartDetails::default();
        };
        let left = |due: Instant| due.saturating_duration_since(Instant::now());
        StartDetails {
            failure: event.failure.clone(),
            warning: event.warning.clone(),
            not_saved: event.not_saved.clone(),
            configuration_warnings: event.configuration_warnings.clone(),
            retry_in_ms: self
                .due
                .map(|due| u64::try_from(left(due).as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// Why the task stops following a start.
enum End {
    Wanted,
    ConnectionLost,
}

impl Server {
    pub fn new(entry: ServerEntry) -> Self {
        let state = State {
            connection: match entry.enabled {
                true => McpServerConnectionStatus::NotStarted,
                false => McpServerConnectionStatus::Disabled,
            },
            status: None,
            ended: None,
            due: None,
            peer: None,
            progress: None,
            asked_auth_status: None,
        };
        Self {
            entry,
            state: watch::Sender::new(state),
            wanted: watch::Sender::default(),
            last_auth_status: Mutex::default(),
        }
    }

    /// Starts the server again: ends the start or the connection that there is, and begins a new start.
    pub fn restart(&self) {
        self.wanted.send_modify(|wanted| wanted.restarts += 1);
    }

    /// Starts the server again if it has failed, was cancelled or has lost its connection. Does nothing if it is starting or connected.
    ///
    /// # Errors
    ///
    /// Returns an error if the server is disabled.
    pub fn retry(&self) -> Result<(), RpcError> {
        match self.state.borrow().connection {
            McpServerConnectionStatus::Disabled => {
                return Err(RpcError::invalid_params(format!(
                    "{} is disabled in the configuration: enable it there, and reload the configuration.",
                    self.entry.name
                )));
            }
            McpServerConnectionStatus::NotStarted
            | McpServerConnectionStatus::Starting
            | McpServerConnectionStatus::Connected => return Ok(()),
            McpServerConnectionStatus::AuthenticationRequired
            | McpServerConnectionStatus::Failed
            | McpServerConnectionStatus::Cancelled => {}
        }
        self.restart();
        Ok(())
    }

    /// Ends the server and its task.
    pub fn stop(&self) {
        self.wanted.send_modify(|wanted| wanted.stopped = true);
    }

    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until no start is under way, or until `deadline`.
    pub async fn settled(&self, deadline: Instant) {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| is_settled(state.connection));
        let _ = tokio::time::timeout_at(deadline, settled).await;
    }

    /// The result of the last start.
    pub fn report(&self) -> FailureReadResponse {
        let state = self.state();
        let event = state.ended.as_ref();
        FailureReadResponse {
            name: self.entry.name.clone(),
            status: state.status.as_ref().map(ToString::to_string),
            phase: event.map(|event| event.phase),
            elapsed_ms: event.map(|event| event.elapsed_ms),
            required: self.entry.required,
            details: state.details(),
            timeline: event
                .and_then(|event| event.timeline.as_ref())
                .and_then(|timeline| serde_json::to_value(timeline).ok()),
        }
    }

    /// Starts the server, and starts it again after a failure, after a lost connection and on request, until it is stopped.
    pub async fn run(&self, startup: &Startup, outgoing: &Outgoing) {
        let mut wanted = self.wanted.subscribe();
        if !self.entry.enabled {
            let _ = wanted.wait_for(|wanted| wanted.stopped).await;
            return;
        }
        let mut losses = 0;
        while !wanted.borrow_and_update().stopped {
            let began = Instant::now();
            let mut start = Start {
                server: self,
                outgoing,
                watch: startup.watch(vec![self.entry.clone()]),
                live: None,
            };
            let end = start.follow(&mut wanted).await;
            start.end().await;
            if matches!(end, End::Wanted) {
                losses = 0;
                continue;
            }
            if began.elapsed() > GOOD_CONNECTION {
                losses = 0;
            }
            let pause = FIRST_PAUSE
                .saturating_mul(1 << losses.min(16))
                .min(LONGEST_PAUSE);
            losses += 1;
            self.change(|state| {
                state.connection = McpServerConnectionStatus::Failed;
                state.due = Some(Instant::now() + pause);
            });
            self.report_details(outgoing).await;
            let _ = tokio::time::timeout(pause, wanted.changed()).await;
            self.change(|state| state.due = None);
        }
    }

    /// Remembers the answer of the server about its authorization, if `asked` is still the state of its last start.
    pub fn remember_auth_status(&self, asked: &State, status: McpAuthStatus) {
        self.state.send_if_modified(|state| {
            let is_same_start = match (&state.ended, &asked.ended) {
                (Some(now), Some(then)) => Arc::ptr_eq(now, then),
                _ => false,
            };
            if is_same_start {
                state.asked_auth_status = Some(status);
            }
            false
        });
    }

    async fn report_details(&self, outgoing: &Outgoing) {
        let notification = FailureUpdatedNotification {
            thread_id: None,
            name: self.entry.name.clone(),
            details: self.state().details(),
        };
        outgoing
            .notify("mcpStartup/failure/updated", &notification)
            .await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }
}

/// A start of a server, its repetitions after failures, and its connection once it is ready.
struct Start<'a> {
    server: &'a Server,
    outgoing: &'a Outgoing,
    watch: Watch,
    live: Option<LiveServer>,
}

impl Start<'_> {
    /// Follows the starts until a client wants something else, or the connection of a server that was ready is lost.
    async fn follow(&mut self, wanted: &mut watch::Receiver<Wanted>) -> End {
        loop {
            let update = tokio::select! {
                biased;
                _ = wanted.changed() => return End::Wanted,
                update = self.watch.update() => update,
                () = lost(self.live.as_ref()) => return End::ConnectionLost,
            };
            // Outside of the `select!`, so that no update is lost.
            match update {
                Some((update, live)) => self.update(update, live).await,
                // A watch ends only after it was cancelled.
                None => return End::ConnectionLost,
            }
        }
    }

    async fn update(&mut self, update: Update, live: Option<LiveServer>) {
        match update {
            Update::Event(event) => {
                if let Some(live) = live {
                    self.live = Some(live);
                }
                self.event(event).await;
            }
            Update::Waiting { retry_in_ms, .. } => {
                let due = retry_in_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
                self.server.change(|state| state.due = due);
                self.server.report_details(self.outgoing).await;
            }
            Update::Phase { .. } | Update::Saving | Update::Tools { .. } => {}
        }
    }

    async fn event(&mut self, event: StartupEvent) {
        let server = self.server;
        let status = event.notification.status().clone();
        let connection = connection_status(&event);
        let notification = event.notification.clone();
        let before = server.state().details();
        let live = self.live.as_ref();
        let peer = live.map(|live| live.peer().clone());
        let progress = live.map(|live| live.progress().clone());
        server.change(|state| {
            state.connection = connection;
            state.status = Some(status.clone());
            state.due = None;
            state.peer = peer;
            state.progress = progress;
            match status.is_finished() {
                true => state.ended = Some(Arc::new(event)),
                false => state.asked_auth_status = None,
            }
        });
        self.outgoing
            .notify(mcp_startup::METHOD, &notification)
            .await;
        // The details of a failure follow with the time of the next start.
        let has_changed = server.state().details() != before;
        if status.is_finished() && status != McpServerStartupState::Failed && has_changed {
            self.server.report_details(self.outgoing).await;
        }
    }

    /// Ends the start or the connection. A start that has begun is reported as cancelled.
    async fn end(mut self) {
        let is_starting = |server: &Server| {
            server.state.borrow().connection == McpServerConnectionStatus::Starting
        };
        if is_starting(self.server) {
            self.watch.cancel();
            while is_starting(self.server)
                && let Ok(Some((update, live))) =
                    tokio::time::timeout(CANCEL_LIMIT, self.watch.update()).await
            {
                self.update(update, live).await;
            }
        }
        drop(self.watch);
        self.server.change(|state| {
            state.connection = McpServerConnectionStatus::NotStarted;
            state.peer = None;
            state.progress = None;
        });
        if let Some(live) = self.live {
            live.close().await;
        }
    }
}

fn connection_status(event: &StartupEvent) -> McpServerConnectionStatus {
    match event.notification.status() {
        McpServerStartupState::Ready => McpServerConnectionStatus::Connected,
        McpServerStartupState::Cancelled => McpServerConnectionStatus::Cancelled,
        McpServerStartupState::Failed => {
            let recovery = event.failure.as_ref().map(|failure| failure.recovery());
            match recovery {
                Some(Recovery::SignIn | Recovery::Reauthenticate | Recovery::GrantScope) => {
                    McpServerConnectionStatus::AuthenticationRequired
                }
                _ => McpServerConnectionStatus::Failed,
            }
        }
        McpServerStartupState::Starting | McpServerStartupState::Unknown(_) => {
            McpServerConnectionStatus::Starting
        }
    }
}

/// Waits until the connection of a live server is lost; forever if there is none.
async fn lost(live: Option<&LiveServer>) {
    let Some(live) = live else {
        return std::future::pending().await;
    };
    while !live.peer().is_transport_closed() {
        tokio::time::sleep(CONNECTION_CHECK).await;
    }
}
