//! A minimal HTTP client, and the requests that several tests send.

use mcp_startup_lab::Lab;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The redirect URI of the client under test.
pub(crate) const CALLBACK: &str = "http://127.0.0.1:1/callback";

pub(crate) struct Response {
    pub(crate) status: u16,
    /// The status line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }
}

/// Sends a request and returns the socket, without waiting for the response.
pub(crate) async fn connect(
    lab: &Lab,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> TcpStream {
    let mut socket = TcpStream::connect(lab.address()).await.unwrap();
    let (host, length) = (lab.address(), body.len());
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

pub(crate) async fn send(
    lab: &Lab,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Response {
    let mut text = String::new();
    let mut socket = connect(lab, method, path, headers, body).await;
    socket.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Response {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

pub(crate) async fn get(lab: &Lab, path: &str) -> Response {
    send(lab, "GET", path, "", "").await
}

/// A JSON-RPC request that is valid in both eras.
pub(crate) fn rpc(method: &str) -> String {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
    let params = match method {
        "initialize" => json!({ "protocolVersion": "2025-06-18" }),
        _ => json!({ "_meta": meta }),
    };
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

/// Sends a JSON-RPC request to a scenario. The token `none` sends no `Authorization` header.
pub(crate) async fn call(lab: &Lab, row: &str, token: &str, method: &str) -> Response {
    let authorization = match token {
        "none" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    send(
        lab,
        "POST",
        &format!("/{row}/mcp"),
        &authorization,
        &rpc(method),
    )
    .await
}

/// Posts a form to a scenario's token endpoint.
pub(crate) async fn post_token(lab: &Lab, row: &str, form: &str) -> Response {
    send(lab, "POST", &format!("/{row}/token"), "", form).await
}

/// Registers a client with one redirect URI.
pub(crate) async fn register(lab: &Lab, row: &str, redirect_uri: &str) -> Response {
    let body = json!({ "redirect_uris": [redirect_uri] }).to_string();
    send(lab, "POST", &format!("/{row}/register"), "", &body).await
}
