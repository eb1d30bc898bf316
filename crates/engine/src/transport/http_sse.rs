//! The transport HTTP+SSE of MCP 2024-11-05: the server sends its messages as events of one stream, and the first event names the URL
//! for the messages of the client.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use rmcp::RoleClient;
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
            if event.event.as_deref() != Some("endpoint") {
                continue;
            }
            let url = self.url().join(event.data?.trim()).ok()?;
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
            let event = self.events.next().await?.ok()?;
            let data = event.data.as_deref().unwrap_or_default();
            // Other events are ignored.
            let received = match read_message(data.as_bytes()) {
                Received::Message(message) => Some(*message),
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
