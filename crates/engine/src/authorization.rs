//! Chooses the credential of each request, and the next one after a refusal.

mod held_token;
mod host_authorization;
mod live_refresh;
mod observed_record;
mod recent_refreshes;
mod renewal;
pub(crate) mod sign_in;
mod stored_credential;

use std::sync::{Arc, Mutex, PoisonError};

use mcp_startup_auth::network::{GuardedClient, Network};
use mcp_startup_auth::{ClientSettings, Discovery, discover_for, sign_in_client};
use mcp_startup_config::{ConfiguredHeader, HttpConfig, OAuthClient, ServerConfig};
use mcp_startup_core::{
    CredentialEvidence, CredentialSent, CredentialSource, DiscoveryOutcome, FirstRequest,
    StartPhase,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use self::held_token::held_token;
pub use self::host_authorization::Rejected;
pub(crate) use self::host_authorization::authorization;
use self::live_refresh::LiveRefresh;
pub(crate) use self::observed_record::ObservedRecord;
pub(crate) use self::recent_refreshes::RecentRefreshes;
use self::renewal::{Renewal, Renewed};
pub(crate) use self::stored_credential::credential_key;
use self::stored_credential::{CredentialPlace, StoredCredential, read_stored_credential};
use crate::shared_context::SharedContext;
use crate::start::evidence_collector::EvidenceCollector;

/// The credential of one start over HTTP, and the credentials still to try.
pub(crate) struct Authorization {
    state: Mutex<State>,
    /// Held during the search for another credential, including its network requests. If the server refuses many
    /// requests at the same time, one request searches and the others use its result. The value is when the last search after a 403
    /// began that has found nothing.
    search: tokio::sync::Mutex<Option<Instant>>,
    renewal: Option<Renewal>,
    /// The credentials of a kept server; `None` if its authorization is configured.
    live: Option<LiveRefresh>,
}

struct State {
    sends: Sends,
    /// The stored token, if it is still to be tried after the server refuses a request without a token.
    in_reserve: Option<SecretString>,
    /// The token that another client holds, if it is still to be tried after our own stored credential.
    held: Option<SecretString>,
    /// Whether a refresh has been tried. A start tries only one.
    renewed: bool,
    /// Whether the start has ended and the server is kept. Its token can then expire while it is in use.
    kept: bool,
    /// The token to replace, if a refresh was due before the first request but had no usable authorization server.
    /// The server's challenge can name one.
    unsent: Option<Option<SecretString>>,
}

/// The authorization of a request.
#[derive(Clone, Debug)]
pub(crate) enum Sends {
    /// No token.
    Nothing,
    /// The configured authorization: a bearer token, or `None` if it is among the configured headers, which are
    /// sent anyway.
    Configured(Option<SecretString>),
    /// The stored access token.
    Stored(SecretString),
    /// An access token obtained during this start.
    Refreshed(SecretString),
    /// The access token that another client holds for this server.
    Held(SecretString),
}

impl Sends {
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Configured(token) => token.as_ref().map(ExposeSecret::expose_secret),
            Self::Stored(token) | Self::Refreshed(token) | Self::Held(token) => {
                Some(token.expose_secret())
            }
        }
    }

    pub fn as_evidence(&self) -> CredentialSent {
        match self {
            Self::Nothing => CredentialSent::None,
            Self::Configured(_) => CredentialSent::Configuration,
            Self::Stored(_) => CredentialSent::Stored,
            Self::Refreshed(_) => CredentialSent::Refreshed,
            Self::Held(_) => CredentialSent::Held,
        }
    }
}

/// The configured authorization, which is a bearer token or an `Authorization` header, and the name of its variable or
/// header. The token is `None` for a header.
pub(crate) fn configured(http: &HttpConfig) -> Option<(Option<SecretString>, String)> {
    if let Some(bearer) = &http.bearer {
        return Some((Some(bearer.token.clone()), bearer.variable.clone()));
    }
    let header = configured_header(http)?;
    let name = header.variable.as_ref().unwrap_or(&header.name);
    Some((None, name.clone()))
}

/// The configured `Authorization` header.
pub(crate) fn configured_header(http: &HttpConfig) -> Option<&ConfiguredHeader> {
    let mut headers = http.headers.iter();
    headers.find(|header| header.name.eq_ignore_ascii_case("authorization"))
}

/// What is wrong with the form of the configured `Authorization` (RFC 9110, section 11.6.2), so that another token would be refused too.
pub(crate) fn problem_of_value(http: &HttpConfig) -> Option<&'static str> {
    const QUOTES: [(char, char); 6] = [
        ('"', '"'),
        ('\'', '\''),
        ('`', '`'),
        ('<', '>'),
        ('“', '”'),
        ('‘', '’'),
    ];
    let value = match &http.bearer {
        Some(bearer) => {
            let token = bearer.token.expose_secret();
            SecretString::from(format!("Bearer {}", token.trim()))
        }
        None => configured_header(http)?.value.clone(),
    };
    let value = value.expose_secret().trim();
    let Some((scheme, token)) = value.split_once(char::is_whitespace) else {
        return Some(
            "the header `Authorization` has no scheme; if its value is a token, write `Bearer ` before it",
        );
    };
    let token = token.trim();
    let repeated = token.split_whitespace().next();
    if scheme.ends_with(':') {
        return Some("the scheme of `Authorization` ends with a colon; write `Bearer ` without it");
    }
    if repeated.is_some_and(|repeated| repeated.eq_ignore_ascii_case(scheme)) {
        return Some("its `Authorization` has the scheme twice; write `Bearer ` once");
    }
    // The user name and the password are separated by a colon, which Base64 does not have (RFC 7617, section 2).
    if scheme.eq_ignore_ascii_case("basic") && token.contains(':') {
        return Some("its `Authorization` has a user name and a password that are not in Base64");
    }
    let is_quoted = QUOTES
        .iter()
        .any(|(start, end)| token.starts_with(*start) && token.ends_with(*end));
    is_quoted.then_some("the token of its `Authorization` is in quotation marks; remove them")
}

/// The configured client ID and secret.
pub(crate) fn configured_client(oauth: &OAuthClient) -> Option<(String, Option<SecretString>)> {
    let client_id = oauth.client_id.clone()?;
    Some((client_id, oauth.client_secret.clone()))
}

/// The client that signs in to a server, and its options.
pub(crate) fn client_settings(oauth: &OAuthClient, shared: &SharedContext) -> ClientSettings {
    ClientSettings {
        client: configured_client(oauth),
        metadata_url: oauth
            .client_metadata_url
            .clone()
            .or_else(|| shared.client_metadata_url.clone()),
        allow_unpublished_pkce: oauth.allow_unpublished_pkce,
        never_registers: false,
    }
}

impl Authorization {
    /// The authorization of a start: the configured one, or the stored credential of the server, or the token that another client
    /// holds for it. Adds it to the evidence.
    pub async fn of_start(
        config: &ServerConfig,
        http: &HttpConfig,
        shared: &SharedContext,
        collector: &Arc<EvidenceCollector>,
    ) -> Self {
        // Configured authorization never uses OAuth.
        if let Some((token, name)) = configured(http) {
            collector.update(|evidence| {
                evidence.credential = Some(configuration_evidence(name));
            });
            record_credential(http, collector);
            return Self::starting_with(Sends::Configured(token), None, None);
        }
        let place = CredentialPlace::new(config, http, shared);
        let held = held_token(config, collector);
        let stored = place.read(shared.limit_of(config), collector).await;
        record_credential(http, collector);
        let mut authorization = match stored {
            Some(stored) => {
                let authorization = Self::stored(stored).await;
                authorization.lock().held = held;
                authorization
            }
            None => Self::starting_with(held.map_or(Sends::Nothing, Sends::Held), None, None),
        };
        // A user can sign in while the server is live.
        authorization.live = Some(LiveRefresh::new(place, collector.clone()));
        authorization
    }

    /// A start with a stored credential, which is refreshed before the first request if necessary.
    async fn stored(stored: StoredCredential) -> Self {
        let renewal = stored.renewal;
        let token = stored.record.access_token().cloned();
        match (stored.worth.first_request(), token) {
            (FirstRequest::StoredToken, Some(token)) => {
                Self::starting_with(Sends::Stored(token), None, renewal)
            }
            // The clock may be wrong, so the token is sent if the server refuses a request without one.
            (FirstRequest::WithoutTokenThenStored, token) => {
                Self::starting_with(Sends::Nothing, token, None)
            }
            (FirstRequest::Refresh, token) => {
                let authorization = Self::starting_with(Sends::Nothing, None, renewal);
                authorization.renew(None, token).await;
                authorization
            }
            (FirstRequest::WithoutToken | FirstRequest::StoredToken, _) => {
                Self::starting_with(Sends::Nothing, None, None)
            }
        }
    }

    pub(crate) fn starting_with(
        sends: Sends,
        in_reserve: Option<SecretString>,
        renewal: Option<Renewal>,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                sends,
                in_reserve,
                held: None,
                renewed: false,
                kept: false,
                unsent: None,
            }),
            search: tokio::sync::Mutex::default(),
            renewal,
            live: None,
        }
    }

    /// The authorization of the next request.
    pub fn sends(&self) -> Sends {
        self.lock().sends.clone()
    }

    /// Ends the start: the server is kept.
    pub fn keep(&self) {
        self.lock().kept = true;
    }

    /// Records that the server did not refuse the last authorization.
    pub fn accepted(&self) {
        if let Some(live) = &self.live {
            live.accepted();
        }
    }

    /// Handles a 403 response to `sent`, which was sent at `time`. Returns whether there is another credential to try. A start does not
    /// look for one: it has just read the store.
    pub async fn denied(&self, sent: &Sends, time: Instant) -> bool {
        let mut found_nothing = self.search.lock().await;
        if self.sends().token() != sent.token() {
            return true;
        }
        let live = self.live.as_ref().filter(|_| self.lock().kept);
        let Some(live) = live.filter(|_| found_nothing.is_none_or(|began| began < time)) else {
            return false;
        };
        let began = Instant::now();
        match live.signed_in(sent).await {
            Some(sends) => {
                self.lock().sends = sends;
                true
            }
            None => {
                *found_nothing = Some(began);
                false
            }
        }
    }

    /// Handles a 401 response to `sent`. Returns whether there is another credential to try. Each credential is
    /// sent once, and a start refreshes once. A kept server refreshes again, with backoff.
    pub async fn refused(&self, sent: &Sends, challenge: Option<&str>) -> bool {
        let _search = self.search.lock().await;
        if self.sends().token() != sent.token() {
            return true;
        }
        if self.lock().kept {
            let Some(live) = &self.live else {
                return false;
            };
            return match live.next(sent, challenge).await {
                Some(next) => {
                    self.lock().sends = next;
                    true
                }
                None => false,
            };
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
        match self.sends() {
            Sends::Stored(token) => {
                self.renew(challenge, Some(token)).await || self.has_held_token()
            }
            Sends::Nothing => self.has_held_token(),
            Sends::Configured(_) | Sends::Refreshed(_) | Sends::Held(_) => false,
        }
    }

    /// Sends the token that another client holds from now on, once. Returns whether there is one.
    fn has_held_token(&self) -> bool {
        let mut state = self.lock();
        match state.held.take() {
            Some(token) => {
                state.sends = Sends::Held(token);
                true
            }
            None => false,
        }
    }

    /// Refreshes the stored credential, if no refresh has been tried. Returns whether there is a new token to send.
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
                // The refresh token cannot be used. Treat the record like one that has expired and has
                // no refresh token.
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

/// Adds the credential to the timeline, if there is one.
fn record_credential(http: &HttpConfig, collector: &EvidenceCollector) {
    let Some(timeline) = collector.timeline() else {
        return;
    };
    let names = http.headers.iter().map(|header| header.name.as_str());
    let others = names.filter(|name| !name.eq_ignore_ascii_case("authorization"));
    let headers = others.take(20).map(|name| collector.sanitize(name, 100));
    let headers = headers.collect();
    collector.read(|evidence| timeline.record_credential(evidence, headers));
}

/// Finds the authorization server of an MCP server, as a phase of its start, and adds the result to the evidence.
pub(crate) async fn find_authorization_server(
    guarded: &GuardedClient,
    resource: &Url,
    challenge: Option<&str>,
    granted_by: Option<&str>,
    client: Option<&ClientSettings>,
    collector: &EvidenceCollector,
) -> Discovery {
    collector.enter(StartPhase::Authorizing);
    // Boxed: large, and rarely needed.
    let found = Box::pin(discover_for(
        guarded,
        resource,
        challenge,
        granted_by,
        client,
        &collector.log,
    ))
    .await;
    collector.record_discovery(&found);
    found
}

/// Finds where to sign in after a 401 response with no credential left to send. Runs discovery only if the verdict
/// depends on it.
pub(crate) async fn look_for_authorization(
    network: &Network,
    config: &HttpConfig,
    client: &ClientSettings,
    challenge: Option<&str>,
    collector: &EvidenceCollector,
) {
    let (credential, store_failed, discovered) = collector.read(|evidence| {
        let credential = evidence.credential.clone().unwrap_or_default();
        let store_failed = evidence.store.is_some();
        (credential, store_failed, evidence.discovered.is_some())
    });
    let needs_no_discovery = match credential.source {
        Some(CredentialSource::Configuration) => true,
        // The stored credential can no longer be used, so the verdict does not depend on discovery.
        Some(CredentialSource::Stored) => !credential.worth.unwrap_or_default().refresh_token,
        Some(CredentialSource::None) | None => store_failed,
    };
    if needs_no_discovery {
        return;
    }
    // A refresh has already run discovery.
    if discovered {
        collector.blame_blocked_request();
        return;
    }
    let guarded = network.guarded_client(&config.url).await;
    let granted_by = credential.stored_issuer.as_deref();
    let is_stored = credential.source == Some(CredentialSource::Stored);
    let signs_in = (!is_stored).then_some(client);
    let mut found = find_authorization_server(
        &guarded,
        &config.url,
        challenge,
        granted_by,
        signs_in,
        collector,
    )
    .await;
    collector.blame_blocked_request();
    // A sign-in is recommended only if it can begin.
    if let Some(metadata) = &found.metadata
        && !is_stored
        && let Err(problem) = sign_in_client(&guarded, metadata, client)
    {
        found.add_sign_in_problem(&guarded, problem);
        collector.update(|evidence| evidence.discovered = Some(found.evidence.clone()));
    }
    // The server offers no OAuth, so it most likely refused the configured header.
    if found.evidence.outcome == Some(DiscoveryOutcome::NotPublished)
        && credential.source != Some(CredentialSource::Stored)
        && let Some(header) = config.headers.first()
    {
        collector.update(|evidence| {
            let name = header.variable.as_ref().unwrap_or(&header.name);
            evidence.credential = Some(configuration_evidence(name.clone()));
        });
    }
}

/// Adds a configured header with a key to the evidence of a refused request. There can be others, so its name decides.
pub(crate) fn blame_configured_key(config: &HttpConfig, collector: &EvidenceCollector) {
    const KEYS: [&str; 6] = ["key", "token", "auth", "secret", "cookie", "password"];
    let is_key = |header: &&ConfiguredHeader| {
        let name = header.name.to_ascii_lowercase();
        KEYS.iter().any(|key| name.contains(key))
    };
    let Some(header) = config.headers.iter().find(is_key) else {
        return;
    };
    collector.update(|evidence| {
        let credential = evidence.credential.as_ref();
        let source = credential.and_then(|credential| credential.source);
        if matches!(source, None | Some(CredentialSource::None)) {
            let name = header.variable.as_ref().unwrap_or(&header.name);
            evidence.credential = Some(configuration_evidence(name.clone()));
        }
    });
}

/// The evidence of configured authorization: the name of its variable or header.
pub(crate) fn configuration_evidence(name: String) -> CredentialEvidence {
    CredentialEvidence {
        source: Some(CredentialSource::Configuration),
        name: Some(name),
        ..CredentialEvidence::default()
    }
}
