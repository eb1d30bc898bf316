//! Decides whether a sign-in can begin, and with which client. A start and a sign-in use the same decision, so that no user is sent
//! to a sign-in that can't be made.

use std::borrow::Cow;

use mcp_startup_core::{ClientSource, DiscoveryProblem};
use rmcp::transport::auth::AuthorizationMetadata;
use secrecy::SecretString;
use serde_json::Value;

use super::error::{SignInError, SignInFailureKind, unsafe_address};
use crate::network::GuardedClient;
use crate::oauth::client_authentication::registration_method;
use crate::oauth::discovery::BOUND_TOKENS;
use crate::oauth::endpoint::{authorization_endpoint, endpoint};
use crate::oauth::field_problem::{endpoint_problem, quoted};

/// The parts of a sign-in that the configuration and the host supply.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    /// The configured client ID and secret.
    pub client: Option<(String, Option<SecretString>)>,
    /// The URL of a client ID metadata document. It is used if no client is configured and the authorization server supports
    /// such documents.
    pub metadata_url: Option<String>,
    /// Whether a sign-in may begin if the authorization server does not publish whether it supports PKCE. If it does not support
    /// PKCE, another program on the user's machine can use an authorization code that it has intercepted (RFC 7636, section 1).
    pub allow_unpublished_pkce: bool,
    /// Whether no client may be registered.
    pub never_registers: bool,
}

/// Returns the source of the client for a sign-in: the configured client, the metadata document, or else a registration.
///
/// Sends nothing, so a registration can still be refused.
///
/// # Errors
///
/// Returns the problem with the metadata if no sign-in can begin.
pub fn sign_in_client(
    guarded: &GuardedClient,
    metadata: &AuthorizationMetadata,
    settings: &ClientSettings,
) -> Result<ClientSource, DiscoveryProblem> {
    use DiscoveryProblem as Problem;
    match &metadata.code_challenge_methods_supported {
        Some(methods) if methods.iter().any(|method| method == "S256") => {}
        None if settings.allow_unpublished_pkce => {}
        None => return Err(Problem::PkceNotPublished),
        Some(_) => return Err(Problem::PkceNotSupported),
    }
    if unsupported_field(metadata).is_some() {
        return Err(Problem::Unsupported);
    }
    if field_for_all_clients(guarded, metadata).is_some() {
        return Err(Problem::InvalidMetadata);
    }
    if settings.client.is_some() {
        return Ok(ClientSource::Configuration);
    }
    let supports_documents = supports_documents(metadata);
    if supports_documents && settings.metadata_url.is_some() {
        return Ok(ClientSource::MetadataDocument);
    }
    match &metadata.registration_endpoint {
        Some(_) if registration_field(guarded, metadata).is_some() => Err(Problem::InvalidMetadata),
        Some(_) if !settings.never_registers && registration_method(metadata).is_some() => {
            Ok(ClientSource::Registration)
        }
        _ if supports_documents => Err(Problem::ClientDocumentRequired),
        _ => Err(Problem::ClientRequired),
    }
}

/// The field of the metadata because of which [`sign_in_client`] returns [`DiscoveryProblem::InvalidMetadata`] or
/// [`DiscoveryProblem::Unsupported`], and the problem with it.
pub(in crate::oauth) fn invalid_field(
    guarded: &GuardedClient,
    metadata: &AuthorizationMetadata,
) -> Option<String> {
    unsupported_field(metadata)
        .map(|(field, problem)| format!("{field}: {problem}"))
        .or_else(|| field_for_all_clients(guarded, metadata))
        .or_else(|| registration_field(guarded, metadata))
}

/// The field of the metadata that requires something which is not supported, and the problem with it.
fn unsupported_field(
    metadata: &AuthorizationMetadata,
) -> Option<(&'static str, Cow<'static, str>)> {
    const REQUIREMENTS: [(&str, &str); 4] = [
        (
            "require_pushed_authorization_requests",
            "pushed requests (PAR) are not supported",
        ),
        (
            "require_signed_request_object",
            "signed requests are not supported",
        ),
        (
            BOUND_TOKENS[0],
            "tokens with a proof of possession (DPoP) are not supported",
        ),
        (BOUND_TOKENS[1], "certificates of clients are not supported"),
    ];
    let fields = &metadata.additional_fields;
    // An empty list is written for an absent one.
    let grants = fields
        .get("grant_types_supported")
        .and_then(Value::as_array);
    let is_for_users = |grants: &Vec<Value>| {
        grants.is_empty() || grants.iter().any(|grant| grant == "authorization_code")
    };
    if !grants.is_none_or(is_for_users) {
        let first = grants.and_then(|grants| grants.first()).map(quoted);
        let first = first.unwrap_or_default();
        let problem = format!("has {first}, and no grant for users (\"authorization_code\")");
        return Some(("grant_types_supported", problem.into()));
    }
    let is_required = |(field, _): &(&str, &str)| fields.get(*field) == Some(&Value::Bool(true));
    let required = REQUIREMENTS.into_iter().find(is_required);
    required.map(|(field, problem)| (field, problem.into()))
}

/// The problem with a field that every sign-in requires.
fn field_for_all_clients(
    guarded: &GuardedClient,
    metadata: &AuthorizationMetadata,
) -> Option<String> {
    let response_types = metadata.response_types_supported.as_ref();
    if response_types.is_some_and(|types| !types.iter().any(|found| found == "code")) {
        return Some("response_types_supported: must contain \"code\"".to_owned());
    }
    let authorization = authorization_endpoint(metadata);
    let published = &metadata.authorization_endpoint;
    endpoint_problem(
        "authorization_endpoint",
        published,
        authorization.as_ref(),
        guarded,
    )
    .or_else(|| {
        let token = endpoint(&metadata.token_endpoint);
        endpoint_problem(
            "token_endpoint",
            &metadata.token_endpoint,
            token.as_ref(),
            guarded,
        )
    })
}

fn registration_field(guarded: &GuardedClient, metadata: &AuthorizationMetadata) -> Option<String> {
    let published = metadata.registration_endpoint.as_ref()?;
    let url = endpoint(published);
    endpoint_problem("registration_endpoint", published, url.as_ref(), guarded)
}

/// The error of a sign-in that can't begin.
pub(super) fn error(
    problem: DiscoveryProblem,
    metadata: &AuthorizationMetadata,
    settings: &ClientSettings,
) -> SignInError {
    use DiscoveryProblem as Problem;
    use SignInFailureKind as Kind;
    let (kind, message) = match problem {
        Problem::PkceNotPublished => (
            Kind::PkceNotOffered,
            "the server's sign-in service does not publish whether it supports PKCE with S256, which a safe sign-in requires: ask its \
             operator. If it does, set `oauth.allow_unpublished_pkce` (in JSON, `oauth.allowUnpublishedPkce`) of the server to true in \
             the configuration. If it does not, another program on your machine could use an intercepted code"
                .to_owned(),
        ),
        Problem::PkceNotSupported => (
            Kind::PkceNotOffered,
            "the server's sign-in service does not support PKCE with S256 (`code_challenge_methods_supported`), which a safe sign-in \
             requires: contact its operator"
                .to_owned(),
        ),
        Problem::ClientRequired | Problem::ClientDocumentRequired => {
            let why = match metadata.registration_endpoint {
                Some(_) if settings.never_registers && registration_method(metadata).is_some() => {
                    "registers clients, which was not requested, and does not support client ID metadata documents"
                }
                None => "does not support client registration",
                Some(_) => {
                    "registers only clients that authenticate by a method that this client does not support"
                }
            };
            (
                Kind::NoClient,
                format!(
                    "the server's sign-in service {why}: {}",
                    ask_for_a_client(metadata)
                ),
            )
        }
        Problem::Unsupported => {
            let (field, problem) = unsupported_field(metadata).unwrap_or_default();
            (
                Kind::Misconfigured,
                format!(
                    "the server offers no sign-in that this client supports ({field}: {problem}): ask its operator for a \
                     key or token, and add it to the configuration"
                ),
            )
        }
        Problem::InvalidMetadata
        | Problem::ResourceMismatch
        | Problem::NoAuthorizationServer
        | Problem::IssuerMismatch => return unsafe_address(None),
    };
    SignInError::new(kind, message)
}

/// The next step if a client can't be registered.
pub(super) fn ask_for_a_client(metadata: &AuthorizationMetadata) -> String {
    let document = match supports_documents(metadata) {
        true => {
            ", or set the URL of a client ID metadata document as `oauth.client_metadata_url` (in JSON, `oauth.clientMetadataUrl`)"
        }
        false => "",
    };
    format!(
        "ask its operator for a client ID, and set it as `oauth.client_id` (in JSON, `oauth.clientId`) of the server in the \
         configuration{document}"
    )
}

/// Whether the authorization server accepts a client that a metadata document describes.
fn supports_documents(metadata: &AuthorizationMetadata) -> bool {
    let field = metadata
        .additional_fields
        .get("client_id_metadata_document_supported");
    field.and_then(Value::as_bool).unwrap_or_default()
}
