//! Clients over a WebSocket and over the Unix socket: the token, `Origin` and `Host`, and the end of a client.

#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

use futures::{SinkExt, StreamExt, TryStreamExt};
use mcp_startup_app_server::{AppServer, transport};
use mcp_startup_lab::Lab;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::http::HeaderName;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::client::{Client, LIMIT};
use crate::{app_of, configured, http, servers};

pub const TOKEN: &str = "a-token-of-the-tests";

/// An app-server on a free port of loopback.
struct Listening {
    app: AppServer,
    lab: Lab,
    /// For example `127.0.0.1:1234`.
    host: String,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Listening {
    async fn start() -> Self {
        let lab = Lab::start(0).await.unwrap();
        let (app, _) = app_of(configured(servers(&lab, &["ready"])));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let served = app.clone();
        let serving = tokio::spawn(async move {
            transport::serve_websocket(&served, listener, &SecretString::from(TOKEN)).await
        });
        Self {
            app,
            lab,
            host,
            serving,
        }
    }

    /// Connects with these headers. `Err` has the status of the refusal.
    async fn connect(&self, headers: &[(&str, &str)]) -> Result<WebSocketStream<TcpStream>, u16> {
        let stream = TcpStream::connect(&self.host).await.unwrap();
        connect(stream, &self.host, headers).await
    }

    async fn end(self) {
        self.app.end().await;
        let served = tokio::time::timeout(LIMIT, self.serving).await.unwrap();
        served.unwrap().unwrap();
    }
}

pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &str,
    headers: &[(&str, &str)],
) -> Result<WebSocketStream<S>, u16> {
    let mut request = format!("ws://{host}/").into_client_request().unwrap();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

pub fn client_over<S>(socket: WebSocketStream<S>) -> Client
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sink, frames) = socket.split();
    let texts = frames.filter_map(async |frame| match frame {
        Ok(Message::Text(text)) => Some(text.to_string()),
        _ => None,
    });
    let sink = sink.sink_map_err(drop);
    let outgoing = sink.with(async |text: String| Ok::<_, ()>(Message::Text(text.into())));
    Client::new(texts.boxed(), outgoing)
}

/// The code of the close frame that ends the socket.
pub async fn close_code<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> u16 {
    let closing = async {
        while let Some(frame) = socket.try_next().await.unwrap() {
            if let Message::Close(Some(close)) = frame {
                return close.code.into();
            }
        }
        panic!("the socket ended without a close frame");
    };
    tokio::time::timeout(LIMIT, closing).await.unwrap()
}

pub fn authenticate(token: &str) -> Value {
    json!({ "id": "token", "method": "mcpStartup/authenticate", "params": { "token": token } })
}

/// Each pong would wait in memory otherwise.
#[tokio::test]
async fn pings_are_not_read_while_their_pongs_are_not() {
    /// More than the buffers of the system.
    const MANY_BYTES: usize = 64 * 1024 * 1024;
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let socket = listening.connect(&[("Authorization", &bearer)]).await;
    let mut socket = socket.unwrap();
    // A client that reads gets each pong.
    for number in 0..100_u8 {
        let payload = vec![number; 125];
        socket
            .send(Message::Ping(payload.clone().into()))
            .await
            .unwrap();
        let answer = tokio::time::timeout(LIMIT, socket.try_next())
            .await
            .unwrap();
        assert_eq!(answer.unwrap(), Some(Message::Pong(payload.into())));
    }
    // This client does not read. A masked frame with a payload of 125 bytes (RFC 6455, section 5.2).
    let mut frame = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
    frame.extend([b'x'; 125]);
    let frames = frame.repeat(1000);
    let mut sent = 0;
    while sent < MANY_BYTES {
        let writing =
            tokio::io::AsyncWriteExt::write(socket.get_mut(), &frames[sent % frames.len()..]);
        match tokio::time::timeout(Duration::from_secs(2), writing).await {
            Ok(written) => sent += written.unwrap(),
            Err(_) => break,
        }
    }
    assert!(sent < MANY_BYTES, "{sent} bytes were taken");
    drop(socket);
    listening.end().await;
}

/// The buffer of a socket keeps the size of the largest message until the client leaves.
#[tokio::test]
async fn some_clients_can_send_large_messages() {
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let mut clients = Vec::new();
    for number in 0..9 {
        let socket = listening.connect(&[("Authorization", &bearer)]).await;
        let mut socket = socket.unwrap();
        let large = json!({ "id": "x".repeat(2 * 1024 * 1024), "method": "initialize" });
        // It may be refused before it was sent completely.
        let _ = socket.send(Message::Text(large.to_string().into())).await;
        if number < 8 {
            let answer = tokio::time::timeout(LIMIT, socket.try_next())
                .await
                .unwrap();
            assert!(
                matches!(answer.unwrap(), Some(Message::Text(_))),
                "{number}"
            );
        } else {
            assert_eq!(close_code(&mut socket).await, 1013);
        }
        clients.push(socket);
    }
    // Other clients are served.
    let socket = listening.connect(&[("Authorization", &bearer)]).await;
    client_over(socket.unwrap()).initialize().await;
    drop(clients);
    listening.end().await;
}

/// A control frame may be between the fragments of a message (RFC 6455, section 5.4).
#[tokio::test]
async fn a_ping_does_not_end_a_large_message() {
    const HALF: usize = 900_000;
    /// A masked frame (RFC 6455, section 5.2).
    fn frame(opcode: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![opcode, 0x80 | 127];
        frame.extend((payload as u64).to_be_bytes());
        frame.extend([0; 4]);
        frame.resize(frame.len() + payload, b' ');
        frame
    }
    let ping = [0x89, 0x80, 0, 0, 0, 0].as_slice();
    let begun = [&frame(0x01, HALF), ping, &frame(0x00, HALF), ping].concat();
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let mut clients = Vec::new();
    for number in 0..9 {
        let socket = listening.connect(&[("Authorization", &bearer)]).await;
        let mut socket = socket.unwrap();
        // It may be refused before it was sent completely.
        let _ = tokio::io::AsyncWriteExt::write_all(socket.get_mut(), &begun).await;
        let mut pongs = 0;
        while pongs < 2 {
            let answer = tokio::time::timeout(LIMIT, socket.try_next()).await;
            match answer.unwrap() {
                Ok(Some(Message::Pong(_))) => pongs += 1,
                _ => break,
            }
        }
        assert_eq!(pongs == 2, number < 8, "{number}");
        clients.push(socket);
    }
    drop(clients);
    listening.end().await;
}

#[tokio::test]
async fn the_token_is_needed_in_the_header_or_in_the_first_frame() {
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let socket = listening.connect(&[("Authorization", &bearer)]).await;
    let mut client = client_over(socket.unwrap());
    client.initialize().await;
    assert_eq!(client.states("ready", 1).await, ["starting", "ready"]);

    let mut client = client_over(listening.connect(&[]).await.unwrap());
    let authenticated = client.request(authenticate(TOKEN)).await;
    assert_eq!(authenticated["result"], json!({}));
    client.initialize().await;
    client.states("ready", 1).await;

    for header in [
        "Bearer wrong-token-of-the-tests".to_owned(),
        format!("Basic {TOKEN}"),
        TOKEN.to_owned(),
        format!("{bearer} "),
        format!("{bearer}x"),
        "Bearer ".to_owned(),
    ] {
        let refused = listening.connect(&[("Authorization", &header)]).await;
        // HTTP removes whitespace at the end of a value (RFC 9110, section 5.5).
        let expected = (header.trim_end() != bearer).then_some(401);
        assert_eq!(refused.err(), expected, "{header:?}");
    }
    listening.end().await;
}

#[tokio::test]
async fn a_first_frame_without_the_token_ends_the_connection() {
    let listening = Listening::start().await;
    let before = listening.lab.requests("ready").len();
    let initialize = json!({ "id": 0, "method": "initialize", "params": { "clientInfo": { "name": "a", "version": "1" } } });
    let without = json!({ "id": 1, "method": "mcpStartup/authenticate" });
    for first in [
        Message::text(authenticate("wrong-token-of-the-tests").to_string()),
        Message::text(initialize.to_string()),
        Message::text(without.to_string()),
        Message::text("not JSON"),
        Message::binary(authenticate(TOKEN).to_string()),
    ] {
        let mut socket = listening.connect(&[]).await.unwrap();
        socket.send(first.clone()).await.unwrap();
        // The token comes too late.
        let late = authenticate(TOKEN).to_string();
        let _ = socket.send(Message::text(late)).await;
        let mut answers = Vec::new();
        let code = loop {
            let frame = tokio::time::timeout(LIMIT, socket.next()).await.unwrap();
            match frame.unwrap().unwrap() {
                Message::Text(text) => answers.push(text.to_string()),
                Message::Close(close) => break u16::from(close.unwrap().code),
                _ => {}
            }
        };
        assert_eq!(code, 1008, "{first}");
        for answer in answers {
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["error"]["code"], -32600, "{first}");
            assert_eq!(answer["error"]["data"]["reason"], "unauthorized");
        }
    }
    assert_eq!(listening.lab.requests("ready").len(), before);
    listening.end().await;
}

#[tokio::test]
async fn a_foreign_origin_or_host_is_refused_even_with_the_token() {
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let host = listening.host.clone();
    let port = host.split(':').next_back().unwrap();
    let own = format!("http://{host}");
    let (localhost, rebound) = (
        format!("localhost:{port}"),
        format!("rebound.example:{port}"),
    );
    let rebound_origin = format!("http://{rebound}");
    for (headers, expected) in [
        (vec![("Origin", own.as_str())], None),
        (vec![("Host", localhost.as_str())], None),
        (vec![("Origin", "https://example.com")], Some(403)),
        (vec![("Origin", "null")], Some(403)),
        (vec![("Origin", "")], Some(403)),
        (vec![("Host", rebound.as_str())], Some(403)),
        (
            vec![("Host", &rebound), ("Origin", &rebound_origin)],
            Some(403),
        ),
        (vec![("Host", "127.0.0.1")], Some(403)),
    ] {
        let mut all = headers.clone();
        all.push(("Authorization", &bearer));
        assert_eq!(listening.connect(&all).await.err(), expected, "{headers:?}");
    }
    let health = format!("http://{host}/healthz");
    let (own_host, own_origin) = (format!("Host: {host}"), format!("Origin: {own}"));
    for (headers, status) in [
        (vec![], 200),
        (vec!["Origin: https://example.com"], 403),
        (vec!["Host: rebound.example"], 403),
        (vec!["Host: "], 403),
        // RFC 9112, section 3.2.
        (vec![&*own_host, &*own_host], 400),
        (vec![&*own_host, "Host: rebound.example"], 400),
        (vec!["Host: rebound.example", &*own_host], 400),
        (vec![&*own_origin, "Origin: https://example.com"], 403),
    ] {
        assert_eq!(http::get(&health, &headers).await.unwrap().status, status);
    }
    // An absolute target replaces `Host` (RFC 9112, section 3.2.2).
    for (target, status) in [
        (format!("http://{host}"), 200),
        (format!("http://{localhost}"), 403),
        ("http://rebound.example".to_owned(), 403),
        (format!("http://user@{host}"), 403),
        (format!("https://{host}"), 403),
    ] {
        let target = format!("{target}/healthz");
        let response = http::request(&host, "GET", &target, &[]).await.unwrap();
        assert_eq!(response.status, status, "{target}");
    }
    listening.end().await;
}

/// How many clients are served at the same time, and how many sockets may be open before their clients have authenticated.
const MAX_CLIENTS: usize = 64;

#[tokio::test]
async fn clients_without_the_token_take_no_place_of_a_client() {
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let mut waiting = Vec::new();
    for _ in 1..MAX_CLIENTS {
        waiting.push(listening.connect(&[]).await.unwrap());
    }
    let mut clients = Vec::new();
    for _ in 0..MAX_CLIENTS {
        let client = listening.connect(&[("Authorization", &bearer)]).await;
        clients.push(client.unwrap());
    }
    let refused = listening.connect(&[("Authorization", &bearer)]).await;
    assert_eq!(refused.err(), Some(503));
    let mut late = waiting.pop().unwrap();
    let token = authenticate(TOKEN).to_string();
    late.send(Message::text(token)).await.unwrap();
    // Try again later (RFC 6455, section 7.4.1, and the registry at IANA).
    assert_eq!(close_code(&mut late).await, 1013);
    listening.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_without_the_token_is_closed_after_15_s() {
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let authenticated = listening.connect(&[("Authorization", &bearer)]).await;
    let mut authenticated = authenticated.unwrap();
    let started = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(&listening.host).await.unwrap();
    let read = tokio::time::timeout(LIMIT, silent.read_u8()).await;
    assert!(read.unwrap().is_err());
    let elapsed = started.elapsed().as_secs();
    assert!((14..=16).contains(&elapsed), "{elapsed} s");
    authenticated.send(Message::Ping("".into())).await.unwrap();
    let pong = tokio::time::timeout(LIMIT, authenticated.next()).await;
    assert!(matches!(pong.unwrap(), Some(Ok(Message::Pong(_)))));
    listening.end().await;
}

#[tokio::test]
async fn the_end_of_the_app_server_closes_the_sockets() {
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let socket = listening.connect(&[("Authorization", &bearer)]).await;
    let mut socket = socket.unwrap();
    let mut waiting = listening.connect(&[]).await.unwrap();
    let codes = async {
        (
            close_code(&mut socket).await,
            close_code(&mut waiting).await,
        )
    };
    let (codes, ()) = tokio::join!(codes, listening.end());
    // Going away (RFC 6455, section 7.4.1), also for a client that has not sent its token yet.
    assert_eq!(codes, (1001, 1001));
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_delay_the_end_of_the_app_server() {
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let socket = listening.connect(&[("Authorization", &bearer)]).await;
    let mut socket = socket.unwrap();
    // The answer has the same ID, and together they are more than the buffers of a socket.
    let id = "x".repeat(8 * 1024 * 1024);
    let request = json!({ "id": id, "method": "unknown" }).to_string();
    for _ in 0..3 {
        let sending = socket.send(Message::text(request.clone()));
        tokio::time::timeout(LIMIT, sending).await.unwrap().unwrap();
    }
    // `LIMIT` is shorter than the limit for a client that does not read and stays.
    tokio::time::timeout(LIMIT, listening.end()).await.unwrap();
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_only_its_connection() {
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let mut other = client_over(
        listening
            .connect(&[("Authorization", &bearer)])
            .await
            .unwrap(),
    );
    other.initialize().await;
    other.states("ready", 1).await;
    let mut socket = listening
        .connect(&[("Authorization", &bearer)])
        .await
        .unwrap();
    let long = Message::text("x".repeat(17 * 1024 * 1024));
    // The app-server may end the connection before it has read all of it.
    let _ = tokio::time::timeout(LIMIT, socket.send(long))
        .await
        .unwrap();
    assert_eq!(close_code(&mut socket).await, 1009);
    check_connected(&mut other).await;
    listening.end().await;
}

#[tokio::test]
async fn of_two_clients_one_stays_when_the_other_goes_away() {
    let listening = Listening::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let mut clients = Vec::new();
    for _ in 0..2 {
        let socket = listening.connect(&[("Authorization", &bearer)]).await;
        let mut client = client_over(socket.unwrap());
        client.initialize().await;
        client.states("ready", 1).await;
        clients.push(client);
    }
    // Without a close frame, as a client that was killed.
    drop(clients.remove(0));
    check_connected(&mut clients[0]).await;
    listening.end().await;
}

async fn check_connected(client: &mut Client) {
    let list = json!({ "id": "list", "method": "mcpServerStatus/list" });
    let list = client.request(list).await;
    assert_eq!(list["result"]["data"][0]["runtimeStatus"], "connected");
    assert_eq!(client.states("ready", 1).await, ["starting", "ready"]);
}

#[cfg(unix)]
#[tokio::test]
async fn the_unix_socket_is_private_and_is_removed_at_the_end() {
    use std::os::unix::fs::PermissionsExt;
    use tokio::net::UnixStream;

    let lab = Lab::start(0).await.unwrap();
    let (app, _) = app_of(configured(servers(&lab, &["ready"])));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/socket");
    let socket = transport::UnixSocket::bind(&path).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let served = app.clone();
    let serving = tokio::spawn(async move { socket.serve(&served).await });

    let mut clients = Vec::new();
    for _ in 0..2 {
        let stream = UnixStream::connect(&path).await.unwrap();
        let mut client = client_over(connect(stream, "localhost", &[]).await.unwrap());
        client.initialize().await;
        client.states("ready", 1).await;
        clients.push(client);
    }
    drop(clients.remove(0));
    check_connected(&mut clients[0]).await;

    // A page can't reach a Unix socket, but a proxy could pass its requests on.
    let stream = UnixStream::connect(&path).await.unwrap();
    let origin = [("Origin", "http://localhost")];
    let refused = connect(stream, "localhost", &origin).await;
    assert_eq!(refused.err(), Some(403));

    app.end().await;
    let served = tokio::time::timeout(LIMIT, serving).await.unwrap();
    served.unwrap().unwrap();
    assert!(!path.exists());
}
