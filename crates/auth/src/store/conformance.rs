//! A test suite for the contract of [`CredentialStore`]. It works with any store, including one that a host implements.
//!
//! In a Rust test, [`conformance!`](crate::conformance!) generates one test for each case. [`run`] runs all cases, for a store in
//! another language. The message of a case that fails names the call, its result, and the required result.
//!
//! [`a_damaged_record_can_be_replaced_and_removed`] is a separate case, because it needs a way to damage a record. A store that
//! grants leases must also pass [`leases`].
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! mcp_startup_auth::conformance::run(&mcp_startup_auth::MemoryStore::default()).await;
//! # }
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test suite reports a failure with a panic"
)]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::future::join_all;
use mcp_startup_core::CredentialStoreTrouble;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::store::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, ReplaceOutcome, StoreError};

/// The time limit for an operation that must complete. It is long enough for a busy machine.
const LONG: Duration = Duration::from_secs(60);
/// The name of the server of the first record that the suite leaves.
const WHOLE: &str = "whole";
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
        $crate::conformance_cases!($crate::conformance!(@ $module, $store,));
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

/// Adds the names of all cases of the [suite](mod@crate::conformance) to the arguments of a macro, for a suite with a setup of its own.
///
/// ```
/// macro_rules! count {
///     ($($case:ident,)+) => { [$(stringify!($case)),+].len() };
/// }
/// assert_eq!(mcp_startup_auth::conformance_cases!(count!()), 15);
/// ```
#[macro_export]
macro_rules! conformance_cases {
    ($($path:tt)::+!($($arguments:tt)*)) => {
        $($path)::+! { $($arguments)*
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
        }
    };
}

/// Runs every case, one after another. The store must be empty. Each case uses different keys and leaves its records in the store.
///
/// # Panics
///
/// If the store does not meet the expectation of a case.
pub async fn run(store: &dyn CredentialStore) {
    run_cases(store, |_| {}).await;
}

/// Runs every case like [`run`], and passes the name of each to `begin` before it runs.
///
/// # Panics
///
/// If the store does not meet the expectation of a case.
pub async fn run_cases(store: &dyn CredentialStore, mut begin: impl FnMut(&'static str)) {
    macro_rules! cases {
        ($($case:ident,)+) => {
            $(
                begin(stringify!($case));
                $case(store).await;
            )+
        };
    }
    crate::conformance_cases!(cases!());
}

/// Panics with a message unless a condition holds. An assertion macro would add words that only a Rust author understands.
macro_rules! require {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            panic!($($message)+);
        }
    };
}

pub mod leases;

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

/// The JSON of a record, for a message. The records of this suite have no real secrets.
fn shown(record: Option<&CredentialRecord>) -> String {
    match record {
        Some(record) => record.to_json().expose_secret().to_owned(),
        None => "no record".to_owned(),
    }
}

/// The value of a call that must succeed. Panics if it failed.
fn succeeded<T>(call: &str, result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("`{call}` must succeed, but failed: {error}"))
}

/// Replaces `expected` with `new`. Panics unless the store stores it.
pub async fn put(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    expected: Option<&CredentialRecord>,
    new: Option<&CredentialRecord>,
) {
    match succeeded("replace", within(store.replace(key, expected, new)).await) {
        ReplaceOutcome::Stored => {}
        ReplaceOutcome::Conflict(found) => panic!(
            "`replace` must store {} if the expected record is stored, but reported a conflict with {}; expected was {}",
            shown(new),
            shown(found.as_ref()),
            shown(expected)
        ),
    }
}

/// The record under `key`. Panics if the store returns an error.
pub async fn stored(store: &dyn CredentialStore, key: &CredentialKey) -> Option<CredentialRecord> {
    succeeded("load", within(store.load(key)).await)
}

/// Panics unless `load` returns `expected`.
async fn require_stored(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    expected: Option<&CredentialRecord>,
) {
    let found = stored(store, key).await;
    require!(
        found.as_ref() == expected,
        "`load` must return {}, but returned {}",
        shown(expected),
        shown(found.as_ref())
    );
}

/// Panics unless the store reported a conflict with `expected`.
fn require_conflict(outcome: &ReplaceOutcome, expected: Option<&CredentialRecord>) {
    let expected = expected.cloned();
    require!(
        *outcome == ReplaceOutcome::Conflict(expected.clone()),
        "`replace` must report a conflict with {}, but {}",
        shown(expected.as_ref()),
        match outcome {
            ReplaceOutcome::Stored => "stored the new record".to_owned(),
            ReplaceOutcome::Conflict(found) =>
                format!("reported a conflict with {}", shown(found.as_ref())),
        }
    );
}

/// Takes the lock of `key`. Panics if that takes longer than 60 s.
async fn locked(store: &dyn CredentialStore, key: &CredentialKey) -> RecordLock {
    succeeded("lock", within(store.lock(key)).await)
}

/// Awaits `future`. Panics if it takes longer than 60 s.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(LONG, future).await;
    result.unwrap_or_else(|_| panic!("the call must complete within 60 s"))
}

/// Panics unless `future` waits. It drops the future after 150 ms.
pub async fn waits<T>(future: impl Future<Output = Result<T, StoreError>>) {
    match tokio::time::timeout(SHORT, future).await {
        Ok(Ok(_)) => panic!("the call must wait for the holder of the lock, but succeeded"),
        Ok(Err(error)) => {
            panic!("the call must wait for the holder of the lock, but failed: {error}")
        }
        Err(_) => {}
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
    require_stored(store, &key, None).await;
    // Every complete run leaves this record.
    let left = self::key(WHOLE);
    require!(
        stored(store, &left).await.is_none(),
        "the store must be empty, but `load` returned a record under `{}`, which an earlier run of this test may have left; pass a \
         new store",
        left.as_str()
    );
    put(store, &key, None, None).await;
    require_stored(store, &key, None).await;
}

/// A record keeps every field, including fields that this crate does not know.
pub async fn every_field_of_a_record_is_kept(store: &dyn CredentialStore) {
    let key = key(WHOLE);
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
    require_stored(store, &key, Some(&record)).await;
    let require_fields = async |expected: &Value| {
        let loaded = stored(store, &key).await;
        let found: Value = serde_json::from_str(&shown(loaded.as_ref())).unwrap_or_default();
        require!(
            found == *expected,
            "`load` must return every field unchanged: {expected}, but returned {found}"
        );
        loaded.unwrap()
    };
    let loaded = require_fields(&whole).await;
    // The loaded record is a valid `expected` of a replace.
    let change = json!({"access_token": "renewed"});
    let renewed = loaded.with(change.as_object().unwrap()).unwrap();
    put(store, &key, Some(&loaded), Some(&renewed)).await;
    let mut changed = whole;
    changed["access_token"] = json!("renewed");
    require_fields(&changed).await;
}

/// A record is stored, replaced, deleted and stored again.
pub async fn a_record_is_replaced_and_deleted(store: &dyn CredentialStore) {
    let key = key("replaced");
    let (one, two) = (record("one"), record("two"));
    put(store, &key, None, Some(&one)).await;
    put(store, &key, Some(&one), Some(&two)).await;
    require_stored(store, &key, Some(&two)).await;
    put(store, &key, Some(&two), None).await;
    require_stored(store, &key, None).await;
    put(store, &key, None, Some(&one)).await;
    require_stored(store, &key, Some(&one)).await;
}

/// A replace with a wrong `expected` changes nothing and returns the stored record.
pub async fn a_conflict_changes_nothing(store: &dyn CredentialStore) {
    let key = key("conflict");
    let (old, newer, mine) = (record("old"), record("newer"), record("mine"));
    let replace = async |expected: Option<&CredentialRecord>, new: Option<&CredentialRecord>| {
        succeeded("replace", within(store.replace(&key, expected, new)).await)
    };
    require_conflict(&replace(Some(&old), Some(&mine)).await, None);
    require_stored(store, &key, None).await;

    put(store, &key, None, Some(&newer)).await;
    // The same tokens and one more field that this crate does not know.
    let change = json!({"vendor_field": 1});
    let almost = newer.with(change.as_object().unwrap()).unwrap();
    for expected in [None, Some(&old), Some(&almost)] {
        for new in [Some(&mine), None] {
            require_conflict(&replace(expected, new).await, Some(&newer));
            require_stored(store, &key, Some(&newer)).await;
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
        let results = within(join_all(racing)).await.into_iter();
        let results: Vec<_> = results.map(|result| succeeded("replace", result)).collect();
        let is_stored = |result: &ReplaceOutcome| *result == ReplaceOutcome::Stored;
        let count = results.iter().filter(|result| is_stored(result)).count();
        require!(
            count == 1,
            "exactly one of 8 concurrent calls of `replace` with the same `expected` must succeed, but {count} did"
        );
        let winner = results.iter().position(is_stored).unwrap();
        for result in results.iter().filter(|result| !is_stored(result)) {
            require_conflict(result, Some(&mine[winner]));
        }
        require_stored(store, &key, Some(&mine[winner])).await;
        before = stored(store, &key).await;
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
    let before = record(keys[0].as_str());
    put(store, &keys[0], Some(&before), Some(&record("x"))).await;
    put(store, &keys[1], Some(&record(keys[1].as_str())), None).await;
    require_stored(store, &keys[0], Some(&record("x"))).await;
    require_stored(store, &keys[1], None).await;
    require_stored(store, &keys[2], Some(&record(keys[2].as_str()))).await;
    require_stored(store, &elsewhere, Some(&record("elsewhere"))).await;
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
        let _guard = locked(store, &key(name)).await;
    }
    for name in names {
        require_stored(store, &key(name), Some(&record(name))).await;
    }
}

/// The lock of a record has one holder at a time.
pub async fn the_lock_is_exclusive_until_it_is_dropped(store: &dyn CredentialStore) {
    let key = key("locked");
    for _ in 0..3 {
        let guard = locked(store, &key).await;
        waits(store.lock(&key)).await;
        drop(guard);
    }
    // A waiting call gets the lock when it is released.
    let guard = locked(store, &key).await;
    let release = async {
        tokio::time::sleep(SHORT).await;
        drop(guard);
    };
    let (waited, ()) = tokio::join!(locked(store, &key), release);
    drop(waited);
}

/// A lock can move to another task and is released when that task ends.
pub async fn the_lock_can_move_to_another_task(store: &dyn CredentialStore) {
    let key = key("handed");
    let guard: RecordLock = locked(store, &key).await;
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let _guard = guard;
        let _ = released.await;
    });
    waits(store.lock(&key)).await;
    let _ = release.send(());
    task.await.unwrap();
    drop(locked(store, &key).await);

    // An aborted task releases it too.
    let guard = locked(store, &key).await;
    let task = tokio::spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    task.abort();
    drop(locked(store, &key).await);
}

/// A wait for a lock that is dropped leaves the lock free, even if the lock is granted at that moment.
pub async fn a_dropped_wait_leaves_no_lock(store: &dyn CredentialStore) {
    let key = key("dropped");
    // Dropped while another holder has the lock.
    let guard = locked(store, &key).await;
    for polls in 0..4 {
        let result = tokio::time::timeout(SHORT, dropped_after(store.lock(&key), polls)).await;
        let is_granted = matches!(result, Ok(Some(_)));
        require!(
            !is_granted,
            "the lock of a record must have one holder at a time, but has two"
        );
    }
    drop(guard);
    drop(locked(store, &key).await);
    // Dropped while the lock is being granted.
    for polls in 0..10 {
        drop(within(dropped_after(store.lock(&key), polls)).await);
        drop(locked(store, &key).await);
    }
    // Dropped just as the holder releases the lock.
    for polls in 0..10 {
        let guard = locked(store, &key).await;
        let waiting = dropped_after(store.lock(&key), polls);
        let (waited, ()) = tokio::join!(within(waiting), async { drop(guard) });
        drop(waited);
        drop(locked(store, &key).await);
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
    let guards: Vec<_> = guards
        .into_iter()
        .map(|guard| succeeded("lock", guard))
        .collect();
    drop(guards);
}

/// A held lock blocks neither loads nor writes.
pub async fn a_held_lock_does_not_block_reads_or_writes(store: &dyn CredentialStore) {
    let key = key("held");
    let _guard = locked(store, &key).await;
    put(store, &key, None, Some(&record("one"))).await;
    succeeded("prove_writable", within(store.prove_writable(&key)).await);
    require_stored(store, &key, Some(&record("one"))).await;
}

/// Tasks that load and replace under the lock get no conflict and lose no update.
pub async fn no_update_under_the_lock_is_lost(store: &dyn CredentialStore) {
    const TASKS: i64 = 6;
    const ROUNDS: i64 = 4;
    let key = key("counted");
    let count = |record: Option<&CredentialRecord>| {
        record.map_or(0, |record| record.facts().expires_at_ms.unwrap_or(-1))
    };
    let task = || async {
        for _ in 0..ROUNDS {
            let _guard = locked(store, &key).await;
            let before = stored(store, &key).await;
            tokio::task::yield_now().await;
            let change = json!({"expires_at": count(before.as_ref()) + 1});
            let after = record("counted").with(change.as_object().unwrap()).unwrap();
            put(store, &key, before.as_ref(), Some(&after)).await;
        }
    };
    join_all((0..TASKS).map(|_| task())).await;
    let (found, expected) = (count(stored(store, &key).await.as_ref()), TASKS * ROUNDS);
    require!(
        found == expected,
        "{expected} changes under the lock must all be kept, but {found} were"
    );
}

/// A dropped replace takes effect completely or not at all.
pub async fn a_dropped_replace_is_atomic(store: &dyn CredentialStore) {
    let key = key("cut-short");
    let untouched = self::key("untouched");
    put(store, &untouched, None, Some(&record("untouched"))).await;
    put(store, &key, None, Some(&record("0"))).await;
    for polls in 0..12 {
        let before = stored(store, &key).await;
        require!(
            before.is_some(),
            "a dropped `replace` must not remove the record"
        );
        let new = record(&format!("new-{polls}"));
        let replace = store.replace(&key, before.as_ref(), Some(&new));
        within(dropped_after(replace, polls)).await;
        // The dropped replace may still take effect. The next write waits for it and finds the old record or the new one.
        let last = record(&format!("last-{polls}"));
        let replace = store.replace(&key, before.as_ref(), Some(&last));
        match succeeded("replace", within(replace).await) {
            ReplaceOutcome::Stored => require_stored(store, &key, Some(&last)).await,
            conflict => require_conflict(&conflict, Some(&new)),
        }
    }
    require_stored(store, &untouched, Some(&record("untouched"))).await;
}

/// `prove_writable` leaves the stored record unchanged.
pub async fn prove_writable_changes_nothing(store: &dyn CredentialStore) {
    let key = key("proved");
    let prove = async || succeeded("prove_writable", within(store.prove_writable(&key)).await);
    prove().await;
    require_stored(store, &key, None).await;
    put(store, &key, None, Some(&record("one"))).await;
    join_all((0..4).map(|_| prove())).await;
    require_stored(store, &key, Some(&record("one"))).await;
    for polls in 0..6 {
        within(dropped_after(store.prove_writable(&key), polls)).await;
        prove().await;
    }
    require_stored(store, &key, Some(&record("one"))).await;
}

/// A damaged record is reported, and can be replaced and removed without a change of the other records.
///
/// This is for a store that can hold a damaged record. `damage` must replace the text of the record under the key with one that
/// is not a record, such as `[]`, and must store it there if there is none.
pub async fn a_damaged_record_can_be_replaced_and_removed(
    store: &dyn CredentialStore,
    damage: impl AsyncFn(&CredentialKey),
) {
    let key = key("damaged");
    let untouched = self::key("beside-damage");
    put(store, &untouched, None, Some(&record("untouched"))).await;
    put(store, &key, None, Some(&record("whole"))).await;
    let replace = async |new: Option<&CredentialRecord>| {
        let replaced = within(store.replace_damaged(&key, new)).await;
        succeeded("replace_damaged", replaced)
    };
    let require_damage = async || {
        let loaded = within(store.load(&key)).await;
        let trouble = loaded.as_ref().err().map(|error| error.trouble);
        require!(
            trouble == Some(CredentialStoreTrouble::Corrupt),
            "`load` of a damaged record must fail with the trouble `corrupt`, but {}",
            match &loaded {
                Ok(found) => format!("returned {}", shown(found.as_ref())),
                Err(error) => format!("failed with another one: {error}"),
            }
        );
    };
    require_conflict(&replace(None).await, Some(&record("whole")));
    require_stored(store, &key, Some(&record("whole"))).await;

    damage(&key).await;
    require_damage().await;
    let replaced = within(store.replace(&key, None, Some(&record("new")))).await;
    require!(
        replaced.is_err(),
        "`replace` of a damaged record must fail, because no expected record describes it, but succeeded"
    );
    require_damage().await;
    succeeded("prove_writable", within(store.prove_writable(&key)).await);
    require_damage().await;
    let outcome = replace(Some(&record("new"))).await;
    require!(
        outcome == ReplaceOutcome::Stored,
        "`replace_damaged` must replace a damaged record, but reported a conflict"
    );
    require_stored(store, &key, Some(&record("new"))).await;

    damage(&key).await;
    let outcome = replace(None).await;
    require!(
        outcome == ReplaceOutcome::Stored,
        "`replace_damaged` must remove a damaged record, but reported a conflict"
    );
    require_stored(store, &key, None).await;
    require_conflict(&replace(Some(&record("new"))).await, None);
    require_stored(store, &key, None).await;
    require_stored(store, &untouched, Some(&record("untouched"))).await;
}
