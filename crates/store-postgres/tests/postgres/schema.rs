//! Migrations.

use futures::future::join_all;
use mcp_startup_auth::conformance::{key, put, record, stored};
use mcp_startup_core::CredentialStoreTrouble;
use mcp_startup_store_postgres::{Keys, PostgresStore, SCHEMA_VERSION};

use crate::database;
use crate::server::KEY_1;

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
