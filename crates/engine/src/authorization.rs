//! Which credential a request carries, and which one comes after a refusal.

use std::sync::{Arc, Mutex, PoisonError};

use mcp_startup_auth::network::{Network, Outside, bare_url};
use mcp_startup_auth::{
    CredentialKey, CredentialRecord, CredentialStore, Discovered, Refresh, Refreshed, discover,
    discover_issuer, refresh,
};
use mcp_startup_config::{ConfiguredHeader, HttpConfig, OAuthClient};
use mcp_startup_core::{
    CredentialEvidence, CredentialSent, CredentialSource, DiscoveryOutcome, FirstRequest,
    StartPhase,
};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::findings::Findings;

/// The credential of one start over HTTP: what is sent now, and what is left to try.
pub(crate) struct Authorization {
    state: Mutex<State>,
    /// Held while another credential is looked for, over the network too: of many requests that are refused at once, one looks, and
    /// the others have what it found.
    looking: tokio::sync::Mutex<()>,
    renewal: Option<Renewal>,
}

struct State {
    sends: Sends,
    /// The stored token, where it is still to be tried after a refusal without one.
    in_reserve: Option<SecretString>,
    /// A refresh has been tried: there is no second one in a start, nor later before a token was good for something.
    renewed: bool,
    /// The start is over, and the server is kept: its token will expire one day.
    kept: bool,
    /// A refresh was wanted before the server had been asked, and nothing was sent because it was not known where to: the token
    /// that was found wanting. The server's challenge may say where.
    unsent: Option<Option<SecretString>>,
}

/// What a request carries as its `Authorization`.
#[derive(Clone, Debug)]
pub(crate) enum Sends {
    /// No token.
    Nothing,
    /// What the configuration says; a bearer token, or headers that are sent anyway.
    Configured(Option<SecretString>),
    /// The stored access token.
    Stored(SecretString),
    /// An access token that was obtained in this start.
    Refreshed(SecretString),
}

impl Sends {
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Configured(token) => token.as_ref().map(ExposeSecret::expose_secret),
            Self::Stored(token) | Self::Refreshed(token) => Some(token.expose_secret()),
        }
    }

    pub fn as_evidence(&self) -> CredentialSent {
        match self {
            Self::Nothing => CredentialSent::None,
            Self::Configured(_) => CredentialSent::Configuration,
            Self::Stored(_) => CredentialSent::Stored,
            Self::Refreshed(_) => CredentialSent::Refreshed,
        }
    }
}

/// The authorization that a configuration carries: its bearer token, or an `Authorization` header of its own; and the name of
/// the variable or header it comes from.
pub(crate) fn configured(http: &HttpConfig) -> Option<(Option<SecretString>, String)> {
    if let Some(bearer) = &http.bearer {
        return Some((Some(bearer.token.clone()), bearer.variable.clone()));
    }
    let header = configured_header(http)?;
    let name = header.variable.as_ref().unwrap_or(&header.name);
    Some((None, name.clone()))
}

/// The `Authorization` header that a configuration has among its headers.
pub(crate) fn configured_header(http: &HttpConfig) -> Option<&ConfiguredHeader> {
    let mut headers = http.headers.iter();
    headers.find(|header| header.name.eq_ignore_ascii_case("authorization"))
}

/// The client that a configuration has, and its secret.
pub(crate) fn configured_client(oauth: &OAuthClient) -> Option<(String, Option<SecretString>)> {
    let client_id = oauth.client_id.clone()?;
    Some((client_id, oauth.client_secret.clone()))
}

impl Authorization {
    /// A start whose authorization the configuration carries: that, and never OAuth.
    pub fn configured(token: Option<SecretString>) -> Self {
        Self::starting_with(Sends::Configured(token), None, None)
    }

    /// A start for which nothing is stored.
    pub fn none() -> Self {
        Self::starting_with(Sends::Nothing, None, None)
    }

    /// A start with what is stored, by what it is worth: refreshed before anything is sent, where that is what it takes. Without
    /// a refresh token there is no `renewal`.
    pub async fn stored(
        record: &CredentialRecord,
        first: FirstRequest,
        renewal: Option<Renewal>,
    ) -> Self {
        let token = record.access_token().cloned();
        match (first, token) {
            (FirstRequest::StoredToken, Some(token)) => {
                Self::starting_with(Sends::Stored(token), None, renewal)
            }
            // The clock may be wrong: the token is tried once the server has refused to serve without.
            (FirstRequest::WithoutTokenThenStored, token) => {
                Self::starting_with(Sends::Nothing, token, None)
            }
            (FirstRequest::Refresh, token) => {
                let authorization = Self::starting_with(Sends::Nothing, None, renewal);
                authorization.renew(None, token).await;
                authorization
            }
            (FirstRequest::WithoutToken | FirstRequest::StoredToken, _) => Self::none(),
        }
    }

    fn starting_with(
        sends: Sends,
        in_reserve: Option<SecretString>,
        renewal: Option<Renewal>,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                sends,
                in_reserve,
                renewed: false,
                kept: false,
                unsent: None,
            }),
            looking: tokio::sync::Mutex::default(),
            renewal,
        }
    }

    /// What the next request carries.
    pub fn sends(&self) -> Sends {
        self.lock().sends.clone()
    }

    /// The start is over, and the server is kept.
    pub fn keep(&self) {
        let mut state = self.lock();
        state.kept = true;
        state.renewed = false;
    }

    /// The server has not refused what was sent.
    pub fn accepted(&self) {
        let mut state = self.lock();
        if state.kept {
            state.renewed = false;
        }
    }

    /// The server has answered 401 to `sent`. Returns whether there is another credential to try: each is sent once, and there is
    /// one refresh in a start.
    pub async fn refused(&self, sent: &Sends, challenge: Option<&str>) -> bool {
        let _looking = self.looking.lock().await;
        if self.sends().token() != sent.token() {
            return true;
        }
        if let Some(challenge) = challenge.filter(|text| text.contains("resource_metadata")) {
            let unsent = self.lock().unsent.take();
            if let Some(rejected) = unsent
                && self.renew(Some(challenge), rejected).await
            {
                return true;
            }
        }
        let in_reserve = self.lock().in_reserve.take();
        if let Some(token) = in_reserve {
            self.lock().sends = Sends::Stored(token);
            return true;
        }
        let kept = self.lock().kept;
        match self.sends() {
            Sends::Stored(token) => self.renew(challenge, Some(token)).await,
            Sends::Refreshed(token) if kept => self.renew(challenge, Some(token)).await,
            Sends::Nothing | Sends::Configured(_) | Sends::Refreshed(_) => false,
        }
    }

    /// Refreshes what is stored, if that was not done yet. Returns whether there is a new token to send.
    async fn renew(&self, challenge: Option<&str>, rejected: Option<SecretString>) -> bool {
        let Some(renewal) = &self.renewal else {
            return false;
        };
        if std::mem::replace(&mut self.lock().renewed, true) {
            return false;
        }
        match renewal.renew(challenge, rejected.clone()).await {
            Renewed::Token(token) => {
                self.lock().sends = Sends::Refreshed(token);
                true
            }
            renewed @ (Renewed::NotSent | Renewed::Undiscovered) => {
                let mut state = self.lock();
                if challenge.is_none() {
                    state.renewed = false;
                    state.unsent = Some(rejected.clone());
                }
                // Its refresh token is as good as none: the rule for a token that has expired without one.
                if matches!(renewed, Renewed::NotSent) && !matches!(state.sends, Sends::Stored(_)) {
                    state.in_reserve = rejected;
                }
                false
            }
            Renewed::Failed => false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a refresh for this start takes.
pub(crate) struct Renewal {
    pub store: Arc<dyn CredentialStore>,
    pub network: Network,
    pub refreshes: TaskTracker,
    pub key: CredentialKey,
    pub resource: Url,
    /// Who granted the record.
    pub issuer: Option<String>,
    pub oauth: OAuthClient,
    pub scopes: Option<Vec<String>>,
    pub findings: Arc<Findings>,
}

/// What a refresh came to, for what is sent next.
pub(crate) enum Renewed {
    Token(SecretString),
    /// The refresh token may not be sent to the authorization server that was found.
    NotSent,
    /// No authorization server was found.
    Undiscovered,
    Failed,
}

impl Renewal {
    /// Looks for the authorization server, and refreshes what is stored there.
    pub async fn renew(&self, challenge: Option<&str>, rejected: Option<SecretString>) -> Renewed {
        let findings = &self.findings;
        let phase = findings.phase();
        let outside = self.network.beyond(&self.resource).await;
        let mut found =
            find_authorization_server(&outside, &self.resource, challenge, findings).await;
        // The server does not say who grants tokens for it; the record does.
        if found.evidence.outcome == Some(DiscoveryOutcome::NotPublished)
            && let Some(issuer) = &self.issuer
            && let Some(known) = discover_issuer(&outside, issuer, &findings.log).await
        {
            findings.discovered(&known);
            found = known;
        }
        let Some(metadata) = found.metadata else {
            findings.enter(phase);
            return Renewed::Undiscovered;
        };
        let configured = self.oauth.resource.clone();
        let resource = configured.or(found.resource);
        let wanted = Refresh {
            key: self.key.clone(),
            rejected,
            resource: resource.unwrap_or_else(|| bare_url(&self.resource)),
            metadata,
            client: configured_client(&self.oauth),
            scopes: self.scopes.clone(),
        };
        let refreshed = refresh(
            self.store.clone(),
            outside,
            wanted,
            findings.log.clone(),
            &self.refreshes,
        );
        let renewed = match Box::pin(refreshed).await {
            Refreshed::Token {
                access_token,
                not_saved,
            } => {
                findings.hide([access_token.expose_secret()].into_iter());
                if let Some(error) = not_saved {
                    findings.could_not_save(&error);
                }
                Renewed::Token(access_token)
            }
            Refreshed::NotSent => Renewed::NotSent,
            Refreshed::Refused => Renewed::Failed,
            Refreshed::Misplaced(refused) => {
                findings.misplaced(&refused);
                Renewed::Failed
            }
            Refreshed::StoreFailed(error) => {
                findings.store_failed(&error);
                Renewed::Failed
            }
        };
        findings.enter(phase);
        renewed
    }
}

/// Looks for the authorization server of an MCP server, which is a phase of its start and part of the evidence. Gives its
/// metadata, where that can be used.
pub(crate) async fn find_authorization_server(
    outside: &Outside,
    resource: &Url,
    challenge: Option<&str>,
    findings: &Findings,
) -> Discovered {
    findings.enter(StartPhase::Authorizing);
    // Boxed: large, and rarely needed.
    let found = Box::pin(discover(outside, resource, challenge, &findings.log)).await;
    findings.discovered(&found);
    found
}

/// The server has answered 401, and nothing is left to send: where does it say to sign in? Asked only where the verdict hangs
/// on it.
pub(crate) async fn look_for_authorization(
    network: &Network,
    config: &HttpConfig,
    challenge: Option<&str>,
    findings: &Findings,
) {
    let (credential, store_failed, discovered) = findings.read(|evidence| {
        let credential = evidence.credential.clone().unwrap_or_default();
        let store_failed = evidence.store.is_some();
        (credential, store_failed, evidence.discovered.is_some())
    });
    let needs_no_discovery = match credential.source {
        Some(CredentialSource::Configuration) => true,
        // Spent already, wherever it says.
        Some(CredentialSource::Stored) => !credential.worth.unwrap_or_default().refresh_token,
        Some(CredentialSource::None) | None => store_failed,
    };
    if needs_no_discovery {
        return;
    }
    // A refresh has looked already.
    if discovered {
        findings.blame_refused();
        return;
    }
    let outside = network.beyond(&config.url).await;
    let found = find_authorization_server(&outside, &config.url, challenge, findings).await;
    findings.blame_refused();
    // No OAuth, and a header was sent: if anything was meant to be the key that was refused, it was that.
    if found.evidence.outcome == Some(DiscoveryOutcome::NotPublished)
        && credential.source != Some(CredentialSource::Stored)
        && let Some(header) = config.headers.first()
    {
        findings.note(|evidence| {
            let name = header.variable.as_ref().unwrap_or(&header.name);
            evidence.credential = Some(configuration_evidence(name.clone()));
        });
    }
}

/// Authorization that the configuration carries: the variable or the header that it comes from.
pub(crate) fn configuration_evidence(name: String) -> CredentialEvidence {
    CredentialEvidence {
        source: Some(CredentialSource::Configuration),
        name: Some(name),
        ..CredentialEvidence::default()
    }
}
