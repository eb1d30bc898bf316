//! The start of one server: from its configuration to a connected client or a verdict.
//!
//! This module connects the parts of a start: authorization, transport, handshake and evidence. It never decides why a start failed.

mod container_input;
pub(crate) mod evidence_collector;
mod handshake;
mod known_eras;
mod live_server;
pub(crate) mod masked_command;
pub(crate) mod masked_secrets;
mod named_variables;
pub(crate) mod timeline_recorder;
mod tool_list;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_startup_config::{
    HttpConfig, HttpSseUse, ProtocolEra, ServerConfig, ServerEntry, StdioConfig, TransportConfig,
};
use mcp_startup_core::{
    IoTrouble, RequestTarget, StartPhase, StartupFailure, StartupWarning, StartupWarningKind,
    Transport, judge, refuses_credential, warn,
};
use rmcp::service::ServiceError;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use self::evidence_collector::EvidenceCollector;
use self::handshake::{HandshakeError, Service, discover, handshake, handshake_over_http_sse};
pub(crate) use self::known_eras::KnownEras;
pub use self::live_server::LiveServer;
use self::tool_list::Tools;
use self::tool_list::count_tools;
use crate::authorization::{
    Authorization, blame_configured_key, client_settings, look_for_authorization, problem_of_value,
};
use crate::shared_context::{SharedContext, milliseconds};
use crate::transport::checked_results::CheckedResults;
use crate::transport::early_tool_list::EarlyToolList;
use crate::transport::http::McpHttp;
use crate::transport::server_requests::LimitedServerRequests;
use crate::transport::stdio::{Program, lend};

/// How long a program that has refused the handshake may take to exit, so that it is launched again for the new era.
const RELAUNCH_GRACE: Duration = Duration::from_millis(300);
/// How long a program that was launched again may take for the handshake of the new era.
const RELAUNCHED_LIMIT: Duration = Duration::from_secs(5);

/// The result of a start.
pub(crate) enum Outcome {
    /// The server, the number of its tools if it has listed them, and a warning if it can't be fully used.
    Ready(LiveServer, Option<usize>, Option<StartupWarning>),
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
    collector.record_warnings(&entry.warnings);
    let config = match &entry.config {
        Ok(config) => config,
        Err(problem) => {
            collector.record_entry_problem(problem);
            return Outcome::Failed(Box::new(judge(collector.evidence())), None);
        }
    };
    let limit = shared.limit_of(config);
    collector.update(|evidence| {
        evidence.limit_ms = Some(milliseconds(limit));
        evidence.limit_key = shared.limit_key(config).map(str::to_owned);
        evidence.on_command_line = shared.on_command_line.then_some(true);
    });
    let mut attempt = Attempt {
        config,
        shared,
        collector: collector.clone(),
        deadline: began + limit,
        live,
        connection: None,
        program: None,
        answered: false,
        tools: Tools::NotListed,
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
    if !failed_by_itself {
        collector.blame_early_request();
    }
    if let Some(service) = ended.ok().flatten() {
        let server = LiveServer {
            service,
            connection: attempt.connection,
            program: attempt.program,
            progress: collector.progress.clone(),
        };
        let warning = match (attempt.tools.warning(), &server.program) {
            (Some(kind), program) => {
                // It may have the reason.
                if let Some(program) = program {
                    program.record_stderr(&collector);
                }
                Some(kind)
            }
            (None, Some(program)) => program
                .record_text_on_stdout(&collector)
                .then_some(StartupWarningKind::TextOnStdout),
            (None, None) => None,
        };
        let warning = warning.map(|kind| warn(kind, &collector.evidence()));
        // From now on, no limit of the start applies, and no more evidence is recorded.
        collector.log.close();
        return Outcome::Ready(server, attempt.tools.count(), warning);
    }
    let mut program = attempt.program;
    if let Some(program) = &mut program {
        if failed_by_itself && !attempt.answered {
            program.record_end(&collector).await;
        }
        program.record_output(&collector);
    }
    collector.record_warnings(&config.possible_causes);
    collector.record_warnings(container_input::problem(config).as_slice());
    if let Some(output) = collector.stderr_of_exited_program() {
        let problem = named_variables::problem(config, &output);
        collector.record_warnings(problem.as_slice());
    }
    Outcome::Failed(Box::new(judge(collector.evidence())), program)
}

/// The part of a start that the limit can end. Its fields hold the state that must survive a timeout.
struct Attempt<'a> {
    config: &'a ServerConfig,
    shared: &'a SharedContext,
    collector: Arc<EvidenceCollector>,
    deadline: Instant,
    live: bool,
    connection: Option<DropGuard>,
    program: Option<Program>,
    tools: Tools,
    /// The server has answered the handshake with an error or with an invalid message. Then the end of its program is not the cause of the failure.
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
        let launch = || {
            let supervisors = self.shared.supervisors.as_ref();
            Program::launch(self.config, config, supervisors, &collector)
        };
        let era = self.shared.era_of(self.config);
        let is_known_modern = self.is_known_modern(era);
        let lists_early = Self::lists_early(era, is_known_modern);
        let mut program = self.program.insert(launch().await?);
        if lists_early {
            program.list_tools_early();
        }
        collector.enter(StartPhase::Initializing);
        let connect = |program: &Program| {
            let connection = program.connection_slot();
            let collector = collector.clone();
            move || {
                let transport = EarlyToolList::new(lend(&connection)?, lists_early);
                let transport = CheckedResults::new(transport, collector.clone());
                Some(LimitedServerRequests::new(transport, &collector))
            }
        };
        let handshake = handshake(connect(program), None, era, is_known_modern, &collector);
        let mut result = tokio::select! {
            biased;
            result = handshake => result,
            // A child of the program may hold its output open, so the handshake may not notice that the program has exited.
            () = program.exited() => return None,
        };
        if era != ProtocolEra::Legacy
            && let Err(error) = &result
            && error.is_answer()
            && program.has_exited(RELAUNCH_GRACE).await
        {
            // Some servers that support only the new era answer `initialize` with an error and exit.
            let relaunched = launch().await?;
            let discovery = discover(connect(&relaunched)()?, Some(RELAUNCHED_LIMIT), &collector);
            if let Ok(service) = discovery.await {
                program = self.program.insert(relaunched);
                result = Ok(service);
            } else {
                relaunched.end().await;
            }
        }
        let service = match result {
            Ok(service) => service,
            Err(error) => {
                self.answered = error.record(&collector) || collector.has_invalid_answer();
                return None;
            }
        };
        self.shared.eras.remember(self.config, is_modern(&service));
        program.answered();
        collector.enter(StartPhase::ListingTools);
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        let listed = tokio::select! {
            biased;
            listed = count_tools(&service, remaining, &collector) => listed,
            () = program.exited() => return None,
        };
        if program.sent_too_long_a_message() {
            self.tools = Tools::Warned(StartupWarningKind::ToolListTooLong);
            return Some(service);
        }
        match listed {
            Ok(tools) => self.tools = tools,
            // The connection has closed, or the server has exceeded a limit.
            Err(error @ (ServiceError::TransportClosed | ServiceError::TransportSend(_))) => {
                collector.record_service_error(&error);
                return None;
            }
            Err(error) => self.tools = Tools::of_error(&error, &collector),
        }
        Some(service)
    }

    /// Records that HTTP+SSE is the wrong transport for the server: certainly, if a server that is there opens no event stream, and
    /// probably, if its URL does not exist.
    fn record_wrong_transport(&self, error: &HandshakeError) {
        const HINT: &str = "`sse` is the transport of 2024-11-05; for the current one, use `http`";
        let is_no_stream = matches!(error, HandshakeError::NotHttpSse);
        match self.collector.log.last_status(RequestTarget::Mcp) {
            Some(400 | 405 | 406 | 415) if is_no_stream => {
                let problem = "the server does not speak HTTP+SSE; try `http`";
                let problem = self.config.problem("type", problem);
                self.collector.record_entry_problem(&problem);
            }
            Some(400 | 404 | 405 | 410) => {
                let hint = self.config.problem("type", HINT);
                self.collector.record_probable_cause(&hint);
            }
            _ => {}
        }
    }

    fn is_known_modern(&self, era: ProtocolEra) -> bool {
        era == ProtocolEra::Auto && self.shared.eras.is_modern(self.config)
    }

    /// Whether the tools are listed together with the handshake: in the new era, no request has to wait for another one.
    fn lists_early(era: ProtocolEra, is_known_modern: bool) -> bool {
        era == ProtocolEra::Modern || is_known_modern
    }

    async fn run_http(&mut self, config: &HttpConfig) -> Option<Service> {
        let collector = self.collector.clone();
        collector.update(|evidence| evidence.transport = Some(Transport::Http));
        let authorization =
            Authorization::of_start(self.config, config, self.shared, &collector).await;
        let network = self.shared.network.clone();
        let running_starts = self.live.then(|| self.shared.running_starts.clone());
        let (http, guard) = McpHttp::open(
            network,
            config,
            authorization,
            collector.clone(),
            running_starts,
        );
        self.connection = Some(guard);
        collector.enter(StartPhase::Initializing);
        let connect = || {
            let transport = StreamableHttpClientTransportConfig::with_uri(config.url.as_str());
            let transport = StreamableHttpClientTransport::with_client(http.clone(), transport);
            let transport = CheckedResults::new(transport, collector.clone());
            Some(LimitedServerRequests::new(transport, &collector))
        };
        let handshake = async {
            if config.http_sse == HttpSseUse::Always {
                return handshake_over_http_sse(&http, &collector).await;
            }
            let era = self.shared.era_of(self.config);
            let is_known_modern = self.is_known_modern(era);
            if Self::lists_early(era, is_known_modern) {
                http.list_tools_early();
            }
            handshake(connect, Some(&http), era, is_known_modern, &collector).await
        };
        let ready = match handshake.await {
            Ok(service) => {
                self.shared.eras.remember(self.config, is_modern(&service));
                http.answered();
                self.list_tools_over_http(service).await
            }
            Err(error) => {
                if config.http_sse == HttpSseUse::Always {
                    self.record_wrong_transport(&error);
                }
                if !error.record(&collector) {
                    record_non_mcp_answer(&collector);
                }
                None
            }
        };
        match ready {
            Some(service) => {
                http.ready();
                Some(service)
            }
            None => {
                let status = collector.log.last_status(RequestTarget::Mcp);
                if matches!(status, Some(401 | 403))
                    && let Some(parameter) = key_parameter(&config.url)
                {
                    let hint = format!("its parameter `{parameter}` may be the refused key");
                    let hint = self.config.problem("url", hint);
                    collector.record_probable_cause(&hint);
                }
                if status.is_some_and(refuses_credential) {
                    blame_configured_key(config, &collector);
                }
                if status == Some(401)
                    && let Some(problem) = problem_of_value(config)
                {
                    let hint = self.config.entry_problem(problem);
                    collector.record_probable_cause(&hint);
                }
                if status == Some(401) {
                    let challenge = http.challenge();
                    let (network, challenge) = (&self.shared.network, challenge.as_deref());
                    let client = client_settings(&self.config.oauth, self.shared);
                    look_for_authorization(network, config, &client, challenge, &collector).await;
                }
                None
            }
        }
    }
}

/// The name of the parameter of a URL whose value is a key, by its usual names.
fn key_parameter(url: &Url) -> Option<String> {
    const NAMES: [&str; 6] = ["key", "token", "code", "secret", "auth", "password"];
    // A longer name, or one without a value, could be a key itself.
    const MAX_NAME: usize = 24;
    let mut parameters = url
        .query_pairs()
        .filter(|(name, value)| name.len() <= MAX_NAME && !value.is_empty());
    let found = parameters.find(|(name, _)| {
        let name = name.to_ascii_lowercase();
        NAMES.iter().any(|known| name.contains(known))
    });
    found.map(|(name, _)| name.into_owned())
}

impl Attempt<'_> {
    /// Returns the service, unless the answer to the list of tools means that the server is not ready: it requires authorization, it
    /// denies access, its session or its connection is lost, or it has exceeded a limit.
    async fn list_tools_over_http(&mut self, service: Service) -> Option<Service> {
        self.collector.enter(StartPhase::ListingTools);
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        let error = match count_tools(&service, remaining, &self.collector).await {
            Ok(tools) => {
                self.tools = tools;
                // The answer may have exceeded a limit, and the transport has closed.
                self.collector.log.exceeded().is_none().then_some(())?;
                return Some(service);
            }
            Err(error) => error,
        };
        let log = &self.collector.log;
        let last = log.last(RequestTarget::Mcp).unwrap_or_default();
        let is_unusable = matches!(last.status, Some(401 | 403 | 404))
            || matches!(
                last.io,
                Some(
                    IoTrouble::Dns
                        | IoTrouble::Connect
                        | IoTrouble::ProxyRefused
                        | IoTrouble::Tls
                        | IoTrouble::Closed
                )
            )
            || log.exceeded().is_some()
            || matches!(error, ServiceError::TransportClosed);
        if last.io == Some(IoTrouble::TooLarge) {
            self.tools = Tools::Warned(StartupWarningKind::ToolListTooLong);
            return Some(service);
        }
        if last.io == Some(IoTrouble::Timeout) {
            self.tools = Tools::Warned(StartupWarningKind::ToolListTimedOut);
            return Some(service);
        }
        if !is_unusable {
            self.tools = Tools::of_error(&error, &self.collector);
            return Some(service);
        }
        self.collector.record_service_error(&error);
        None
    }
}

/// Whether the server supports only the new era: a start tries the other one first.
fn is_modern(service: &Service) -> bool {
    let info = service.peer_info();
    info.is_some_and(|info| !info.protocol_version.has_initialize())
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
