//! The `Authorization` header for a request that the host sends through another SDK.

use std::sync::Arc;
use std::time::Instant;

use mcp_startup_auth::network::bare_url;
use mcp_startup_config::{HttpConfig, ServerConfig, ServerEntry, TransportConfig};
use mcp_startup_core::{
    CredentialSent, FirstRequest, RequestEvidence, RequestTarget, StartPhase, StartupFailure,
    Transport, judge,
};
use secrecy::{ExposeSecret, SecretString};

use super::held_token::held_token;
use super::recent_refreshes::Outcome;
use super::stored_credential::StoredCredential;
use super::{Renewal, Renewed, client_settings, look_for_authorization, read_stored_credential};
use crate::authorization;
use crate::shared_context::{SharedContext, milliseconds};
use crate::start::evidence_collector::EvidenceCollector;
use crate::start::masked_secrets::mask;
use crate::transport::http::MAX_CHALLENGE_CHARS;

/// A request that a server answered with 401, or with 403.
///
/// ```
/// use mcp_startup::Rejected;
///
/// let mut rejected = Rejected::new(Some("Bearer stale-token"));
/// rejected.challenge = Some(r#"Bearer error="invalid_token""#.to_owned());
/// assert!(!format!("{rejected:?}").contains("stale-token"));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Rejected {
    /// The value of the request's `Authorization` header; `None` if it had none.
    pub authorization: Option<SecretString>,
    /// The `WWW-Authenticate` header of the response (RFC 9110, section 11.6.1). It can name the server's metadata
    /// (RFC 9728, section 5.1).
    pub challenge: Option<String>,
    /// The status of the response: 401, which is the default, or 403. After 403, nothing is refreshed, and the result is the verdict
    /// unless another sign-in is stored: [`InsufficientScope`](mcp_startup_core::StartupFailureKind::InsufficientScope) if the challenge
    /// requires scopes that were not granted.
    pub status: u16,
}

impl Default for Rejected {
    fn default() -> Self {
        Self::new(None)
    }
}

impl std::fmt::Debug for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A challenge can repeat the token that was sent.
        f.debug_struct("Rejected")
            .field("authorization", &self.authorization.is_some())
            .field("challenge", &self.challenge.is_some())
            .field("status", &self.status)
            .finish()
    }
}

impl Rejected {
    /// Creates a rejected request with this `Authorization` header, or without one.
    pub fn new(authorization: Option<&str>) -> Self {
        Self {
            authorization: authorization.map(SecretString::from),
            challenge: None,
            status: 401,
        }
    }
}

/// Implements [`Startup::authorization`](crate::Startup::authorization).
pub(crate) async fn authorization(
    entry: &ServerEntry,
    shared: &SharedContext,
    rejected: Option<&Rejected>,
) -> Result<Option<SecretString>, Box<StartupFailure>> {
    let began = Instant::now();
    let collector = EvidenceCollector::new(entry.name.clone(), mask(entry), |_| {});
    let collector = Arc::new(collector);
    let config = match &entry.config {
        Ok(config) => config,
        Err(problem) => {
            collector.record_entry_problem(problem);
            return Err(Box::new(judge(collector.evidence())));
        }
    };
    let TransportConfig::Http(http) = &config.transport else {
        return Ok(None);
    };
    collector.update(|evidence| evidence.transport = Some(Transport::Http));
    let limit = shared.limit_of(config);
    let lookup = HeaderLookup {
        config,
        http,
        shared,
        collector: collector.clone(),
    };
    let answer = async {
        match rejected {
            None => Ok(lookup.first().await),
            Some(rejected) => lookup.after(rejected).await.ok_or(()),
        }
    };
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(header)) => return Ok(header),
        Ok(Err(())) => {}
        Err(_) => collector.update(|evidence| {
            evidence.limit_ms = Some(milliseconds(limit));
            evidence.elapsed_ms = Some(milliseconds(began.elapsed().max(limit)));
        }),
    }
    Err(Box::new(judge(collector.evidence())))
}

/// The inputs for the header of one server.
struct HeaderLookup<'a> {
    config: &'a ServerConfig,
    http: &'a HttpConfig,
    shared: &'a SharedContext,
    collector: Arc<EvidenceCollector>,
}

impl HeaderLookup<'_> {
    async fn stored(&self) -> Option<StoredCredential> {
        read_stored_credential(self.config, self.http, self.shared, &self.collector).await
    }

    /// The header of the first request.
    async fn first(&self) -> Option<SecretString> {
        if let Some(configured) = &self.http.bearer {
            return Some(bearer(&configured.token));
        }
        if let Some(header) = authorization::configured_header(self.http) {
            return Some(header.value.clone());
        }
        let Some(stored) = self.stored().await else {
            return held_token(self.config, &self.collector)
                .as_ref()
                .map(bearer);
        };
        match stored.worth.first_request() {
            FirstRequest::StoredToken => stored.record.access_token().map(bearer),
            // If the server refuses a request without a token, the host calls again and receives the
            // verdict then.
            FirstRequest::Refresh => match self.renewed(&stored, None).await {
                Some(Renewed::Token(token)) => Some(bearer(&token)),
                Some(Renewed::Failed) => {
                    if let Some(Renewal { key, .. }) = stored.renewal {
                        let rejected_token = stored.record.access_token().cloned();
                        let evidence = Box::new(self.collector.evidence());
                        let recent_refreshes = &self.shared.recent_refreshes;
                        recent_refreshes.note(Outcome::Failed(key, rejected_token, evidence));
                    }
                    None
                }
                Some(Renewed::NotSent | Renewed::Undiscovered) | None => None,
            },
            FirstRequest::WithoutToken | FirstRequest::WithoutTokenThenStored => None,
        }
    }

    /// The header to send after a refusal; `None` if there is nothing left to send.
    async fn after(&self, rejected: &Rejected) -> Option<Option<SecretString>> {
        let collector = &self.collector;
        let sent = rejected.authorization.as_ref().map(token_of);
        if let Some((_, name)) = authorization::configured(self.http) {
            collector.update(|evidence| {
                evidence.credential = Some(authorization::configuration_evidence(name));
            });
            self.refused(rejected, CredentialSent::Configuration);
            return None;
        }
        let held = held_token(self.config, collector);
        let is_held = sent.is_some() && held.as_ref().map(ExposeSecret::expose_secret) == sent;
        let Some(stored) = self.stored().await else {
            let sent = match is_held {
                true => CredentialSent::Held,
                false => CredentialSent::None,
            };
            if let (Some(held), None) = (&held, &rejected.authorization) {
                return Some(Some(bearer(held)));
            }
            self.refused(rejected, sent);
            if rejected.status == 401 {
                self.find_sign_in(rejected).await;
            }
            return None;
        };
        let token = stored.record.access_token();
        let is_stored = sent.is_some() && token.map(ExposeSecret::expose_secret) == sent;
        if let Some(token) = token
            && !is_stored
            && stored.worth.first_request() != FirstRequest::Refresh
        {
            // Another process has signed in or refreshed in the meantime, or the token has expired only by
            // a wrong clock.
            return Some(Some(bearer(token)));
        }
        if rejected.status != 401 {
            let sent = match (sent, is_held) {
                (_, true) => CredentialSent::Held,
                (None, false) => CredentialSent::None,
                (Some(_), false) => CredentialSent::Stored,
            };
            self.refused(rejected, sent);
            return None;
        }
        let just_refreshed =
            sent.is_some_and(|sent| self.shared.recent_refreshes.has_renewed(sent));
        self.refused(
            rejected,
            match (sent, just_refreshed) {
                _ if is_held => CredentialSent::Held,
                (None, _) => CredentialSent::None,
                (Some(_), true) => CredentialSent::Refreshed,
                (Some(_), false) => CredentialSent::Stored,
            },
        );
        let failed = match (&stored.renewal, sent) {
            // The refresh before this request failed.
            (Some(renewal), None) => self.shared.recent_refreshes.failure(&renewal.key, token),
            _ => None,
        };
        if let Some(failed) = failed {
            for request in failed.requests {
                let _ = collector.log.sent(request);
            }
            collector.update(|evidence| {
                evidence.discovered = failed.discovered;
                evidence.store = failed.store;
            });
        } else if !just_refreshed {
            let challenge = rejected.challenge.as_deref();
            match (self.renewed(&stored, challenge).await, token) {
                (Some(Renewed::Token(token)), _) => return Some(Some(bearer(&token))),
                // The refresh token cannot be used, and the clock may be wrong.
                (Some(Renewed::NotSent), Some(token)) if sent.is_none() => {
                    return Some(Some(bearer(token)));
                }
                _ => {}
            }
        }
        self.find_sign_in(rejected).await;
        None
    }

    async fn renewed(&self, stored: &StoredCredential, challenge: Option<&str>) -> Option<Renewed> {
        let renewal = stored.renewal.as_ref()?;
        let rejected_token = stored.record.access_token().cloned();
        let renewed = Box::pin(renewal.renew(challenge, rejected_token)).await;
        if let Renewed::Token(token) = &renewed {
            self.shared
                .recent_refreshes
                .note(Outcome::Renewed(token.clone()));
        }
        Some(renewed)
    }

    async fn find_sign_in(&self, rejected: &Rejected) {
        let challenge = rejected.challenge.as_deref();
        let client = client_settings(&self.config.oauth, self.shared);
        let network = &self.shared.network;
        look_for_authorization(network, self.http, &client, challenge, &self.collector).await;
    }

    /// Adds the host's rejected request to the evidence.
    fn refused(&self, rejected: &Rejected, sent: CredentialSent) {
        let collector = &self.collector;
        collector.enter(StartPhase::Initializing);
        if let Some(token) = &rejected.authorization {
            let value = token.expose_secret();
            let credentials = value
                .split_once(' ')
                .map_or(value, |(_, credentials)| credentials.trim());
            collector.add_secrets([value, token_of(token), credentials].into_iter());
        }
        let challenge = rejected.challenge.as_deref();
        // The response has already been received.
        let _ = collector.log.sent(RequestEvidence {
            to: Some(RequestTarget::Mcp),
            url: Some(bare_url(&self.http.url)),
            credential_sent: Some(sent),
            status: Some(rejected.status),
            challenge: challenge.map(|text| collector.sanitize(text, MAX_CHALLENGE_CHARS)),
            ..RequestEvidence::default()
        });
    }
}

fn bearer(token: &SecretString) -> SecretString {
    format!("Bearer {}", token.expose_secret()).into()
}

/// The token in the value of an `Authorization` header (RFC 6750, section 2.1).
fn token_of(authorization: &SecretString) -> &str {
    let value = authorization.expose_secret();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => value,
    }
}
