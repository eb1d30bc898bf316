//! The evidence of one start, while the engine collects it.
//!
//! Every part of a start records its observations here. Foreign text is masked and bounded before it is kept. The collector never
//! judges: `judge` in the core crate does.

use rmcp::model::ErrorData;
use rmcp::service::ServiceError;
use secrecy::ExposeSecret;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::authorization::ObservedRecord;
use crate::configuration_warnings;
use crate::event::Update;
use crate::start::timeline_recorder::TimelineRecorder;
use crate::timeline::{StartTimeline, TimelineStep};
use crate::transport::held_results::OpenCalls;
use crate::transport::progress::ProgressFeed;
use mcp_startup_auth::network::BlockedRequest;
use mcp_startup_auth::{Discovery, Mask, RequestLog, StoreError};
use mcp_startup_config::EntryProblem;
use mcp_startup_core::{
    ConfigurationEvidence, DiscoveryOutcome, DiscoveryProblem, Evidence, RequestEvidence,
    StartPhase, StoreEvidence, error_chain, json_rpc_error_text, printable,
};

/// The maximum length of the excerpt of an answer that is not an MCP message, in characters.
const SAMPLE_CHARS: usize = 200;
/// The maximum length of the excerpt of a web page, in characters. Its title follows other elements.
const PAGE_CHARS: usize = 1000;
/// The maximum length of a URL, in characters.
const URL_CHARS: usize = 500;
/// The maximum length of an error together with its causes, in characters.
const CAUSE_CHARS: usize = 1000;
/// The maximum length of the problem with a field, in characters.
const PROBLEM_CHARS: usize = 300;
/// The maximum length of the description of a refusal, in characters.
const DESCRIPTION_CHARS: usize = 300;
/// The maximum length of the method of a request of the server, in characters.
const METHOD_CHARS: usize = 60;
/// The maximum length of the name of a store, in characters.
const STORE_CHARS: usize = 40;

/// Collects the evidence of the start of one server. All tasks of the start share it.
pub(crate) struct EvidenceCollector {
    /// The name of the server.
    pub name: String,
    /// The HTTP requests.
    pub log: RequestLog,
    /// The progress of requests. It is not evidence, and continues after the start.
    pub progress: ProgressFeed,
    /// The calls of the live server.
    pub calls: OpenCalls,
    /// The stored record as this start has last seen it.
    pub known: Arc<ObservedRecord>,
    mask: RwLock<Mask>,
    evidence: Mutex<Evidence>,
    save_error: OnceLock<String>,
    blocked_request: OnceLock<String>,
    /// The method of the last request of the server before its answer to `initialize`.
    early_request: Mutex<Option<String>>,
    send: Box<dyn Fn(Update) + Send + Sync>,
    timeline: Option<Arc<TimelineRecorder>>,
}

impl EvidenceCollector {
    /// `send` receives the updates about the progress of the start.
    pub fn new(name: String, mask: Mask, send: impl Fn(Update) + Send + Sync + 'static) -> Self {
        let evidence = Evidence {
            server: Some(name.clone()),
            ..Evidence::default()
        };
        Self {
            name,
            log: RequestLog::default(),
            progress: ProgressFeed::default(),
            calls: OpenCalls::default(),
            known: Arc::default(),
            mask: RwLock::new(mask),
            evidence: Mutex::new(evidence),
            save_error: OnceLock::new(),
            blocked_request: OnceLock::new(),
            early_request: Mutex::default(),
            send: Box::new(send),
            timeline: None,
        }
    }

    /// Records the timeline too.
    pub fn with_timeline(self) -> Self {
        let timeline = TimelineRecorder::new();
        Self {
            log: RequestLog::with_observer(timeline.clone()),
            timeline: Some(timeline),
            ..self
        }
    }

    /// The recorder of the timeline, if the host asked for it and the start has not ended.
    pub fn timeline(&self) -> Option<&TimelineRecorder> {
        self.timeline
            .as_deref()
            .filter(|timeline| timeline.is_open())
    }

    /// Ends the timeline, and returns it if there is one.
    pub fn end_timeline(&self) -> Option<StartTimeline> {
        let timeline = self.timeline.as_ref()?;
        Some(timeline.end(self))
    }

    pub fn update<T>(&self, update: impl FnOnce(&mut Evidence) -> T) -> T {
        update(&mut self.lock())
    }

    pub fn read<T>(&self, read: impl FnOnce(&Evidence) -> T) -> T {
        read(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Evidence> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds secrets to the mask: from now on they are removed from all foreign text.
    pub fn add_secrets(&self, secrets: impl Iterator<Item = impl AsRef<str>>) {
        let mut mask = self.mask.write().unwrap_or_else(PoisonError::into_inner);
        secrets.for_each(|secret| mask.add(secret.as_ref()));
    }

    /// Adds the secrets that answers have contained since the last call, such as new tokens, to the mask.
    fn add_secrets_from_answers(&self) {
        let secrets = self.log.take_secrets();
        if !secrets.is_empty() {
            self.add_secrets(secrets.iter().map(ExposeSecret::expose_secret));
        }
    }

    /// Masks the secrets in foreign text.
    pub fn mask(&self, text: &str) -> String {
        self.add_secrets_from_answers();
        let mask = self.mask.read().unwrap_or_else(PoisonError::into_inner);
        mask.hide(text)
    }

    /// Masks the secrets in foreign text, removes control characters and cuts it to `max_chars`.
    pub fn sanitize(&self, text: &str, max_chars: usize) -> String {
        self.add_secrets_from_answers();
        let mask = self.mask.read().unwrap_or_else(PoisonError::into_inner);
        mask.foreign(text, max_chars)
    }

    /// Records why the entry of the configuration can't be used.
    pub fn record_entry_problem(&self, problem: &EntryProblem) {
        let problem = self.configuration_evidence(problem);
        self.update(|evidence| evidence.configuration = Some(problem));
    }

    /// Records a problem of the entry whose text has no part of the entry, so that nothing has to be masked.
    pub fn record_own_problem(&self, problem: &EntryProblem) {
        let problem = configuration_warnings::evidence(problem, &Mask::default());
        self.update(|evidence| evidence.configuration = Some(problem));
    }

    /// Records parts of the entry that may be the cause if the start fails.
    pub fn record_warnings(&self, warnings: &[EntryProblem]) {
        let warnings: Vec<_> = warnings
            .iter()
            .map(|warning| self.configuration_evidence(warning))
            .collect();
        self.update(|evidence| evidence.configuration_warnings.extend(warnings));
    }

    /// The output of a program that has exited with an error.
    pub fn stderr_of_exited_program(&self) -> Option<String> {
        self.read(|evidence| {
            let process = evidence.process.as_ref()?;
            let has_failed = process.exit.is_some_and(|code| code != 0);
            process.stderr.clone().filter(|_| has_failed)
        })
    }

    /// Records the probable cause, before all other warnings.
    pub fn record_probable_cause(&self, warning: &EntryProblem) {
        let warning = self.configuration_evidence(warning);
        self.update(|evidence| evidence.configuration_warnings.insert(0, warning));
    }

    /// Masks the secrets in a problem of the configuration.
    pub fn configuration_evidence(&self, problem: &EntryProblem) -> ConfigurationEvidence {
        self.add_secrets_from_answers();
        let mask = self.mask.read().unwrap_or_else(PoisonError::into_inner);
        configuration_warnings::evidence(problem, &mask)
    }

    /// Records why the credential store can't be used. The text may come from a store that the host implements.
    pub fn record_store_error(&self, error: &StoreError) {
        let store = StoreEvidence {
            kind: Some(self.sanitize(&error.store, STORE_CHARS)),
            trouble: Some(error.trouble),
            detail: Some(self.sanitize(&error.detail, CAUSE_CHARS)),
        };
        self.update(|evidence| evidence.store = Some(store));
    }

    /// Records that a store is being read. The evidence names it only if the start ends meanwhile.
    pub fn begin_reading(&self, name: &str) {
        let kind = self.sanitize(name, STORE_CHARS);
        self.update(|evidence| {
            evidence.store.get_or_insert_with(|| StoreEvidence {
                kind: Some(kind),
                ..StoreEvidence::default()
            });
        });
    }

    /// Records that the store has answered.
    pub fn end_reading(&self) {
        self.update(|evidence| evidence.store.take_if(|store| store.trouble.is_none()));
    }

    /// Enters `phase` and reports it.
    pub fn enter(&self, phase: StartPhase) {
        self.update(|evidence| evidence.phase = Some(phase));
        if let Some(timeline) = self.timeline() {
            timeline.record(TimelineStep::Phase { phase });
        }
        let name = self.name.clone();
        (self.send)(Update::Phase { name, phase });
    }

    /// Reports the number of tools.
    pub fn report_tools(&self, count: Option<usize>) {
        let name = self.name.clone();
        (self.send)(Update::Tools { name, count });
    }

    pub fn phase(&self) -> StartPhase {
        self.read(|evidence| evidence.phase)
            .unwrap_or(StartPhase::Configuring)
    }

    /// Why the store could not save a token that this start has refreshed.
    pub fn save_error(&self) -> Option<String> {
        self.save_error.get().cloned()
    }

    /// Records that the store could not save a token that this start has refreshed.
    pub fn record_save_error(&self, error: &StoreError) {
        let _ = self
            .save_error
            .set(self.sanitize(&error.detail, CAUSE_CHARS));
    }

    /// Records an error and its causes as one line. The first error is kept, because it was recorded nearest to the fault.
    pub fn record_error(&self, error: &(dyn std::error::Error + 'static)) {
        let chain = self.sanitize(&error_chain(error), CAUSE_CHARS);
        self.update(|evidence| {
            evidence.cause.get_or_insert(chain);
        });
    }

    /// Records an error of the SDK without the names of its types.
    pub fn record_service_error(&self, error: &ServiceError) {
        match error {
            ServiceError::TransportSend(error) => self.record_error(error.error.as_ref()),
            error => self.record_error(error),
        }
    }

    /// The message of a JSON-RPC error with the reason in its data.
    pub fn error_text(&self, error: &ErrorData, max_chars: usize) -> String {
        let text = json_rpc_error_text(&error.message, error.data.as_ref());
        self.sanitize(&text, max_chars)
    }

    /// Records the JSON-RPC error with which the server answered a request.
    pub fn record_error_answer(&self, method: &str, error: &ErrorData) {
        let message = self.error_text(error, PROBLEM_CHARS);
        let text = format!(
            "the server answered `{method}` with the error {}: {message}",
            error.code.0
        );
        self.record_protocol_error(text, Some(message));
    }

    /// Records an error of the protocol, and its message if the server responded with it to a request.
    pub fn record_protocol_error(&self, error: String, message: Option<String>) {
        self.update(|evidence| {
            let protocol = evidence.protocol.get_or_insert_default();
            (protocol.error, protocol.error_message) = (Some(error), message);
        });
    }

    /// Records that the server has sent a request before it answered `initialize`.
    pub fn record_early_request(&self, method: &str) {
        let method = self.sanitize(method, METHOD_CHARS);
        *self.early_request() = Some(method);
    }

    /// Makes the request that the server has sent before it answered `initialize`, if there was one, the probable reason that the
    /// answer is missing.
    pub fn blame_early_request(&self) {
        if self.phase() != StartPhase::Initializing {
            return;
        }
        if let Some(method) = self.early_request().take() {
            let text = format!("it sent the request `{method}` before it answered `initialize`");
            self.update(|evidence| {
                let protocol = evidence.protocol.get_or_insert_default();
                protocol.error.get_or_insert(text);
            });
        }
    }

    fn early_request(&self) -> MutexGuard<'_, Option<String>> {
        let early = self.early_request.lock();
        early.unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an error that the server has logged before it answered.
    pub fn record_logged_error(&self, data: &serde_json::Value) {
        // The object of a logger has the text in one of its fields.
        let fields = ["message", "msg", "error"];
        let mut fields = fields.iter().filter_map(|name| data.get(name)?.as_str());
        let text = match data.as_str().or_else(|| fields.next()) {
            Some(text) => text.to_owned(),
            None => data.to_string(),
        };
        let text = format!("the server logged: {}", self.sanitize(&text, PROBLEM_CHARS));
        self.record_protocol_error(text, None);
    }

    /// Records what discovery has found out about the authorization server.
    pub fn record_discovery(&self, found: &Discovery) {
        if let Some(blocked) = &found.blocked {
            self.record_blocked_request(blocked);
        }
        if let Some(timeline) = self.timeline() {
            timeline.record(TimelineStep::Discovered {
                outcome: found.evidence.outcome,
                issuer: found.evidence.issuer.clone(),
                problem: found.evidence.problem,
            });
        }
        self.update(|evidence| evidence.discovered = Some(found.evidence.clone()));
    }

    /// Records that requests to the address of the token endpoint are blocked, so the published metadata can't be used.
    pub fn record_blocked_token_endpoint(&self, blocked: &BlockedRequest) {
        self.record_blocked_request(blocked);
        self.update(|evidence| {
            let discovered = evidence.discovered.get_or_insert_default();
            discovered.outcome = Some(DiscoveryOutcome::Unusable);
            discovered.problem = Some(DiscoveryProblem::NoAuthorizationServer);
        });
    }

    fn record_blocked_request(&self, blocked: &BlockedRequest) {
        let text = self.sanitize(&blocked.to_string(), CAUSE_CHARS);
        let _ = self.blocked_request.set(text);
    }

    /// Makes a blocked request, if there was one, the cause of the failure: the server requires authorization, and mcp-startup
    /// must not contact the address that the server publishes for it.
    pub fn blame_blocked_request(&self) {
        if let Some(blocked) = self.blocked_request.get() {
            self.update(|evidence| evidence.cause = Some(blocked.clone()));
        }
    }

    /// Records the beginning of an answer that is not an MCP message.
    pub fn record_non_mcp_output(&self, answer: &[u8]) {
        let max_chars = match matches!(answer.trim_ascii_start().first(), Some(b'<' | b'{')) {
            true => PAGE_CHARS,
            false => SAMPLE_CHARS,
        };
        let beginning = &answer[..answer.len().min(4 * max_chars)];
        let shown = self.sanitize(String::from_utf8_lossy(beginning).trim(), max_chars);
        self.update(|evidence| {
            evidence.protocol.get_or_insert_default().not_mcp = Some(shown);
        });
    }

    /// Records that an event without a name of its own is not a message. Only its beginning is kept.
    pub fn record_foreign_event(&self, data: &str) {
        self.record_non_mcp_output(data.as_bytes());
    }

    /// Records which field of a result, or of a whole message, does not conform to the schema of MCP. The first problem is kept.
    pub fn record_invalid_field(&self, method: &str, problem: &str) {
        let problem = self.sanitize(problem, PROBLEM_CHARS);
        self.update(|evidence| {
            let protocol = evidence.protocol.get_or_insert_default();
            if protocol.invalid_field.is_none() {
                protocol.invalid_method = Some(method.to_owned());
                protocol.invalid_field = Some(problem);
            }
        });
    }

    /// Whether an answer was invalid or not MCP.
    pub fn has_invalid_answer(&self) -> bool {
        self.read(|evidence| {
            let protocol = evidence.protocol.as_ref();
            protocol.is_some_and(|protocol| {
                protocol.invalid_field.is_some() || protocol.not_mcp.is_some()
            })
        })
    }

    /// The evidence collected so far, masked.
    pub fn evidence(&self) -> Evidence {
        self.add_secrets_from_answers();
        let mut evidence = self.lock().clone();
        evidence.requests = self.log.requests();
        evidence.exceeded = self.log.exceeded();
        for request in &mut evidence.requests {
            self.mask_request(request);
        }
        if let Some(found) = &mut evidence.discovered {
            let urls = [
                &mut found.issuer,
                &mut found.expected_issuer,
                &mut found.document,
            ];
            for url in urls.into_iter().flatten() {
                *url = self.mask_url(url);
            }
            if let Some(field) = &mut found.invalid_field {
                *field = self.sanitize(field, PROBLEM_CHARS);
            }
        }
        evidence
    }

    /// Masks the foreign text of a request that is not masked when it is recorded.
    pub fn mask_request(&self, request: &mut RequestEvidence) {
        {
            let mask = self.mask.read().unwrap_or_else(PoisonError::into_inner);
            let foreign = [&mut request.oauth_error, &mut request.retry_after];
            for text in foreign.into_iter().flatten() {
                *text = printable(&mask.hide_whole(text), URL_CHARS);
            }
            if let Some(description) = &mut request.oauth_error_description {
                *description = mask.foreign(description, DESCRIPTION_CHARS);
            }
        }
        if let Some(url) = &mut request.url {
            *url = self.mask_url(url);
        }
    }

    /// Masks the secrets in a URL. A server chooses the URLs of its redirects and documents, and can put a secret into them that it has
    /// received.
    pub fn mask_url(&self, url: &str) -> String {
        let mask = self.mask.read().unwrap_or_else(PoisonError::into_inner);
        printable(&mask.hide_in_url(url), URL_CHARS)
    }
}
