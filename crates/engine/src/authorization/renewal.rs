//! Refreshes the stored credential of one start.

use std::sync::Arc;

use mcp_startup_auth::network::Network;
use mcp_startup_auth::{
    CredentialKey, CredentialStore, RefreshOutcome, RefreshRequest, discover_issuer, refresh,
};
use mcp_startup_config::OAuthClient;
use mcp_startup_core::DiscoveryOutcome;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::task::TaskTracker;
use url::Url;

use super::stored_credential::granted_scopes;
use super::{configured_client, find_authorization_server};
use crate::start::evidence_collector::EvidenceCollector;
use crate::timeline::{TimelineRefresh, TimelineStep};

/// The inputs of a refresh for one start.
pub(crate) struct Renewal {
    pub store: Arc<dyn CredentialStore>,
    pub network: Network,
    pub refreshes: TaskTracker,
    pub key: CredentialKey,
    pub resource: Url,
    /// The issuer that granted the record.
    pub issuer: Option<String>,
    pub oauth: OAuthClient,
    pub scopes: Option<Vec<String>>,
    pub collector: Arc<EvidenceCollector>,
}

/// The outcome of a refresh.
pub(crate) enum Renewed {
    Token(SecretString),
    /// The refresh token may not be sent to the discovered authorization server.
    NotSent,
    /// No authorization server was found.
    Undiscovered,
    Failed,
}

impl Renewal {
    /// Finds the authorization server, and refreshes the stored credential there.
    pub async fn renew(&self, challenge: Option<&str>, rejected: Option<SecretString>) -> Renewed {
        let collector = &self.collector;
        let phase = collector.phase();
        let guarded = self.network.guarded_client(&self.resource).await;
        let issuer = self.issuer.as_deref();
        let mut found =
            find_authorization_server(&guarded, &self.resource, challenge, issuer, None, collector)
                .await;
        // The server does not name its authorization server, but the record does.
        if found.evidence.outcome == Some(DiscoveryOutcome::NotPublished)
            && let Some(issuer) = &self.issuer
            && let Some(known) = discover_issuer(&guarded, issuer, &collector.log).await
        {
            collector.record_discovery(&known);
            found = known;
        }
        let record = |outcome| {
            if let Some(timeline) = collector.timeline() {
                timeline.record(TimelineStep::Refreshed { outcome });
            }
        };
        let Some(metadata) = found.metadata else {
            record(TimelineRefresh::NoAuthorizationServer);
            collector.enter(phase);
            return Renewed::Undiscovered;
        };
        let request = RefreshRequest {
            key: self.key.clone(),
            rejected,
            server: self.resource.clone(),
            configured_resource: self.oauth.resource.clone(),
            published_resource: found.resource,
            metadata,
            client: configured_client(&self.oauth),
            scopes: self.scopes.clone(),
        };
        let refreshed = refresh(
            self.store.clone(),
            guarded,
            request,
            collector.log.clone(),
            &self.refreshes,
        );
        let renewed = match Box::pin(refreshed).await {
            RefreshOutcome::Token {
                access_token,
                not_saved,
            } => {
                collector.add_secrets([access_token.expose_secret()].into_iter());
                record(match &not_saved {
                    Some(_) => TimelineRefresh::TokenNotSaved,
                    None => TimelineRefresh::Token,
                });
                if let Some(error) = not_saved {
                    collector.record_save_error(&error);
                }
                // The scopes of a token that another program has stored are unknown.
                let renewed = collector.known.written(&access_token);
                let scopes = renewed.and_then(|record| granted_scopes(&record, collector));
                collector.update(|evidence| {
                    if let Some(credential) = &mut evidence.credential {
                        credential.granted_scopes = scopes;
                    }
                });
                Renewed::Token(access_token)
            }
            RefreshOutcome::NotSent => {
                record(TimelineRefresh::NotSent);
                Renewed::NotSent
            }
            RefreshOutcome::Refused => {
                record(TimelineRefresh::Refused);
                Renewed::Failed
            }
            RefreshOutcome::Blocked(blocked) => {
                record(TimelineRefresh::Blocked);
                collector.record_blocked_token_endpoint(&blocked);
                Renewed::Failed
            }
            RefreshOutcome::StoreFailed(error) => {
                record(TimelineRefresh::StoreFailed);
                collector.record_store_error(&error);
                Renewed::Failed
            }
        };
        collector.enter(phase);
        renewed
    }
}
