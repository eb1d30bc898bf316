//! The transport HTTP+SSE of MCP 2024-11-05: the server sends its messages as events of one stream, and the first event names the URL
//! for the messages of the client.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use mcp_startup_core::RequestTarget;
use rmcp::RoleClient;
use rmcp::model::JsonRpcMessage;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::streamable_http_client::SseError;
use sse_stream::Sse;
use url::Url;

use super::checked_results::OpenRequests;
use super::http::{Failure, McpHttp};
use super::invalid_messages::{Received, read_message};

/// The number of events before the one with the URL, such as comments of a proxy.
const MAX_EVENTS_BEFORE: usize = 16;

/// A connection over HTTP+SSE.
pub(crate) struct HttpSse {
    http: McpHttp,
    events: BoxStream<'static, Result<Sse, SseError>>,
    messages: Arc<Url>,
    requests: OpenRequests,
}

impl McpHttp {
    /// Opens a connection over HTTP+SSE. Returns `None` if the server does not speak it.
    pub async fn open_http_sse(&self) -> Option<HttpSse> {
        let mut events = self.http_sse_events().await.ok()?;
        for _ in 0..MAX_EVENTS_BEFORE {
            let event = events.next().await?.ok()?;
            let data = event.data.unwrap_or_default();
            if event.event.as_deref() != Some("endpoint") {
                if is_unnamed_endpoint(event.event.as_deref(), &data) {
                    const PROBLEM: &str =
                        "the event with the URL for messages must be named `endpoint`";
                    self.collector().record_invalid_field("GET", PROBLEM);
                    return None;
                }
                continue;
            }
            // Some servers write the URL as JSON.
            let data = data.trim();
            let data = data
                .strip_prefix('"')
                .and_then(|data| data.strip_suffix('"'))
                .unwrap_or(data);
            let url = self.url().join(data).ok()?;
            // The messages carry the credential of the server.
            let is_same = url.origin() == self.url().origin();
            if !is_same {
                self.record_foreign_endpoint(&url);
            }
            return is_same.then(|| HttpSse {
                http: self.clone(),
                events,
                messages: Arc::new(url),
                requests: OpenRequests::default(),
            });
        }
        None
    }
}

/// Whether the data of an event without its name is the URL for messages. No message is only a path.
fn is_unnamed_endpoint(name: Option<&str>, data: &str) -> bool {
    let data = data.trim();
    let is_path = ["/", "http://", "https://"]
        .iter()
        .any(|start| data.starts_with(start));
    matches!(name, None | Some("" | "message")) && is_path && !data.contains(char::is_whitespace)
}

impl HttpSse {
    /// Records that the stream has ended before the answer to a request, which can only arrive there. If the stream broke off, the
    /// request is incomplete for the same reason.
    fn record_end(&self, is_broken: bool) {
        let collector = self.http.collector();
        let log = &collector.log;
        let is_ended_here = log.is_closed() || self.http.is_closed();
        let Some(method) = self.requests.first().filter(|_| !is_ended_here) else {
            return;
        };
        // If the server refuses the request, its status has more information.
        let is_accepted = |status| matches!(status, None | Some(200..300));
        if !is_accepted(log.last_status(RequestTarget::Mcp)) {
            return;
        }
        if is_broken {
            log.repeat_trouble(RequestTarget::Mcp);
        } else {
            let problem = format!("the event stream ended before the answer to `{method}`");
            collector.record_invalid_field("GET", &problem);
        }
    }
}

impl Transport<RoleClient> for HttpSse {
    type Error = Failure;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if !self.http.collector().log.is_closed() {
            self.requests.sent(&message);
        }
        let (http, url) = (self.http.clone(), self.messages.clone());
        async move { http.send_to(&url, &message).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let event = match self.events.next().await {
                Some(Ok(event)) => event,
                ended => {
                    self.record_end(ended.is_some());
                    return None;
                }
            };
            let data = event.data.as_deref().unwrap_or_default();
            // Other events are ignored.
            let is_starting = !self.http.collector().log.is_closed();
            let received = match read_message(data.as_bytes(), is_starting) {
                Received::Message(message) => {
                    match &*message {
                        JsonRpcMessage::Response(answer) => self.requests.answered(&answer.id),
                        JsonRpcMessage::Error(error) => {
                            error.id.as_ref().and_then(|id| self.requests.answered(id))
                        }
                        _ => None,
                    };
                    Some(*message)
                }
                Received::InvalidAnswer(answer) => {
                    self.requests.replace(answer, self.http.collector())
                }
                Received::Other => None,
            };
            if received.is_some() {
                return received;
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.events = futures::stream::empty().boxed();
        Ok(())
    }
}
