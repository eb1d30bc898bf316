//! The discovery documents and the OAuth endpoints.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::response::Response;
use serde_json::{Value, json};

use crate::reply;
use crate::served::{Served, Target};

/// The protected-resource metadata (RFC 9728, section 3.2), or what the row has in its place.
pub(crate) async fn protected_resource(served: &Served) -> Response {
    if let Some(reply) = &served.scenario.discovery.protected_resource {
        return reply::send(reply, &served.places).await;
    }
    let document = json!({
        "resource": served.places.resource,
        "authorization_servers": [served.places.issuer],
        "scopes_supported": ["mcp:tools"],
        "bearer_methods_supported": ["header"],
    });
    reply::json(StatusCode::OK, &document)
}

/// The authorization server's metadata (RFC 8414, section 2), or what the row has in its place.
pub(crate) async fn metadata(served: &Served) -> Response {
    if let Some(reply) = &served.scenario.discovery.authorization_server {
        return reply::send(reply, &served.places).await;
    }
    let issuer = &served.places.issuer;
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/register"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "scopes_supported": ["mcp:tools"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
    });
    reply::json(StatusCode::OK, &document)
}

/// The token endpoint (RFC 6749, sections 5 and 6), or what the row has in its place.
pub(crate) async fn token(served: &Served, form: &BTreeMap<String, String>) -> Response {
    let endpoint = &served.scenario.token;
    let field = |name: &str| form.get(name).map(String::as_str);
    let (grant_type, refresh_token) = (field("grant_type"), field("refresh_token"));
    let rules = &endpoint.respond;
    let rule = served.ruled(Target::Token, rules, refresh_token, grant_type, "/token");
    if let Some(reply) = rule {
        return reply::send(reply, &served.places).await;
    }
    let mut response = match (grant_type, refresh_token) {
        (Some("refresh_token"), Some(refresh_token)) => match served.refresh(refresh_token) {
            Some(grant) => {
                let mut granted = json!({
                    "access_token": grant.access_token,
                    "token_type": "Bearer",
                });
                if let Some(seconds) = endpoint.expires_in {
                    granted["expires_in"] = json!(seconds);
                }
                if let Some(refresh_token) = grant.refresh_token {
                    granted["refresh_token"] = json!(refresh_token);
                }
                reply::json(StatusCode::OK, &granted)
            }
            None => refusal("invalid_grant"),
        },
        (None, _) | (Some("refresh_token"), None) => refusal("invalid_request"),
        (Some(_), _) => refusal("unsupported_grant_type"),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Dynamic registration (RFC 7591): everyone is the same public client.
pub(crate) fn register(metadata: Option<Value>) -> Response {
    let Some(Value::Object(mut client)) = metadata else {
        return refusal("invalid_client_metadata");
    };
    client.insert("client_id".into(), json!("client-1"));
    client.insert("token_endpoint_auth_method".into(), json!("none"));
    reply::json(StatusCode::CREATED, &client.into())
}

fn refusal(error: &str) -> Response {
    reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error }))
}
