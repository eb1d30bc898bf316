//! Event streams of the server: opens them, limits their events, and removes those that are not messages.

use std::collections::HashMap;
use std::task::{Poll, ready};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::header::ACCEPT;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use mcp_startup_auth::network::{BodyError, bare_url, decoded_body};
use mcp_startup_core::{IoTrouble, RequestEvidence, RequestTarget};
use rmcp::transport::streamable_http_client::{HttpStatusError, SseError, StreamableHttpError};
use sse_stream::{Sse, SseStream};
use url::Url;

use super::answer::Answer;
use super::headers::media_type;
use super::{EVENTS, Failure, McpHttp, challenge, failure};
use crate::transport::invalid_messages::message_problem;
use crate::transport::json_size::ValueCounter;
use crate::transport::large_messages::LargeMessage;
use crate::transport::server_sent_events::{
    EventSizeLimit, FieldFilter, is_message, is_unnamed, looks_like_events,
};

impl McpHttp {
    /// The events of an answer that is an event stream. The size of each event is limited. Errors are recorded with the request.
    pub(super) fn events_of(&self, answer: Answer) -> BoxStream<'static, Result<Sse, SseError>> {
        let Answer { response, sent, .. } = answer;
        let collector = self.shared.collector.clone();
        let mut limit = EventSizeLimit::new(self.limit());
        let mut fields = FieldFilter::default();
        let mut sampled = false;
        let mut large = LargeMessage::default();
        let mut read = move |chunk: Result<Bytes, BodyError>| {
            let chunk = chunk.map_err(|error| {
                sent.note(|evidence| evidence.io = Some(error.trouble()));
                std::io::Error::other(error)
            })?;
            if !std::mem::replace(&mut sampled, true) && !looks_like_events(&chunk) {
                collector.record_non_mcp_output(&chunk);
            }
            collector
                .log
                .received(chunk.len())
                .map_err(std::io::Error::other)?;
            limit.take(&chunk).inspect_err(|_| {
                sent.note(|evidence| evidence.io = Some(IoTrouble::TooLarge));
            })?;
            // The limit of all starts together does not apply to live servers.
            let held = if collector.log.is_closed() {
                0
            } else {
                limit.event()
            };
            Ok::<_, std::io::Error>((held, Bytes::from(fields.take(&chunk))))
        };
        let mut chunks = decoded_body(response);
        let mut waiting = None;
        let bytes = stream::poll_fn(move |context| {
            loop {
                if let Some((held, _)) = &waiting {
                    ready!(large.poll_place(*held, context));
                    return Poll::Ready(waiting.take().map(|(_, chunk)| Ok(chunk)));
                }
                match ready!(chunks.poll_next_unpin(context)).map(&mut read) {
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
        events.take_until(closed.cancelled_owned()).boxed()
    }

    /// The events of an answer that contain messages, and the IDs of the others.
    pub(super) fn messages_of(&self, answer: Answer) -> BoxStream<'static, Result<Sse, SseError>> {
        let http = self.clone();
        let events = self.events_of(answer);
        events
            .map(move |event| {
                let event = event?;
                http.record_invalid_event(&event);
                Ok(http.without_foreign_data(event))
            })
            .boxed()
    }

    /// Records what is wrong with an event that is almost a message. Costs nothing when the server is ready.
    pub fn record_invalid_event(&self, event: &Sse) {
        let collector = &self.shared.collector;
        let data = event.data.as_deref().unwrap_or_default();
        if !collector.log.is_closed()
            && is_unnamed(event)
            && let Some(problem) = message_problem(data.as_bytes())
        {
            let last = collector.log.last(RequestTarget::Mcp);
            let method = last.and_then(|last| last.method).unwrap_or_default();
            collector.record_invalid_field(&method, &problem);
        }
    }

    /// Removes the data of an event that is not a message, such as a heartbeat. It keeps the ID, with which a stream is resumed.
    fn without_foreign_data(&self, event: Sse) -> Sse {
        if is_message(&event) {
            return event;
        }
        let data = event.data.as_deref().unwrap_or_default();
        if !data.trim().is_empty() && is_unnamed(&event) {
            self.shared.collector.record_foreign_event(data);
        }
        Sse {
            data: None,
            event: None,
            ..event
        }
    }

    /// Returns the event, unless its message has too many values to be parsed.
    fn within_limit(&self, event: Sse) -> Result<Sse, SseError> {
        let data = event.data.as_deref().unwrap_or_default();
        match ValueCounter::default().count(data.as_bytes()) > self.value_limit() {
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
            url: Some(bare_url(&self.current_url())),
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
        let url = &self.current_url();
        let accept = [(ACCEPT, HeaderValue::from_static(EVENTS))];
        let authorization = &self.shared.authorization;
        let (response, sent) = loop {
            let sends = authorization.sends();
            let protocol = headers.clone().into_iter().chain(accept.clone());
            let mut request = self
                .request(Method::GET, url, &sends, session_id, protocol)
                .map_err(failure)?;
            if let Some(last_event_id) = last_event_id {
                request = request.header("last-event-id", last_event_id);
            }
            let log = &self.shared.collector.log;
            let evidence = RequestEvidence {
                credential_sent: evidence.to.map(|_| sends.as_evidence()),
                ..evidence.clone()
            };
            let is_evidence = evidence.to.is_some();
            let sent = log.try_sent(evidence).map_err(failure)?;
            let response = request.send().await.map_err(|error| {
                let error = error.without_url();
                if is_evidence {
                    sent.failed(&error);
                    self.shared.collector.record_error(&error);
                }
                failure(error)
            })?;
            if is_evidence {
                sent.note(|evidence| self.record_response(evidence, &response));
            }
            if response.status() == StatusCode::UNAUTHORIZED {
                let challenge = challenge(response.headers());
                if is_evidence {
                    self.lock_challenge().clone_from(&challenge);
                }
                if authorization.refused(&sends, challenge.as_deref()).await {
                    continue;
                }
            }
            break (response, sent);
        };
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND => {
                Err(StreamableHttpError::ServerDoesNotSupportSse)
            }
            status if status.is_success() && media_type(&response) == EVENTS => Ok(Answer {
                response,
                sent,
                sent_session: session_id.is_some(),
            }),
            status if status.is_success() => Err(StreamableHttpError::UnexpectedContentType(None)),
            status => Err(HttpStatusError::new(status.as_u16(), None).into()),
        }
    }
}
