//! The time until which a keyring that stayed locked must not prompt again. This module never calls the keyring.

use std::time::{Duration, Instant};

use mcp_startup_core::CredentialStoreTrouble;

use crate::store::StoreError;

/// The time after which a refused operation may prompt the user again.
const RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

/// The state of the keyring, as far as this process knows it.
#[derive(Debug, Default)]
pub struct Episode {
    /// An operation that did not respond in time and has not ended. A prompt may still be open.
    pending: Option<StoreError>,
    /// The last refusal of the keyring, and the time until which it counts.
    refusal: Option<(StoreError, Instant)>,
}

/// Whether an operation may call the keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may call the keyring, which may prompt the user.
    Free,
    /// It may call the keyring only if that shows no prompt. Otherwise, it fails with this error.
    WithoutPrompt(StoreError),
    /// It must fail with this error.
    Refused(StoreError),
}

impl Episode {
    pub fn admit(&self, now: Instant) -> Admission {
        if let Some(error) = &self.pending {
            return Admission::Refused(error.clone());
        }
        match &self.refusal {
            Some((error, until)) if now < *until => Admission::WithoutPrompt(error.clone()),
            _ => Admission::Free,
        }
    }

    /// Notes that an operation did not respond in time.
    pub fn timed_out(&mut self, error: StoreError, now: Instant) {
        self.refusal = Some((error.clone(), now + RETRY_AFTER));
        self.pending = Some(error);
    }

    /// Notes the end of an operation; `error` is `None` if it succeeded. `is_free` is whether its admission was
    /// [`Admission::Free`]: an operation without a prompt can succeed in a locked keyring.
    pub fn ended(&mut self, is_free: bool, error: Option<&StoreError>, now: Instant) {
        self.pending = None;
        match error.map(|error| error.trouble) {
            Some(CredentialStoreTrouble::Locked) if is_free => {
                self.refusal = error.map(|error| (error.clone(), now + RETRY_AFTER));
            }
            // The keyring was not reached, so its state is unknown.
            Some(CredentialStoreTrouble::Unreadable | CredentialStoreTrouble::Absent) => {}
            _ if is_free => self.refusal = None,
            _ => {}
        }
    }

    /// Allows a prompt again: the user asks for it. A prompt that is still open stays the only one.
    pub fn retry(&mut self) {
        self.refusal = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Admission::{Free, Refused, WithoutPrompt};

    fn error(trouble: CredentialStoreTrouble) -> StoreError {
        StoreError::new("keyring", trouble, format!("{trouble:?}"))
    }

    #[test]
    fn a_refusal_counts_until_a_retry_or_until_its_time_ends() {
        let (now, locked) = (Instant::now(), error(CredentialStoreTrouble::Locked));
        let mut episode = Episode::default();
        assert_eq!(episode.admit(now), Free);
        episode.ended(true, Some(&locked), now);
        for seconds in [0, 1, 60, 899] {
            let later = now + Duration::from_secs(seconds);
            assert_eq!(episode.admit(later), WithoutPrompt(locked.clone()));
            // The operations that run without a prompt do not end the episode, and do not make it longer.
            episode.ended(false, None, later);
            episode.ended(false, Some(&locked), later);
        }
        assert_eq!(episode.admit(now + RETRY_AFTER), Free);
        episode.retry();
        assert_eq!(episode.admit(now), Free);
    }

    #[test]
    fn an_operation_that_hangs_blocks_every_other_one_until_it_ends() {
        let (now, hangs) = (Instant::now(), error(CredentialStoreTrouble::Locked));
        let mut episode = Episode::default();
        episode.timed_out(hangs.clone(), now);
        episode.retry();
        // Its prompt may still be open, however long it takes.
        for later in [now, now + RETRY_AFTER * 100] {
            assert_eq!(episode.admit(later), Refused(hangs.clone()));
        }
        episode.timed_out(hangs.clone(), now);
        // The user dismissed the prompt.
        episode.ended(true, Some(&hangs), now);
        assert_eq!(episode.admit(now), WithoutPrompt(hangs.clone()));

        // The user unlocked the keyring, which then had the entry, none or a damaged one.
        for result in [None, Some(error(CredentialStoreTrouble::Corrupt))] {
            episode.timed_out(hangs.clone(), now);
            episode.ended(true, result.as_ref(), now);
            assert_eq!(episode.admit(now), Free, "{result:?}");
        }
    }

    #[test]
    fn a_keyring_that_is_not_reached_prompts_nobody_and_can_be_tried_again() {
        let (now, absent) = (Instant::now(), error(CredentialStoreTrouble::Unreadable));
        let mut episode = Episode::default();
        episode.ended(true, Some(&absent), now);
        assert_eq!(episode.admit(now), Free);
        let locked = error(CredentialStoreTrouble::Locked);
        episode.ended(true, Some(&locked), now);
        episode.ended(false, Some(&absent), now);
        assert_eq!(episode.admit(now), WithoutPrompt(locked));
    }
}
