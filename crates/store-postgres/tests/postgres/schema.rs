//! Migrations.

use futures::future::join_all;
use mcp_startup_auth::CredentialStore;
use mcp_startup_auth::conformance::{key, put, record, stored};
use mcp_startup_core::CredentialStoreTrouble;
use mcp_startup_store_postgres::{Keys, PostgresStore, SCHEMA_VERSION};

use crate::database;
use crate::server::KEY_1;

/// The advisory lock of all versions.
const MIGRATION_LOCK: i64 = 0x6d63_7073_7461_7274;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hosts_create_the_tables_at_once() {
    let database = database!("schema::many_hosts_create_the_tables_at_once");
    let hosts = join_all((0..16).map(|_| database.store(KEY_1))).await;
    let versions = database
        .sql("select string_agg(version::text, ' ' order by version) from mcp_startup_schema");
    let expected: Vec<String> = (1..=SCHEMA_VERSION)
        .map(|version| version.to_string())
        .collect();
    assert_eq!(versions, expected.join(" "));
    put(
        &hosts[0].for_user("t", "u").unwrap(),
        &key("s"),
        None,
        Some(&record("one")),
    )
    .await;
    // A later start changes nothing.
    let next = database.store(KEY_1).await.for_user("t", "u").unwrap();
    assert_eq!(stored(&next, &key("s")).await, Some(record("one")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_tables_are_used_if_they_allow_it_and_refused_if_not() {
    let database = database!("schema::newer_tables_are_used_if_they_allow_it_and_refused_if_not");
    database.store(KEY_1).await;
    let newer = SCHEMA_VERSION + 1;
    database.sql(&format!(
        "insert into mcp_startup_schema (version, requires) values ({newer}, {SCHEMA_VERSION})"
    ));
    database.store(KEY_1).await;
    database.sql(&format!(
        "update mcp_startup_schema set requires = {newer} where version = {newer}"
    ));
    let keys = Keys::parse(&KEY_1.into()).unwrap();
    let refused = PostgresStore::builder(&database.url())
        .keys(keys)
        .connect()
        .await;
    let error = refused.unwrap_err();
    assert_eq!(error.trouble, CredentialStoreTrouble::Unsupported);
    assert!(error.detail.contains("update this program"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_create_tables_uses_existing_ones() {
    let database = database!("schema::a_role_that_may_not_create_tables_uses_existing_ones");
    let role = format!("role_{}", database.name);
    database.sql(&format!(
        "create role {role} login password 'p'; revoke create on schema public from public"
    ));
    let url = database
        .url()
        .replace("postgres:canary-password@", &format!("{role}:p@"));
    let connect = async || {
        let keys = Keys::parse(&KEY_1.into()).unwrap();
        PostgresStore::builder(&url).keys(keys).connect().await
    };
    let error = connect().await.unwrap_err();
    assert!(
        error
            .detail
            .contains("connect once with a role that may create tables"),
        "{error}"
    );
    database.store(KEY_1).await;
    database.sql(&format!(
        "grant select, insert, update, delete on mcp_startup_credential, mcp_startup_lease to {role};
        grant select on mcp_startup_schema to {role}"
    ));
    let store = connect().await.unwrap().for_user("t", "u").unwrap();
    put(&store, &key("s"), None, Some(&record("one"))).await;
    let stores = mcp_startup_auth::CredentialStores::from_store(std::sync::Arc::new(store));
    stores.prove_writable(&key("s")).await.unwrap();
    assert!(stores.remove(&key("s")).await.unwrap());
}

/// A later version of this crate updates the tables while hosts with this version write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_of_the_tables_does_not_disturb_hosts_that_write() {
    let database = database!("schema::an_update_of_the_tables_does_not_disturb_hosts_that_write");
    let is_updated = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut hosts = tokio::task::JoinSet::new();
    for host in 0..4 {
        let user = database.store(KEY_1).await.for_user("t", "u").unwrap();
        let is_updated = is_updated.clone();
        hosts.spawn(async move {
            let key = key(&format!("server-{host}"));
            let (mut last, mut writes, mut after) = (None, 0, 0);
            while after < 50 {
                let _lock = user.lock(&key).await.unwrap();
                let next = record(&format!("{writes}"));
                put(&user, &key, last.as_ref(), Some(&next)).await;
                assert_eq!(stored(&user, &key).await, Some(next.clone()));
                last = Some(next);
                writes += 1;
                after += usize::from(is_updated.load(std::sync::atomic::Ordering::Relaxed));
            }
            writes
        });
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let next = SCHEMA_VERSION + 1;
    database.sql(&format!(
        "begin;
        select pg_advisory_xact_lock({MIGRATION_LOCK});
        alter table mcp_startup_credential add column note text;
        alter table mcp_startup_lease add column note text not null default '';
        create index on mcp_startup_credential (updated_at);
        insert into mcp_startup_schema (version, requires) values ({next}, {SCHEMA_VERSION});
        commit"
    ));
    // A host with this version that starts now uses the new tables.
    let late = database.store(KEY_1).await.for_user("t", "late").unwrap();
    put(&late, &key("s"), None, Some(&record("one"))).await;
    is_updated.store(true, std::sync::atomic::Ordering::Relaxed);
    let writes: usize = hosts.join_all().await.into_iter().sum();
    assert!(writes >= 200, "{writes}");
}
