//! The rows: what a scenario's servers do, what is stored for the client, and what must come out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::LabError;

/// The rows that this crate carries, by what decides them.
const EMBEDDED: [&str; 6] = [
    include_str!("../atlas/served.json"),
    include_str!("../atlas/stored.json"),
    include_str!("../atlas/refresh.json"),
    include_str!("../atlas/discovery.json"),
    include_str!("../atlas/answers.json"),
    include_str!("../atlas/programs.json"),
];

/// The rows that this crate carries: the atlas, in the order of its files.
///
/// ```
/// let names: Vec<_> = mcp_startup_lab::scenarios().iter().map(|row| row.name.as_str()).collect();
/// assert!(names.contains(&"expired-no-refresh"));
/// ```
pub fn scenarios() -> &'static [Scenario] {
    // A test holds the embedded file to be valid, so the default is never seen.
    static ROWS: LazyLock<Vec<Scenario>> = LazyLock::new(|| embedded().unwrap_or_default());
    &ROWS
}

fn embedded() -> Result<Vec<Scenario>, LabError> {
    let mut rows = Vec::new();
    for file in EMBEDDED {
        rows.extend(serde_json::from_str::<Vec<Scenario>>(file)?);
    }
    check(&rows)?;
    Ok(rows)
}

/// Reads rows of your own, in the format of the files in this crate's folder `atlas`: an array of objects, each a [`Scenario`].
///
/// ```
/// let rows = mcp_startup_lab::parse_scenarios(r#"[{
///     "name": "teapot",
///     "about": "The server answers everything with 418.",
///     "mcp": { "respond": [{ "reply": { "status": 418, "body": { "text": "short and stout" } } }] },
///     "expect": { "state": "failed", "kind": "serverError", "recovery": "none" }
/// }]"#)?;
/// assert_eq!(rows[0].name, "teapot");
///
/// let typo = mcp_startup_lab::parse_scenarios(r#"[{ "name": "x", "abuot": "" }]"#);
/// assert!(typo.unwrap_err().to_string().contains("abuot"));
/// # Ok::<(), mcp_startup_lab::LabError>(())
/// ```
///
/// # Errors
///
/// [`LabError::Rows`] if the text is not such an array, [`LabError::Row`] if a row contradicts itself.
pub fn parse_scenarios(json: &str) -> Result<Vec<Scenario>, LabError> {
    let rows: Vec<Scenario> = serde_json::from_str(json)?;
    check(&rows)?;
    Ok(rows)
}

/// Refuses rows that could not be served as they are written.
pub(crate) fn check(rows: &[Scenario]) -> Result<(), LabError> {
    let mut names = BTreeSet::new();
    for row in rows {
        let refuse = |reason: String| LabError::Row {
            name: row.name.clone(),
            reason,
        };
        if !names.insert(&row.name) {
            return Err(refuse("another row has this name".into()));
        }
        row.check().map_err(refuse)?;
    }
    Ok(())
}

/// One row: a server that behaves in one way, what a client holds for it, and what a start must come to.
///
/// Texts of replies and of what is stored may hold placeholders, filled in when they are served: `{base}`
/// (`http://127.0.0.1:PORT`), `{elsewhere}` (the same server under another origin), `{resource}` (the URL of the MCP
/// endpoint), `{prm}` (the URL of its protected-resource metadata) and `{issuer}`.
///
/// ```
/// let row = &mcp_startup_lab::scenarios()[0];
/// assert_eq!((row.name.as_str(), row.expect.state.as_str()), ("ready", "ready"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// Lower-case letters, digits and hyphens: it is a segment of the scenario's URLs.
    pub name: String,
    /// One sentence for a person.
    pub about: String,
    /// The rule, or the section of an RFC, by which that must come out which is expected.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// The MCP endpoint; a row has either this or `stdio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<McpEndpoint>,
    /// The program on stdin and stdout; a row has either this or `mcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdio: Option<StdioBehaviour>,
    /// The discovery documents.
    #[serde(default)]
    pub discovery: Discovery,
    /// The token endpoint.
    #[serde(default)]
    pub token: TokenEndpoint,
    /// How a user signs in.
    #[serde(default)]
    pub authorization: Authorization,
    /// Further pages, by their path beneath `/NAME`: a login page, a document that moved.
    #[serde(default)]
    pub pages: BTreeMap<String, Reply>,
    /// The credential record that the client holds.
    #[serde(default)]
    pub stored: Option<StoredCredential>,
    /// The authorization that the client's configuration carries.
    #[serde(default)]
    pub configured: Option<ConfiguredAuthorization>,
    /// The limit that the client's configuration sets, where the row needs a short one.
    #[serde(default)]
    pub startup_timeout_sec: Option<u64>,
    /// What must come out.
    pub expect: Expectation,
}

impl Scenario {
    /// The value of this row's record in Codex's credential file, or `None` if nothing is stored.
    ///
    /// `base` is the lab's [`base_url`](crate::Lab::base_url); `now_ms` is the Unix time that a relative expiry counts from.
    ///
    /// ```
    /// let rows = mcp_startup_lab::scenarios();
    /// let row = rows.iter().find(|row| row.name == "expired-no-refresh").unwrap();
    /// let record = row.stored_record("http://127.0.0.1:9", 10_000_000).unwrap();
    /// assert_eq!(record["server_url"], "http://127.0.0.1:9/expired-no-refresh/mcp");
    /// assert_eq!(record["expires_at"], 10_000_000 - 3_600_000);
    /// ```
    pub fn stored_record(&self, base: &str, now_ms: i64) -> Option<Value> {
        let stored = self.stored.as_ref()?;
        let places = Places::new(base, &self.name);
        let fill = |text: &Option<String>| text.as_deref().map(|text| places.fill(text));
        let mut record = Map::new();
        record.insert("server_name".into(), json!(self.name));
        record.insert(
            "server_url".into(),
            json!(fill(&stored.server_url).unwrap_or_else(|| places.resource.clone())),
        );
        record.insert("issuer".into(), json!(fill(&stored.issuer)));
        let optional = [
            ("client_id", fill(&stored.client_id)),
            ("client_secret", stored.client_secret.clone()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                record.insert(name.into(), json!(value));
            }
        }
        record.insert("access_token".into(), json!(stored.access_token));
        let expires_at = match (&stored.expires_at, stored.expires_in_seconds) {
            (Some(written), _) => written.clone(),
            (None, Some(seconds)) => json!(after(now_ms, seconds)),
            (None, None) => Value::Null,
        };
        record.insert("expires_at".into(), expires_at);
        record.insert("refresh_token".into(), json!(stored.refresh_token));
        record.insert("scopes".into(), json!(stored.scopes));
        Some(record.into())
    }

    /// What must be stored once the start is over, when it began at `now_ms`: what was there, with the changes that are
    /// expected. `None` if nothing is.
    ///
    /// ```
    /// let rows = mcp_startup_lab::scenarios();
    /// let row = rows.iter().find(|row| row.name == "expired-refreshes").unwrap();
    /// let record = row.expected_record("http://127.0.0.1:9", 10_000_000).unwrap();
    /// assert_eq!(record["access_token"], "fresh-token-1");
    /// assert_eq!(record["expires_at"], 10_000_000 + 3_600_000);
    /// ```
    pub fn expected_record(&self, base: &str, now_ms: i64) -> Option<Value> {
        let mut record = self.stored_record(base, now_ms)?;
        if let Some(renewed) = &self.expect.stored {
            record["access_token"] = json!(renewed.access_token);
            record["refresh_token"] = json!(renewed.refresh_token);
            let expires_in = renewed.expires_in_seconds;
            record["expires_at"] = json!(expires_in.map(|seconds| after(now_ms, seconds)));
            if let Some(scopes) = &renewed.scopes {
                record["scopes"] = json!(scopes);
            }
        }
        Some(record)
    }

    fn check(&self) -> Result<(), String> {
        let allowed = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-');
        if self.name.is_empty() || !self.name.chars().all(allowed) {
            return Err("a name has lower-case letters, digits and hyphens only".into());
        }
        if self.mcp.is_some() == self.stdio.is_some() {
            return Err("a row has either `mcp` or `stdio`".into());
        }
        if let Some(stdio) = &self.stdio
            && stdio.first.contains(&Step::Answer)
        {
            return Err("`first` has no request to answer".into());
        }
        if let Some(path) = self.pages.keys().find(|path| !path.starts_with('/')) {
            return Err(format!("the page `{path}` does not begin with `/`"));
        }
        self.replies().try_for_each(Reply::check)
    }

    fn replies(&self) -> impl Iterator<Item = &Reply> {
        let mcp = self.mcp.iter();
        mcp.flat_map(|mcp| mcp.unauthorized.iter().chain(replies(&mcp.respond)))
            .chain(&self.discovery.protected_resource)
            .chain(&self.discovery.authorization_server)
            .chain(replies(&self.token.respond))
            .chain(&self.authorization.register)
            .chain(replies(&self.authorization.revoke))
            .chain(self.pages.values())
    }
}

/// So many seconds after a Unix time in ms.
fn after(now_ms: i64, seconds: i64) -> i64 {
    now_ms.saturating_add(seconds.saturating_mul(1000))
}

/// Rows as a user's `config.toml`, the credentials in the file beside it. `base` is the lab's
/// [`base_url`](crate::Lab::base_url); `program` and the arguments that stand in it are called with `lab --stdio NAME` after them
/// for the rows that are programs.
///
/// ```
/// let text = mcp_startup_lab::config_toml(mcp_startup_lab::scenarios(), "http://127.0.0.1:9", &["mcp-startup"]);
/// assert!(text.contains("[mcp_servers.\"ready\"]\nurl = \"http://127.0.0.1:9/ready/mcp\"\n"));
/// ```
pub fn config_toml<'a>(
    rows: impl IntoIterator<Item = &'a Scenario>,
    base: &str,
    program: &[impl AsRef<str>],
) -> String {
    let mut text = String::from("mcp_oauth_credentials_store = \"file\"\n");
    // A string of JSON is a basic string of TOML. Writing to a string does not fail.
    let quoted = |value: &str| Value::from(value).to_string();
    for row in rows {
        let name = quoted(&row.name);
        let _ = writeln!(text, "\n[mcp_servers.{name}]");
        let _ = match row.stdio {
            Some(_) => {
                let mut words = program.iter().map(|word| quoted(word.as_ref()));
                let command = words.next().unwrap_or_else(|| quoted(""));
                let own: String = words.map(|word| word + ", ").collect();
                writeln!(
                    text,
                    "command = {command}\nargs = [{own}\"lab\", \"--stdio\", {name}]",
                )
            }
            None => writeln!(
                text,
                "url = {}",
                quoted(&Places::new(base, &row.name).resource)
            ),
        };
        if let Some(seconds) = row.startup_timeout_sec {
            let _ = writeln!(text, "startup_timeout_sec = {seconds}");
        }
        let Some(configured) = &row.configured else {
            continue;
        };
        let bearer = configured.bearer.iter();
        let bearer = bearer.map(|token| ("Authorization", format!("Bearer {token}")));
        let header = configured.header.iter();
        let header = header.map(|header| (header.name.as_str(), header.value.clone()));
        let headers: Vec<_> = bearer
            .chain(header)
            .map(|(name, value)| format!("{} = {}", quoted(name), quoted(&value)))
            .collect();
        if !headers.is_empty() {
            let _ = writeln!(text, "http_headers = {{ {} }}", headers.join(", "));
        }
        let client = [
            ("client_id", &configured.client_id),
            ("client_secret", &configured.client_secret),
        ];
        let client: Vec<_> = client
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key} = {}", quoted(value.as_deref()?))))
            .collect();
        if !client.is_empty() {
            let _ = writeln!(text, "oauth = {{ {} }}", client.join(", "));
        }
    }
    text
}

fn replies(rules: &[Rule]) -> impl Iterator<Item = &Reply> {
    rules.iter().map(|rule| &rule.reply)
}

/// What a scenario's MCP endpoint does. Everything that is left out is what a good legacy server without authorization does.
///
/// ```
/// let rows = mcp_startup_lab::scenarios();
/// let row = rows.iter().find(|row| row.name == "ready-sse").unwrap();
/// assert!(row.mcp.as_ref().unwrap().sse);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct McpEndpoint {
    /// Which generation of the protocol it speaks.
    pub era: Era,
    /// The one protocol version that it names and accepts, in place of its era's.
    pub protocol_version: Option<String>,
    /// How many tools it lists.
    pub tools: u32,
    /// Whether it answers as `text/event-stream` rather than `application/json`.
    pub sse: bool,
    /// The `Mcp-Session-Id` that goes with the answer to `initialize`.
    pub session_id: Option<String>,
    /// Who is served.
    pub serves: Serves,
    /// What everyone else gets, in place of a 401 with a challenge that names the protected-resource metadata.
    pub unauthorized: Option<Reply>,
    /// The first rule that matches a request answers it, before anything above is looked at.
    pub respond: Vec<Rule>,
}

impl Default for McpEndpoint {
    fn default() -> Self {
        Self {
            era: Era::default(),
            protocol_version: None,
            tools: 1,
            sse: false,
            session_id: None,
            serves: Serves::Open,
            unauthorized: None,
            respond: Vec::new(),
        }
    }
}

/// A generation of MCP.
///
/// ```
/// use mcp_startup_lab::Era;
/// assert_eq!(serde_json::from_str::<Era>(r#""modern""#).unwrap(), Era::Modern);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Era {
    /// `initialize`, up to 2025-11-25; `server/discover` is an unknown method.
    #[default]
    Legacy,
    /// `server/discover`, 2026-07-28; `initialize` is an unknown method.
    Modern,
    /// Either, as the client asks.
    Both,
}

/// Whom an MCP endpoint serves.
///
/// ```
/// use mcp_startup_lab::Serves;
/// let row = serde_json::from_str::<Serves>(r#"{ "tokens": ["good-token"] }"#).unwrap();
/// assert_eq!(row, Serves::Tokens(vec!["good-token".into()]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Serves {
    /// Everyone, with any token or none.
    Open,
    /// Those who send one of these, or one that the token endpoint has granted, as a bearer token.
    Tokens(Vec<String>),
}

/// A reply for the requests that match.
///
/// ```
/// let rule: mcp_startup_lab::Rule = serde_json::from_str(
///     r#"{ "when": { "token": "any" }, "times": 1, "reply": { "status": 503 } }"#,
/// ).unwrap();
/// assert_eq!(rule.times, Some(1));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Which requests; all of them if left out.
    #[serde(default)]
    pub when: When,
    /// How often the rule answers before it no longer matches; always if left out.
    #[serde(default)]
    pub times: Option<u32>,
    /// The reply.
    pub reply: Reply,
}

/// What a request must have for a rule to match; a field that is left out matches every request.
///
/// ```
/// let when = mcp_startup_lab::When { method: Some("initialize".into()), ..Default::default() };
/// assert_eq!(when.token, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct When {
    /// `none`, `any` (any token, but one) or a token: the bearer token at the MCP endpoint, the refresh token at the token endpoint,
    /// the token that is to be revoked.
    pub token: Option<String>,
    /// The JSON-RPC method at the MCP endpoint, the grant type at the token endpoint.
    pub method: Option<String>,
    /// The path beneath `/NAME`, to tell `/mcp` from `/mcp/`.
    pub path: Option<String>,
}

impl When {
    pub(crate) fn matches(&self, token: Option<&str>, method: Option<&str>, path: &str) -> bool {
        let token_matches = match self.token.as_deref() {
            None => true,
            Some("none") => token.is_none(),
            Some("any") => token.is_some(),
            exactly => token == exactly,
        };
        let method_matches = self.method.is_none() || self.method.as_deref() == method;
        let path_matches = self.path.as_deref().is_none_or(|wanted| wanted == path);
        token_matches && method_matches && path_matches
    }
}

/// An HTTP reply, or the absence of one.
///
/// ```
/// let reply: mcp_startup_lab::Reply = serde_json::from_str(
///     r#"{ "status": 429, "headers": { "Retry-After": "30" }, "body": { "text": "slow down" } }"#,
/// ).unwrap();
/// assert_eq!(reply.status, Some(429));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Reply {
    /// The status; left out, 200, or 307 for a redirect.
    pub status: Option<u16>,
    /// Headers, besides the content type.
    pub headers: BTreeMap<String, String>,
    /// The content type, in place of the one that goes with the body.
    pub content_type: Option<String>,
    /// The body.
    pub body: Body,
    /// Where to, as the `Location` header.
    pub redirect: Option<String>,
    /// How long the reply is held back.
    pub delay_ms: u64,
    /// Whether the request is never answered.
    pub hang: bool,
    /// Whether the connection is closed without an answer.
    pub close: bool,
}

impl Reply {
    fn check(&self) -> Result<(), String> {
        if let Some(status) = self.status
            && (status < 200 || StatusCode::from_u16(status).is_err())
        {
            return Err(format!("{status} is not the status of a reply"));
        }
        let texts = self.headers.values();
        for value in texts.chain(&self.content_type).chain(&self.redirect) {
            HeaderValue::from_str(value).map_err(|_| format!("`{value}` cannot be a header"))?;
        }
        for name in self.headers.keys() {
            let name_of_header = HeaderName::from_bytes(name.as_bytes());
            name_of_header.map_err(|_| format!("`{name}` cannot be a header's name"))?;
        }
        Ok(())
    }
}

/// The body of a reply.
///
/// ```
/// use mcp_startup_lab::Body;
/// let body: Body = serde_json::from_str(r#"{ "bytes": 1000000000 }"#).unwrap();
/// assert_eq!(body, Body::Bytes(1_000_000_000));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// Text, as `text/plain`.
    Text(String),
    /// JSON, as `application/json`.
    Json(Value),
    /// A form, as `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, String>),
    /// One JSON string of so many bytes, made as it is sent and without a `Content-Length`.
    Bytes(u64),
    /// A JSON string that goes on and on, a letter every tenth of a second (comments, with the content type `text/event-stream`).
    Endless,
}

/// The discovery documents of a scenario; what is left out is published as a good server does.
///
/// ```
/// let rows = mcp_startup_lab::scenarios();
/// let row = rows.iter().find(|row| row.name == "discovery-500").unwrap();
/// assert_eq!(row.discovery.protected_resource.as_ref().unwrap().status, Some(500));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Discovery {
    /// In place of the protected-resource metadata (RFC 9728).
    pub protected_resource: Option<Reply>,
    /// In place of the authorization server's metadata (RFC 8414, and OpenID Connect Discovery).
    pub authorization_server: Option<Reply>,
    /// Fields of the protected-resource metadata, in place of a good server's; null takes one out.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub protected_resource_fields: Map<String, Value>,
    /// Fields of the authorization server's metadata, in place of a good one's; null takes one out.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub authorization_server_fields: Map<String, Value>,
}

/// What a scenario's token endpoint does. Left out, it grants `fresh-token-1`, `fresh-token-2`, … for `good-refresh`, each good
/// for an hour at the MCP endpoint.
///
/// ```
/// let token = mcp_startup_lab::TokenEndpoint::default();
/// assert_eq!(token.accepts, ["good-refresh"]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TokenEndpoint {
    /// The refresh tokens that are good at the start.
    pub accepts: Vec<String>,
    /// Whether each refresh gives a new refresh token (`fresh-refresh-1`, …). A used one that comes again then revokes
    /// every token that was granted.
    pub rotates: bool,
    /// `expires_in` of a granted token; null leaves it out.
    pub expires_in: Option<i64>,
    /// The first rule that matches a request answers it, before anything above is looked at. A token that such a reply
    /// grants is good at the MCP endpoint only if `serves` lists it.
    pub respond: Vec<Rule>,
}

impl Default for TokenEndpoint {
    fn default() -> Self {
        Self {
            accepts: vec!["good-refresh".into()],
            rotates: false,
            expires_in: Some(3600),
            respond: Vec::new(),
        }
    }
}

/// How a user signs in at a scenario's authorization server: by an authorization code with PKCE (RFC 6749, section 4.1; RFC 7636).
/// Whoever comes to it consents at once.
///
/// Left out, it registers every client as `client-1`, which is public, and knows the client of
/// [`configured`](Scenario::configured). It answers with a code (and with `iss`, where its metadata says so), and exchanges that for a
/// token and a refresh token (`fresh-refresh-1`, …), for the scopes that were asked for.
///
/// ```
/// let refuses: mcp_startup_lab::Authorization = serde_json::from_str(
///     r#"{ "answer": { "error": "access_denied", "error_description": "Not today." } }"#,
/// ).unwrap();
/// assert_eq!(refuses.answer["error"].as_deref(), Some("access_denied"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Authorization {
    /// The resource that it grants tokens for (RFC 8707); left out, the one that the protected-resource metadata names.
    pub resource: Option<String>,
    /// Parameters of the answer to the user's browser, in place of a good one's; null leaves one out. With an `error` there is no
    /// code.
    pub answer: BTreeMap<String, Option<String>>,
    /// Fields of the registration's answer (RFC 7591), in place of a good one's; null takes one out. The client must come with a
    /// `client_secret` that stands here, in the way that `token_endpoint_auth_method` says.
    pub registered: Map<String, Value>,
    /// In place of the registration's answer.
    pub register: Option<Reply>,
    /// The first rule that matches answers a revocation (RFC 7009), and nothing is revoked then; by `token`, the token that is to be
    /// revoked.
    pub revoke: Vec<Rule>,
}

/// What is stored for the client, in the row's words; [`Scenario::stored_record`] gives the record.
///
/// ```
/// let rows = mcp_startup_lab::scenarios();
/// let row = rows.iter().find(|row| row.name == "ready-unknown-expiry").unwrap();
/// assert_eq!(row.stored.as_ref().unwrap().expires_in_seconds, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StoredCredential {
    /// The URL that the record is for; left out, the scenario's own.
    pub server_url: Option<String>,
    /// The issuer, usually `{issuer}`; null for a record that names none.
    pub issuer: Option<String>,
    /// The client; left out, the record has no such field.
    pub client_id: Option<String>,
    /// The secret of that client; left out, the record has no such field.
    pub client_secret: Option<String>,
    /// The access token, possibly blank.
    pub access_token: Option<String>,
    /// When the access token expires, counted from now; null for a record that does not say.
    pub expires_in_seconds: Option<i64>,
    /// `expires_at` as it stands in the record, in place of `expiresInSeconds`: for what no clock gives.
    pub expires_at: Option<Value>,
    /// The refresh token, possibly blank.
    pub refresh_token: Option<String>,
    /// The scopes.
    pub scopes: Vec<String>,
}

/// The authorization that a client's configuration carries.
///
/// ```
/// let rows = mcp_startup_lab::scenarios();
/// let row = rows.iter().find(|row| row.name == "bearer-rejected").unwrap();
/// assert_eq!(row.configured.as_ref().unwrap().bearer.as_deref(), Some("wrong-token"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ConfiguredAuthorization {
    /// A bearer token.
    pub bearer: Option<String>,
    /// Any other header.
    pub header: Option<ConfiguredHeader>,
    /// The OAuth client.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<String>,
}

/// A header that a client's configuration carries.
///
/// ```
/// let json = r#"{ "name": "X-Api-Key", "value": "good-key" }"#;
/// assert_eq!(serde_json::from_str::<mcp_startup_lab::ConfiguredHeader>(json).unwrap().name, "X-Api-Key");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfiguredHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What a start must come to, in the words of the wire.
///
/// ```
/// let rows = mcp_startup_lab::scenarios();
/// let row = rows.iter().find(|row| row.name == "first-sign-in").unwrap();
/// assert_eq!(row.expect.recovery.as_deref(), Some("signIn"));
/// assert_eq!(row.expect.reason, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// `ready` or `failed`.
    pub state: String,
    /// The kind of the failure.
    #[serde(default)]
    pub kind: Option<String>,
    /// The failure reason of the notification.
    #[serde(default)]
    pub reason: Option<String>,
    /// What a person can do.
    #[serde(default)]
    pub recovery: Option<String>,
    /// The tokens that came to the MCP endpoint, in order, repetitions folded: what [`Lab::tokens_sent`](crate::Lab::tokens_sent)
    /// must say. Left out, the row does not care.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_sent: Option<Vec<String>>,
    /// The refresh tokens that came to the token endpoint, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refresh_tokens_sent: Vec<String>,
    /// Whether a discovery document was asked for. Left out, the row does not care.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovers: Option<bool>,
    /// What of the stored record has changed when the start is over. Left out, nothing has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<RenewedCredential>,
}

/// What a refresh leaves in the stored record.
///
/// ```
/// let json = r#"{ "accessToken": "fresh-token-1", "refreshToken": "good-refresh", "expiresInSeconds": null }"#;
/// assert_eq!(serde_json::from_str::<mcp_startup_lab::RenewedCredential>(json).unwrap().expires_in_seconds, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenewedCredential {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// When the access token expires, counted from when it was granted; null for a record that does not say.
    pub expires_in_seconds: Option<i64>,
    /// The scopes, where they have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

/// What a scenario's program does on its stdin and stdout. Left out, what a good legacy server does.
///
/// ```
/// use mcp_startup_lab::{Step, StdioBehaviour};
/// let behaviour: StdioBehaviour = serde_json::from_str(
///     r#"{ "on": { "initialize": [{ "stderr": "out of luck\n" }, { "exit": 3 }] } }"#,
/// ).unwrap();
/// assert_eq!(behaviour.on["initialize"][1], Step::Exit(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StdioBehaviour {
    /// Which generation of the protocol it speaks.
    pub era: Era,
    /// The one protocol version that it names and accepts, in place of its era's.
    pub protocol_version: Option<String>,
    /// How many tools it lists.
    pub tools: u32,
    /// What it does before it reads anything.
    pub first: Vec<Step>,
    /// What it does at a message with this method, in place of answering it. No steps: it stays silent.
    pub on: BTreeMap<String, Vec<Step>>,
    /// What it does at a request that its era does not have; `["answer"]` is the error -32601.
    pub on_unknown_method: Vec<Step>,
}

impl Default for StdioBehaviour {
    fn default() -> Self {
        Self {
            era: Era::default(),
            protocol_version: None,
            tools: 1,
            first: Vec::new(),
            on: BTreeMap::new(),
            on_unknown_method: vec![Step::Answer],
        }
    }
}

/// One thing that a program does.
///
/// ```
/// use mcp_startup_lab::Step;
/// let steps: Vec<Step> = serde_json::from_str(r#"[{ "waitMs": 50 }, "answer"]"#).unwrap();
/// assert_eq!(steps, [Step::WaitMs(50), Step::Answer]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Answers the request as its era does.
    Answer,
    /// Waits so many milliseconds.
    WaitMs(u64),
    /// Writes to stderr.
    Stderr(String),
    /// Writes a line to stdout.
    Line(String),
    /// Writes so many bytes to stdout, in lines that are no JSON.
    JunkBytes(u64),
    /// Writes to stdout for ever, without a line's end.
    EndlessLine,
    /// Ends with this exit code.
    Exit(u8),
}

/// The URLs of one scenario, which its placeholders stand for.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) base: String,
    pub(crate) elsewhere: String,
    pub(crate) resource: String,
    pub(crate) prm: String,
    pub(crate) issuer: String,
}

impl Places {
    pub(crate) fn new(base: &str, name: &str) -> Self {
        Self {
            base: base.to_owned(),
            elsewhere: base.replace("127.0.0.1", "localhost"),
            resource: format!("{base}/{name}/mcp"),
            prm: format!("{base}/.well-known/oauth-protected-resource/{name}/mcp"),
            issuer: format!("{base}/{name}"),
        }
    }

    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("{base}", &self.base)
            .replace("{elsewhere}", &self.elsewhere)
            .replace("{resource}", &self.resource)
            .replace("{prm}", &self.prm)
            .replace("{issuer}", &self.issuer)
    }

    /// `document` with these fields in place of its own; null takes one out.
    pub(crate) fn put_in(&self, document: &mut Value, fields: &Map<String, Value>) {
        let Value::Object(document) = document else {
            return;
        };
        for (name, value) in fields {
            match value {
                Value::Null => document.remove(name),
                value => document.insert(name.clone(), self.fill_json(value)),
            };
        }
    }

    /// Fills every text within.
    pub(crate) fn fill_json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.fill(text).into(),
            Value::Array(items) => items.iter().map(|item| self.fill_json(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| (key.clone(), self.fill_json(value)))
                .collect(),
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_rows_are_valid() {
        let rows = embedded().unwrap();
        assert!(rows.len() >= 90, "{} rows", rows.len());
        assert_eq!(rows.len(), scenarios().len());
        for row in rows {
            assert!(!row.because.is_empty(), "{} has no source", row.name);
            assert!(
                row.stdio.is_some() || row.expect.tokens_sent.is_some(),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn a_row_survives_being_written_and_read() {
        let json = serde_json::to_string(scenarios()).unwrap();
        assert_eq!(parse_scenarios(&json).unwrap(), scenarios());
    }

    #[test]
    fn every_placeholder_resolves() {
        let places = Places::new("http://127.0.0.1:9", "name");
        let filled = places.fill_json(&serde_json::to_value(scenarios()).unwrap());
        let filled = serde_json::to_string(&filled).unwrap();
        for (at, _) in filled.match_indices('{') {
            let rest = &filled[at + 1..];
            let word = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
            let left = rest.len() > word.len() && word.starts_with('}');
            assert!(!left, "unresolved: {{{}", &rest[..40.min(rest.len())]);
        }
    }

    /// The design's table: a kind has these recoveries, and only one kind has a reason on the wire.
    #[test]
    fn what_is_expected_is_in_the_words_of_the_contract() {
        let recoveries = |kind: &str| -> &[&str] {
            match kind {
                "invalidConfiguration"
                | "programNotFound"
                | "credentialRejected"
                | "credentialRequired"
                | "unsupportedProtocol"
                | "notMcp" => &["fixConfiguration"],
                "credentialStoreUnavailable" => &["fixCredentialStore"],
                "insufficientScope" => &["grantScope"],
                "accessDenied" | "authorizationMisconfigured" | "exited" | "other" => &["none"],
                "reauthenticationRequired" => &["reauthenticate"],
                "authorizationUnavailable" | "unreachable" | "timedOut" => &["retry"],
                "signInRequired" => &["signIn"],
                "serverError" => &["retry", "none"],
                unknown => panic!("no such kind: {unknown}"),
            }
        };
        for row in scenarios() {
            let Expectation {
                state,
                kind,
                reason,
                recovery,
                ..
            } = &row.expect;
            let name = &row.name;
            match (state.as_str(), kind, recovery) {
                ("ready", None, None) => assert_eq!(reason, &None, "{name}"),
                ("failed", Some(kind), Some(recovery)) => {
                    assert!(recoveries(kind).contains(&recovery.as_str()), "{name}");
                    let wanted = (kind == "reauthenticationRequired").then(|| kind.clone());
                    assert_eq!(reason, &wanted, "{name}");
                    assert!(reason.is_none() || row.stored.is_some(), "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_row_that_contradicts_itself_is_refused_by_name() {
        let refused = |json: &str| parse_scenarios(json).unwrap_err().to_string();
        let expect = r#""about": "", "expect": { "state": "ready" }"#;
        for (row, reason) in [
            (r#""name": "a""#, "either `mcp` or `stdio`"),
            (
                r#""name": "a", "mcp": {}, "stdio": {}"#,
                "either `mcp` or `stdio`",
            ),
            (r#""name": "A/b", "mcp": {}"#, "lower-case letters"),
            (
                r#""name": "a", "stdio": { "first": ["answer"] }"#,
                "no request to answer",
            ),
            (
                r#""name": "a", "mcp": {}, "pages": { "login": {} }"#,
                "begin with `/`",
            ),
            (
                r#""name": "a", "mcp": { "unauthorized": { "status": 99 } }"#,
                "99 is not",
            ),
            (
                r#""name": "a", "mcp": { "unauthorized": { "headers": { "a b": "" } } }"#,
                "header's name",
            ),
            (
                r#""name": "a", "mcp": { "unauthorized": { "redirect": "\n" } }"#,
                "cannot be a header",
            ),
        ] {
            let message = refused(&format!("[{{ {row}, {expect} }}]"));
            assert!(message.contains(reason), "{row}: {message}");
        }
        let row = format!(r#"{{ "name": "twin", "mcp": {{}}, {expect} }}"#);
        assert!(refused(&format!("[{row}, {row}]")).contains("`twin`"));
    }

    #[test]
    fn a_record_has_the_fields_of_codex() {
        let mut row = scenarios()[0].clone();
        row.stored = Some(StoredCredential {
            issuer: Some("{issuer}".into()),
            client_id: Some("client-1".into()),
            access_token: Some("good-token".into()),
            expires_in_seconds: Some(60),
            scopes: vec!["mcp:tools".into()],
            ..StoredCredential::default()
        });
        let base = "http://127.0.0.1:9";
        let wanted = json!({
            "server_name": "ready",
            "server_url": "http://127.0.0.1:9/ready/mcp",
            "issuer": "http://127.0.0.1:9/ready",
            "client_id": "client-1",
            "access_token": "good-token",
            "expires_at": 61_000,
            "refresh_token": null,
            "scopes": ["mcp:tools"],
        });
        assert_eq!(row.stored_record(base, 1000), Some(wanted));

        let stored = row.stored.as_mut().unwrap();
        stored.client_id = None;
        stored.expires_at = Some(json!("soon"));
        let record = row.stored_record(base, 1000).unwrap();
        assert_eq!(
            (record.get("client_id"), &record["expires_at"]),
            (None, &json!("soon"))
        );

        row.stored = None;
        assert_eq!(row.stored_record(base, 1000), None);
    }
}
