//! A lock of a host that can be lost: it is renewed while it is held.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{HostFuture, NAME, call};
use crate::store::{CredentialKey, Lease, RecordLock, StoreError, StoreFuture};

/// How long a lock is renewed at most. A holder that takes longer hangs, and must not keep others out forever.
const LONGEST: Duration = Duration::from_secs(300);

/// A lock of a host that ends by itself, at the latest one lease after its holder stopped. Dropping it must release the lock.
///
/// [`HostStore`](super::HostStore) renews it while it is held.
pub trait HostLease: Send + Sync + 'static {
    /// Extends the lease, unless the lock was lost. If `attempt` is a text, a refresh token is about to be sent, and `attempt`
    /// represents it.
    ///
    /// * It must return `None`, and record nothing, if another holder has taken the lock.
    /// * The host must store `attempt` with the time durably, beyond the end of the lock. If the same text was stored by an earlier holder, it keeps
    ///   the earlier time, and returns it as [`sent_before_at_ms`](HostLeaseState::sent_before_at_ms).
    fn renew(&self, attempt: Option<String>) -> HostFuture<Option<HostLeaseState>>;

    /// Notes that the outcome of the attempt is known, so that the release of the lock removes it. Must return without waiting.
    fn end_attempt(&self);
}

/// The state of a lease that was renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLeaseState {
    /// How long the lease lasts, counted from before the call of [`HostLease::renew`].
    pub remaining: Duration,
    /// When an earlier holder recorded the same attempt, in ms since the Unix epoch.
    pub sent_before_at_ms: Option<u64>,
}

/// Wraps a lease that was just granted.
pub(super) async fn leased(
    lease: Arc<dyn HostLease>,
    key: &CredentialKey,
) -> Result<RecordLock, StoreError> {
    let until = Arc::default();
    let mut held = Held {
        lease,
        key: key.clone(),
        until,
        renewal: None,
    };
    let state = held.renew(None).await?;
    let renewal = keep(
        Arc::downgrade(&held.lease),
        held.until.clone(),
        state.remaining,
    );
    held.renewal = Some(tokio::spawn(renewal).abort_handle());
    Ok(RecordLock::leased(held))
}

/// When the lease ends unless it is renewed. `None` if it was lost.
type Until = Mutex<Option<Instant>>;

fn set(until: &Until, moment: Option<Instant>) {
    *until.lock().unwrap_or_else(PoisonError::into_inner) = moment;
}

/// Renews a lease until it is lost or dropped, or until its holder takes too long.
async fn keep(lease: std::sync::Weak<dyn HostLease>, until: Arc<Until>, mut remaining: Duration) {
    let began = Instant::now();
    while began.elapsed() < LONGEST {
        tokio::time::sleep(remaining / 3).await;
        let Some(lease) = lease.upgrade() else {
            return;
        };
        let asked = Instant::now();
        match call(lease.renew(None), &[]).await {
            Ok(Some(state)) => {
                remaining = state.remaining;
                set(&until, Some(asked + remaining));
            }
            Ok(None) => return set(&until, None),
            // The lease ends by itself unless a later renewal succeeds.
            Err(error) => tracing::warn!(%error, "a lock could not be renewed"),
        }
    }
}

struct Held {
    lease: Arc<dyn HostLease>,
    key: CredentialKey,
    until: Arc<Until>,
    renewal: Option<AbortHandle>,
}

impl Held {
    async fn renew(&self, attempt: Option<String>) -> Result<HostLeaseState, StoreError> {
        let asked = Instant::now();
        match call(self.lease.renew(attempt), &[]).await? {
            Some(state) => {
                set(&self.until, Some(asked + state.remaining));
                Ok(state)
            }
            None => {
                set(&self.until, None);
                Err(StoreError::lock_lost(NAME))
            }
        }
    }

    /// A text that represents a refresh token. It reveals nothing about a token that can't be guessed.
    fn attempt(&self, refresh_token: &SecretString) -> String {
        let mut hash = Sha256::new();
        for part in [
            "mcp-startup attempt 1",
            self.key.as_str(),
            refresh_token.expose_secret(),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl Lease for Held {
    fn is_held_for(&self, time: Duration) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() + time < until)
    }

    fn begin_attempt<'a>(
        &'a self,
        refresh_token: &'a SecretString,
    ) -> StoreFuture<'a, Option<u64>> {
        Box::pin(async move {
            let renewed = self.renew(Some(self.attempt(refresh_token))).await;
            Ok(renewed?.sent_before_at_ms)
        })
    }

    fn end_attempt(&self) {
        self.lease.end_attempt();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
    }
}
