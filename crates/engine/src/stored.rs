//! What is stored for a server, as far as its start is concerned.

use std::sync::Arc;

use mcp_startup_auth::{CredentialKey, CredentialRecord, now_ms};
use mcp_startup_config::{HttpConfig, OAuthClient, ServerConfig};
use mcp_startup_core::{
    ClientSource, CredentialEvidence, CredentialSource, CredentialWorth, StartPhase, assess,
};

use crate::authorization::{Authorization, Renewal};
use crate::findings::Findings;
use crate::known::{Noting, Read};
use crate::means::Means;

/// A record that is stored for exactly this server.
pub(crate) struct Stored {
    pub record: CredentialRecord,
    pub worth: CredentialWorth,
    /// What refreshing it takes; `None` where it has no refresh token that may be sent.
    pub renewal: Option<Renewal>,
}

impl Stored {
    /// The credential of a start with this record.
    pub async fn authorization(self) -> Authorization {
        Authorization::stored(&self.record, self.worth.first_request(), self.renewal).await
    }
}

/// Under what is stored for a server.
pub(crate) fn credential_key(config: &ServerConfig, http: &HttpConfig) -> CredentialKey {
    CredentialKey::new(&config.name, &http.written_url)
}

/// Reads what is stored for a server, and enters it into the evidence, or why that can't be known.
pub(crate) async fn read_stored(
    config: &ServerConfig,
    http: &HttpConfig,
    means: &Means,
    findings: &Arc<Findings>,
) -> Option<Stored> {
    findings.enter(StartPhase::ReadingCredentials);
    let key = credential_key(config, http);
    let found = match &means.stores {
        None => Ok(None),
        Some(stores) => stores.find(&key).await,
    };
    findings.known.has_read(match &found {
        Ok(found) => Read::Record(found.as_ref().map(|found| found.record.clone())),
        Err(_) => Read::Unreadable,
    });
    let found = match found {
        Ok(Some(found)) => found,
        nothing => {
            if let Err(error) = &nothing {
                findings.store_failed(error);
            }
            findings.note(|evidence| {
                evidence.credential = Some(CredentialEvidence {
                    source: Some(CredentialSource::None),
                    ..CredentialEvidence::default()
                });
            });
            return None;
        }
    };
    let record = found.record;
    findings.hide(record.secrets());
    let worth = assess(&record.facts(), now_ms());
    findings.note(|evidence| {
        evidence.credential = Some(CredentialEvidence {
            source: Some(CredentialSource::Stored),
            worth: Some(worth),
            stored_issuer: record.issuer().map(str::to_owned),
            client_source: Some(client_source(&record, &config.oauth)),
            ..CredentialEvidence::default()
        });
    });
    let renewal = worth.refresh_token.then(|| Renewal {
        store: Arc::new(Noting {
            store: found.store,
            known: findings.known.clone(),
        }),
        network: means.network.clone(),
        refreshes: means.refreshes.clone(),
        key,
        resource: http.url.clone(),
        issuer: record.issuer().map(str::to_owned),
        oauth: config.oauth.clone(),
        scopes: config.scopes.clone(),
        findings: findings.clone(),
    });
    Some(Stored {
        record,
        worth,
        renewal,
    })
}

/// Where the OAuth client of a record comes from: the configuration names it, or its id is the URL of a metadata document, or
/// it was registered.
fn client_source(record: &CredentialRecord, configured: &OAuthClient) -> ClientSource {
    match record.client_id() {
        Some(client_id) if Some(client_id) == configured.client_id.as_deref() => {
            ClientSource::Configuration
        }
        Some(client_id) if client_id.starts_with("https://") => ClientSource::MetadataDocument,
        _ => ClientSource::Registration,
    }
}
