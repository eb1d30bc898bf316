//! MCP servers and an OAuth authorization server on loopback that fail on demand.
//!
//! What they do is data: a [`Scenario`] is a row of the folder `atlas` that says how the MCP endpoint, the discovery documents
//! and the token endpoint answer, what is stored for the client, and what a start must come to. [`Lab`] serves the rows, each
//! under a URL of its own; [`serve_stdio`] is the half on stdin and stdout. Every token in the rows is fake and public.
//!
//! | URL | what |
//! | --- | --- |
//! | `/` | all rows, as JSON |
//! | `/NAME/mcp` | the MCP endpoint of a row |
//! | `/NAME/requests` | what came to the row's servers, as JSON |
//! | `/.well-known/oauth-protected-resource/NAME/mcp` | RFC 9728 |
//! | `/.well-known/oauth-authorization-server/NAME` | RFC 8414, for the issuer `/NAME`; also as OpenID configuration |
//! | `/NAME/authorize` | where a user signs in, who consents at once (RFC 6749, section 4.1) |
//! | `/NAME/token`, `/NAME/register`, `/NAME/revoke` | the rest of the authorization server |
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), mcp_startup_lab::LabError> {
//! let lab = mcp_startup_lab::Lab::start(0).await?;
//! for row in lab.scenarios() {
//!     println!("{}: {} {}", row.name, lab.url(&row.name), row.about);
//! }
//! lab.stop().await;
//! # Ok(())
//! # }
//! ```

mod authorization_server;
mod mcp_endpoint;
mod protocol;
mod reply;
mod scenario;
mod served;
mod stdio_server;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use url::form_urlencoded;

pub use scenario::{
    Authorization, Body, ConfiguredAuthorization, ConfiguredHeader, Discovery, Era, Expectation,
    McpEndpoint, RenewedCredential, Reply, Rule, Scenario, Serves, StdioBehaviour, Step,
    StoredCredential, TokenEndpoint, When, config_toml, parse_scenarios, scenarios,
};
pub use served::{RecordedRequest, Target};
pub use stdio_server::serve_stdio;

use served::Served;

/// No client of a lab sends more than this.
const LARGEST_REQUEST: usize = 1024 * 1024;

/// The parameters that are kept of what comes to the authorization server: none of them is a secret.
const PARAMETERS_KEPT: [&str; 9] = [
    "client_id",
    "code_challenge_method",
    "grant_type",
    "prompt",
    "redirect_uri",
    "resource",
    "response_type",
    "scope",
    "token_type_hint",
];

/// Why a lab does not start.
///
/// ```
/// let error = mcp_startup_lab::parse_scenarios("[{}]").unwrap_err();
/// assert!(matches!(error, mcp_startup_lab::LabError::Rows(_)));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The port is taken, or may not be listened at.
    #[error(
        "the lab cannot listen at 127.0.0.1:{port}: {source}; choose another port, or 0 for a free one"
    )]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The rows are not in the format of this crate.
    #[error("the scenarios cannot be read: {0}")]
    Rows(#[from] serde_json::Error),
    /// A row contradicts itself or another.
    #[error("the scenario `{name}` cannot be served: {reason}")]
    Row {
        /// The row.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A running lab. It serves until it is stopped or dropped; then its port is free and every connection is closed.
///
/// It has a thread and a runtime of its own, so a client under test neither slows it nor keeps it alive.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
/// let lab = mcp_startup_lab::Lab::start(0).await?;
/// assert!(lab.url("ready").ends_with("/ready/mcp"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Lab {
    address: SocketAddr,
    served: Arc<ServedRows>,
    stop: Option<oneshot::Sender<()>>,
    ended: watch::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct ServedRows {
    rows: Vec<Scenario>,
    base: String,
    by_name: BTreeMap<String, Served>,
}

impl Lab {
    /// Serves the embedded rows at this port of 127.0.0.1; at any free one for 0.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert_eq!(lab.scenarios(), mcp_startup_lab::scenarios());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LabError::Listen`] if the port cannot be listened at.
    pub async fn start(port: u16) -> Result<Self, LabError> {
        Self::start_with(scenarios().to_vec(), port).await
    }

    /// Serves these rows.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let mut row = mcp_startup_lab::scenarios()[0].clone();
    /// row.name = "mine".into();
    /// let lab = mcp_startup_lab::Lab::start_with(vec![row], 0).await?;
    /// assert!(lab.url("mine").ends_with("/mine/mcp"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LabError::Row`] if a row contradicts itself, [`LabError::Listen`] if the port cannot be listened at.
    pub async fn start_with(rows: Vec<Scenario>, port: u16) -> Result<Self, LabError> {
        scenario::check(&rows)?;
        let refused = |source| LabError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let base = format!("http://{address}");
        let served = |row: &Scenario| (row.name.clone(), Served::new(row.clone(), &base));
        let by_name = rows.iter().map(served).collect();
        let served = Arc::new(ServedRows {
            rows,
            base,
            by_name,
        });

        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&served));
        let (stop, stopped) = oneshot::channel();
        let (ended_in, ended) = watch::channel(());
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().map_err(refused)?;
        let serving = async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            tokio::select! {
                _ = stopped => {}
                _ = axum::serve(listener, router) => {}
            }
        };
        let thread = thread::Builder::new().name("mcp-startup-lab".into());
        let thread = thread.spawn(move || {
            runtime.block_on(serving);
            // With the runtime end the connections, those that hang included.
            drop(runtime);
            drop(ended_in);
        });
        Ok(Self {
            address,
            served,
            stop: Some(stop),
            ended,
            thread: Some(thread.map_err(refused)?),
        })
    }

    /// `http://127.0.0.1:PORT`, without a slash at its end.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert_eq!(lab.base_url(), format!("http://{}", lab.address()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn base_url(&self) -> String {
        self.served.base.clone()
    }

    /// Where it listens.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// assert!(mcp_startup_lab::Lab::start(0).await?.address().ip().is_loopback());
    /// # Ok(())
    /// # }
    /// ```
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a scenario's MCP endpoint, as a client's configuration has it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert_eq!(lab.url("ready"), format!("{}/ready/mcp", lab.base_url()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn url(&self, scenario: &str) -> String {
        format!("{}/{scenario}/mcp", self.served.base)
    }

    /// The rows that are served.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert!(lab.scenarios().len() >= 24);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scenarios(&self) -> &[Scenario] {
        &self.served.rows
    }

    /// The last 1,000 requests that came to a scenario's servers, the oldest first; none for a name that is not served.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert_eq!(lab.requests("ready"), []);
    /// # Ok(())
    /// # }
    /// ```
    pub fn requests(&self, scenario: &str) -> Vec<RecordedRequest> {
        let served = self.served.by_name.get(scenario);
        served.map(Served::requests).unwrap_or_default()
    }

    /// The tokens that came to a scenario's MCP endpoint with JSON-RPC messages, in order, repetitions folded: what
    /// [`Expectation::tokens_sent`] is compared with.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// assert!(lab.tokens_sent("ready").is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn tokens_sent(&self, scenario: &str) -> Vec<String> {
        let requests = self.requests(scenario).into_iter();
        let messages =
            requests.filter(|request| request.to == Target::Mcp && request.method == "POST");
        let mut tokens: Vec<String> = messages.map(|request| request.token).collect();
        tokens.dedup();
        tokens
    }

    /// Waits until it ends; that is for ever, unless the system ends it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let mut lab = mcp_startup_lab::Lab::start(0).await?;
    /// let moment = std::time::Duration::from_millis(20);
    /// assert!(tokio::time::timeout(moment, lab.wait()).await.is_err(), "it still serves");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait(&mut self) {
        while self.ended.changed().await.is_ok() {}
    }

    /// Stops it, and returns when it has stopped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_startup_lab::LabError> {
    /// let lab = mcp_startup_lab::Lab::start(0).await?;
    /// let address = lab.address();
    /// lab.stop().await;
    /// assert!(std::net::TcpStream::connect(address).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stop(mut self) {
        self.stop.take();
        self.wait().await;
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It waits for nothing but its own connections to be closed, which is a matter of microseconds.
            let _ = thread.join();
        }
    }
}

/// What a path stands for, within a scenario.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Mcp,
    ProtectedResource,
    AuthorizationServer,
    NoDocument,
    Authorize,
    Token,
    Register,
    Revoke,
    Requests,
    Page,
}

impl Place {
    fn target(&self) -> Target {
        match self {
            Self::Mcp => Target::Mcp,
            Self::ProtectedResource | Self::AuthorizationServer | Self::NoDocument => {
                Target::Discovery
            }
            Self::Token => Target::Token,
            Self::Authorize | Self::Register | Self::Revoke | Self::Requests | Self::Page => {
                Target::Other
            }
        }
    }
}

/// The scenario's name, the path beneath it, and the place.
fn locate(path: &str) -> (&str, &str, Place) {
    if let Some(document) = path.strip_prefix("/.well-known/") {
        let (document, rest) = split(document);
        let (name, beneath) = split(rest);
        let place = match (document, beneath) {
            ("oauth-protected-resource", "/mcp") => Place::ProtectedResource,
            ("oauth-authorization-server" | "openid-configuration", "") => {
                Place::AuthorizationServer
            }
            _ => Place::NoDocument,
        };
        return (name, beneath, place);
    }
    let (name, beneath) = split(path);
    let place = match beneath {
        "/mcp" | "/mcp/" => Place::Mcp,
        "/.well-known/openid-configuration" => Place::AuthorizationServer,
        "/authorize" => Place::Authorize,
        "/token" => Place::Token,
        "/register" => Place::Register,
        "/revoke" => Place::Revoke,
        "/requests" => Place::Requests,
        _ if beneath.starts_with("/.well-known/") => Place::NoDocument,
        _ => Place::Page,
    };
    (name, beneath, place)
}

/// The first segment of a path, and the rest, which is empty or begins with `/`.
fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_at(path.find('/').unwrap_or(path.len()))
}

async fn answer(State(lab): State<Arc<ServedRows>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if path == "/" {
        return reply::json(StatusCode::OK, &listing(&lab));
    }
    let (name, beneath, place) = locate(path);
    let Some(served) = lab.by_name.get(name) else {
        let text = format!(
            "There is no scenario `{name}`; {}/ lists those there are.",
            lab.base
        );
        return reply::json(StatusCode::NOT_FOUND, &json!({ "error": text }));
    };
    if place == Place::Requests {
        return match serde_json::to_value(served.requests()) {
            Ok(requests) => reply::json(StatusCode::OK, &requests),
            Err(_) => reply::respond(StatusCode::INTERNAL_SERVER_ERROR, ""),
        };
    }
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return reply::respond(StatusCode::PAYLOAD_TOO_LARGE, "");
    };
    let message: Option<Value> = serde_json::from_slice(&body).ok();
    let fields: &[u8] = match place {
        Place::Token | Place::Revoke => &body,
        Place::Authorize => parts.uri.query().unwrap_or_default().as_bytes(),
        _ => b"",
    };
    let form: BTreeMap<String, String> = form_urlencoded::parse(fields).into_owned().collect();
    let token = match place {
        Place::Token => form.get("refresh_token").cloned(),
        Place::Revoke => form.get("token").cloned(),
        _ => bearer(&parts.headers),
    };
    let rpc_method = message
        .as_ref()
        .filter(|_| place == Place::Mcp)
        .and_then(protocol::method);
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let kept = form
        .iter()
        .filter(|(name, _)| PARAMETERS_KEPT.contains(&name.as_str()));
    let record = RecordedRequest {
        to: place.target(),
        method: parts.method.to_string(),
        host: host.map(str::to_owned),
        path: path.to_owned(),
        rpc_method: rpc_method.map(str::to_owned),
        token: String::new(),
        parameters: kept
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    };
    served.record(record, token.as_deref());

    let post = parts.method == Method::POST;
    match (place, &served.scenario.mcp) {
        (Place::Mcp, Some(mcp)) => {
            let asked = mcp_endpoint::Asked {
                http_method: &parts.method,
                path: beneath,
                token: token.as_deref(),
                message: message.as_ref(),
            };
            mcp_endpoint::answer(served, mcp, asked).await
        }
        (Place::ProtectedResource, Some(_)) => {
            authorization_server::protected_resource(served).await
        }
        (Place::AuthorizationServer, Some(_)) => authorization_server::metadata(served).await,
        (Place::Authorize, Some(_)) if parts.method == Method::GET => {
            authorization_server::authorize(served, &form)
        }
        (Place::Token, Some(_)) if post => {
            authorization_server::token(served, &form, &parts.headers).await
        }
        (Place::Register, Some(_)) if post => authorization_server::register(served, message).await,
        (Place::Revoke, Some(_)) if post => {
            authorization_server::revoke(served, &form, &parts.headers).await
        }
        _ => match served.scenario.pages.get(beneath) {
            Some(page) => reply::send(page, &served.places).await,
            None => {
                let text = format!(
                    "The scenario `{name}` has nothing at {} {path}.",
                    parts.method
                );
                reply::json(StatusCode::NOT_FOUND, &json!({ "error": text }))
            }
        },
    }
}

/// The token of the `Authorization` header: all of it, if it is of another scheme.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(AUTHORIZATION)?.as_bytes());
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ if value.eq_ignore_ascii_case("bearer") => "",
        _ => &value,
    };
    Some(token.to_owned())
}

/// What `/` shows: enough to test any client by URL.
fn listing(lab: &ServedRows) -> Value {
    let served = |row: &Scenario| {
        let places = scenario::Places::new(&lab.base, &row.name);
        json!({
            "name": row.name,
            "about": row.about,
            "because": row.because,
            "url": row.mcp.as_ref().map(|_| &places.resource),
            "stdio": row.stdio,
            "stored": places.fill_json(&json!(row.stored)),
            "configured": row.configured,
            "startupTimeoutSec": row.startup_timeout_sec,
            "expect": row.expect,
        })
    };
    lab.rows.iter().map(served).collect()
}
