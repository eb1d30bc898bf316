//! Clients that send invalid messages or too many, or that do not read.

use std::collections::HashMap;
use std::time::Duration;

use mcp_startup::config::ServerConfig;
use mcp_startup_app_server::{AppServer, Configuration, transport};
use mcp_startup_lab::Lab;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, split};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::client::{Client, LIMIT};
use crate::{app_of, configured, schemas, servers};

const INITIALIZE: &str =
    r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}"#;
/// How many requests of a client are answered at the same time.
const MAX_REQUESTS: usize = 1024;

fn stream(app: &AppServer) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let app = app.clone();
    tokio::spawn(async move {
        let (input, output) = split(theirs);
        transport::serve_streams(&app, input, output).await
    });
    ours
}

/// The ID and the code of a response. A result has the code 0.
type IdAndCode = (Value, i64);

/// The responses to a client that sends these bytes and then ends its output.
async fn answers(bytes: &[u8]) -> Vec<IdAndCode> {
    let (app, _) = app_of(Configuration::default());
    let (mut reader, mut writer) = split(stream(&app));
    let writing = async {
        writer.write_all(bytes).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut text = String::new();
    let exchange = async { tokio::join!(writing, reader.read_to_string(&mut text)).1 };
    tokio::time::timeout(LIMIT, exchange)
        .await
        .unwrap()
        .unwrap();
    app.end().await;
    let messages = text.lines().map(|line| {
        let message: Value = serde_json::from_str(line).unwrap();
        schemas::check(None, &message);
        let code = message["error"]["code"].as_i64().unwrap_or_default();
        (message["id"].clone(), code)
    });
    messages.collect()
}

#[tokio::test]
async fn an_invalid_message_has_an_error_and_loses_no_other_message() {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let long = vec![b'x'; 17 * 1024 * 1024];
    let nested = |open: &str, close: &str| {
        let depth = 100_000;
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        format!(r#"{{"id":1,"method":"initialize","params":{open}{close}}}"#).into_bytes()
    };
    let null = |code| (Value::Null, code);
    let cases: Vec<(&str, Vec<u8>, Vec<IdAndCode>)> = vec![
        ("nothing", Vec::new(), vec![]),
        (
            "half a message",
            b"{\"id\":1,\"meth".to_vec(),
            vec![null(-32700)],
        ),
        // The byte 10 ends a line.
        ("binary", every_byte, vec![null(-32700), null(-32700)]),
        (
            "not UTF-8",
            b"{\"id\":1,\"method\":\"\xff\"}".to_vec(),
            vec![null(-32700)],
        ),
        ("17 MiB without an end", long, vec![null(-32600)]),
        (
            "arrays in arrays",
            nested("[", "]"),
            vec![(json!(1), -32602)],
        ),
        (
            "arrays without an end",
            "[".repeat(1_000_000).into_bytes(),
            vec![null(-32700)],
        ),
        (
            "a batch",
            b"[{\"id\":1,\"method\":\"initialize\"}]".to_vec(),
            vec![null(-32600)],
        ),
        ("text", b"\"initialize\"".to_vec(), vec![null(-32600)]),
        (
            "an ID of a fraction",
            b"{\"id\":1.5,\"method\":\"a\"}".to_vec(),
            vec![null(-32600)],
        ),
        (
            "null as an ID",
            b"{\"id\":null,\"method\":\"initialize\"}".to_vec(),
            vec![null(-32600)],
        ),
        (
            "an object as an ID",
            b"{\"id\":{},\"method\":\"a\"}".to_vec(),
            vec![null(-32600)],
        ),
        (
            "a response to nothing",
            b"{\"id\":7,\"result\":{}}".to_vec(),
            vec![],
        ),
        (
            "an unknown notification",
            b"{\"method\":\"a\"}".to_vec(),
            vec![],
        ),
        (
            "no parameters",
            b"{\"id\":1,\"method\":\"initialize\"}".to_vec(),
            vec![(json!(1), -32602)],
        ),
        ("blank lines", b"\n\r\n  \n".to_vec(), vec![]),
        (
            "a long ID",
            format!(r#"{{"id":"{}","method":"initialize"}}"#, "x".repeat(1025)).into_bytes(),
            vec![null(-32600)],
        ),
    ];
    for (what, bytes, expected) in cases {
        assert_eq!(answers(&bytes).await, expected, "{what}");
        let followed = [&bytes, b"\r\n".as_slice(), INITIALIZE.as_bytes()].concat();
        let mut expected = expected;
        expected.push((json!(0), 0));
        assert_eq!(answers(&followed).await, expected, "{what}, and a message");
    }
}

#[tokio::test]
async fn before_initialized_no_request_is_answered_and_no_server_starts() {
    let lab = Lab::start(0).await.unwrap();
    let (app, _) = app_of(configured(servers(&lab, &["ready"])));
    let mut client = Client::connected(&app);
    let methods = [
        "thread/start",
        "mcpServerStatus/list",
        "config/mcpServer/reload",
        "mcpServer/oauth/login",
        "mcpServer/tool/call",
        "mcpServer/resource/read",
        "mcpStartup/failure/read",
        "mcpStartup/retry",
        "mcpStartup/signOut",
        "mcpStartup/login/cancel",
        "mcpStartup/request/cancel",
        "mcpStartup/clients/list",
        "mcpStartup/servers/list",
        "unknown",
    ];
    let info = json!({ "clientInfo": { "name": "a", "version": "1" } });
    for round in 0..2 {
        for method in methods {
            let params = json!({ "name": "ready" });
            let request = json!({ "id": method, "method": method, "params": params });
            assert_eq!(client.code(request).await, -32600, "{method}");
        }
        // The second round is after `initialize`.
        if round == 0 {
            client.send(r#"{"method":"initialized"}"#).await;
            let request = json!({ "id": 0, "method": "initialize", "params": info });
            assert!(client.request(request).await.get("result").is_some());
        }
    }
    assert_eq!(lab.requests("ready"), []);
    app.end().await;
}

#[tokio::test]
async fn each_of_a_thousand_requests_at_once_is_answered_once() {
    let lab = Lab::start(0).await.unwrap();
    let (app, _) = app_of(configured(servers(&lab, &["ready", "first-sign-in"])));
    let mut client = Client::initialized(&app).await;
    let methods = ["mcpServerStatus/list", "mcpStartup/failure/read", "unknown"];
    let request = |id: usize| {
        let params = json!({ "name": "first-sign-in" });
        json!({ "id": id, "method": methods[id % methods.len()], "params": params })
    };
    let requests: Vec<Value> = (1..=1000).map(request).collect();
    client.states("first-sign-in", 1).await;
    let before = lab.requests("first-sign-in").len();
    let responses = client.exchange(&requests, requests.len()).await;
    let by_id: HashMap<u64, &Value> = responses
        .iter()
        .map(|response| (response["id"].as_u64().unwrap(), response))
        .collect();
    assert_eq!(by_id.len(), requests.len());
    for (id, response) in by_id {
        let expected = match id % 3 {
            2 => Some(-32601),
            _ => None,
        };
        assert_eq!(response["error"]["code"].as_i64(), expected, "{response}");
    }
    // Together, the lists asked the server no more than one list does after another start.
    let of_all = lab.requests("first-sign-in").len() - before;
    let retry = json!({ "id": "retry", "method": "mcpStartup/retry", "params": { "name": "first-sign-in" } });
    client.request(retry).await;
    client.states("first-sign-in", 2).await;
    let before = lab.requests("first-sign-in").len();
    client.request(request(3)).await;
    let of_one = lab.requests("first-sign-in").len() - before;
    assert!(
        of_all > 0 && of_all <= of_one,
        "{of_all} requests instead of {of_one}"
    );
    app.end().await;
}

#[tokio::test]
async fn more_requests_than_are_answered_at_once_are_refused_as_overload() {
    // A server that accepts connections and does not answer, so that a list waits for it.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", silent.local_addr().unwrap());
    let silent_server = ServerConfig::http("silent", &url).unwrap();
    let (app, _) = app_of(configured(vec![silent_server.into()]));
    let mut client = Client::initialized(&app).await;
    let connection = tokio::time::timeout(LIMIT, silent.accept()).await.unwrap();

    let request = |id: usize| json!({ "id": id, "method": "mcpServerStatus/list" });
    let requests: Vec<Value> = (1..=1500).map(request).collect();
    let refused = client.exchange(&requests, 1500 - MAX_REQUESTS).await;
    for response in refused {
        assert_eq!(response["error"]["code"], -32001);
        assert!(response["id"].as_u64() > Some(1024), "{response}");
    }
    let again = client.request(request(5)).await;
    assert_eq!(again["error"]["code"], -32001, "{again}");

    // The requests that are being answered can be cancelled, even now.
    let cancel = json!({ "id": "cancel", "method": "mcpStartup/request/cancel", "params": { "requestId": 7 } });
    let responses = client.exchange(&[cancel], 2).await;
    let of = |id: Value| {
        responses
            .iter()
            .find(|response| response["id"] == id)
            .unwrap()
    };
    assert_eq!(of(json!("cancel"))["result"]["status"], "canceled");
    assert_eq!(of(json!(7))["error"]["data"]["reason"], "cancelled");

    // The others are answered when the start ends.
    drop((connection, silent));
    let mut rest = client.exchange(&[], MAX_REQUESTS - 1).await;
    rest.sort_by_key(|response| response["id"].as_u64());
    rest.dedup_by_key(|response| response["id"].as_u64());
    assert_eq!(rest.len(), MAX_REQUESTS - 1);
    assert!(rest.iter().all(|response| response.get("result").is_some()));
    app.end().await;
}

/// The parameters of a request are kept until it is answered.
#[tokio::test]
async fn large_requests_are_refused_as_overload_until_others_are_answered() {
    const MIB: usize = 1024 * 1024;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", silent.local_addr().unwrap());
    let silent_server = ServerConfig::http("silent", &url).unwrap();
    let (app, _) = app_of(configured(vec![silent_server.into()]));
    let request = |id: usize, bytes: usize| json!({ "id": id, "method": "mcpServerStatus/list", "params": { "x": "x".repeat(bytes) } });
    let mut clients = Vec::new();
    let mut answered_later = 0;
    // A client may have 8 MiB, and all together 32 MiB.
    for (number, expected) in [7, 7, 7, 7, 3, 0].into_iter().enumerate() {
        let mut client = Client::initialized(&app).await;
        let requests: Vec<Value> = (1..=9).map(|id| request(id, MIB)).collect();
        let refused = client.exchange(&requests, 9 - expected).await;
        for response in refused {
            assert_eq!(response["error"]["code"], -32001, "{number}");
            assert!(
                response["id"].as_u64() > Some(expected as u64),
                "{number}: {response}"
            );
        }
        // Other requests are answered.
        let other = json!({ "id": 100, "method": "mcpStartup/servers/list" });
        let code = client.request(other).await["error"]["code"].as_i64();
        assert_eq!(code, None, "{number}");
        answered_later += expected;
        clients.push((client, expected));
    }
    assert!(answered_later <= 32);
    drop(silent);
    for (client, expected) in &mut clients {
        let rest = client.exchange(&[], *expected).await;
        assert!(rest.iter().all(|response| response.get("result").is_some()));
    }
    let (client, _) = &mut clients[5];
    let again = client.request(request(101, MIB)).await;
    assert!(again.get("result").is_some(), "{again}");
    app.end().await;
}

#[tokio::test]
async fn the_requests_of_a_client_that_does_not_read_wait_and_are_answered_later() {
    /// More than all buffers between the two together.
    const BUFFERS: usize = 512 * 1024;
    /// A client that waits longer than this to send is stopped. If it was only slow, the test checks less.
    const STOPPED: Duration = Duration::from_millis(500);

    let (app, _) = app_of(Configuration::default());
    let (reader, mut writer) = split(stream(&app));
    let start = format!("{INITIALIZE}\n{{\"method\":\"initialized\"}}\n");
    writer.write_all(start.as_bytes()).await.unwrap();
    let line = |id: usize| format!("{{\"id\":{id:07},\"method\":\"unknown\"}}\n");
    let length = line(1_000_000).len();
    let count = 2 * BUFFERS / length;
    let requests: String = (1_000_000..1_000_000 + count).map(line).collect();
    let mut accepted = 0;
    while accepted < requests.len() {
        let writing = writer.write(&requests.as_bytes()[accepted..]);
        match tokio::time::timeout(STOPPED, writing).await {
            Ok(written) => accepted += written.unwrap(),
            Err(_) => break,
        }
    }
    assert!(accepted < BUFFERS, "{accepted} bytes were taken");

    // When the client reads, the app-server continues, and no request was lost.
    let writing = async {
        let rest = &requests.as_bytes()[accepted..];
        writer.write_all(rest).await.unwrap();
    };
    let reading = async {
        let mut lines = BufReader::new(reader).lines();
        let mut ids = Vec::new();
        while ids.len() < count + 1 {
            let line = lines.next_line().await.unwrap().unwrap();
            let message: Value = serde_json::from_str(&line).unwrap();
            ids.push(message["id"].as_u64().unwrap());
        }
        ids
    };
    let exchange = async { tokio::join!(writing, reading).1 };
    let ids = tokio::time::timeout(LIMIT, exchange).await.unwrap();
    let expected = (1_000_000..).take(count);
    assert!(ids.into_iter().skip(1).eq(expected));
    app.end().await;
}

/// The requests of a client, and more answers than all buffers to it hold together.
fn unread_requests() -> String {
    let line = |id: usize| format!("{{\"id\":{id},\"method\":\"unknown\"}}\n");
    (1_000_000..1_001_000).map(line).collect()
}

/// Waits until no task can continue. The clock is paused, so it advances only then.
async fn idle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_delays_the_end_by_2_s() {
    let start = format!("{INITIALIZE}\n{{\"method\":\"initialized\"}}\n");
    for end in [
        "input ends immediately",
        "input ends later",
        "app-server ends",
    ] {
        let (app, _) = app_of(Configuration::default());
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (input, output) = split(theirs);
        let served = app.clone();
        let serving =
            tokio::spawn(async move { transport::serve_streams(&served, input, output).await });
        let (_unread, mut writer) = split(ours);
        let requests = format!("{start}{}", unread_requests());
        writer.write_all(requests.as_bytes()).await.unwrap();
        if end != "input ends immediately" {
            idle().await;
        }
        let began = Instant::now();
        match end {
            "app-server ends" => app.end().await,
            _ => writer.shutdown().await.unwrap(),
        }
        let served = tokio::time::timeout(LIMIT, serving).await;
        served.expect(end).unwrap().unwrap();
        let elapsed = began.elapsed();
        assert!(elapsed <= Duration::from_secs(3), "{end}: {elapsed:?}");
        app.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn responses_that_wait_when_the_input_ends_are_delivered_or_dropped_after_2_s() {
    const REQUESTS: usize = 1000;
    for reads in [true, false] {
        let (app, _) = app_of(Configuration::default());
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (input, output) = split(theirs);
        let served = app.clone();
        let serving =
            tokio::spawn(async move { transport::serve_streams(&served, input, output).await });
        let (reader, mut writer) = split(ours);
        let start = format!("{INITIALIZE}\n{{\"method\":\"initialized\"}}\n");
        let line = |id| format!("{{\"id\":{id},\"method\":\"mcpStartup/servers/list\"}}\n");
        let requests: String = (1..=REQUESTS).map(line).collect();
        let requests = start + &requests;
        writer.write_all(requests.as_bytes()).await.unwrap();
        // Now all of them have a response, and most responses do not fit into the queue.
        idle().await;
        writer.shutdown().await.unwrap();
        let began = Instant::now();
        let mut ids = Vec::new();
        let mut lines = BufReader::new(reader).lines();
        while reads && let Some(line) = lines.next_line().await.unwrap() {
            let message: Value = serde_json::from_str(&line).unwrap();
            ids.push(message["id"].as_u64().unwrap());
        }
        let served = tokio::time::timeout(LIMIT, serving).await;
        served.unwrap().unwrap().unwrap();
        assert!(began.elapsed() <= Duration::from_secs(3));
        if reads {
            ids.sort_unstable();
            assert!(ids.into_iter().eq(0..=REQUESTS as u64));
        }
        app.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_start_is_reported_to_a_client_that_does_not_read_around_a_reload() {
    // It accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", silent.local_addr().unwrap());
    let configuration = |hours: u64| {
        let server = ServerConfig::http("silent", &url).unwrap();
        let limit = Duration::from_secs(3600 * hours);
        configured(vec![server.with_startup_timeout(limit).unwrap().into()])
    };
    let (app, source) = app_of(configuration(23));
    let mut client = Client::initialized(&app).await;
    client.notified("mcpServer/startupStatus/updated", 1).await;
    for line in unread_requests().lines() {
        client.send(line).await;
    }
    idle().await;
    let mut other = Client::initialized(&app).await;
    *source.0.lock().unwrap() = Some(configuration(24));
    other
        .request(json!({ "id": 1, "method": "config/mcpServer/reload" }))
        .await;
    // Longer than the end of any server takes.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let states = loop {
        let states = client.states("silent", 0).await;
        if states.len() >= 3 {
            break states;
        }
        let message = client.next().await;
        client.notifications.push(message);
    };
    assert_eq!(states, ["starting", "cancelled", "starting"]);
    app.end().await;
}
