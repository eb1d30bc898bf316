//! Sends the requests of a start to a server until one shows which authorization it requires. It leaves no session open.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use mcp_startup_auth::CredentialRecord;
use mcp_startup_config::HttpConfig;
use reqwest::{RequestBuilder, Response};
use secrecy::ExposeSecret;

use crate::shared_context::SharedContext;
use crate::transport::http::{challenge, configured_headers, media_types};

/// The version that the probe speaks with servers that support `initialize`.
const LEGACY: &str = "2025-11-25";
/// The version that the probe speaks with the other servers.
const MODERN: &str = "2026-07-28";

const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"mcp-startup","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const LIST_TOOLS: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;

/// A request of 2026-07-28.
macro_rules! modern {
    ($method:literal) => {
        (
            $method,
            concat!(
                r#"{"jsonrpc":"2.0","id":1,"method":""#,
                $method,
                r#"","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
                r#""io.modelcontextprotocol/clientCapabilities":{},"#,
                r#""io.modelcontextprotocol/clientInfo":{"name":"mcp-startup","version":""#,
                env!("CARGO_PKG_VERSION"),
                r#""}}}}"#
            ),
        )
    };
}
/// The methods and bodies of a start of 2026-07-28.
const MODERN_REQUESTS: [(&str, &str); 2] = [modern!("server/discover"), modern!("tools/list")];

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
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

impl Probed {
    /// Returns `None` if the answer does not show which authorization the server requires.
    fn of(response: &Response) -> Option<Self> {
        let status = response.status();
        let challenge = challenge(response.headers());
        let refuses = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        (refuses || challenge.is_some()).then_some(Self {
            challenge,
            needs_more: status == StatusCode::FORBIDDEN,
        })
    }
}

/// Sends the requests of a start with the stored token, until the server refuses one for lack of authorization. Some servers require
/// authorization only for the list of tools.
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
    let post = |body| authorized(client.post(http.url.clone())).body(body);
    let Ok(response) = post(INITIALIZE).send().await else {
        return Probed::default();
    };
    let mut probed = Probed::of(&response);
    let mut accepted = response.status().is_success();
    let session = response.headers().get(SESSION_ID).cloned();
    // The body of an event stream may never end.
    drop(response);

    if accepted {
        let in_session = |request: RequestBuilder| {
            let request = request.header(PROTOCOL_VERSION, LEGACY);
            match &session {
                Some(session) => request.header(SESSION_ID, session),
                None => request,
            }
        };
        for body in [INITIALIZED, LIST_TOOLS] {
            if probed.is_some() {
                break;
            }
            let Ok(answer) = in_session(post(body)).send().await else {
                break;
            };
            probed = Probed::of(&answer);
            accepted = answer.status().is_success();
        }
        if session.is_some() {
            let delete = in_session(authorized(client.delete(http.url.clone())));
            // A server that does not support this answers 405. In any case, nothing more can be done.
            let _ = tokio::time::timeout(CLOSE_LIMIT, delete.send()).await;
        }
    }
    // Some servers answer `initialize` with an error and HTTP 200.
    if !accepted {
        for (method, body) in MODERN_REQUESTS {
            if probed.is_some() {
                break;
            }
            let request = post(body)
                .header(PROTOCOL_VERSION, MODERN)
                .header(METHOD, method);
            let Ok(answer) = request.send().await else {
                break;
            };
            probed = Probed::of(&answer);
            if !answer.status().is_success() {
                break;
            }
        }
    }
    probed.unwrap_or_default()
}
