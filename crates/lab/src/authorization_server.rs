//! The discovery documents and the OAuth endpoints of a scenario. The scenario's state keeps the tokens and codes.

use std::collections::BTreeMap;

use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use crate::reply;
use crate::served::{AuthorizationCode, Grant, ServedScenario, Target};

/// The id that every client gets when it registers.
const REGISTERED_CLIENT_ID: &str = "client-1";

type Form = BTreeMap<String, String>;

/// The protected-resource metadata (RFC 9728, section 3.2), or the scenario's replacement.
pub(crate) async fn protected_resource(served: &ServedScenario) -> Response {
    match &served.scenario.discovery.protected_resource {
        Some(reply) => reply::send(reply, &served.urls).await,
        None => reply::json(StatusCode::OK, &protected_resource_document(served)),
    }
}

fn protected_resource_document(served: &ServedScenario) -> Value {
    let mut document = json!({
        "resource": served.urls.resource,
        "authorization_servers": [served.urls.issuer],
        "scopes_supported": ["mcp:tools"],
        "bearer_methods_supported": ["header"],
    });
    let fields = &served.scenario.discovery.protected_resource_fields;
    served.urls.set_fields(&mut document, fields);
    document
}

/// The authorization server's metadata (RFC 8414, section 2), or the scenario's replacement.
pub(crate) async fn metadata(served: &ServedScenario) -> Response {
    match &served.scenario.discovery.authorization_server {
        Some(reply) => reply::send(reply, &served.urls).await,
        None => reply::json(StatusCode::OK, &metadata_document(served)),
    }
}

fn metadata_document(served: &ServedScenario) -> Value {
    let issuer = &served.urls.issuer;
    let mut document = json!({
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
    let fields = &served.scenario.discovery.authorization_server_fields;
    served.urls.set_fields(&mut document, fields);
    document
}

/// Redirects the user back to the client with a code (RFC 6749, section 4.1), or with the parameters of the scenario.
pub(crate) fn authorize(served: &ServedScenario, query: &Form) -> Response {
    let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    // Without a known client and redirect URI, the server must not redirect (section 4.1.2.1).
    let Some(redirect_uri) = redirect_uri(served, query) else {
        return error_response(StatusCode::BAD_REQUEST, "invalid_request");
    };
    let metadata = metadata_document(served);
    let mut answer: BTreeMap<&str, String> = BTreeMap::new();
    answer.insert("state", field("state").to_owned());
    if metadata["authorization_response_iss_parameter_supported"] == true {
        answer.insert("iss", served.urls.issuer.clone());
    }
    let resource = granted_resource(served);
    let is_present = |name| !field(name).is_empty();
    let requirements = [
        (
            field("response_type") == "code",
            "unsupported_response_type",
        ),
        (is_present("state"), "invalid_request"),
        // RFC 7636, section 4.4.1.
        (
            is_present("code_challenge") && field("code_challenge_method") == "S256",
            "invalid_request",
        ),
        // RFC 8707, section 2.
        (
            query.get("resource").map(String::as_str) == parameter(&resource),
            "invalid_target",
        ),
    ];
    let violated = requirements.into_iter().find(|(is_met, _)| !is_met);
    let overrides = &served.scenario.authorization.answer;
    match violated {
        Some((_, error)) => {
            answer.insert("error", error.to_owned());
        }
        None if overrides.contains_key("error") => {}
        None => {
            let code = served.issue_code(AuthorizationCode {
                client_id: field("client_id").to_owned(),
                redirect_uri: field("redirect_uri").to_owned(),
                challenge: field("code_challenge").to_owned(),
                resource,
                scope: query.get("scope").cloned(),
            });
            answer.insert("code", code);
        }
    }
    for (name, value) in overrides {
        match value {
            Some(value) => answer.insert(name, served.urls.fill(value)),
            None => answer.remove(name.as_str()),
        };
    }
    let mut location = redirect_uri;
    location.query_pairs_mut().extend_pairs(answer);
    let mut response = reply::respond(StatusCode::FOUND, "");
    if let Ok(location) = HeaderValue::from_str(location.as_str()) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// The redirect URI of the request, or `None` if the client is unknown or has not registered this URI.
fn redirect_uri(served: &ServedScenario, query: &Form) -> Option<Url> {
    let (client_id, redirect_uri) = (query.get("client_id")?, query.get("redirect_uri")?);
    let configured = served.scenario.configured.as_ref();
    let is_configured = configured.and_then(|client| client.client_id.as_ref()) == Some(client_id);
    let accepts_documents =
        metadata_document(served)["client_id_metadata_document_supported"] == true;
    let has_document = accepts_documents && client_id.starts_with("https://");
    let is_registered = *client_id == registered_id(served) && served.is_registered(redirect_uri);
    let is_known = is_configured || has_document || is_registered;
    is_known.then(|| Url::parse(redirect_uri).ok())?
}

/// The resource that the server grants tokens for.
fn granted_resource(served: &ServedScenario) -> String {
    match &served.scenario.authorization.resource {
        Some(resource) => served.urls.fill(resource),
        None => protected_resource_document(served)["resource"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// The parameter for the granted resource, which must be absent if the resource is empty.
fn parameter(resource: &str) -> Option<&str> {
    (!resource.is_empty()).then_some(resource)
}

/// The token endpoint (RFC 6749, sections 4.1.3, 5 and 6), or the reply of the scenario's first matching rule.
pub(crate) async fn token(served: &ServedScenario, form: &Form, headers: &HeaderMap) -> Response {
    let endpoint = &served.scenario.token;
    let field = |name: &str| form.get(name).map(String::as_str);
    let (grant_type, refresh_token) = (field("grant_type"), field("refresh_token"));
    let rules = &endpoint.respond;
    let rule = served.matching_reply(Target::Token, rules, refresh_token, grant_type, "/token");
    if let Some(reply) = rule {
        return reply::send(reply, &served.urls).await;
    }
    let granted = match (grant_type, refresh_token) {
        (Some("refresh_token"), Some(refresh_token)) => authenticate_client(served, form, headers)
            .and_then(|_| served.refresh(refresh_token).ok_or("invalid_grant"))
            .map(|grant| (grant, None)),
        (Some("authorization_code"), _) => authenticate_client(served, form, headers)
            .and_then(|client_id| exchange_code(served, form, client_id.as_deref())),
        (None, _) | (Some("refresh_token"), None) => Err("invalid_request"),
        (Some(_), _) => Err("unsupported_grant_type"),
    };
    let mut response = match granted {
        Ok((grant, scope)) => {
            let mut granted = json!({
                "access_token": grant.access_token,
                "token_type": "Bearer",
            });
            let optional = [
                ("expires_in", endpoint.expires_in.map(Value::from)),
                ("refresh_token", grant.refresh_token.map(Value::from)),
                ("scope", scope.map(Value::from)),
            ];
            for (name, value) in optional {
                if let Some(value) = value {
                    granted[name] = value;
                }
            }
            reply::json(StatusCode::OK, &granted)
        }
        Err(error) => oauth_error(error),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Exchanges a code for tokens. Returns them with their scope.
fn exchange_code(
    served: &ServedScenario,
    form: &Form,
    client_id: Option<&str>,
) -> Result<(Grant, Option<String>), &'static str> {
    let field = |name: &str| form.get(name).map(String::as_str);
    let (Some(code), Some(verifier)) = (field("code"), field("code_verifier")) else {
        return Err("invalid_request");
    };
    let code = served.redeem_code(code).ok_or("invalid_grant")?;
    // RFC 7636, section 4.6.
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let matches_request = client_id == Some(&code.client_id)
        && field("redirect_uri") == Some(&code.redirect_uri)
        && challenge == code.challenge;
    if !matches_request {
        return Err("invalid_grant");
    }
    if field("resource") != parameter(&code.resource) {
        return Err("invalid_target");
    }
    Ok((served.grant(), code.scope))
}

/// The id of the client, if the request contains one (RFC 6749, section 2.3). A client that has a secret must send it, by a method
/// that the server allows.
fn authenticate_client(
    served: &ServedScenario,
    form: &Form,
    headers: &HeaderMap,
) -> Result<Option<String>, &'static str> {
    let (id, secret, method) = match headers.get(AUTHORIZATION) {
        Some(header) => {
            let (id, secret) = basic_credentials(header).ok_or("invalid_client")?;
            (Some(id), Some(secret), "client_secret_basic")
        }
        None => (
            form.get("client_id").cloned(),
            form.get("client_secret").cloned(),
            "client_secret_post",
        ),
    };
    let issued = &served.scenario.authorization.registered;
    let issued = |name: &str| {
        let text = issued.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    let issued_secret = issued("client_secret");
    let (stored, configured) = (&served.scenario.stored, &served.scenario.configured);
    let known_secret = match &id {
        Some(id) if *id == registered_id(served) => {
            let stored = stored
                .as_ref()
                .filter(|client| client.client_id.as_ref() == Some(id));
            Some(issued_secret.or(stored.and_then(|client| client.client_secret.as_deref())))
        }
        Some(_) => configured
            .as_ref()
            .filter(|client| client.client_id == id)
            .map(|client| client.client_secret.as_deref()),
        None => None,
    };
    let known_secret = match (known_secret, &secret) {
        (Some(Some(known_secret)), _) => known_secret,
        // A public client has no secret, so this one cannot be right.
        (Some(None), Some(_)) => return Err("invalid_client"),
        (Some(None), None) | (None, _) => return Ok(id),
    };
    // A client that was registered with the method `none` and a secret can use any supported method.
    let required_method = issued("token_endpoint_auth_method")
        .filter(|method| Some(known_secret) == issued_secret && *method != "none");
    let is_allowed = match (
        required_method,
        &metadata_document(served)["token_endpoint_auth_methods_supported"],
    ) {
        (Some(required), _) => required == method,
        (None, Value::Array(supported)) => supported.iter().any(|supported| supported == method),
        // The default of RFC 8414, section 2.
        (None, _) => method == "client_secret_basic",
    };
    match is_allowed && secret.as_deref() == Some(known_secret) {
        true => Ok(id),
        false => Err("invalid_client"),
    }
}

/// The client id and secret of a `Basic` header. Each is form-encoded (RFC 6749, section 2.3.1).
fn basic_credentials(header: &HeaderValue) -> Option<(String, String)> {
    let encoded = header.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |text: &str| {
        let pair = format!("={text}");
        let mut pairs = form_urlencoded::parse(pair.as_bytes());
        pairs.next().map(|(_, value)| value.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

/// Dynamic registration (RFC 7591). Every client gets the same id, and is a public client unless the scenario changes that.
pub(crate) async fn register(served: &ServedScenario, metadata: Option<Value>) -> Response {
    if let Some(reply) = &served.scenario.authorization.register {
        return reply::send(reply, &served.urls).await;
    }
    let Some(Value::Object(mut client)) = metadata else {
        return error_response(StatusCode::BAD_REQUEST, "invalid_client_metadata");
    };
    let redirect_uris = client.get("redirect_uris").and_then(Value::as_array);
    let redirect_uris: Vec<String> = redirect_uris
        .into_iter()
        .flatten()
        .filter_map(|uri| Some(uri.as_str()?.to_owned()))
        .collect();
    if redirect_uris.is_empty() {
        return error_response(StatusCode::BAD_REQUEST, "invalid_redirect_uri");
    }
    served.register(redirect_uris);
    client.insert("client_id".into(), json!(REGISTERED_CLIENT_ID));
    client.insert("token_endpoint_auth_method".into(), json!("none"));
    let mut answer = Value::Object(client);
    let fields = &served.scenario.authorization.registered;
    served.urls.set_fields(&mut answer, fields);
    reply::json(StatusCode::CREATED, &answer)
}

fn registered_id(served: &ServedScenario) -> &str {
    let fields = &served.scenario.authorization.registered;
    let id = fields.get("client_id").and_then(Value::as_str);
    id.unwrap_or(REGISTERED_CLIENT_ID)
}

/// Revokes a token (RFC 7009), or sends the reply of the scenario's first matching rule. A token that was never valid gets the same
/// answer (section 2.2).
pub(crate) async fn revoke(served: &ServedScenario, form: &Form, headers: &HeaderMap) -> Response {
    let token = form.get("token").map(String::as_str);
    let rules = &served.scenario.authorization.revoke;
    if let Some(reply) = served.matching_reply(Target::Other, rules, token, None, "/revoke") {
        return reply::send(reply, &served.urls).await;
    }
    match (authenticate_client(served, form, headers), token) {
        (Err(error), _) => oauth_error(error),
        (Ok(_), None) => oauth_error("invalid_request"),
        (Ok(_), Some(token)) => {
            served.revoke(token);
            reply::respond(StatusCode::OK, "")
        }
    }
}

/// An error response of the token endpoint (RFC 6749, section 5.2).
fn oauth_error(error: &str) -> Response {
    let status = match error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    error_response(status, error)
}

fn error_response(status: StatusCode, error: &str) -> Response {
    reply::json(status, &json!({ "error": error }))
}
