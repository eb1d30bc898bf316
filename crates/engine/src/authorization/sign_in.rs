//! Signs in to and out of configured servers, and reads their authorization status.

use std::time::Duration;

use mcp_startup_auth::{
    CredentialKey, CredentialRecord, PendingSignIn, RequestLog, Revocation, SignInBegun,
    SignInError, SignInFailureKind, SignInRequest, StoreError, begin_sign_in, discover,
    finish_sign_in, now_ms, revoke,
};
use mcp_startup_config::{HttpConfig, ServerConfig, ServerEntry, TransportConfig};
use mcp_startup_core::{CredentialWorth, DiscoveryOutcome, McpAuthStatus, assess, auth_status};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{configured_client, credential_key};
use crate::authorization;
use crate::shared_context::{DEFAULT_LIMIT, SharedContext};
use crate::transport::http::{challenge, configured_headers, media_types};

/// The request that shows which authorization a server requires: an `initialize`, which every server supports.
const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"mcp-startup","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);

/// How a client is authorized at a server, and the credential stored for it. It contains no secret.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuthStatus {
    /// The status, as defined by Codex's app-server. It is `None` if it cannot be determined: no usable credential
    /// is stored, and the server was not queried or did not respond.
    pub status: Option<McpAuthStatus>,
    /// Whether the stored tokens can be used; `None` if nothing is stored for exactly this server.
    pub worth: Option<CredentialWorth>,
    /// When the stored access token expires, in ms since the Unix epoch; `None` if the record does not specify it.
    pub expires_at_ms: Option<i64>,
    /// The granted scopes.
    pub scopes: Vec<String>,
    /// The issuer that granted the stored credential.
    pub issuer: Option<String>,
    /// The store of the credential: `file`, `keyring`, or the name of a host's custom store.
    pub store: Option<String>,
    /// The error of the store, if the stored credential could not be read.
    pub store_error: Option<StoreError>,
}

/// The result of a sign-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SignedOut {
    /// Whether a credential was stored.
    pub was_stored: bool,
    /// The result of revoking the tokens at the authorization server.
    pub revocation: Revocation,
}

pub(crate) async fn begin(
    entry: &ServerEntry,
    shared: &SharedContext,
    redirect_uri: &str,
) -> Result<SignInBegun, SignInError> {
    let (config, http) = http_config(entry)?;
    if authorization::configured(http).is_some() {
        return Err(SignInError::new(
            SignInFailureKind::InvalidConfiguration,
            "the configuration has a token or an `Authorization` header for this server, which overrides any sign-in: remove it first",
        ));
    }
    let begun = async {
        let stored = match &shared.stores {
            // A record that cannot be read can still be replaced.
            Some(stores) => stores
                .find(&credential_key(config, http))
                .await
                .ok()
                .flatten(),
            None => None,
        };
        let record = stored.map(|found| found.record);
        let (challenge, needs_more) = probe(shared, http, record.as_ref()).await;
        let request = SignInRequest {
            server_name: config.name.clone(),
            server_url: http.written_url.clone(),
            url: http.url.clone(),
            redirect_uri: redirect_uri.to_owned(),
            challenge,
            client: configured_client(&config.oauth),
            client_metadata_url: shared.client_metadata_url.clone(),
            scopes: config.scopes.clone(),
            granted: match (&record, needs_more) {
                (Some(record), true) => record.scopes().to_vec(),
                _ => Vec::new(),
            },
            resource: config.oauth.resource.clone(),
        };
        let guarded = shared.network.guarded_client(&http.url).await;
        begin_sign_in(&guarded, &request, &RequestLog::default()).await
    };
    with_limit(shared.limit_of(config), begun).await
}

pub(crate) async fn finish(
    shared: &SharedContext,
    pending: &PendingSignIn,
    callback_url: &str,
) -> Result<(), SignInError> {
    let Some(stores) = &shared.stores else {
        return Err(SignInError::new(
            SignInFailureKind::StoreFailed,
            "no credential store is available for the sign-in: set one in the options",
        ));
    };
    // An invalid callback URL must not use up the sign-in.
    pending.check(callback_url)?;
    if !shared.finished.note(pending) {
        return Err(SignInError::new(
            SignInFailureKind::Used,
            "this sign-in has already been finished: start a new sign-in",
        ));
    }
    let url = url::Url::parse(pending.server_url()).map_err(|_| {
        SignInError::new(
            SignInFailureKind::InvalidPending,
            "the pending sign-in cannot be used: start a new sign-in",
        )
    })?;
    let exchanged = async {
        let guarded = shared.network.guarded_client(&url).await;
        finish_sign_in(&guarded, pending, callback_url, &RequestLog::default()).await
    };
    let record = with_limit(shared.limit.unwrap_or(DEFAULT_LIMIT), exchanged).await?;
    let key = CredentialKey::new(pending.server_name(), pending.server_url());
    stores.save(&key, &record).await.map_err(|error| {
        let message = format!("the sign-in succeeded but could not be stored: {error}");
        SignInError::new(SignInFailureKind::StoreFailed, message)
    })
}

pub(crate) async fn sign_out(
    entry: &ServerEntry,
    shared: &SharedContext,
) -> Result<SignedOut, SignInError> {
    let (config, http) = http_config(entry)?;
    let Some(stores) = &shared.stores else {
        return Ok(SignedOut {
            was_stored: false,
            revocation: Revocation::NotOffered,
        });
    };
    let key = credential_key(config, http);
    let failed =
        |error: StoreError| SignInError::new(SignInFailureKind::StoreFailed, error.to_string());
    let mut revocation = Revocation::NotOffered;
    if let Some(found) = stores.find(&key).await.map_err(failed)? {
        let guarded = shared.network.guarded_client(&http.url).await;
        let client = configured_client(&config.oauth);
        let log = RequestLog::default();
        let revoking = revoke(&guarded, &found.record, client.as_ref(), &log);
        revocation = tokio::time::timeout(shared.limit_of(config), revoking)
            .await
            .unwrap_or(Revocation::Failed);
    }
    // Remove the record even if the revocation failed.
    let was_stored = stores.remove(&key).await.map_err(failed)?;
    Ok(SignedOut {
        was_stored,
        revocation,
    })
}

pub(crate) async fn status(
    entry: &ServerEntry,
    shared: &SharedContext,
    online: bool,
) -> AuthStatus {
    let mut found = AuthStatus::default();
    let Ok(config) = &entry.config else {
        return found;
    };
    let TransportConfig::Http(http) = &config.transport else {
        found.status = auth_status(false, None, Some(false));
        return found;
    };
    let configured = authorization::configured(http).is_some();
    if let Some(stores) = &shared.stores {
        match stores.find(&credential_key(config, http)).await {
            Ok(Some(stored)) => {
                let record = &stored.record;
                found.worth = Some(assess(&record.facts(), now_ms()));
                found.expires_at_ms = record.facts().expires_at_ms;
                found.scopes = record.scopes().to_vec();
                found.issuer = record.issuer().map(str::to_owned);
                found.store = Some(stored.store.name().to_owned());
            }
            Ok(None) => {}
            Err(error) => found.store_error = Some(error),
        }
    }
    let offline = auth_status(configured, found.worth, None);
    found.status = match (offline, online, &found.store_error) {
        (None, true, None) => auth_status(
            configured,
            found.worth,
            publishes(shared, config, http).await,
        ),
        (offline, _, _) => offline,
    };
    found
}

/// Whether the server publishes OAuth metadata; `None` if that cannot be determined now.
async fn publishes(
    shared: &SharedContext,
    config: &ServerConfig,
    http: &HttpConfig,
) -> Option<bool> {
    let discovery = async {
        let (challenge, _) = probe(shared, http, None).await;
        let guarded = shared.network.guarded_client(&http.url).await;
        discover(
            &guarded,
            &http.url,
            challenge.as_deref(),
            &RequestLog::default(),
        )
        .await
    };
    let found = tokio::time::timeout(shared.limit_of(config), Box::pin(discovery))
        .await
        .ok()?;
    match found.evidence.outcome? {
        DiscoveryOutcome::Published => Some(true),
        DiscoveryOutcome::NotPublished => Some(false),
        DiscoveryOutcome::Unavailable | DiscoveryOutcome::Unusable => None,
    }
}

/// Sends an `initialize` request. Returns the challenge of the response, and whether the server requires more scopes
/// than were granted.
async fn probe(
    shared: &SharedContext,
    http: &HttpConfig,
    record: Option<&CredentialRecord>,
) -> (Option<String>, bool) {
    let mut headers = configured_headers(http);
    for (name, value) in media_types() {
        headers.insert(name, value);
    }
    let mut request = shared
        .network
        .server_client()
        .post(http.url.clone())
        .headers(headers)
        .body(INITIALIZE);
    if let Some(token) = record.and_then(CredentialRecord::access_token) {
        request = request.bearer_auth(token.expose_secret());
    }
    let Ok(response) = request.send().await else {
        return (None, false);
    };
    let needs_more = response.status() == http::StatusCode::FORBIDDEN;
    (challenge(response.headers()), needs_more)
}

async fn with_limit<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, SignInError>>,
) -> Result<T, SignInError> {
    match tokio::time::timeout(limit, Box::pin(work)).await {
        Ok(result) => result,
        Err(_) => Err(SignInError::new(
            SignInFailureKind::Unavailable,
            "the server or its sign-in service did not respond in time: try again later",
        )),
    }
}

/// The configuration of a server over HTTP. A local program has no sign-in.
fn http_config(entry: &ServerEntry) -> Result<(&ServerConfig, &HttpConfig), SignInError> {
    let unusable =
        |message: String| SignInError::new(SignInFailureKind::InvalidConfiguration, message);
    let config = entry
        .config
        .as_ref()
        .map_err(|problem| unusable(problem.to_string()))?;
    match &config.transport {
        TransportConfig::Http(http) => Ok((config, http)),
        TransportConfig::Stdio(_) => Err(unusable(
            "this server is a program on this machine and has no sign-in".to_owned(),
        )),
    }
}
