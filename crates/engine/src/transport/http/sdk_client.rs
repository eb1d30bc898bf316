//! [`McpHttp`] as the HTTP client of the SDK's transport.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use mcp_startup_core::RequestEvidence;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    StreamableHttpResponseLimits,
};
use sse_stream::Sse;

use super::{Failure, McpHttp, RequestError};

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

    /// Ignores the limits of the SDK's transport: this client has its own.
    async fn post_message_with_response_limits(
        &self,
        _uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        _limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        tokio::select! {
            biased;
            () = self.shared.closed.cancelled() => Err(StreamableHttpError::TransportChannelClosed),
            answer = self.exchange(message, session_id, custom_headers) => answer,
        }
    }

    async fn delete_session(
        &self,
        _uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        let open = self
            .lock_session()
            .take_if(|session| *session == session_id);
        match open {
            Some(_) => self.delete(&session_id, custom_headers).await,
            None => Ok(()),
        }
    }

    async fn get_stream(
        &self,
        _uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        // A check needs a stream only to resume an answer that was interrupted.
        if last_event_id.is_none() {
            let Some(running) = &self.shared.running_starts else {
                return Err(StreamableHttpError::ServerDoesNotSupportSse);
            };
            running.ended().await;
        }
        let session_id = session_id.as_deref();
        let evidence = RequestEvidence::default();
        let opening = self.open_events(
            session_id,
            last_event_id.as_deref(),
            custom_headers,
            evidence,
        );
        Ok(self.messages_of(opening.await?, None))
    }
}
