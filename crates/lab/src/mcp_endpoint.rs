//! The MCP endpoint of a scenario over Streamable HTTP: rules, authorization, and the transport around the protocol's answers.

use axum::http::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::Value;

use crate::protocol::{Answer, Protocol, error, method};
use crate::reply;
use crate::scenario::McpEndpoint;
use crate::served::{ServedScenario, Target};

/// The parts of an HTTP request that the endpoint looks at.
pub(crate) struct McpRequest<'a> {
    pub(crate) http_method: &'a Method,
    /// The path below `/NAME`.
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
    /// The body, if it is valid JSON.
    pub(crate) message: Option<&'a Value>,
}

pub(crate) async fn answer(
    served: &ServedScenario,
    mcp: &McpEndpoint,
    request: McpRequest<'_>,
) -> Response {
    let rpc_method = request.message.and_then(method);
    let rule = served.matching_reply(
        Target::Mcp,
        &mcp.respond,
        request.token,
        rpc_method,
        request.path,
    );
    if let Some(reply) = rule {
        return reply::send(reply, &served.urls).await;
    }
    if !served.accepts(&mcp.serves, request.token) {
        return match &mcp.unauthorized {
            Some(reply) => reply::send(reply, &served.urls).await,
            None => challenge(served, request.token),
        };
    }
    if request.http_method == Method::DELETE {
        return reply::respond(StatusCode::OK, "");
    }
    if request.http_method != Method::POST {
        let mut response = reply::respond(StatusCode::METHOD_NOT_ALLOWED, "");
        let allowed = HeaderValue::from_static("POST, DELETE");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    let protocol = Protocol {
        era: mcp.era,
        version: mcp.protocol_version.as_deref(),
        tools: mcp.tools,
    };
    let answer = match request.message {
        Some(message) => protocol.answer(message),
        None => Answer::Malformed(error(&Value::Null, -32700, "Parse error")),
    };
    match answer {
        Answer::Nothing => reply::respond(StatusCode::ACCEPTED, ""),
        Answer::Message(message) => {
            let mut response = if mcp.sse {
                let event = format!("event: message\ndata: {message}\n\n");
                reply::typed(StatusCode::OK, "text/event-stream", event)
            } else {
                reply::json(StatusCode::OK, &message)
            };
            if rpc_method == Some("initialize")
                && let Some(Ok(id)) = mcp.session_id.as_deref().map(HeaderValue::from_str)
            {
                response.headers_mut().insert("mcp-session-id", id);
            }
            response
        }
        Answer::UnknownMethod {
            modern: false,
            message,
        } => reply::json(StatusCode::OK, &message),
        Answer::UnknownMethod {
            modern: true,
            message,
        } => reply::json(StatusCode::NOT_FOUND, &message),
        Answer::Malformed(message) => reply::json(StatusCode::BAD_REQUEST, &message),
    }
}

/// A 401 with the challenge of RFC 6750, section 3, and the metadata URL of RFC 9728, section 5.1.
fn challenge(served: &ServedScenario, token: Option<&str>) -> Response {
    let prm = &served.urls.prm;
    let challenge = match token {
        None => format!("Bearer resource_metadata=\"{prm}\""),
        Some(_) => format!("Bearer error=\"invalid_token\", resource_metadata=\"{prm}\""),
    };
    let mut response = reply::respond(StatusCode::UNAUTHORIZED, "");
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}
