//! A test suite for the contract of [`CredentialStore`]. It works with any store, including one that a host implements.
//!
//! In a Rust test, [`conformance!`](crate::conformance!) generates one test for each case. [`run`] runs all cases, for a store in
//! another language. A case that fails panics with the expectation that the store did not meet.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! mcp_startup_auth::conformance::run(&mcp_startup_auth::MemoryStore::default()).await;
//! # }
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test suite reports a failure with a panic"
)]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use serde_json::{Value, json};

use crate::store::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, ReplaceOutcome, StoreError};

/// The time limit for an operation that must complete. It is long enough for a busy machine.
const LONG: Duration = Duration::from_secs(60);
/// The time after which an operation counts as waiting.
const SHORT: Duration = Duration::from_millis(150);

/// Generates a module with one test for each case of the [suite](mod@crate::conformance).
///
/// The first argument is the name of the module. The second argument is an expression that creates a new, empty store for each
/// test: a tuple of the store and a value that must live as long as the store, such as its folder.
///
/// ```
/// mcp_startup_auth::conformance!(memory, (mcp_startup_auth::MemoryStore::default(), ()));
/// ```
#[macro_export]
macro_rules! conformance {
    ($module:ident, $store:expr) => {
        $crate::conformance!(@ $module, $store,
            an_empty_store_has_no_record,
            every_field_of_a_record_is_kept,
            a_record_is_replaced_and_deleted,
            a_conflict_changes_nothing,
            exactly_one_concurrent_replace_succeeds,
            other_records_stay_unchanged,
            a_server_name_can_be_any_text,
            the_lock_is_exclusive_until_it_is_dropped,
            the_lock_can_move_to_another_task,
            a_dropped_wait_leaves_no_lock,
            locks_of_different_keys_are_independent,
            a_held_lock_does_not_block_reads_or_writes,
            no_update_under_the_lock_is_lost,
            a_dropped_replace_is_atomic,
            prove_writable_changes_nothing,
        );
    };
    (@ $module:ident, $store:expr, $($case:ident,)+) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let store = $store;
                    $crate::conformance::$case(&store.0).await;
                }
            )+
        }
    };
}

/// Runs every case, one after another. The store must be empty. Each case uses different keys and leaves its records in the store.
///
/// # Panics
///
/// If the store does not meet the expectation of a case.
pub async fn run(store: &dyn CredentialStore) {
    an_empty_store_has_no_record(store).await;
    every_field_of_a_record_is_kept(store).await;
    a_record_is_replaced_and_deleted(store).await;
    a_conflict_changes_nothing(store).await;
    exactly_one_concurrent_replace_succeeds(store).await;
    other_records_stay_unchanged(store).await;
    a_server_name_can_be_any_text(store).await;
    the_lock_is_exclusive_until_it_is_dropped(store).await;
    the_lock_can_move_to_another_task(store).await;
    a_dropped_wait_leaves_no_lock(store).await;
    locks_of_different_keys_are_independent(store).await;
    a_held_lock_does_not_block_reads_or_writes(store).await;
    no_update_under_the_lock_is_lost(store).await;
    a_dropped_replace_is_atomic(store).await;
    prove_writable_changes_nothing(store).await;
}

/// The key of a server named `name`.
pub fn key(name: &str) -> CredentialKey {
    CredentialKey::new(name, "https://mcp.example/mcp")
}

/// A record with the access token `token`.
pub fn record(token: &str) -> CredentialRecord {
    CredentialRecord::from_json(&json!({
        "server_name": "server",
        "server_url": "https://mcp.example/mcp",
        "issuer": "https://issuer.example",
        "client_id": "client",
        "access_token": token,
        "expires_at": null,
        "refresh_token": format!("refresh-{token}"),
        "scopes": ["read", "write"],
    }))
    .unwrap()
}

/// Replaces `expected` with `new`. Panics unless the store stores it.
pub async fn put(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    expected: Option<&CredentialRecord>,
    new: Option<&CredentialRecord>,
) {
    let replaced = within(store.replace(key, expected, new)).await.unwrap();
    assert_eq!(replaced, ReplaceOutcome::Stored);
}

/// The record under `key`. Panics if the store returns an error.
pub async fn stored(store: &dyn CredentialStore, key: &CredentialKey) -> Option<CredentialRecord> {
    within(store.load(key)).await.unwrap()
}

/// Awaits `future`. Panics if it takes longer than 60 s.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(LONG, future).await;
    result.expect("the operation must complete within 60 s")
}

/// Panics unless `future` waits. It drops the future after 150 ms.
pub async fn waits<T>(future: impl Future<Output = Result<T, StoreError>>) {
    if let Ok(result) = tokio::time::timeout(SHORT, future).await {
        panic!(
            "the operation must wait, but returned {:?}",
            result.map(drop)
        );
    }
}

/// Polls `future` at most `polls` times and then drops it. Returns its output if it completed.
pub async fn dropped_after<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// A load from an empty store returns `None`, and deleting nothing succeeds.
pub async fn an_empty_store_has_no_record(store: &dyn CredentialStore) {
    let key = key("first");
    assert_eq!(stored(store, &key).await, None);
    put(store, &key, None, None).await;
    assert_eq!(stored(store, &key).await, None);
}

/// A record keeps every field, including fields that this crate does not know.
pub async fn every_field_of_a_record_is_kept(store: &dyn CredentialStore) {
    let key = key("whole");
    let whole = json!({
        "server_name": "whole",
        "server_url": "https://mcp.example/mcp",
        "issuer": "https://issuer.example",
        "client_id": "client",
        "client_secret": "s3cret",
        "client_secret_expires_at": 0,
        "access_token": "ä \"quoted\" \\ \u{1} token",
        "expires_at": 1_700_000_000_000_i64,
        "refresh_token": "refresh",
        "scopes": ["a", "b"],
        "from_the_future": {"deep": [1, 2.5, null, {"": true}]},
    });
    let record = CredentialRecord::from_json(&whole).unwrap();
    put(store, &key, None, Some(&record)).await;
    let loaded = stored(store, &key).await.unwrap();
    assert_eq!(loaded, record);
    let fields = |record: &CredentialRecord| -> Value {
        use secrecy::ExposeSecret;
        serde_json::from_str(record.to_json().expose_secret()).unwrap()
    };
    assert_eq!(fields(&loaded), whole);
    // The loaded record is a valid `expected` of a replace.
    let change = json!({"access_token": "renewed"});
    let renewed = loaded.with(change.as_object().unwrap()).unwrap();
    put(store, &key, Some(&loaded), Some(&renewed)).await;
    let mut changed = whole;
    changed["access_token"] = json!("renewed");
    assert_eq!(fields(&stored(store, &key).await.unwrap()), changed);
}

/// A record is stored, replaced, deleted and stored again.
pub async fn a_record_is_replaced_and_deleted(store: &dyn CredentialStore) {
    let key = key("replaced");
    let (one, two) = (record("one"), record("two"));
    put(store, &key, None, Some(&one)).await;
    put(store, &key, Some(&one), Some(&two)).await;
    assert_eq!(stored(store, &key).await.as_ref(), Some(&two));
    put(store, &key, Some(&two), None).await;
    assert_eq!(stored(store, &key).await, None);
    put(store, &key, None, Some(&one)).await;
    assert_eq!(stored(store, &key).await, Some(one));
}

/// A replace with a wrong `expected` changes nothing and returns the stored record.
pub async fn a_conflict_changes_nothing(store: &dyn CredentialStore) {
    let key = key("conflict");
    let (old, newer, mine) = (record("old"), record("newer"), record("mine"));
    let replaced = store.replace(&key, Some(&old), Some(&mine)).await.unwrap();
    assert_eq!(replaced, ReplaceOutcome::Conflict(None));
    assert_eq!(stored(store, &key).await, None);

    put(store, &key, None, Some(&newer)).await;
    // The same tokens and one more field that this crate does not know.
    let change = json!({"vendor_field": 1});
    let almost = newer.with(change.as_object().unwrap()).unwrap();
    for expected in [None, Some(&old), Some(&almost)] {
        for new in [Some(&mine), None] {
            let replaced = store.replace(&key, expected, new).await.unwrap();
            assert_eq!(replaced, ReplaceOutcome::Conflict(Some(newer.clone())));
            assert_eq!(stored(store, &key).await.as_ref(), Some(&newer));
        }
    }
}

/// If several concurrent replaces expect the same record, one stores its record and the others return it as a conflict.
pub async fn exactly_one_concurrent_replace_succeeds(store: &dyn CredentialStore) {
    let key = key("race");
    let mut before = None;
    for round in 0..5 {
        let mine: Vec<_> = (0..8).map(|n| record(&format!("{round}-{n}"))).collect();
        let racing = mine
            .iter()
            .map(|mine| store.replace(&key, before.as_ref(), Some(mine)));
        let results = within(try_join_all(racing)).await.unwrap();
        let won: Vec<_> = results
            .iter()
            .zip(&mine)
            .filter(|(result, _)| **result == ReplaceOutcome::Stored)
            .collect();
        assert_eq!(won.len(), 1, "{results:?}");
        let winner = won[0].1;
        for result in results.iter().filter(|result| **result != *won[0].0) {
            assert_eq!(*result, ReplaceOutcome::Conflict(Some(winner.clone())));
        }
        before = stored(store, &key).await;
        assert_eq!(before.as_ref(), Some(winner));
    }
}

/// A change of one record leaves all other records unchanged.
pub async fn other_records_stay_unchanged(store: &dyn CredentialStore) {
    let keys = ["other-a", "other-b", "other-c"].map(key);
    for key in &keys {
        put(store, key, None, Some(&record(key.as_str()))).await;
    }
    // The same name with another URL is another key.
    let elsewhere = CredentialKey::new("other-a", "https://elsewhere.example/mcp");
    put(store, &elsewhere, None, Some(&record("elsewhere"))).await;
    put(
        store,
        &keys[0],
        Some(&record(keys[0].as_str())),
        Some(&record("x")),
    )
    .await;
    put(store, &keys[1], Some(&record(keys[1].as_str())), None).await;
    assert_eq!(stored(store, &keys[0]).await, Some(record("x")));
    assert_eq!(stored(store, &keys[1]).await, None);
    assert_eq!(
        stored(store, &keys[2]).await,
        Some(record(keys[2].as_str()))
    );
    assert_eq!(stored(store, &elsewhere).await, Some(record("elsewhere")));
}

/// The name of a server can be any text.
pub async fn a_server_name_can_be_any_text(store: &dyn CredentialStore) {
    let long = "x".repeat(5000);
    let names = [
        "",
        "|",
        "a|b",
        "a/../b",
        "\"quoted\"\n\\",
        "größe 日本 \u{1f980}",
        &long,
    ];
    for name in names {
        put(store, &key(name), None, Some(&record(name))).await;
        let _guard = within(store.lock(&key(name))).await.unwrap();
    }
    for name in names {
        assert_eq!(stored(store, &key(name)).await, Some(record(name)));
    }
}

/// The lock of a record has one holder at a time.
pub async fn the_lock_is_exclusive_until_it_is_dropped(store: &dyn CredentialStore) {
    let key = key("locked");
    for _ in 0..3 {
        let guard = within(store.lock(&key)).await.unwrap();
        waits(store.lock(&key)).await;
        drop(guard);
    }
    // A waiting call gets the lock when it is released.
    let guard = within(store.lock(&key)).await.unwrap();
    let release = async {
        tokio::time::sleep(SHORT).await;
        drop(guard);
    };
    let (waited, ()) = tokio::join!(within(store.lock(&key)), release);
    drop(waited.unwrap());
}

/// A lock can move to another task and is released when that task ends.
pub async fn the_lock_can_move_to_another_task(store: &dyn CredentialStore) {
    let key = key("handed");
    let guard: RecordLock = within(store.lock(&key)).await.unwrap();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let _guard = guard;
        let _ = released.await;
    });
    waits(store.lock(&key)).await;
    let _ = release.send(());
    task.await.unwrap();
    drop(within(store.lock(&key)).await.unwrap());

    // An aborted task releases it too.
    let guard = within(store.lock(&key)).await.unwrap();
    let task = tokio::spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    task.abort();
    drop(within(store.lock(&key)).await.unwrap());
}

/// A wait for a lock that is dropped leaves the lock free, even if the lock is granted at that moment.
pub async fn a_dropped_wait_leaves_no_lock(store: &dyn CredentialStore) {
    let key = key("dropped");
    // Dropped while another holder has the lock.
    let guard = within(store.lock(&key)).await.unwrap();
    for polls in 0..4 {
        let result = tokio::time::timeout(SHORT, dropped_after(store.lock(&key), polls)).await;
        let is_granted = matches!(result, Ok(Some(_)));
        assert!(!is_granted, "the lock has two holders");
    }
    drop(guard);
    drop(within(store.lock(&key)).await.unwrap());
    // Dropped while the lock is being granted.
    for polls in 0..10 {
        drop(within(dropped_after(store.lock(&key), polls)).await);
        drop(within(store.lock(&key)).await.unwrap());
    }
    // Dropped just as the holder releases the lock.
    for polls in 0..10 {
        let guard = within(store.lock(&key)).await.unwrap();
        let waiting = dropped_after(store.lock(&key), polls);
        let (waited, ()) = tokio::join!(within(waiting), async { drop(guard) });
        drop(waited);
        drop(within(store.lock(&key)).await.unwrap());
    }
}

/// The locks of different records are independent.
pub async fn locks_of_different_keys_are_independent(store: &dyn CredentialStore) {
    let keys = [
        key("apart"),
        key("apart2"),
        CredentialKey::new("apart", "https://elsewhere.example/mcp"),
    ];
    let guards = within(join_all(keys.iter().map(|key| store.lock(key)))).await;
    for guard in &guards {
        assert!(guard.is_ok(), "{guard:?}");
    }
}

/// A held lock blocks neither loads nor writes.
pub async fn a_held_lock_does_not_block_reads_or_writes(store: &dyn CredentialStore) {
    let key = key("held");
    let _guard = within(store.lock(&key)).await.unwrap();
    put(store, &key, None, Some(&record("one"))).await;
    within(store.prove_writable(&key)).await.unwrap();
    assert_eq!(stored(store, &key).await, Some(record("one")));
}

/// Tasks that load and replace under the lock get no conflict and lose no update.
pub async fn no_update_under_the_lock_is_lost(store: &dyn CredentialStore) {
    const TASKS: i64 = 6;
    const ROUNDS: i64 = 4;
    let key = key("counted");
    let count = |record: Option<&CredentialRecord>| {
        record.map_or(0, |record| record.facts().expires_at_ms.unwrap())
    };
    let task = || async {
        for _ in 0..ROUNDS {
            let _guard = within(store.lock(&key)).await.unwrap();
            let before = stored(store, &key).await;
            tokio::task::yield_now().await;
            let change = json!({"expires_at": count(before.as_ref()) + 1});
            let after = record("counted").with(change.as_object().unwrap()).unwrap();
            put(store, &key, before.as_ref(), Some(&after)).await;
        }
    };
    join_all((0..TASKS).map(|_| task())).await;
    assert_eq!(count(stored(store, &key).await.as_ref()), TASKS * ROUNDS);
}

/// A dropped replace takes effect completely or not at all.
pub async fn a_dropped_replace_is_atomic(store: &dyn CredentialStore) {
    let key = key("cut-short");
    let untouched = self::key("untouched");
    put(store, &untouched, None, Some(&record("untouched"))).await;
    put(store, &key, None, Some(&record("0"))).await;
    for polls in 0..12 {
        let before = stored(store, &key).await.unwrap();
        let new = record(&format!("new-{polls}"));
        within(dropped_after(
            store.replace(&key, Some(&before), Some(&new)),
            polls,
        ))
        .await;
        // The dropped replace may still take effect. The next write waits for it and finds the old record or the new one.
        let last = record(&format!("last-{polls}"));
        match within(store.replace(&key, Some(&before), Some(&last)))
            .await
            .unwrap()
        {
            ReplaceOutcome::Stored => assert_eq!(stored(store, &key).await, Some(last)),
            ReplaceOutcome::Conflict(found) => assert_eq!(found, Some(new)),
        }
    }
    assert_eq!(stored(store, &untouched).await, Some(record("untouched")));
}

/// `prove_writable` leaves the stored record unchanged.
pub async fn prove_writable_changes_nothing(store: &dyn CredentialStore) {
    let key = key("proved");
    within(store.prove_writable(&key)).await.unwrap();
    assert_eq!(stored(store, &key).await, None);
    put(store, &key, None, Some(&record("one"))).await;
    within(join_all((0..4).map(|_| store.prove_writable(&key))))
        .await
        .into_iter()
        .for_each(Result::unwrap);
    assert_eq!(stored(store, &key).await, Some(record("one")));
    for polls in 0..6 {
        within(dropped_after(store.prove_writable(&key), polls)).await;
        within(store.prove_writable(&key)).await.unwrap();
    }
    assert_eq!(stored(store, &key).await, Some(record("one")));
}
