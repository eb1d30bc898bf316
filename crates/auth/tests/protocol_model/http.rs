//! The HTTP side of the authorization server: it passes each request to the world of the current run.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::steps::{HttpRequest, HttpResponse};
use crate::world::World;

thread_local! {
    /// Each exploration has its own thread, runtime and server.
    static ISSUER: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The issuer of the server on this thread.
pub fn issuer() -> String {
    ISSUER.with_borrow(Clone::clone)
}

/// The metadata of the authorization server (RFC 8414) for one actor of a run. Its endpoints show which actor sends a request.
pub fn metadata(run: u64, actor: usize) -> Value {
    let issuer = issuer();
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/{run}/{actor}/token"),
        "revocation_endpoint": format!("{issuer}/{run}/{actor}/revoke"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    })
}

#[derive(Default)]
struct Current {
    run: u64,
    world: Option<Arc<World>>,
}

/// An HTTP server on loopback.
#[derive(Clone, Default)]
pub struct HttpServer {
    current: Arc<Mutex<Current>>,
}

impl HttpServer {
    /// Starts the server on a free port, in tasks of the current runtime.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        ISSUER.set(format!("http://{address}"));
        let server = Self::default();
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        server
    }

    /// Passes the requests from now on to `world`.
    pub fn set_run(&self, run: u64, world: Option<Arc<World>>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Current { run, world };
    }

    /// Serves a connection until one of its requests gets no response.
    async fn serve(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut stream = BufReader::new(stream);
        while let Some((target, body)) = read_request(&mut stream).await {
            let Some(response) = self.respond(&target, &body).await else {
                return;
            };
            let HttpResponse { status, body } = response;
            let length = body.len();
            let response = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            if stream.write_all(response.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn respond(&self, target: &str, body: &str) -> Option<HttpResponse> {
        let (run, world) = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            (current.run, current.world.clone()?)
        };
        if target.ends_with("/.well-known/oauth-authorization-server") {
            // Only one actor at a time is between two steps.
            let body = metadata(run, world.lock().acting()?).to_string();
            return Some(HttpResponse { status: 200, body });
        }
        if target.contains("/.well-known/") {
            let (status, body) = (404, String::new());
            return Some(HttpResponse { status, body });
        }
        let mut parts = target.split('/').skip(1);
        let (sent_in, actor) = (parts.next()?.parse().ok(), parts.next()?.parse().ok());
        let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect();
        let request = match parts.next()? {
            "token" => HttpRequest::Refresh(form.get("refresh_token")?.clone()),
            "revoke" => HttpRequest::Revoke(form.get("token")?.clone()),
            _ => return None,
        };
        let response = match sent_in == Some(run) {
            true => world.send(actor?, request),
            // The request of an earlier run.
            false => return None,
        };
        response.await.ok()
    }
}

/// Reads the target and the body of a request.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let target = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((target, String::from_utf8(body).ok()?))
}
