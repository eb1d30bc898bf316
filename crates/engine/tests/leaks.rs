//! Nothing leaks: the `Debug` of everything public that holds a secret, and a host's own store of sign-ins that says what it
//! must not, or panics. What the program shows and logs is tested with the program.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Debug};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::future::join_all;
use mcp_startup::auth::{
    AuthorizationMetadata, CredentialKey, CredentialRecord, CredentialStore, CredentialStores,
    FoundRecord, Mask, MemoryStore, RecordLock, Refresh, Refreshed, Replaced, StoreError,
    StoreFuture, now_ms,
};
use mcp_startup::config::{self, Configuration, ServerConfig, ServerEntry, TransportConfig};
use mcp_startup::{
    CredentialStoreTrouble, Rejected, Startup, StartupEvent, StartupFailure, StartupOptions,
};
use mcp_startup_lab::{Lab, parse_scenarios};
use serde_json::{Value, json};

/// Every secret here begins so.
const MARK: &str = "ZqKvWxHtP";

fn secret(what: &str) -> String {
    format!("{MARK}-{what}+/=\"é")
}

/// What came out, of many things that were looked at.
#[derive(Default)]
struct Leaks {
    looked_at: usize,
    found: Vec<String>,
}

impl Leaks {
    fn look_at(&mut self, what: &str, text: &str) {
        self.looked_at += 1;
        if let Some(at) = text.find(MARK) {
            let from = text[..at]
                .char_indices()
                .rev()
                .nth(80)
                .map_or(0, |(from, _)| from);
            let around: String = text[from..].chars().take(160).collect();
            self.found.push(format!("{what}: {around}"));
        }
    }

    /// It came from elsewhere, and may be shown at a terminal.
    fn steers_nothing(&mut self, what: &str, text: Option<&str>) {
        if text.is_some_and(|text| text.contains(char::is_control)) {
            self.found.push(format!("{what}: {text:?}"));
        }
    }

    fn debug(&mut self, what: &str, value: &dyn Debug) {
        self.look_at(what, &format!("{value:?}{value:#?}"));
    }

    /// An error, as it is shown and as it is logged, with its causes.
    fn error(&mut self, what: &str, error: &dyn Error) {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.look_at(what, &format!("{error}{error:?}"));
            cause = error.source();
        }
    }

    fn assert_none(self) {
        println!("{} looked at", self.looked_at);
        let found = self.found;
        assert!(
            found.is_empty(),
            "{} times something comes out:\n{}",
            found.len(),
            found.join("\n")
        );
    }
}

fn parse(text: &str, file: &str) -> Result<Configuration, config::ConfigurationError> {
    let names = ["BEARER", "HEADER", "CLIENT", "COPIED", "FILLED"];
    let environment: BTreeMap<_, _> = names.map(|name| (name.to_owned(), secret(name))).into();
    config::parse(text, Path::new(file), &environment)
}

/// Every place of both formats that takes a secret; and those where one is refused.
fn configurations() -> [Configuration; 2] {
    let quoted = |what| Value::from(secret(what)).to_string();
    let toml = format!(
        r#"
        [mcp_servers.http]
        url = "https://mcp.example/mcp?key={MARK}"
        bearer_token_env_var = "BEARER"
        http_headers = {{ X-Key = {header}, Authorization = {header} }}
        env_http_headers = {{ X-Other = "HEADER" }}
        oauth = {{ client_id = "client-1", client_secret = {client} }}
        [mcp_servers.http-2]
        url = "https://mcp.example/mcp"
        oauth = {{ client_id = "client-1", client_secret_env_var = "CLIENT" }}
        oauth_resource = "https://mcp.example/mcp?key={MARK}"
        [mcp_servers.stdio]
        command = "true"
        args = ["--api-key", {argument}]
        env = {{ SECRET = {variable} }}
        env_vars = ["COPIED"]
        [mcp_servers.password]
        url = "https://me:{MARK}@mcp.example/mcp"
        [mcp_servers.no-url]
        url = "https//me:{MARK}@mcp.example/mcp"
        [mcp_servers.token]
        url = "https://mcp.example/mcp"
        bearer_token = {argument}
        [mcp_servers.header]
        url = "https://mcp.example/mcp"
        http_headers = {{ X-Key = "{MARK}\n" }}
        [mcp_servers.types]
        command = ["{MARK}"]
        "#,
        header = quoted("header"),
        client = quoted("client"),
        argument = quoted("argument"),
        variable = quoted("variable"),
    );
    let json = json!({ "mcpServers": {
        "http": { "url": "https://mcp.example/${FILLED}/mcp?key=${FILLED}", "headers": { "X-Key": "${FILLED}" } },
        "host": { "url": "https://${FILLED}/mcp" },
        "stdio": { "command": "/opt/${FILLED}", "args": ["a${FILLED}"], "env": { "X": "${FILLED}" } },
    }});
    [
        parse(&toml, "config.toml").unwrap(),
        parse(&json.to_string(), "servers.json").unwrap(),
    ]
}

fn record() -> CredentialRecord {
    CredentialRecord::from_json(&json!({
        "server_name": "host", "issuer": "https://auth.example", "client_id": "client-1", "client_secret": secret("client"),
        "access_token": secret("access"), "refresh_token": secret("refresh"), "vendor": { "password": secret("vendor") },
    }))
    .unwrap()
}

#[test]
fn debug_of_what_is_configured_shows_no_secret() {
    let mut leaks = Leaks::default();
    for configuration in configurations() {
        leaks.debug("Configuration", &configuration);
        for entry in &configuration.servers {
            let name = format!("{} of {}", entry.name, configuration.path.display());
            leaks.debug(&format!("ServerEntry {name}"), entry);
            match &entry.config {
                Ok(server) => {
                    leaks.debug(&format!("ServerConfig {name}"), server);
                    leaks.debug(&format!("OAuthClient {name}"), &server.oauth);
                    match &server.transport {
                        TransportConfig::Http(http) => {
                            leaks.debug(&format!("HttpConfig {name}"), http);
                            leaks.debug(&format!("BearerToken {name}"), &http.bearer);
                            leaks.debug(&format!("ConfiguredHeader {name}"), &http.headers);
                        }
                        TransportConfig::Stdio(stdio) => {
                            leaks.debug(&format!("StdioConfig {name}"), stdio);
                        }
                    }
                }
                Err(problem) => leaks.error(&format!("EntryProblem {name}"), problem),
            }
        }
    }
    for (name, text) in [
        ("config.toml", format!("a = {MARK} oops")),
        ("config.toml", format!("{MARK} oops")),
        ("config.toml", format!("mcp_servers = \"{MARK}\"")),
        ("servers.json", format!("{{\"mcpServers\": {MARK}}}")),
        ("servers.json", format!("{{\"mcpServers\": [\"{MARK}\"]}}")),
        (
            "servers.json",
            format!("{{\"mcpServers\": {{\"a\": \"{MARK}"),
        ),
    ] {
        leaks.error(
            &format!("ConfigurationError of {text}"),
            &parse(&text, name).unwrap_err(),
        );
    }
    let built = ServerConfig::http("built", "https://mcp.example/mcp").unwrap();
    let built = built.with_bearer_token("TOKEN", secret("bearer")).unwrap();
    let built = built.with_header("X-Key", secret("header")).unwrap();
    leaks.debug("ServerConfig::http", &built);
    let built = ServerConfig::stdio("built", "true", [secret("argument")]).unwrap();
    let built = built.with_env("SECRET", secret("variable")).unwrap();
    leaks.debug("ServerConfig::stdio", &built);
    leaks.debug("ServerEntry::from", &ServerEntry::from(built));
    leaks.assert_none();
}

#[tokio::test]
async fn debug_of_what_is_stored_shows_no_secret() {
    let mut leaks = Leaks::default();
    let key = CredentialKey::new("host", "https://mcp.example/mcp");
    leaks.debug("CredentialRecord", &record());
    leaks.debug("Replaced", &Replaced::Conflict(Some(record())));
    for (field, value) in [
        ("access_token", json!({ MARK: 1 })),
        ("refresh_token", json!([MARK])),
        ("expires_at", json!(MARK)),
        ("scopes", json!(MARK)),
    ] {
        let corrupt = CredentialRecord::from_json(&json!({ field: value }));
        leaks.error(&format!("CorruptRecord {field}"), &corrupt.unwrap_err());
    }
    let store = MemoryStore::default();
    store.replace(&key, None, Some(&record())).await.unwrap();
    leaks.debug("MemoryStore", &store);
    let store: Arc<dyn CredentialStore> = Arc::new(store);
    let stores = CredentialStores::of(store.clone());
    leaks.debug("CredentialStores", &stores);
    leaks.debug("CredentialStores::find", &stores.find(&key).await);
    leaks.debug(
        "FoundRecord",
        &FoundRecord {
            record: record(),
            store: store.clone(),
        },
    );
    leaks.debug("RecordLock", &store.lock(&key).await);
    let refresh = Refresh {
        key,
        rejected: Some(secret("rejected").into()),
        resource: "https://mcp.example/mcp".to_owned(),
        metadata: AuthorizationMetadata::default(),
        client: Some(("client-1".to_owned(), Some(secret("client").into()))),
        scopes: None,
    };
    leaks.debug("Refresh", &refresh);
    let access_token = secret("access").into();
    leaks.debug(
        "Refreshed",
        &Refreshed::Token {
            access_token,
            not_saved: None,
        },
    );
    let mut mask = Mask::default();
    mask.add(&secret("masked"));
    leaks.debug("Mask", &mask);
    let mut options = StartupOptions::default();
    options.stores = Some(stores);
    leaks.debug("StartupOptions", &options);
    leaks.debug("Startup", &Startup::new(options).unwrap());
    leaks.assert_none();
}

/// A server that says what it is given, which it knows beforehand; and one that is ready.
async fn lab() -> Lab {
    let rows = json!([
        { "name": "says", "about": "", "mcp": { "respond": [{ "reply": { "body": { "text": secret("header") } } }] },
          "expect": { "state": "failed" } },
        { "name": "ready", "about": "", "expect": { "state": "ready" }, "mcp": {} },
        { "name": "host", "about": "", "expect": { "state": "ready" }, "mcp": { "serves": { "tokens": [secret("new-access")] } },
          "token": { "respond": [{ "reply": { "body": { "json": {
              "access_token": secret("new-access"), "refresh_token": secret("new-refresh"), "token_type": "Bearer",
          } } } }] },
          "stored": { "issuer": "{issuer}", "clientId": "client-1", "clientSecret": secret("client"), "scopes": [],
              "accessToken": secret("access"), "refreshToken": secret("refresh"), "expiresInSeconds": -3600 } },
    ]);
    Lab::start_with(parse_scenarios(&rows.to_string()).unwrap(), 0)
        .await
        .unwrap()
}

fn server(lab: &Lab, name: &str) -> ServerEntry {
    let server = ServerConfig::http(name, &lab.url(name)).unwrap();
    server
        .with_header("X-Key", secret("header"))
        .unwrap()
        .into()
}

#[tokio::test]
async fn debug_of_what_runs_shows_no_secret() {
    let mut leaks = Leaks::default();
    let lab = lab().await;
    let servers = || ["says", "ready"].map(|name| server(&lab, name)).into();
    let startup = Startup::new(StartupOptions::default()).unwrap();
    let mut check = startup.check(servers());
    leaks.debug("Check", &check);
    while let Some(update) = check.update().await {
        leaks.debug("Update", &update);
        leaks.debug("Check", &check);
    }
    let mut start = startup.start(servers());
    while let Some((event, live)) = start.next().await {
        look_at_event(&mut leaks, "start", &event);
        leaks.debug("Start", &start);
        if let Some(live) = live {
            leaks.debug("LiveServer", &live);
            live.close().await;
        }
    }
    leaks.assert_none();
}

fn look_at_event(leaks: &mut Leaks, what: &str, event: &StartupEvent) {
    leaks.debug(&format!("{what}: StartupEvent"), event);
    let notification = serde_json::to_string(&event.notification).unwrap();
    leaks.look_at(&format!("{what}: the notification"), &notification);
    if let Some(failure) = &event.failure {
        look_at_failure(leaks, what, failure);
    }
}

fn look_at_failure(leaks: &mut Leaks, what: &str, failure: &StartupFailure) {
    leaks.debug(&format!("{what}: StartupFailure"), failure);
    leaks.look_at(&format!("{what}: the message"), failure.message());
    let evidence = serde_json::to_string(failure.evidence()).unwrap();
    leaks.look_at(&format!("{what}: the evidence"), &evidence);
}

/// The value of an `Authorization` header that a host has sent, and what the server's challenge says of it.
#[tokio::test]
async fn a_request_that_a_host_says_was_rejected_shows_no_secret() {
    let mut leaks = Leaks::default();
    let lab = lab().await;
    let startup = Startup::new(StartupOptions::default()).unwrap();
    for (sent, echoed) in [
        (format!("Bearer {MARK}-token"), format!("{MARK}-token")),
        (
            format!("bearer  {MARK}-token"),
            format!("bearer  {MARK}-token"),
        ),
        (format!("Basic {MARK}-token"), format!("{MARK}-token")),
        (format!("{MARK}-token"), format!("{MARK}-token")),
    ] {
        let mut rejected = Rejected::new(Some(&sent));
        leaks.debug("Rejected::new", &rejected);
        rejected.challenge = Some(format!("Bearer error_description=\"no good: {echoed}\""));
        leaks.debug(&format!("Rejected, {sent}"), &rejected);
        let authorized = startup
            .authorization(&server(&lab, "host"), Some(&rejected))
            .await;
        look_at_failure(&mut leaks, &sent, &authorized.unwrap_err());
    }
    leaks.assert_none();
}

// --- a host's own store -----------------------------------------------------------------------------------------------

/// What everything begins with that the store says.
const VAULT: &str = "the vault";

/// What of a store does not do what it should.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Load,
    /// Under the lock.
    LoadAgain,
    Lock,
    ProveWritable,
    Replace,
}

/// What it does instead. Against what a store must guarantee, it says all that it knows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Instead {
    SaysInDetail,
    SaysAsItsName,
    Panics,
}

const METHODS: [Method; 5] = [
    Method::Load,
    Method::LoadAgain,
    Method::Lock,
    Method::ProveWritable,
    Method::Replace,
];
const INSTEAD: [Instead; 3] = [
    Instead::SaysInDetail,
    Instead::SaysAsItsName,
    Instead::Panics,
];

struct HostStore {
    record: CredentialRecord,
    wrong: Method,
    instead: Instead,
    loads: AtomicUsize,
}

impl Debug for HostStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostStore")
    }
}

impl HostStore {
    fn now(&self, method: Method) -> Result<(), StoreError> {
        if method != self.wrong {
            return Ok(());
        }
        let mut known = vec!["header"];
        // Nobody can hide what has never been there: before it is loaded, what is stored is known to the store alone, and that it
        // does not say it is what a store must guarantee.
        if method != Method::Load {
            known.extend(["access", "refresh", "client"]);
        }
        if method == Method::Replace {
            known.extend(["new-access", "new-refresh"]);
        }
        let known: Vec<_> = known.into_iter().map(secret).collect();
        let said = format!("{VAULT}\u{1b}[2J has {}", known.join(", "));
        let trouble = CredentialStoreTrouble::Unreadable;
        match self.instead {
            Instead::SaysInDetail => Err(StoreError::new("vault", trouble, said)),
            Instead::SaysAsItsName => Err(StoreError::new(&said, trouble, "it is closed")),
            Instead::Panics => panic!("{said}"),
        }
    }
}

impl CredentialStore for HostStore {
    fn load<'a>(&'a self, _: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        Box::pin(async {
            match self.loads.fetch_add(1, Ordering::SeqCst) {
                0 => self.now(Method::Load)?,
                _ => self.now(Method::LoadAgain)?,
            }
            Ok(Some(self.record.clone()))
        })
    }

    fn replace<'a>(
        &'a self,
        _: &'a CredentialKey,
        _: Option<&'a CredentialRecord>,
        _: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, Replaced> {
        Box::pin(async { self.now(Method::Replace).map(|()| Replaced::Stored) })
    }

    fn lock<'a>(&'a self, _: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        Box::pin(async { self.now(Method::Lock).map(|()| RecordLock::new(())) })
    }

    fn prove_writable<'a>(&'a self, _: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async { self.now(Method::ProveWritable) })
    }
}

/// What panics outside of this file have said.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn said_by<'a>(panic: &'a std::panic::PanicHookInfo<'_>) -> Option<&'a str> {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

fn collect_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().unwrap();
        let is_of_the_host = said_by(panic).is_some_and(|said| said.starts_with(VAULT));
        if place.file() != file!() {
            PANICS.lock().unwrap().push(panic.to_string());
        } else if !is_of_the_host {
            usual(panic);
        }
    }));
}

/// A start, and a request of the host's own, with a store that goes wrong in one way.
async fn with_a_store_that_is_wrong(lab: &Lab, wrong: Method, instead: Instead) -> Leaks {
    let mut leaks = Leaks::default();
    let what = format!("{wrong:?} {instead:?}");
    let row = lab
        .scenarios()
        .iter()
        .find(|row| row.name == "host")
        .unwrap();
    let record = row.stored_record(&lab.base_url(), now_ms()).unwrap();
    let startup = || {
        let store = HostStore {
            record: CredentialRecord::from_json(&record).unwrap(),
            wrong,
            instead,
            loads: AtomicUsize::new(0),
        };
        let mut options = StartupOptions::default();
        options.stores = Some(CredentialStores::of(Arc::new(store)));
        Startup::new(options).unwrap()
    };
    let events: Vec<_> = startup().check(vec![server(lab, "host")]).collect().await;
    let last = events.last().unwrap();
    let told = last.failure.is_some() || last.not_saved.is_some();
    assert!(told, "nothing has gone wrong: {what}");
    look_at_event(&mut leaks, &what, last);
    let evidence = last.failure.as_ref().map(|failure| failure.evidence());
    if let Some(store) = evidence.and_then(|evidence| evidence.store.as_ref()) {
        leaks.steers_nothing(&what, store.kind.as_deref());
        leaks.steers_nothing(&what, store.detail.as_deref());
    }
    leaks.steers_nothing(&what, last.not_saved.as_deref());
    // A panic goes to the host that asks, and a token that could not be saved serves it.
    if instead != Instead::Panics && wrong != Method::Replace {
        let rejected = Rejected::new(Some(&format!("Bearer {}", secret("access"))));
        let authorized = startup()
            .authorization(&server(lab, "host"), Some(&rejected))
            .await;
        if let Err(failure) = authorized {
            look_at_failure(&mut leaks, &format!("{what}, authorization"), &failure);
        }
    }
    leaks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_the_host_that_says_what_it_knows_or_panics_teaches_nobody_a_secret() {
    collect_panics();
    let lab = lab().await;
    let rows = METHODS
        .iter()
        .flat_map(|wrong| INSTEAD.map(|instead| (*wrong, instead)));
    // At once: a record that can't be saved is tried for seconds.
    let rows = rows.map(|(wrong, instead)| with_a_store_that_is_wrong(&lab, wrong, instead));
    let mut all = Leaks::default();
    for leaks in join_all(rows).await {
        all.looked_at += leaks.looked_at;
        all.found.extend(leaks.found);
    }
    for said in PANICS.lock().unwrap().iter() {
        all.look_at("the output of a panic", said);
    }
    all.assert_none();
}
