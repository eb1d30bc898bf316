//! Streamable HTTP: the client below the SDK's transport. It authorizes each request and records its result.
//!
//! It never decides why a start failed, and never refreshes a token itself.

mod answer;
mod cookies;
mod early_request;
mod events;
#[cfg(fuzzing)]
#[allow(missing_docs)]
pub mod fuzzing;
mod headers;
mod long_bodies;
mod refusal;
mod sdk_client;
mod session;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use mcp_startup_auth::network::{
    BodyError, LimitExceeded, Network, SentRequest, bare_url, proxy_requires_password, retry_after,
    trouble,
};
use mcp_startup_config::{HttpConfig, HttpSseUse};
use mcp_startup_core::{IoTrouble, RequestEvidence, RequestTarget, sign_in_part};
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, JsonRpcMessage, RequestId,
    ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_client::{StreamableHttpError, StreamableHttpPostResponse};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use self::answer::Answer;
use self::cookies::Cookies;
use self::early_request::EarlyRequest;
pub(crate) use self::headers::{challenge, configured_headers, media_types};
use self::headers::{is_path_of_words, location, media_type, sensitive};
pub use self::refusal::HttpRefusal;
use self::session::{SESSION_ID, session_of};
use super::checked_results::{invalid_result, numeric};
use super::invalid_messages::{Received, is_answer, read_message};
use super::json_size::{ValueCounter, parse_turn};
use super::large_messages::Dropped;
use super::read_limits::MessageLimit;
use super::short_messages::short_message;
use crate::authorization::{Authorization, Sends};
use crate::running_starts::RunningStarts;
use crate::start::evidence_collector::EvidenceCollector;

/// The maximum length of a recorded challenge, in characters.
pub(crate) const MAX_CHALLENGE_CHARS: usize = 1000;
const MAX_HEADER_CHARS: usize = 100;
const MAX_REDIRECTS: usize = 3;
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// The HTTP connection of one start to its server. The SDK's transport holds a clone of it, and never sees a credential.
#[derive(Clone)]
pub(crate) struct McpHttp {
    shared: Arc<Shared>,
}

struct Shared {
    network: Network,
    url: Url,
    headers: HeaderMap,
    authorization: Authorization,
    collector: Arc<EvidenceCollector>,
    /// The starts that the stream of messages of the server waits for, if the client is kept. A check doesn't open that stream, because
    /// it ends before such a message could arrive.
    running_starts: Option<Arc<RunningStarts>>,
    answered: AtomicBool,
    /// Whether the tool list is requested together with `server/discover`.
    lists_early: AtomicBool,
    early: Mutex<Option<EarlyRequest>>,
    /// Whether the start has ended and the host uses the client.
    ready: AtomicBool,
    /// The URL of the server, or the one to which it has redirected within its origin.
    current_url: RwLock<Url>,
    challenge: Mutex<Option<String>>,
    cookies: Cookies,
    /// The session that the last successful `initialize` has opened.
    session: Mutex<Option<Arc<str>>>,
    http_sse: HttpSseUse,
    /// Ends the requests in flight. Without it, the SDK's worker would wait for its first requests even after the start has ended.
    closed: CancellationToken,
}

/// Why a request failed. The collector has the evidence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Sending(#[from] reqwest::Error),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("the answer is not an MCP message")]
    NotMcp,
    #[error("the answer has too many values")]
    TooManyValues,
    #[error(transparent)]
    Dropped(#[from] Dropped),
    #[error("the token can't be sent in a header")]
    Token,
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

pub(crate) type Failure = StreamableHttpError<RequestError>;

fn failure(error: impl Into<RequestError>) -> Failure {
    StreamableHttpError::Client(error.into())
}

impl McpHttp {
    /// Opens the connection to the server of `config`. It closes when the guard is dropped.
    pub fn open(
        network: Network,
        config: &HttpConfig,
        authorization: Authorization,
        collector: Arc<EvidenceCollector>,
        running_starts: Option<Arc<RunningStarts>>,
    ) -> (Self, DropGuard) {
        let closed = CancellationToken::new();
        let guard = closed.clone().drop_guard();
        let shared = Shared {
            network,
            url: config.url.clone(),
            headers: configured_headers(config),
            authorization,
            collector,
            running_starts,
            answered: AtomicBool::new(false),
            lists_early: AtomicBool::new(false),
            early: Mutex::default(),
            ready: AtomicBool::new(false),
            current_url: RwLock::new(config.url.clone()),
            http_sse: config.http_sse,
            challenge: Mutex::default(),
            cookies: Cookies::default(),
            session: Mutex::default(),
            closed,
        };
        let http = Self {
            shared: Arc::new(shared),
        };
        (http, guard)
    }

    /// Call this before the handshake with a server whose era is known to be the new one, if the start lists the tools.
    pub fn list_tools_early(&self) {
        self.shared.lists_early.store(true, Ordering::Relaxed);
    }

    /// Call this after the handshake: from now on, larger answers are accepted.
    pub fn answered(&self) {
        self.shared.answered.store(true, Ordering::Relaxed);
    }

    /// Call this when the server is ready.
    pub fn ready(&self) {
        if self.is_live() {
            self.shared.authorization.keep();
        }
        self.shared.ready.store(true, Ordering::Relaxed);
    }

    /// Whether the client is kept.
    fn is_live(&self) -> bool {
        self.shared.running_starts.is_some()
    }

    /// Whether this side has closed the connection.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.is_cancelled()
    }

    /// Whether this client speaks HTTP+SSE with the server, if the server speaks nothing else.
    pub fn may_use_http_sse(&self) -> bool {
        self.shared.http_sse != HttpSseUse::Never
    }

    /// The configured URL of the server.
    pub fn url(&self) -> &Url {
        &self.shared.url
    }

    /// The URL for requests: the configured one, or the one to which the server has redirected.
    fn current_url(&self) -> Url {
        let url = self.shared.current_url.read();
        url.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The challenge of the last 401, unchanged, for discovery.
    pub fn challenge(&self) -> Option<String> {
        self.lock_challenge().clone()
    }

    fn lock_challenge(&self) -> MutexGuard<'_, Option<String>> {
        let challenge = &self.shared.challenge;
        challenge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The evidence of this start.
    pub fn collector(&self) -> &Arc<EvidenceCollector> {
        &self.shared.collector
    }

    /// Reads the answer to a request in its turn; `None` if it has too many values or is no answer.
    async fn parse(
        &self,
        (id, method): (&RequestId, &str),
        body: &[u8],
    ) -> Option<ServerJsonRpcMessage> {
        let values = ValueCounter::default().count(body);
        if values > self.limit().values {
            return None;
        }
        let _turn = parse_turn(body).await;
        match read_message(body, !self.shared.collector.log.is_closed()) {
            Received::Message(message) => Some(*message),
            Received::InvalidAnswer(answer) => {
                let collector = &self.shared.collector;
                collector.record_invalid_field(method, &answer.problem);
                Some(invalid_result(id.clone()))
            }
            Received::Other => None,
        }
    }

    /// The limit of the next message.
    fn limit(&self) -> MessageLimit {
        let answered = self.shared.answered.load(Ordering::Relaxed);
        MessageLimit::now(answered, &self.shared.collector)
    }

    /// Builds a request with all its headers. A header of the protocol replaces a configured one with the same name.
    fn request(
        &self,
        method: Method,
        url: &Url,
        sends: &Sends,
        session_id: Option<&str>,
        protocol: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Result<reqwest::RequestBuilder, RequestError> {
        let mut headers = self.shared.headers.clone();
        for (name, value) in protocol {
            headers.insert(name, value);
        }
        if let Some(token) = sends.token() {
            let value = sensitive(&format!("Bearer {token}")).map_err(|_| RequestError::Token)?;
            headers.insert(AUTHORIZATION, value);
        }
        self.shared.cookies.add_to(&mut headers);
        // The session ID was received in a header, so it can be sent in one.
        if let Some(Ok(session_id)) = session_id.map(HeaderValue::from_str) {
            headers.insert(SESSION_ID, session_id);
        }
        Ok(self
            .shared
            .network
            .server_client()
            .request(method, url.clone())
            .headers(headers))
    }

    /// Posts a message with the current credential. If the server refuses the credential and there is another one, it sends the
    /// message again. It follows redirects within the origin of the server.
    async fn post(
        &self,
        url: &Url,
        message: &ClientJsonRpcMessage,
        session_id: Option<&str>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Answer, Failure> {
        let body = Bytes::from(serde_json::to_vec(message)?);
        let mut early = self.replace_early(message, &headers);
        let method = method_of(message);
        let mut url = url.clone();
        let mut redirects = 0;
        // A server can close an open connection while a request is on its way.
        let mut may_repeat = method.is_some_and(is_repeatable);
        loop {
            let (sends, time) = (self.shared.authorization.sends(), Instant::now());
            let protocol = headers.clone().into_iter().chain(media_types());
            let request = self
                .request(Method::POST, &url, &sends, session_id, protocol)
                .map_err(failure)?
                .body(body.clone());
            let evidence = RequestEvidence {
                to: Some(RequestTarget::Mcp),
                url: Some(bare_url(&url)),
                credential_sent: Some(sends.as_evidence()),
                method: method.map(str::to_owned),
                ..RequestEvidence::default()
            };
            let log = &self.shared.collector.log;
            let sent = match is_tool_list(message) {
                // The number of pages has its own limit.
                true => log.sent(evidence),
                false => log.try_sent(evidence).map_err(failure)?,
            };
            if let (None, Some(timeline)) = (method, self.shared.collector.timeline()) {
                timeline.is_reply(sent.number());
            }
            let early = match early.take() {
                Some(early) => early.response_to(&url, &sends, &body).await,
                None => None,
            };
            let response = match early {
                Some(response) => Ok(response),
                None => request.send().await,
            };
            if let Err(error) = &response
                && may_repeat
                && trouble(error) == IoTrouble::Closed
            {
                may_repeat = false;
                sent.failed(error);
                continue;
            }
            let response = response.map_err(|error| {
                // The URL may hold a key.
                let error = error.without_url();
                sent.failed(&error);
                sent.note(|evidence| self.record_proxy(evidence, &url, Some(&error)));
                self.shared.collector.record_error(&error);
                failure(error)
            })?;
            let status = response.status();
            sent.note(|evidence| {
                self.record_response(evidence, &response);
                if !status.is_success() {
                    self.record_proxy(evidence, &url, None);
                }
            });
            self.record_redirect(&sent, &url, &response);
            self.shared.cookies.receive(response.headers());
            let other = self.has_another_credential(&response, (&sends, time), true);
            if other.await {
                continue;
            }
            if status != StatusCode::UNAUTHORIZED {
                self.shared.authorization.accepted();
            }
            if redirects < MAX_REDIRECTS
                && let Some(next) = self.redirect_to_follow(&url, &response)
            {
                redirects += 1;
                url = next;
                continue;
            }
            if redirects > 0 && status.is_success() {
                // Later requests need not be redirected, and some servers do not redirect DELETE.
                let current = self.shared.current_url.write();
                *current.unwrap_or_else(PoisonError::into_inner) = url;
            }
            return Ok(Answer {
                response,
                sent,
                credential_sent: sends.as_evidence(),
                sent_session: session_id.is_some(),
            });
        }
    }

    /// Whether the server has refused the credential of a request, and there is another one to try. `time` is when the request was sent,
    /// and `is_evidence` whether it is in the evidence of the start.
    async fn has_another_credential(
        &self,
        response: &reqwest::Response,
        (sent, time): (&Sends, Instant),
        is_evidence: bool,
    ) -> bool {
        let authorization = &self.shared.authorization;
        match response.status() {
            StatusCode::UNAUTHORIZED => {
                let challenge = challenge(response.headers());
                if is_evidence {
                    self.lock_challenge().clone_from(&challenge);
                }
                authorization.refused(sent, challenge.as_deref()).await
            }
            StatusCode::FORBIDDEN => authorization.denied(sent, time).await,
            _ => false,
        }
    }

    /// Sends the next request early if possible. Returns the one that was sent early before.
    fn replace_early(
        &self,
        message: &ClientJsonRpcMessage,
        headers: &HashMap<HeaderName, HeaderValue>,
    ) -> Option<EarlyRequest> {
        let next = match self.shared.lists_early.load(Ordering::Relaxed) {
            true => self.send_early(message, headers),
            false => None,
        };
        let early = &self.shared.early;
        let mut early = early.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *early, next)
    }

    fn record_response(&self, evidence: &mut RequestEvidence, response: &reqwest::Response) {
        let text = |name: &HeaderName| {
            let value = response.headers().get(name)?;
            let text = String::from_utf8_lossy(value.as_bytes());
            Some(self.shared.collector.sanitize(&text, MAX_HEADER_CHARS))
        };
        evidence.status = Some(response.status().as_u16());
        evidence.content_type = text(&CONTENT_TYPE);
        evidence.content_encoding = text(&CONTENT_ENCODING);
        let retry_after = retry_after(response.status(), response.headers());
        evidence.retry_after =
            retry_after.map(|text| self.shared.collector.sanitize(&text, MAX_HEADER_CHARS));
        evidence.challenge = challenge(response.headers()).map(|challenge| {
            self.shared
                .collector
                .sanitize(&challenge, MAX_CHALLENGE_CHARS)
        });
    }

    /// Records where the response redirects. The path is shown only within the origin.
    fn record_redirect(&self, sent: &SentRequest, url: &Url, response: &reqwest::Response) {
        if !response.status().is_redirection() {
            return;
        }
        let Some(next) = location(url, response.headers()) else {
            return;
        };
        let collector = &self.shared.collector;
        let origin = next.origin();
        if origin.is_tuple() {
            let mut shown = origin.ascii_serialization();
            // The path can be a secret that the server has received, in any spelling.
            if origin == url.origin() && is_path_of_words(next.path()) {
                shown.push_str(next.path());
            } else if let Some(part) = sign_in_part(next.path()) {
                shown.push_str("/.../");
                shown.push_str(part);
            }
            let shown = collector.mask_url(&shown);
            sent.note(|evidence| evidence.location = Some(shown));
        }
        if let Some(timeline) = collector.timeline() {
            timeline.redirects(sent.number(), bare_url(&next));
        }
    }

    /// The URL to which the response redirects, if it keeps the method and the origin of the server.
    fn redirect_to_follow(&self, url: &Url, response: &reqwest::Response) -> Option<Url> {
        let keeps_method = matches!(
            response.status(),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        let next = location(url, response.headers()).filter(|_| keeps_method)?;
        (next.origin() == self.shared.url.origin()).then_some(next)
    }

    /// Records the proxy of a request that failed or was refused. A proxy that requires a password refuses the tunnel with the status 407.
    fn record_proxy(
        &self,
        evidence: &mut RequestEvidence,
        url: &Url,
        error: Option<&reqwest::Error>,
    ) {
        evidence.proxy = self.shared.network.proxy_of(url);
        if evidence.proxy.is_some() && error.is_some_and(proxy_requires_password) {
            evidence.io = None;
            evidence.status = Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED.as_u16());
        }
    }

    /// Posts a message and reads the answer.
    async fn exchange(
        &self,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        if method_of(&message) == Some("notifications/initialized") {
            self.lock_session().clone_from(&session_id);
        }
        let url = self.current_url();
        let session_id = session_id.as_deref();
        let answer = self
            .post(&url, &message, session_id, custom_headers)
            .await?;
        self.read(answer, &message).await
    }

    /// Reads the answer to a message, except for an event stream, which the SDK reads.
    async fn read(
        &self,
        answer: Answer,
        message: &ClientJsonRpcMessage,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let response = &answer.response;
        let status = response.status();
        let media_type = media_type(response);
        let JsonRpcMessage::Request(request) = message else {
            if status.is_success() {
                return Ok(StreamableHttpPostResponse::Accepted);
            }
            return self.refusal(answer, None).await;
        };
        if !status.is_success() {
            let method = request.request.method();
            return self.refusal(answer, Some((&request.id, method))).await;
        }
        let session = session_of(response);
        if media_type == EVENTS {
            let mut events = self.messages_of(answer, Some(request.id.clone()));
            if matches!(request.request, ClientRequest::InitializeRequest(_)) {
                events = self.with_early_answers(events, session.clone());
            }
            return Ok(StreamableHttpPostResponse::Sse(events, session));
        }
        if media_type != JSON && !media_type.is_empty() {
            let beginning = answer.beginning().await;
            let collector = &self.shared.collector;
            if is_answer(&beginning) {
                let problem = format!("Content-Type: must be {JSON} or {EVENTS}, not {media_type}");
                collector.record_invalid_field(request.request.method(), &problem);
                let answer = invalid_result(request.id.clone());
                return Ok(StreamableHttpPostResponse::Json(answer, session));
            }
            collector.record_non_mcp_output(&beginning);
            return Err(failure(RequestError::NotMcp));
        }
        let limit = self.limit();
        let collector = &self.shared.collector;
        let mut body = answer.body(limit.bytes, collector).await?;
        if ValueCounter::default().count(&body.bytes) > limit.values {
            body.sent
                .note(|evidence| evidence.io = Some(IoTrouble::TooLarge));
            return Err(failure(RequestError::TooManyValues));
        }
        if let Some(Ok(short)) = short_message(&body.bytes, !collector.log.is_closed()) {
            body.replace(short);
        }
        let asked = (&request.id, request.request.method());
        match self.parse(asked, &body.bytes).await {
            Some(message @ (JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_))) => {
                let bytes = std::mem::take(&mut body.bytes).len();
                if let Some(call) = self.shared.collector.calls.of(&request.id) {
                    call.hold(bytes).await;
                }
                let answer = self.answer_to(asked, message);
                Ok(StreamableHttpPostResponse::Json(answer, session))
            }
            Some(_) | None => {
                self.shared.collector.record_non_mcp_output(&body.bytes);
                Err(failure(RequestError::NotMcp))
            }
        }
    }

    /// The answer to a request, which is the only message in its response. One with another ID would end no request.
    fn answer_to(
        &self,
        (id, method): (&RequestId, &str),
        answer: ServerJsonRpcMessage,
    ) -> ServerJsonRpcMessage {
        let answered = match &answer {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        if let Some(other) = answered.filter(|answered| numeric(answered) != *id) {
            let problem = format!("id: must be {id} as in the request, not {other}");
            let collector = &self.shared.collector;
            collector.record_invalid_field(method, &problem);
            return invalid_result(id.clone());
        }
        match answer {
            JsonRpcMessage::Error(mut error) => {
                error.id = Some(id.clone());
                JsonRpcMessage::Error(error)
            }
            answer => answer,
        }
    }

    /// Posts a message whose answer arrives elsewhere.
    pub async fn send_to(&self, url: &Url, message: &ClientJsonRpcMessage) -> Result<(), Failure> {
        let sending = async {
            let answer = self.post(url, message, None, HashMap::new()).await?;
            match answer.response.status().is_success() {
                true => Ok(()),
                false => self.refusal(answer, None).await.map(drop),
            }
        };
        tokio::select! {
            biased;
            () = self.shared.closed.cancelled() => Err(StreamableHttpError::TransportChannelClosed),
            sent = sending => sent,
        }
    }
}

/// The method of a request or a notification. A client sends one notification in a start.
fn method_of(message: &ClientJsonRpcMessage) -> Option<&str> {
    match message {
        JsonRpcMessage::Request(request) => Some(request.request.method()),
        JsonRpcMessage::Notification(notification) => match &notification.notification {
            ClientNotification::InitializedNotification(_) => Some("notifications/initialized"),
            _ => None,
        },
        JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => None,
    }
}

/// Whether a request may be sent again if it is unknown whether the server has received it. A call of a tool may not.
fn is_repeatable(method: &str) -> bool {
    matches!(
        method,
        "initialize" | "notifications/initialized" | "server/discover" | "tools/list"
    )
}

fn is_tool_list(message: &ClientJsonRpcMessage) -> bool {
    matches!(message, JsonRpcMessage::Request(request) if matches!(request.request, ClientRequest::ListToolsRequest(_)))
}
