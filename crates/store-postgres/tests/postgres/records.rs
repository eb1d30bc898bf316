//! Records of several users, hosts and keys.

use mcp_startup_auth::conformance::{key, put, record, stored};
use mcp_startup_auth::{CredentialStore, ReplaceOutcome};
use mcp_startup_core::CredentialStoreTrouble;
use mcp_startup_store_postgres::Rotation;

use crate::database;
use crate::server::{KEY_1, KEY_2};

#[tokio::test]
async fn users_of_all_tenants_are_separate_and_hosts_share_them() {
    let database = database!("records::users_of_all_tenants_are_separate_and_hosts_share_them");
    let (one, two) = (database.store(KEY_1).await, database.store(KEY_1).await);
    let names = [
        ("acme", "ann"),
        ("acme", "bob"),
        ("initech", "ann"),
        ("acm", "eann"),
    ];
    for (tenant, user) in names {
        let store = one.for_user(tenant, user).unwrap();
        put(
            &store,
            &key("s"),
            None,
            Some(&record(&format!("{tenant}-{user}"))),
        )
        .await;
    }
    for (tenant, user) in names {
        let store = two.for_user(tenant, user).unwrap();
        let expected = record(&format!("{tenant}-{user}"));
        assert_eq!(stored(&store, &key("s")).await, Some(expected));
    }
    let statistics = one.statistics().await.unwrap();
    assert_eq!(statistics.users, 4);
    assert_eq!(statistics.records_by_key, [("k1".to_owned(), 4)]);
    for name in ["", "a\0b", &"x".repeat(256)] {
        for (tenant, user) in [(name, "ann"), ("acme", name)] {
            let refused = one.for_user(tenant, user).unwrap_err();
            assert_eq!(refused.trouble, CredentialStoreTrouble::Unsupported);
        }
    }
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_an_error_of_the_record_and_a_sign_in_does_not_replace_it() {
    let database = database!("records::a_missing_or_wrong_key_is_an_error_of_the_record");
    let good = database.store(KEY_1).await.for_user("t", "u").unwrap();
    put(&good, &key("s"), None, Some(&record("good"))).await;
    let wrong = format!("k1:{}", KEY_2.split_once(':').unwrap().1);
    for (keys, message) in [
        (KEY_2, "is missing"),
        (&wrong, "is not the key that encrypts the record"),
    ] {
        let store = database.store(keys).await.for_user("t", "u").unwrap();
        let replaced = [
            store.load(&key("s")).await.map(drop),
            store
                .replace(&key("s"), None, Some(&record("x")))
                .await
                .map(drop),
            store
                .replace(&key("s"), Some(&record("good")), None)
                .await
                .map(drop),
            store
                .replace_damaged(&key("s"), Some(&record("x")))
                .await
                .map(drop),
        ];
        for result in replaced {
            let error = result.unwrap_err();
            assert_eq!(error.trouble, CredentialStoreTrouble::Unreadable);
            assert!(error.detail.contains(message), "{error}");
        }
        // Other records work.
        put(&store, &key(message), None, Some(&record("x"))).await;
    }
    assert_eq!(stored(&good, &key("s")).await, Some(record("good")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_all_records_is_changed_while_hosts_write() {
    let database = database!("records::the_key_of_all_records_is_changed_while_hosts_write");
    // Every host has both keys before the first one encrypts with the new key.
    let old = database.store(&format!("{KEY_1} {KEY_2}")).await;
    let new = database.store(&format!("{KEY_2} {KEY_1}")).await;
    let user = |n: usize| format!("user-{n}");
    for n in 0..250 {
        let store = old.for_user("t", &user(n)).unwrap();
        put(&store, &key("s"), None, Some(&record(&user(n)))).await;
    }
    let busy = old.for_user("t", "user-0").unwrap();
    let writes = async {
        let mut before = record(&user(0));
        for n in 0..50 {
            let next = record(&format!("write-{n}"));
            put(&busy, &key("s"), Some(&before), Some(&next)).await;
            before = next;
        }
        before
    };
    let (last, rotated) = tokio::join!(writes, new.rotate());
    assert_eq!(rotated.unwrap().failed, 0);
    // The host with the old key may have written since then.
    new.rotate().await.unwrap();
    assert_eq!(new.rotate().await, Ok(Rotation::default()));
    let only_new = database.store(KEY_2).await;
    assert_eq!(
        only_new.statistics().await.unwrap().records_by_key,
        [("k2".to_owned(), 250)]
    );
    assert_eq!(
        stored(&only_new.for_user("t", "user-0").unwrap(), &key("s")).await,
        Some(last)
    );
    for n in 1..250 {
        let store = only_new.for_user("t", &user(n)).unwrap();
        assert_eq!(stored(&store, &key("s")).await, Some(record(&user(n))));
    }
    // A record whose key is missing is reported and unchanged.
    let other = database.store(KEY_1).await.for_user("t", "lost").unwrap();
    put(&other, &key("s"), None, Some(&record("lost"))).await;
    let rotation = only_new.rotate().await.unwrap();
    assert_eq!((rotation.rotated, rotation.failed), (0, 1));
    assert_eq!(stored(&other, &key("s")).await, Some(record("lost")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_no_write() {
    const WRITES: usize = 50;
    let database = database!("records::connections_that_are_cut_lose_no_write");
    let store = database.store(KEY_1).await.for_user("t", "u").unwrap();
    put(&store, &key("s"), None, Some(&record("0"))).await;
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 0..WRITES {
                let (before, next) = (record(&n.to_string()), record(&(n + 1).to_string()));
                let replaced = store.replace(&key("s"), Some(&before), Some(&next)).await;
                assert_eq!(replaced, Ok(ReplaceOutcome::Stored), "{n}");
            }
        }
    });
    let mut cuts = 0;
    while !writing.is_finished() {
        let (server, name) = (database.server, database.name.clone());
        tokio::task::spawn_blocking(move || server.cut_connections(&name))
            .await
            .unwrap();
        cuts += 1;
    }
    writing.await.unwrap();
    assert_eq!(
        stored(&store, &key("s")).await,
        Some(record(&WRITES.to_string()))
    );
    eprintln!("{cuts} cuts during {WRITES} writes");
}
