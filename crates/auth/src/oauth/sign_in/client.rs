//! The OAuth client of a sign-in: configured, described by a metadata document, or registered (RFC 7591).

use mcp_startup_core::refusal::{self, RefusalMeaning};
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, OAuthClientConfig,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::SignInRequest;
use super::error::{SignInError, SignInFailureKind, shown, unsafe_address, unusable};
use super::http::SignInHttp;
use crate::oauth::client_authentication;
use crate::oauth::endpoint;

/// The limit of the integers that JSON has in every language.
const MAX_INTEGER: u64 = 1 << 53;
const CLIENT_NAME: &str = "mcp-startup";
const ASK_FOR_A_CLIENT: &str = "ask its operator for a client ID, and set it as `oauth.client_id` of the server in the configuration";

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
    /// The client in the response to a registration; `None` if it has no ID.
    pub fn registered(response: &[u8]) -> Option<Self> {
        let response: Map<String, Value> = serde_json::from_slice(response).ok()?;
        let text = |name| {
            response
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let secret = text("client_secret").map(str::to_owned);
        let method = text(client_authentication::METHOD);
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
        Some(Self {
            id: text("client_id")?.to_owned(),
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

    /// The metadata with the method of this client. The SDK sends a secret by the method in the metadata, and
    /// ignores the one in the registration.
    pub fn metadata(&self, metadata: &AuthorizationMetadata) -> AuthorizationMetadata {
        let mut metadata = metadata.clone();
        if let Some(method) = self.issued.get(client_authentication::METHOD) {
            let methods = "token_endpoint_auth_methods_supported".to_owned();
            metadata.additional_fields.insert(methods, json!([method]));
        }
        metadata
    }
}

/// Chooses or registers the client, and configures `manager` to use it.
pub(super) async fn client(
    manager: &mut AuthorizationManager,
    request: &SignInRequest,
    metadata: &AuthorizationMetadata,
    scopes: &[String],
    http: &SignInHttp,
) -> Result<Client, SignInError> {
    let supports_documents = metadata
        .additional_fields
        .get("client_id_metadata_document_supported")
        .and_then(Value::as_bool)
        .unwrap_or_default();
    let known = |id: &str, secret: Option<&SecretString>, is_configured| Client {
        id: id.to_owned(),
        secret: secret.map(|secret| secret.expose_secret().to_owned()),
        is_configured,
        issued: Map::new(),
    };
    let client = match (&request.client, &request.client_metadata_url) {
        (Some((id, secret)), _) => known(id, secret.as_ref(), true),
        (None, Some(document)) if supports_documents => known(document, None, false),
        (None, _) => register(manager, request, metadata, scopes, http).await?,
    };
    let config = client.config(&request.redirect_uri);
    manager.configure_client(config).map_err(unusable)?;
    Ok(client)
}

/// Registers a client (RFC 7591). The request is for a public client.
async fn register(
    manager: &mut AuthorizationManager,
    request: &SignInRequest,
    metadata: &AuthorizationMetadata,
    scopes: &[String],
    http: &SignInHttp,
) -> Result<Client, SignInError> {
    use SignInFailureKind as Kind;
    let Some(endpoint) = &metadata.registration_endpoint else {
        return Err(SignInError::new(
            Kind::NoClient,
            format!(
                "the server's sign-in service does not support client registration: {ASK_FOR_A_CLIENT}"
            ),
        ));
    };
    if endpoint::endpoint(endpoint).is_none() || !http.may_ask(endpoint) {
        return Err(unsafe_address());
    }
    let requested: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let registered = manager.register_client(CLIENT_NAME, &request.redirect_uri, &requested);
    let registered = registered.await;
    // Parse the response itself: the SDK drops unknown fields, and requires fields that a sign-in does not need.
    let reply = http.take_reply();
    let success = reply.as_ref().filter(|reply| reply.status.is_success());
    if let Some(client) = success.and_then(|reply| Client::registered(&reply.body)) {
        return Ok(client);
    }
    if let Err(error) = registered
        && !matches!(error, AuthError::RegistrationFailed(_))
    {
        return Err(unusable(error));
    }
    let refused = reply.filter(|reply| {
        let meaning = refusal::meaning(Some(reply.status.as_u16()), None, None);
        reply.status.is_client_error() && meaning != RefusalMeaning::Transient
    });
    Err(match refused {
        Some(reply) => {
            let code = refusal::error_code(&reply.body);
            let code = code.map_or_else(
                || format!("HTTP {}", reply.status.as_u16()),
                |code| shown(&code),
            );
            let code = match refusal::description(&reply.body) {
                Some(description) => format!("{code}: {}", shown(&description)),
                None => code,
            };
            SignInError::new(
                Kind::NoClient,
                format!(
                    "the server's sign-in service refused to register this client ({code}): {ASK_FOR_A_CLIENT}"
                ),
            )
        }
        None => SignInError::new(
            Kind::Unavailable,
            "the server's sign-in service could not register this client: try again later",
        ),
    })
}
