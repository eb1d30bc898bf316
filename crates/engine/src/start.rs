//! The start of one server: from its configuration to a connected client or a verdict.
//!
//! This module connects the parts of a start: authorization, transport, handshake and evidence. It never decides why a start failed.

pub(crate) mod evidence_collector;
mod handshake;
mod live_server;
pub(crate) mod masked_secrets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_startup_config::{HttpConfig, ServerConfig, ServerEntry, StdioConfig, TransportConfig};
use mcp_startup_core::{RequestTarget, StartPhase, StartupFailure, Transport, judge};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::evidence_collector::EvidenceCollector;
use self::handshake::{Service, handshake};
pub use self::live_server::LiveServer;
use crate::authorization::{self, Authorization, look_for_authorization, read_stored_credential};
use crate::shared_context::{SharedContext, milliseconds};
use crate::transport::http::McpHttp;
use crate::transport::stdio::{Program, lend};

/// The result of a start.
pub(crate) enum Outcome {
    Ready(LiveServer),
    /// The caller must report the failure first and end the program, if there is one, afterwards.
    Failed(Box<StartupFailure>, Option<Program>),
    /// The caller must report this first and end the program, if there is one, afterwards.
    Cancelled(Option<Program>),
}

/// Starts one server. If the future is dropped, its requests and its program end.
pub(crate) async fn start(
    entry: &ServerEntry,
    shared: &SharedContext,
    collector: Arc<EvidenceCollector>,
    live: bool,
    cancellation: &CancellationToken,
) -> Outcome {
    let began = Instant::now();
    collector.enter(StartPhase::Configuring);
    let config = match &entry.config {
        Ok(config) => config,
        Err(problem) => {
            collector.record_entry_problem(problem);
            return Outcome::Failed(Box::new(judge(collector.evidence())), None);
        }
    };
    let limit = shared.limit_of(config);
    collector.update(|evidence| evidence.limit_ms = Some(milliseconds(limit)));
    let mut attempt = Attempt {
        config,
        shared,
        collector: collector.clone(),
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
        // A start that failed just before the limit must not look like one that the limit has ended.
        Ok(_) => began
            .elapsed()
            .min(limit.saturating_sub(Duration::from_millis(1))),
        Err(_) => began.elapsed().max(limit),
    };
    collector.update(|evidence| evidence.elapsed_ms = Some(milliseconds(elapsed)));
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
            program.record_end(&collector).await;
        }
        program.record_stderr(&collector);
    }
    Outcome::Failed(Box::new(judge(collector.evidence())), program)
}

/// The part of a start that the limit can end. Its fields hold the state that must survive a timeout.
struct Attempt<'a> {
    config: &'a ServerConfig,
    shared: &'a SharedContext,
    collector: Arc<EvidenceCollector>,
    live: bool,
    connection: Option<DropGuard>,
    program: Option<Program>,
    /// The server has answered the handshake with an error. Then the end of its program is not the cause of the failure.
    answered: bool,
}

impl Attempt<'_> {
    /// Returns the service if the server is ready. Otherwise the collector has the evidence.
    async fn run(&mut self) -> Option<Service> {
        match &self.config.transport {
            TransportConfig::Stdio(stdio) => self.run_program(stdio).await,
            TransportConfig::Http(http) => self.run_http(http).await,
        }
    }

    async fn run_program(&mut self, config: &StdioConfig) -> Option<Service> {
        let collector = self.collector.clone();
        collector.update(|evidence| evidence.transport = Some(Transport::Stdio));
        collector.enter(StartPhase::Launching);
        let program =
            self.program
                .insert(Program::launch(self.config, config, self.live, &collector)?);
        collector.enter(StartPhase::Initializing);
        let connection = program.connection_slot();
        let handshake = handshake(|| lend(&connection), || false, &collector);
        let result = tokio::select! {
            biased;
            result = handshake => result,
            // A child of the program may hold its output open, so the handshake may not notice that the program has exited.
            () = program.exited() => return None,
        };
        match result {
            Ok(service) => {
                program.answered();
                Some(service)
            }
            Err(error) => {
                self.answered = error.record(&collector);
                None
            }
        }
    }

    async fn run_http(&mut self, config: &HttpConfig) -> Option<Service> {
        let collector = self.collector.clone();
        collector.update(|evidence| evidence.transport = Some(Transport::Http));
        let authorization = match authorization::configured(config) {
            Some((token, name)) => {
                collector.update(|evidence| {
                    evidence.credential = Some(authorization::configuration_evidence(name));
                });
                Authorization::configured(token)
            }
            None => {
                match read_stored_credential(self.config, config, self.shared, &collector).await {
                    Some(stored) => stored.authorization().await,
                    None => Authorization::none(),
                }
            }
        };
        let client = self.shared.network.server_client().clone();
        let (http, guard) =
            McpHttp::open(client, config, authorization, collector.clone(), self.live);
        self.connection = Some(guard);
        collector.enter(StartPhase::Initializing);
        let connect = || {
            let transport = StreamableHttpClientTransportConfig::with_uri(config.url.as_str());
            Some(StreamableHttpClientTransport::with_client(
                http.clone(),
                transport,
            ))
        };
        match handshake(connect, || http.refused_initialize(), &collector).await {
            Ok(service) => {
                http.answered();
                Some(service)
            }
            Err(error) => {
                if !error.record(&collector) {
                    record_non_mcp_answer(&collector);
                }
                if collector.log.last_status(RequestTarget::Mcp) == Some(401) {
                    let challenge = http.challenge();
                    let (network, challenge) = (&self.shared.network, challenge.as_deref());
                    look_for_authorization(network, config, challenge, &collector).await;
                }
                None
            }
        }
    }
}

/// Records that the server does not speak MCP, if the last answer was complete and had a success status.
fn record_non_mcp_answer(collector: &EvidenceCollector) {
    let answered_well = collector.log.last(RequestTarget::Mcp).is_some_and(|last| {
        last.io.is_none()
            && last
                .status
                .is_some_and(|status| (200..300).contains(&status))
    });
    if answered_well {
        collector.update(|evidence| {
            let protocol = evidence.protocol.get_or_insert_default();
            protocol.not_mcp.get_or_insert_default();
        });
    }
}
