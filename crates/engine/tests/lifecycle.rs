//! The lifecycle of starts: live servers, cancellation, and what ends with a start or outlives it.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, MemoryStore, StoreSelection,
};
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::rmcp::model::{ClientRequest, PingRequest};
use mcp_startup::{McpServerStartupState as State, Startup, StartupFailureKind, StartupOptions};
use mcp_startup_lab::{Lab, Target, parse_scenarios};
use secrecy::ExposeSecret;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

fn startup() -> Startup {
    Startup::new(StartupOptions::default()).unwrap()
}

fn http(lab: &Lab, name: &str) -> ServerEntry {
    ServerConfig::http(name, &lab.url(name)).unwrap().into()
}

/// A lab with one server, which never answers.
async fn silent_lab() -> Lab {
    let row = r#"[{"name": "silent", "about": "never answers", "mcp": {"respond": [{"when": {}, "reply": {"hang": true}}]},
        "expect": {"state": "failed", "kind": "timedOut", "recovery": "retry"}}]"#;
    Lab::start_with(parse_scenarios(row).unwrap(), 0)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_live_server_is_usable_until_it_is_closed() {
    let lab = Lab::start(0).await.unwrap();
    for name in ["ready", "ready-modern", "ready-sse"] {
        let mut start = startup().start(vec![http(&lab, name)]);
        let (starting, live) = start.next().await.unwrap();
        assert_eq!(starting.notification.status(), &State::Starting);
        assert!(live.is_none());
        let (ready, live) = start.next().await.unwrap();
        assert_eq!(
            ready.notification.status(),
            &State::Ready,
            "{name}: {ready:?}"
        );
        assert!(start.next().await.is_none());
        let live = live.unwrap();
        assert!(
            !live.peer().list_all_tools().await.unwrap().is_empty(),
            "{name}"
        );
        live.close().await;
    }
}

/// Reads a request and returns its method of JSON-RPC. `None` if the connection ends before.
async fn read_request(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
    Some(body["method"].as_str()?.to_owned())
}

#[tokio::test]
async fn a_server_that_closes_an_open_connection_without_a_response_is_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = BufReader::new(connection);
                let body = match read_request(&mut connection).await?.as_str() {
                    "initialize" => {
                        r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}"#
                    }
                    "tools/list" => r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#,
                    _ => "",
                };
                let status = if body.is_empty() { 202 } else { 200 };
                let response = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                connection.write_all(response.as_bytes()).await.ok()?;
                read_request(&mut connection).await
            });
        }
    });
    let server = ServerConfig::http("closes", &url).unwrap();
    let events: Vec<_> = startup().check(vec![server.into()]).collect().await;
    served.abort();
    let last = events.last().unwrap();
    assert_eq!(last.notification.status(), &State::Ready, "{last:?}");
}

/// Hundreds of starts that begin at the same moment would each open a connection before the first one has an idle connection to share.
#[tokio::test]
async fn starts_at_one_host_share_connections() {
    const SERVERS: usize = 200;
    let lab = Lab::start(0).await.unwrap();
    let host = lab.base_url();
    let host = host.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = lab.url("ready");
    let url = url.replace(&host, &listener.local_addr().unwrap().to_string());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let relay = tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            let host = host.clone();
            tokio::spawn(async move {
                let mut onward = TcpStream::connect(&host).await.unwrap();
                tokio::io::copy_bidirectional(&mut connection, &mut onward).await
            });
        }
    });
    let server = |number| {
        ServerConfig::http(format!("s{number}"), &url)
            .unwrap()
            .into()
    };
    let servers = (0..SERVERS).map(server).collect();
    let events: Vec<_> = startup().check(servers).collect().await;
    relay.abort();
    let states = events.iter().map(|event| event.notification.status());
    assert_eq!(
        states.filter(|state| **state == State::Ready).count(),
        SERVERS
    );
    let connections = connections.load(Ordering::Relaxed);
    println!("{connections} connections for {SERVERS} servers");
    assert!(connections < SERVERS / 2, "{connections} connections");
}

#[tokio::test]
async fn cancelling_a_check_cancels_each_running_start_and_ends_the_stream() {
    let lab = silent_lab().await;
    let servers = (0..5)
        .map(|number| {
            let url = lab.url("silent");
            ServerConfig::http(format!("s{number}"), &url)
                .unwrap()
                .into()
        })
        .collect();
    let mut check = startup().check(servers);
    for _ in 0..5 {
        assert_eq!(
            check.next().await.unwrap().notification.status(),
            &State::Starting
        );
    }
    check.cancel();
    for _ in 0..5 {
        assert_eq!(
            check.next().await.unwrap().notification.status(),
            &State::Cancelled
        );
    }
    assert!(check.next().await.is_none());
}

#[tokio::test]
async fn disabled_servers_are_skipped_and_a_concurrency_of_one_starts_the_others_in_turn() {
    let lab = Lab::start(0).await.unwrap();
    let mut options = StartupOptions::default();
    options.concurrency = 1;
    let mut servers: Vec<_> = ["ready", "server-500", "first-sign-in"]
        .map(|name| http(&lab, name))
        .into();
    servers[1].enabled = false;
    let check = Startup::new(options).unwrap().check(servers);
    let states: Vec<_> = check
        .map(|event| {
            format!(
                "{} {}",
                event.notification.name(),
                event.notification.status()
            )
        })
        .collect()
        .await;
    assert_eq!(states.len(), 4, "{states:?}");
    assert!(!states.concat().contains("server-500"));
    // A start begins when the previous server is closed.
    assert!(
        states[1].starts_with(states[0].split(' ').next().unwrap()),
        "{states:?}"
    );
}

// Linux only: /proc distinguishes a running process from a zombie.
#[cfg(target_os = "linux")]
mod programs {
    use std::time::Instant;

    use super::*;

    /// A program that starts a child process and writes both process IDs to a file. It ignores SIGTERM and the end of its input. It
    /// answers the handshake if `answers` is set.
    fn stubborn(folder: &std::path::Path, answers: bool) -> (ServerEntry, std::path::PathBuf) {
        let pids = folder.join("pids");
        let answer = r#"read request
            id=$(printf '%s' "$request" | sed 's/.*"id":\([0-9]*\).*/\1/')
            printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"sh","version":"1"}}}\n' "$id""#;
        let script = format!(
            "trap '' TERM; sleep 1000 & echo $$ $! > {0}.new; mv {0}.new {0}; {1}; while :; do sleep 1000; done",
            pids.display(),
            if answers { answer } else { ":" },
        );
        let server = ServerConfig::stdio("stubborn", "sh", ["-c", &script]).unwrap();
        (server.into(), pids)
    }

    async fn process_ids(path: &std::path::Path) -> Vec<i32> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Ok(text) = std::fs::read_to_string(path) {
                return text
                    .split_whitespace()
                    .map(|pid| pid.parse().unwrap())
                    .collect();
            }
            assert!(Instant::now() < deadline, "the program did not start");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn wait_for_exit(pids: &[i32]) {
        let deadline = Instant::now() + Duration::from_secs(10);
        for pid in pids {
            // A zombie has exited too.
            while std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
            {
                assert!(Instant::now() < deadline, "process {pid} still runs");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// A package runner may be installing a package. SIGKILL would damage its cache.
    #[tokio::test]
    async fn a_package_runner_has_time_to_end() {
        for how in ["cancelled", "dropped", "timed out"] {
            let folder = tempfile::tempdir().unwrap();
            let npx = folder.path().join("npx");
            let script = "exec 2>/dev/null\ntrap 'sleep 1; : >\"$1.done\"; exit' TERM\necho $$ >\"$1.new\"; mv \"$1.new\" \"$1\"\nwhile :; do sleep 0.05; done\n";
            // A shell reports on stderr that its child was killed, but that pipe is closed.
            std::fs::write(&npx, script).unwrap();
            let pids = folder.path().join("pids");
            let arguments = [npx.to_str().unwrap(), pids.to_str().unwrap()];
            let entry = ServerConfig::stdio("installs", "sh", arguments).unwrap();
            let mut options = StartupOptions::default();
            options.limit = (how == "timed out").then_some(Duration::from_secs(1));
            let mut check = Startup::new(options).unwrap().check(vec![entry.into()]);
            check.next().await.unwrap();
            let process = process_ids(&pids).await;
            match how {
                "cancelled" => check.cancel(),
                "dropped" => {}
                _ => {
                    check.next().await.unwrap();
                }
            }
            drop(check);
            wait_for_exit(&process).await;
            assert!(pids.with_extension("done").exists(), "{how}: it was killed");
        }
    }

    #[tokio::test]
    async fn a_program_and_its_children_end_with_the_check() {
        for how in [
            "cancelled",
            "dropped",
            "timed out",
            "ready",
            "kept and dropped",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let is_ready = matches!(how, "ready" | "kept and dropped");
            let (entry, pids) = stubborn(folder.path(), is_ready);
            let mut options = StartupOptions::default();
            options.limit = (how == "timed out").then_some(Duration::from_millis(500));
            let startup = Startup::new(options).unwrap();
            if how == "kept and dropped" {
                let mut start = startup.start(vec![entry]);
                start.next().await.unwrap();
                let (event, live) = start.next().await.unwrap();
                assert_eq!(event.notification.status(), &State::Ready, "{event:?}");
                let pids = process_ids(&pids).await;
                drop(live.unwrap());
                wait_for_exit(&pids).await;
                continue;
            }
            let mut check = startup.check(vec![entry]);
            check.next().await.unwrap();
            let pids = process_ids(&pids).await;
            let end = match how {
                "cancelled" => Some(State::Cancelled),
                "timed out" => Some(State::Failed),
                "ready" => Some(State::Ready),
                _ => None,
            };
            if how == "cancelled" {
                check.cancel();
            }
            if let Some(end) = end {
                assert_eq!(check.next().await.unwrap().notification.status(), &end);
                assert!(check.next().await.is_none());
            }
            drop(check);
            wait_for_exit(&pids).await;
        }
    }
}

/// The connection of a request in flight is closed when the start ends, although the HTTP client still exists.
#[tokio::test]
async fn a_request_ends_with_its_start() {
    for how in ["cancelled", "dropped", "timed out"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let mut options = StartupOptions::default();
        options.limit = (how == "timed out").then_some(Duration::from_millis(300));
        let startup = Startup::new(options).unwrap();
        let mut check = startup.check(vec![ServerConfig::http("silent", &url).unwrap().into()]);
        check.next().await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        match how {
            "cancelled" => check.cancel(),
            "dropped" => drop(check),
            _ => assert_eq!(
                check.next().await.unwrap().notification.status(),
                &State::Failed
            ),
        }
        let ended = tokio::time::timeout(Duration::from_secs(10), async {
            while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
        });
        ended
            .await
            .unwrap_or_else(|_| panic!("{how}: the request continues"));
    }
}

/// The stream waits for the answer to a refresh and saves the tokens, even if the start that sent it has ended.
#[tokio::test]
async fn a_refresh_outlives_its_start_and_the_stream_ends_after_it() {
    let row = r#"[{"name": "slow", "about": "a slow refresh", "mcp": {"serves": {"tokens": ["late-token"]}},
        "token": {"respond": [{"when": {}, "reply": {"delayMs": 400, "body": {"json":
            {"access_token": "late-token", "token_type": "Bearer", "refresh_token": "late-refresh"}}}}]},
        "stored": {"issuer": "{issuer}", "clientId": "client-1", "accessToken": "expired-token", "expiresInSeconds": -60,
            "refreshToken": "good-refresh"},
        "expect": {"state": "ready"}}]"#;
    for how in ["cancelled", "timed out"] {
        let lab = Lab::start_with(parse_scenarios(row).unwrap(), 0)
            .await
            .unwrap();
        let home = tempfile::tempdir().unwrap();
        let key = CredentialKey::new("slow", &lab.url("slow"));
        let record = lab.scenarios()[0]
            .stored_record(&lab.base_url(), 0)
            .unwrap();
        let file = home.path().join(".credentials.json");
        let records = serde_json::json!({ key.as_str(): record });
        std::fs::write(&file, records.to_string()).unwrap();
        let mut options = StartupOptions::default();
        options.stores = Some(CredentialStores::new(home.path(), StoreSelection::File));
        options.limit = (how == "timed out").then_some(Duration::from_millis(150));
        let mut check = Startup::new(options)
            .unwrap()
            .check(vec![http(&lab, "slow")]);
        check.next().await.unwrap();
        while !lab
            .requests("slow")
            .iter()
            .any(|request| request.to == Target::Token)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if how == "cancelled" {
            check.cancel();
        }
        let event = check.next().await.unwrap();
        let expected = match how {
            "cancelled" => (State::Cancelled, None),
            _ => (State::Failed, Some(StartupFailureKind::TimedOut)),
        };
        let kind = event.failure.as_ref().map(|failure| failure.kind());
        assert_eq!(
            (event.notification.status().clone(), kind),
            expected,
            "{event:?}"
        );
        assert!(check.next().await.is_none());
        let stored = std::fs::read_to_string(&file).unwrap();
        assert!(
            stored.contains("late-token") && stored.contains("late-refresh"),
            "{how}: {stored}"
        );
    }
}

/// If a token expires while the server is live, all requests share one refresh. If the server rejects the refreshed token too, no
/// further refresh follows.
#[tokio::test]
async fn the_requests_of_a_live_server_share_one_refresh() {
    let row = |refused: &str| {
        format!(
            r#"[{{"name": "kept", "about": "a token that expires", "mcp": {{"serves": {{"tokens": []}}, "respond": [
                {{"when": {{"token": "fresh-token-1", "method": "ping"}}, "reply": {{"status": 401}}}}{refused}]}},
            "token": {{"rotates": true}},
            "stored": {{"issuer": "{{issuer}}", "clientId": "client-1", "accessToken": "expired-token", "expiresInSeconds": -60,
                "refreshToken": "good-refresh"}},
            "expect": {{"state": "ready"}}}}]"#
        )
    };
    let refused =
        r#", {"when": {"token": "fresh-token-2", "method": "ping"}, "reply": {"status": 401}}"#;
    for (row, served) in [(row(""), true), (row(refused), false)] {
        let lab = Lab::start_with(parse_scenarios(&row).unwrap(), 0)
            .await
            .unwrap();
        let key = CredentialKey::new("kept", &lab.url("kept"));
        let record = lab.scenarios()[0]
            .stored_record(&lab.base_url(), 0)
            .unwrap();
        let record = CredentialRecord::from_json(&record).unwrap();
        let store = MemoryStore::default();
        store.replace(&key, None, Some(&record)).await.unwrap();
        let mut options = StartupOptions::default();
        options.stores = Some(CredentialStores::from_store(Arc::new(store.clone())));
        let startup = Startup::new(options).unwrap();
        let mut start = startup.start(vec![http(&lab, "kept")]);
        start.next().await.unwrap();
        let (_, live) = start.next().await.unwrap();
        let live = live.unwrap();
        let ping = || {
            let request = ClientRequest::PingRequest(PingRequest::default());
            live.peer().send_request(request)
        };
        for _ in 0..2 {
            let (one, two) = tokio::join!(ping(), ping());
            assert_eq!(
                (one.is_ok(), two.is_ok()),
                (served, served),
                "{one:?} {two:?}"
            );
        }
        let refreshes = lab
            .requests("kept")
            .into_iter()
            .filter(|request| request.to == Target::Token);
        assert_eq!(refreshes.count(), 2);
        let stored = store.load(&key).await.unwrap().unwrap();
        assert_eq!(
            stored.access_token().unwrap().expose_secret(),
            "fresh-token-2"
        );
        live.close().await;
    }
}
