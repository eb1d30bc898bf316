//! The HTTP requests of all scenarios: finds the scenario and the endpoint by path, records the request, and calls the endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::scenario::{Scenario, ScenarioUrls};
use crate::served::{RecordedRequest, ServedScenario, Target};
use crate::{authorization_server, mcp_endpoint, protocol, reply};

/// The largest request body. No client under test sends more.
const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// The parameters of requests to the authorization server that are recorded. None of them is a secret.
const RECORDED_PARAMETERS: [&str; 9] = [
    "client_id",
    "code_challenge_method",
    "grant_type",
    "prompt",
    "redirect_uri",
    "resource",
    "response_type",
    "scope",
    "token_type_hint",
];

/// Everything that a lab serves.
#[derive(Debug)]
pub(crate) struct ServedScenarios {
    pub(crate) rows: Vec<Scenario>,
    pub(crate) base: String,
    pub(crate) by_name: BTreeMap<String, ServedScenario>,
}

impl ServedScenarios {
    pub(crate) fn new(rows: Vec<Scenario>, base: String) -> Self {
        let served = |row: &Scenario| (row.name.clone(), ServedScenario::new(row.clone(), &base));
        let by_name = rows.iter().map(served).collect();
        Self {
            rows,
            base,
            by_name,
        }
    }
}

/// The router of a lab.
pub(crate) fn router(served: Arc<ServedScenarios>) -> Router {
    Router::new().fallback(handle).with_state(served)
}

/// The endpoint of a scenario that a path addresses.
#[derive(Debug, PartialEq, Eq)]
enum Endpoint {
    Mcp,
    ProtectedResource,
    AuthorizationServer,
    /// A well-known path without a document.
    NoDocument,
    Authorize,
    Token,
    Register,
    Revoke,
    Requests,
    Page,
}

impl Endpoint {
    fn target(&self) -> Target {
        match self {
            Self::Mcp => Target::Mcp,
            Self::ProtectedResource | Self::AuthorizationServer | Self::NoDocument => {
                Target::Discovery
            }
            Self::Token => Target::Token,
            Self::Authorize | Self::Register | Self::Revoke | Self::Requests | Self::Page => {
                Target::Other
            }
        }
    }
}

/// The scenario's name, the path below it, and the endpoint.
fn parse_path(path: &str) -> (&str, &str, Endpoint) {
    if let Some(document) = path.strip_prefix("/.well-known/") {
        let (document, rest) = split_first_segment(document);
        let (name, subpath) = split_first_segment(rest);
        let endpoint = match (document, subpath) {
            ("oauth-protected-resource", "/mcp") => Endpoint::ProtectedResource,
            ("oauth-authorization-server" | "openid-configuration", "") => {
                Endpoint::AuthorizationServer
            }
            _ => Endpoint::NoDocument,
        };
        return (name, subpath, endpoint);
    }
    let (name, subpath) = split_first_segment(path);
    let endpoint = match subpath {
        "/mcp" | "/mcp/" => Endpoint::Mcp,
        "/.well-known/openid-configuration" => Endpoint::AuthorizationServer,
        "/authorize" => Endpoint::Authorize,
        "/token" => Endpoint::Token,
        "/register" => Endpoint::Register,
        "/revoke" => Endpoint::Revoke,
        "/requests" => Endpoint::Requests,
        _ if subpath.starts_with("/.well-known/") => Endpoint::NoDocument,
        _ => Endpoint::Page,
    };
    (name, subpath, endpoint)
}

/// The first segment of a path, and the rest. The rest is empty or begins with `/`.
fn split_first_segment(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_at(path.find('/').unwrap_or(path.len()))
}

async fn handle(State(lab): State<Arc<ServedScenarios>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if path == "/" {
        return reply::json(StatusCode::OK, &list_scenarios(&lab));
    }
    let (name, subpath, endpoint) = parse_path(path);
    let Some(served) = lab.by_name.get(name) else {
        let text = format!(
            "Unknown scenario `{name}`. {}/ lists all scenarios.",
            lab.base
        );
        return reply::json(StatusCode::NOT_FOUND, &json!({ "error": text }));
    };
    if endpoint == Endpoint::Requests {
        return match serde_json::to_value(served.requests()) {
            Ok(requests) => reply::json(StatusCode::OK, &requests),
            Err(_) => reply::respond(StatusCode::INTERNAL_SERVER_ERROR, ""),
        };
    }
    let Ok(body) = to_bytes(body, MAX_REQUEST_BYTES).await else {
        return reply::respond(StatusCode::PAYLOAD_TOO_LARGE, "");
    };
    let message: Option<Value> = serde_json::from_slice(&body).ok();
    let encoded_form: &[u8] = match endpoint {
        Endpoint::Token | Endpoint::Revoke => &body,
        Endpoint::Authorize => parts.uri.query().unwrap_or_default().as_bytes(),
        _ => b"",
    };
    let form: BTreeMap<String, String> =
        form_urlencoded::parse(encoded_form).into_owned().collect();
    let token = match endpoint {
        Endpoint::Token => form.get("refresh_token").cloned(),
        Endpoint::Revoke => form.get("token").cloned(),
        _ => bearer_token(&parts.headers),
    };
    let rpc_method = message
        .as_ref()
        .filter(|_| endpoint == Endpoint::Mcp)
        .and_then(protocol::method);
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let recorded_parameters = form
        .iter()
        .filter(|(name, _)| RECORDED_PARAMETERS.contains(&name.as_str()));
    let record = RecordedRequest {
        to: endpoint.target(),
        method: parts.method.to_string(),
        host: host.map(str::to_owned),
        path: path.to_owned(),
        rpc_method: rpc_method.map(str::to_owned),
        token: String::new(),
        parameters: recorded_parameters
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    };
    served.record(record, token.as_deref());

    let is_post = parts.method == Method::POST;
    match (endpoint, &served.scenario.mcp) {
        (Endpoint::Mcp, Some(mcp)) => {
            let request = mcp_endpoint::McpRequest {
                http_method: &parts.method,
                path: subpath,
                token: token.as_deref(),
                message: message.as_ref(),
            };
            mcp_endpoint::answer(served, mcp, request).await
        }
        (Endpoint::ProtectedResource, Some(_)) => {
            authorization_server::protected_resource(served).await
        }
        (Endpoint::AuthorizationServer, Some(_)) => authorization_server::metadata(served).await,
        (Endpoint::Authorize, Some(_)) if parts.method == Method::GET => {
            authorization_server::authorize(served, &form)
        }
        (Endpoint::Token, Some(_)) if is_post => {
            authorization_server::token(served, &form, &parts.headers).await
        }
        (Endpoint::Register, Some(_)) if is_post => {
            authorization_server::register(served, message).await
        }
        (Endpoint::Revoke, Some(_)) if is_post => {
            authorization_server::revoke(served, &form, &parts.headers).await
        }
        _ => match served.scenario.pages.get(subpath) {
            Some(page) => reply::send(page, &served.urls).await,
            None => {
                let text = format!(
                    "The scenario `{name}` does not handle {} {path}.",
                    parts.method
                );
                reply::json(StatusCode::NOT_FOUND, &json!({ "error": text }))
            }
        },
    }
}

/// The bearer token of the `Authorization` header. With another scheme, the whole value counts as the token.
fn bearer_token(headers: &HeaderMap) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(AUTHORIZATION)?.as_bytes());
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ if value.eq_ignore_ascii_case("bearer") => "",
        _ => &value,
    };
    Some(token.to_owned())
}

/// The document at `/`. It contains what you need to point any client at a scenario.
fn list_scenarios(lab: &ServedScenarios) -> Value {
    let entry = |row: &Scenario| {
        let urls = ScenarioUrls::new(&lab.base, &row.name);
        json!({
            "name": row.name,
            "about": row.about,
            "because": row.because,
            "url": row.mcp.as_ref().map(|_| &urls.resource),
            "stdio": row.stdio,
            "stored": urls.fill_json(&json!(row.stored)),
            "configured": row.configured,
            "startupTimeoutSec": row.startup_timeout_sec,
            "expect": row.expect,
        })
    };
    lab.rows.iter().map(entry).collect()
}
