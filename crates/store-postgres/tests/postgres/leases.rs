//! The lock of a record as a lease. A test ends a lease by its expiry in the database, so that no test waits for a lease.

use mcp_startup_auth::conformance::{self, key, waits, within};
use mcp_startup_auth::{CredentialKey, CredentialStore, RecordLock};
use mcp_startup_core::CredentialStoreTrouble;

use crate::database;
use crate::server::{KEY_1, KEY_2, TestDatabase};

const LAPSE: &str = "update mcp_startup_lease set expires_at = clock_timestamp() - interval '1 ms'";

async fn host(database: &TestDatabase) -> mcp_startup_store_postgres::UserStore {
    database.store(KEY_1).await.for_user("t", "u").unwrap()
}

async fn locked(store: &dyn CredentialStore) -> RecordLock {
    within(store.lock(&key("s"))).await.unwrap()
}

/// Generates a test for each case of the conformance suite. Each runs in a database of its own.
macro_rules! cases {
    ($($case:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let database = database!(concat!("leases::", stringify!($case)));
                let (one, two) = (host(&database).await, host(&database).await);
                let lapse = async |_: &CredentialKey| drop(database.sql(LAPSE));
                conformance::leases::$case(&one, &two, lapse).await;
            }
        )+
    };
}

cases!(
    a_lock_excludes_other_hosts_until_its_lease_ends,
    a_holder_that_lost_its_lock_learns_it_and_releases_nothing,
    a_holder_that_lost_its_lock_never_overwrites_a_newer_record,
    an_attempt_without_an_outcome_is_reported_to_the_next_holder,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_ended_and_that_nobody_took_is_still_held() {
    let database = database!("leases::a_lease_that_ended_and_that_nobody_took_is_still_held");
    let store = host(&database).await;
    let lock = locked(&store).await;
    database.sql(LAPSE);
    assert_eq!(lock.begin_attempt(&"R1".into()).await, Ok(None));
    waits(host(&database).await.lock(&key("s"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_an_attempt_is_that_of_the_database() {
    let database = database!("leases::the_time_of_an_attempt_is_that_of_the_database");
    let store = host(&database).await;
    let first = locked(&store).await;
    first.begin_attempt(&"R1".into()).await.unwrap();
    database.sql("update mcp_startup_lease set sent_at = '2026-01-02 03:04:05.678+00'");
    database.sql(LAPSE);
    let second = locked(&store).await;
    let earlier = second.begin_attempt(&"R1".into()).await;
    assert_eq!(earlier, Ok(Some(1_767_323_045_678)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_hosts_hold_a_lock_one_after_another() {
    let database = database!("leases::sixteen_hosts_hold_a_lock_one_after_another");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = host(&database).await;
        tasks.spawn(async move {
            for _ in 0..2 {
                let _lock = locked(&store).await;
                let before = store.load(&key("s")).await.unwrap();
                let count = before
                    .as_ref()
                    .map_or(0, |record| record.facts().expires_at_ms.unwrap());
                let text = format!(r#"{{"access_token":"a","expires_at":{}}}"#, count + 1);
                let next = mcp_startup_auth::CredentialRecord::parse(&text).unwrap();
                let replaced = store.replace(&key("s"), before.as_ref(), Some(&next)).await;
                assert_eq!(replaced, Ok(mcp_startup_auth::ReplaceOutcome::Stored));
            }
        });
    }
    tasks.join_all().await;
    let last = host(&database)
        .await
        .load(&key("s"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(last.facts().expires_at_ms, Some(32));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_respond_is_not_a_lock_that_another_program_holds() {
    let database = database!("leases::a_database_that_does_not_respond");
    let store = host(&database).await;
    database.sql("alter table mcp_startup_lease rename to moved");
    let error = within(store.lock(&key("s"))).await.unwrap_err();
    assert_eq!(error.trouble, CredentialStoreTrouble::Unreadable, "{error}");
    assert!(error.detail.contains("SQLSTATE 42P01"), "{error}");
}

/// A host was killed after it sent a refresh token, and then the key was changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_recognized_after_the_key_was_changed() {
    let database = database!("leases::an_attempt_is_recognized_after_the_key_was_changed");
    let old = host(&database).await;
    let first = locked(&old).await;
    first.begin_attempt(&"R1".into()).await.unwrap();
    database.sql(LAPSE);
    let rotated = database.store(&format!("{KEY_2} {KEY_1}")).await;
    let rotated = rotated.for_user("t", "u").unwrap();
    let second = locked(&rotated).await;
    assert!(second.begin_attempt(&"R1".into()).await.unwrap().is_some());
    assert!(second.begin_attempt(&"R1".into()).await.unwrap().is_some());
    // Another token is not the one that was sent.
    assert_eq!(second.begin_attempt(&"R2".into()).await, Ok(None));
    database.sql(LAPSE);
    // A host that does not know the key can't compare.
    let stranger = database.store(KEY_1).await.for_user("t", "u").unwrap();
    let third = locked(&stranger).await;
    assert_eq!(third.begin_attempt(&"R2".into()).await, Ok(None));
    drop((first, second, third));
}
