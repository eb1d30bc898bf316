//! Servers of every era of MCP over HTTP: the requests of a start, in their order.
//!
//! The rows follow from MCP 2026-07-28 (protocol version negotiation), MCP 2025-11-25 (transports, backwards compatibility) and from
//! the behavior of the SDKs that the rows name.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use mcp_startup::config::{HttpSseUse, ProtocolEra, ServerConfig, TransportConfig};
use mcp_startup::{
    McpServerStartupState, Startup, StartupEvent, StartupFailureKind, StartupOptions,
};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

/// How the server reacts to a method. The first matching row counts.
#[derive(Clone, Copy)]
enum Reaction {
    /// The result that a correct server returns.
    Good,
    /// A JSON-RPC error with this status, code and message.
    Error(u16, i64, &'static str),
    /// A text with this status.
    Text(u16, &'static str),
    /// No answer.
    Silence,
    /// The result, when the list of tools was also requested.
    AfterToolList,
}

#[derive(Clone)]
struct Server {
    rows: Arc<Mutex<Vec<(&'static str, Reaction)>>>,
    log: Arc<Mutex<Vec<String>>>,
    /// Requests to another path than this one are redirected there.
    path: &'static str,
    stream: Arc<Mutex<Option<mpsc::UnboundedSender<String>>>>,
    endpoint: Option<&'static str>,
    listed: Arc<Notify>,
}

impl Server {
    fn reaction(&self, method: &str) -> Reaction {
        let rows = self.rows.lock().unwrap();
        let row = rows
            .iter()
            .find(|(name, _)| *name == method || *name == "*");
        row.map_or(Reaction::Good, |(_, reaction)| *reaction)
    }
}

fn result(method: &str, params: &Value) -> Value {
    let modern = json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private"});
    let mut result = match method {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "test", "version": "1"},
        }),
        "server/discover" => {
            json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
        }
        _ => json!({"tools": [{"name": "one", "inputSchema": {"type": "object"}}]}),
    };
    if method != "initialize" {
        let members = modern.as_object().unwrap().clone();
        result.as_object_mut().unwrap().extend(members);
    }
    result
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if uri.path() != server.path && uri.path() != "/messages" {
        server
            .log
            .lock()
            .unwrap()
            .push(format!("{method} redirected"));
        return (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, server.path)],
        )
            .into_response();
    }
    let has_version = headers.contains_key("mcp-protocol-version");
    if method != Method::POST {
        let accepts = headers.contains_key(header::ACCEPT);
        server.log.lock().unwrap().push(match method {
            Method::DELETE => format!("DELETE accept={accepts} version={has_version}"),
            _ => format!("{method} accept={accepts}"),
        });
        if let (Some(endpoint), &Method::GET) = (server.endpoint, &method) {
            let (sender, events) = mpsc::unbounded_channel();
            sender
                .send(format!(": hello\n\nevent: endpoint\ndata: {endpoint}\n\n"))
                .unwrap();
            *server.stream.lock().unwrap() = Some(sender);
            let events = futures::stream::unfold(events, async |mut events| {
                Some((Ok::<_, std::io::Error>(events.recv().await?), events))
            });
            let kind = [(header::CONTENT_TYPE, "text/event-stream")];
            return (kind, Body::from_stream(events)).into_response();
        }
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let message: Value = serde_json::from_slice(&body).unwrap();
    let name = message["method"].as_str().unwrap_or("response").to_owned();
    let version = message["params"]["protocolVersion"]
        .as_str()
        .unwrap_or_default();
    server.log.lock().unwrap().push(match name.as_str() {
        "initialize" => format!("initialize {version} header={has_version}"),
        _ => name.clone(),
    });
    let error = |code: i64, text: &str| json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": text}});
    if uri.path() == "/messages" {
        if message.get("id").is_some() {
            let result = result(&name, &message["params"]);
            let reply = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            let stream = server.stream.lock().unwrap();
            stream
                .as_ref()
                .unwrap()
                .send(format!("event: message\ndata: {reply}\n\n"))
                .unwrap();
        }
        return StatusCode::ACCEPTED.into_response();
    }
    let json = |status: u16, body: Value| {
        let status = StatusCode::from_u16(status).unwrap();
        let headers = [
            (header::CONTENT_TYPE.as_str(), "application/json"),
            ("mcp-session-id", "s-1"),
        ];
        (status, headers, body.to_string()).into_response()
    };
    if name == TOOLS {
        server.listed.notify_one();
    }
    let reaction = server.reaction(&name);
    if let Reaction::AfterToolList = reaction {
        server.listed.notified().await;
    }
    match reaction {
        Reaction::Good if message.get("id").is_none() => StatusCode::ACCEPTED.into_response(),
        Reaction::Good | Reaction::AfterToolList => {
            let result = result(&name, &message["params"]);
            json(
                200,
                json!({"jsonrpc": "2.0", "id": message["id"], "result": result}),
            )
        }
        Reaction::Error(status, code, text) => json(status, error(code, text)),
        Reaction::Text(status, text) => {
            (StatusCode::from_u16(status).unwrap(), text).into_response()
        }
        Reaction::Silence => std::future::pending().await,
    }
}

struct Running {
    server: Server,
    url: String,
}

async fn serve(rows: &[(&'static str, Reaction)], endpoint: Option<&'static str>) -> Running {
    let server = Server {
        rows: Arc::new(Mutex::new(rows.to_vec())),
        log: Arc::default(),
        path: "/mcp/",
        stream: Arc::default(),
        endpoint,
        listed: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp/", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Running { server, url }
}

impl Running {
    fn change(&mut self, rows: &[(&'static str, Reaction)]) {
        *self.server.rows.lock().unwrap() = rows.to_vec();
    }

    /// The requests of a start that sends two at the same time.
    fn sorted_log(&self) -> Vec<String> {
        let mut log = self.log();
        log.sort();
        log
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.server.log.lock().unwrap())
    }
}

async fn check(startup: &Startup, config: ServerConfig) -> StartupEvent {
    let mut check = startup.check(vec![config.into()]);
    let mut last = None;
    while let Some(event) = check.next().await {
        last = Some(event);
    }
    last.unwrap()
}

fn is_ready(event: &StartupEvent) -> bool {
    *event.notification.status() == McpServerStartupState::Ready
}

fn startup() -> Startup {
    Startup::new(StartupOptions::default()).unwrap()
}

const LATEST: &str = "initialize 2025-11-25 header=false";
const INITIALIZED: &str = "notifications/initialized";
const DISCOVER: &str = "server/discover";
const TOOLS: &str = "tools/list";
const DELETE: &str = "DELETE accept=true version=true";
/// A server that has refused the negotiated version also refuses it in other requests.
const DELETE_AFTER_FAILURE: &str = "DELETE accept=true version=false";

#[tokio::test]
async fn each_refusal_leads_to_the_requests_that_can_succeed() {
    use Reaction::{Error, Text};
    const MODERN_ONLY: &str = "Bad Request: the header MCP-Protocol-Version is required";
    const LISTED: &str =
        "Unsupported protocol version (supported versions: 2025-06-18, 2024-11-05)";
    type Row = (
        &'static str,
        &'static [(&'static str, Reaction)],
        &'static [&'static str],
    );
    let rows: [Row; 9] = [
        (
            "a legacy server",
            &[],
            &[LATEST, INITIALIZED, TOOLS, DELETE],
        ),
        (
            "a strict server of 2026-07-28",
            &[("initialize", Error(400, -32020, MODERN_ONLY))],
            &[LATEST, DISCOVER, TOOLS],
        ),
        (
            "an error code that no specification has",
            &[("initialize", Error(200, -32004, "no"))],
            &[LATEST, DISCOVER, TOOLS],
        ),
        (
            "a refusal in plain text",
            &[("initialize", Text(400, "Bad Request"))],
            &[LATEST, DISCOVER, TOOLS],
        ),
        (
            "an unknown method with 404 (404 without a JSON-RPC error may also be HTTP+SSE)",
            &[("initialize", Text(404, "Not Found"))],
            &[LATEST, "GET accept=true", DISCOVER, TOOLS],
        ),
        (
            "go-sdk 1.8: initialize is accepted, and the notification after it refused",
            &[(INITIALIZED, Text(400, "JSON RPC not handled"))],
            &[LATEST, INITIALIZED, DELETE_AFTER_FAILURE, DISCOVER, TOOLS],
        ),
        (
            "versions in the message of a JSON-RPC error",
            &[("initialize", Error(400, -32000, LISTED))],
            &[LATEST, "initialize 2025-06-18 header=false"],
        ),
        (
            "versions in plain text",
            &[("initialize", Text(400, LISTED))],
            &[LATEST, "initialize 2025-06-18 header=false"],
        ),
        (
            "429 is not a refusal of the era",
            &[("initialize", Text(429, "later"))],
            &[LATEST],
        ),
    ];
    for (name, reactions, expected) in rows {
        let running = serve(reactions, None).await;
        let config = ServerConfig::http("test", &running.url).unwrap();
        let event = check(&startup(), config).await;
        assert_eq!(running.log(), expected, "{name}: {event:?}");
        assert_eq!(
            is_ready(&event),
            expected.contains(&TOOLS),
            "{name}: {event:?}"
        );
    }
}

#[tokio::test]
async fn a_known_era_is_the_first_one() {
    let refusal = ("initialize", Reaction::Error(400, -32020, "no"));
    let running = serve(&[refusal], None).await;
    let startup = startup();
    let config = || ServerConfig::http("test", &running.url).unwrap();
    assert!(is_ready(&check(&startup, config()).await));
    assert_eq!(running.log(), [LATEST, DISCOVER, TOOLS]);
    assert!(is_ready(&check(&startup, config()).await));
    assert_eq!(running.sorted_log(), [DISCOVER, TOOLS], "remembered");

    for (era, expected) in [
        (ProtocolEra::Modern, &[DISCOVER, TOOLS][..]),
        (ProtocolEra::Legacy, &[LATEST]),
    ] {
        let mut options = StartupOptions::default();
        options.protocol_era = Some(era);
        let fixed = Startup::new(options).unwrap();
        let event = check(&fixed, config()).await;
        assert_eq!(running.sorted_log(), expected, "{era:?}");
        assert_eq!(is_ready(&event), era == ProtocolEra::Modern);
    }

    let named = Reaction::Error(400, -32022, "supported versions: 2026-07-28");
    let running = serve(&[("initialize", named)], None).await;
    let mut config = ServerConfig::http("test", &running.url).unwrap();
    config.protocol_era = ProtocolEra::Legacy;
    assert!(!is_ready(&check(&startup, config).await));
    assert_eq!(
        running.log(),
        [LATEST],
        "a fixed era, although the server names another"
    );
}

#[tokio::test]
async fn a_server_that_returns_to_the_legacy_era_starts() {
    let startup = startup();
    let refusal = ("initialize", Reaction::Error(400, -32020, "no"));
    let mut running = serve(&[refusal], None).await;
    let config = ServerConfig::http("test", &running.url).unwrap();
    assert!(is_ready(&check(&startup, config.clone()).await));
    running.log();
    running.change(&[(DISCOVER, Reaction::Error(200, -32601, "unknown"))]);
    let event = check(&startup, config).await;
    assert!(is_ready(&event), "{event:?}");
    let mut log = running.log();
    // The list that was requested together with `server/discover`.
    let early = log.iter().position(|request| request == TOOLS).unwrap();
    log.remove(early);
    assert_eq!(log, [DISCOVER, LATEST, INITIALIZED, TOOLS, DELETE]);
}

#[tokio::test]
async fn a_known_era_costs_one_round_trip() {
    let startup = startup();
    let refusal = ("initialize", Reaction::Error(400, -32020, "no"));
    let mut running = serve(&[refusal], None).await;
    let config = ServerConfig::http("test", &running.url).unwrap();
    assert!(is_ready(&check(&startup, config.clone()).await));
    running.log();
    // The permit of the first start.
    running.server.listed.notified().await;
    running.change(&[refusal, (DISCOVER, Reaction::AfterToolList)]);
    let event = check(&startup, config).await;
    assert!(is_ready(&event), "{event:?}");
    assert_eq!(running.sorted_log(), [DISCOVER, TOOLS]);
}

// The server is a shell script.
#[cfg(unix)]
#[tokio::test]
async fn a_known_era_costs_one_round_trip_over_stdio() {
    use mcp_startup::Update;

    // Answers in the other order, and only when it has both requests. Further requests go to stderr, and the server fails.
    const SCRIPT: &str = r#"
        read discover
        read list
        id() { printf %s "$1" | sed -E 's/.*"id":([0-9]+).*/\1/'; }
        case $list in *tools/list*) ;; *) exit 3 ;; esac
        printf '{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[%s]}}\n' \
            "$(id "$list")" "$1"
        printf '{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}}\n' \
            "$(id "$discover")"
        while read more; do echo "$more" >>"$2"; done
    "#;
    let folder = tempfile::tempdir().unwrap();
    let more = folder.path().join("more");
    let tool = r#"{"name":"one","inputSchema":{"type":"object"}}"#;
    let many = vec![format!("{},", tool.replace("one", &"n".repeat(2000))); 40].concat() + tool;
    for (tools, count) in [(tool, 1), (&many, 41), ("", 0)] {
        let arguments = ["-c", SCRIPT, "sh", tools, more.to_str().unwrap()];
        let mut config = ServerConfig::stdio("test", "sh", arguments).unwrap();
        config.protocol_era = ProtocolEra::Modern;
        let startup = startup();
        let mut check = startup.check(vec![config.into()]);
        let (mut state, mut counted) = (None, None);
        while let Some(update) = check.update().await {
            match update {
                Update::Event(event) => state = Some(event),
                Update::Tools { count, .. } => counted = count,
                _ => {}
            }
        }
        let event = state.unwrap();
        assert!(is_ready(&event), "{event:?}");
        assert_eq!(counted, Some(count));
        assert!(!more.exists(), "{:?}", std::fs::read_to_string(&more));
    }
}

#[tokio::test]
async fn a_refusal_in_one_round_trip_ends_as_in_two() {
    use Reaction::Text;
    for status in [401, 403, 429, 500] {
        for (legacy, modern) in [("initialize", DISCOVER), (TOOLS, TOOLS)] {
            let mut ends = Vec::new();
            for (era, method) in [(ProtocolEra::Legacy, legacy), (ProtocolEra::Modern, modern)] {
                let running = serve(&[(method, Text(status, "no"))], None).await;
                let mut config = ServerConfig::http("test", &running.url).unwrap();
                config.protocol_era = era;
                let event = check(&startup(), config).await;
                let log = running.log();
                let lists = log.iter().filter(|request| *request == TOOLS).count();
                // Another refusal than 401 may be due to the two requests at the same time, so the list is requested again.
                let most = if status == 401 { 1 } else { 2 };
                assert!(lists <= most, "{status} {method}: {log:?}");
                ends.push((
                    is_ready(&event),
                    event.failure.map(|failure| failure.kind()),
                    event.warning.map(|warning| warning.kind),
                ));
            }
            assert_eq!(ends[0], ends[1], "{status} {legacy}");
        }
    }
}

#[tokio::test]
async fn a_failed_handshake_leaves_no_session() {
    use Reaction::{Error, Text};
    const NAMED: &str =
        "Bad Request: Unsupported protocol version (supported versions: 2026-07-28)";
    const NO: Reaction = Error(200, -32601, "no");
    for (name, reactions, expected) in [
        (
            "go-sdk 1.8, modern with sessions: the version that the notification needs is not spoken",
            [(INITIALIZED, Text(400, NAMED)), (DISCOVER, NO)],
            &[
                LATEST,
                INITIALIZED,
                DELETE_AFTER_FAILURE,
                DISCOVER,
                "GET accept=true",
            ][..],
        ),
        (
            "an error opens no session, even if it has a session ID",
            [("initialize", NO), (DISCOVER, NO)],
            &[LATEST, DISCOVER],
        ),
        (
            "a failure that no other handshake can resolve",
            [(INITIALIZED, Text(500, "broken")), (DISCOVER, NO)],
            &[LATEST, INITIALIZED, DELETE_AFTER_FAILURE],
        ),
    ] {
        let running = serve(&reactions, None).await;
        let config = ServerConfig::http("test", &running.url).unwrap();
        let event = check(&startup(), config).await;
        assert_eq!(running.log(), expected, "{name}: {event:?}");
        let failure = event.failure.unwrap();
        assert_ne!(
            failure.kind(),
            StartupFailureKind::UnsupportedProtocol,
            "{name}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn a_silent_second_handshake_costs_about_a_second_and_keeps_the_first_error() {
    let reactions = [
        (
            "initialize",
            Reaction::Error(200, -32001, "run `acme login`"),
        ),
        (DISCOVER, Reaction::Silence),
    ];
    let running = serve(&reactions, None).await;
    let began = Instant::now();
    let event = check(
        &startup(),
        ServerConfig::http("test", &running.url).unwrap(),
    )
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    let failure = event.failure.unwrap();
    assert!(
        failure.message().contains("run `acme login`"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_followed_once() {
    let running = serve(&[], None).await;
    let url = running.url.trim_end_matches('/');
    let event = check(&startup(), ServerConfig::http("test", url).unwrap()).await;
    assert!(is_ready(&event), "{event:?}");
    assert_eq!(
        running.log(),
        ["POST redirected", LATEST, INITIALIZED, TOOLS, DELETE]
    );
}

#[tokio::test]
async fn http_sse_is_spoken_unless_the_client_of_the_configuration_does_not() {
    let refused = [("*", Reaction::Text(405, "Method Not Allowed"))];
    for (http_sse, endpoint, expected) in [
        (HttpSseUse::Fallback, "/messages", Ok(())),
        (HttpSseUse::Always, "/messages?session=1", Ok(())),
        (HttpSseUse::Never, "/messages", Err("HTTP+SSE")),
        // The messages carry the credential of the server.
        (
            HttpSseUse::Fallback,
            "http://127.0.0.1:9/messages",
            Err("must have the origin"),
        ),
        (
            HttpSseUse::Always,
            "http://127.0.0.1:9/messages",
            Err("must have the origin"),
        ),
    ] {
        let running = serve(&refused, Some(endpoint)).await;
        let mut config = ServerConfig::http("test", &running.url).unwrap();
        if let TransportConfig::Http(http) = &mut config.transport {
            http.http_sse = http_sse;
        }
        let event = check(&startup(), config).await;
        let log = running.log();
        match expected {
            Ok(()) => {
                assert!(is_ready(&event), "{http_sse:?}: {event:?}");
                let last = &log[log.len() - 3..];
                assert_eq!(last, [LATEST, INITIALIZED, TOOLS], "{http_sse:?}");
            }
            Err(words) => {
                let failure = event.failure.unwrap();
                assert!(
                    failure.message().contains(words),
                    "{http_sse:?}: {failure:?}"
                );
                assert_ne!(failure.kind(), StartupFailureKind::TimedOut);
            }
        }
    }
}
