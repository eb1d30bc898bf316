//! The page: its hosts and origins, the headers that confine it, and the limits of its connection.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::SinkExt;
use mcp_startup_app_server::AppServer;
use mcp_startup_app_server::transport::PageServer;
use mcp_startup_lab::Lab;
use secrecy::ExposeSecret;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::client::{Client, LIMIT};
use crate::http::{Response, send};
use crate::sockets::{authenticate, client_over, close_code, connect};
use crate::tool_server::ToolServer;
use crate::{app_of, configured, servers};
use mcp_startup::config::ServerConfig;

/// A page on a free port of loopback.
struct Page {
    app: AppServer,
    /// For example `127.0.0.1:1234`.
    host: String,
    token: String,
    opened: Opened,
    serving: JoinHandle<std::io::Result<()>>,
}

type Opened = std::pin::Pin<Box<dyn Future<Output = ()>>>;

impl Page {
    async fn of(app: AppServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = PageServer::new(listener).unwrap();
        let with_token = page.address_with_token();
        let (address, token) = with_token.expose_secret().split_once("#token=").unwrap();
        assert_eq!(address, page.address());
        let host = address.strip_prefix("http://").unwrap();
        let host = host.strip_suffix('/').unwrap().to_owned();
        let (token, opened) = (token.to_owned(), Box::pin(page.opened()));
        let served = app.clone();
        let serving = tokio::spawn(async move { page.serve(&served).await });
        Self {
            app,
            host,
            token,
            opened,
            serving,
        }
    }

    async fn send(&self, method: &str, path: &str, headers: &[&str]) -> Response {
        let url = format!("http://{}{path}", self.host);
        send(method, &url, headers).await.unwrap()
    }

    async fn socket(&self) -> tokio_tungstenite::WebSocketStream<TcpStream> {
        let stream = TcpStream::connect(&self.host).await.unwrap();
        let origin = format!("http://{}", self.host);
        let headers = [("Origin", origin.as_str())];
        connect(stream, &self.host, &headers).await.unwrap()
    }

    /// A client that has sent the token and `initialized`.
    async fn client(&self) -> Client {
        let mut client = client_over(self.socket().await);
        let authenticated = client.request(authenticate(&self.token)).await;
        assert_eq!(authenticated["result"], json!({}));
        client.initialize().await;
        client
    }

    async fn is_opened(&mut self) -> bool {
        let mut opened = pin!(&mut self.opened);
        poll_fn(|context| Poll::Ready(opened.as_mut().poll(context).is_ready())).await
    }

    async fn end(self) {
        self.app.end().await;
        let served = tokio::time::timeout(LIMIT, self.serving).await.unwrap();
        served.unwrap().unwrap();
    }
}

/// Checks the headers that every response has.
fn assert_confined(response: &Response, host: &str, style: &str) {
    let digest = STANDARD.encode(Sha256::digest(style));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'sha256-{digest}'; connect-src 'self' ws://{host}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    for (name, value) in [
        ("Content-Security-Policy", Some(policy.as_str())),
        ("X-Content-Type-Options", Some("nosniff")),
        ("Referrer-Policy", Some("no-referrer")),
        ("Cache-Control", Some("no-store")),
        ("Cross-Origin-Opener-Policy", Some("same-origin")),
        ("Cross-Origin-Resource-Policy", Some("same-origin")),
        ("Set-Cookie", None),
        ("Access-Control-Allow-Origin", None),
    ] {
        assert_eq!(response.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn the_page_is_served_only_to_its_own_host_and_every_response_confines_it() {
    let (app, _) = app_of(configured(Vec::new()));
    let page = Page::of(app).await;
    let document = page.send("GET", "/", &[]).await;
    let (_, style) = document.body.split_once("<style>").unwrap();
    let (style, rest) = style.split_once("</style>").unwrap();
    assert!(!rest.contains("<style"), "the policy has only one hash");
    let port = page.host.split(':').next_back().unwrap();
    let (localhost, origin, other_port) = (
        format!("Host: localhost:{port}"),
        format!("Origin: http://{}", page.host),
        format!("Origin: http://localhost:{port}"),
    );
    for (method, path, headers, status) in [
        ("GET", "/", vec![], 200),
        ("HEAD", "/", vec![], 200),
        ("GET", "/page.js", vec![], 200),
        ("GET", "/page.js", vec![origin.as_str()], 200),
        ("GET", "/?token=a", vec![], 200),
        ("POST", "/", vec![], 405),
        ("PUT", "/page.js", vec![], 405),
        ("DELETE", "/", vec![], 405),
        ("OPTIONS", "/", vec!["Origin: https://example.com"], 403),
        ("OPTIONS", "/", vec![], 405),
        ("GET", "/favicon.ico", vec![], 404),
        ("GET", "/../Cargo.toml", vec![], 404),
        ("GET", "/healthz", vec![], 404),
        ("GET", "/", vec![localhost.as_str()], 403),
        ("GET", "/", vec!["Host: rebound.example"], 403),
        ("GET", "/", vec!["Host: "], 403),
        ("GET", "/", vec![other_port.as_str()], 403),
        ("GET", "/", vec!["Origin: https://example.com"], 403),
        ("GET", "/page.js", vec!["Origin: null"], 403),
        // Not a complete request for a WebSocket.
        ("GET", "/", vec!["Upgrade: websocket"], 400),
    ] {
        let response = page.send(method, path, &headers).await;
        assert_eq!(response.status, status, "{method} {path} {headers:?}");
        assert_confined(&response, &page.host, style);
        let expected = match (status, path) {
            (200, "/page.js") => Some("text/javascript; charset=utf-8"),
            (200, _) => Some("text/html; charset=utf-8"),
            _ => continue,
        };
        assert_eq!(response.header("Content-Type"), expected);
        assert_eq!(response.body.is_empty(), method == "HEAD", "{method}");
    }
    page.end().await;
}

#[tokio::test]
async fn the_connection_of_the_page_needs_the_token_of_its_own_process() {
    let (app, _) = app_of(configured(Vec::new()));
    let (other, _) = app_of(configured(Vec::new()));
    let (mut page, other) = (Page::of(app).await, Page::of(other).await);
    // 256 bits in base64url without padding.
    assert_eq!((page.token.len(), other.token.len()), (43, 43));
    assert_ne!(page.token, other.token);
    for token in ["", &other.token, &page.token[..42]] {
        let mut socket = page.socket().await;
        let first = authenticate(token).to_string();
        socket.send(Message::text(first)).await.unwrap();
        assert_eq!(close_code(&mut socket).await, 1008, "{token}");
    }
    page.send("GET", "/", &[]).await;
    assert!(!page.is_opened().await, "no client had the token");
    let first = page.client().await;
    assert!(page.is_opened().await);
    // The page is open in another tab.
    page.client().await;
    drop(first);
    page.client().await;
    other.client().await;
    page.end().await;
    other.end().await;
}

#[tokio::test]
async fn the_page_can_do_everything_except_calls() {
    let lab = Lab::start(0).await.unwrap();
    let tool_server = ToolServer::start().await;
    let mut configuration = servers(&lab, &["first-sign-in"]);
    let tools = ServerConfig::http("tools", &tool_server.url).unwrap();
    configuration.push(tools.into());
    let (app, _) = app_of(configured(configuration));
    let page = Page::of(app).await;
    let mut client = page.client().await;
    client.states("tools", 1).await;
    client.states("first-sign-in", 1).await;
    let request = json!({ "id": 1, "method": "thread/start" });
    let thread = client.request(request).await;
    let thread = &thread["result"]["thread"]["id"];

    let call = json!({ "threadId": thread, "server": "tools", "tool": "echo", "arguments": { "text": "Hi" } });
    let read = json!({ "server": "tools", "uri": "test:///a" });
    for (method, params) in [
        ("mcpServer/tool/call", call),
        ("mcpServer/resource/read", read),
        ("mcpServer/tool/call", json!(7)),
    ] {
        let request = json!({ "id": 2, "method": method, "params": params });
        let refused = client.request(request).await;
        assert_eq!(refused["error"]["code"], -32600, "{refused}");
        assert_eq!(refused["error"]["data"]["reason"], "callsRefused");
    }
    let server = json!({ "name": "first-sign-in" });
    for (method, params) in [
        ("mcpServerStatus/list", json!({})),
        ("mcpStartup/failure/read", server.clone()),
        ("mcpStartup/retry", server.clone()),
        ("mcpServer/oauth/login", server.clone()),
        ("mcpStartup/signOut", server),
        ("mcpStartup/clients/list", json!({})),
    ] {
        let request = json!({ "id": 3, "method": method, "params": params });
        let answer = client.request(request).await;
        assert!(answer["error"].is_null(), "{answer}");
    }
    page.end().await;
}

#[tokio::test]
async fn the_page_is_served_only_on_loopback() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(PageServer::new(listener).is_err());
}
