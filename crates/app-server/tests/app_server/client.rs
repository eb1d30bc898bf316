//! A client over a pair of streams or a WebSocket.

use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Sink, SinkExt, StreamExt};
use mcp_startup_app_server::{AppServer, transport};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, split};

use crate::schemas;

/// How long a message may take. Only a fault takes as long.
pub const LIMIT: Duration = Duration::from_secs(30);

pub struct Client {
    pub incoming: BoxStream<'static, String>,
    pub outgoing: Pin<Box<dyn Sink<String, Error = ()> + Send>>,
    /// The notifications that were read while a response was awaited.
    pub notifications: Vec<Value>,
    /// The requests by their IDs.
    requests: HashMap<String, Value>,
    /// The schemas that messages were checked against.
    pub checked: BTreeSet<&'static str>,
}

impl Client {
    /// A client over a pair of streams that has sent `initialized`.
    pub async fn initialized(app: &AppServer) -> Self {
        let mut client = Self::connected(app);
        client.initialize().await;
        client
    }

    /// A client over a pair of streams that has sent nothing.
    pub fn connected(app: &AppServer) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let app = app.clone();
        tokio::spawn(async move {
            let (input, output) = split(theirs);
            transport::serve_streams(&app, input, output).await
        });
        let (reader, writer) = split(ours);
        let lines = BufReader::new(reader).lines();
        let incoming = futures::stream::unfold(lines, async |mut lines| {
            let line = lines.next_line().await.ok()??;
            Some((line, lines))
        });
        let outgoing = futures::sink::unfold(writer, async |mut writer, message: String| {
            let line = format!("{message}\n");
            writer.write_all(line.as_bytes()).await.map_err(drop)?;
            Ok(writer)
        });
        Self::new(incoming.boxed(), outgoing)
    }

    pub fn new(
        incoming: BoxStream<'static, String>,
        outgoing: impl Sink<String, Error = ()> + Send + 'static,
    ) -> Self {
        Self {
            incoming,
            outgoing: Box::pin(outgoing),
            notifications: Vec::new(),
            requests: HashMap::new(),
            checked: BTreeSet::new(),
        }
    }

    pub async fn initialize(&mut self) {
        let info = json!({ "clientInfo": { "name": "test", "version": "1" } });
        let response = self.request(json!({ "id": 0, "method": "initialize", "params": info }));
        assert_eq!(
            response.await["result"]["platformFamily"],
            std::env::consts::FAMILY
        );
        self.send(&json!({ "method": "initialized" }).to_string())
            .await;
    }

    pub async fn send(&mut self, message: &str) {
        let sending = self.outgoing.send(message.to_owned());
        tokio::time::timeout(LIMIT, sending).await.unwrap().unwrap();
    }

    /// Sends a request, and does not wait for its response.
    pub async fn begin(&mut self, request: &Value) {
        self.requests
            .insert(request["id"].to_string(), request.clone());
        self.send(&request.to_string()).await;
    }

    /// Reads a message, and checks it. `None` after the end.
    pub async fn next_or_end(&mut self) -> Option<Value> {
        let message = tokio::time::timeout(LIMIT, self.incoming.next());
        let message: Value = serde_json::from_str(&message.await.unwrap()?).unwrap();
        let request = self.requests.get(&message["id"].to_string());
        self.checked.extend(schemas::check(request, &message));
        Some(message)
    }

    pub async fn next(&mut self) -> Value {
        self.next_or_end().await.unwrap()
    }

    /// Sends requests without waiting for responses, and returns the next `count` responses.
    pub async fn exchange(&mut self, requests: &[Value], count: usize) -> Vec<Value> {
        for request in requests {
            self.requests
                .insert(request["id"].to_string(), request.clone());
        }
        let lines = requests.iter().map(|request| Ok(request.to_string()));
        let mut lines = futures::stream::iter(lines);
        // Moved out, so that messages can be read meanwhile.
        let unused = Box::pin(futures::sink::drain().sink_map_err(|never| match never {}));
        let mut outgoing = std::mem::replace(&mut self.outgoing, unused);
        let mut responses = Vec::new();
        let reading = async {
            while responses.len() < count {
                let message = self.next().await;
                match message.get("id") {
                    Some(_) => responses.push(message),
                    None => self.notifications.push(message),
                }
            }
        };
        let (sent, ()) = tokio::join!(outgoing.send_all(&mut lines), reading);
        sent.unwrap();
        self.outgoing = outgoing;
        responses
    }

    /// Sends a request, and returns its response.
    pub async fn request(&mut self, request: Value) -> Value {
        self.begin(&request).await;
        loop {
            let message = self.next().await;
            if message.get("id") == request.get("id") {
                return message;
            }
            self.notifications.push(message);
        }
    }

    pub async fn code(&mut self, request: Value) -> i64 {
        self.request(request).await["error"]["code"]
            .as_i64()
            .unwrap_or_default()
    }

    /// The parameters of the notifications with this method, until there are `count` of them.
    pub async fn notified(&mut self, method: &str, count: usize) -> Vec<Value> {
        loop {
            let of_method = self.notifications.iter();
            let of_method = of_method.filter(|message| message["method"] == method);
            let found: Vec<Value> = of_method.map(|message| message["params"].clone()).collect();
            if found.len() >= count {
                return found;
            }
            let message = self.next().await;
            self.notifications.push(message);
        }
    }

    /// The states of a server that were notified, until it has ended `starts` starts.
    pub async fn states(&mut self, name: &str, starts: usize) -> Vec<String> {
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
