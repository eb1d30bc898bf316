//! Signing in, in two calls: one gives the URL that the user is to open, the other takes the URL they come back with
//! (authorization code with PKCE: OAuth 2.1, RFC 6749, RFC 7636).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use mcp_startup_core::{DiscoveryOutcome, printable, refusal};
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, OAuthClientConfig, OAuthHttpClient,
    OAuthHttpClientFuture, OAuthHttpRequest, StateStore, StoredAuthorizationState,
    WWWAuthenticateParams,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use crate::client_authentication;
use crate::clock::now_ms;
use crate::discovery::{Discovered, discover};
use crate::mask::Mask;
use crate::network::{Outside, Place, RequestLog, bare_url, place};
use crate::record::CredentialRecord;
use crate::token_endpoint::{self, GrantedTokens, Reply};

/// How long a sign-in that was begun can be finished: 15 min.
pub const SIGN_IN_LIMIT: Duration = Duration::from_secs(15 * 60);
const CLIENT_NAME: &str = "mcp-startup";
const ASK_FOR_A_CLIENT: &str = "ask its operator for a client id, and set it as `oauth.client_id` of the server in the configuration";
const OFFLINE_ACCESS: &str = "offline_access";
/// How much of what an authorization server says is shown, in characters.
const FOREIGN_CHARS: usize = 150;

/// A sign-in that is wanted: to which server, and what is known for it.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The server's name.
    pub server_name: String,
    /// Its URL as it stands in the configuration: with the name, the key of the record.
    pub server_url: String,
    /// The same, to be asked.
    pub url: Url,
    /// Where the authorization server is to send the user afterwards: `http` on loopback, `https`, or an app's own scheme.
    pub redirect_uri: String,
    /// The `WWW-Authenticate` with which the server has refused a request, where it has: it may say where to sign in and what
    /// for (RFC 9728, section 5.1; RFC 6750, section 3).
    pub challenge: Option<String>,
    /// The client of the configuration and its secret.
    pub client: Option<(String, Option<SecretString>)>,
    /// The URL of the host's client id metadata document, where it has one: used with an authorization server that takes such.
    pub client_metadata_url: Option<String>,
    /// Scopes, only where the configuration names them.
    pub scopes: Option<Vec<String>>,
    /// The scopes that were granted before, where more are wanted: they are asked for again.
    pub granted: Vec<String>,
    /// The resource to name (RFC 8707), where the configuration does.
    pub resource: Option<String>,
}

/// A sign-in that has begun. Its URL does not print: it holds the `state`.
#[derive(Clone)]
pub struct SignInBegun {
    /// Where the user signs in: to be opened in their browser. `https`, or `http` on loopback.
    pub authorization_url: String,
    /// What finishes it.
    pub pending: PendingSignIn,
}

impl fmt::Debug for SignInBegun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInBegun")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

/// A sign-in that waits for the user to come back. It can be stored, in a place for secrets; it expires after 15 min
/// ([`SIGN_IN_LIMIT`]), and is good for one sign-in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingSignIn {
    server_name: String,
    server_url: String,
    resource: String,
    redirect_uri: String,
    client: Client,
    scopes: Vec<String>,
    expires_at_ms: i64,
    metadata: AuthorizationMetadata,
    state: StoredAuthorizationState,
}

impl fmt::Debug for PendingSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSignIn")
            .field("server_name", &self.server_name)
            .field("issuer", &self.metadata.issuer)
            .field("client_id", &self.client.id)
            .field("expires_at_ms", &self.expires_at_ms)
            .finish_non_exhaustive()
    }
}

impl PendingSignIn {
    /// Its JSON, which holds secrets.
    pub fn to_json(&self) -> SecretString {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`SignInFailureKind::InvalidPending`] where it is anything else.
    pub fn parse(json: &str) -> Result<Self, SignInError> {
        // The error of serde_json may quote what it met.
        serde_json::from_str(json).map_err(|_| {
            SignInError::new(
                SignInFailureKind::InvalidPending,
                "what was kept of this sign-in can't be read: begin it anew",
            )
        })
    }

    /// The server's name.
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// The server's URL as it stands in the configuration.
    pub fn server_url(&self) -> &str {
        &self.server_url
    }

    /// The `state` by which the user's way back is recognised (RFC 6749, section 10.12): no two sign-ins have the same.
    pub fn state(&self) -> &str {
        &self.state.csrf_token
    }

    /// Where the user is sent afterwards.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// When it expires, in ms since the Unix epoch.
    pub fn expires_at_ms(&self) -> i64 {
        self.expires_at_ms
    }

    /// Whether `callback_url`, all of it, is a good answer to this sign-in, so that it can be finished. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`SignInFailureKind::InvalidCallback`] where it is not the answer: the right one may still come.
    /// [`SignInFailureKind::Denied`] where it says no, [`SignInFailureKind::Expired`] where it comes too late.
    pub fn check(&self, callback_url: &str) -> Result<(), SignInError> {
        self.answer(callback_url).map(|_| ())
    }

    fn answer(&self, callback_url: &str) -> Result<Callback, SignInError> {
        if now_ms() >= self.expires_at_ms {
            return Err(SignInError::new(
                SignInFailureKind::Expired,
                format!(
                    "the sign-in to {} was begun too long ago: begin it anew",
                    shown_name(self)
                ),
            ));
        }
        Callback::read(self, callback_url)
    }
}

/// Why a sign-in failed, as a stable value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SignInFailureKind {
    /// The server publishes no OAuth: there is nothing to sign in to.
    NotOffered,
    /// The authorization server could not be reached, or did not answer as it should: later it may.
    Unavailable,
    /// What the server publishes about its authorization can't be right, or is not safe to use.
    Misconfigured,
    /// The authorization server does not offer PKCE with S256, without which a code could be stolen (RFC 7636).
    PkceNotOffered,
    /// There is no OAuth client to sign in with: the authorization server registers none, and none is configured.
    NoClient,
    /// What the user came back with is not the answer to this sign-in, or names another authorization server.
    InvalidCallback,
    /// The user, or the authorization server, has said no.
    Denied,
    /// It was begun too long ago.
    Expired,
    /// It was finished before.
    Used,
    /// What was kept of it can't be read.
    InvalidPending,
    /// The tokens could not be stored.
    StoreFailed,
    /// The server's entry in the configuration can't be used for a sign-in, its OAuth client was refused, or the redirect URI can't
    /// be used.
    InvalidConfiguration,
}

/// A sign-in failed. What was stored before is stored still.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SignInError {
    kind: SignInFailureKind,
    message: String,
}

impl SignInError {
    /// An error of this kind, with a sentence for a person.
    pub fn new(kind: SignInFailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// Why, as a stable value.
    pub fn kind(&self) -> SignInFailureKind {
        self.kind
    }

    /// Why, as a sentence for a person; never a secret.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Begins a sign-in: finds the authorization server, gets a client, and makes the URL that the user is to open.
///
/// The client is that of the configuration; else the host's metadata document, where the authorization server takes such; else
/// one that is registered for this sign-in (RFC 7591). The scopes are those of the configuration; else those of the challenge;
/// else those of the resource's metadata; and those that were granted before. Nothing is stored.
///
/// # Errors
///
/// [`SignInError`], by its kind.
pub async fn begin_sign_in(
    outside: &Outside,
    wanted: &SignIn,
    log: &RequestLog,
) -> Result<SignInBegun, SignInError> {
    check_redirect_uri(&wanted.redirect_uri)?;
    let challenge = wanted.challenge.as_deref();
    let found = Box::pin(discover(outside, &wanted.url, challenge, log)).await;
    let metadata = usable_metadata(outside, &found)?;
    let resource = wanted.resource.clone().or_else(|| found.resource.clone());
    let resource = resource.unwrap_or_else(|| bare_url(&wanted.url));
    let scopes = scopes(wanted, &found, &metadata);

    let http = SignInHttp::new(outside.clone(), resource.clone(), log.clone());
    let state = KeptState::default();
    let mut manager = manager(&wanted.url, &http, &state, &metadata).await?;
    let client = client(&mut manager, wanted, &metadata, &scopes, &http).await?;
    let asked: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let url = manager
        .get_authorization_url(&asked)
        .await
        .map_err(unusable)?;
    let state = state.take().ok_or_else(|| {
        SignInError::new(
            SignInFailureKind::Misconfigured,
            "the sign-in could not be prepared",
        )
    })?;
    Ok(SignInBegun {
        authorization_url: authorization_url(&url, &resource, &scopes)?,
        pending: PendingSignIn {
            server_name: wanted.server_name.clone(),
            server_url: wanted.server_url.clone(),
            resource,
            redirect_uri: wanted.redirect_uri.clone(),
            client,
            scopes,
            expires_at_ms: now_ms().saturating_add(SIGN_IN_LIMIT.as_millis() as i64),
            metadata,
            state,
        },
    })
}

/// Finishes a sign-in: `callback_url` is the URL that the user came back with, all of it. Gives the record to be stored.
///
/// The `state` and the issuer of the answer are checked (RFC 6749, section 10.12; RFC 9207), and the code is exchanged once.
///
/// # Errors
///
/// [`SignInError`], by its kind. After [`SignInFailureKind::InvalidCallback`] the right answer may still come.
pub async fn finish_sign_in(
    outside: &Outside,
    pending: &PendingSignIn,
    callback_url: &str,
    log: &RequestLog,
) -> Result<CredentialRecord, SignInError> {
    let callback = pending.answer(callback_url)?;
    let url = Url::parse(&pending.server_url).map_err(|_| broken())?;
    let http = SignInHttp::new(outside.clone(), pending.resource.clone(), log.clone());
    let state = KeptState::holding(pending.state.clone());
    let metadata = pending.client.metadata(&pending.metadata);
    let mut manager = manager(&url, &http, &state, &metadata).await?;
    let client = pending.client.config(&pending.redirect_uri);
    manager.configure_client(client).map_err(unusable)?;
    let issuer = callback.issuer.as_deref();
    let exchanged =
        manager.exchange_code_for_token_with_issuer(&callback.code, pending.state(), issuer);
    // How it failed, where it did, shows in the reply.
    let _ = exchanged.await;
    // The answer is read as that of a refresh is: what the SDK can't read may be a good one.
    let reply = http.take_reply();
    if let Some(tokens) = reply.as_ref().and_then(Reply::tokens) {
        return pending.record(&tokens);
    }
    Err(match reply {
        Some(reply) => pending.refused(&reply, &callback),
        None => SignInError::new(
            SignInFailureKind::Unavailable,
            format!(
                "the sign-in service of {} did not answer: try again later",
                shown_name(pending)
            ),
        ),
    })
}

impl PendingSignIn {
    fn record(&self, tokens: &GrantedTokens) -> Result<CredentialRecord, SignInError> {
        // A scope that the answer leaves out is the one that was asked for (RFC 6749, section 5.1).
        let mut record: Map<String, Value> = Map::new();
        record.insert("server_name".to_owned(), json!(self.server_name));
        record.insert("server_url".to_owned(), json!(self.server_url));
        record.insert("issuer".to_owned(), json!(self.metadata.issuer));
        record.insert("client_id".to_owned(), json!(self.client.id));
        record.insert("refresh_token".to_owned(), Value::Null);
        record.insert("scopes".to_owned(), json!(self.scopes));
        record.extend(tokens.changes());
        record.extend(self.client.issued.clone());
        CredentialRecord::from_json(&Value::Object(record)).map_err(|_| broken())
    }

    /// The token endpoint gave no token.
    fn refused(&self, reply: &Reply, callback: &Callback) -> SignInError {
        use SignInFailureKind as Kind;
        let name = shown_name(self);
        let code = refusal::error_code(&reply.body);
        let code = code.filter(|_| reply.refuses());
        let Some(code) = code else {
            let message = format!(
                "the sign-in service of {name} could not finish the sign-in (HTTP {}): try again later",
                reply.status.as_u16()
            );
            return SignInError::new(Kind::Unavailable, message);
        };
        // Whatever it is that it says, it may be what it was given.
        let mut given = Mask::default();
        given.add(&callback.code);
        given.add(&self.state.pkce_verifier);
        given.add(self.client.secret.as_deref().unwrap_or_default());
        let shown = given.foreign(&code, FOREIGN_CHARS);
        let is_of_client = matches!(code.as_str(), "invalid_client" | "unauthorized_client");
        match is_of_client && self.client.is_configured {
            true => SignInError::new(
                Kind::InvalidConfiguration,
                format!(
                    "the sign-in service of {name} refuses the OAuth client of the configuration ({shown}): check its id and its secret"
                ),
            ),
            false => SignInError::new(
                Kind::Denied,
                format!("the sign-in service of {name} gave no token ({shown}): sign in once more"),
            ),
        }
    }
}

/// What the user came back with (RFC 6749, section 4.1.2; RFC 9207).
struct Callback {
    code: String,
    issuer: Option<String>,
}

impl Callback {
    fn read(pending: &PendingSignIn, callback_url: &str) -> Result<Self, SignInError> {
        let invalid = |what: &str| {
            let message = format!(
                "this is not the answer to the sign-in to {}: {what}",
                shown_name(pending)
            );
            SignInError::new(SignInFailureKind::InvalidCallback, message)
        };
        let url = Url::parse(callback_url.trim()).map_err(|_| invalid("it is no URL"))?;
        let redirect = Url::parse(&pending.redirect_uri).map_err(|_| broken())?;
        // A scheme of an app has no host and no port.
        let place = |url: &Url| {
            let host = url.host_str().map(str::to_owned);
            (
                url.scheme().to_owned(),
                host,
                url.port_or_known_default(),
                url.path().to_owned(),
            )
        };
        if place(&url) != place(&redirect) {
            return Err(invalid(&format!(
                "it does not begin with {}",
                shown(&pending.redirect_uri)
            )));
        }
        // None may be there twice (RFC 6749, section 3.1): which of them counts, others may see otherwise.
        let parameter = |name: &str| {
            let mut values = url.query_pairs().filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (value, None) => Ok(value.map(|(_, value)| value.into_owned())),
                (_, Some(_)) => Err(invalid(&format!("it has `{name}` twice"))),
            }
        };
        if parameter("state")?.as_deref() != Some(pending.state()) {
            return Err(invalid("it belongs to another sign-in, or to none"));
        }
        // A refusal too must come from whom the user was sent to (RFC 9207, section 2.4).
        let issuer = parameter("iss")?;
        match &issuer {
            Some(issuer) if Some(issuer) != pending.state.expected_issuer.as_ref() => {
                return Err(invalid(
                    "it comes from another authorization server than the one that was asked",
                ));
            }
            None if pending.state.require_issuer => {
                return Err(invalid(
                    "it does not say which authorization server it comes from, as that one does",
                ));
            }
            _ => {}
        }
        if let Some(error) = parameter("error")? {
            let why = parameter("error_description")?.filter(|text| !text.trim().is_empty());
            let why = why.map_or_else(
                || shown(&error),
                |text| format!("{}: {}", shown(&error), shown(&text)),
            );
            let message = format!(
                "the sign-in to {} was not granted ({why})",
                shown_name(pending)
            );
            return Err(SignInError::new(SignInFailureKind::Denied, message));
        }
        let code = parameter("code")?.filter(|code| !code.is_empty());
        Ok(Self {
            code: code.ok_or_else(|| invalid("it has no `code`"))?,
            issuer,
        })
    }
}

/// Whether a user may be sent there with a code: to this machine, or where the way is safe, or to an app (RFC 8252, section 7). A
/// fragment has no place in it (RFC 6749, section 3.1.2).
fn check_redirect_uri(redirect_uri: &str) -> Result<(), SignInError> {
    let url = Url::parse(redirect_uri).ok();
    let is_good = url.is_some_and(|url| {
        let is_safe = url.scheme() != "http" || place(&url) == Some(Place::Loopback);
        is_safe && url.fragment().is_none()
    });
    match is_good {
        true => Ok(()),
        false => Err(SignInError::new(
            SignInFailureKind::InvalidConfiguration,
            format!(
                "nobody can be sent back to {}: a redirect URI is https, http on loopback, or of a scheme of the app's own, and has no fragment",
                shown(redirect_uri)
            ),
        )),
    }
}

/// The metadata that was found, if it is safe to sign in by it.
fn usable_metadata(
    outside: &Outside,
    found: &Discovered,
) -> Result<AuthorizationMetadata, SignInError> {
    use SignInFailureKind as Kind;
    let failed = |kind, message: &str| Err(SignInError::new(kind, message));
    let Some(metadata) = &found.metadata else {
        return match found.evidence.outcome {
            Some(DiscoveryOutcome::NotPublished) => failed(
                Kind::NotOffered,
                "the server offers no sign-in: if it wants a key, add its token or header to the configuration",
            ),
            Some(DiscoveryOutcome::Unusable) => failed(
                Kind::Misconfigured,
                "what the server says about signing in can't be right: its operator has to mend that",
            ),
            _ => failed(
                Kind::Unavailable,
                "where to sign in could not be found out: try again later",
            ),
        };
    };
    let methods = metadata.code_challenge_methods_supported.iter().flatten();
    if !methods.into_iter().any(|method| method == "S256") {
        return failed(
            Kind::PkceNotOffered,
            "the server's sign-in service does not offer PKCE with S256, and without it a sign-in is not safe: its operator has to mend that",
        );
    }
    for endpoint in [&metadata.authorization_endpoint, &metadata.token_endpoint] {
        if !may_ask(outside, endpoint) {
            return Err(misplaced());
        }
    }
    Ok(metadata.clone())
}

/// What to ask for.
fn scopes(wanted: &SignIn, found: &Discovered, metadata: &AuthorizationMetadata) -> Vec<String> {
    let challenged = wanted.challenge.as_deref().and_then(|challenge| {
        let scope = WWWAuthenticateParams::parse(challenge, &wanted.url).scope?;
        let scopes: Vec<String> = scope.split_whitespace().map(str::to_owned).collect();
        (!scopes.is_empty()).then_some(scopes)
    });
    let mut scopes = match (&wanted.scopes, challenged) {
        (Some(configured), _) => configured.clone(),
        (None, Some(challenged)) => challenged,
        (None, None) => found.scopes.clone(),
    };
    let offered = metadata.scopes_supported.iter().flatten();
    let offers_offline_access = offered.into_iter().any(|scope| scope == OFFLINE_ACCESS);
    scopes.extend(wanted.granted.iter().cloned());
    // Alone it would leave out what is granted where nothing is asked for.
    if offers_offline_access && !scopes.is_empty() {
        scopes.push(OFFLINE_ACCESS.to_owned());
    }
    let mut seen = std::collections::HashSet::new();
    scopes.retain(|scope| seen.insert(scope.clone()));
    scopes
}

/// The client that a user signs in with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Client {
    id: String,
    secret: Option<String>,
    is_configured: bool,
    /// What was issued with it, and is kept with the record: the secret, when that expires, and how it is sent (RFC 7591, section
    /// 3.2.1).
    issued: Map<String, Value>,
}

impl Client {
    /// What the answer of a registration says; `None` where it has no id.
    fn registered(answer: &[u8]) -> Option<Self> {
        let answer: Map<String, Value> = serde_json::from_slice(answer).ok()?;
        let text = |name| {
            answer
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let secret = text("client_secret").map(str::to_owned);
        let method = text(client_authentication::METHOD);
        let method = method.filter(|method| client_authentication::is_by_secret(method));
        let expires_at = answer
            .get("client_secret_expires_at")
            .filter(|at| at.is_i64());
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

    fn config(&self, redirect_uri: &str) -> OAuthClientConfig {
        let config = OAuthClientConfig::new(&self.id, redirect_uri);
        match &self.secret {
            Some(secret) => config.with_client_secret(secret),
            None => config,
        }
    }

    /// The metadata, as far as it is meant for this client: the SDK sends a secret as it says there, and not as the registration did.
    fn metadata(&self, metadata: &AuthorizationMetadata) -> AuthorizationMetadata {
        let mut metadata = metadata.clone();
        if let Some(method) = self.issued.get(client_authentication::METHOD) {
            let methods = "token_endpoint_auth_methods_supported".to_owned();
            metadata.additional_fields.insert(methods, json!([method]));
        }
        metadata
    }
}

/// The client to sign in with, for which the manager is set up.
async fn client(
    manager: &mut AuthorizationManager,
    wanted: &SignIn,
    metadata: &AuthorizationMetadata,
    scopes: &[String],
    http: &SignInHttp,
) -> Result<Client, SignInError> {
    let takes_documents = metadata
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
    let client = match (&wanted.client, &wanted.client_metadata_url) {
        (Some((id, secret)), _) => known(id, secret.as_ref(), true),
        (None, Some(document)) if takes_documents => known(document, None, false),
        (None, _) => register(manager, wanted, metadata, scopes, http).await?,
    };
    let config = client.config(&wanted.redirect_uri);
    manager.configure_client(config).map_err(unusable)?;
    Ok(client)
}

/// Registers a client (RFC 7591): a public one is asked for.
async fn register(
    manager: &mut AuthorizationManager,
    wanted: &SignIn,
    metadata: &AuthorizationMetadata,
    scopes: &[String],
    http: &SignInHttp,
) -> Result<Client, SignInError> {
    use SignInFailureKind as Kind;
    let Some(endpoint) = &metadata.registration_endpoint else {
        return Err(SignInError::new(
            Kind::NoClient,
            format!(
                "the server's sign-in service registers no clients by itself: {ASK_FOR_A_CLIENT}"
            ),
        ));
    };
    if !http.may_ask(endpoint) {
        return Err(misplaced());
    }
    let asked: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let registered = manager.register_client(CLIENT_NAME, &wanted.redirect_uri, &asked);
    let registered = registered.await;
    // What the SDK makes of the answer leaves out what it does not know, and more must be there than is needed.
    let reply = http.take_reply();
    let good = reply.as_ref().filter(|reply| reply.status.is_success());
    if let Some(client) = good.and_then(|reply| Client::registered(&reply.body)) {
        return Ok(client);
    }
    if let Err(error) = registered
        && !matches!(error, AuthError::RegistrationFailed(_))
    {
        return Err(unusable(error));
    }
    let refused = reply.filter(|reply| reply.status.is_client_error() && reply.refuses());
    Err(match refused {
        Some(reply) => {
            let code = refusal::error_code(&reply.body);
            let code = code.map_or_else(
                || format!("HTTP {}", reply.status.as_u16()),
                |code| shown(&code),
            );
            SignInError::new(
                Kind::NoClient,
                format!(
                    "the server's sign-in service does not register this client ({code}): {ASK_FOR_A_CLIENT}"
                ),
            )
        }
        None => SignInError::new(
            Kind::Unavailable,
            "the server's sign-in service could not register this client: try again later",
        ),
    })
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

/// The URL for the user, with the resource as its own metadata calls it. An authorization server that speaks OpenID gives a
/// refresh token only with the user's consent (OpenID Connect Core, section 11).
fn authorization_url(url: &str, resource: &str, scopes: &[String]) -> Result<String, SignInError> {
    let mut url = Url::parse(url).map_err(|_| broken())?;
    let pairs: Vec<_> = url
        .query_pairs()
        .into_owned()
        .filter(|(name, _)| name != "resource")
        .collect();
    let asks_for_consent = scopes.iter().any(|scope| scope == OFFLINE_ACCESS);
    let mut query = url.query_pairs_mut();
    query
        .clear()
        .extend_pairs(pairs)
        .append_pair("resource", resource);
    if asks_for_consent {
        query.append_pair("prompt", "consent");
    }
    drop(query);
    Ok(url.into())
}

fn may_ask(outside: &Outside, endpoint: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|url| outside.allows(&url).is_ok())
}

fn misplaced() -> SignInError {
    SignInError::new(
        SignInFailureKind::Misconfigured,
        "the server's sign-in service is at an address where nobody should sign in: its operator has to mend that",
    )
}

fn unusable(error: AuthError) -> SignInError {
    // Not the error itself: it may quote a URL with all that it is asked with.
    tracing::debug!(kind = ?std::mem::discriminant(&error), "the metadata can't be used for a sign-in");
    SignInError::new(
        SignInFailureKind::Misconfigured,
        "what the server says about signing in can't be used: its operator has to mend that",
    )
}

fn broken() -> SignInError {
    SignInError::new(
        SignInFailureKind::InvalidPending,
        "what was kept of this sign-in can't be used: begin it anew",
    )
}

fn shown_name(pending: &PendingSignIn) -> String {
    printable(&pending.server_name, 60)
}

fn shown(text: &str) -> String {
    printable(text, FOREIGN_CHARS)
}

/// The state of one sign-in, for the SDK to keep: that is what is pending.
#[derive(Clone, Default)]
struct KeptState(Arc<Mutex<Option<StoredAuthorizationState>>>);

impl KeptState {
    fn holding(state: StoredAuthorizationState) -> Self {
        Self(Arc::new(Mutex::new(Some(state))))
    }

    fn take(&self) -> Option<StoredAuthorizationState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait::async_trait]
impl StateStore for KeptState {
    async fn save(
        &self,
        _csrf_token: &str,
        state: StoredAuthorizationState,
    ) -> Result<(), AuthError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        Ok(())
    }

    async fn load(&self, csrf_token: &str) -> Result<Option<StoredAuthorizationState>, AuthError> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.clone().filter(|state| state.csrf_token == csrf_token))
    }

    async fn delete(&self, _csrf_token: &str) -> Result<(), AuthError> {
        self.take();
        Ok(())
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The SDK's requests to the authorization server, on our way there; the last answer is kept.
#[derive(Clone)]
struct SignInHttp {
    outside: Outside,
    /// As its own metadata calls it: the SDK has it as a URL, which may end with a slash more.
    resource: String,
    log: RequestLog,
    reply: Arc<Mutex<Option<Reply>>>,
}

impl SignInHttp {
    fn new(outside: Outside, resource: String, log: RequestLog) -> Self {
        Self {
            outside,
            resource,
            log,
            reply: Arc::default(),
        }
    }

    fn may_ask(&self, endpoint: &str) -> bool {
        may_ask(&self.outside, endpoint)
    }

    fn take_reply(&self) -> Option<Reply> {
        self.reply
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl OAuthHttpClient for SignInHttp {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let mut request = reqwest::Request::try_from(request.request)?;
            let is_form = request
                .headers()
                .get(CONTENT_TYPE)
                .is_some_and(|of| of == FORM);
            let form = request.body().and_then(reqwest::Body::as_bytes);
            if let Some(form) = form.filter(|_| is_form) {
                let pairs =
                    url::form_urlencoded::parse(form).filter(|(name, _)| name != "resource");
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(pairs)
                    .append_pair("resource", &self.resource);
                let form = form.finish();
                request.headers_mut().remove(CONTENT_LENGTH);
                *request.body_mut() = Some(form.into());
            }
            let reply = token_endpoint::ask(&self.outside, request, &self.log).await?;
            let (status, headers, body) = (reply.status, reply.headers.clone(), reply.body.clone());
            *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
            let mut answer = http::Response::builder().status(status);
            if let Some(kept) = answer.headers_mut() {
                *kept = headers;
            }
            Ok(answer.body(body)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIRECT_URI: &str = "http://127.0.0.1:8123/callback";

    fn metadata(fields: Value) -> AuthorizationMetadata {
        let mut metadata = json!({
            "issuer": "https://auth.example",
            "authorization_endpoint": "https://auth.example/authorize",
            "token_endpoint": "https://auth.example/token",
        });
        for (name, value) in fields.as_object().into_iter().flatten() {
            metadata[name] = value.clone();
        }
        serde_json::from_value(metadata).unwrap()
    }

    fn pending(redirect_uri: &str, require_issuer: bool) -> PendingSignIn {
        let pending = json!({
            "serverName": "server\u{1b}",
            "serverUrl": "https://mcp.example/mcp",
            "resource": "https://mcp.example/mcp",
            "redirectUri": redirect_uri,
            "client": { "id": "client-1", "secret": "secret-canary", "isConfigured": false, "issued": {} },
            "scopes": [],
            "expiresAtMs": i64::MAX,
            "metadata": metadata(Value::Null),
            "state": {
                "pkce_verifier": "verifier-canary",
                "csrf_token": "state-1",
                "expected_issuer": "https://auth.example",
                "require_issuer": require_issuer,
                "created_at": 0,
            },
        });
        PendingSignIn::parse(&pending.to_string()).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_what_is_wanted_then_what_was_granted_then_offline_access() {
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        // configured, challenge, of the resource, granted, offered, asked for
        for (configured, challenge, of_resource, granted, offered, wanted) in [
            (None, None, "", "", "", ""),
            (None, None, "a b", "", "", "a b"),
            (None, Some("Bearer"), "a b", "", "", "a b"),
            (None, Some("Bearer scope=\"\""), "a b", "", "", "a b"),
            (None, Some("Bearer scope=\"c  d\""), "a b", "", "", "c d"),
            (
                None,
                Some("Basic, Bearer realm=\"x\", scope=c"),
                "a",
                "",
                "",
                "c",
            ),
            (Some("e"), Some("Bearer scope=\"c\""), "a", "", "", "e"),
            (Some(""), Some("Bearer scope=\"c\""), "a", "", "", ""),
            // Each once, and in this order.
            (None, Some("Bearer scope=\"c a\""), "", "a b c", "", "c a b"),
            (Some("e"), None, "", "a e", "", "e a"),
            (
                None,
                None,
                "a",
                "",
                "a b offline_access",
                "a offline_access",
            ),
            (
                None,
                None,
                "offline_access a",
                "",
                "offline_access",
                "offline_access a",
            ),
            (None, None, "offline_access a", "", "", "offline_access a"),
            (None, None, "", "a", "offline_access", "a offline_access"),
            (None, None, "", "", "offline_access", ""),
        ] {
            let sign_in = SignIn {
                server_name: "server".to_owned(),
                server_url: "https://mcp.example/mcp".to_owned(),
                url: "https://mcp.example/mcp".parse().unwrap(),
                redirect_uri: REDIRECT_URI.to_owned(),
                challenge: challenge.map(str::to_owned),
                client: None,
                client_metadata_url: None,
                scopes: configured.map(words),
                granted: words(granted),
                resource: None,
            };
            let found = Discovered {
                scopes: words(of_resource),
                ..Discovered::default()
            };
            let metadata = metadata(json!({ "scopes_supported": words(offered) }));
            let asked = scopes(&sign_in, &found, &metadata).join(" ");
            assert_eq!(
                asked, wanted,
                "{challenge:?} {of_resource:?} {granted:?} {offered:?}"
            );
        }
    }

    #[test]
    fn the_url_for_the_user_names_the_resource_as_it_is_called() {
        let scopes = |text: &str| [text.to_owned()];
        for (url, resource, scope, wanted) in [
            (
                "https://a.example/authorize?state=s&resource=https%3A%2F%2Fm.example%2F",
                "https://m.example",
                "a",
                "https://a.example/authorize?state=s&resource=https%3A%2F%2Fm.example",
            ),
            (
                "https://a.example/authorize?tenant=1&state=s",
                "https://m.example/mcp/",
                "a",
                "https://a.example/authorize?tenant=1&state=s&resource=https%3A%2F%2Fm.example%2Fmcp%2F",
            ),
            (
                "https://a.example/?state=s+%26",
                "urn:x",
                "offline_access",
                "https://a.example/?state=s+%26&resource=urn%3Ax&prompt=consent",
            ),
        ] {
            let got = authorization_url(url, resource, &scopes(scope));
            assert_eq!(got.unwrap(), wanted);
        }
    }

    #[test]
    fn an_answer_is_read_where_it_comes_to_the_place_that_was_named() {
        let good = "state=state-1&code=c";
        for (redirect_uri, callback, is_read) in [
            (REDIRECT_URI, format!("{REDIRECT_URI}?{good}"), true),
            (REDIRECT_URI, format!("\t {REDIRECT_URI}?{good}\n"), true),
            (
                REDIRECT_URI,
                format!("{REDIRECT_URI}?{good}#fragment"),
                true,
            ),
            (
                REDIRECT_URI,
                format!("{REDIRECT_URI}?{good}&iss=https://auth.example"),
                true,
            ),
            (
                REDIRECT_URI,
                format!("{REDIRECT_URI}?{good}&iss=https://auth.example/"),
                false,
            ),
            (REDIRECT_URI, format!("{REDIRECT_URI}/?{good}"), false),
            (REDIRECT_URI, format!("{REDIRECT_URI}?{good}&{good}"), false),
            (REDIRECT_URI, format!("{REDIRECT_URI}#{good}"), false),
            (REDIRECT_URI, good.to_owned(), false),
            (
                "https://host.example/cb",
                format!("https://host.example:443/cb?{good}"),
                true,
            ),
            (
                "https://host.example/cb",
                format!("https://HOST.example/cb?{good}"),
                true,
            ),
            (
                "https://host.example/cb",
                format!("http://host.example/cb?{good}"),
                false,
            ),
            (
                "https://host.example/cb?of=mine",
                format!("https://host.example/cb?of=mine&{good}"),
                true,
            ),
            (
                "com.example.app:/cb",
                format!("com.example.app:/cb?{good}"),
                true,
            ),
            (
                "com.example.app:cb",
                format!("com.example.app:cb?{good}"),
                true,
            ),
            (
                "com.example.app:cb",
                format!("com.example.other:cb?{good}"),
                false,
            ),
            ("app://signed-in", format!("app://signed-in?{good}"), true),
            ("app://signed-in", format!("app://elsewhere?{good}"), false),
        ] {
            let pending = pending(redirect_uri, false);
            let read = Callback::read(&pending, &callback);
            assert_eq!(read.is_ok(), is_read, "{callback}");
            if let Err(error) = read {
                assert_eq!(
                    error.kind(),
                    SignInFailureKind::InvalidCallback,
                    "{callback}"
                );
                assert!(error.message().contains("server\\u{1b}"), "{error}");
            }
        }
    }

    #[test]
    fn a_refusal_is_one_where_it_comes_from_whom_was_asked() {
        use SignInFailureKind::{Denied, InvalidCallback};
        // Whether the issuer is promised, the answer, what it comes to, and a part of what is said.
        for (promised, answer, wanted, said) in [
            (
                false,
                "state=state-1&error=access_denied",
                Denied,
                "(access_denied)",
            ),
            (false, "state=state-1&error=x&code=c", Denied, "(x)"),
            (
                false,
                "state=state-1&error=a&error_description=b%07",
                Denied,
                "(a: b\\u{7})",
            ),
            (
                false,
                "state=state-1&error=a%1b&error_description=+",
                Denied,
                "(a\\u{1b})",
            ),
            (
                true,
                "state=state-1&error=a&iss=https://auth.example",
                Denied,
                "(a)",
            ),
            (
                true,
                "state=state-1&error=a",
                InvalidCallback,
                "does not say",
            ),
            (
                false,
                "state=state-1&error=a&iss=https://b.example",
                InvalidCallback,
                "another",
            ),
            (
                true,
                "state=state-1&code=c",
                InvalidCallback,
                "does not say",
            ),
            (
                false,
                "state=state-2&error=a",
                InvalidCallback,
                "another sign-in",
            ),
            (false, "error=a", InvalidCallback, "another sign-in"),
            (false, "state=state-1", InvalidCallback, "`code`"),
        ] {
            let callback = format!("{REDIRECT_URI}?{answer}");
            let error = pending(REDIRECT_URI, promised)
                .check(&callback)
                .unwrap_err();
            assert_eq!(error.kind(), wanted, "{answer}");
            assert!(error.message().contains(said), "{error}");
        }
    }

    #[test]
    fn a_redirect_uri_leads_to_this_machine_or_where_the_way_is_safe_or_to_an_app() {
        for (redirect_uri, is_good) in [
            (REDIRECT_URI, true),
            ("http://localhost/callback", true),
            ("http://[::1]:1/", true),
            ("https://host.example/callback?of=mine", true),
            ("com.example.app:/callback", true),
            ("app://signed-in", true),
            ("http://host.example/callback", false),
            ("http://192.168.1.1/callback", false),
            ("http://127.0.0.1/callback#part", false),
            ("https://host.example/#", false),
            ("/callback", false),
            ("", false),
        ] {
            assert_eq!(
                check_redirect_uri(redirect_uri).is_ok(),
                is_good,
                "{redirect_uri}"
            );
        }
        let error = check_redirect_uri("\u{1b}[2J").unwrap_err();
        assert_eq!(error.kind(), SignInFailureKind::InvalidConfiguration);
        assert!(!error.message().contains(char::is_control), "{error}");
    }

    #[test]
    fn of_a_registration_is_kept_what_a_later_request_needs() {
        let secret = json!({ "client_secret": "s", "client_secret_expires_at": null });
        for (answer, wanted) in [
            (json!({ "client_id": "c" }), Some(("c", None, json!({})))),
            (
                json!({ "client_id": "c", "client_secret": "" }),
                Some(("c", None, json!({}))),
            ),
            (
                json!({ "client_id": "c", "client_secret": "s", "client_name": "n" }),
                Some(("c", Some("s"), secret.clone())),
            ),
            (
                json!({ "client_id": "c", "client_secret": "s", "client_secret_expires_at": "soon", "token_endpoint_auth_method": "none" }),
                Some(("c", Some("s"), secret)),
            ),
            (
                json!({ "client_id": "c", "client_secret": "s", "client_secret_expires_at": 7, "token_endpoint_auth_method": "client_secret_post" }),
                Some((
                    "c",
                    Some("s"),
                    json!({ "client_secret": "s", "client_secret_expires_at": 7, "token_endpoint_auth_method": "client_secret_post" }),
                )),
            ),
            (json!({ "client_id": "" }), None),
            (json!({ "client_id": 7 }), None),
            (json!({ "client_secret": "s" }), None),
            (json!([]), None),
        ] {
            let client = Client::registered(answer.to_string().as_bytes());
            let got = client.as_ref().map(|client| {
                let issued = Value::Object(client.issued.clone());
                (client.id.as_str(), client.secret.as_deref(), issued)
            });
            assert_eq!(got, wanted, "{answer}");
        }
        assert!(Client::registered(b"<html>").is_none());
    }

    #[test]
    fn what_is_pending_does_not_print() {
        let pending = pending(REDIRECT_URI, false);
        let begun = SignInBegun {
            authorization_url: "https://auth.example/authorize".to_owned(),
            pending: pending.clone(),
        };
        assert!(!format!("{pending:?} {begun:?}").contains("canary"));
        let error = PendingSignIn::parse("{\"client\":\"canary\"}").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("canary"));
        assert!(
            pending
                .to_json()
                .expose_secret()
                .contains("verifier-canary")
        );
    }
}
