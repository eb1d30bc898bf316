//! Streamable HTTP: the SDK's transport on our client, which authorizes each request and notes what came of it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use mcp_startup_auth::network::{BodyError, bare_url, read_body};
use mcp_startup_core::{IoTrouble, RequestEvidence, RequestTarget};
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, HttpStatusError, SseError, StreamableHttpClient, StreamableHttpError,
    StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use secrecy::{ExposeSecret, SecretString};
use sse_stream::{Sse, SseStream};
use url::Url;

use crate::authorization::Authorization;
use crate::findings::Findings;

/// The largest answer, and the largest event of a stream, that is read: 4 MiB. Many servers start at once.
pub(crate) const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// How much of an answer is read that can't be MCP, in bytes: enough to show its beginning.
const MAX_SAMPLE_BYTES: usize = 1024;
const MAX_CHALLENGE_CHARS: usize = 1000;
const MAX_REDIRECTS: usize = 3;
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// The way of one start to its server. The SDK's transport holds a clone of it and never sees a credential.
#[derive(Clone)]
pub(crate) struct McpHttp {
    shared: Arc<Shared>,
}

struct Shared {
    client: reqwest::Client,
    url: Url,
    headers: Vec<(HeaderName, SecretString)>,
    authorization: Authorization,
    findings: Arc<Findings>,
    /// Whether the stream of the server's own messages is opened: not by a check, which is over before one could come.
    listens: bool,
    challenge: std::sync::Mutex<Option<String>>,
}

/// A request of ours failed; what came of it is in the findings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Sending(#[from] reqwest::Error),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("the answer is no MCP")]
    NotMcp,
    #[error("a header can't be sent: {0}")]
    Header(#[from] http::header::InvalidHeaderValue),
}

type Failure = StreamableHttpError<RequestError>;

fn failure(error: impl Into<RequestError>) -> Failure {
    StreamableHttpError::Client(error.into())
}

impl McpHttp {
    pub fn new(
        client: reqwest::Client,
        url: Url,
        headers: Vec<(HeaderName, SecretString)>,
        authorization: Authorization,
        findings: Arc<Findings>,
        listens: bool,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                client,
                url,
                headers,
                authorization,
                findings,
                listens,
                challenge: std::sync::Mutex::default(),
            }),
        }
    }

    /// The challenge of the last 401, as it came: for discovery.
    pub fn challenge(&self) -> Option<String> {
        self.shared
            .challenge
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn request(
        &self,
        method: Method,
        url: &Url,
        token: Option<&str>,
    ) -> Result<reqwest::RequestBuilder, RequestError> {
        let mut request = self.shared.client.request(method, url.clone());
        for (name, value) in &self.shared.headers {
            request = request.header(name.clone(), sensitive(value.expose_secret())?);
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, sensitive(&format!("Bearer {token}"))?);
        }
        Ok(request)
    }

    /// Posts a message: with the credential that is due, once more with another where the server refuses it and there is one,
    /// and along redirects that stay at the server.
    async fn post(
        &self,
        message: &ClientJsonRpcMessage,
        session_id: Option<&str>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Answer, Failure> {
        let body = Bytes::from(serde_json::to_vec(message)?);
        let headers: HeaderMap = headers.into_iter().collect();
        let mut url = self.shared.url.clone();
        let mut redirects = 0;
        loop {
            let sends = self.shared.authorization.sends();
            let mut request = self
                .request(Method::POST, &url, sends.token())
                .map_err(failure)?
                .headers(headers.clone())
                .header(ACCEPT, "application/json, text/event-stream")
                .header(CONTENT_TYPE, JSON)
                .body(body.clone());
            if let Some(session_id) = session_id {
                request = request.header(SESSION_ID, session_id);
            }
            let sent = self.shared.findings.log.sent(RequestEvidence {
                to: Some(RequestTarget::Mcp),
                url: Some(bare_url(&url)),
                credential_sent: Some(sends.as_evidence()),
                ..RequestEvidence::default()
            });
            let response = request.send().await.map_err(|error| {
                // The URL may hold a key.
                let error = error.without_url();
                sent.failed(&error);
                self.shared.findings.cause(&error);
                failure(error)
            })?;
            let status = response.status();
            sent.note(|noted| self.note_answer(noted, &response));
            if status == StatusCode::UNAUTHORIZED {
                let challenge = challenge(response.headers());
                *self
                    .shared
                    .challenge
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) = challenge;
                if self.shared.authorization.refused() {
                    continue;
                }
            }
            if matches!(
                status,
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
            ) && redirects < MAX_REDIRECTS
                && let Some(next) = location(&url, response.headers())
                && next.origin() == self.shared.url.origin()
            {
                redirects += 1;
                url = next;
                continue;
            }
            return Ok(Answer { response, sent });
        }
    }

    fn note_answer(&self, noted: &mut RequestEvidence, response: &reqwest::Response) {
        let text = |name: &HeaderName| {
            let value = response.headers().get(name)?;
            let text = String::from_utf8_lossy(value.as_bytes());
            Some(self.shared.findings.mask.foreign(&text, 100))
        };
        noted.status = Some(response.status().as_u16());
        noted.content_type = text(&CONTENT_TYPE);
        noted.retry_after = text(&RETRY_AFTER);
        noted.challenge = challenge(response.headers()).map(|challenge| {
            self.shared
                .findings
                .mask
                .foreign(&challenge, MAX_CHALLENGE_CHARS)
        });
    }

    /// The answer is no MCP: keeps its beginning, and reads no more of it.
    async fn not_mcp(&self, mut response: reqwest::Response) -> Failure {
        let mut beginning = Vec::new();
        while beginning.len() < MAX_SAMPLE_BYTES
            && let Ok(Some(chunk)) = response.chunk().await
        {
            beginning.extend_from_slice(&chunk);
        }
        self.shared.findings.not_mcp(&beginning);
        failure(RequestError::NotMcp)
    }
}

struct Answer {
    response: reqwest::Response,
    sent: mcp_startup_auth::network::SentRequest,
}

impl Answer {
    async fn body(self) -> Result<Vec<u8>, Failure> {
        read_body(self.response, MAX_ANSWER_BYTES)
            .await
            .map_err(|error| {
                self.sent.note(|noted| noted.io = Some(error.trouble()));
                failure(error)
            })
    }
}

fn sensitive(value: &str) -> Result<HeaderValue, RequestError> {
    let mut value = HeaderValue::from_str(value)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Every `WWW-Authenticate` of an answer as one list, which is what RFC 9110, section 5.2, makes of them.
fn challenge(headers: &HeaderMap) -> Option<String> {
    let challenges: Vec<_> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!challenges.is_empty()).then(|| challenges.join(", "))
}

fn location(base: &Url, headers: &HeaderMap) -> Option<Url> {
    base.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

fn media_type(response: &reqwest::Response) -> String {
    response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|media_type| media_type.trim().to_ascii_lowercase())
        .unwrap_or_default()
}

impl StreamableHttpClient for McpHttp {
    type Error = RequestError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(
            uri,
            message,
            session_id,
            auth_header,
            custom_headers,
            limits,
        )
        .await
    }

    /// The limits are ours and not the transport's: [`MAX_ANSWER_BYTES`].
    async fn post_message_with_response_limits(
        &self,
        _uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        _limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let answer = self
            .post(&message, session_id.as_deref(), custom_headers)
            .await?;
        let response = &answer.response;
        let status = response.status();
        let media_type = media_type(response);
        let awaits_answer = matches!(message, JsonRpcMessage::Request(_));
        if status.is_success() && !awaits_answer {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let session = response
            .headers()
            .get(SESSION_ID)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        if status.is_success() {
            if media_type == EVENTS {
                let bytes = bounded_events(answer, self.shared.findings.clone());
                return Ok(StreamableHttpPostResponse::Sse(events(bytes), session));
            }
            if media_type != JSON && !media_type.is_empty() {
                return Err(self.not_mcp(answer.response).await);
            }
            let body = answer.body().await?;
            return match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
                Ok(message) => Ok(StreamableHttpPostResponse::Json(message, session)),
                Err(_) => {
                    self.shared.findings.not_mcp(&body);
                    Err(failure(RequestError::NotMcp))
                }
            };
        }
        match status {
            StatusCode::UNAUTHORIZED => Err(StreamableHttpError::AuthRequired(
                AuthRequiredError::new("401".to_owned()),
            )),
            StatusCode::NOT_FOUND if session_id.is_some() => {
                Err(StreamableHttpError::SessionExpired)
            }
            // A JSON-RPC error may come with a status that says the same: then it is what the server has to say.
            _ if status.is_client_error()
                && media_type == JSON
                && !matches!(
                    status,
                    StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
                ) =>
            {
                let body = answer.body().await?;
                match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
                    Ok(error @ JsonRpcMessage::Error(_)) => {
                        Ok(StreamableHttpPostResponse::Json(error, session))
                    }
                    _ => Err(HttpStatusError::new(status.as_u16(), None).into()),
                }
            }
            _ => Err(HttpStatusError::new(status.as_u16(), None).into()),
        }
    }

    async fn delete_session(
        &self,
        _uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        let sends = self.shared.authorization.sends();
        self.request(Method::DELETE, &self.shared.url, sends.token())
            .map_err(failure)?
            .headers(custom_headers.into_iter().collect())
            .header(SESSION_ID, session_id.as_ref())
            .send()
            .await
            .map_err(failure)?;
        Ok(())
    }

    async fn get_stream(
        &self,
        _uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        if !self.shared.listens {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        let sends = self.shared.authorization.sends();
        let mut request = self
            .request(Method::GET, &self.shared.url, sends.token())
            .map_err(failure)?
            .headers(custom_headers.into_iter().collect())
            .header(ACCEPT, EVENTS);
        if let Some(session_id) = session_id {
            request = request.header(SESSION_ID, session_id.as_ref());
        }
        if let Some(last_event_id) = last_event_id {
            request = request.header("last-event-id", last_event_id);
        }
        let response = request.send().await.map_err(failure)?;
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND => {
                Err(StreamableHttpError::ServerDoesNotSupportSse)
            }
            StatusCode::UNAUTHORIZED => Err(StreamableHttpError::AuthRequired(
                AuthRequiredError::new("401".to_owned()),
            )),
            status if status.is_success() && media_type(&response) == EVENTS => {
                let mut bound = EventBound::default();
                let bytes = response.bytes_stream().map(move |chunk| {
                    let chunk = chunk.map_err(std::io::Error::other)?;
                    bound.take(&chunk)?;
                    Ok(chunk)
                });
                Ok(events(bytes.boxed()))
            }
            status if status.is_success() => Err(StreamableHttpError::UnexpectedContentType(None)),
            status => Err(HttpStatusError::new(status.as_u16(), None).into()),
        }
    }
}

type EventBytes = BoxStream<'static, Result<Bytes, std::io::Error>>;

fn events(bytes: EventBytes) -> BoxStream<'static, Result<Sse, SseError>> {
    SseStream::from_bytes_stream(bytes).boxed()
}

/// The bytes of an answer that is a stream of events, each event bounded; what becomes of it is noted with its request.
fn bounded_events(answer: Answer, findings: Arc<Findings>) -> EventBytes {
    let Answer { response, sent } = answer;
    let mut bound = EventBound::default();
    let mut sampled = false;
    let bytes = response.bytes_stream().map(move |chunk| {
        let chunk = chunk.map_err(|error| {
            sent.failed(&error);
            std::io::Error::other(error)
        })?;
        if !std::mem::replace(&mut sampled, true) && !looks_like_events(&chunk) {
            findings.not_mcp(&chunk);
        }
        bound.take(&chunk).inspect_err(|_| {
            sent.note(|noted| noted.io = Some(IoTrouble::TooLarge));
        })?;
        Ok(chunk)
    });
    bytes.boxed()
}

/// Whether bytes may be the beginning of an event stream: a field, a comment or a blank line.
fn looks_like_events(bytes: &[u8]) -> bool {
    let first = bytes
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .map_or(bytes, |end| &bytes[..end]);
    let first = first.strip_prefix("\u{feff}".as_bytes()).unwrap_or(first);
    first.is_empty()
        || [&b":"[..], b"data", b"event", b"id", b"retry"]
            .iter()
            .any(|field| first.starts_with(field) || field.starts_with(first))
}

/// Counts the bytes since the last blank line, which ends an event.
#[derive(Default)]
struct EventBound {
    event: usize,
    line: usize,
}

impl EventBound {
    fn take(&mut self, chunk: &[u8]) -> Result<(), std::io::Error> {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.event += piece.len();
            self.line += piece.len();
            if piece.ends_with(b"\n") {
                if self.line <= 2 && piece.iter().all(|byte| matches!(byte, b'\n' | b'\r')) {
                    self.event = 0;
                }
                self.line = 0;
            }
            if self.event > MAX_ANSWER_BYTES {
                return Err(std::io::Error::other("an event is larger than is taken"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_bounded_one_by_one_wherever_the_chunks_end() {
        let event = b"data: {\"a\":1}\r\n\r\n";
        let many = event.repeat(MAX_ANSWER_BYTES / event.len() + 10);
        for size in [1, 7, 17, 4096] {
            let mut bound = EventBound::default();
            assert!(
                many.chunks(size).all(|chunk| bound.take(chunk).is_ok()),
                "chunks of {size}"
            );
        }
        let mut bound = EventBound::default();
        let endless = vec![b'x'; 4096];
        let taken = (0..).take_while(|_| bound.take(&endless).is_ok()).count();
        assert_eq!(taken, MAX_ANSWER_BYTES / endless.len());
    }

    #[test]
    fn a_page_does_not_look_like_events() {
        for (bytes, wanted) in [
            (&b"data: x\n"[..], true),
            (b": comment\n", true),
            (b"\n\nid: 1", true),
            (b"eve", true),
            (b"<html>", false),
            (b"{\"a\":1}", false),
        ] {
            assert_eq!(
                looks_like_events(bytes),
                wanted,
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
