//! The start of one server, from its configuration to a client or a verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mcp_startup_auth::network::Network;
use mcp_startup_auth::{CredentialStores, Mask};
use mcp_startup_config::{
    HttpConfig, InheritedEnvironment, ServerConfig, ServerEntry, StdioConfig, TransportConfig,
};
use mcp_startup_core::{RequestTarget, StartPhase, StartupFailure, Transport, judge};
use rmcp::RoleClient;
use rmcp::model::PaginatedRequestParams;
use rmcp::service::Peer;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::authorization::{self, Authorization, look_for_authorization};
use crate::findings::Findings;
use crate::handshake::{Service, shake_hands};
use crate::header::Lately;
use crate::http::McpHttp;
use crate::sign_in::Finished;
use crate::stdio::{Program, lend};
use crate::stored::read_stored;

/// How long a start may take where neither the caller nor the configuration says: 30 s.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(30);
/// A part of a value that is shorter is no secret.
const SHORTEST_PART: usize = 8;
/// How long closing a server may take: ending its session over HTTP.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How long a server may take to list its tools.
const TOOLS_LIMIT: Duration = Duration::from_secs(2);
/// A server may page its tools for ever.
const MAX_TOOL_PAGES: usize = 20;

/// What every start of one [`Startup`](crate::Startup) shares.
pub(crate) struct Means {
    pub network: Network,
    pub stores: Option<CredentialStores>,
    /// Goes over the limit of the configuration.
    pub limit: Option<Duration>,
    /// For those that read what is stored: each holds the whole file for a moment.
    pub reading: Semaphore,
    /// Owns the refreshes that are under way: they outlive the starts that wanted them.
    pub refreshes: TaskTracker,
    /// What came of the refreshes that a host has asked for.
    pub lately: Lately,
    /// The sign-ins that were finished.
    pub finished: Finished,
    /// The URL of the host's client id metadata document.
    pub client_metadata_url: Option<String>,
}

impl Means {
    /// How long the start of this server may take.
    pub fn limit_of(&self, config: &ServerConfig) -> Duration {
        let limit = self.limit.or(config.startup_timeout);
        limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// Waits for the refreshes that are under way. New ones can be begun all the same.
    pub async fn finish_refreshes(&self) {
        self.refreshes.close();
        self.refreshes.wait().await;
    }
}

/// A server that has been started and is ready: the SDK's client, and the program behind it.
///
/// Dropped, it is closed in the background; [`close`](Self::close) waits for it.
pub struct LiveServer {
    service: Service,
    /// What keeps its requests over HTTP going.
    connection: Option<DropGuard>,
    program: Option<Program>,
}

impl std::fmt::Debug for LiveServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveServer").finish_non_exhaustive()
    }
}

impl LiveServer {
    /// The SDK's handle: lists and calls tools, reads resources, …
    pub fn peer(&self) -> &Peer<RoleClient> {
        self.service.peer()
    }

    /// Ends the session, and the program with all that it started.
    pub async fn close(mut self) {
        // What is still under way must not hold up the end of the session.
        drop(self.connection);
        let _ = self.service.close_with_timeout(CLOSE_LIMIT).await;
        drop(self.service);
        if let Some(program) = self.program {
            program.close().await;
        }
    }

    /// How many tools the server has; `None` where it does not say so in time.
    pub(crate) async fn count_tools(&self) -> Option<usize> {
        let offers_tools = self
            .service
            .peer_info()
            .is_some_and(|info| info.capabilities.tools.is_some());
        if !offers_tools {
            return Some(0);
        }
        let count = async {
            let mut tools = 0;
            let mut cursor = None;
            for _ in 0..MAX_TOOL_PAGES {
                let params = PaginatedRequestParams::default().with_cursor(cursor);
                let page = self.peer().list_tools(Some(params)).await.ok()?;
                tools += page.tools.len();
                cursor = page.next_cursor;
                if cursor.is_none() {
                    return Some(tools);
                }
            }
            None
        };
        tokio::time::timeout(TOOLS_LIMIT, count).await.ok()?
    }
}

/// What a start came to.
pub(crate) enum Outcome {
    Ready(LiveServer),
    /// It failed; the program, if there is one, is still to be ended, which must not delay saying so.
    Failed(Box<StartupFailure>, Option<Program>),
    Cancelled(Option<Program>),
}

/// Everything that this start is given and that may come back from elsewhere.
pub(crate) fn mask(entry: &ServerEntry) -> Mask {
    let mut mask = Mask::default();
    let Ok(config) = &entry.config else {
        return mask;
    };
    let secrets: Vec<&SecretString> = match &config.transport {
        TransportConfig::Stdio(stdio) => {
            for secret in secrets_of_arguments(&stdio.args) {
                add_with_parts(&mut mask, secret);
            }
            for argument in &stdio.args {
                add_parts_of_url(&mut mask, argument);
            }
            if matches!(stdio.inherited, InheritedEnvironment::Everything) {
                for (name, value) in std::env::vars_os() {
                    let value = value.to_string_lossy();
                    match names_a_secret(&name.to_string_lossy()) {
                        true => add_with_parts(&mut mask, &value),
                        false => add_parts_of_url(&mut mask, &value),
                    }
                }
            }
            // The PATH is shown where a program is not on it.
            let env = stdio.env.iter();
            env.filter(|(name, _)| !name.eq_ignore_ascii_case("PATH"))
                .map(|(_, value)| value)
                .collect()
        }
        TransportConfig::Http(http) => {
            for (_, value) in http.url.query_pairs() {
                mask.add(&value);
            }
            for pair in http.url.query().unwrap_or_default().split('&') {
                mask.add(pair.split_once('=').map_or(pair, |(_, value)| value));
            }
            // A proxy is given its password, and may answer in place of the server.
            for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
                for name in [name.to_owned(), name.to_ascii_lowercase()] {
                    if let Some(value) = std::env::var_os(name) {
                        add_parts_of_url(&mut mask, &value.to_string_lossy());
                    }
                }
            }
            let headers = http.headers.iter().map(|header| &header.value);
            let bearer = http.bearer.iter().map(|bearer| &bearer.token);
            headers.chain(bearer).collect()
        }
    };
    let given = config.filled_in.iter().chain(&config.oauth.client_secret);
    for secret in secrets.into_iter().chain(given) {
        add_with_parts(&mut mask, secret.expose_secret());
    }
    mask
}

/// Hides a value, and what a server may say of it alone: the credentials of `Bearer abc`, one of two cookies, a password.
fn add_with_parts(mask: &mut Mask, value: &str) {
    mask.add(value);
    if let Some((scheme, credentials)) = value.trim().split_once(' ') {
        let credentials = credentials.trim();
        mask.add(credentials);
        if scheme.eq_ignore_ascii_case("basic") {
            // RFC 7617, section 2.
            let decoded = BASE64_STANDARD.decode(credentials).unwrap_or_default();
            let decoded = String::from_utf8_lossy(&decoded);
            mask.add(
                decoded
                    .split_once(':')
                    .map_or(&*decoded, |(_, password)| password),
            );
        }
    }
    let parts = value.split([';', ',', '&', ' ']);
    let values = parts.filter_map(|part| Some(part.split_once('=')?.1));
    values
        .filter(|value| value.len() >= SHORTEST_PART)
        .for_each(|value| mask.add(value));
    add_parts_of_url(mask, value);
}

/// Hides the password of a URL, and the values in its query that are called secrets.
fn add_parts_of_url(mask: &mut Mask, value: &str) {
    let Some(url) = value
        .contains("://")
        .then(|| Url::parse(value).ok())
        .flatten()
    else {
        return;
    };
    if let Some(password) = url.password() {
        mask.add(password);
        mask.add(&percent_decoded(password));
    }
    for (name, value) in url.query_pairs() {
        if names_a_secret(&name) {
            mask.add(&value);
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let as_pair = format!("x={}", text.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(as_pair.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// The values of arguments that are called secrets: `--api-key=VALUE`, `--api-key VALUE`, `API_KEY=VALUE`.
fn secrets_of_arguments(arguments: &[String]) -> impl Iterator<Item = &str> {
    let following = arguments.iter().zip(arguments.iter().skip(1));
    let separate = following
        .filter(|(flag, _)| flag.starts_with('-') && !flag.contains('=') && names_a_secret(flag))
        .map(|(_, value)| value.as_str());
    let joined = arguments
        .iter()
        .filter_map(|argument| argument.split_once('='))
        .filter(|(name, _)| names_a_secret(name))
        .map(|(_, value)| value);
    // `--header "Authorization: Bearer abc"`
    let headers = arguments
        .iter()
        .filter_map(|argument| argument.split_once(": "))
        .filter(|(name, _)| names_a_secret(name))
        .map(|(_, value)| value);
    separate.chain(joined).chain(headers)
}

/// Whether a flag or a variable is called a secret. A program inherits much, and most of it is harmless.
fn names_a_secret(name: &str) -> bool {
    const WORDS: [&str; 10] = [
        "key",
        "token",
        "secret",
        "passw",
        "passphrase",
        "pwd",
        "credential",
        "auth",
        "bearer",
        "cookie",
    ];
    let name = name.to_ascii_lowercase();
    // The folder that a shell was in, and where it was before.
    let is_folder = matches!(name.as_str(), "pwd" | "oldpwd");
    !is_folder && WORDS.iter().any(|word| name.contains(word))
}

/// Starts one server. Nothing of it is left when the future is dropped.
pub(crate) async fn start(
    entry: &ServerEntry,
    means: &Means,
    findings: Arc<Findings>,
    live: bool,
    cancellation: &CancellationToken,
) -> Outcome {
    let began = Instant::now();
    findings.enter(StartPhase::Configuring);
    let config = match &entry.config {
        Ok(config) => config,
        Err(problem) => {
            findings.misconfigured(problem);
            return Outcome::Failed(Box::new(judge(findings.evidence())), None);
        }
    };
    let limit = means.limit_of(config);
    findings.note(|evidence| evidence.limit_ms = Some(milliseconds(limit)));
    let mut attempt = Attempt {
        config,
        means,
        findings: findings.clone(),
        live,
        connection: None,
        program: None,
        answered: false,
    };
    let ended = tokio::select! {
        biased;
        () = cancellation.cancelled() => return Outcome::Cancelled(attempt.program),
        ended = tokio::time::timeout(limit, attempt.run()) => ended,
    };
    let elapsed = match &ended {
        // A start that failed by itself in the last moment was not ended by the limit.
        Ok(_) => began
            .elapsed()
            .min(limit.saturating_sub(Duration::from_millis(1))),
        Err(_) => began.elapsed().max(limit),
    };
    findings.note(|evidence| evidence.elapsed_ms = Some(milliseconds(elapsed)));
    let failed_by_itself = ended.is_ok();
    if let Some(service) = ended.ok().flatten() {
        return Outcome::Ready(LiveServer {
            service,
            connection: attempt.connection,
            program: attempt.program,
        });
    }
    let mut program = attempt.program;
    if let Some(program) = &mut program {
        if failed_by_itself && !attempt.answered {
            program.find_end(&findings).await;
        }
        program.note_stderr(&findings);
    }
    Outcome::Failed(Box::new(judge(findings.evidence())), program)
}

/// One start under its limit: what outlives a time-out stands in its fields.
struct Attempt<'a> {
    config: &'a ServerConfig,
    means: &'a Means,
    findings: Arc<Findings>,
    live: bool,
    connection: Option<DropGuard>,
    program: Option<Program>,
    /// The server has answered the handshake by an error: there is no need to ask what became of it.
    answered: bool,
}

impl Attempt<'_> {
    /// The service, where the server is ready; why not, stands in the findings.
    async fn run(&mut self) -> Option<Service> {
        match &self.config.transport {
            TransportConfig::Stdio(stdio) => self.run_program(stdio).await,
            TransportConfig::Http(http) => self.run_http(http).await,
        }
    }

    async fn run_program(&mut self, config: &StdioConfig) -> Option<Service> {
        let findings = self.findings.clone();
        findings.note(|evidence| evidence.transport = Some(Transport::Stdio));
        findings.enter(StartPhase::Launching);
        let program =
            self.program
                .insert(Program::launch(self.config, config, self.live, &findings)?);
        findings.enter(StartPhase::Initializing);
        let connections = program.connections();
        let handshake = shake_hands(|| lend(&connections), || false, &findings);
        let shaken = tokio::select! {
            biased;
            shaken = handshake => shaken,
            // What it started may hold its output open, and keep us waiting.
            () = program.exited() => return None,
        };
        match shaken {
            Ok(service) => {
                program.answered();
                Some(service)
            }
            Err(error) => {
                self.answered = error.note(&findings);
                None
            }
        }
    }

    async fn run_http(&mut self, config: &HttpConfig) -> Option<Service> {
        let findings = self.findings.clone();
        findings.note(|evidence| evidence.transport = Some(Transport::Http));
        let authorization = match authorization::configured(config) {
            Some((token, name)) => {
                findings.note(|evidence| {
                    evidence.credential = Some(authorization::configuration_evidence(name));
                });
                Authorization::configured(token)
            }
            None => match read_stored(self.config, config, self.means, &findings).await {
                Some(stored) => stored.authorization().await,
                None => Authorization::none(),
            },
        };
        let client = self.means.network.to_servers().clone();
        let (http, guard) =
            McpHttp::open(client, config, authorization, findings.clone(), self.live);
        self.connection = Some(guard);
        findings.enter(StartPhase::Initializing);
        let connect = || {
            let transport = StreamableHttpClientTransportConfig::with_uri(config.url.as_str());
            Some(StreamableHttpClientTransport::with_client(
                http.clone(),
                transport,
            ))
        };
        match shake_hands(connect, || http.refused_initialize(), &findings).await {
            Ok(service) => {
                http.answered();
                Some(service)
            }
            Err(error) => {
                if !error.note(&findings) {
                    note_no_mcp(&findings);
                }
                if findings.log.last_status(RequestTarget::Mcp) == Some(401) {
                    let challenge = http.challenge();
                    let (network, challenge) = (&self.means.network, challenge.as_deref());
                    look_for_authorization(network, config, challenge, &findings).await;
                }
                None
            }
        }
    }
}

/// A good status, a whole answer, and still no handshake: whatever it was, it was no MCP.
fn note_no_mcp(findings: &Findings) {
    let answered_well = findings.log.last(RequestTarget::Mcp).is_some_and(|last| {
        last.io.is_none()
            && last
                .status
                .is_some_and(|status| (200..300).contains(&status))
    });
    if answered_well {
        findings.note(|evidence| {
            let protocol = evidence.protocol.get_or_insert_default();
            protocol.not_mcp.get_or_insert_default();
        });
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
