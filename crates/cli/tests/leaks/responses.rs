//! HTTP/1.1 responses, as text.

use serde_json::{Value, json};

use crate::echoes::Echoed;
use crate::harness::http_server::Request;

pub fn response(status: u16, content_type: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers: String = headers.collect();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

pub fn text(status: u16, content_type: &str, body: &str) -> String {
    response(status, content_type, &[], body)
}

pub fn json(status: u16, body: Value) -> String {
    text(status, "application/json", &body.to_string())
}

pub fn challenge(status: u16, parameters: &str) -> String {
    let challenge = format!("Bearer {parameters}");
    response(
        status,
        "text/plain",
        &[("WWW-Authenticate", &challenge)],
        "",
    )
}

pub fn redirect(status: u16, location: &str) -> String {
    response(status, "text/html", &[("Location", location)], location)
}

pub fn events(event: &str) -> String {
    text(200, "text/event-stream", &format!("{event}\n\n"))
}

pub fn error(request: &Request, code: i32, message: &str, data: Value) -> Value {
    let error = json!({ "code": code, "message": message, "data": data });
    json!({ "jsonrpc": "2.0", "id": request.body["id"], "error": error })
}

/// The response of a working MCP server.
pub fn successful(request: &Request) -> String {
    match (request.method.as_str(), request.body.get("id").is_some()) {
        ("POST", true) => json(200, request.successful_response()),
        ("POST", false) => text(202, "text/plain", ""),
        _ => text(405, "text/plain", ""),
    }
}

/// The response of a working MCP server whose session id is the secret. `end` is its response when the client ends the session.
pub fn in_a_session(request: &Request, echoed: &Echoed<'_>, end: impl Fn() -> String) -> String {
    match (request.method.as_str(), request.rpc_method()) {
        ("DELETE", _) => end(),
        (_, "initialize") => {
            let body = request.successful_response().to_string();
            response(
                200,
                "application/json",
                &[("Mcp-Session-Id", echoed.secret)],
                &body,
            )
        }
        _ => successful(request),
    }
}

/// The metadata of an authorization server whose endpoints are below `base`.
pub fn metadata_of(issuer: &str, base: &str) -> Value {
    json!({
        "issuer": issuer, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
        "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
    })
}
