//! Where a sign-in is stored, where it can't be, and how long it may take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, MemoryStore, RecordLock,
    Replaced, SignInFailureKind as Kind, StoreError, StoreFuture,
};
use mcp_startup::config::ServerConfig;
use mcp_startup::{CredentialStoreTrouble, Startup, StartupOptions};
use serde_json::json;

use crate::{REDIRECT_URI, User, come_back, key_of, lab_of, row, secrets, sign_in};

/// A store that takes nothing new.
#[derive(Debug)]
struct Full(MemoryStore);

impl CredentialStore for Full {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        self.0.load(key)
    }

    fn replace<'a>(
        &'a self,
        _: &'a CredentialKey,
        _: Option<&'a CredentialRecord>,
        _: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, Replaced> {
        let trouble = CredentialStoreTrouble::Unreadable;
        Box::pin(async move { Err(StoreError::new("host", trouble, "no space is left")) })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        self.0.lock(key)
    }

    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        self.0.prove_writable(key)
    }
}

fn startup_with(stores: Option<CredentialStores>, limit: Option<Duration>) -> Startup {
    secrets::listen();
    let mut options = StartupOptions::default();
    options.stores = stores;
    options.limit = limit;
    Startup::new(options).unwrap()
}

#[tokio::test]
async fn what_can_not_be_stored_leaves_what_was_there() {
    let lab = lab_of(vec![row("server", &json!({}))]).await;
    let user = User::new(&lab, "server");
    let old =
        CredentialRecord::parse(r#"{"access_token":"old-token","issuer":"https://a.example"}"#);
    let (old, key) = (old.unwrap(), key_of(&user.server));
    let memory = MemoryStore::default();
    memory.replace(&key, None, Some(&old)).await.unwrap();
    let store = Arc::new(Full(memory));
    let startup = startup_with(Some(CredentialStores::of(store.clone())), None);

    let (begun, callback) = sign_in(&startup, &user.server).await;
    let error = startup
        .finish_sign_in(&begun.pending, &callback)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::StoreFailed);
    assert!(error.message().contains("no space is left"), "{error}");
    let secrets = secrets::secrets_of(&begun.pending);
    secrets::told_by(&error, &secrets).unwrap();
    assert_eq!(store.load(&key).await, Ok(Some(old.clone())));

    // Signing out is refused too, though what was granted is revoked then.
    let error = startup.sign_out(&user.server).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StoreFailed);
    assert_eq!(store.load(&key).await, Ok(Some(old)));
}

#[tokio::test]
async fn where_there_is_no_place_to_store_it_in_the_code_is_not_sent() {
    let lab = lab_of(vec![row("server", &json!({}))]).await;
    let user = User::new(&lab, "server");
    let nowhere = startup_with(None, None);
    let (begun, callback) = sign_in(&nowhere, &user.server).await;
    let error = nowhere
        .finish_sign_in(&begun.pending, &callback)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::StoreFailed);
    assert_eq!(user.requests_at("token").len(), 0);
    // It can still be finished where there is one.
    user.startup
        .finish_sign_in(&begun.pending, &callback)
        .await
        .unwrap();

    let signed_out = nowhere.sign_out(&user.server).await.unwrap();
    assert!(!signed_out.was_stored);
}

#[tokio::test]
async fn a_damaged_store_is_not_written_over() {
    let lab = lab_of(vec![row("server", &json!({}))]).await;
    let user = User::new(&lab, "server");
    let file = user.home.path().join(".credentials.json");
    std::fs::write(&file, "{ damaged").unwrap();
    let (begun, callback) = user.sign_in().await;
    let error = user
        .startup
        .finish_sign_in(&begun.pending, &callback)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::StoreFailed);
    assert_eq!(
        user.startup
            .sign_out(&user.server)
            .await
            .unwrap_err()
            .kind(),
        Kind::StoreFailed
    );
    assert_eq!(user.file(), "{ damaged");
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let hangs = json!([{ "reply": { "hang": true } }]);
    let metadata = json!({ "authorizationServer": { "hang": true } });
    let lab = lab_of(vec![
        row("server", &json!({ "mcp": { "respond": hangs } })),
        row("metadata", &json!({ "discovery": metadata })),
        row(
            "registration",
            &json!({ "authorization": { "register": { "hang": true } } }),
        ),
        row("exchange", &json!({ "token": { "respond": hangs } })),
    ])
    .await;
    let limit = Duration::from_millis(400);
    for name in ["server", "metadata", "registration", "exchange"] {
        let user = User::new(&lab, name);
        let before = user.file();
        let stores =
            CredentialStores::new(user.home.path(), mcp_startup::auth::StoreSelection::File);
        let startup = startup_with(Some(stores), Some(limit));
        let began = Instant::now();
        let begun = startup.begin_sign_in(&user.server, REDIRECT_URI).await;
        let error = match (name, begun) {
            ("exchange", Ok(begun)) => {
                let callback = come_back(&begun.authorization_url).await;
                startup
                    .finish_sign_in(&begun.pending, &callback)
                    .await
                    .unwrap_err()
            }
            (_, begun) => begun.unwrap_err(),
        };
        assert_eq!(error.kind(), Kind::Unavailable, "{name}");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{name}: {:?}",
            began.elapsed()
        );
        assert_eq!(user.file(), before);
    }
}

#[tokio::test]
async fn what_can_not_be_reached_or_is_a_program_has_no_sign_in() {
    let startup = startup_with(None, None);
    let nowhere = ServerConfig::http("nowhere", "http://127.0.0.1:1/mcp").unwrap();
    let program = ServerConfig::stdio("program", "true", ["x"]).unwrap();
    for (server, wanted) in [
        (nowhere, Kind::Unavailable),
        (program, Kind::InvalidConfiguration),
    ] {
        let server = server.into();
        let error = startup
            .begin_sign_in(&server, REDIRECT_URI)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), wanted);
    }
    let program = ServerConfig::stdio("program", "true", ["x"])
        .unwrap()
        .into();
    let error = startup.sign_out(&program).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidConfiguration);
}
