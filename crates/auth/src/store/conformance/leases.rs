//! The cases for a store whose locks are leases. They need two stores that share records like two hosts, and a way to end a lease:
//! `lapse` must make the lease of the key end now, for instance by moving its expiry into the past, so that no case waits for it.

use std::time::Duration;

use mcp_startup_core::CredentialStoreTrouble;
use secrecy::SecretString;

use super::{key, locked, put, record, require_stored, succeeded, waits};
use crate::store::{CredentialKey, CredentialStore, RecordLock};

/// How long a lease must last at least after its renewal: a refresh waits up to 20 s for its response.
const ENOUGH: Duration = Duration::from_secs(20);
/// The longest useful lease: a lock of a process that was killed excludes others for that long.
const TOO_LONG: Duration = Duration::from_secs(600);

/// Runs every case, one after another.
///
/// # Panics
///
/// If the stores do not meet the expectation of a case.
pub async fn run(
    one: &dyn CredentialStore,
    two: &dyn CredentialStore,
    lapse: impl AsyncFn(&CredentialKey),
) {
    run_cases(one, two, lapse, |_| {}).await;
}

/// Runs every case like [`run`], and passes the name of each to `begin` before it runs.
///
/// # Panics
///
/// If the stores do not meet the expectation of a case.
pub async fn run_cases(
    one: &dyn CredentialStore,
    two: &dyn CredentialStore,
    lapse: impl AsyncFn(&CredentialKey),
    mut begin: impl FnMut(&'static str),
) {
    macro_rules! cases {
        ($($case:ident,)+) => {
            $(
                begin(stringify!($case));
                $case(one, two, &lapse).await;
            )+
        };
    }
    cases!(
        a_lock_excludes_other_hosts_until_its_lease_ends,
        a_holder_that_lost_its_lock_learns_it_and_releases_nothing,
        a_holder_that_lost_its_lock_never_overwrites_a_newer_record,
        an_attempt_without_an_outcome_is_reported_to_the_next_holder,
    );
}

/// The result of an attempt that must be allowed: when an earlier holder sent the same refresh token.
async fn begin(lock: &RecordLock, refresh_token: &str) -> Option<u64> {
    let token = SecretString::from(refresh_token);
    succeeded("begin_attempt", lock.begin_attempt(&token).await)
}

/// A lock excludes other hosts while its lease lasts. Then the next host gets it.
pub async fn a_lock_excludes_other_hosts_until_its_lease_ends(
    one: &dyn CredentialStore,
    two: &dyn CredentialStore,
    lapse: impl AsyncFn(&CredentialKey),
) {
    let key = key("lease-excludes");
    let first = locked(one, &key).await;
    waits(one.lock(&key)).await;
    waits(two.lock(&key)).await;
    require!(
        first.is_held_for(ENOUGH),
        "a new lease must last for longer than 20 s"
    );
    require!(
        !first.is_held_for(TOO_LONG),
        "a lease must end within 10 minutes, or the lock of a process that was killed excludes others for too long"
    );
    lapse(&key).await;
    let second = locked(two, &key).await;
    waits(one.lock(&key)).await;
    drop(second);
    drop(locked(one, &key).await);
}

/// A holder that lost its lock may not send anything, and its release does not free the lock of the next holder.
pub async fn a_holder_that_lost_its_lock_learns_it_and_releases_nothing(
    one: &dyn CredentialStore,
    two: &dyn CredentialStore,
    lapse: impl AsyncFn(&CredentialKey),
) {
    let key = key("lease-lost");
    let first = locked(one, &key).await;
    lapse(&key).await;
    let second = locked(two, &key).await;
    let trouble = match first.begin_attempt(&"R1".into()).await {
        Ok(_) => None,
        Err(error) => Some(error.trouble),
    };
    require!(
        trouble == Some(CredentialStoreTrouble::InUse),
        "`begin_attempt` of a holder that lost its lock must fail with the trouble `inUse`, but the trouble was {trouble:?}"
    );
    require!(
        !first.is_held_for(Duration::ZERO),
        "a holder that lost its lock must not report that it holds it"
    );
    drop(first);
    waits(one.lock(&key)).await;
    begin(&second, "R1").await;
    require!(
        second.is_held_for(ENOUGH),
        "`begin_attempt` must renew the lease"
    );
}

/// A holder that lost its lock may save, and a newer record stays.
pub async fn a_holder_that_lost_its_lock_never_overwrites_a_newer_record(
    one: &dyn CredentialStore,
    two: &dyn CredentialStore,
    lapse: impl AsyncFn(&CredentialKey),
) {
    let key = key("lease-save");
    let (old, newer, late) = (record("old"), record("newer"), record("late"));
    put(one, &key, None, Some(&old)).await;
    let first = locked(one, &key).await;
    lapse(&key).await;
    let second = locked(two, &key).await;
    put(two, &key, Some(&old), Some(&newer)).await;
    let replaced = one.replace(&key, Some(&old), Some(&late)).await;
    super::require_conflict(&succeeded("replace", replaced), Some(&newer));
    require_stored(one, &key, Some(&newer)).await;
    // Nothing newer is stored, so the new tokens are saved.
    put(one, &key, Some(&newer), Some(&late)).await;
    require_stored(two, &key, Some(&late)).await;
    drop((first, second));
}

/// The next holder learns when a refresh token was sent whose outcome is not known, and of no other attempt.
pub async fn an_attempt_without_an_outcome_is_reported_to_the_next_holder(
    one: &dyn CredentialStore,
    two: &dyn CredentialStore,
    lapse: impl AsyncFn(&CredentialKey),
) {
    let key = key("lease-attempt");
    let require = |found: Option<u64>, is_reported: bool, when: &str| {
        require!(
            found.is_some() == is_reported,
            "`begin_attempt` {when} must {}report an earlier attempt, but returned {found:?}",
            if is_reported { "" } else { "not " }
        );
    };
    let first = locked(one, &key).await;
    require(begin(&first, "R1").await, false, "of the first holder");
    require(begin(&first, "R1").await, false, "that is repeated");
    lapse(&key).await;
    let second = locked(two, &key).await;
    require(begin(&second, "R1").await, true, "after a lease that ended");
    drop(second);
    let third = locked(one, &key).await;
    require(
        begin(&third, "R1").await,
        true,
        "after an attempt that has not ended",
    );
    third.end_attempt();
    drop(third);
    let fourth = locked(two, &key).await;
    require(
        begin(&fourth, "R1").await,
        false,
        "after an attempt that has ended",
    );
    drop(fourth);
    let fifth = locked(one, &key).await;
    require(begin(&fifth, "R2").await, false, "of another refresh token");
    drop((first, fifth));
}
