//! What every [`CredentialStore`] must do, as a suite that any store can be given to: a host's own too.
//!
//! [`run`] runs all of it, for a store of another language; in a Rust test, [`conformance!`](crate::conformance!) makes a test of
//! each case. A case that fails panics, and says what it wanted.
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
    reason = "a test suite: a store that fails it is told so by a panic"
)]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use serde_json::{Value, json};

use crate::record::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, Replaced, StoreError};

/// What has to happen takes no longer, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);
/// What must not happen would have happened by then.
const SHORT: Duration = Duration::from_millis(150);

/// One test for each case of the [suite](mod@crate::conformance), each with a new and empty store: the second argument is a tuple
/// with the store first, and what must live as long behind it.
///
/// ```
/// mcp_startup_auth::conformance!(memory, (mcp_startup_auth::MemoryStore::default(), ()));
/// ```
#[macro_export]
macro_rules! conformance {
    ($module:ident, $store:expr) => {
        $crate::conformance!(@ $module, $store,
            nothing_is_stored_at_first,
            a_record_comes_back_with_every_field,
            a_record_is_replaced_and_deleted,
            a_wrong_expectation_changes_nothing,
            of_many_that_expect_the_same_one_wins,
            other_records_stay_as_they_are,
            names_of_every_kind_are_keys,
            the_lock_excludes_until_it_is_dropped,
            the_lock_can_be_handed_to_a_task,
            a_wait_that_is_dropped_leaves_no_lock,
            locks_of_different_keys_do_not_meet,
            a_held_lock_keeps_nobody_from_reading_or_writing,
            under_the_lock_no_update_is_lost,
            a_dropped_replace_is_done_or_not,
            proving_that_it_can_write_changes_nothing,
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

/// Runs every case, one after another, on a store that is empty. Each uses keys of its own and leaves its records behind.
///
/// # Panics
///
/// Where the store does not do what a case asks of it.
pub async fn run(store: &dyn CredentialStore) {
    nothing_is_stored_at_first(store).await;
    a_record_comes_back_with_every_field(store).await;
    a_record_is_replaced_and_deleted(store).await;
    a_wrong_expectation_changes_nothing(store).await;
    of_many_that_expect_the_same_one_wins(store).await;
    other_records_stay_as_they_are(store).await;
    names_of_every_kind_are_keys(store).await;
    the_lock_excludes_until_it_is_dropped(store).await;
    the_lock_can_be_handed_to_a_task(store).await;
    a_wait_that_is_dropped_leaves_no_lock(store).await;
    locks_of_different_keys_do_not_meet(store).await;
    a_held_lock_keeps_nobody_from_reading_or_writing(store).await;
    under_the_lock_no_update_is_lost(store).await;
    a_dropped_replace_is_done_or_not(store).await;
    proving_that_it_can_write_changes_nothing(store).await;
}

/// A key for a server of this name.
pub fn key(name: &str) -> CredentialKey {
    CredentialKey::new(name, "https://mcp.example/mcp")
}

/// A record with this access token.
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

/// Stores `new` where `expected` is stored.
pub async fn put(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    expected: Option<&CredentialRecord>,
    new: Option<&CredentialRecord>,
) {
    let replaced = within(store.replace(key, expected, new)).await.unwrap();
    assert_eq!(replaced, Replaced::Stored);
}

/// What is stored under a key.
pub async fn stored(store: &dyn CredentialStore, key: &CredentialKey) -> Option<CredentialRecord> {
    within(store.load(key)).await.unwrap()
}

/// What has to happen does, within a minute.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(LONG, future).await;
    result.expect("it takes too long")
}

/// What must wait does.
pub async fn waits<T>(future: impl Future<Output = Result<T, StoreError>>) {
    if let Ok(got) = tokio::time::timeout(SHORT, future).await {
        panic!("it should wait: {:?}", got.map(drop));
    }
}

/// Polls `future` so many times, and drops it when it would be polled once more; what it came to, if it did.
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

/// An empty store has nothing, and nothing can be deleted from it.
pub async fn nothing_is_stored_at_first(store: &dyn CredentialStore) {
    let key = key("first");
    assert_eq!(stored(store, &key).await, None);
    put(store, &key, None, None).await;
    assert_eq!(stored(store, &key).await, None);
}

/// A record keeps every field, those that nobody here knows too.
pub async fn a_record_comes_back_with_every_field(store: &dyn CredentialStore) {
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
    // And what was loaded is what is expected when it is replaced.
    let change = json!({"access_token": "renewed"});
    let renewed = loaded.with(change.as_object().unwrap()).unwrap();
    put(store, &key, Some(&loaded), Some(&renewed)).await;
    let mut wanted = whole;
    wanted["access_token"] = json!("renewed");
    assert_eq!(fields(&stored(store, &key).await.unwrap()), wanted);
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

/// Whoever expects something else than what is stored changes nothing, and is told what is there.
pub async fn a_wrong_expectation_changes_nothing(store: &dyn CredentialStore) {
    let key = key("conflict");
    let (old, newer, mine) = (record("old"), record("newer"), record("mine"));
    let replaced = store.replace(&key, Some(&old), Some(&mine)).await.unwrap();
    assert_eq!(replaced, Replaced::Conflict(None));
    assert_eq!(stored(store, &key).await, None);

    put(store, &key, None, Some(&newer)).await;
    // The same tokens, and another field that nobody here knows.
    let change = json!({"of_the_vendor": 1});
    let almost = newer.with(change.as_object().unwrap()).unwrap();
    for expected in [None, Some(&old), Some(&almost)] {
        for new in [Some(&mine), None] {
            let replaced = store.replace(&key, expected, new).await.unwrap();
            assert_eq!(replaced, Replaced::Conflict(Some(newer.clone())));
            assert_eq!(stored(store, &key).await.as_ref(), Some(&newer));
        }
    }
}

/// Of many that expect the same, one stores its record, and the others are told of that.
pub async fn of_many_that_expect_the_same_one_wins(store: &dyn CredentialStore) {
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
            .filter(|(result, _)| **result == Replaced::Stored)
            .collect();
        assert_eq!(won.len(), 1, "{results:?}");
        let winner = won[0].1;
        for result in results.iter().filter(|result| **result != *won[0].0) {
            assert_eq!(*result, Replaced::Conflict(Some(winner.clone())));
        }
        before = stored(store, &key).await;
        assert_eq!(before.as_ref(), Some(winner));
    }
}

/// A change of one record leaves all others alone.
pub async fn other_records_stay_as_they_are(store: &dyn CredentialStore) {
    let keys = ["other-a", "other-b", "other-c"].map(key);
    for key in &keys {
        put(store, key, None, Some(&record(key.as_str()))).await;
    }
    // The same name at another URL is another key.
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

/// A server may have any name.
pub async fn names_of_every_kind_are_keys(store: &dyn CredentialStore) {
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

/// One at a time holds the lock of a record.
pub async fn the_lock_excludes_until_it_is_dropped(store: &dyn CredentialStore) {
    let key = key("locked");
    for _ in 0..3 {
        let guard = within(store.lock(&key)).await.unwrap();
        waits(store.lock(&key)).await;
        drop(guard);
    }
    // One who waits gets it when it is released.
    let guard = within(store.lock(&key)).await.unwrap();
    let release = async {
        tokio::time::sleep(SHORT).await;
        drop(guard);
    };
    let (waited, ()) = tokio::join!(within(store.lock(&key)), release);
    drop(waited.unwrap());
}

/// A lock can be handed on, and ends with whoever holds it.
pub async fn the_lock_can_be_handed_to_a_task(store: &dyn CredentialStore) {
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

    // A task that is cut short releases it as well.
    let guard = within(store.lock(&key)).await.unwrap();
    let task = tokio::spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    task.abort();
    drop(within(store.lock(&key)).await.unwrap());
}

/// Who gives up waiting for a lock does not hold it, at whatever moment that is.
pub async fn a_wait_that_is_dropped_leaves_no_lock(store: &dyn CredentialStore) {
    let key = key("dropped");
    // While another holds it.
    let guard = within(store.lock(&key)).await.unwrap();
    for polls in 0..4 {
        let got = tokio::time::timeout(SHORT, dropped_after(store.lock(&key), polls)).await;
        assert!(!matches!(got, Ok(Some(_))), "granted while it was held");
    }
    drop(guard);
    drop(within(store.lock(&key)).await.unwrap());
    // While it is being granted.
    for polls in 0..10 {
        drop(within(dropped_after(store.lock(&key), polls)).await);
        drop(within(store.lock(&key)).await.unwrap());
    }
    // When it was granted just as its holder let go.
    for polls in 0..10 {
        let guard = within(store.lock(&key)).await.unwrap();
        let waiting = dropped_after(store.lock(&key), polls);
        let (waited, ()) = tokio::join!(within(waiting), async { drop(guard) });
        drop(waited);
        drop(within(store.lock(&key)).await.unwrap());
    }
}

/// The locks of different records have nothing to do with each other.
pub async fn locks_of_different_keys_do_not_meet(store: &dyn CredentialStore) {
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

/// A lock keeps nobody from reading or writing.
pub async fn a_held_lock_keeps_nobody_from_reading_or_writing(store: &dyn CredentialStore) {
    let key = key("held");
    let _guard = within(store.lock(&key)).await.unwrap();
    put(store, &key, None, Some(&record("one"))).await;
    within(store.prove_writable(&key)).await.unwrap();
    assert_eq!(stored(store, &key).await, Some(record("one")));
}

/// Who reads and writes under the lock meets no conflict, and no update is lost.
pub async fn under_the_lock_no_update_is_lost(store: &dyn CredentialStore) {
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

/// A replace that is given up is done as a whole or not at all.
pub async fn a_dropped_replace_is_done_or_not(store: &dyn CredentialStore) {
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
        // It may still come to pass; whoever writes next waits for that, and finds one or the other.
        let last = record(&format!("last-{polls}"));
        match within(store.replace(&key, Some(&before), Some(&last)))
            .await
            .unwrap()
        {
            Replaced::Stored => assert_eq!(stored(store, &key).await, Some(last)),
            Replaced::Conflict(found) => assert_eq!(found, Some(new)),
        }
    }
    assert_eq!(stored(store, &untouched).await, Some(record("untouched")));
}

/// To prove that it can write changes nothing that is stored.
pub async fn proving_that_it_can_write_changes_nothing(store: &dyn CredentialStore) {
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
