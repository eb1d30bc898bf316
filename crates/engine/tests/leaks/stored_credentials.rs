//! `Debug` and the errors of records and stores.

use std::sync::Arc;

use mcp_startup::auth::{
    AuthorizationMetadata, CredentialKey, CredentialRecord, CredentialStore, CredentialStores,
    FoundRecord, Mask, MemoryStore, RefreshOutcome, RefreshRequest, ReplaceOutcome,
};
use mcp_startup::{Startup, StartupOptions};
use serde_json::json;

use crate::{Leaks, MARK, secret};

fn record() -> CredentialRecord {
    CredentialRecord::from_json(&json!({
        "server_name": "host", "issuer": "https://auth.example", "client_id": "client-1", "client_secret": secret("client"),
        "access_token": secret("access"), "refresh_token": secret("refresh"), "vendor": { "password": secret("vendor") },
    }))
    .unwrap()
}

#[tokio::test]
async fn debug_of_stored_credentials_shows_no_secret() {
    let mut leaks = Leaks::default();
    let key = CredentialKey::new("host", "https://mcp.example/mcp");
    leaks.debug("CredentialRecord", &record());
    leaks.debug("ReplaceOutcome", &ReplaceOutcome::Conflict(Some(record())));
    for (field, value) in [
        ("access_token", json!({ MARK: 1 })),
        ("refresh_token", json!([MARK])),
        ("expires_at", json!(MARK)),
        ("scopes", json!(MARK)),
    ] {
        let corrupt = CredentialRecord::from_json(&json!({ field: value }));
        leaks.error(&format!("CorruptRecord {field}"), &corrupt.unwrap_err());
    }
    let store = MemoryStore::default();
    store.replace(&key, None, Some(&record())).await.unwrap();
    leaks.debug("MemoryStore", &store);
    let store: Arc<dyn CredentialStore> = Arc::new(store);
    let stores = CredentialStores::from_store(store.clone());
    leaks.debug("CredentialStores", &stores);
    leaks.debug("CredentialStores::find", &stores.find(&key).await);
    leaks.debug(
        "FoundRecord",
        &FoundRecord {
            record: record(),
            store: store.clone(),
        },
    );
    leaks.debug("RecordLock", &store.lock(&key).await);
    let refresh = RefreshRequest {
        key,
        rejected: Some(secret("rejected").into()),
        server: "https://mcp.example/mcp".parse().unwrap(),
        configured_resource: None,
        published_resource: None,
        metadata: AuthorizationMetadata::default(),
        client: Some(("client-1".to_owned(), Some(secret("client").into()))),
        scopes: None,
    };
    leaks.debug("Refresh", &refresh);
    let access_token = secret("access").into();
    leaks.debug(
        "Refreshed",
        &RefreshOutcome::Token {
            access_token,
            not_saved: None,
        },
    );
    let mut mask = Mask::default();
    mask.add(&secret("masked"));
    leaks.debug("Mask", &mask);
    let mut options = StartupOptions::default();
    options.stores = Some(stores);
    leaks.debug("StartupOptions", &options);
    leaks.debug("Startup", &Startup::new(options).unwrap());
    leaks.assert_none();
}
