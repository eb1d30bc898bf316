//! One server of a client: the task that starts it, keeps it while it is ready, and starts it again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mcp_startup::config::ServerEntry;
use mcp_startup::rmcp::RoleClient;
use mcp_startup::rmcp::service::Peer;
use mcp_startup::{
    LiveServer, McpAuthStatus, McpServerConnectionStatus, McpServerStartupState, ProgressFeed,
    Recovery, Startup, StartupEvent, StartupFailureKind, Update, Watch, printable,
};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::NAME_CHARS;
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
/// How long a server may take to end before it is killed. It has 2 s for its HTTP session, and then its program has 2 s to exit.
const END_LIMIT: Duration = Duration::from_secs(6);

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
    /// Whether the server, which is connected, has refused the authorization of a request.
    is_rejected: bool,
    /// When the server was last started again because of that.
    last_rejection: Option<Instant>,
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

    /// Whether the last start failed because the server did not answer.
    pub fn has_no_answer(&self) -> bool {
        let failure = self.ended.as_ref().and_then(|ended| ended.failure.as_ref());
        failure.is_some_and(|failure| {
            use StartupFailureKind::{TimedOut, Unreachable};
            matches!(failure.kind(), TimedOut | Unreachable)
        })
    }

    /// The warning about a server that is ready.
    pub fn warning(&self) -> Option<&str> {
        let warning = self.ended.as_ref()?.warning.as_ref()?;
        Some(&warning.message)
    }

    fn is_of_same_start(&self, other: &Self) -> bool {
        match (&self.ended, &other.ended) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
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
            is_rejected: false,
            last_rejection: None,
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

    /// Handles that the server has refused the authorization of a request, which was sent in the state `asked`. It starts again, and the
    /// start finds out what the user can do. A server that was started again and still refuses only some requests stays connected.
    pub fn rejected(&self, asked: &State) {
        let mut restarts = false;
        self.state.send_if_modified(|state| {
            if state.is_of_same_start(asked) && !state.is_rejected {
                state.is_rejected = true;
                let last = state.last_rejection;
                restarts = last.is_none_or(|last| last.elapsed() > GOOD_CONNECTION);
                if restarts {
                    state.last_rejection = Some(Instant::now());
                }
            }
            false
        });
        if restarts {
            self.restart();
        }
    }

    /// Why the server is not connected in this state, for the user.
    pub fn why_not_connected(&self, state: &State) -> String {
        let name = printable(&self.entry.name, NAME_CHARS);
        match (state.connection, state.error()) {
            (McpServerConnectionStatus::Disabled, _) => format!(
                "{name} is disabled in the configuration: enable it there, and reload the configuration."
            ),
            (_, Some(error)) => error.to_owned(),
            (_, None) => format!("{name} is not connected."),
        }
    }

    /// Starts the server again if it has failed, was cancelled, has lost its connection or has refused the authorization of a request.
    /// Does nothing if it is starting or connected.
    ///
    /// # Errors
    ///
    /// Returns an error if the server is disabled.
    pub fn retry(&self) -> Result<(), RpcError> {
        let state = self.state();
        match state.connection {
            McpServerConnectionStatus::Disabled => {
                return Err(RpcError::invalid_params(self.why_not_connected(&state)));
            }
            McpServerConnectionStatus::Connected if !state.is_rejected => return Ok(()),
            McpServerConnectionStatus::NotStarted | McpServerConnectionStatus::Starting => {
                return Ok(());
            }
            McpServerConnectionStatus::Connected
            | McpServerConnectionStatus::AuthenticationRequired
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
                unsent: VecDeque::new(),
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
            let mut unsent: VecDeque<String> = self.details(outgoing).into_iter().collect();
            while !unsent.is_empty() {
                outgoing.send_first(&mut unsent).await;
            }
            let _ = tokio::time::timeout(pause, wanted.changed()).await;
            self.change(|state| state.due = None);
        }
    }

    /// Remembers the answer of the server about its authorization, if `asked` is still the state of its last start.
    pub fn remember_auth_status(&self, asked: &State, status: McpAuthStatus) {
        self.state.send_if_modified(|state| {
            if state.is_of_same_start(asked) {
                state.asked_auth_status = Some(status);
            }
            false
        });
    }

    /// The notification with the details of the last start.
    fn details(&self, outgoing: &Outgoing) -> Option<String> {
        let notification = FailureUpdatedNotification {
            thread_id: None,
            name: self.entry.name.clone(),
            details: self.state().details(),
        };
        outgoing.notification("mcpStartup/failure/updated", &notification)
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
    /// The notifications of the last update. No other update is read before they are sent, so that a client that does not read stops
    /// its servers.
    unsent: VecDeque<String>,
}

impl Start<'_> {
    /// Follows the starts until a client wants something else, or the connection of a server that was ready is lost.
    async fn follow(&mut self, wanted: &mut watch::Receiver<Wanted>) -> End {
        loop {
            let has_unsent = !self.unsent.is_empty();
            let update = tokio::select! {
                biased;
                _ = wanted.changed() => return End::Wanted,
                () = self.outgoing.send_first(&mut self.unsent), if has_unsent => continue,
                update = self.watch.update(), if !has_unsent => update,
                () = lost(self.live.as_ref()) => return End::ConnectionLost,
            };
            match update {
                Some((update, live)) => self.update(update, live),
                // A watch ends only after it was cancelled.
                None => return End::ConnectionLost,
            }
        }
    }

    fn update(&mut self, update: Update, live: Option<LiveServer>) {
        match update {
            Update::Event(event) => {
                if let Some(live) = live {
                    self.live = Some(live);
                }
                self.event(event);
            }
            Update::Waiting { retry_in_ms, .. } => {
                let due = retry_in_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
                self.server.change(|state| state.due = due);
                self.unsent.extend(self.server.details(self.outgoing));
            }
            Update::Phase { .. } | Update::Saving | Update::Tools { .. } => {}
        }
    }

    fn event(&mut self, event: StartupEvent) {
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
                false => {
                    state.asked_auth_status = None;
                    state.is_rejected = false;
                }
            }
        });
        let notification = self
            .outgoing
            .notification(mcp_startup::METHOD, &notification);
        self.unsent.extend(notification);
        // The details of a failure follow with the time of the next start.
        let has_changed = server.state().details() != before;
        if status.is_finished() && status != McpServerStartupState::Failed && has_changed {
            self.unsent.extend(server.details(self.outgoing));
        }
    }

    /// Ends the start or the connection, even if the client does not read, and then sends the rest of the notifications. A start that
    /// has begun is reported as cancelled.
    async fn end(mut self) {
        // Otherwise, dropping them kills the program.
        let _ = tokio::time::timeout(END_LIMIT, self.end_server()).await;
        let Self {
            outgoing,
            mut unsent,
            watch,
            live,
            ..
        } = self;
        drop((watch, live));
        while !unsent.is_empty() {
            outgoing.send_first(&mut unsent).await;
        }
    }

    async fn end_server(&mut self) {
        let is_starting = |server: &Server| {
            server.state.borrow().connection == McpServerConnectionStatus::Starting
        };
        self.watch.cancel();
        while is_starting(self.server)
            && let Some((update, live)) = self.watch.update().await
        {
            self.update(update, live);
        }
        self.server.change(|state| {
            state.connection = McpServerConnectionStatus::NotStarted;
            state.peer = None;
            state.progress = None;
        });
        if let Some(live) = self.live.take() {
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
