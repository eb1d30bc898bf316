//! The servers of a client over a pair of streams.

#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use mcp_startup::config::ServerConfig;
#[cfg(unix)]
use mcp_startup::config::ServerEntry;
use mcp_startup_app_server::Configuration;
#[cfg(unix)]
use mcp_startup_app_server::transport;
use mcp_startup_lab::Lab;
use serde_json::{Value, json};
#[cfg(unix)]
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, split};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::client::Client;
use crate::{app_of, configured, servers};

#[tokio::test]
async fn every_start_is_reported_once_and_listed() {
    let lab = Lab::start(0).await.unwrap();
    let (app, _) = app_of(configured(servers(&lab, &["ready", "first-sign-in"])));
    let mut client = Client::initialized(&app).await;
    assert_eq!(client.states("ready", 1).await, ["starting", "ready"]);
    assert_eq!(
        client.states("first-sign-in", 1).await,
        ["starting", "failed"]
    );

    let list = client
        .request(json!({ "id": 1, "method": "mcpServerStatus/list", "params": { "limit": 1 } }))
        .await;
    let first = &list["result"]["data"][0];
    assert_eq!(first["name"], "first-sign-in");
    assert_eq!(first["runtimeStatus"], "authenticationRequired");
    assert_eq!(first["authStatus"], "notLoggedIn");
    let cursor = &list["result"]["nextCursor"];
    let rest = client
        .request(
            json!({ "id": 2, "method": "mcpServerStatus/list", "params": { "cursor": cursor } }),
        )
        .await;
    assert_eq!(rest["result"]["data"][0]["runtimeStatus"], "connected");
    assert_eq!(rest["result"]["nextCursor"], Value::Null);
    for cursor in ["", "first-sign-in", "zzz"] {
        let list = json!({ "id": cursor, "method": "mcpServerStatus/list", "params": { "cursor": cursor } });
        assert_eq!(client.code(list).await, -32602, "{cursor}");
    }

    let name = json!({ "name": "first-sign-in" });
    let failure = client
        .request(json!({ "id": 3, "method": "mcpStartup/failure/read", "params": name }))
        .await;
    assert_eq!(failure["result"]["failure"]["kind"], "signInRequired");
    let retried = client
        .request(json!({ "id": 4, "method": "mcpStartup/retry", "params": name }))
        .await;
    assert_eq!(retried["result"], json!({}));
    assert_eq!(
        client.states("first-sign-in", 2).await,
        ["starting", "failed", "starting", "failed"]
    );
    app.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_waits_one_minute_for_the_starts_of_all_servers() {
    // It accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", silent.local_addr().unwrap());
    let hour = Duration::from_secs(3600);
    let entry = |number: usize| {
        let server = ServerConfig::http(format!("silent-{number}"), &url).unwrap();
        server.with_startup_timeout(hour).unwrap().into()
    };
    // More than are queried at the same time.
    let (app, _) = app_of(configured((0..40).map(entry).collect()));
    let mut client = Client::initialized(&app).await;
    let started = Instant::now();
    client
        .begin(&json!({ "id": 1, "method": "mcpServerStatus/list" }))
        .await;
    let list = loop {
        let message: Value = serde_json::from_str(&client.incoming.next().await.unwrap()).unwrap();
        if message["id"] == 1 {
            break message;
        }
    };
    let data = list["result"]["data"].as_array().unwrap();
    assert_eq!(data.len(), 40);
    assert!(
        data.iter()
            .all(|status| status["runtimeStatus"] == "starting"),
        "{list}"
    );
    let elapsed = started.elapsed().as_secs();
    assert!((60..120).contains(&elapsed), "{elapsed} s");
    app.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_does_not_delay_a_list_with_a_thread_or_a_later_one() {
    // It accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", silent.local_addr().unwrap());
    let server = ServerConfig::http("silent", &url).unwrap();
    let limit = Duration::from_secs(30);
    let server = server.with_startup_timeout(limit).unwrap();
    let (app, _) = app_of(configured(vec![server.into()]));
    let mut client = Client::initialized(&app).await;
    let thread = client
        .request(json!({ "id": 0, "method": "thread/start" }))
        .await;
    let with_thread = json!({ "threadId": thread["result"]["thread"]["id"] });
    // With a thread during the start, without one until its end, and after it.
    for (params, shortest, longest, expected) in [
        (with_thread.clone(), 0, 2, "starting"),
        (json!({}), 25, 35, "failed"),
        (json!({}), 0, 1, "failed"),
        (with_thread, 0, 1, "failed"),
    ] {
        let started = Instant::now();
        let list = json!({ "id": 1, "method": "mcpServerStatus/list", "params": params.clone() });
        let list = client.request(list).await;
        let status = &list["result"]["data"][0];
        assert_eq!(status["runtimeStatus"], expected, "{params}");
        assert_eq!(status["authStatus"], "unknown", "{params}");
        let elapsed = started.elapsed().as_secs();
        assert!(
            (shortest..=longest).contains(&elapsed),
            "{params}: {elapsed} s"
        );
    }
    app.end().await;
}

#[tokio::test]
async fn a_reload_restarts_what_has_changed_and_a_broken_file_changes_nothing() {
    let lab = Lab::start(0).await.unwrap();
    let (app, source) = app_of(configured(servers(&lab, &["ready"])));
    let mut client = Client::initialized(&app).await;
    client.states("ready", 1).await;
    assert_eq!(
        client
            .code(json!({ "id": 1, "method": "config/mcpServer/reload" }))
            .await,
        -32603
    );
    let list = json!({ "id": 2, "method": "mcpServerStatus/list" });
    assert_eq!(
        client.request(list.clone()).await["result"]["data"][0]["runtimeStatus"],
        "connected"
    );

    let mut both = servers(&lab, &["ready", "first-sign-in"]);
    *source.0.lock().unwrap() = Some(configured(both.clone()));
    client
        .request(json!({ "id": 3, "method": "config/mcpServer/reload" }))
        .await;
    client.states("first-sign-in", 1).await;
    both.remove(0);
    *source.0.lock().unwrap() = Some(configured(both));
    client
        .request(json!({ "id": 4, "method": "config/mcpServer/reload" }))
        .await;
    let left = client.request(list).await;
    assert_eq!(left["result"]["data"].as_array().unwrap().len(), 1);
    // The server that did not change was not started again.
    assert_eq!(client.states("ready", 1).await, ["starting", "ready"]);
    app.end().await;
}

#[tokio::test]
async fn every_client_is_notified_of_a_reload() {
    const UPDATED: &str = "mcpStartup/servers/updated";
    let (app, source) = app_of(Configuration::default());
    let mut clients = [
        Client::initialized(&app).await,
        Client::initialized(&app).await,
    ];
    let reload = json!({ "id": 1, "method": "config/mcpServer/reload" });
    // Nothing was read.
    clients[0].code(reload.clone()).await;
    for count in 1..3 {
        *source.0.lock().unwrap() = Some(Configuration::default());
        clients[0].request(reload.clone()).await;
        for client in &mut clients {
            client.notified(UPDATED, count).await;
            let sent = client.notifications.iter();
            assert_eq!(sent.filter(|sent| sent["method"] == UPDATED).count(), count);
        }
    }
    app.end().await;
}

#[tokio::test]
async fn an_invalid_message_has_an_error_and_the_next_one_is_answered() {
    let (app, _) = app_of(Configuration::default());
    let mut client = Client::connected(&app);
    assert_eq!(
        client
            .code(json!({ "id": 1, "method": "mcpServerStatus/list" }))
            .await,
        -32600
    );
    let mut client = Client::initialized(&app).await;
    let huge = format!(r#"{{"id":1,"method":"{}"}}"#, "x".repeat(17 * 1024 * 1024));
    for (line, code) in [
        ("not JSON", -32700),
        ("[]", -32600),
        (huge.as_str(), -32600),
    ] {
        client.send(line).await;
        let error = client.next().await;
        assert_eq!(
            (&error["id"], &error["error"]["code"]),
            (&Value::Null, &json!(code))
        );
    }
    for (request, code) in [
        (json!({ "id": "a", "method": "initialize" }), -32600),
        (json!({ "id": "b", "method": "unknown" }), -32601),
        (json!({ "id": "c", "method": "mcpStartup/retry" }), -32602),
        (
            json!({ "id": "d", "method": "mcpStartup/retry", "params": { "name": "none" } }),
            -32602,
        ),
        (
            json!({ "id": "e", "method": "mcpServerStatus/list", "params": { "threadId": "none" } }),
            -32602,
        ),
    ] {
        assert_eq!(client.code(request.clone()).await, code, "{request}");
    }
    app.end().await;
}

// The server is a shell script.
#[cfg(unix)]
#[tokio::test]
async fn a_server_that_was_removed_ends_before_it_starts_again() {
    // An MCP server that takes a while to end.
    let script = r#"
        echo start >> "$1"
        while read -r line; do
            case $line in *'"initialize"'*)
                id=$(echo "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
                info='"serverInfo":{"name":"slow","version":"1"}'
                result='"protocolVersion":"2025-06-18","capabilities":{},'$info
                echo '{"jsonrpc":"2.0","id":'$id',"result":{'$result'}}'
            esac
        done
        sleep 0.3
        echo end >> "$1""#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steps");
    let arguments = ["-c", script, "sh", file.to_str().unwrap()];
    let server = ServerConfig::stdio("slow", "/bin/sh", arguments).unwrap();
    let configuration = configured(vec![server.into()]);
    let (app, source) = app_of(configuration.clone());
    let mut client = Client::initialized(&app).await;
    assert_eq!(client.states("slow", 1).await, ["starting", "ready"]);
    for (id, read) in [configured(Vec::new()), configuration]
        .into_iter()
        .enumerate()
    {
        *source.0.lock().unwrap() = Some(read);
        let reload = json!({ "id": id, "method": "config/mcpServer/reload" });
        assert_eq!(client.request(reload).await["result"], json!({}));
    }
    let expected = ["starting", "ready", "starting", "ready"];
    assert_eq!(client.states("slow", 2).await, expected);
    app.end().await;
    let steps = std::fs::read_to_string(&file).unwrap();
    assert_eq!(steps, "start\nend\nstart\nend\n");
}

/// A program that writes its name into a file, and fails.
#[cfg(unix)]
fn recorded(name: &str, file: &Path) -> ServerEntry {
    let script = r#"echo "$1" >> "$2""#;
    let arguments = ["-c", script, "sh", name, file.to_str().unwrap()];
    ServerConfig::stdio(name, "/bin/sh", arguments)
        .unwrap()
        .into()
}

// The server is a shell script.
#[cfg(unix)]
#[tokio::test]
async fn the_messages_of_a_client_that_has_left_start_nothing() {
    const INITIALIZED: &str = concat!(
        r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}"#,
        "\n{\"method\":\"initialized\"}\n",
    );
    let lab = Lab::start(0).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("starts");
    let starts = || std::fs::read_to_string(&file).unwrap_or_default();
    let mut entries = servers(&lab, &["ready"]);
    entries.push(recorded("program", &file));
    let (app, _) = app_of(configured(entries));
    let connect = || {
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let app = app.clone();
        let serving = tokio::spawn(async move {
            let (input, output) = split(theirs);
            transport::serve_streams(&app, input, output).await
        });
        (split(ours), serving)
    };

    // It leaves before its servers have started.
    let ((mut reader, mut writer), serving) = connect();
    writer.write_all(INITIALIZED.as_bytes()).await.unwrap();
    writer.shutdown().await.unwrap();
    serving.await.unwrap().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with(r#"{"id":0,"result":"#), "{text}");
    assert!(!text.contains("startupStatus"), "{text}");
    assert_eq!(starts(), "");

    // It leaves with more requests for starts than are handled before another task gets its turn.
    let mut other = Client::initialized(&app).await;
    other.states("program", 1).await;
    let ((reader, mut writer), serving) = connect();
    writer.write_all(INITIALIZED.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await.unwrap()
        && !(line.contains(r#""program""#) && line.contains(r#""failed""#))
    {}
    let retry = |id| {
        let params = json!({ "name": "program" });
        json!({ "id": id, "method": "mcpStartup/retry", "params": params })
    };
    let retries: String = (0..300).map(|id| format!("{}\n", retry(id))).collect();
    writer.write_all(retries.as_bytes()).await.unwrap();
    writer.shutdown().await.unwrap();
    serving.await.unwrap().unwrap();
    assert_eq!(starts(), "program\nprogram\n");

    // Another client notices nothing.
    other.states("ready", 1).await;
    other.request(retry(1)).await;
    other.states("program", 2).await;
    assert_eq!(starts(), "program\nprogram\nprogram\n");
    app.end().await;
}

#[tokio::test]
async fn the_end_of_one_client_leaves_the_servers_of_another() {
    let lab = Lab::start(0).await.unwrap();
    let (app, _) = app_of(configured(servers(&lab, &["ready"])));
    let mut first = Client::initialized(&app).await;
    let mut second = Client::initialized(&app).await;
    first.states("ready", 1).await;
    second.states("ready", 1).await;
    drop(first);
    let list = second
        .request(json!({ "id": 1, "method": "mcpServerStatus/list" }))
        .await;
    assert_eq!(list["result"]["data"][0]["runtimeStatus"], "connected");
    app.end().await;
}
