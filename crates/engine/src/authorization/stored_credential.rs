//! Where the stored credential of a server is, and reads it for a start or for a live server.

use std::sync::Arc;
use std::time::Duration;

use mcp_startup_auth::network::Network;
use mcp_startup_auth::{CredentialKey, CredentialRecord, CredentialStores, now_ms};
use mcp_startup_config::{HttpConfig, OAuthClient, ServerConfig};
use mcp_startup_core::{
    ClientSource, CredentialEvidence, CredentialSource, CredentialWorth, StartPhase, assess,
};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use url::Url;

use super::Renewal;
use super::observed_record::{ObservingStore, Read};
use crate::shared_context::SharedContext;
use crate::start::evidence_collector::EvidenceCollector;

/// The maximum number of granted scopes in the evidence, and of their characters.
const MAX_SCOPES: usize = 100;
const MAX_SCOPE_CHARS: usize = 200;

/// The place of a server's stored credential, and everything that a refresh of it needs besides the record.
#[derive(Clone)]
pub(crate) struct CredentialPlace {
    stores: Option<CredentialStores>,
    key: CredentialKey,
    network: Network,
    refreshes: TaskTracker,
    resource: Url,
    oauth: OAuthClient,
    scopes: Option<Vec<String>>,
}

/// The record stored for exactly this server.
pub(crate) struct StoredCredential {
    pub record: CredentialRecord,
    pub worth: CredentialWorth,
    /// The inputs of a refresh; `None` if the record has no refresh token that may be sent.
    pub renewal: Option<Renewal>,
}

/// The key of a server's stored credential.
pub(crate) fn credential_key(config: &ServerConfig, http: &HttpConfig) -> CredentialKey {
    CredentialKey::new(&config.name, &http.written_url)
}

/// Reads the stored credential of a server. See [`CredentialPlace::read`].
pub(crate) async fn read_stored_credential(
    config: &ServerConfig,
    http: &HttpConfig,
    shared: &SharedContext,
    collector: &Arc<EvidenceCollector>,
) -> Option<StoredCredential> {
    let place = CredentialPlace::new(config, http, shared);
    place.read(shared.limit_of(config), collector).await
}

impl CredentialPlace {
    pub fn new(config: &ServerConfig, http: &HttpConfig, shared: &SharedContext) -> Self {
        Self {
            stores: shared.stores.clone(),
            key: credential_key(config, http),
            network: shared.network.clone(),
            refreshes: shared.refreshes.clone(),
            resource: http.url.clone(),
            oauth: config.oauth.clone(),
            scopes: config.scopes.clone(),
        }
    }

    /// Reads the stored credential, and adds it or the error of the store to the evidence. `limit` is the time for the rest of the
    /// work.
    pub async fn read(
        &self,
        limit: Duration,
        collector: &Arc<EvidenceCollector>,
    ) -> Option<StoredCredential> {
        let deadline = Instant::now() + limit;
        collector.enter(StartPhase::ReadingCredentials);
        let found = match &self.stores {
            None => Ok(None),
            Some(stores) => {
                if let Some(name) = stores.first_name() {
                    collector.begin_reading(name);
                }
                let found = stores.find(&self.key).await;
                collector.end_reading();
                found
            }
        };
        collector.known.has_read(match &found {
            Ok(found) => Read::Record(found.as_ref().map(|found| found.record.clone())),
            Err(_) => Read::Unreadable,
        });
        let found = match found {
            Ok(Some(found)) => found,
            nothing => {
                if let Err(error) = &nothing {
                    collector.record_store_error(error);
                }
                collector.update(|evidence| {
                    evidence.credential = Some(CredentialEvidence {
                        source: Some(CredentialSource::None),
                        ..CredentialEvidence::default()
                    });
                });
                return None;
            }
        };
        let record = found.record;
        collector.add_secrets(record.secrets());
        let worth = assess(&record.facts(), now_ms());
        let granted_scopes = granted_scopes(&record, collector);
        collector.update(|evidence| {
            evidence.credential = Some(CredentialEvidence {
                source: Some(CredentialSource::Stored),
                worth: Some(worth),
                stored_issuer: record.issuer().map(str::to_owned),
                client_source: Some(client_source(&record, &self.oauth)),
                granted_scopes,
                ..CredentialEvidence::default()
            });
        });
        let renewal = worth.refresh_token.then(|| Renewal {
            store: Arc::new(ObservingStore {
                store: found.store,
                known: collector.known.clone(),
                deadline,
            }),
            network: self.network.clone(),
            refreshes: self.refreshes.clone(),
            key: self.key.clone(),
            resource: self.resource.clone(),
            issuer: record.issuer().map(str::to_owned),
            oauth: self.oauth.clone(),
            scopes: self.scopes.clone(),
            collector: collector.clone(),
        });
        Some(StoredCredential {
            record,
            worth,
            renewal,
        })
    }
}

/// The granted scopes of a record as evidence. `None` if the record has none.
pub(super) fn granted_scopes(
    record: &CredentialRecord,
    collector: &EvidenceCollector,
) -> Option<Vec<String>> {
    // A scope that is masked or cut could equal another one.
    let is_kept = |scope: &&String| collector.sanitize(scope, MAX_SCOPE_CHARS) == **scope;
    let scopes = record.scopes().iter().filter(is_kept);
    let scopes: Vec<String> = scopes.take(MAX_SCOPES).cloned().collect();
    (!scopes.is_empty()).then_some(scopes)
}

/// The source of a record's OAuth client: the configuration if it names this client, a metadata document if the client
/// ID is a URL, and a registration otherwise.
fn client_source(record: &CredentialRecord, configured: &OAuthClient) -> ClientSource {
    match record.client_id() {
        Some(client_id) if Some(client_id) == configured.client_id.as_deref() => {
            ClientSource::Configuration
        }
        Some(client_id) if client_id.starts_with("https://") => ClientSource::MetadataDocument,
        _ => ClientSource::Registration,
    }
}
