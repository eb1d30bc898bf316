//! Signing in and out, and how a client is authorized: at the lab, whose authorization servers sign a user in at once.
//!
//! What can be said as data stands in `sign_in.json`, `sign_out.json` and `auth_status.json`: the lab's row, what the client has, and
//! what must come out, with the rule that it follows from. Expected values are written by hand.

#![allow(clippy::unwrap_used)]

mod auth_status;
mod callbacks;
mod secrets;
mod sign_in;
mod sign_out;
mod stores;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use mcp_startup::auth::network::Network;
use mcp_startup::auth::{
    CredentialKey, CredentialStores, SignInBegun, SignInError, SignInFailureKind, StoreSelection,
    now_ms,
};
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::{McpServerStartupState, Startup, StartupOptions};
use mcp_startup_lab::{Lab, RecordedRequest, Scenario, Target, parse_scenarios};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

const REDIRECT_URI: &str = "http://127.0.0.1:8123/callback";
const FILE: &str = ".credentials.json";

/// Says how many cases were run, past the capture of the test harness: the count is part of what a run says.
fn ran(what: &str, count: usize) {
    let line = format!("sign_in: {what} {count} cases\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// A case of one of the tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case<E> {
    name: String,
    about: String,
    /// The rule, or the section of a standard, by which that must come out which is expected.
    because: String,
    /// What of the lab's row is not usual.
    #[serde(default)]
    server: Value,
    #[serde(default)]
    client: Client,
    expect: E,
}

/// Runs every case of a table, at a lab with a row for each, and says of all that go wrong what it is.
async fn run_all<E: DeserializeOwned>(
    what: &str,
    table: &str,
    run: impl AsyncFn(&Case<E>, &User<'_>) -> Result<(), String>,
) {
    let cases: Vec<Case<E>> = serde_json::from_str(table).unwrap();
    let rows = cases.iter().map(|case| row(&case.name, &case.server));
    let lab = lab_of(rows.collect()).await;
    let mut wrong = Vec::new();
    for case in &cases {
        assert!(
            !case.because.is_empty() && !case.about.is_empty(),
            "{}",
            case.name
        );
        let user = User::with(&lab, &case.name, &case.client);
        if let Err(what) = run(case, &user).await {
            wrong.push(format!("{} ({})\n  {what}", case.name, case.because));
        }
    }
    ran(what, cases.len());
    let (failed, count) = (wrong.len(), cases.len());
    assert!(
        wrong.is_empty(),
        "{failed} of {count}:\n{}",
        wrong.join("\n")
    );
}

/// What the client has, besides what the lab's row says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Client {
    metadata_url: Option<String>,
    scopes: Option<Vec<String>>,
    resource: Option<String>,
    redirect_uri: Option<String>,
    /// The URL in the configuration, if not that of the row.
    url: Option<String>,
    /// The file with its credentials, in place of what the row stores.
    file: Option<String>,
}

/// The row of a case, which says of a lab's row only what is not usual: a server that wants a token of its authorization server.
fn row(name: &str, fields: &Value) -> Value {
    let mut row = json!({
        "name": name,
        "about": "",
        "mcp": { "serves": { "tokens": [] } },
        "expect": { "state": "failed" },
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        row[field] = value.clone();
    }
    row
}

async fn lab_of(rows: Vec<Value>) -> Lab {
    let rows = parse_scenarios(&Value::from(rows).to_string()).unwrap();
    Lab::start_with(rows, 0).await.unwrap()
}

/// A user, whose credentials are in a file of their own home, and who has one server.
struct User<'a> {
    lab: &'a Lab,
    row: &'a Scenario,
    home: tempfile::TempDir,
    server: ServerEntry,
    startup: Startup,
    metadata_url: Option<String>,
}

impl<'a> User<'a> {
    fn new(lab: &'a Lab, name: &str) -> Self {
        Self::with(lab, name, &Client::default())
    }

    fn with(lab: &'a Lab, name: &str, client: &Client) -> Self {
        let mut rows = lab.scenarios().iter();
        let row = rows.find(|row| row.name == name).unwrap();
        let home = tempfile::tempdir().unwrap();
        let url = client.url.as_deref().unwrap_or("{resource}");
        let mut server = ServerConfig::http(name, &fill(lab, name, url)).unwrap();
        server.scopes.clone_from(&client.scopes);
        server.oauth.resource.clone_from(&client.resource);
        if let Some(configured) = &row.configured {
            server.oauth.client_id.clone_from(&configured.client_id);
            server.oauth.client_secret = configured.client_secret.clone().map(Into::into);
            if let Some(bearer) = &configured.bearer {
                server = server.with_bearer_token("TOKEN", bearer.as_str()).unwrap();
            }
            if let Some(header) = &configured.header {
                let value = header.value.as_str();
                server = server.with_header(&header.name, value).unwrap();
            }
        }
        if let Some(seconds) = row.startup_timeout_sec {
            let limit = Duration::from_secs(seconds);
            server = server.with_startup_timeout(limit).unwrap();
        }
        let metadata_url = client.metadata_url.clone();
        let startup = startup(home.path(), metadata_url.clone());
        let user = Self {
            lab,
            row,
            server: server.into(),
            startup,
            home,
            metadata_url,
        };
        let record = row.stored_record(&lab.base_url(), now_ms());
        // Laid out as nobody here would write it.
        let others = r#""other|0123456789abcdef" : { "access_token":"good-token-of-another", "big": 12345678901234567890.50 }"#;
        let content = match &record {
            None => format!("{{ {others} }}\n"),
            Some(record) => format!("{{ {others},\n  {}: {record} }}\n", json!(user.key())),
        };
        let content = client.file.clone().unwrap_or(content);
        std::fs::write(user.home.path().join(FILE), content).unwrap();
        user
    }

    /// The same user's next process.
    fn next_startup(&self) -> Startup {
        startup(self.home.path(), self.metadata_url.clone())
    }

    fn key(&self) -> String {
        key_of(&self.server).as_str().to_owned()
    }

    /// The file with the credentials, as it stands.
    fn file(&self) -> String {
        std::fs::read_to_string(self.home.path().join(FILE)).unwrap()
    }

    /// The record that is stored for the server.
    fn record(&self) -> Option<Value> {
        let records: Map<String, Value> = serde_json::from_str(&self.file()).unwrap();
        records.get(&self.key()).cloned()
    }

    /// Writes over the record that is stored.
    fn write_record(&self, record: &Value) {
        let mut records: Map<String, Value> = serde_json::from_str(&self.file()).unwrap();
        records.insert(self.key(), record.clone());
        let content = Value::from(records).to_string();
        std::fs::write(self.home.path().join(FILE), content).unwrap();
    }

    fn requests(&self) -> Vec<RecordedRequest> {
        self.lab.requests(&self.row.name)
    }

    /// Those that came to the token endpoint with this grant.
    fn token_requests(&self, grant_type: &str) -> Vec<RecordedRequest> {
        let is_it = |request: &RecordedRequest| {
            request.to == Target::Token && request.parameters["grant_type"] == grant_type
        };
        self.requests().into_iter().filter(is_it).collect()
    }

    /// Those that came to `/NAME/` and this.
    fn requests_at(&self, place: &str) -> Vec<RecordedRequest> {
        requests_at(self.lab, &self.row.name, place)
    }

    /// Begins a sign-in, and opens its page: with where the browser comes back to.
    async fn sign_in(&self) -> (SignInBegun, String) {
        sign_in(&self.startup, &self.server).await
    }

    /// Whether the server is ready for the user's next process.
    async fn is_ready(&self) -> bool {
        is_ready(&self.next_startup(), &self.server).await
    }
}

fn requests_at(lab: &Lab, name: &str, place: &str) -> Vec<RecordedRequest> {
    let path = format!("/{name}/{place}");
    let requests = lab.requests(name).into_iter();
    requests.filter(|request| request.path == path).collect()
}

fn key_of(server: &ServerEntry) -> CredentialKey {
    let config = server.config.as_ref().unwrap();
    let mcp_startup::config::TransportConfig::Http(http) = &config.transport else {
        panic!("{}: no URL", server.name);
    };
    CredentialKey::new(&server.name, &http.written_url)
}

fn startup(home: &Path, metadata_url: Option<String>) -> Startup {
    secrets::listen();
    let mut options = StartupOptions::default();
    options.stores = Some(CredentialStores::new(home, StoreSelection::File));
    options.client_metadata_url = metadata_url;
    Startup::new(options).unwrap()
}

async fn is_ready(startup: &Startup, server: &ServerEntry) -> bool {
    let events: Vec<_> = startup.check(vec![server.clone()]).collect().await;
    let last = events.last().unwrap();
    last.notification.status() == &McpServerStartupState::Ready
}

/// Begins a sign-in, and opens its page: with where the browser comes back to.
async fn sign_in(startup: &Startup, server: &ServerEntry) -> (SignInBegun, String) {
    let begun = startup.begin_sign_in(server, REDIRECT_URI).await.unwrap();
    let callback = come_back(&begun.authorization_url).await;
    (begun, callback)
}

/// Where the user's browser ends up: what the page that they open sends them back to.
async fn come_back(authorization_url: &str) -> String {
    let network = Network::new().unwrap();
    let page = network.to_servers().get(authorization_url).send();
    let page = page.await.unwrap();
    assert_eq!(page.status(), 302, "{authorization_url}");
    page.headers()["location"].to_str().unwrap().to_owned()
}

/// Fills the placeholders of the lab.
fn fill(lab: &Lab, name: &str, text: &str) -> String {
    text.replace("{base}", &lab.base_url())
        .replace("{issuer}", &format!("{}/{name}", lab.base_url()))
        .replace("{resource}", &lab.url(name))
}

/// Every text within.
fn fill_json(lab: &Lab, name: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => fill(lab, name, text).into(),
        Value::Array(items) => items
            .iter()
            .map(|item| fill_json(lab, name, item))
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), fill_json(lab, name, value)))
            .collect(),
        other => other.clone(),
    }
}

/// What is got, if it is not what is wanted.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    match got == wanted {
        true => Ok(()),
        false => Err(format!("{what}\n    got    {got:?}\n    wanted {wanted:?}")),
    }
}

fn kind(error: &SignInError) -> String {
    in_words(error.kind())
}

fn in_words(kind: SignInFailureKind) -> String {
    let text = serde_json::to_value(kind).unwrap();
    text.as_str().unwrap().to_owned()
}
