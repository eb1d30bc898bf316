//! A client over a pair of streams, with servers of the lab.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use mcp_startup::StartupOptions;
use mcp_startup::auth::{CredentialStores, MemoryStore};
use mcp_startup::config::clients::FileReport;
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup_app_server::{
    AppServer, AppServerOptions, Configuration, ConfigurationSource, transport,
};
use mcp_startup_lab::Lab;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, split,
};

/// A configuration that a test changes.
#[derive(Clone, Default)]
struct Source(Arc<Mutex<Option<Configuration>>>);

impl ConfigurationSource for Source {
    fn read(&self) -> Result<Configuration, String> {
        self.0
            .lock()
            .unwrap()
            .clone()
            .ok_or_else(|| "line 3: not valid TOML".to_owned())
    }

    fn clients(&self) -> Vec<FileReport> {
        Vec::new()
    }
}

struct Client {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
    /// The notifications that were read while a response was awaited.
    notifications: Vec<Value>,
}

impl Client {
    async fn initialized(app: &AppServer) -> Self {
        let mut client = Self::connected(app);
        let info = json!({ "clientInfo": { "name": "test", "version": "1" } });
        let response = client.request(json!({ "id": 0, "method": "initialize", "params": info }));
        assert_eq!(response.await["result"]["platformFamily"], "unix");
        client
            .send(&json!({ "method": "initialized" }).to_string())
            .await;
        client
    }

    fn connected(app: &AppServer) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let app = app.clone();
        tokio::spawn(async move {
            let (input, output) = split(theirs);
            transport::serve_streams(&app, input, output).await
        });
        let (reader, writer) = split(ours);
        Self {
            lines: BufReader::new(reader).lines(),
            writer,
            notifications: Vec::new(),
        }
    }

    async fn send(&mut self, line: &str) {
        self.writer
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(std::time::Duration::from_secs(30), self.lines.next_line());
        serde_json::from_str(&line.await.unwrap().unwrap().unwrap()).unwrap()
    }

    /// Sends a request, and returns its response.
    async fn request(&mut self, request: Value) -> Value {
        self.send(&request.to_string()).await;
        loop {
            let message = self.next().await;
            if message.get("id") == request.get("id") {
                return message;
            }
            self.notifications.push(message);
        }
    }

    async fn code(&mut self, request: Value) -> i64 {
        self.request(request).await["error"]["code"]
            .as_i64()
            .unwrap_or_default()
    }

    /// The states of a server that were notified, until it has ended `starts` starts.
    async fn states(&mut self, name: &str, starts: usize) -> Vec<String> {
        loop {
            let states: Vec<String> = self
                .notifications
                .iter()
                .filter(|message| message["method"] == "mcpServer/startupStatus/updated")
                .filter(|message| message["params"]["name"] == name)
                .map(|message| message["params"]["status"].as_str().unwrap().to_owned())
                .collect();
            if states.iter().filter(|state| *state != "starting").count() >= starts {
                return states;
            }
            let message = self.next().await;
            self.notifications.push(message);
        }
    }
}

fn servers(lab: &Lab, names: &[&str]) -> Vec<ServerEntry> {
    let entries = names
        .iter()
        .map(|name| ServerConfig::http(*name, &lab.url(name)).unwrap().into());
    entries.collect()
}

fn configured(servers: Vec<ServerEntry>) -> Configuration {
    Configuration {
        servers,
        home: "/home/user/.codex".into(),
    }
}

fn app_of(configuration: Configuration) -> (AppServer, Source) {
    let source = Source::default();
    let mut startup = StartupOptions::default();
    startup.stores = Some(CredentialStores::from_store(Arc::new(
        MemoryStore::default(),
    )));
    let options = AppServerOptions::new(startup, "test/1");
    (
        AppServer::new(options, configuration, source.clone()).unwrap(),
        source,
    )
}

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
