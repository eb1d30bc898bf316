//! Signing in and out of the servers of a configuration, and how each is authorized now.

use std::time::Duration;

use mcp_startup_auth::{
    CredentialKey, CredentialRecord, PendingSignIn, RequestLog, Revocation, SignIn, SignInBegun,
    SignInError, SignInFailureKind, StoreError, begin_sign_in, discover, finish_sign_in, now_ms,
    revoke,
};
use mcp_startup_config::{HttpConfig, ServerConfig, ServerEntry, TransportConfig};
use mcp_startup_core::{CredentialWorth, DiscoveryOutcome, McpAuthStatus, assess, auth_status};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::authorization::{self, configured_client};
use crate::http::{challenge, configured_headers, media_types};
use crate::means::{DEFAULT_LIMIT, Means};
use crate::stored::credential_key;

/// What a server is asked with to find out what it wants: a handshake, which every server knows.
const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"mcp-startup","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);

/// How a client is authorized at a server, and what is stored for it. No secret is in it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuthStatus {
    /// As Codex's app-server calls it; `None` where that can't be known: nothing usable is stored, and the server was not asked or
    /// did not answer.
    pub status: Option<McpAuthStatus>,
    /// What is stored is worth this; `None` where nothing is stored for exactly this server.
    pub worth: Option<CredentialWorth>,
    /// When the stored access token expires, in ms since the Unix epoch, where the record says.
    pub expires_at_ms: Option<i64>,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
    /// Who granted it.
    pub issuer: Option<String>,
    /// The place where it is stored: `file`, `keyring`, or as a host calls its own.
    pub store: Option<String>,
    /// Why it can't be known what is stored.
    pub store_error: Option<StoreError>,
}

/// What signing out came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SignedOut {
    /// Whether anything was stored.
    pub was_stored: bool,
    /// What became of the tokens at the authorization server.
    pub revocation: Revocation,
}

pub(crate) async fn begin(
    entry: &ServerEntry,
    means: &Means,
    redirect_uri: &str,
) -> Result<SignInBegun, SignInError> {
    let (config, http) = of_http(entry)?;
    if authorization::configured(http).is_some() {
        return Err(SignInError::new(
            SignInFailureKind::InvalidConfiguration,
            "the configuration carries a token or an `Authorization` header for this server, which goes before every sign-in: take it out first",
        ));
    }
    let begun = async {
        let stored = match &means.stores {
            // What can't be read can still be written over.
            Some(stores) => stores
                .find(&credential_key(config, http))
                .await
                .ok()
                .flatten(),
            None => None,
        };
        let record = stored.map(|found| found.record);
        let (challenge, wants_more) = ask(means, http, record.as_ref()).await;
        let wanted = SignIn {
            server_name: config.name.clone(),
            server_url: http.written_url.clone(),
            url: http.url.clone(),
            redirect_uri: redirect_uri.to_owned(),
            challenge,
            client: configured_client(&config.oauth),
            client_metadata_url: means.client_metadata_url.clone(),
            scopes: config.scopes.clone(),
            granted: match (&record, wants_more) {
                (Some(record), true) => record.scopes().to_vec(),
                _ => Vec::new(),
            },
            resource: config.oauth.resource.clone(),
        };
        let outside = means.network.beyond(&http.url).await;
        begin_sign_in(&outside, &wanted, &RequestLog::default()).await
    };
    within(means.limit_of(config), begun).await
}

pub(crate) async fn finish(
    means: &Means,
    pending: &PendingSignIn,
    callback_url: &str,
) -> Result<(), SignInError> {
    let Some(stores) = &means.stores else {
        return Err(SignInError::new(
            SignInFailureKind::StoreFailed,
            "there is no place to store a sign-in in: set one in the options",
        ));
    };
    // What is no answer to it must not use it up.
    pending.check(callback_url)?;
    if !means.finished.note(pending) {
        return Err(SignInError::new(
            SignInFailureKind::Used,
            "this sign-in was finished before: begin a new one",
        ));
    }
    let url = url::Url::parse(pending.server_url()).map_err(|_| {
        SignInError::new(
            SignInFailureKind::InvalidPending,
            "what was kept of this sign-in can't be used: begin it anew",
        )
    })?;
    let exchanged = async {
        let outside = means.network.beyond(&url).await;
        finish_sign_in(&outside, pending, callback_url, &RequestLog::default()).await
    };
    let record = within(means.limit.unwrap_or(DEFAULT_LIMIT), exchanged).await?;
    let key = CredentialKey::new(pending.server_name(), pending.server_url());
    stores.save(&key, &record).await.map_err(|error| {
        let message = format!("the sign-in went well, and could not be stored: {error}");
        SignInError::new(SignInFailureKind::StoreFailed, message)
    })
}

pub(crate) async fn sign_out(entry: &ServerEntry, means: &Means) -> Result<SignedOut, SignInError> {
    let (config, http) = of_http(entry)?;
    let Some(stores) = &means.stores else {
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
        let outside = means.network.beyond(&http.url).await;
        let client = configured_client(&config.oauth);
        let log = RequestLog::default();
        let revoking = revoke(&outside, &found.record, client.as_ref(), &log);
        revocation = tokio::time::timeout(means.limit_of(config), revoking)
            .await
            .unwrap_or(Revocation::Failed);
    }
    // Removed even where it could not be revoked: that is what was asked for.
    let was_stored = stores.remove(&key).await.map_err(failed)?;
    Ok(SignedOut {
        was_stored,
        revocation,
    })
}

pub(crate) async fn status(entry: &ServerEntry, means: &Means, online: bool) -> AuthStatus {
    let mut found = AuthStatus::default();
    let Ok(config) = &entry.config else {
        return found;
    };
    let TransportConfig::Http(http) = &config.transport else {
        found.status = auth_status(false, None, Some(false));
        return found;
    };
    let configured = authorization::configured(http).is_some();
    if let Some(stores) = &means.stores {
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
            publishes(means, config, http).await,
        ),
        (offline, _, _) => offline,
    };
    found
}

/// Whether the server publishes OAuth; `None` where that can't be found out now.
async fn publishes(means: &Means, config: &ServerConfig, http: &HttpConfig) -> Option<bool> {
    let asked = async {
        let (challenge, _) = ask(means, http, None).await;
        let outside = means.network.beyond(&http.url).await;
        discover(
            &outside,
            &http.url,
            challenge.as_deref(),
            &RequestLog::default(),
        )
        .await
    };
    let found = tokio::time::timeout(means.limit_of(config), Box::pin(asked))
        .await
        .ok()?;
    match found.evidence.outcome? {
        DiscoveryOutcome::Published => Some(true),
        DiscoveryOutcome::NotPublished => Some(false),
        DiscoveryOutcome::Unavailable | DiscoveryOutcome::Unusable => None,
    }
}

/// Asks the server what it wants: the challenge of its refusal, and whether that asks for more than was granted.
async fn ask(
    means: &Means,
    http: &HttpConfig,
    record: Option<&CredentialRecord>,
) -> (Option<String>, bool) {
    let mut headers = configured_headers(http);
    for (name, value) in media_types() {
        headers.insert(name, value);
    }
    let mut request = means
        .network
        .to_servers()
        .post(http.url.clone())
        .headers(headers)
        .body(INITIALIZE);
    if let Some(token) = record.and_then(CredentialRecord::access_token) {
        request = request.bearer_auth(token.expose_secret());
    }
    let Ok(response) = request.send().await else {
        return (None, false);
    };
    let wants_more = response.status() == http::StatusCode::FORBIDDEN;
    (challenge(response.headers()), wants_more)
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, SignInError>>,
) -> Result<T, SignInError> {
    match tokio::time::timeout(limit, Box::pin(work)).await {
        Ok(result) => result,
        Err(_) => Err(SignInError::new(
            SignInFailureKind::Unavailable,
            "the server or its sign-in service did not answer in time: try again later",
        )),
    }
}

/// A server over HTTP: a program has nothing to sign in to.
fn of_http(entry: &ServerEntry) -> Result<(&ServerConfig, &HttpConfig), SignInError> {
    let unusable =
        |message: String| SignInError::new(SignInFailureKind::InvalidConfiguration, message);
    let config = entry
        .config
        .as_ref()
        .map_err(|problem| unusable(problem.to_string()))?;
    match &config.transport {
        TransportConfig::Http(http) => Ok((config, http)),
        TransportConfig::Stdio(_) => Err(unusable(
            "this server is a program on this machine: there is nothing to sign in to".to_owned(),
        )),
    }
}
