//! The outcomes of a host's refreshes in the last minute.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mcp_startup_auth::CredentialKey;
use mcp_startup_core::Evidence;
use secrecy::{ExposeSecret, SecretString};

/// How long an outcome is remembered. A start refreshes once, but a host makes many separate calls.
const RETENTION: Duration = Duration::from_secs(60);

/// The outcomes of a host's refreshes in the last minute.
#[derive(Default)]
pub(crate) struct RecentRefreshes(Mutex<Vec<(Instant, Outcome)>>);

pub(crate) enum Outcome {
    /// A new token. If the server refuses it, another refresh does not help.
    Renewed(SecretString),
    /// No token, with the refused access token of this record and the evidence.
    Failed(CredentialKey, Option<SecretString>, Box<Evidence>),
}

impl RecentRefreshes {
    pub fn note(&self, outcome: Outcome) {
        self.lock().push((Instant::now(), outcome));
    }

    pub fn has_renewed(&self, token: &str) -> bool {
        self.lock().iter().any(|(_, outcome)| match outcome {
            Outcome::Renewed(renewed) => renewed.expose_secret() == token,
            Outcome::Failed(..) => false,
        })
    }

    pub fn failure(
        &self,
        key: &CredentialKey,
        rejected: Option<&SecretString>,
    ) -> Option<Evidence> {
        let rejected = rejected.map(ExposeSecret::expose_secret);
        self.lock()
            .iter()
            .rev()
            .find_map(|(_, outcome)| match outcome {
                Outcome::Failed(of, token, evidence)
                    if of == key && token.as_ref().map(ExposeSecret::expose_secret) == rejected =>
                {
                    Some((**evidence).clone())
                }
                Outcome::Failed(..) | Outcome::Renewed(_) => None,
            })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, Outcome)>> {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.retain(|(since, _)| since.elapsed() < RETENTION);
        outcomes
    }
}
