//! Event streams of the server: opens them, limits their events, and removes those that are not messages.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use http::header::ACCEPT;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use mcp_startup_auth::network::{BodyError, bare_url, decoded_body};
use mcp_startup_core::{ExceededLimit, IoTrouble, RequestEvidence, RequestTarget};
use rmcp::model::{JsonRpcMessage, RequestId};
use rmcp::transport::streamable_http_client::{HttpStatusError, SseError, StreamableHttpError};
use sse_stream::{Sse, SseStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::answer::Answer;
use super::headers::media_type;
use super::{EVENTS, Failure, MAX_REDIRECTS, McpHttp, failure};
use crate::transport::checked_results::{invalid_result, may_log_an_error, record_logged_error};
use crate::transport::held_results::SMALL_BYTES;
use crate::transport::invalid_messages::{
    Received, answered_id, invalid_answer, is_answer, is_echo_of_handshake, read_message,
    without_half_pairs,
};
use crate::transport::json_size::ValueCounter;
use crate::transport::large_messages::{Dropped, LargeMessage};
use crate::transport::server_requests::{MAX_MESSAGES, MAX_OPEN_REQUESTS, early_answer};
use crate::transport::server_sent_events::{
    FieldFilter, is_error, is_message, is_unnamed, looks_like_events,
};
use crate::transport::short_messages::short_message;

/// Ends a stream of events with its first error, and frees the event that was not complete.
fn until_error(
    events: BoxStream<'static, Result<Sse, SseError>>,
) -> impl Stream<Item = Result<Sse, SseError>> + Send + 'static {
    stream::unfold(Some(events), async |events| {
        let mut events = events?;
        let event = events.next().await?;
        let rest = event.is_ok().then_some(events);
        Some((event, rest))
    })
}

/// Whether the SDK can read the message of an event. It would need much memory to find out that a long text is not JSON.
fn is_readable(event: &Sse, is_starting: bool) -> bool {
    let text = event.data.as_deref().unwrap_or_default().as_bytes();
    !matches!(short_message(text, is_starting), Some(Err(_)))
}

impl McpHttp {
    /// The events of an answer that is an event stream. The size of each event is limited. Errors are recorded with the request.
    pub(super) fn events_of(&self, answer: Answer) -> BoxStream<'static, Result<Sse, SseError>> {
        let Answer { response, sent, .. } = answer;
        let collector = self.shared.collector.clone();
        let http = self.clone();
        let mut fields = FieldFilter::default();
        let mut sampled = false;
        let mut large = LargeMessage::default();
        let sent = Arc::new(sent);
        let dropped = {
            let sent = sent.clone();
            move |dropped: Dropped| {
                sent.note(|evidence| evidence.io = Some(IoTrouble::Timeout));
                std::io::Error::from(dropped)
            }
        };
        let mut read = move |chunk: Result<Bytes, BodyError>| {
            let chunk = chunk.map_err(|error| {
                sent.note(|evidence| evidence.io = Some(error.trouble()));
                std::io::Error::other(error)
            })?;
            if !std::mem::replace(&mut sampled, true) && !looks_like_events(&chunk) {
                collector.record_non_mcp_output(&chunk);
                if is_answer(&chunk) {
                    http.record_invalid_answer(
                        "Content-Type: must be application/json for one message, not text/event-stream",
                    );
                }
            }
            collector
                .log
                .received(chunk.len())
                .map_err(std::io::Error::other)?;
            let before = fields.event_bytes();
            let is_starting = !collector.log.is_closed();
            let kept = fields
                .take(&chunk, http.limit(), is_starting)
                .inspect_err(|_| {
                    sent.note(|evidence| evidence.io = Some(IoTrouble::TooLarge));
                })?;
            // An event whose last chunk this is stays in memory until the next chunk is read.
            let held = fields.event_bytes().max(before);
            Ok::<_, std::io::Error>((held, Bytes::from(kept)))
        };
        let mut chunks = decoded_body(response);
        let shared = self.shared.collector.clone();
        let mut waiting = None;
        let bytes = stream::poll_fn(move |context| {
            loop {
                if let Some((held, _)) = &waiting {
                    let place = ready!(large.poll(*held, &shared, context));
                    let chunk = waiting.take().map(|(_, chunk)| chunk);
                    return Poll::Ready(chunk.map(|chunk| place.map(|()| chunk).map_err(&dropped)));
                }
                let chunk = chunks.poll_next_unpin(context);
                if chunk.is_pending()
                    && let Err(error) = large.poll_pause(context)
                {
                    return Poll::Ready(Some(Err(dropped(error))));
                }
                match ready!(chunk).map(&mut read) {
                    Some(Ok(chunk)) => waiting = Some(chunk),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => return Poll::Ready(None),
                }
            }
        });
        let closed = self.shared.closed.clone();
        let http = self.clone();
        let events =
            SseStream::from_bytes_stream(bytes).map(move |event| http.within_limit(event?));
        until_error(events.boxed())
            .take_until(closed.cancelled_owned())
            .boxed()
    }

    /// The events of an answer that contain messages, and the IDs of the others. `request` is the one that the stream answers. A large
    /// result waits for its memory here, because each of many streams can have one.
    pub(super) fn messages_of(
        &self,
        answer: Answer,
        request: Option<RequestId>,
    ) -> BoxStream<'static, Result<Sse, SseError>> {
        let http = self.clone();
        let collector = self.shared.collector.clone();
        let events = self.events_of(answer);
        let mut messages = 0_usize;
        events
            .map(move |event| {
                let event = http.message_of(event?, request.as_ref());
                messages = messages.saturating_add(usize::from(event.data.is_some()));
                let collector = &http.shared.collector;
                let log = &collector.log;
                let data = event.data.as_deref().unwrap_or_default();
                if !log.is_closed() && is_echo_of_handshake(data) {
                    // The SDK would wait for an answer.
                    collector.record_non_mcp_output(data.as_bytes());
                    let error = std::io::Error::other("the server sends the request back");
                    return Err(SseError::Body(Box::new(error)));
                }
                // The SDK does not pass on the messages before the answer to the handshake.
                if messages > MAX_MESSAGES && !log.is_closed() {
                    log.exceed(ExceededLimit::Messages);
                    let error = std::io::Error::other("too many messages");
                    return Err(SseError::Body(Box::new(error)));
                }
                Ok(event)
            })
            .then(move |event| {
                let data = event.as_ref().ok().and_then(|event| event.data.as_deref());
                let data = data.filter(|data| data.len() > SMALL_BYTES);
                let answered = data.and_then(|data| answered_id(data.as_bytes()));
                let call = answered.and_then(|id| collector.calls.of(&id));
                let bytes = data.map_or(0, str::len);
                async move {
                    if let Some(call) = call {
                        call.hold(bytes).await;
                    }
                    event
                }
            })
            .boxed()
    }

    /// The events of the answer to `initialize`. The SDK drops the requests of the server before that answer, so they are answered here.
    pub(super) fn with_early_answers(
        &self,
        events: BoxStream<'static, Result<Sse, SseError>>,
        session: Option<String>,
    ) -> BoxStream<'static, Result<Sse, SseError>> {
        let http = self.clone();
        let session: Option<Arc<str>> = session.map(Arc::from);
        let mut answers = JoinSet::new();
        events
            .inspect(move |event| {
                let data = event.as_ref().ok().and_then(|event| event.data.as_deref());
                let data = data.filter(|data| data.contains("\"method\""));
                if let Some(data) = data
                    && let Received::Message(message) = read_message(data.as_bytes(), true)
                    && let JsonRpcMessage::Request(request) = *message
                    && answers.len() < MAX_OPEN_REQUESTS
                {
                    let answer = early_answer(&request, &http.shared.collector);
                    let (http, session) = (http.clone(), session.clone());
                    answers.spawn(async move {
                        let sent = http.exchange(answer, session, HashMap::new()).await;
                        if let Err(error) = sent {
                            tracing::debug!(%error, "can't answer a request of the server");
                        }
                    });
                }
            })
            .boxed()
    }

    /// The event with its message, as the SDK can read it. An invalid answer is replaced, and anything else, such as a heartbeat, is
    /// removed. The ID, with which a stream is resumed, is kept.
    fn message_of(&self, event: Sse, request: Option<&RequestId>) -> Sse {
        let collector = &self.shared.collector;
        let is_starting = !collector.log.is_closed();
        let data = event.data.as_deref().unwrap_or_default();
        // Costs little when the server is ready.
        if is_unnamed(&event) && is_starting {
            if may_log_an_error(data)
                && let Received::Message(message) = read_message(data.as_bytes(), true)
                && let JsonRpcMessage::Notification(notification) = *message
            {
                // The SDK drops notifications before the handshake is answered.
                record_logged_error(&notification.notification, collector);
            }
            if let Some(answer) = invalid_answer(data.as_bytes()) {
                self.record_invalid_answer(&answer.problem);
                let replaced = request.cloned().or(answer.id).map(invalid_result);
                let data = replaced.and_then(|replaced| serde_json::to_string(&replaced).ok());
                return Sse { data, ..event };
            }
        }
        if is_message(&event) && is_readable(&event, is_starting) {
            let repaired = without_half_pairs(data.as_bytes())
                .and_then(|repaired| String::from_utf8(repaired).ok());
            return Sse {
                data: repaired.or(event.data),
                ..event
            };
        }
        // Some servers report an error as an event with this name.
        if !data.trim().is_empty() && (is_unnamed(&event) || is_error(&event)) {
            collector.record_foreign_event(data);
        }
        Sse {
            data: None,
            event: None,
            ..event
        }
    }

    /// Records what is wrong with the answer to the last request.
    fn record_invalid_answer(&self, problem: &str) {
        let collector = &self.shared.collector;
        let last = collector.log.last(RequestTarget::Mcp);
        let method = last.and_then(|last| last.method).unwrap_or_default();
        collector.record_invalid_field(&method, problem);
    }

    /// Returns the event, unless its message has too many values to be parsed.
    fn within_limit(&self, event: Sse) -> Result<Sse, SseError> {
        let data = event.data.as_deref().unwrap_or_default();
        match ValueCounter::default().count(data.as_bytes()) > self.limit().values {
            true => {
                let error = std::io::Error::other("a message has too many values");
                Err(SseError::Body(Box::new(error)))
            }
            false => Ok(event),
        }
    }

    /// Records that the server sends the messages of the client, with its credential, to another origin.
    pub fn record_foreign_endpoint(&self, url: &Url) {
        let problem = format!(
            "endpoint: must have the origin of the server's URL, not {}",
            url.origin().ascii_serialization()
        );
        let collector = &self.shared.collector;
        collector.record_invalid_field("GET", &problem);
    }

    /// Opens the stream of events for HTTP+SSE.
    pub async fn http_sse_events(
        &self,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        let evidence = RequestEvidence {
            to: Some(RequestTarget::Mcp),
            ..RequestEvidence::default()
        };
        let answer = self
            .open_events(None, None, HashMap::new(), evidence)
            .await?;
        Ok(self.events_of(answer))
    }

    /// Opens the stream of the messages that the server sends by itself.
    pub(super) async fn open_events(
        &self,
        session_id: Option<&str>,
        last_event_id: Option<&str>,
        headers: HashMap<HeaderName, HeaderValue>,
        evidence: RequestEvidence,
    ) -> Result<Answer, Failure> {
        let mut url = self.current_url();
        let mut redirects = 0;
        let accept = [(ACCEPT, HeaderValue::from_static(EVENTS))];
        let authorization = &self.shared.authorization;
        let (response, sent, credential_sent) = loop {
            let (sends, time) = (authorization.sends(), Instant::now());
            let protocol = headers.clone().into_iter().chain(accept.clone());
            let mut request = self
                .request(Method::GET, &url, &sends, session_id, protocol)
                .map_err(failure)?;
            if let Some(last_event_id) = last_event_id {
                request = request.header("last-event-id", last_event_id);
            }
            let log = &self.shared.collector.log;
            let evidence = RequestEvidence {
                url: evidence.to.map(|_| bare_url(&url)),
                credential_sent: evidence.to.map(|_| sends.as_evidence()),
                ..evidence.clone()
            };
            let is_evidence = evidence.to.is_some();
            let sent = log.try_sent(evidence).map_err(failure)?;
            let response = request.send().await.map_err(|error| {
                let error = error.without_url();
                if is_evidence {
                    sent.failed(&error);
                    sent.note(|evidence| self.record_proxy(evidence, &url, Some(&error)));
                    self.shared.collector.record_error(&error);
                }
                failure(error)
            })?;
            if is_evidence {
                sent.note(|evidence| {
                    self.record_response(evidence, &response);
                    if !response.status().is_success() {
                        self.record_proxy(evidence, &url, None);
                    }
                });
                self.record_redirect(&sent, &url, &response);
            }
            self.shared.cookies.receive(response.headers());
            let other = self.has_another_credential(&response, (&sends, time), is_evidence);
            if other.await {
                continue;
            }
            if redirects < MAX_REDIRECTS
                && let Some(next) = self.redirect_to_follow(&url, &response)
            {
                redirects += 1;
                url = next;
                continue;
            }
            break (response, sent, sends.as_evidence());
        };
        let status = response.status();
        let is_stream = media_type(&response) == EVENTS;
        let answer = Answer {
            response,
            sent,
            credential_sent,
            sent_session: session_id.is_some(),
        };
        match status {
            status if status.is_success() && is_stream => return Ok(answer),
            status if status.is_success() => {
                return Err(StreamableHttpError::UnexpectedContentType(None));
            }
            _ if evidence.to.is_some() => drop(self.error_body(answer).await),
            _ => {}
        }
        Err(match status {
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND => {
                StreamableHttpError::ServerDoesNotSupportSse
            }
            status => HttpStatusError::new(status.as_u16(), None).into(),
        })
    }
}
