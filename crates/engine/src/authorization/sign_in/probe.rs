//! Sends one request to a server to learn which authorization it requires. It leaves no session open.

use std::time::Duration;

use http::HeaderName;
use mcp_startup_auth::CredentialRecord;
use mcp_startup_config::HttpConfig;
use reqwest::RequestBuilder;
use secrecy::ExposeSecret;

use crate::shared_context::SharedContext;
use crate::transport::http::{challenge, configured_headers, media_types};

/// The version of MCP that the probe speaks.
const VERSION: &str = "2025-11-25";
/// The request that shows which authorization a server requires: an `initialize`, which every server supports.
const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"mcp-startup","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The limit for ending the session that the server has opened.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The authorization that a server requires, according to its answer.
#[derive(Default)]
pub(super) struct Probed {
    /// The `WWW-Authenticate` header of the answer.
    pub challenge: Option<String>,
    /// Whether the server requires more scopes than were granted.
    pub needs_more: bool,
}

/// Sends an `initialize` request with the stored token, and ends the session that the server opens for it.
pub(super) async fn probe(
    shared: &SharedContext,
    http: &HttpConfig,
    record: Option<&CredentialRecord>,
) -> Probed {
    let client = shared.network.server_client();
    let authorized = |request: RequestBuilder| {
        let mut headers = configured_headers(http);
        headers.extend(media_types());
        let request = request.headers(headers);
        match record.and_then(CredentialRecord::access_token) {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    };
    let initialize = authorized(client.post(http.url.clone())).body(INITIALIZE);
    let Ok(response) = initialize.send().await else {
        return Probed::default();
    };
    let probed = Probed {
        challenge: challenge(response.headers()),
        needs_more: response.status() == http::StatusCode::FORBIDDEN,
    };
    if let Some(session) = response.headers().get(SESSION_ID).cloned() {
        // The body of an event stream may never end.
        drop(response);
        let delete = authorized(client.delete(http.url.clone()))
            .header(SESSION_ID, session)
            .header(PROTOCOL_VERSION, VERSION);
        // A server that does not support this answers 405. In any case, nothing more can be done.
        let _ = tokio::time::timeout(CLOSE_LIMIT, delete.send()).await;
    }
    probed
}
