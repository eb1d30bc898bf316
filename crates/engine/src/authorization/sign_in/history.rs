//! The sign-ins of this process: which have been finished, and how often more access was requested in vain.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_startup_auth::{
    CredentialRecord, Mask, PendingSignIn, SignInBegun, SignInError, SignInFailureKind, now_ms,
};
use mcp_startup_core::printable;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// How many step-ups in a row are allowed. Each is a prompt for the user.
const MAX_ROUNDS: usize = 3;
/// The maximum number of step-ups that are remembered.
const MAX_STEP_UPS: usize = 1000;
/// The maximum number of sign-ins whose secrets are remembered. Without them, a message shows no text of the server.
const MAX_BEGUN: usize = 1000;
/// The maximum length of the scopes in a message, in characters.
const SCOPES_CHARS: usize = 100;

/// The sign-ins of this process.
#[derive(Default)]
pub(crate) struct SignInHistory(Mutex<History>);

#[derive(Default)]
struct History {
    /// The finished sign-ins, by their `state`, and when they would have expired. A pending sign-in is valid for one use.
    finished: HashMap<String, i64>,
    step_ups: Vec<StepUp>,
    /// The secrets of the sign-ins that have begun, by their `state`, and when the sign-ins expire.
    secrets: HashMap<String, (Mask, i64)>,
}

/// A sign-in that requests more scopes because the server has refused the stored token with 403.
struct StepUp {
    /// The `state` of the sign-in.
    state: String,
    expires_at_ms: i64,
    scopes: BTreeSet<String>,
    /// The number of step-ups in a row, with this one.
    round: usize,
    /// The access token that was granted; `None` while the sign-in is pending.
    granted: Option<SecretString>,
}

impl SignInHistory {
    /// Remembers the secrets that the server of a sign-in may repeat when the browser returns.
    pub fn begun(&self, pending: &PendingSignIn, secrets: Mask) {
        let mut history = self.lock();
        let (now, known) = (now_ms(), &mut history.secrets);
        known.retain(|_, (_, expires_at)| *expires_at > now);
        if known.len() < MAX_BEGUN {
            let expires_at = pending.expires_at_ms();
            known.insert(pending.state().to_owned(), (secrets, expires_at));
        }
    }

    /// The secrets of a sign-in that this process has begun.
    pub fn secrets(&self, pending: &PendingSignIn) -> Option<Mask> {
        let history = self.lock();
        history
            .secrets
            .get(pending.state())
            .map(|(mask, _)| mask.clone())
    }

    /// Whether the sign-in has been finished.
    pub fn is_finished(&self, pending: &PendingSignIn) -> bool {
        self.lock().finished.contains_key(pending.state())
    }

    /// Records that a sign-in is being finished. Returns whether it was not recorded before.
    pub fn finish(&self, pending: &PendingSignIn) -> bool {
        let mut history = self.lock();
        let now = now_ms();
        // An expired sign-in can't be finished anyway.
        history.finished.retain(|_, expires_at| *expires_at > now);
        let (state, expires_at) = (pending.state().to_owned(), pending.expires_at_ms());
        history.finished.insert(state, expires_at).is_none()
    }

    /// Checks that another step-up from this record may help.
    pub fn check_rounds(&self, record: &CredentialRecord) -> Result<(), SignInError> {
        match self.lock().that_granted(record) {
            Some(last) if last.round >= MAX_ROUNDS => Err(denied(&last.scopes)),
            _ => Ok(()),
        }
    }

    /// Records a step-up from this record, unless the record was granted for the same scopes.
    pub fn begin_step_up(
        &self,
        record: &CredentialRecord,
        begun: &SignInBegun,
    ) -> Result<(), SignInError> {
        let scopes = requested_scopes(begun);
        let mut history = self.lock();
        let last = history.that_granted(record);
        if let Some(last) = last
            && scopes.is_subset(&last.scopes)
        {
            return Err(denied(&scopes));
        }
        let round = last.map_or(1, |last| last.round + 1);
        let now = now_ms();
        let steps = &mut history.step_ups;
        steps.retain(|step_up| step_up.granted.is_some() || step_up.expires_at_ms > now);
        if steps.len() >= MAX_STEP_UPS {
            steps.remove(0);
        }
        steps.push(StepUp {
            state: begun.pending.state().to_owned(),
            expires_at_ms: begun.pending.expires_at_ms(),
            scopes,
            round,
            granted: None,
        });
        Ok(())
    }

    /// Records what a sign-in has granted.
    pub fn granted(&self, pending: &PendingSignIn, record: &CredentialRecord) {
        let mut history = self.lock();
        let mut steps = history.step_ups.iter_mut();
        if let Some(step_up) = steps.find(|step_up| step_up.state == pending.state()) {
            step_up.granted = record.access_token().cloned();
        }
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    /// The step-up that has granted the tokens of this record.
    fn that_granted(&self, record: &CredentialRecord) -> Option<&StepUp> {
        let token = record.access_token()?.expose_secret();
        let mut steps = self.step_ups.iter();
        steps.find(|step_up| {
            let granted = step_up.granted.as_ref();
            granted.is_some_and(|granted| granted.expose_secret() == token)
        })
    }
}

fn requested_scopes(begun: &SignInBegun) -> BTreeSet<String> {
    let url = Url::parse(&begun.authorization_url).ok();
    let scope = url.and_then(|url| {
        let mut pairs = url.query_pairs();
        pairs.find_map(|(name, value)| (name == "scope").then(|| value.into_owned()))
    });
    let scope = scope.unwrap_or_default();
    scope.split_whitespace().map(str::to_owned).collect()
}

fn denied(scopes: &BTreeSet<String>) -> SignInError {
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    SignInError::new(
        SignInFailureKind::Denied,
        format!(
            "the server still requires more access after a sign-in that requested it ({}): contact its operator",
            printable(&scopes.join(" "), SCOPES_CHARS)
        ),
    )
}
