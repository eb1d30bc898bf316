//! One client: its handshake, its requests, and the queue of messages to it. Knows no transport.

mod outgoing;
mod read_ahead;
mod requests;

use std::collections::HashSet;
use std::sync::Arc;

use futures::Stream;
use mcp_startup::printable;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::outgoing::{Outgoing, QueuedMessage};
use self::read_ahead::ReadAhead;
use self::requests::Requests;
pub(crate) use self::requests::to_raw;
use crate::app_server::AppServer;
use crate::protocol::codex::{InitializeParams, InitializeResponse};
use crate::protocol::startup::ServersUpdatedNotification;
use crate::protocol::{ErrorCode, Incoming, RequestId, RpcError, params, parse};
use crate::session::Session;

const NAME_CHARS: usize = 100;
/// The maximum number of threads of a client.
const MAX_THREADS: usize = 10_000;

/// A message that a transport has read.
#[derive(Debug)]
pub enum Frame {
    /// A message.
    Message(Vec<u8>),
    /// A message that was skipped because it is longer than the limit.
    TooLong,
}

/// Whether a client may call tools and read resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    Allowed,
    Refused,
}

/// The state of a connection.
enum Phase {
    /// The client has not sent `initialize`.
    New,
    /// The client has sent `initialize`, and not yet `initialized`.
    Initializing,
    Initialized(Arc<Session>),
}

/// One client.
struct Connection {
    app: AppServer,
    outgoing: Outgoing,
    phase: Phase,
    threads: HashSet<String>,
    calls: Calls,
    /// The client has left. Its messages that wait start nothing.
    has_left: bool,
}

/// The next thing for a connection to handle.
enum Input {
    /// A message of the client.
    Frame(Frame),
    /// The configuration was read again.
    Reloaded,
}

/// Serves a client until `frames` ends, the receiver of `outgoing` is dropped, or the app-server ends. Then ends its servers. Cancels
/// `left` as soon as the client has left or the app-server ends.
pub(crate) async fn serve(
    app: AppServer,
    frames: impl Stream<Item = Frame> + Unpin,
    outgoing: Outgoing,
    calls: Calls,
    left: CancellationToken,
) {
    let queue = outgoing.clone();
    let mut connection = Connection {
        outgoing,
        phase: Phase::New,
        threads: HashSet::new(),
        calls,
        has_left: false,
        app,
    };
    let ending = connection.app.ending().clone();
    let mut requests = Requests::new(&connection.app);
    let mut frames = ReadAhead::new(frames);
    loop {
        let input = tokio::select! {
            biased;
            () = ending.cancelled() => break,
            () = queue.ended() => break,
            () = requests.clean_up() => continue,
            () = connection.reloaded() => Some(Input::Reloaded),
            frame = frames.next() => frame.map(Input::Frame),
        };
        let Some(input) = input else {
            break;
        };
        if frames.has_ended() {
            left.cancel();
            connection.leave();
        }
        // A client that does not read its messages waits here, too.
        let mut handling = std::pin::pin!(connection.handle(input, &mut requests));
        tokio::select! {
            biased;
            () = ending.cancelled() => break,
            () = &mut handling => {}
            () = frames.ended() => {
                left.cancel();
                tokio::select! {
                    biased;
                    () = ending.cancelled() => break,
                    () = handling => {}
                }
            }
        }
    }
    left.cancel();
    // The client reads no more notifications.
    connection.outgoing.close();
    let ending = async {
        if let Phase::Initialized(session) = &connection.phase {
            session.end().await;
        }
    };
    tokio::join!(requests.end(), ending);
}

impl Connection {
    /// Stops the servers of a client that has left.
    fn leave(&mut self) {
        self.has_left = true;
        if let Phase::Initialized(session) = &self.phase {
            session.stop();
        }
    }

    /// Waits until the configuration of the session was read again.
    async fn reloaded(&self) {
        match &self.phase {
            Phase::Initialized(session) => session.reloaded().await,
            Phase::New | Phase::Initializing => std::future::pending().await,
        }
    }

    async fn handle(&mut self, input: Input, requests: &mut Requests) {
        match input {
            Input::Frame(frame) => self.frame(frame, requests).await,
            Input::Reloaded => {
                let updated = ServersUpdatedNotification {};
                let method = "mcpStartup/servers/updated";
                self.outgoing.notify(method, &updated).await;
            }
        }
    }

    async fn frame(&mut self, frame: Frame, requests: &mut Requests) {
        let bytes = match frame {
            Frame::Message(bytes) => bytes,
            Frame::TooLong => {
                let message = "The message is longer than 16 MiB and was skipped.";
                let error = RpcError::new(ErrorCode::InvalidRequest, message);
                return self.outgoing.respond(None, &Err(error)).await;
            }
        };
        match parse(&bytes) {
            Ok(Incoming::Request { id, method, params }) => {
                self.request(id, &method, params, requests).await;
            }
            Ok(Incoming::Notification { method, .. }) => self.notification(&method).await,
            Ok(Incoming::Response) => {}
            Err((id, error)) => self.outgoing.respond(id.as_ref(), &Err(error)).await,
        }
    }

    async fn notification(&mut self, method: &str) {
        if method != "initialized" || !matches!(self.phase, Phase::Initializing) {
            // JSON-RPC 2.0, section 4.1: a notification has no response, not even an error.
            return;
        }
        let session = Arc::new(Session::new(self.app.clone(), self.outgoing.clone()));
        self.phase = Phase::Initialized(session.clone());
        if self.has_left {
            session.stop();
        }
        self.app.begin(&session).await;
    }

    async fn request(
        &mut self,
        id: RequestId,
        method: &str,
        raw: Option<&RawValue>,
        requests: &mut Requests,
    ) {
        let immediate = match (&self.phase, method) {
            (Phase::New, "initialize") => self.initialize(raw).await,
            (_, "initialize") => Err(RpcError::new(
                ErrorCode::InvalidRequest,
                "The connection is already initialized.",
            )),
            (Phase::New | Phase::Initializing, _) => Err(RpcError::new(
                ErrorCode::InvalidRequest,
                "The connection is not initialized: send the request `initialize`, and then the notification `initialized`.",
            )),
            (Phase::Initialized(_), "thread/start") => self.start_thread(raw),
            (Phase::Initialized(session), method) => {
                let context = requests::Context {
                    app: self.app.clone(),
                    session: session.clone(),
                    outgoing: self.outgoing.clone(),
                    calls: self.calls,
                };
                match requests.dispatch(context, &id, method, raw, &self.threads) {
                    Some(immediate) => immediate,
                    None => return,
                }
            }
        };
        self.outgoing.respond(Some(&id), &immediate).await;
    }

    async fn initialize(&mut self, raw: Option<&RawValue>) -> Result<Box<RawValue>, RpcError> {
        let params: InitializeParams = params(raw)?;
        let capabilities = params.capabilities.unwrap_or_default();
        let opted_out = capabilities
            .opt_out_notification_methods
            .unwrap_or_default();
        self.outgoing.opt_out(&opted_out);
        self.phase = Phase::Initializing;
        let client = printable(&params.client_info.name, NAME_CHARS);
        tracing::debug!(client, "a client has connected");
        requests::to_raw(&InitializeResponse {
            user_agent: self.app.user_agent().to_owned(),
            codex_home: self.app.configuration().await.home.display().to_string(),
            platform_family: std::env::consts::FAMILY,
            platform_os: std::env::consts::OS,
        })
    }

    /// Starts a thread, which is only an ID: all threads of a client share its servers.
    fn start_thread(&mut self, raw: Option<&RawValue>) -> Result<Box<RawValue>, RpcError> {
        let params = params(raw)?;
        if self.threads.len() >= MAX_THREADS {
            return Err(RpcError::new(
                ErrorCode::Overloaded,
                "The connection has too many threads: open another one.",
            ));
        }
        let id = Uuid::now_v7().to_string();
        let response = requests::thread(&id, self.app.user_agent(), params)?;
        self.threads.insert(id);
        Ok(response)
    }
}
