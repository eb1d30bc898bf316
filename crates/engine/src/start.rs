//! The start of one server, from its configuration to a client or a verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_startup_config::{HttpConfig, ServerConfig, ServerEntry, StdioConfig, TransportConfig};
use mcp_startup_core::{RequestTarget, StartPhase, StartupFailure, Transport, judge};
use rmcp::RoleClient;
use rmcp::model::PaginatedRequestParams;
use rmcp::service::Peer;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::authorization::{self, Authorization, look_for_authorization};
use crate::findings::Findings;
use crate::handshake::{Service, shake_hands};
use crate::http::McpHttp;
use crate::means::{Means, milliseconds};
use crate::stdio::{Program, lend};
use crate::stored::read_stored;

/// How long closing a server may take: ending its session over HTTP.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How long a server may take to list its tools.
const TOOLS_LIMIT: Duration = Duration::from_secs(2);
/// A server may page its tools for ever.
const MAX_TOOL_PAGES: usize = 20;

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
