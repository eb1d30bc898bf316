//! The OAuth client of a sign-in: configured, described by a metadata document, or registered (RFC 7591).

use mcp_startup_core::refusal::{self, RefusalMeaning};
use mcp_startup_core::{ClientSource, DiscoveryProblem, json_members};
use rmcp::transport::auth::{AuthorizationMetadata, OAuthClientConfig};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::SignInRequest;
use super::error::{SignInError, SignInFailureKind, shown, shown_refusal};
use super::http::SignInHttp;
use super::readiness::{self, ask_for_a_client};
use crate::mask::Mask;
use crate::oauth::client_authentication::{self, ClientAuthentication};
use crate::oauth::endpoint::endpoint;
use crate::oauth::token_endpoint::Reply;

/// The limit of the integers that JSON has in every language.
const MAX_INTEGER: u64 = 1 << 53;
/// The maximum length of a registered client ID, in bytes. It is a part of the authorization URL.
pub(super) const MAX_CLIENT_ID_BYTES: usize = 4096;
const CLIENT_NAME: &str = "mcp-startup";
const AUTHORIZATION_CODE: &str = "authorization_code";
const REFRESH_TOKEN: &str = "refresh_token";
const GRANT_TYPES: &str = "grant_types";
const SCOPE: &str = "scope";

/// The OAuth client of one sign-in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Client {
    pub id: String,
    pub secret: Option<String>,
    pub is_configured: bool,
    /// The fields of the registration that are stored with the record: the secret, its expiry, and how it is sent
    /// (RFC 7591, section 3.2.1).
    pub issued: Map<String, Value>,
}

impl Client {
    /// The client in the response to a registration for `requested`, a method of authentication.
    ///
    /// # Errors
    ///
    /// What is wrong with the response.
    pub fn registered(response: &[u8], requested: &str) -> Result<Self, &'static str> {
        // A member that can't be parsed is treated as absent.
        let text = String::from_utf8_lossy(response);
        let response: Map<String, Value> = json_members(&text)
            .filter_map(|(name, json)| Some((name, serde_json::from_str(json).ok()?)))
            .collect();
        if response.is_empty() && serde_json::from_str::<Map<String, Value>>(&text).is_err() {
            return Err("the response is not a JSON object");
        }
        let id = match response.get("client_id") {
            Some(Value::String(id)) if id.contains(char::is_control) => {
                return Err("`client_id` in the response has control characters");
            }
            Some(Value::String(id)) if id.len() > MAX_CLIENT_ID_BYTES => {
                return Err("`client_id` in the response is too long");
            }
            Some(Value::String(id)) if !id.is_empty() => id.clone(),
            Some(Value::String(_) | Value::Null) | None => {
                return Err("the response has no `client_id`");
            }
            Some(_) => return Err("`client_id` in the response is not a string"),
        };
        let text = |name| {
            response
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let secret = text("client_secret").map(str::to_owned);
        let method = text(client_authentication::METHOD).or(Some(requested));
        let method = method.filter(|method| client_authentication::sends_secret(method));
        let expires_at = response.get("client_secret_expires_at");
        let expires_at = expires_at.filter(|at| at.as_u64().is_some_and(|at| at < MAX_INTEGER));
        let mut issued = Map::new();
        if let Some(secret) = &secret {
            issued.insert("client_secret".to_owned(), json!(secret));
            issued.insert("client_secret_expires_at".to_owned(), json!(expires_at));
            if let Some(method) = method {
                issued.insert(client_authentication::METHOD.to_owned(), json!(method));
            }
        }
        Ok(Self {
            id,
            secret,
            is_configured: false,
            issued,
        })
    }

    pub fn config(&self, redirect_uri: &str) -> OAuthClientConfig {
        let config = OAuthClientConfig::new(&self.id, redirect_uri);
        match &self.secret {
            Some(secret) => config.with_client_secret(secret),
            None => config,
        }
    }

    /// How this client identifies itself at the token endpoint.
    pub fn authentication(&self, metadata: &AuthorizationMetadata) -> ClientAuthentication {
        let registered = self.issued.get(client_authentication::METHOD);
        let secret = self.secret.clone().map(SecretString::from);
        ClientAuthentication::of(
            Some(self.id.clone()),
            secret,
            registered.and_then(Value::as_str),
            metadata,
            client_authentication::METHODS,
        )
    }
}

/// The client from `source`, which is registered if necessary.
pub(super) async fn client(
    source: ClientSource,
    request: &SignInRequest,
    metadata: &AuthorizationMetadata,
    scopes: &[String],
    http: &SignInHttp,
) -> Result<Client, SignInError> {
    let settings = &request.client;
    match (source, &settings.client, &settings.metadata_url) {
        (ClientSource::Configuration, Some((id, secret)), _) => Ok(Client {
            id: id.clone(),
            secret: secret
                .as_ref()
                .map(|secret| secret.expose_secret().to_owned()),
            is_configured: true,
            issued: Map::new(),
        }),
        (ClientSource::MetadataDocument, _, Some(url)) => Ok(Client {
            id: url.clone(),
            secret: None,
            is_configured: false,
            issued: Map::new(),
        }),
        _ => register(request, metadata, scopes, http).await,
    }
}

/// Registers a client (RFC 7591), for a method of authentication that the authorization server lists.
async fn register(
    request: &SignInRequest,
    metadata: &AuthorizationMetadata,
    scopes: &[String],
    http: &SignInHttp,
) -> Result<Client, SignInError> {
    let problem = || readiness::error(DiscoveryProblem::ClientRequired, metadata, &request.client);
    let published = metadata.registration_endpoint.as_deref();
    let endpoint = published.and_then(endpoint).ok_or_else(problem)?;
    let method = client_authentication::registration_method(metadata).ok_or_else(problem)?;
    // OpenID Connect Dynamic Client Registration, section 2; SEP-837.
    let application_type = match request.redirect_uri.starts_with("https:") {
        true => "web",
        false => "native",
    };
    let mut client = json!({
        "client_name": CLIENT_NAME,
        "redirect_uris": [request.redirect_uri],
        GRANT_TYPES: [AUTHORIZATION_CODE, REFRESH_TOKEN],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
        "application_type": application_type,
    });
    if !scopes.is_empty() {
        client[SCOPE] = scopes.join(" ").into();
    }
    let mut reply = http.post_json(endpoint.clone(), &client).await;
    // A refused client is registered again without an optional member that may be the reason.
    for member in [GRANT_TYPES, SCOPE] {
        if let Some(refused) = &reply
            && may_be_refused_for(refused, member, metadata)
            && client.get(member).is_some()
        {
            match member {
                // Many authorization servers do not list the grant and support it.
                GRANT_TYPES => client[GRANT_TYPES] = json!([AUTHORIZATION_CODE]),
                _ => {
                    if let Some(members) = client.as_object_mut() {
                        members.remove(member);
                    }
                }
            }
            reply = http.post_json(endpoint.clone(), &client).await;
        }
    }
    let Some(reply) = reply else {
        return Err(SignInError::new(
            SignInFailureKind::Unavailable,
            "the server's sign-in service could not register this client: try again later",
        ));
    };
    let status = reply.status.as_u16();
    let happened = if reply.status.is_success() {
        match Client::registered(&reply.body, method) {
            Ok(client) => return Ok(client),
            Err(problem) => format!(
                "registered no client that can be used ({}; {problem})",
                words(&request.mask, &reply)
            ),
        }
    } else if reply.status.is_client_error()
        && refusal::meaning(Some(status), None, None) != RefusalMeaning::Transient
    {
        format!(
            "refused to register this client ({})",
            words(&request.mask, &reply)
        )
    } else {
        return Err(not_registered(&request.mask, &reply));
    };
    Err(SignInError::new(
        SignInFailureKind::NoClient,
        format!(
            "the server's sign-in service {happened}: {}",
            ask_for_a_client(metadata)
        ),
    ))
}

/// Whether the registration may have been refused because of a member: its grants include one that is not listed, or the words of the
/// refusal are about a scope.
fn may_be_refused_for(reply: &Reply, member: &str, metadata: &AuthorizationMetadata) -> bool {
    let code = refusal::error_code(&reply.body);
    match member {
        GRANT_TYPES => {
            code.as_deref() == Some("invalid_client_metadata") && !lists_refresh_tokens(metadata)
        }
        _ => {
            let is_refused =
                reply.status.is_client_error() && !matches!(reply.status.as_u16(), 408 | 425 | 429);
            let words = [code, reply.description()];
            let mut words = words.into_iter().flatten();
            is_refused && words.any(|words| words.to_ascii_lowercase().contains(SCOPE))
        }
    }
}

/// Whether the metadata lists the grant of a refresh, or no grants (RFC 8414, section 2).
fn lists_refresh_tokens(metadata: &AuthorizationMetadata) -> bool {
    let listed = metadata.additional_fields.get("grant_types_supported");
    let listed = listed.and_then(Value::as_array);
    listed.is_none_or(|grants| grants.iter().any(|grant| grant == REFRESH_TOKEN))
}

/// The words of a response: its error code or its HTTP status, and its description.
fn words(mask: &Mask, reply: &Reply) -> String {
    match refusal::error_code(&reply.body) {
        Some(code) => shown_refusal(mask, &code, reply.description().as_deref()),
        None => status_and_words(mask, reply),
    }
}

/// The HTTP status of a response, and its description.
fn status_and_words(mask: &Mask, reply: &Reply) -> String {
    let status = format!("HTTP {}", reply.status.as_u16());
    match reply.description() {
        Some(description) => format!("{status}: {}", shown(mask, &description)),
        None => status,
    }
}

/// The error for a registration that may succeed later.
fn not_registered(mask: &Mask, reply: &Reply) -> SignInError {
    let words = status_and_words(mask, reply);
    let todo = reply.try_again();
    SignInError::new(
        SignInFailureKind::Unavailable,
        format!("the server's sign-in service could not register this client ({words}){todo}"),
    )
}
