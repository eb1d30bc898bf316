//! What came of the refreshes that a host has asked for a moment ago.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mcp_startup_auth::CredentialKey;
use mcp_startup_core::Evidence;
use secrecy::{ExposeSecret, SecretString};

/// How long what came of a refresh is remembered. A start has one, whatever comes of it; what a host does is many calls.
const LATELY: Duration = Duration::from_secs(60);

/// What came of the refreshes that a host has asked for a moment ago.
#[derive(Default)]
pub(crate) struct Lately(Mutex<Vec<(Instant, Outcome)>>);

pub(crate) enum Outcome {
    /// This token: if the server refuses it, another refresh mends nothing.
    Renewed(SecretString),
    /// Nothing, with this access token of this record: what was found out.
    Failed(CredentialKey, Option<SecretString>, Box<Evidence>),
}

impl Lately {
    pub fn note(&self, outcome: Outcome) {
        self.lock().push((Instant::now(), outcome));
    }

    pub fn has_renewed(&self, token: &str) -> bool {
        self.lock().iter().any(|(_, outcome)| match outcome {
            Outcome::Renewed(renewed) => renewed.expose_secret() == token,
            Outcome::Failed(..) => false,
        })
    }

    pub fn failure(&self, key: &CredentialKey, wanting: Option<&SecretString>) -> Option<Evidence> {
        let wanting = wanting.map(ExposeSecret::expose_secret);
        self.lock()
            .iter()
            .rev()
            .find_map(|(_, outcome)| match outcome {
                Outcome::Failed(of, token, evidence)
                    if of == key && token.as_ref().map(ExposeSecret::expose_secret) == wanting =>
                {
                    Some((**evidence).clone())
                }
                Outcome::Failed(..) | Outcome::Renewed(_) => None,
            })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, Outcome)>> {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.retain(|(since, _)| since.elapsed() < LATELY);
        outcomes
    }
}
