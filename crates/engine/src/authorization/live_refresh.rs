//! The credential of a live server after a 401: the stored one if it is new, or a refresh, with backoff.
//!
//! It never ends: any number of failed refreshes leaves the server able to recover.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mcp_startup_auth::{CredentialRecord, Mask};
use mcp_startup_core::refusal::{RefusalMeaning, meaning};
use mcp_startup_core::{FirstRequest, RequestTarget};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::stored_credential::{CredentialPlace, StoredCredential};
use super::{Renewed, Sends};
use crate::start::evidence_collector::EvidenceCollector;
use crate::watch::backoff::{pause, random, retry_after};

/// The limit for all the work after one 401: reading the store, the wait for the lock, discovery and the refresh. A refresh that was
/// sent continues after it.
const LIMIT: Duration = Duration::from_secs(30);
/// The pause after a refresh whose token the server refuses too: another token most likely changes nothing.
const PAUSE_AFTER_REFUSED_TOKEN: Duration = Duration::from_secs(60);

/// The credential of a live server. A task at a time calls [`next`](Self::next).
pub(crate) struct LiveRefresh {
    place: CredentialPlace,
    /// The evidence of the live server, which has the credential that is sent to it.
    of_server: Arc<EvidenceCollector>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of refreshes since the server last accepted a token.
    attempts: u32,
    /// When the next refresh may be sent.
    not_before: Option<Instant>,
    /// Whether the server has refused the current token. A request that it accepts with that token shows nothing about the credential.
    is_refused: bool,
    /// The record that the authorization server has definitely refused to refresh. Only another one is refreshed.
    spent: Option<CredentialRecord>,
}

impl LiveRefresh {
    pub fn new(place: CredentialPlace, of_server: Arc<EvidenceCollector>) -> Self {
        Self {
            place,
            of_server,
            state: Mutex::default(),
        }
    }

    /// The credential to send after the server has refused `sent`. The store is read first: another process may have signed in or
    /// refreshed. Otherwise the stored credential is refreshed, unless it is too early for that.
    ///
    /// Returns `None` if there is no other credential now.
    pub async fn next(&self, sent: &Sends, challenge: Option<&str>) -> Option<Sends> {
        self.lock().is_refused = true;
        // The start has ended, so its evidence is complete. This one belongs to the refresh.
        let collector = Arc::new(EvidenceCollector::new(
            String::new(),
            Mask::default(),
            |_| {},
        ));
        let found = self.find(sent, challenge, &collector);
        // Boxed: large, and rarely needed.
        let next = tokio::time::timeout(LIMIT, Box::pin(found)).await;
        let next = next.ok().flatten();
        if next.is_some() {
            self.lock().is_refused = false;
            let credential = collector.read(|evidence| evidence.credential.clone());
            self.of_server
                .update(|evidence| evidence.credential = credential);
        }
        next
    }

    /// Records that the server has accepted the current credential.
    pub fn accepted(&self) {
        let mut state = self.lock();
        if !state.is_refused {
            state.attempts = 0;
            state.not_before = None;
        }
    }

    async fn find(
        &self,
        sent: &Sends,
        challenge: Option<&str>,
        collector: &Arc<EvidenceCollector>,
    ) -> Option<Sends> {
        let stored = self.place.read(LIMIT, collector).await?;
        let token = stored.record.access_token();
        let news = token.filter(|token| Some(token.expose_secret()) != sent.token());
        match news {
            Some(token) if stored.worth.first_request() != FirstRequest::Refresh => {
                Some(Sends::Stored(token.clone()))
            }
            _ => match self.refresh(&stored, challenge, collector).await {
                Some(token) => Some(Sends::Refreshed(token)),
                // It has expired only if the clock is right.
                None => news.cloned().map(Sends::Stored),
            },
        }
    }

    async fn refresh(
        &self,
        stored: &StoredCredential,
        challenge: Option<&str>,
        collector: &EvidenceCollector,
    ) -> Option<SecretString> {
        let renewal = stored.renewal.as_ref()?;
        if !self.may_refresh(&stored.record) {
            return None;
        }
        let rejected = stored.record.access_token().cloned();
        match renewal.renew(challenge, rejected).await {
            Renewed::Token(token) => {
                self.wait_at_least(PAUSE_AFTER_REFUSED_TOKEN);
                Some(token)
            }
            Renewed::NotSent | Renewed::Undiscovered => None,
            Renewed::Failed => {
                self.has_failed(&stored.record, collector);
                None
            }
        }
    }

    /// Whether a refresh of this record may be sent now. If so, it counts as sent, even if its caller stops waiting.
    fn may_refresh(&self, record: &CredentialRecord) -> bool {
        let mut state = self.lock();
        let spent = state.spent.as_ref();
        let now = Instant::now();
        if spent.is_some_and(|spent| spent.has_same_tokens(record))
            || state.not_before.is_some_and(|not_before| now < not_before)
        {
            return false;
        }
        state.not_before = Some(now + pause(state.attempts, random(), None));
        state.attempts = state.attempts.saturating_add(1);
        true
    }

    fn has_failed(&self, record: &CredentialRecord, collector: &EvidenceCollector) {
        let evidence = collector.evidence();
        let requested = retry_after(&evidence, SystemTime::now());
        if requested.is_some() {
            self.wait_at_least(pause(0, random(), requested));
        }
        let client = evidence.credential.and_then(|found| found.client_source);
        let answer = collector.log.last(RequestTarget::Token);
        let is_definite = answer.is_some_and(|answer| {
            let meaning = meaning(answer.status, answer.oauth_error.as_deref(), client);
            matches!(
                meaning,
                RefusalMeaning::Spent | RefusalMeaning::ClientRejected
            )
        });
        if is_definite {
            self.lock().spent = Some(record.clone());
        }
    }

    fn wait_at_least(&self, duration: Duration) {
        let mut state = self.lock();
        state.not_before = state.not_before.max(Some(Instant::now() + duration));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
