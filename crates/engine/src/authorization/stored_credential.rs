//! Reads the stored credential of a server for its start.

use std::sync::Arc;

use mcp_startup_auth::{CredentialKey, CredentialRecord, now_ms};
use mcp_startup_config::{HttpConfig, OAuthClient, ServerConfig};
use mcp_startup_core::{
    ClientSource, CredentialEvidence, CredentialSource, CredentialWorth, StartPhase, assess,
};

use super::observed_record::{ObservingStore, Read};
use super::{Authorization, Renewal};
use crate::shared_context::SharedContext;
use crate::start::evidence_collector::EvidenceCollector;

/// The record stored for exactly this server.
pub(crate) struct StoredCredential {
    pub record: CredentialRecord,
    pub worth: CredentialWorth,
    /// The inputs of a refresh; `None` if the record has no refresh token that may be sent.
    pub renewal: Option<Renewal>,
}

impl StoredCredential {
    /// The authorization of a start with this record.
    pub async fn authorization(self) -> Authorization {
        Authorization::stored(&self.record, self.worth.first_request(), self.renewal).await
    }
}

/// The key of a server's stored credential.
pub(crate) fn credential_key(config: &ServerConfig, http: &HttpConfig) -> CredentialKey {
    CredentialKey::new(&config.name, &http.written_url)
}

/// Reads the stored credential of a server, and adds it or the error of the store to the evidence.
pub(crate) async fn read_stored_credential(
    config: &ServerConfig,
    http: &HttpConfig,
    shared: &SharedContext,
    collector: &Arc<EvidenceCollector>,
) -> Option<StoredCredential> {
    collector.enter(StartPhase::ReadingCredentials);
    let key = credential_key(config, http);
    let found = match &shared.stores {
        None => Ok(None),
        Some(stores) => stores.find(&key).await,
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
    collector.update(|evidence| {
        evidence.credential = Some(CredentialEvidence {
            source: Some(CredentialSource::Stored),
            worth: Some(worth),
            stored_issuer: record.issuer().map(str::to_owned),
            client_source: Some(client_source(&record, &config.oauth)),
            ..CredentialEvidence::default()
        });
    });
    let renewal = worth.refresh_token.then(|| Renewal {
        store: Arc::new(ObservingStore {
            store: found.store,
            known: collector.known.clone(),
        }),
        network: shared.network.clone(),
        refreshes: shared.refreshes.clone(),
        key,
        resource: http.url.clone(),
        issuer: record.issuer().map(str::to_owned),
        oauth: config.oauth.clone(),
        scopes: config.scopes.clone(),
        collector: collector.clone(),
    });
    Some(StoredCredential {
        record,
        worth,
        renewal,
    })
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
