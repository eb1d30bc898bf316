//! The credential of a live server that has refused a request: the stored one if it is new, or after a 401 a refresh, with backoff.
//!
//! It never ends: any number of failed refreshes leaves the server able to recover.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mcp_startup_auth::{CredentialRecord, Mask};
use mcp_startup_core::refusal::{RefusalMeaning, meaning};
use mcp_startup_core::{AccessTokenWorth, FirstRequest, RequestTarget};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::observed_record::Read;
use super::stored_credential::{CredentialPlace, StoredCredential};
use super::{Renewed, Sends};
use crate::start::evidence_collector::EvidenceCollector;
use crate::watch::backoff::{pause, random, retry_after};

/// The limit for all the work after one 401: reading the store, the wait for the lock, discovery and the refresh. A refresh that was
/// sent continues after it.
const LIMIT: Duration = Duration::from_secs(30);
/// The limit after a 403, for reading the store.
const SHORT_LIMIT: Duration = Duration::from_secs(3);
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
        self.find(async |collector| {
            let (stored, _) = self.read(LIMIT, &collector).await?;
            let new = new_token(&stored, sent);
            let is_due = stored.worth.first_request() == FirstRequest::Refresh;
            if let Some(token) = new.filter(|_| !is_due) {
                return Some(Sends::Stored(token.clone()));
            }
            match self.refresh(&stored, challenge, &collector).await {
                Some(token) => Some(Sends::Refreshed(token)),
                // It has expired only if the clock is right.
                None => new.cloned().map(Sends::Stored),
            }
        })
        .await
    }

    /// The stored credential, if it is a new sign-in, after the server has denied access to `sent`: another process, or this one, may
    /// have stepped up. Nothing is refreshed.
    pub async fn signed_in(&self, sent: &Sends) -> Option<Sends> {
        use AccessTokenWorth::{ExpiryUnknown, Good};
        let found = self.find(async |collector| {
            let (stored, is_news) = self.read(SHORT_LIMIT, &collector).await?;
            let is_good = matches!(stored.worth.access_token, Good | ExpiryUnknown);
            let new = new_token(&stored, sent).filter(|_| is_news && is_good);
            new.cloned().map(Sends::Stored)
        });
        // The call was only denied, so its error must not be late.
        let found = tokio::time::timeout(SHORT_LIMIT, found).await;
        found.ok().flatten()
    }

    /// Records that the server has accepted the current credential.
    pub fn accepted(&self) {
        let mut state = self.lock();
        if !state.is_refused {
            state.attempts = 0;
            state.not_before = None;
        }
    }

    /// Finds another credential. The search has evidence of its own, because the evidence of the start is complete. A credential that is
    /// found becomes the one of the live server.
    async fn find<F>(&self, search: impl FnOnce(Arc<EvidenceCollector>) -> F) -> Option<Sends>
    where
        F: Future<Output = Option<Sends>>,
    {
        let collector = Arc::new(EvidenceCollector::new(
            String::new(),
            Mask::default(),
            |_| {},
        ));
        // Boxed: large, and rarely needed.
        let search = Box::pin(search(collector.clone()));
        let found = tokio::time::timeout(LIMIT, search).await.ok()??;
        self.lock().is_refused = false;
        let credential = collector.read(|evidence| evidence.credential.clone());
        self.of_server
            .update(|evidence| evidence.credential = credential);
        // The server can repeat it.
        self.of_server.add_secrets(found.token().into_iter());
        Some(found)
    }

    /// Reads the stored credential, and compares it with the one that was read last. A refreshed token that could not be saved is not in
    /// the store, and the record there is not new.
    async fn read(
        &self,
        limit: Duration,
        collector: &Arc<EvidenceCollector>,
    ) -> Option<(StoredCredential, bool)> {
        let stored = self.place.read(limit, collector).await?;
        let known = &self.of_server.known;
        let is_news = known.is_news(Some(&stored.record));
        known.has_read(Read::Record(Some(stored.record.clone())));
        Some((stored, is_news))
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

/// The stored token, if it is another one than the token that was sent.
fn new_token<'a>(stored: &'a StoredCredential, sent: &Sends) -> Option<&'a SecretString> {
    let token = stored.record.access_token();
    token.filter(|token| Some(token.expose_secret()) != sent.token())
}
