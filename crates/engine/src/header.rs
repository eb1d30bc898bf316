//! The header for a request that the host makes itself, with another SDK.

use std::sync::Arc;
use std::time::Instant;

use mcp_startup_auth::network::bare_url;
use mcp_startup_config::{HttpConfig, ServerConfig, ServerEntry, TransportConfig};
use mcp_startup_core::{
    CredentialSent, FirstRequest, RequestEvidence, RequestTarget, StartPhase, StartupFailure,
    Transport, judge,
};
use secrecy::{ExposeSecret, SecretString};

use crate::authorization::{self, Renewal, Renewed, look_for_authorization};
use crate::findings::Findings;
use crate::given::mask;
use crate::http::MAX_CHALLENGE_CHARS;
use crate::lately::Outcome;
use crate::means::{Means, milliseconds};
use crate::stored::{Stored, read_stored};

/// A request that a server has answered with 401.
///
/// ```
/// use mcp_startup::Rejected;
///
/// let mut rejected = Rejected::new(Some("Bearer stale-token"));
/// rejected.challenge = Some(r#"Bearer error="invalid_token""#.to_owned());
/// assert!(!format!("{rejected:?}").contains("stale-token"));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Rejected {
    /// The value of its `Authorization` header; `None` where it had none.
    pub authorization: Option<SecretString>,
    /// The `WWW-Authenticate` of the answer (RFC 9110, section 11.6.1); it may say where to sign in (RFC 9728, section 5.1).
    pub challenge: Option<String>,
}

impl std::fmt::Debug for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A challenge may say again what was sent.
        f.debug_struct("Rejected")
            .field("authorization", &self.authorization.is_some())
            .field("challenge", &self.challenge.is_some())
            .finish()
    }
}

impl Rejected {
    /// A request with this `Authorization` header, or without one.
    pub fn new(authorization: Option<&str>) -> Self {
        Self {
            authorization: authorization.map(SecretString::from),
            challenge: None,
        }
    }
}

/// See [`Startup::authorization`](crate::Startup::authorization).
pub(crate) async fn authorization(
    entry: &ServerEntry,
    means: &Means,
    rejected: Option<&Rejected>,
) -> Result<Option<SecretString>, Box<StartupFailure>> {
    let began = Instant::now();
    let findings = Findings::new(entry.name.clone(), mask(entry), |_| {});
    let findings = Arc::new(findings);
    let config = match &entry.config {
        Ok(config) => config,
        Err(problem) => {
            findings.misconfigured(problem);
            return Err(Box::new(judge(findings.evidence())));
        }
    };
    let TransportConfig::Http(http) = &config.transport else {
        return Ok(None);
    };
    findings.note(|evidence| evidence.transport = Some(Transport::Http));
    let limit = means.limit_of(config);
    let asked = Asked {
        config,
        http,
        means,
        findings: findings.clone(),
    };
    let answer = async {
        match rejected {
            None => Ok(asked.first().await),
            Some(rejected) => asked.after(rejected).await.ok_or(()),
        }
    };
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(header)) => return Ok(header),
        Ok(Err(())) => {}
        Err(_) => findings.note(|evidence| {
            evidence.limit_ms = Some(milliseconds(limit));
            evidence.elapsed_ms = Some(milliseconds(began.elapsed().max(limit)));
        }),
    }
    Err(Box::new(judge(findings.evidence())))
}

/// A server whose header is asked for.
struct Asked<'a> {
    config: &'a ServerConfig,
    http: &'a HttpConfig,
    means: &'a Means,
    findings: Arc<Findings>,
}

impl Asked<'_> {
    async fn stored(&self) -> Option<Stored> {
        read_stored(self.config, self.http, self.means, &self.findings).await
    }

    /// What to send first.
    async fn first(&self) -> Option<SecretString> {
        if let Some(configured) = &self.http.bearer {
            return Some(bearer(&configured.token));
        }
        if let Some(header) = authorization::configured_header(self.http) {
            return Some(header.value.clone());
        }
        let stored = self.stored().await?;
        match stored.worth.first_request() {
            FirstRequest::StoredToken => stored.record.access_token().map(bearer),
            // What the server refuses to do without a token is asked for next, and judged then.
            FirstRequest::Refresh => match self.renewed(&stored, None).await {
                Some(Renewed::Token(token)) => Some(bearer(&token)),
                Some(Renewed::Failed) => {
                    if let Some(Renewal { key, .. }) = stored.renewal {
                        let wanting = stored.record.access_token().cloned();
                        let evidence = Box::new(self.findings.evidence());
                        let lately = &self.means.lately;
                        lately.note(Outcome::Failed(key, wanting, evidence));
                    }
                    None
                }
                Some(Renewed::NotSent | Renewed::Undiscovered) | None => None,
            },
            FirstRequest::WithoutToken | FirstRequest::WithoutTokenThenStored => None,
        }
    }

    /// What to send once more; `None` where nothing is left to send.
    async fn after(&self, rejected: &Rejected) -> Option<Option<SecretString>> {
        let findings = &self.findings;
        let sent = rejected.authorization.as_ref().map(token_of);
        if let Some((_, name)) = authorization::configured(self.http) {
            findings.note(|evidence| {
                evidence.credential = Some(authorization::configuration_evidence(name));
            });
            self.refused(rejected, CredentialSent::Configuration);
            return None;
        }
        let Some(stored) = self.stored().await else {
            self.refused(rejected, CredentialSent::None);
            self.look(rejected).await;
            return None;
        };
        let token = stored.record.access_token();
        let is_stored = sent.is_some() && token.map(ExposeSecret::expose_secret) == sent;
        if let Some(token) = token
            && !is_stored
            && stored.worth.first_request() != FirstRequest::Refresh
        {
            // Somebody has signed in or refreshed meanwhile; or the token has expired by a clock that may be wrong.
            return Some(Some(bearer(token)));
        }
        let just_refreshed = sent.is_some_and(|sent| self.means.lately.has_renewed(sent));
        self.refused(
            rejected,
            match (sent, just_refreshed) {
                (None, _) => CredentialSent::None,
                (Some(_), true) => CredentialSent::Refreshed,
                (Some(_), false) => CredentialSent::Stored,
            },
        );
        let failed = match (&stored.renewal, sent) {
            // It was refreshed before that request, and nothing came of it.
            (Some(renewal), None) => self.means.lately.failure(&renewal.key, token),
            _ => None,
        };
        if let Some(failed) = failed {
            for request in failed.requests {
                let _ = findings.log.sent(request);
            }
            findings.note(|evidence| {
                evidence.discovered = failed.discovered;
                evidence.store = failed.store;
            });
        } else if !just_refreshed {
            let challenge = rejected.challenge.as_deref();
            match (self.renewed(&stored, challenge).await, token) {
                (Some(Renewed::Token(token)), _) => return Some(Some(bearer(&token))),
                // Its refresh token is as good as none, and our clock may be wrong.
                (Some(Renewed::NotSent), Some(token)) if sent.is_none() => {
                    return Some(Some(bearer(token)));
                }
                _ => {}
            }
        }
        self.look(rejected).await;
        None
    }

    async fn renewed(&self, stored: &Stored, challenge: Option<&str>) -> Option<Renewed> {
        let renewal = stored.renewal.as_ref()?;
        let wanting = stored.record.access_token().cloned();
        let renewed = Box::pin(renewal.renew(challenge, wanting)).await;
        if let Renewed::Token(token) = &renewed {
            self.means.lately.note(Outcome::Renewed(token.clone()));
        }
        Some(renewed)
    }

    async fn look(&self, rejected: &Rejected) {
        let challenge = rejected.challenge.as_deref();
        look_for_authorization(&self.means.network, self.http, challenge, &self.findings).await;
    }

    /// Enters the request that the host has made.
    fn refused(&self, rejected: &Rejected, sent: CredentialSent) {
        let findings = &self.findings;
        findings.enter(StartPhase::Initializing);
        if let Some(token) = &rejected.authorization {
            let value = token.expose_secret();
            let alone = value
                .split_once(' ')
                .map_or(value, |(_, credentials)| credentials.trim());
            findings.hide([value, token_of(token), alone].into_iter());
        }
        let challenge = rejected.challenge.as_deref();
        // It has been answered.
        let _ = findings.log.sent(RequestEvidence {
            to: Some(RequestTarget::Mcp),
            url: Some(bare_url(&self.http.url)),
            credential_sent: Some(sent),
            status: Some(401),
            challenge: challenge.map(|text| findings.foreign(text, MAX_CHALLENGE_CHARS)),
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
