//! Sign-in, sign-out and authorization status, tested with the lab, whose authorization servers sign a user in
//! immediately.
//!
//! The tables `sign_in.json`, `sign_out.json` and `auth_status.json` have the cases: the row of the lab, the
//! configuration and credentials of the client, the expected result, and the rule that it follows from. Expected values
//! are written by hand.

#![allow(clippy::unwrap_used)]

mod auth_status;
mod callback_listener;
mod callbacks;
mod client_choice;
mod replaced_sign_ins;
mod secrets;
mod sign_in;
mod sign_out;
mod step_up;
mod stores;
mod transactions;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use mcp_startup::auth::network::Network;
use mcp_startup::auth::{
    CredentialKey, CredentialStores, SignInBegun, SignInError, StoreSelection, now_ms,
};
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::{McpServerStartupState, SignInOptions, Startup, StartupOptions};
use mcp_startup_lab::{Lab, RecordedRequest, Scenario, Target, parse_scenarios};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

const REDIRECT_URI: &str = "http://127.0.0.1:8123/callback";
const FILE: &str = ".credentials.json";

/// Prints the number of cases. The test harness does not capture this line, so it appears in every run.
fn report_count(what: &str, count: usize) {
    let line = format!("sign_in: {what} {count} cases\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// A case of one of the tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case<E> {
    name: String,
    about: String,
    /// The rule or the section of a standard that the expected result follows from.
    because: String,
    /// The fields of the lab's row that differ from the default.
    #[serde(default)]
    server: Value,
    #[serde(default)]
    client: Client,
    expect: E,
}

/// Runs every case of a table, with one row of the lab for each, and reports all failures.
async fn run_all<E: DeserializeOwned>(
    what: &str,
    table: &str,
    run: impl AsyncFn(&Case<E>, &User<'_>) -> Result<(), String>,
) {
    let cases: Vec<Case<E>> = serde_json::from_str(table).unwrap();
    let rows = cases.iter().map(|case| row(&case.name, &case.server));
    let lab = lab_of(rows.collect()).await;
    let mut failures = Vec::new();
    for case in &cases {
        assert!(
            !case.because.is_empty() && !case.about.is_empty(),
            "{}",
            case.name
        );
        let user = User::with(&lab, &case.name, &case.client);
        if let Err(failure) = run(case, &user).await {
            failures.push(format!("{} ({})\n  {failure}", case.name, case.because));
        }
    }
    report_count(what, cases.len());
    let (failed, count) = (failures.len(), cases.len());
    assert!(
        failures.is_empty(),
        "{failed} of {count}:\n{}",
        failures.join("\n")
    );
}

/// The configuration and credentials of the client that are not in the lab's row.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Client {
    metadata_url: Option<String>,
    scopes: Option<Vec<String>>,
    resource: Option<String>,
    prompt: Option<String>,
    allows_unpublished_pkce: bool,
    /// The host's challenge.
    challenge: Option<String>,
    /// The scopes that the user asks for.
    asks: Vec<String>,
    redirect_uri: Option<String>,
    /// The configured URL, if it is not that of the row.
    url: Option<String>,
    /// The content of the credentials file, in place of the row's stored record.
    file: Option<String>,
}

/// The lab's row for a case: a server that requires a token of its authorization server, with these fields changed.
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

/// A user with one server, whose credentials are in a file of a separate home folder.
struct User<'a> {
    lab: &'a Lab,
    row: &'a Scenario,
    home: tempfile::TempDir,
    server: ServerEntry,
    startup: Startup,
    metadata_url: Option<String>,
    sign_in_options: SignInOptions,
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
        server.oauth.prompt.clone_from(&client.prompt);
        server.oauth.allow_unpublished_pkce = client.allows_unpublished_pkce;
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
        let mut user = Self {
            lab,
            row,
            server: server.into(),
            startup,
            home,
            metadata_url,
            sign_in_options: SignInOptions::default(),
        };
        let challenge = client.challenge.as_deref();
        user.sign_in_options.challenge = challenge.map(|text| fill(lab, name, text));
        user.sign_in_options.scopes.clone_from(&client.asks);
        let record = row.stored_record(&lab.base_url(), now_ms());
        // This layout differs from that of every writer.
        let others = r#""other|0123456789abcdef" : { "access_token":"good-token-of-another", "big": 12345678901234567890.50 }"#;
        let content = match &record {
            None => format!("{{ {others} }}\n"),
            Some(record) => format!("{{ {others},\n  {}: {record} }}\n", json!(user.key())),
        };
        let content = client.file.clone().unwrap_or(content);
        std::fs::write(user.home.path().join(FILE), content).unwrap();
        user
    }

    /// A new process of the same user.
    fn next_startup(&self) -> Startup {
        startup(self.home.path(), self.metadata_url.clone())
    }

    fn sign_in_options(&self) -> SignInOptions {
        self.sign_in_options.clone()
    }

    fn key(&self) -> String {
        key_of(&self.server).as_str().to_owned()
    }

    /// The content of the credentials file.
    fn file(&self) -> String {
        std::fs::read_to_string(self.home.path().join(FILE)).unwrap()
    }

    /// The record stored for the server.
    fn record(&self) -> Option<Value> {
        let records: Map<String, Value> = serde_json::from_str(&self.file()).unwrap();
        records.get(&self.key()).cloned()
    }

    /// Replaces the stored record.
    fn write_record(&self, record: &Value) {
        let mut records: Map<String, Value> = serde_json::from_str(&self.file()).unwrap();
        records.insert(self.key(), record.clone());
        let content = Value::from(records).to_string();
        std::fs::write(self.home.path().join(FILE), content).unwrap();
    }

    fn requests(&self) -> Vec<RecordedRequest> {
        self.lab.requests(&self.row.name)
    }

    /// The requests to the token endpoint with this grant type.
    fn token_requests(&self, grant_type: &str) -> Vec<RecordedRequest> {
        let matches = |request: &RecordedRequest| {
            request.to == Target::Token && request.parameters["grant_type"] == grant_type
        };
        self.requests().into_iter().filter(matches).collect()
    }

    /// The requests to `/NAME/` followed by `place`.
    fn requests_at(&self, place: &str) -> Vec<RecordedRequest> {
        requests_at(self.lab, &self.row.name, place)
    }

    /// Begins a sign-in and opens its page. Returns the callback URL that the browser is redirected to.
    async fn sign_in(&self) -> (SignInBegun, String) {
        sign_in(&self.startup, &self.server).await
    }

    /// Whether a new process of the user finds the server ready.
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
    secrets::capture_log();
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

/// Begins a sign-in and opens its page. Returns the callback URL that the browser is redirected to.
async fn sign_in(startup: &Startup, server: &ServerEntry) -> (SignInBegun, String) {
    let begun = startup.begin_sign_in(server, REDIRECT_URI).await.unwrap();
    let callback = redirect_target(&begun.authorization_url).await;
    (begun, callback)
}

/// The URL that the sign-in page redirects the user's browser to.
async fn redirect_target(authorization_url: &str) -> String {
    let network = Network::new().unwrap();
    let page = network.server_client().get(authorization_url).send();
    let page = page.await.unwrap();
    assert_eq!(page.status(), 302, "{authorization_url}");
    page.headers()["location"].to_str().unwrap().to_owned()
}

/// Fills in the placeholders of the lab.
fn fill(lab: &Lab, name: &str, text: &str) -> String {
    text.replace("{base}", &lab.base_url())
        .replace(
            "{prm}",
            &format!(
                "{}/.well-known/oauth-protected-resource/{name}/mcp",
                lab.base_url()
            ),
        )
        .replace("{issuer}", &format!("{}/{name}", lab.base_url()))
        .replace("{resource}", &lab.url(name))
}

/// Fills in the placeholders in every string of a value.
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

/// Returns an error with both values if they differ.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, actual: T, expected: T) -> Result<(), String> {
    match actual == expected {
        true => Ok(()),
        false => Err(format!(
            "{what}\n    actual   {actual:?}\n    expected {expected:?}"
        )),
    }
}

fn kind(error: &SignInError) -> String {
    let text = serde_json::to_value(error.kind()).unwrap();
    text.as_str().unwrap().to_owned()
}
