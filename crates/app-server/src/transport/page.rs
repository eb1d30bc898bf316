//! The page that shows the servers to their user in a browser. It is a client over the WebSocket of the same address.
//!
//! The page can load nothing from elsewhere and send nothing there, and no other page can embed it. It can't call tools.

use std::io;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::unauthenticated::Peer;
use super::websocket::{Gate, loopback_address, serve, upgrade};
use crate::app_server::AppServer;
use crate::connection::Calls;

const DOCUMENT: &str = include_str!("../../page/index.html");
const SCRIPT: &str = include_str!("../../page/page.js");

/// The headers of every response, besides `Content-Security-Policy`. The address has no subdomains and no subresources of other
/// origins.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Serves the page, and the WebSocket that it uses, to a browser that has the token.
#[derive(Debug)]
pub struct PageServer {
    listener: TcpListener,
    /// For example `127.0.0.1:1234`.
    host: String,
    token: SecretString,
    opened: CancellationToken,
}

impl PageServer {
    /// Creates the server with a new random token of 256 bits.
    ///
    /// # Errors
    ///
    /// Returns an error if the listener is not on loopback, or if the system has no random numbers.
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        let host = loopback_address(&listener)?.to_string();
        let token: [u8; 32] = ring::rand::generate(&SystemRandom::new())
            .map_err(|_| io::Error::other("the system has no random numbers"))?
            .expose();
        Ok(Self {
            listener,
            host,
            token: URL_SAFE_NO_PAD.encode(token).into(),
            opened: CancellationToken::new(),
        })
    }

    /// The address of the page without the token, for example `http://127.0.0.1:1234/`.
    pub fn address(&self) -> String {
        format!("http://{}/", self.host)
    }

    /// The address of the page with the token, which a browser does not send to any server: it is in the fragment.
    pub fn address_with_token(&self) -> SecretString {
        let token = self.token.expose_secret();
        format!("{}#token={token}", self.address()).into()
    }

    /// Waits until the page has used the token for the first time.
    pub fn opened(&self) -> impl Future<Output = ()> + 'static {
        self.opened.clone().cancelled_owned()
    }

    /// Serves the page until the app-server ends.
    ///
    /// # Errors
    ///
    /// Returns the error of the listener.
    pub async fn serve(self, app: &AppServer) -> io::Result<()> {
        let hosts = vec![self.host.clone()];
        let gate = Gate::new(app, Some(&self.token), hosts, Calls::Refused, self.opened);
        let policy = HeaderValue::try_from(content_security_policy(&self.host));
        let policy = policy.map_err(io::Error::other)?;
        let routes = Router::new()
            .route("/", get(document))
            .route("/page.js", get(script));
        // The responses to refused requests have the headers too.
        let with_headers = middleware::from_fn_with_state(policy, add_headers);
        let router = gate.guard(routes).layer(with_headers);
        serve(self.listener, app, router).await
    }
}

/// The page, or the WebSocket, whose path is the same.
async fn document(
    State(gate): State<Gate>,
    peer: ConnectInfo<Peer>,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match socket {
        Ok(socket) => upgrade(State(gate), peer, headers, socket).await,
        Err(rejection) if headers.contains_key(header::UPGRADE) => rejection.into_response(),
        Err(_) => content("text/html; charset=utf-8", DOCUMENT),
    }
}

async fn script() -> Response {
    content("text/javascript; charset=utf-8", SCRIPT)
}

fn content(content_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

async fn add_headers(State(policy): State<HeaderValue>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The policy of the page: its own script and style, and the WebSocket of its own address.
fn content_security_policy(host: &str) -> String {
    let style = STANDARD.encode(Sha256::digest(style(DOCUMENT)));
    [
        "default-src 'none'",
        "script-src 'self'",
        &format!("style-src 'sha256-{style}'"),
        // In some browsers, 'self' does not include the WebSocket.
        &format!("connect-src 'self' ws://{host}"),
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    .join("; ")
}

/// The text of the element `style`.
fn style(document: &str) -> &str {
    let style = document.split_once("<style>").map(|(_, rest)| rest);
    let style = style.and_then(|rest| rest.split_once("</style>"));
    style.map_or("", |(style, _)| style)
}
