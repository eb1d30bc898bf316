//! How a client is authorized at a server, and the state of its stored credential. It changes nothing.

use mcp_startup_auth::{RequestLog, StoreError, discover, now_ms};
use mcp_startup_config::{HttpConfig, ServerConfig, ServerEntry, TransportConfig};
use mcp_startup_core::{CredentialWorth, DiscoveryOutcome, McpAuthStatus, assess, auth_status};
use serde::Serialize;

use super::probe::probe;
use crate::authorization::{self, credential_key};
use crate::shared_context::SharedContext;

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
        let challenge = probe(shared, http, None).await.challenge;
        let guarded = shared.network.guarded_client(&http.url).await;
        discover(
            &guarded,
            &http.url,
            challenge.as_deref(),
            None,
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
