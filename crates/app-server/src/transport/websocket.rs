//! One message a WebSocket frame, over TCP on loopback or over a Unix socket, for several clients.
//!
//! Over TCP, a client needs the token, and a page of another origin is refused (RFC 6455, section 10.2; DNS rebinding).

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Scheme;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::serve::Listener;
use futures::stream::SplitSink;
use futures::{SinkExt, Stream, StreamExt, TryStreamExt};
use mcp_startup::ResultMemory;
use mcp_startup_core::MAX_LINE_BYTES;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;

use super::unauthenticated::{LimitedListener, Peer};
use super::unless_unread;
use crate::app_server::AppServer;
use crate::connection::{self, Calls, Frame, Outgoing, QueuedMessage};
use crate::protocol::startup::{AuthenticateParams, EmptyResponse};
use crate::protocol::{ErrorCode, Incoming, RequestId, RpcError, params, parse};

/// The minimum length of a token.
pub const MIN_TOKEN_BYTES: usize = 16;
/// How many clients are served at the same time.
const MAX_CLIENTS: usize = 64;
/// How long a client without the header may take to send its token.
const TOKEN_LIMIT: Duration = Duration::from_secs(10);
/// How long a client may not read before it is disconnected.
const STALL_LIMIT: Duration = Duration::from_secs(60);
/// How long a client may not read if another one waits for the memory of its results.
const WANTED_STALL_LIMIT: Duration = Duration::from_secs(5);
const WANTED_CHECK: Duration = Duration::from_secs(1);
/// How long the last frame may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// The codes of a WebSocket's end (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1001;
const POLICY_VIOLATION: u16 = 1008;
const MESSAGE_TOO_BIG: u16 = 1009;
/// Registered at IANA, after RFC 6455.
const TRY_AGAIN_LATER: u16 = 1013;

/// Serves clients on a listener until the app-server ends.
///
/// A client sends the token as `Authorization: Bearer TOKEN`, or in its first frame as the request `mcpStartup/authenticate`. The
/// header `Host` must name the address of the listener, and `Origin` must be absent or the same.
///
/// # Errors
///
/// Returns an error if the address of the listener can't be read, if it is not on loopback, or if the token is shorter than
/// [`MIN_TOKEN_BYTES`](super::MIN_TOKEN_BYTES).
pub async fn serve_websocket(
    app: &AppServer,
    listener: TcpListener,
    token: &SecretString,
) -> std::io::Result<()> {
    let address = loopback_address(&listener)?;
    if token.expose_secret().len() < MIN_TOKEN_BYTES {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            format!("the token must have at least {MIN_TOKEN_BYTES} characters"),
        ));
    }
    let port = address.port();
    let hosts = vec![address.to_string(), format!("localhost:{port}")];
    let first = CancellationToken::new();
    let gate = Gate::new(app, Some(token), hosts, Calls::Allowed, first);
    serve(listener, app, gate.guard(websocket())).await
}

/// The address of a listener, which must be on loopback.
pub(super) fn loopback_address(listener: &TcpListener) -> std::io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "the app-server listens only on loopback",
        )),
    }
}

/// Serves clients on a listener that only the user can connect to.
#[cfg(unix)]
pub(super) async fn serve_private(
    app: &AppServer,
    listener: tokio::net::UnixListener,
) -> std::io::Result<()> {
    let first = CancellationToken::new();
    let gate = Gate::new(app, None, Vec::new(), Calls::Allowed, first);
    serve(listener, app, gate.guard(websocket())).await
}

/// The checks that a client must pass.
#[derive(Clone)]
pub(super) struct Gate {
    app: AppServer,
    /// The SHA-256 of the token, whose comparison tells nothing about the token. `None` if no token is needed.
    token: Option<[u8; 32]>,
    /// The allowed values of `Host`. Empty if there is no host.
    hosts: Vec<String>,
    permits: Arc<Semaphore>,
    calls: Calls,
    /// Cancelled when the first client has authenticated.
    authenticated: CancellationToken,
}

/// The paths of an app-server that serves no page.
fn websocket() -> Router<Gate> {
    Router::new()
        .route("/healthz", get(StatusCode::OK))
        .route("/readyz", get(StatusCode::OK))
        .route("/", any(upgrade))
}

/// Serves these paths until the app-server ends.
pub(super) async fn serve<L>(listener: L, app: &AppServer, router: Router) -> std::io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let service = router.into_make_service_with_connect_info::<Peer>();
    let ending = app.ending().clone();
    axum::serve(LimitedListener::new(listener, ending), service)
        .with_graceful_shutdown(app.ending().clone().cancelled_owned())
        .await
}

/// Refuses requests of pages of other origins, and requests to other names that resolve to loopback.
async fn check_origin(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    // RFC 9112, section 3.2.
    if headers.get_all(header::HOST).iter().count() > 1 {
        let problem = "The request has more than one `Host`.\n";
        return (StatusCode::BAD_REQUEST, problem).into_response();
    }
    let host = only(headers, header::HOST);
    let allowed = match (host, only(headers, header::ORIGIN)) {
        (Ok(host), Ok(origin)) => allows(&gate.hosts, host, origin) && is_for(request.uri(), host),
        _ => false,
    };
    match allowed {
        true => next.run(request).await,
        false => (
            StatusCode::FORBIDDEN,
            "This address accepts no requests of pages of other origins.\n",
        )
            .into_response(),
    }
}

/// The value of a header, which may occur only once. `Err` if it occurs more often or is not text.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(drop),
        (Some(_), Some(_)) => Err(()),
    }
}

/// Whether a request target names no server, or the same one as `Host`.
fn is_for(target: &Uri, host: Option<&str>) -> bool {
    target.authority().is_none_or(|authority| {
        target.scheme() == Some(&Scheme::HTTP) && host == Some(authority.as_str())
    })
}

fn allows(hosts: &[String], host: Option<&str>, origin: Option<&str>) -> bool {
    if hosts.is_empty() {
        return origin.is_none();
    }
    let Some(host) = host.filter(|host| hosts.iter().any(|allowed| allowed == host)) else {
        return false;
    };
    origin.is_none_or(|origin| origin.strip_prefix("http://") == Some(host))
}

impl Gate {
    pub(super) fn new(
        app: &AppServer,
        token: Option<&SecretString>,
        hosts: Vec<String>,
        calls: Calls,
        authenticated: CancellationToken,
    ) -> Self {
        Self {
            app: app.clone(),
            token: token.map(|token| Sha256::digest(token.expose_secret()).into()),
            hosts,
            permits: Arc::new(Semaphore::new(MAX_CLIENTS)),
            calls,
            authenticated,
        }
    }

    /// Serves these paths only to allowed origins.
    pub(super) fn guard(self, routes: Router<Self>) -> Router {
        let check = middleware::from_fn_with_state(self.clone(), check_origin);
        routes.layer(check).with_state(self)
    }

    /// Admits a client that has authenticated. `None` if there are too many.
    fn admit(&self, peer: &Peer) -> Option<OwnedSemaphorePermit> {
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        peer.lift_limits();
        Some(permit)
    }

    fn accepts(&self, token: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(token).into();
        self.token.is_none_or(|expected| expected == digest)
    }

    /// Whether the request has the token. `None` if it has none, so that the first frame must have it.
    fn authorized(&self, headers: &HeaderMap) -> Option<bool> {
        if self.token.is_none() {
            return Some(true);
        }
        let value = headers.get(header::AUTHORIZATION)?;
        let token = value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        });
        Some(token.is_some_and(|token| self.accepts(token)))
    }
}

/// Begins a connection of a client.
pub(super) async fn upgrade(
    State(gate): State<Gate>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let permit = match gate.authorized(&headers) {
        Some(false) => {
            return (StatusCode::UNAUTHORIZED, "The token is not valid.\n").into_response();
        }
        Some(true) => {
            let Some(permit) = gate.admit(&peer) else {
                return (StatusCode::SERVICE_UNAVAILABLE, "Too many clients.\n").into_response();
            };
            Some(permit)
        }
        None => None,
    };
    upgrade
        .max_message_size(MAX_LINE_BYTES)
        .max_frame_size(MAX_LINE_BYTES)
        .on_upgrade(move |socket| {
            let connections = gate.app.connections().clone();
            connections.track_future(serve_socket(gate, peer, socket, permit))
        })
}

/// Serves a client. Without a permit, it has not authenticated yet.
async fn serve_socket(
    gate: Gate,
    peer: Peer,
    socket: WebSocket,
    mut permit: Option<OwnedSemaphorePermit>,
) {
    let (sink, mut frames) = socket.split();
    let (outgoing, messages) = Outgoing::new(&gate.app);
    let results = outgoing.results().clone();
    let ending = gate.app.ending().clone();
    let left = CancellationToken::new();
    let (pings, pongs) = mpsc::channel(1);
    let serving = async {
        if permit.is_none() {
            let authenticating = authenticate(&gate, &mut frames, &outgoing);
            let authenticated = tokio::select! {
                () = ending.cancelled() => false,
                done = tokio::time::timeout(TOKEN_LIMIT, authenticating) => done.unwrap_or(false),
            };
            if ending.is_cancelled() {
                return (GOING_AWAY, "");
            }
            if !authenticated {
                return (POLICY_VIOLATION, "the token is missing or not valid");
            }
            permit = gate.admit(&peer);
            if permit.is_none() {
                return (TRY_AGAIN_LATER, "too many clients");
            }
        }
        gate.authenticated.cancel();
        let mut end = (GOING_AWAY, "");
        let frames = frames.inspect_err(|error| {
            if is_too_long(error) {
                end = (MESSAGE_TOO_BIG, "the message is longer than 16 MiB");
            } else if peer.message().is_refused() {
                end = (TRY_AGAIN_LATER, "too many clients have sent large messages");
            }
        });
        let frames = Box::pin(messages_of(frames, &peer, pings));
        let app = gate.app.clone();
        connection::serve(app, frames, outgoing, gate.calls, left.clone()).await;
        end
    };
    write(sink, messages, pongs, &results, serving, &left).await;
}

/// Writes the messages while `serving` runs, and then the reason of the end. Ends early if the client has left and does not read.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut messages: mpsc::Receiver<QueuedMessage>,
    mut pongs: mpsc::Receiver<oneshot::Sender<()>>,
    results: &ResultMemory,
    serving: impl Future<Output = (u16, &'static str)>,
    left: &CancellationToken,
) {
    let sink_used = &mut sink;
    let writing = async move {
        // The connection ends when this returns, because that drops the receiver.
        loop {
            let (message, pong) = tokio::select! {
                biased;
                Some(pong) = pongs.recv() => (None, Some(pong)),
                message = messages.recv() => match message {
                    Some(message) => (Some(message), None),
                    None => return None,
                },
            };
            // The memory of the result.
            let (text, _held) = match message {
                Some(QueuedMessage { text, held }) => (Some(text), held),
                None => (None, None),
            };
            let sending = async {
                match text {
                    Some(text) => sink_used.send(Message::Text(text.into())).await,
                    None => sink_used.flush().await,
                }
            };
            let sending = async {
                tokio::select! {
                    biased;
                    sent = sending => Some(sent),
                    () = stalled(results) => None,
                }
            };
            match unless_unread(left, sending).await {
                Some(Some(Ok(()))) => drop(pong.map(|pong| pong.send(()))),
                Some(Some(Err(_))) | None => return None,
                Some(None) => {
                    return Some((POLICY_VIOLATION, "the client does not read its messages"));
                }
            }
        }
    };
    let (reason, stalled) = tokio::join!(serving, writing);
    let (code, reason) = stalled.unwrap_or(reason);
    let close = Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }));
    // The client may have gone.
    let closing = async {
        // If the client has closed the socket, this fails, and the flush sends the answer to its close frame.
        let _ = sink.send(close).await;
        let _ = sink.flush().await;
    };
    let _ = tokio::time::timeout(CLOSE_LIMIT, closing).await;
}

/// Waits until a client must not keep a message unread any longer.
async fn stalled(results: &ResultMemory) {
    let wanted = async {
        sleep(WANTED_STALL_LIMIT).await;
        while !results.is_wanted() {
            sleep(WANTED_CHECK).await;
        }
    };
    let _ = timeout(STALL_LIMIT, wanted).await;
}

/// Whether the socket has ended because of a message that is longer than the limit.
fn is_too_long(error: &axum::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref());
    matches!(source, Some(tungstenite::Error::Capacity(_)))
}

/// The messages of a client, until its socket ends. After a ping, nothing is read until the pong was written, because a client that
/// does not read could otherwise let any number of pongs wait.
fn messages_of<'a>(
    frames: impl Stream<Item = Result<Message, axum::Error>> + 'a,
    peer: &'a Peer,
    pings: mpsc::Sender<oneshot::Sender<()>>,
) -> impl Stream<Item = Frame> + 'a {
    let until_end = frames.take_while(|frame| {
        let goes_on = matches!(frame, Ok(frame) if !matches!(frame, Message::Close(_)));
        futures::future::ready(goes_on)
    });
    until_end.filter_map(move |frame| {
        let pings = pings.clone();
        match &frame {
            Ok(Message::Ping(payload) | Message::Pong(payload)) => {
                peer.message().add_control_frame(payload);
            }
            _ => peer.message().end(),
        }
        async move {
            match frame {
                Ok(Message::Text(text)) => Some(Frame::Message(text.as_bytes().to_vec())),
                Ok(Message::Binary(bytes)) => Some(Frame::Message(bytes.to_vec())),
                Ok(Message::Ping(_)) => {
                    let (sender, written) = oneshot::channel();
                    // Without a receiver, the socket is at its end.
                    if pings.send(sender).await.is_ok() {
                        let _ = written.await;
                    }
                    None
                }
                _ => None,
            }
        }
    })
}

/// Reads the first frame, which must have the token.
async fn authenticate(
    gate: &Gate,
    frames: &mut (impl Stream<Item = Result<Message, axum::Error>> + Unpin),
    outgoing: &Outgoing,
) -> bool {
    let text = loop {
        match frames.next().await {
            Some(Ok(Message::Text(text))) => break text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return false,
        }
    };
    let refuse = async |id: Option<&RequestId>| {
        let message = "Send the token as `Authorization: Bearer`, or in the first frame as the request `mcpStartup/authenticate`.";
        let error = RpcError::new(ErrorCode::InvalidRequest, message).with_reason("unauthorized");
        outgoing.respond(id, &Err(error)).await;
        false
    };
    let Ok(Incoming::Request {
        id,
        method,
        params: raw,
    }) = parse(text.as_bytes())
    else {
        return refuse(None).await;
    };
    let token = params::<AuthenticateParams>(raw).ok();
    let is_valid = method == "mcpStartup/authenticate"
        && token.is_some_and(|params| gate.accepts(params.token.expose_secret()));
    if !is_valid {
        return refuse(Some(&id)).await;
    }
    let result = crate::connection::to_raw(&EmptyResponse {});
    outgoing.respond(Some(&id), &result).await;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_host_and_origin_are_allowed() {
        let hosts = |host: &str, origin: Option<&str>| {
            let hosts = ["127.0.0.1:80", "localhost:80"];
            allows(&hosts.map(str::to_owned), Some(host), origin)
        };
        for (host, origin, expected) in [
            ("127.0.0.1:80", None, true),
            ("localhost:80", None, true),
            ("127.0.0.1:80", Some("http://127.0.0.1:80"), true),
            ("localhost:80", Some("http://127.0.0.1:80"), false),
            ("127.0.0.1:80", Some("https://127.0.0.1:80"), false),
            ("127.0.0.1:80", Some("http://127.0.0.1:81"), false),
            ("127.0.0.1:80", Some("https://example.com"), false),
            ("127.0.0.1:80", Some("null"), false),
            ("127.0.0.1:81", None, false),
            ("127.0.0.1", None, false),
            ("rebound.example:80", None, false),
            (
                "rebound.example:80",
                Some("http://rebound.example:80"),
                false,
            ),
        ] {
            assert_eq!(hosts(host, origin), expected, "{host} {origin:?}");
        }
        assert!(!allows(&["a".to_owned()], None, None));
        // Over a Unix socket, no page is served.
        assert!(allows(&[], Some("localhost"), None));
        assert!(!allows(&[], Some("localhost"), Some("http://localhost")));
    }
}
