//! Records the timeline of one start, if the host asked for it. Without that, there is no recorder.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mcp_startup_auth::network::RequestObserver;
use mcp_startup_core::{CredentialSource, Evidence, RequestEvidence, RequestTarget};
use rmcp::RoleClient;
use rmcp::model::{JsonRpcMessage, RequestId, ServerResult};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use serde_json::Value;

use super::evidence_collector::EvidenceCollector;
use crate::shared_context::milliseconds;
use crate::timeline::{
    StartTimeline, TimelineEntry, TimelineMessage, TimelineMessageKind, TimelineResponse,
    TimelineStep,
};

/// The maximum number of entries.
const MAX_ENTRIES: usize = 200;
/// The maximum number of lines of stderr and of messages that are not part of a handshake. A server can write any number of them, and
/// they must not displace the rest.
const MAX_MINOR_ENTRIES: usize = 100;
/// The maximum number of requests whose method is known when the answer arrives.
const MAX_OPEN_REQUESTS: usize = 100;
/// The maximum length of a text, in characters.
const TEXT_CHARS: usize = 300;
/// The maximum length of the ID of a message, in characters.
const ID_CHARS: usize = 40;
/// The maximum length of a protocol version, in characters.
const VERSION_CHARS: usize = 100;
/// The field with the protocol version of a request since MCP 2026-07-28.
const VERSION_OF_REQUEST: &str = "io.modelcontextprotocol/protocolVersion";

/// The timeline of one start, while it is recorded. All tasks of the start share it.
pub(crate) struct TimelineRecorder {
    began: Instant,
    is_open: AtomicBool,
    recorded: Mutex<Recorded>,
}

#[derive(Default)]
struct Recorded {
    entries: Vec<(u64, Step)>,
    omitted: usize,
    minor: usize,
    /// The methods of the requests of the client that have no answer yet, by the text of their ID.
    open: HashMap<String, String>,
}

/// A step, with foreign text that may not be masked yet.
enum Step {
    Done(TimelineStep),
    Sent {
        number: u64,
        is_reply: bool,
        request: RequestEvidence,
    },
    Received {
        number: u64,
        location: Option<String>,
        request: RequestEvidence,
    },
}

impl fmt::Debug for TimelineRecorder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TimelineRecorder")
            .finish_non_exhaustive()
    }
}

impl TimelineRecorder {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            is_open: AtomicBool::new(true),
            recorded: Mutex::default(),
        })
    }

    /// Whether the start has not ended.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    pub fn record(&self, step: TimelineStep) {
        self.push(Step::Done(step), false);
    }

    /// Records a step of which a server can cause any number.
    pub fn record_minor(&self, step: TimelineStep) {
        self.push(Step::Done(step), true);
    }

    fn push(&self, step: Step, is_minor: bool) {
        if !self.is_open() {
            return;
        }
        let at_ms = milliseconds(self.began.elapsed());
        let mut recorded = self.lock();
        if recorded.entries.len() >= MAX_ENTRIES
            || (is_minor && recorded.minor >= MAX_MINOR_ENTRIES)
        {
            recorded.omitted += 1;
            return;
        }
        recorded.minor += usize::from(is_minor);
        recorded.entries.push((at_ms, step));
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a request carries the answer to a request of the server.
    pub fn is_reply(&self, request: u64) {
        let mut recorded = self.lock();
        let mut sent = recorded.entries.iter_mut().rev();
        let found = sent.find_map(|(_, step)| match step {
            Step::Sent {
                number, is_reply, ..
            } if *number == request => Some(is_reply),
            _ => None,
        });
        if let Some(is_reply) = found {
            *is_reply = true;
        }
    }

    /// Records the URL of a redirect. Call it after the status is noted.
    pub fn redirects(&self, request: u64, to: String) {
        if let Some((location, _)) = response_of(&mut self.lock(), request) {
            *location = Some(to);
        }
    }

    /// Records the credential that the evidence has.
    pub fn record_credential(&self, evidence: &Evidence, headers: Vec<String>) {
        let credential = evidence.credential.clone().unwrap_or_default();
        let store = evidence.store.as_ref();
        self.record(TimelineStep::Credential {
            source: credential.source.unwrap_or(CredentialSource::None),
            name: credential.name,
            headers,
            store_trouble: store.and_then(|store| store.trouble),
        });
    }

    /// Records a message of the client.
    pub fn record_sent(
        &self,
        message: &TxJsonRpcMessage<RoleClient>,
        collector: &EvidenceCollector,
    ) {
        if !self.is_open() {
            return;
        }
        let json = serde_json::to_value(message).unwrap_or_default();
        let method = json["method"].as_str().map(str::to_owned);
        let version = [
            &json["params"]["protocolVersion"],
            &json["params"]["_meta"][VERSION_OF_REQUEST],
        ];
        let id = json.get("id").map(Value::to_string);
        let kind = match message {
            JsonRpcMessage::Request(_) => TimelineMessageKind::Request,
            JsonRpcMessage::Notification(_) => TimelineMessageKind::Notification,
            JsonRpcMessage::Response(_) => TimelineMessageKind::Result,
            JsonRpcMessage::Error(_) => TimelineMessageKind::Error,
        };
        if let (TimelineMessageKind::Request, Some(id), Some(method)) = (kind, &id, &method) {
            let open = &mut self.lock().open;
            if open.len() < MAX_OPEN_REQUESTS {
                open.insert(key(id), method.clone());
            }
        }
        let step = TimelineStep::MessageSent(TimelineMessage {
            kind,
            method,
            // The ID of a reply is the server's.
            id: id.map(|id| collector.sanitize(&id, ID_CHARS)),
            protocol_version: version
                .into_iter()
                .find_map(Value::as_str)
                .map(str::to_owned),
            ..TimelineMessage::default()
        });
        match kind {
            TimelineMessageKind::Request => self.record(step),
            _ => self.record_minor(step),
        }
    }

    /// Records a message of the server.
    pub fn record_received(
        &self,
        message: &RxJsonRpcMessage<RoleClient>,
        collector: &EvidenceCollector,
    ) {
        if !self.is_open() {
            return;
        }
        let text = |text: &str| collector.sanitize(text, TEXT_CHARS);
        let mut found = TimelineMessage::default();
        let id = |id: &RequestId| serde_json::to_string(id).unwrap_or_default();
        match message {
            JsonRpcMessage::Request(request) => {
                let json = serde_json::to_value(&request.request).unwrap_or_default();
                found.method = json["method"].as_str().map(text);
                found.id = Some(id(&request.id));
            }
            JsonRpcMessage::Notification(notification) => {
                found.kind = TimelineMessageKind::Notification;
                let json = serde_json::to_value(&notification.notification).unwrap_or_default();
                found.method = json["method"].as_str().map(text);
            }
            JsonRpcMessage::Response(response) => {
                found.kind = TimelineMessageKind::Result;
                found.id = Some(id(&response.id));
                note_result(&response.result, &mut found, collector);
            }
            JsonRpcMessage::Error(error) => {
                found.kind = TimelineMessageKind::Error;
                found.id = error.id.as_ref().map(id);
                found.error_code = Some(error.error.code.0);
                found.error_message = Some(collector.error_text(&error.error, TEXT_CHARS));
            }
        }
        let is_answer = matches!(
            message,
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_)
        );
        let mut answers_request = false;
        if let (true, Some(id)) = (is_answer, &found.id) {
            found.method = self.lock().open.remove(&key(id));
            answers_request = found.method.is_some();
        }
        found.id = found.id.map(|id| collector.sanitize(&id, ID_CHARS));
        let step = TimelineStep::MessageReceived(found);
        match answers_request {
            true => self.record(step),
            false => self.record_minor(step),
        }
    }

    /// Ends the recording and returns the timeline, with all secrets masked that the start has learned.
    pub fn end(&self, collector: &EvidenceCollector) -> StartTimeline {
        self.is_open.store(false, Ordering::Relaxed);
        let recorded = std::mem::take(&mut *self.lock());
        let entries = recorded
            .entries
            .into_iter()
            .map(|(at_ms, step)| TimelineEntry {
                at_ms,
                step: finish(step, collector),
            });
        StartTimeline {
            entries: entries.collect(),
            omitted: recorded.omitted,
        }
    }
}

/// The text of an ID for comparison. Some servers answer with the text of a number.
fn key(id: &str) -> String {
    id.trim_matches('"').to_owned()
}

fn note_result(result: &ServerResult, found: &mut TimelineMessage, collector: &EvidenceCollector) {
    let version = |text: &str| collector.sanitize(text, VERSION_CHARS);
    match result {
        ServerResult::InitializeResult(result) => {
            found.protocol_version = Some(version(result.protocol_version.as_str()));
            let server = &result.server_info;
            let server = format!("{} {}", server.name, server.version);
            found.server = Some(collector.sanitize(&server, TEXT_CHARS));
        }
        ServerResult::DiscoverResult(result) => {
            let versions = result.supported_versions.iter().take(10);
            let versions: Vec<&str> = versions.map(|version| version.as_str()).collect();
            found.protocol_version = Some(version(&versions.join(", ")));
        }
        ServerResult::ListToolsResult(result) => found.tools = Some(result.tools.len()),
        _ => {}
    }
}

/// The entry of the response to a request.
fn response_of(
    recorded: &mut Recorded,
    request: u64,
) -> Option<(&mut Option<String>, &mut RequestEvidence)> {
    let mut entries = recorded.entries.iter_mut().rev();
    entries.find_map(|(_, step)| match step {
        Step::Received {
            number,
            location,
            request: evidence,
        } if *number == request => Some((location, evidence)),
        _ => None,
    })
}

impl RequestObserver for TimelineRecorder {
    fn sent(&self, number: u64, request: &RequestEvidence) {
        // A stream that the client keeps open has no recipient in the evidence.
        if request.to.is_some() {
            let step = Step::Sent {
                number,
                is_reply: false,
                request: request.clone(),
            };
            self.push(step, false);
        }
    }

    fn noted(&self, number: u64, request: &RequestEvidence) {
        if !self.is_open() || request.to.is_none() {
            return;
        }
        let mut had_io = None;
        let is_new = match response_of(&mut self.lock(), number) {
            Some((_, noted)) => {
                had_io = noted.io;
                noted.clone_from(request);
                false
            }
            None => request.status.is_some(),
        };
        if is_new {
            let step = Step::Received {
                number,
                location: None,
                request: request.clone(),
            };
            self.push(step, false);
        }
        if let Some(io) = request.io.filter(|io| had_io != Some(*io)) {
            self.record(TimelineStep::RequestFailed {
                request: number,
                io,
                certificate: request.certificate,
            });
        }
    }

    fn not_sent(&self, number: u64) {
        self.record(TimelineStep::RequestBlocked { request: number });
    }
}

/// Masks the foreign text of a step.
fn finish(step: Step, collector: &EvidenceCollector) -> TimelineStep {
    let text = |text: String| collector.sanitize(&text, TEXT_CHARS);
    match step {
        Step::Sent {
            number,
            is_reply,
            mut request,
        } => {
            collector.mask_request(&mut request);
            let is_get = match request.to {
                Some(RequestTarget::Mcp) => request.method.is_none() && !is_reply,
                Some(RequestTarget::Discovery) => true,
                Some(RequestTarget::Token) | None => false,
            };
            TimelineStep::RequestSent {
                request: number,
                to: request.to.unwrap_or(RequestTarget::Mcp),
                http_method: if is_get { "GET" } else { "POST" },
                url: request.url.unwrap_or_default(),
                credential: request.credential_sent,
                method: request.method.map(text),
            }
        }
        Step::Received {
            number,
            location,
            mut request,
        } => {
            collector.mask_request(&mut request);
            let oauth_error = match (request.oauth_error, request.oauth_error_description) {
                (Some(code), Some(description)) => Some(format!("{code}: {description}")),
                (code, description) => code.or(description),
            };
            TimelineStep::ResponseReceived(TimelineResponse {
                request: number,
                status: request.status.unwrap_or_default(),
                content_type: request.content_type.map(text),
                location: location.map(|url| collector.mask_url(&url)),
                challenge: request.challenge.map(text),
                retry_after: request.retry_after.map(text),
                oauth_error: oauth_error.map(text),
                body: request.body.map(text),
            })
        }
        Step::Done(step) => match step {
            TimelineStep::ProgramOutput { line } => {
                TimelineStep::ProgramOutput { line: text(line) }
            }
            TimelineStep::MessageReceived(message) => {
                TimelineStep::MessageReceived(TimelineMessage {
                    method: message.method.map(text),
                    id: message.id.map(text),
                    protocol_version: message.protocol_version.map(text),
                    server: message.server.map(text),
                    error_message: message.error_message.map(text),
                    ..message
                })
            }
            TimelineStep::Discovered {
                outcome,
                issuer,
                problem,
            } => TimelineStep::Discovered {
                outcome,
                issuer: issuer.map(|url| collector.mask_url(&url)),
                problem,
            },
            step => step,
        },
    }
}
