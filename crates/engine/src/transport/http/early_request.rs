//! The request for the tool list that is sent together with `server/discover`. See [`super::super::early_tool_list`].

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use rmcp::model::ClientJsonRpcMessage;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::{McpHttp, media_types};
use crate::authorization::Sends;
use crate::transport::early_tool_list::tool_list_after;

const METHOD: HeaderName = HeaderName::from_static("mcp-method");

/// A request that was sent before the SDK asked for it. Its response is not read before.
pub(super) struct EarlyRequest {
    url: Url,
    sends: Sends,
    body: Bytes,
    response: AbortOnDropHandle<Option<reqwest::Response>>,
}

impl EarlyRequest {
    /// Returns the response if this is the same request. `None` if it could not be sent, or if the refusal may be due to the two
    /// requests at the same time, such as that of a rate limit: the request on its own may succeed.
    pub async fn response_to(
        self,
        url: &Url,
        sends: &Sends,
        body: &Bytes,
    ) -> Option<reqwest::Response> {
        let is_same = self.url == *url && self.sends.token() == sends.token() && self.body == *body;
        match is_same {
            true => {
                let response = self.response.await.ok().flatten();
                response.filter(|response| {
                    response.status().is_success() || response.status() == StatusCode::UNAUTHORIZED
                })
            }
            false => None,
        }
    }
}

impl McpHttp {
    /// Sends the request for the tool list if `message` is `server/discover`. `headers` are those of `message`.
    pub(super) fn send_early(
        &self,
        message: &ClientJsonRpcMessage,
        headers: &HashMap<HeaderName, HeaderValue>,
    ) -> Option<EarlyRequest> {
        let list = tool_list_after(message)?;
        let body = Bytes::from(serde_json::to_vec(&list).ok()?);
        let mut headers = headers.clone();
        if let Some(method) = headers.get_mut(&METHOD) {
            *method = HeaderValue::from_static("tools/list");
        }
        let (url, sends) = (self.current_url(), self.shared.authorization.sends());
        let headers = headers.into_iter().chain(media_types());
        let request = self.request(Method::POST, &url, &sends, None, headers);
        let request = request.ok()?.body(body.clone());
        let closed = self.shared.closed.clone();
        let response = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = closed.cancelled() => None,
                response = request.send() => response.ok(),
            }
        });
        Some(EarlyRequest {
            url,
            sends,
            body,
            response: AbortOnDropHandle::new(response),
        })
    }
}
