//! A watch on one host starts a failed server after a sign-in on another one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_startup::{McpServerStartupState, Startup, StartupOptions};
use mcp_startup_auth::conformance::{key, record};
use mcp_startup_auth::{CredentialKey, CredentialRecord, CredentialStore, CredentialStores};
use mcp_startup_lab::Lab;
use mcp_startup_store_postgres::{PostgresStore, UserStore};

use crate::database;
use crate::pgbouncer::PgBouncer;
use crate::server::{KEY_1, not_run};

const NAME: &str = "first-sign-in";

/// Watches a server that needs a sign-in, on the first host. Signs in on the second one. Returns the time until the server is ready.
async fn time_to_start(watching: UserStore, signing_in: UserStore) -> Duration {
    let lab = Lab::start(0).await.unwrap();
    let url = lab.url(NAME);
    let mut options = StartupOptions::default();
    options.stores = Some(CredentialStores::from_store(Arc::new(watching)));
    let server = mcp_startup::config::ServerConfig::http(NAME, &url).unwrap();
    let mut watch = Startup::new(options).unwrap().watch(vec![server.into()]);
    let mut signed_in = None;
    loop {
        let (update, live) = watch.update().await.unwrap();
        let mcp_startup::Update::Event(event) = update else {
            continue;
        };
        match event.notification.status() {
            McpServerStartupState::Failed => {
                // The read that follows each failure must not be the one that notices the sign-in.
                tokio::time::sleep(Duration::from_millis(2500)).await;
                let text = r#"{"access_token": "good-token"}"#;
                let record = CredentialRecord::parse(text).unwrap();
                let stores = CredentialStores::from_store(Arc::new(signing_in.clone()));
                signed_in = Some(Instant::now());
                stores
                    .save(&CredentialKey::new(NAME, &url), &record)
                    .await
                    .unwrap();
            }
            McpServerStartupState::Ready => {
                let took = signed_in.unwrap().elapsed();
                live.unwrap().close().await;
                return took;
            }
            _ => {}
        }
    }
}

fn user(store: &PostgresStore) -> UserStore {
    store.for_user("t", "u").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_on_another_host_starts_a_failed_server_within_a_second() {
    let test = "watch::a_sign_in_on_another_host_starts_a_failed_server_within_a_second";
    let database = database!(test);
    let (one, two) = (database.store(KEY_1).await, database.store(KEY_1).await);
    let took = time_to_start(user(&one), user(&two)).await;
    eprintln!("with notifications: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_notifications_a_watch_reads_the_records_again() {
    let test = "watch::without_notifications_a_watch_reads_the_records_again";
    let database = database!(test);
    let Some(bouncer) = PgBouncer::start(&database) else {
        let why = "PgBouncer is not installed (Debian: apt-get install pgbouncer)";
        return not_run(test, why);
    };
    let (one, two) = (bouncer.store(&database).await, database.store(KEY_1).await);
    let took = time_to_start(user(&one), user(&two)).await;
    eprintln!("through PgBouncer: {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// The next change of the records of a user, if there is one within a second.
async fn changes(stream: &mut mcp_startup_auth::ChangeStream) -> bool {
    use futures::StreamExt;
    let next = tokio::time::timeout(Duration::from_millis(700), stream.next());
    next.await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_notifies_its_user_and_a_refresh_notifies_nobody() {
    let database = database!("watch::a_sign_in_notifies_its_user_and_a_refresh_notifies_nobody");
    let (one, two) = (database.store(KEY_1).await, database.store(KEY_1).await);
    let mut mine = user(&one).changes();
    let mut theirs = one.for_user("t", "other").unwrap().changes();
    // Until the listener has connected, both yield once a second.
    for stream in [&mut mine, &mut theirs] {
        while tokio::time::timeout(
            Duration::from_millis(1500),
            futures::StreamExt::next(stream),
        )
        .await
        .is_ok()
        {}
    }
    let (store, key) = (user(&two), key("s"));
    let [first, second, third] = ["1", "2", "3"].map(record);
    store.replace(&key, None, Some(&first)).await.unwrap();
    assert!(changes(&mut mine).await);
    assert!(!changes(&mut theirs).await);
    let lock = store.lock(&key).await.unwrap();
    lock.begin_attempt(&"R1".into()).await.unwrap();
    store
        .replace(&key, Some(&first), Some(&second))
        .await
        .unwrap();
    assert!(!changes(&mut mine).await);
    drop(lock);
    store
        .replace(&key, Some(&second), Some(&third))
        .await
        .unwrap();
    assert!(changes(&mut mine).await);
    // A host whose connection was cut reads the records, and listens again.
    database.server.cut_connections(&database.name);
    assert!(changes(&mut mine).await);
    store.replace(&key, Some(&third), None).await.unwrap();
    let removed = tokio::time::timeout(Duration::from_secs(2), futures::StreamExt::next(&mut mine));
    assert!(removed.await.is_ok());
    // The notifications have no name.
    let log = String::from_utf8(database.server.log()).unwrap();
    assert!(log.contains("pg_notify"));
}
