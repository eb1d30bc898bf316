//! A live server whose token stops working recovers, over a day of outages, with a bounded number of refreshes.
//!
//! The clock of the timers is moved forward between the calls, so a day takes seconds.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, MemoryStore,
};
use mcp_startup::config::ServerConfig;
use mcp_startup::{LiveServer, Startup, StartupOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const NAME: &str = "live";
const MINUTE: Duration = Duration::from_secs(60);

/// The state of both servers, and the requests that they have received.
#[derive(Default)]
struct State {
    /// The access tokens that the MCP server accepts.
    valid: HashSet<String>,
    /// Whether the MCP server requires no token.
    is_open: bool,
    refresh_token: String,
    /// The number of tokens granted so far.
    granted: u32,
    /// Whether the token endpoint answers 503.
    is_unavailable: bool,
    /// Whether the user has revoked the grant.
    is_revoked: bool,
    /// Whether a granted token works.
    grants_in_vain: bool,
    /// The number of requests to the token endpoint.
    refreshes: usize,
    /// The number of all requests to the authorization server.
    requests: usize,
}

impl State {
    fn grant(&mut self) -> (String, String) {
        self.granted += 1;
        let (access, refresh) = (
            format!("access-{}", self.granted),
            format!("refresh-{}", self.granted),
        );
        if !self.grants_in_vain {
            self.valid.insert(access.clone());
        }
        self.refresh_token.clone_from(&refresh);
        (access, refresh)
    }
}

/// An MCP server, its authorization server on another port, and a user with a live server.
struct World {
    state: Arc<Mutex<State>>,
    mcp: SocketAddr,
    authorization: SocketAddr,
    serving: Option<JoinHandle<()>>,
    store: MemoryStore,
}

struct Request {
    method: String,
    path: String,
    head: String,
    body: String,
}

type Answer = (u16, Value);

async fn serve(
    listener: TcpListener,
    answer: impl Fn(Request) -> Answer + Clone + Send + Sync + 'static,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            let _ = serve_one(stream, answer).await;
        });
    }
}

async fn serve_one(
    mut stream: TcpStream,
    answer: impl Fn(Request) -> Answer,
) -> std::io::Result<()> {
    let mut received = Vec::new();
    let end = loop {
        if let Some(at) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
    let length = head.lines().find_map(|line| {
        let length = line.strip_prefix("content-length:")?;
        length.trim().parse::<usize>().ok()
    });
    while received.len() < end + length.unwrap_or_default() {
        stream.read_buf(&mut received).await?;
    }
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, path) = (word(), word());
    let body = String::from_utf8_lossy(&received[end..]).into_owned();
    let request = Request {
        method,
        path,
        head,
        body,
    };
    let (status, body) = answer(request);
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let answer = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await
}

impl World {
    async fn new() -> Self {
        let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mcp, authorization) = (listen().await, listen().await);
        let mut world = Self {
            state: Arc::default(),
            mcp: mcp.local_addr().unwrap(),
            authorization: authorization.local_addr().unwrap(),
            serving: None,
            store: MemoryStore::default(),
        };
        let (url, issuer) = (world.url(), world.issuer());
        let state = world.state.clone();
        tokio::spawn(serve(mcp, move |request| {
            mcp_answer(&state.lock().unwrap(), &url, &issuer, &request)
        }));
        world.serve_authorization(authorization);
        world
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.mcp)
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.authorization)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve_authorization(&mut self, listener: TcpListener) {
        let (state, issuer) = (self.state.clone(), self.issuer());
        let serving = serve(listener, move |request| {
            authorization_answer(&mut state.lock().unwrap(), &issuer, &request)
        });
        self.serving = Some(tokio::spawn(serving));
    }

    /// From now on, connections to the authorization server are refused.
    async fn stop_authorization(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        let _ = serving.await;
    }

    async fn restart_authorization(&mut self) {
        let listener = TcpListener::bind(self.authorization).await.unwrap();
        self.serve_authorization(listener);
    }

    fn key(&self) -> CredentialKey {
        CredentialKey::new(NAME, &self.url())
    }

    /// Stores a sign-in, as another process does.
    async fn sign_in_elsewhere(&self) {
        let (access, refresh) = {
            let mut state = self.state();
            state.is_revoked = false;
            state.grant()
        };
        let record = json!({
            "server_name": NAME, "server_url": self.url(), "issuer": self.issuer(), "client_id": "client",
            "access_token": access, "refresh_token": refresh,
        });
        let record = CredentialRecord::from_json(&record).unwrap();
        self.replace(Some(&record)).await;
    }

    /// Replaces or removes the stored record, as another process does.
    async fn replace(&self, record: Option<&CredentialRecord>) {
        let key = self.key();
        let before = self.store.load(&key).await.unwrap();
        let replacing = self.store.replace(&key, before.as_ref(), record);
        replacing.await.unwrap();
    }

    /// The MCP server no longer accepts any token that was granted so far.
    fn expire(&self) {
        self.state().valid.clear();
    }

    async fn start(&self) -> LiveServer {
        let mut options = StartupOptions::default();
        options.stores = Some(CredentialStores::from_store(Arc::new(self.store.clone())));
        let server = ServerConfig::http(NAME, &self.url()).unwrap();
        let mut start = Startup::new(options).unwrap().start(vec![server.into()]);
        start.next().await.unwrap();
        let (event, live) = start.next().await.unwrap();
        live.unwrap_or_else(|| panic!("{event:?}"))
    }

    /// The number of requests to the token endpoint during `work`.
    async fn refreshes_during<T>(&self, work: impl Future<Output = T>) -> (T, usize) {
        let before = self.state().refreshes;
        let done = work.await;
        (done, self.state().refreshes - before)
    }
}

fn mcp_answer(state: &State, url: &str, issuer: &str, request: &Request) -> Answer {
    if request.path.starts_with("/.well-known/oauth-protected") {
        return (
            200,
            json!({"resource": url, "authorization_servers": [issuer]}),
        );
    }
    match (&*request.method, &*request.path) {
        ("delete", "/mcp") => return (200, Value::Null),
        ("post", "/mcp") => {}
        (_, "/mcp") => return (405, Value::Null),
        _ => return (404, Value::Null),
    }
    let token = request.head.lines().find_map(|line| {
        let token = line.strip_prefix("authorization: bearer ")?;
        Some(token.trim().to_owned())
    });
    if !state.is_open && !token.is_some_and(|token| state.valid.contains(&token)) {
        return (401, Value::Null);
    }
    let message: Value = serde_json::from_str(&request.body).unwrap();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "live", "version": "1"}
        }),
        Some("tools/list") => json!({"tools": []}),
        _ => return (202, Value::Null),
    };
    (
        200,
        json!({"jsonrpc": "2.0", "id": message["id"], "result": result}),
    )
}

fn authorization_answer(state: &mut State, issuer: &str, request: &Request) -> Answer {
    state.requests += 1;
    if request.path.starts_with("/.well-known/") {
        let metadata = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
            "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        });
        return (200, metadata);
    }
    state.refreshes += 1;
    let current = format!("refresh_token={}&", state.refresh_token);
    match () {
        () if state.is_unavailable => (503, json!({"error": "temporarily_unavailable"})),
        () if state.is_revoked || !request.body.contains(&current) => {
            (400, json!({"error": "invalid_grant"}))
        }
        () => {
            let (access, refresh) = state.grant();
            let answer =
                json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer"});
            (200, answer)
        }
    }
}

/// Moves the clock of the timers forward.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn call(live: &LiveServer) -> bool {
    live.peer().list_tools(None).await.is_ok()
}

/// Calls the server `count` times, with `pause` before each. Returns how many calls have succeeded.
async fn calls(live: &LiveServer, count: usize, pause: Duration) -> usize {
    let mut succeeded = 0;
    for _ in 0..count {
        later(pause).await;
        succeeded += usize::from(call(live).await);
    }
    succeeded
}

/// The token expires every hour. The authorization server has two outages, the user revokes the grant once, and signs in again
/// twice, each time in another process.
#[tokio::test]
async fn a_live_server_survives_a_day_of_outages() {
    let mut world = World::new().await;
    world.sign_in_elsewhere().await;
    let live = world.start().await;
    const HALF_A_MINUTE: Duration = Duration::from_secs(30);
    const CALLS: usize = 120;
    let mut report = Vec::new();
    for hour in 0..24 {
        world.expire();
        let outage = match hour {
            3 => "unavailable",
            7 => "unreachable",
            11 => "unavailable, and a sign-in elsewhere",
            15 => "revoked",
            _ => "none",
        };
        match outage {
            "unavailable" => world.state().is_unavailable = true,
            "unreachable" => world.stop_authorization().await,
            "unavailable, and a sign-in elsewhere" => {
                world.state().is_unavailable = true;
                world.sign_in_elsewhere().await;
            }
            "revoked" => world.state().is_revoked = true,
            _ => {}
        }
        let hour_of_calls = calls(&live, CALLS, HALF_A_MINUTE);
        let (succeeded, refreshes) = world.refreshes_during(hour_of_calls).await;
        report.push(format!(
            "hour {hour} ({outage}): {succeeded} of {CALLS} calls, {refreshes} refreshes"
        ));
        let last = report.last().unwrap();
        match outage {
            // Refreshes are sent again, but ever more rarely.
            "unavailable" => assert!(succeeded == 0 && (5..60).contains(&refreshes), "{last}"),
            "unreachable" => assert!(succeeded == 0 && refreshes == 0, "{last}"),
            // The new sign-in is found without any refresh.
            "unavailable, and a sign-in elsewhere" => {
                assert_eq!((succeeded, refreshes), (CALLS, 0), "{last}");
            }
            // A definite refusal is not repeated.
            "revoked" => assert_eq!((succeeded, refreshes), (0, 1), "{last}"),
            // After an outage, the next refresh may still be up to 5 minutes away.
            _ => assert!(succeeded >= CALLS - 10 && refreshes == 1, "{last}"),
        }
        match outage {
            "unreachable" => world.restart_authorization().await,
            "revoked" => {
                world.sign_in_elsewhere().await;
                let (succeeded, refreshes) = world.refreshes_during(call(&live)).await;
                assert_eq!((succeeded, refreshes), (true, 0), "after a new sign-in");
            }
            _ => world.state().is_unavailable = false,
        }
    }
    println!("{}", report.join("\n"));
    let (refreshes, requests) = {
        let state = world.state();
        (state.refreshes, state.requests)
    };
    println!("a day: {refreshes} refreshes, {requests} requests to the authorization server");
    assert!(refreshes < 100, "{}", report.join("\n"));
    live.close().await;
}

#[tokio::test]
async fn concurrent_calls_share_one_refresh_after_an_outage() {
    let world = World::new().await;
    world.sign_in_elsewhere().await;
    let live = world.start().await;
    world.expire();
    world.state().is_unavailable = true;
    let ten = || futures::future::join_all((0..10).map(|_| call(&live)));
    // A second try could already be due during the ten calls.
    let (succeeded, refreshes) = world.refreshes_during(ten()).await;
    assert!(!succeeded.contains(&true) && refreshes <= 10);
    world.state().is_unavailable = false;
    later(5 * MINUTE).await;
    let (succeeded, refreshes) = world.refreshes_during(ten()).await;
    assert!(!succeeded.contains(&false), "{succeeded:?}");
    assert_eq!(refreshes, 1);
    live.close().await;
}

/// A broken server must not make the client refresh with each call.
#[tokio::test]
async fn a_server_that_refuses_every_new_token_causes_few_refreshes() {
    let world = World::new().await;
    world.sign_in_elsewhere().await;
    let live = world.start().await;
    world.expire();
    world.state().grants_in_vain = true;
    let hour = calls(&live, 360, Duration::from_secs(10));
    let (succeeded, refreshes) = world.refreshes_during(hour).await;
    assert_eq!(succeeded, 0);
    assert!((5..=60).contains(&refreshes), "{refreshes} refreshes");
    world.state().grants_in_vain = false;
    later(10 * MINUTE).await;
    assert!(call(&live).await, "the server accepts tokens again");
    live.close().await;
}

#[tokio::test]
async fn a_server_that_starts_to_require_a_token_uses_a_later_sign_in() {
    let world = World::new().await;
    world.state().is_open = true;
    let live = world.start().await;
    assert!(call(&live).await);
    world.state().is_open = false;
    assert!(!call(&live).await, "nothing is stored");
    world.sign_in_elsewhere().await;
    let (succeeded, refreshes) = world.refreshes_during(call(&live)).await;
    assert_eq!((succeeded, refreshes), (true, 0));
    live.close().await;
}

/// After a sign-out by another process, no token is sent and none is refreshed.
#[tokio::test]
async fn a_signed_out_server_is_not_refreshed() {
    let world = World::new().await;
    world.sign_in_elsewhere().await;
    let live = world.start().await;
    world.replace(None).await;
    world.expire();
    let hour = calls(&live, 12, 5 * MINUTE);
    assert_eq!(world.refreshes_during(hour).await, (0, 0));
    live.close().await;
}
