//! The conformance suite of stores.

use mcp_startup_auth::conformance;
use mcp_startup_auth::{CredentialKey, CredentialStores};

use crate::database;
use crate::server::KEY_1;

/// Generates a test for each case. Each runs in a database of its own.
macro_rules! cases {
    ($($case:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let database = database!(concat!("conformance::", stringify!($case)));
                let store = database.store(KEY_1).await;
                conformance::$case(&store.for_user("tenant", "user").unwrap()).await;
                store.close().await;
            }
        )+
    };
}

mcp_startup_auth::conformance_cases!(cases!());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_can_be_replaced_and_removed() {
    let database = database!("conformance::a_damaged_record_can_be_replaced_and_removed");
    let store = database.store(KEY_1).await;
    let user = store.for_user("tenant", "user").unwrap();
    let stores = CredentialStores::from_store(std::sync::Arc::new(user.clone()));
    let damage = async |key: &CredentialKey| {
        // A row must exist.
        if !matches!(stores.find(key).await, Ok(Some(_))) {
            stores.save(key, &conformance::record("x")).await.unwrap();
        }
        database.sql("update mcp_startup_credential set record = substr(record, 1, 20) where server = 'damaged'");
    };
    conformance::a_damaged_record_can_be_replaced_and_removed(&user, damage).await;
    store.close().await;
}
