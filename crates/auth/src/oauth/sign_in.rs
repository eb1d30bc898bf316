//! A sign-in with an authorization code and PKCE (OAuth 2.1, RFC 6749, RFC 7636): [`begin_sign_in`] returns the URL to
//! open, and [`finish_sign_in`] takes the callback URL.
//!
//! This module stores nothing and opens no browser.

mod callback;
mod client;
mod error;
mod http;
mod pending;
mod readiness;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_startup_core::{
    DiscoveryOutcome, DiscoveryProblem, RequestEvidence, challenge_attribute, failed_discovery,
};
use rmcp::transport::auth::{AuthorizationManager, AuthorizationMetadata, WWWAuthenticateParams};
use tokio::time::timeout;
use url::Url;

use self::callback::check_redirect_uri;
use self::client::client;
pub use self::error::{SignInError, SignInFailureKind};
use self::error::{broken, exceeded, shown, shown_name, unsafe_address, unusable};
use self::http::{KeptState, SignInHttp};
pub use self::pending::PendingSignIn;
pub(super) use self::readiness::invalid_field;
pub use self::readiness::{ClientSettings, sign_in_client};
use super::discovery::{Discovery, discover_for};
use super::endpoint::{authorization_endpoint, endpoint};
use super::resource::resource;
use super::scopes;
use super::sign_out::revoke;
use super::token_endpoint::TokenProblem;
use crate::clock::now_ms;
use crate::mask::Mask;
use crate::network::{GuardedClient, RequestLog};
use crate::store::CredentialRecord;

/// How long a sign-in can be finished after it begins: 15 minutes.
pub const SIGN_IN_LIMIT: Duration = Duration::from_secs(15 * 60);
/// How long the revocation of tokens that can't be used may take, after the exchange of the code.
const REVOCATION_LIMIT: Duration = Duration::from_secs(5);
const OFFLINE_ACCESS: &str = "offline_access";
/// The parameters for the authentication of the user (RFC 9470, section 4).
const ACR_VALUES: &str = "acr_values";
const MAX_AGE: &str = "max_age";
/// The maximum length of each of them, in bytes.
const MAX_AUTHENTICATION_BYTES: usize = 500;
/// The maximum length of an authorization server's text in a message, in characters.
const FOREIGN_CHARS: usize = 150;

/// The inputs of a sign-in.
#[derive(Clone, Debug)]
pub struct SignInRequest {
    /// The name of the server.
    pub server_name: String,
    /// The URL of the server as written in the configuration. With the name, it is the key of the record.
    pub server_url: String,
    /// The URL of the server, parsed, for requests.
    pub url: Url,
    /// Where the authorization server redirects the user after the sign-in: `http` on loopback, `https`, or a
    /// custom scheme of an app.
    pub redirect_uri: String,
    /// The `WWW-Authenticate` header of the response that refused a request, if there was one. It can name the
    /// server's metadata and the required scopes (RFC 9728, section 5.1; RFC 6750, section 3).
    pub challenge: Option<String>,
    /// The client that signs in, and its options.
    pub client: ClientSettings,
    /// The configured scopes; `None` if none are configured. They replace those that the server names, unless `steps_up` is set.
    pub scopes: Option<Vec<String>>,
    /// Whether the server requires more access than was granted. The scopes of the challenge are then requested together with the
    /// configured ones.
    pub steps_up: bool,
    /// The scopes to request in addition to these, at most 256: the scopes of an earlier grant, and the ones that the user wants.
    pub additional_scopes: Vec<String>,
    /// The configured resource indicator (RFC 8707), if there is one. If it is blank, the requests name no resource. MCP requires
    /// one, but some authorization servers refuse it.
    pub resource: Option<String>,
    /// The configured `prompt` of the authorization request (OpenID Connect Core, section 3.1.2.1), such as `consent`. With
    /// `None`, the request has none.
    pub prompt: Option<String>,
    /// The secrets that the server has received, or may receive. A message of an error never shows them.
    pub mask: Mask,
}

/// A sign-in that has begun. `Debug` omits the URL because it contains the `state`.
#[derive(Clone)]
pub struct SignInBegun {
    /// The page where the user signs in. Open it in the user's browser. The scheme is `https`, or `http` on
    /// loopback.
    pub authorization_url: String,
    /// The pending sign-in, for [`finish_sign_in`].
    pub pending: PendingSignIn,
}

impl SignInBegun {
    /// The host of the page where the user signs in, with its port unless that is the default one. Show it before you
    /// open the page: the MCP server chooses the authorization server. An internationalized name is in its ASCII form.
    pub fn authorization_host(&self) -> &str {
        // The URL has no user name.
        let (_, rest) = self.authorization_url.split_once("://").unwrap_or_default();
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    }
}

impl fmt::Debug for SignInBegun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInBegun")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

/// Begins a sign-in: finds the authorization server, obtains a client, and builds the URL for the user to open. Nothing
/// is stored.
///
/// The client is the configured one if there is one. Otherwise, it is the host's metadata document if the authorization
/// server supports such documents, or a client that is registered for this sign-in (RFC 7591).
///
/// The scopes are the configured ones. If none are configured, they are those of the challenge, or else those of the
/// protected-resource metadata, with `offline_access` if the authorization server lists it (SEP-2207). A step-up requests those
/// of the challenge too. The additional scopes are requested in any case.
///
/// The resource is the configured one. If none is configured, it is that of the accepted protected-resource metadata, or
/// else the URL of the server. A blank one is left out.
///
/// # Errors
///
/// Returns a [`SignInError`] with the kind of failure. It is [`SignInFailureKind::Misconfigured`] if `log` allows no
/// further request.
pub async fn begin_sign_in(
    guarded: &GuardedClient,
    request: &SignInRequest,
    log: &RequestLog,
) -> Result<SignInBegun, SignInError> {
    check_redirect_uri(&request.redirect_uri)?;
    let challenge = request.challenge.as_deref();
    let settings = Some(&request.client);
    let found = discover_for(guarded, &request.url, challenge, None, settings, log);
    let found = Box::pin(found).await;
    if log.exceeded().is_some() {
        return Err(exceeded());
    }
    let metadata = published_metadata(&found, log, &request.mask)?;
    let source =
        sign_in_client(guarded, metadata, &request.client).map_err(|problem| match problem {
            DiscoveryProblem::InvalidMetadata => unsafe_address(invalid_field(guarded, metadata)),
            problem => readiness::error(problem, metadata, &request.client),
        })?;
    let metadata = with_usable_endpoints(metadata).ok_or_else(|| unsafe_address(None))?;
    let configured = request.resource.as_deref();
    let resource = resource(configured, found.resource.as_deref(), &request.url);
    let scopes = scopes(request, &found, &metadata);

    let http = SignInHttp::new(
        guarded.clone(),
        resource.clone(),
        log.clone(),
        SIGN_IN_LIMIT,
    );
    let state = KeptState::default();
    let mut manager = manager(&request.url, &http, &state, &metadata).await?;
    let client = client(source, request, &metadata, &scopes, &http).await?;
    let config = client.config(&request.redirect_uri);
    manager.configure_client(config).map_err(unusable)?;
    let requested: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let url = manager
        .get_authorization_url(&requested)
        .await
        .map_err(unusable)?;
    let state = state.take().ok_or_else(|| {
        SignInError::new(
            SignInFailureKind::Misconfigured,
            "the sign-in could not be prepared",
        )
    })?;
    Ok(SignInBegun {
        authorization_url: authorization_url(&url, resource.as_deref(), request)?,
        pending: PendingSignIn {
            server_name: request.server_name.clone(),
            server_url: request.server_url.clone(),
            resource,
            configured_resource: request.resource.clone(),
            prompt: request.prompt.clone(),
            redirect_uri: request.redirect_uri.clone(),
            client,
            scopes,
            expires_at_ms: now_ms().saturating_add(SIGN_IN_LIMIT.as_millis() as i64),
            metadata,
            state,
        },
    })
}

/// Finishes a sign-in, and returns the record for the caller to store. `callback_url` is the complete URL that the user
/// was redirected to.
///
/// Checks the `state` and the issuer of the callback (RFC 6749, section 10.12; RFC 9207), then exchanges the code once, within `limit`.
/// Granted tokens that can't be used are revoked, which may take another 5 s.
///
/// `mask` is that of the [`SignInRequest`]. If another process has begun the sign-in and its secrets are not known, pass
/// [`Mask::withholding`].
///
/// # Errors
///
/// Returns a [`SignInError`] with the kind of failure. After [`SignInFailureKind::InvalidCallback`], the correct
/// callback URL can still finish the sign-in.
pub async fn finish_sign_in(
    guarded: &GuardedClient,
    pending: &PendingSignIn,
    callback_url: &str,
    limit: Duration,
    log: &RequestLog,
    mask: &Mask,
) -> Result<CredentialRecord, SignInError> {
    let mask = pending.with_own_secrets(mask);
    let callback = pending.callback(callback_url, &mask)?;
    let url = Url::parse(&pending.server_url).map_err(|_| broken())?;
    let configured = pending.configured_resource.as_deref();
    let resource = resource(configured, pending.resource.as_deref(), &url);
    let metadata = with_usable_endpoints(&pending.metadata).ok_or_else(broken)?;
    let http = SignInHttp::new(guarded.clone(), resource, log.clone(), limit)
        .with_client(pending.client.authentication(&metadata));
    let state = KeptState::holding(pending.state.clone());
    let exchanging = async {
        let mut manager = manager(&url, &http, &state, &metadata).await?;
        let client = pending.client.config(&pending.redirect_uri);
        manager.configure_client(client).map_err(unusable)?;
        let issuer = callback.issuer.as_deref();
        let exchanged =
            manager.exchange_code_for_token_with_issuer(&callback.code, pending.state(), issuer);
        // If it failed, the reply shows how.
        let _ = exchanged.await;
        Ok::<_, SignInError>(())
    };
    // Only the exchange has this limit: a slow one leaves enough time to revoke its tokens.
    let exchanged = timeout(limit, Box::pin(exchanging)).await;
    exchanged.unwrap_or_else(|_| Err(SignInError::not_in_time()))?;
    // Parse the reply like that of a refresh: it can be valid even if the SDK cannot read it.
    let Some(reply) = http.take_reply() else {
        return Err(SignInError::new(
            SignInFailureKind::Unavailable,
            format!(
                "the sign-in service of {} did not respond: try again later",
                shown_name(pending)
            ),
        ));
    };
    let problem = match reply.tokens() {
        Ok(tokens) => return pending.record(&tokens),
        Err(problem) => problem,
    };
    // Nothing else can end the grant.
    if let Some(tokens) = reply.unusable_tokens()
        && let Ok(record) = pending.record(&tokens)
    {
        let client = pending.client();
        let revoking = Box::pin(revoke(guarded, &record, Some(&client), log));
        let _ = timeout(REVOCATION_LIMIT, revoking).await;
    }
    Err(match problem {
        TokenProblem::Missing => pending.refused(&reply, &callback, &mask),
        _ => SignInError::new(
            SignInFailureKind::Misconfigured,
            format!(
                "the sign-in service of {} responded with a token that can't be used ({problem}): contact its operator",
                shown_name(pending)
            ),
        ),
    })
}

/// The discovered metadata.
fn published_metadata<'a>(
    found: &'a Discovery,
    log: &RequestLog,
    mask: &Mask,
) -> Result<&'a AuthorizationMetadata, SignInError> {
    use SignInFailureKind as Kind;
    if let Some(metadata) = &found.metadata {
        return Ok(metadata);
    }
    let evidence = &found.evidence;
    let (kind, message) = match evidence.outcome {
        Some(DiscoveryOutcome::NotPublished) => (
            Kind::NotOffered,
            "the server does not offer a sign-in: if it requires an API key, add its token or header to the configuration".to_owned(),
        ),
        Some(DiscoveryOutcome::Unusable) => {
            let issuers = evidence.expected_issuer.as_ref().map(|expected| {
                let named = evidence.issuer.as_deref();
                let named = named.map_or_else(|| "no issuer".to_owned(), |named| shown(mask, named));
                format!(" (its issuer is {named}, not {})", shown(mask, expected))
            });
            let field = evidence.invalid_field.as_ref().map(|field| {
                let document = evidence.document.as_deref().unwrap_or_default();
                let (field, document) = (shown(mask, field), shown(mask, document));
                format!(" ({field}; at {document})")
            });
            let why = issuers.or(field).unwrap_or_default();
            (
                Kind::Misconfigured,
                format!("the server publishes invalid sign-in metadata{why}: contact its operator"),
            )
        }
        _ => (
            Kind::Unavailable,
            match failed_discovery(&masked_requests(log, mask)) {
                Some((what, todo)) => format!(
                    "the metadata of the server's sign-in service can't be fetched ({what}){todo}"
                ),
                None => "the server's sign-in service could not be determined: try again later"
                    .to_owned(),
            },
        ),
    };
    Err(SignInError::new(kind, message))
}

/// The requests with the secrets in their URLs masked. A message shows only the beginning of a URL.
fn masked_requests(log: &RequestLog, mask: &Mask) -> Vec<RequestEvidence> {
    let mut requests = log.requests();
    for url in requests
        .iter_mut()
        .filter_map(|request| request.url.as_mut())
    {
        *url = mask.hide_in_url(url);
    }
    requests
}

/// The metadata with the endpoints as a client may use them; `None` if an endpoint that every sign-in requires must not
/// be used. An unusable registration endpoint stays unchanged, and [`client()`] refuses it.
fn with_usable_endpoints(metadata: &AuthorizationMetadata) -> Option<AuthorizationMetadata> {
    let mut usable = metadata.clone();
    usable.authorization_endpoint = authorization_endpoint(metadata)?.into();
    usable.token_endpoint = endpoint(&metadata.token_endpoint)?.into();
    if let Some(registration) = &mut usable.registration_endpoint
        && let Some(url) = endpoint(registration)
    {
        *registration = url.into();
    }
    Some(usable)
}

/// The scopes to request.
fn scopes(
    request: &SignInRequest,
    found: &Discovery,
    metadata: &AuthorizationMetadata,
) -> Vec<String> {
    let challenge = request.challenge.as_deref().unwrap_or_default();
    let challenged = WWWAuthenticateParams::parse(challenge, &request.url).scope;
    let challenged = challenged.unwrap_or_default();
    let challenged = scopes::bounded(challenged.split_whitespace());
    let mut scopes = match (&request.scopes, challenged.is_empty()) {
        (Some(configured), _) if request.steps_up => [configured.clone(), challenged].concat(),
        (Some(configured), _) => configured.clone(),
        (None, false) => challenged,
        (None, true) => found.scopes.clone(),
    };
    let additional = request.additional_scopes.iter().map(String::as_str);
    scopes.extend(scopes::bounded(additional));
    let offered = metadata.scopes_supported.iter().flatten();
    let offers_offline_access = offered.into_iter().any(|scope| scope == OFFLINE_ACCESS);
    // Requested by itself, it would replace the server's default scopes (RFC 6749, section 3.3).
    if request.scopes.is_none() && offers_offline_access && !scopes.is_empty() {
        scopes.push(OFFLINE_ACCESS.to_owned());
    }
    let mut seen = std::collections::HashSet::new();
    scopes.retain(|scope| seen.insert(scope.clone()));
    scopes
}

async fn manager(
    url: &Url,
    http: &SignInHttp,
    state: &KeptState,
    metadata: &AuthorizationMetadata,
) -> Result<AuthorizationManager, SignInError> {
    let manager =
        AuthorizationManager::new_with_oauth_http_client(url.clone(), Arc::new(http.clone()));
    let mut manager = manager.await.map_err(unusable)?;
    manager.set_metadata(metadata.clone());
    manager.set_state_store(state.clone());
    Ok(manager)
}

/// The URL for the user, with the resource exactly as published, the configured prompt, and the authentication that the challenge
/// requires (RFC 9470, section 4).
///
/// `url` has each parameter of the request once, because [`authorization_endpoint`] has removed those of the server.
fn authorization_url(
    url: &str,
    resource: Option<&str>,
    request: &SignInRequest,
) -> Result<String, SignInError> {
    let challenge = request.challenge.as_deref().unwrap_or_default();
    let [acr_values, max_age] = required_authentication(challenge);
    let parameters = [
        ("resource", resource.map(str::to_owned)),
        ("prompt", request.prompt.clone()),
        (ACR_VALUES, acr_values),
        (MAX_AGE, max_age),
    ];
    let is_replaced = |name: &str| {
        let mut parameters = parameters.iter();
        name == "resource"
            || parameters.any(|(known, value)| value.is_some() && name.eq_ignore_ascii_case(known))
    };
    let mut url = Url::parse(url).map_err(|_| broken())?;
    let pairs: Vec<_> = url
        .query_pairs()
        .into_owned()
        .filter(|(name, _)| !is_replaced(name))
        .collect();
    let mut query = url.query_pairs_mut();
    query.clear().extend_pairs(pairs);
    for (name, value) in &parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    drop(query);
    Ok(url.into())
}

/// The `acr_values` and the `max_age` with which a challenge requires another authentication of the user (RFC 9470, section 3).
fn required_authentication(challenge: &str) -> [Option<String>; 2] {
    const ERROR: &str = "insufficient_user_authentication";
    let attribute = |name| challenge_attribute(challenge, name);
    if attribute("error").as_deref() != Some(ERROR) {
        return [None, None];
    }
    let bounded = |value: &String| value.len() <= MAX_AUTHENTICATION_BYTES;
    let is_number = |value: &String| value.parse::<u32>().is_ok();
    [
        attribute(ACR_VALUES).filter(bounded),
        attribute(MAX_AGE).filter(is_number),
    ]
}
