//! Access for the targets in `fuzz/` to the reading of HTTP answers. Compiled only with `cfg(fuzzing)`.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use futures::{StreamExt, stream};
use mcp_startup_auth::Mask;
use mcp_startup_auth::network::Network;
use mcp_startup_config::{HttpConfig, ServerConfig, TransportConfig};
use mcp_startup_core::{CredentialSent, Evidence, RequestEvidence, RequestTarget};
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ListToolsRequest, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_client::StreamableHttpPostResponse;

use super::answer::Answer;
use super::{McpHttp, challenge};
use crate::authorization::{Authorization, Sends};
use crate::start::evidence_collector::EvidenceCollector;

/// The result of reading an answer.
pub struct Reading {
    /// The messages that the SDK receives.
    pub messages: usize,
    /// The challenge for discovery.
    pub challenge: Option<String>,
    pub evidence: Evidence,
}

static CONFIG: LazyLock<HttpConfig> = LazyLock::new(|| {
    let config = ServerConfig::http("server", "https://mcp.example/mcp").expect("a server");
    match config.transport {
        TransportConfig::Http(http) => http,
        TransportConfig::Stdio(_) => unreachable!("the URL is one of HTTP"),
    }
});

static NETWORK: LazyLock<Network> = LazyLock::new(|| Network::new().expect("a client"));

/// Reads an answer to `tools/list`, whose body arrives in chunks. `secret` is a secret of the start.
pub async fn read(mut answer: http::Response<Vec<Bytes>>, secret: &str) -> Reading {
    let chunks = std::mem::take(answer.body_mut());
    let answer = answer.map(|_| {
        let chunks = chunks.into_iter().map(Ok::<_, std::convert::Infallible>);
        reqwest::Body::wrap_stream(stream::iter(chunks))
    });
    let response = reqwest::Response::from(answer);
    let mut mask = Mask::default();
    mask.add(secret);
    let collector = Arc::new(EvidenceCollector::new("server".to_owned(), mask, |_| {}));
    let authorization = Authorization::starting_with(Sends::Nothing, None, None);
    let (http, _guard) = McpHttp::open(
        NETWORK.clone(),
        &CONFIG,
        authorization,
        collector.clone(),
        None,
    );
    http.answered();
    let message = ClientJsonRpcMessage::request(
        ClientRequest::ListToolsRequest(ListToolsRequest::default()),
        RequestId::Number(1),
    );
    let sent = collector.log.sent(RequestEvidence {
        to: Some(RequestTarget::Mcp),
        method: Some("tools/list".to_owned()),
        ..RequestEvidence::default()
    });
    sent.note(|evidence| http.record_response(evidence, &response));
    let challenge = challenge(response.headers());
    let answer = Answer {
        response,
        sent,
        credential_sent: CredentialSent::None,
        sent_session: false,
    };
    let messages = match http.read(answer, &message).await {
        Ok(StreamableHttpPostResponse::Sse(mut events, _)) => {
            let mut messages = 0;
            while let Some(Ok(event)) = events.next().await {
                let data = event.data.as_deref().unwrap_or_default();
                messages += usize::from(serde_json::from_str::<ServerJsonRpcMessage>(data).is_ok());
            }
            messages
        }
        Ok(StreamableHttpPostResponse::Json(..)) => 1,
        Ok(_) => 0,
        Err(error) => {
            collector.record_error(&error);
            0
        }
    };
    Reading {
        messages,
        challenge,
        evidence: collector.evidence(),
    }
}
