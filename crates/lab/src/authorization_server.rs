//! The discovery documents and the OAuth endpoints.

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
use crate::served::{Code, Grant, Served, Target};

/// The id of every client that registers.
const REGISTERED: &str = "client-1";

type Form = BTreeMap<String, String>;

/// The protected-resource metadata (RFC 9728, section 3.2), or what the row has in its place.
pub(crate) async fn protected_resource(served: &Served) -> Response {
    match &served.scenario.discovery.protected_resource {
        Some(reply) => reply::send(reply, &served.places).await,
        None => reply::json(StatusCode::OK, &protected_resource_document(served)),
    }
}

fn protected_resource_document(served: &Served) -> Value {
    let mut document = json!({
        "resource": served.places.resource,
        "authorization_servers": [served.places.issuer],
        "scopes_supported": ["mcp:tools"],
        "bearer_methods_supported": ["header"],
    });
    let fields = &served.scenario.discovery.protected_resource_fields;
    served.places.put_in(&mut document, fields);
    document
}

/// The authorization server's metadata (RFC 8414, section 2), or what the row has in its place.
pub(crate) async fn metadata(served: &Served) -> Response {
    match &served.scenario.discovery.authorization_server {
        Some(reply) => reply::send(reply, &served.places).await,
        None => reply::json(StatusCode::OK, &metadata_document(served)),
    }
}

fn metadata_document(served: &Served) -> Value {
    let issuer = &served.places.issuer;
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
    served.places.put_in(&mut document, fields);
    document
}

/// Sends the user back with a code (RFC 6749, section 4.1), or with what the row says.
pub(crate) fn authorize(served: &Served, query: &Form) -> Response {
    let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    // Who can't be trusted is not sent anywhere (section 4.1.2.1).
    let Some(redirect_uri) = redirect_uri(served, query) else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request");
    };
    let metadata = metadata_document(served);
    let mut answer: BTreeMap<&str, String> = BTreeMap::new();
    answer.insert("state", field("state").to_owned());
    if metadata["authorization_response_iss_parameter_supported"] == true {
        answer.insert("iss", served.places.issuer.clone());
    }
    let resource = resource(served);
    let has = |name| !field(name).is_empty();
    let rules = [
        (
            field("response_type") == "code",
            "unsupported_response_type",
        ),
        (has("state"), "invalid_request"),
        // RFC 7636, section 4.4.1.
        (
            has("code_challenge") && field("code_challenge_method") == "S256",
            "invalid_request",
        ),
        // RFC 8707, section 2.
        (field("resource") == resource, "invalid_target"),
    ];
    let wrong = rules.into_iter().find(|(is_kept, _)| !is_kept);
    let answers = &served.scenario.authorization.answer;
    match wrong {
        Some((_, error)) => {
            answer.insert("error", error.to_owned());
        }
        None if answers.contains_key("error") => {}
        None => {
            let code = served.give_code(Code {
                client_id: field("client_id").to_owned(),
                redirect_uri: field("redirect_uri").to_owned(),
                challenge: field("code_challenge").to_owned(),
                resource,
                scope: query.get("scope").cloned(),
            });
            answer.insert("code", code);
        }
    }
    for (name, value) in answers {
        match value {
            Some(value) => answer.insert(name, served.places.fill(value)),
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

/// Where the client's user may be sent; `None` where the client is not known, or has another redirect URI.
fn redirect_uri(served: &Served, query: &Form) -> Option<Url> {
    let (client_id, redirect_uri) = (query.get("client_id")?, query.get("redirect_uri")?);
    let configured = served.scenario.configured.as_ref();
    let is_configured = configured.and_then(|client| client.client_id.as_ref()) == Some(client_id);
    let takes_documents =
        metadata_document(served)["client_id_metadata_document_supported"] == true;
    let has_document = takes_documents && client_id.starts_with("https://");
    let is_registered = *client_id == registered_id(served) && served.is_registered(redirect_uri);
    let is_known = is_configured || has_document || is_registered;
    is_known.then(|| Url::parse(redirect_uri).ok())?
}

/// The resource that tokens are granted for.
fn resource(served: &Served) -> String {
    match &served.scenario.authorization.resource {
        Some(resource) => served.places.fill(resource),
        None => protected_resource_document(served)["resource"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// The token endpoint (RFC 6749, sections 4.1.3, 5 and 6), or what the row has in its place.
pub(crate) async fn token(served: &Served, form: &Form, headers: &HeaderMap) -> Response {
    let endpoint = &served.scenario.token;
    let field = |name: &str| form.get(name).map(String::as_str);
    let (grant_type, refresh_token) = (field("grant_type"), field("refresh_token"));
    let rules = &endpoint.respond;
    let rule = served.ruled(Target::Token, rules, refresh_token, grant_type, "/token");
    if let Some(reply) = rule {
        return reply::send(reply, &served.places).await;
    }
    let granted = match (grant_type, refresh_token) {
        (Some("refresh_token"), Some(refresh_token)) => client(served, form, headers)
            .and_then(|_| served.refresh(refresh_token).ok_or("invalid_grant"))
            .map(|grant| (grant, None)),
        (Some("authorization_code"), _) => client(served, form, headers)
            .and_then(|client_id| exchange(served, form, client_id.as_deref())),
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
        Err(error) => refused(error),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The tokens for a code, and their scope.
fn exchange(
    served: &Served,
    form: &Form,
    client_id: Option<&str>,
) -> Result<(Grant, Option<String>), &'static str> {
    let field = |name: &str| form.get(name).map(String::as_str);
    let (Some(code), Some(verifier)) = (field("code"), field("code_verifier")) else {
        return Err("invalid_request");
    };
    let code = served.take_code(code).ok_or("invalid_grant")?;
    // RFC 7636, section 4.6.
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let is_its = client_id == Some(&code.client_id)
        && field("redirect_uri") == Some(&code.redirect_uri)
        && challenge == code.challenge;
    if !is_its {
        return Err("invalid_grant");
    }
    if field("resource") != Some(&code.resource) {
        return Err("invalid_target");
    }
    Ok((served.grant(), code.scope))
}

/// Which client it is, where it says so (RFC 6749, section 2.3): one with a secret must have it, and send it in a way that it may.
fn client(
    served: &Served,
    form: &Form,
    headers: &HeaderMap,
) -> Result<Option<String>, &'static str> {
    let (id, secret, method) = match headers.get(AUTHORIZATION) {
        Some(header) => {
            let (id, secret) = basic(header).ok_or("invalid_client")?;
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
    let known = match &id {
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
    let known = match (known, &secret) {
        (Some(Some(known)), _) => known,
        // A public client has no secret: this one is somebody else's.
        (Some(None), Some(_)) => return Err("invalid_client"),
        (Some(None), None) | (None, _) => return Ok(id),
    };
    // One that is told to send none has a secret all the same.
    let its_method = issued("token_endpoint_auth_method")
        .filter(|method| Some(known) == issued_secret && *method != "none");
    let is_allowed = match (
        its_method,
        &metadata_document(served)["token_endpoint_auth_methods_supported"],
    ) {
        (Some(its), _) => its == method,
        (None, Value::Array(supported)) => supported.iter().any(|supported| supported == method),
        // RFC 8414, section 2.
        (None, _) => method == "client_secret_basic",
    };
    match is_allowed && secret.as_deref() == Some(known) {
        true => Ok(id),
        false => Err("invalid_client"),
    }
}

/// The id and the secret of a `Basic` header, each encoded as in a form (RFC 6749, section 2.3.1).
fn basic(header: &HeaderValue) -> Option<(String, String)> {
    let encoded = header.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decoded = |text: &str| {
        let pair = format!("={text}");
        let mut pairs = form_urlencoded::parse(pair.as_bytes());
        pairs.next().map(|(_, value)| value.into_owned())
    };
    Some((decoded(id)?, decoded(secret)?))
}

/// Dynamic registration (RFC 7591): everyone is the same client, a public one unless the row says otherwise.
pub(crate) async fn register(served: &Served, metadata: Option<Value>) -> Response {
    if let Some(reply) = &served.scenario.authorization.register {
        return reply::send(reply, &served.places).await;
    }
    let Some(Value::Object(mut client)) = metadata else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_client_metadata");
    };
    let redirect_uris = client.get("redirect_uris").and_then(Value::as_array);
    let redirect_uris: Vec<String> = redirect_uris
        .into_iter()
        .flatten()
        .filter_map(|uri| Some(uri.as_str()?.to_owned()))
        .collect();
    if redirect_uris.is_empty() {
        return refusal(StatusCode::BAD_REQUEST, "invalid_redirect_uri");
    }
    served.register(redirect_uris);
    client.insert("client_id".into(), json!(REGISTERED));
    client.insert("token_endpoint_auth_method".into(), json!("none"));
    let mut answer = Value::Object(client);
    let fields = &served.scenario.authorization.registered;
    served.places.put_in(&mut answer, fields);
    reply::json(StatusCode::CREATED, &answer)
}

fn registered_id(served: &Served) -> &str {
    let fields = &served.scenario.authorization.registered;
    let id = fields.get("client_id").and_then(Value::as_str);
    id.unwrap_or(REGISTERED)
}

/// Revokes a token (RFC 7009), or does what the row says. The answer is the same for a token that was never valid (section 2.2).
pub(crate) async fn revoke(served: &Served, form: &Form, headers: &HeaderMap) -> Response {
    let token = form.get("token").map(String::as_str);
    let rules = &served.scenario.authorization.revoke;
    if let Some(reply) = served.ruled(Target::Other, rules, token, None, "/revoke") {
        return reply::send(reply, &served.places).await;
    }
    match (client(served, form, headers), token) {
        (Err(error), _) => refused(error),
        (Ok(_), None) => refused("invalid_request"),
        (Ok(_), Some(token)) => {
            served.revoke(token);
            reply::respond(StatusCode::OK, "")
        }
    }
}

/// RFC 6749, section 5.2.
fn refused(error: &str) -> Response {
    let status = match error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    refusal(status, error)
}

fn refusal(status: StatusCode, error: &str) -> Response {
    reply::json(status, &json!({ "error": error }))
}
