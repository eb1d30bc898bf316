//! No token reaches a table, a log, a dump, the statistics or a file of the server.

use std::sync::Arc;

use mcp_startup_auth::conformance::{key, put};
use mcp_startup_auth::{CredentialRecord, CredentialStore, CredentialStores};

use crate::database;
use crate::server::{KEY_1, KEY_2, PASSWORD};

const CANARY: &str = "canary7f3a";

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_reaches_a_table_a_log_a_dump_or_a_file() {
    let database = database!("secrets::no_token_reaches_a_table_a_log_a_dump_or_a_file");
    database.sql("create extension pg_stat_statements");
    let postgres = database.store(&format!("{KEY_1} {KEY_2}")).await;
    let store = postgres
        .for_user("tenant-in-clear", "user-in-clear")
        .unwrap();
    let record = |n: usize| {
        let text = format!(
            r#"{{"access_token":"{CANARY}-access-{n}","refresh_token":"{CANARY}-refresh-{n}","client_secret":"{CANARY}-secret"}}"#
        );
        CredentialRecord::parse(&text).unwrap()
    };
    // Every statement, and statements that fail.
    put(&store, &key("s"), None, Some(&record(0))).await;
    put(&store, &key("s"), Some(&record(0)), Some(&record(1))).await;
    store.prove_writable(&key("s")).await.unwrap();
    store
        .replace(&key("s"), Some(&record(9)), Some(&record(2)))
        .await
        .unwrap();
    let lock = store.lock(&key("s")).await.unwrap();
    lock.begin_attempt(&format!("{CANARY}-refresh-1").into())
        .await
        .unwrap();
    drop(lock);
    database
        .store(&format!("{KEY_2} {KEY_1}"))
        .await
        .rotate()
        .await
        .unwrap();
    database.sql(
        "alter table mcp_startup_credential add constraint refuses check (server <> 'refused')",
    );
    let refused = store.replace(&key("refused"), None, Some(&record(3))).await;
    let error = refused.unwrap_err();
    assert!(error.detail.contains("SQLSTATE 23514"), "{error}");
    for shown in [
        format!("{error:?}"),
        format!("{store:?}"),
        format!("{postgres:?}"),
    ] {
        assert!(
            !shown.contains(CANARY) && !shown.contains(PASSWORD),
            "{shown}"
        );
    }
    let stores = CredentialStores::from_store(Arc::new(store));
    assert!(stores.find(&key("s")).await.unwrap().is_some());
    postgres.close().await;
    database.sql("checkpoint");

    let statements = database.sql("select query from pg_stat_statements");
    let (dump, log) = (database.server.dump(&database.name), database.server.log());
    let mut places = vec![
        ("pg_stat_statements".to_owned(), statements.into_bytes()),
        ("pg_dump".to_owned(), dump),
        ("log".to_owned(), log),
    ];
    for file in database.files() {
        // A file can be removed meanwhile.
        if let Ok(content) = std::fs::read(&file) {
            places.push((file.display().to_string(), content));
        }
    }
    // The search finds text that is not secret.
    let found = |text: &str| {
        let places = places
            .iter()
            .filter(|(_, content)| contains(content, text.as_bytes()));
        places.map(|(place, _)| place.as_str()).collect::<Vec<_>>()
    };
    let user = found("user-in-clear");
    assert!(
        user.contains(&"pg_dump") && user.contains(&"log") && user.len() >= 4,
        "{user:?}"
    );
    assert!(found("mcp_startup_credential").contains(&"pg_stat_statements"));
    // The tokens are in none, in clear, in hexadecimal or in base64.
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    for secret in [CANARY, &hex, "Y2FuYXJ5N2YzY", "AAAAAAAAAAAAAAAAAAAAAAE="] {
        assert!(found(secret).is_empty(), "{secret}: {:?}", found(secret));
    }
}
