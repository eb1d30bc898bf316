//! Sign-ins with stores that fail, and with servers that do not respond.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_startup::auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, MemoryStore, RecordLock,
    ReplaceOutcome, SignInFailureKind as Kind, StoreError, StoreFuture,
};
use mcp_startup::config::ServerConfig;
use mcp_startup::{CredentialStoreTrouble, SignInOptions, Startup, StartupOptions};
use serde_json::json;

use crate::{REDIRECT_URI, User, key_of, lab_of, redirect_target, row, secrets, sign_in};

/// A store that accepts no new record, although it promises to.
#[derive(Debug)]
pub struct Full(pub MemoryStore);

impl CredentialStore for Full {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        self.0.load(key)
    }

    fn replace<'a>(
        &'a self,
        _: &'a CredentialKey,
        _: Option<&'a CredentialRecord>,
        _: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
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

/// A store whose lock another program holds.
#[derive(Debug)]
struct Busy(MemoryStore);

impl CredentialStore for Busy {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        self.0.load(key)
    }

    fn replace<'a>(
        &'a self,
        _: &'a CredentialKey,
        _: Option<&'a CredentialRecord>,
        _: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        Box::pin(async { Err(StoreError::in_use("host", None)) })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        self.0.lock(key)
    }

    fn prove_writable<'a>(&'a self, _: &'a CredentialKey) -> StoreFuture<'a, ()> {
        Box::pin(async { Err(StoreError::in_use("host", None)) })
    }
}

pub fn startup_with(stores: Option<CredentialStores>, limit: Option<Duration>) -> Startup {
    secrets::capture_log();
    let mut options = StartupOptions::default();
    options.stores = stores;
    options.limit = limit;
    Startup::new(options).unwrap()
}

#[tokio::test]
async fn a_failed_save_keeps_the_old_record() {
    let lab = lab_of(vec![row("server", &json!({}))]).await;
    let user = User::new(&lab, "server");
    let old =
        CredentialRecord::parse(r#"{"access_token":"old-token","issuer":"https://a.example"}"#);
    let (old, key) = (old.unwrap(), key_of(&user.server));
    let memory = MemoryStore::default();
    memory.replace(&key, None, Some(&old)).await.unwrap();
    let store = Arc::new(Full(memory));
    let startup = startup_with(Some(CredentialStores::from_store(store.clone())), None);

    let (begun, callback) = sign_in(&startup, &user.server).await;
    let error = startup
        .finish_sign_in(&begun.pending, &callback)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::StoreFailed);
    assert!(error.message().contains("no space is left"), "{error}");
    let secrets = secrets::secrets_of(&begun.pending);
    secrets::check_debug(&error, &secrets).unwrap();
    assert_eq!(store.load(&key).await, Ok(Some(old.clone())));

    // A sign-out also fails, although the tokens are revoked first.
    let error = startup.sign_out(&user.server).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StoreFailed);
    assert_eq!(store.load(&key).await, Ok(Some(old)));
}

/// The record could not be removed afterwards.
#[tokio::test]
async fn nothing_is_revoked_while_another_program_holds_the_lock_of_the_store() {
    let lab = lab_of(vec![row("server", &json!({}))]).await;
    let user = User::new(&lab, "server");
    let memory = MemoryStore::default();
    let free = CredentialStores::from_store(Arc::new(memory.clone()));
    let free = startup_with(Some(free), None);
    let (begun, callback) = sign_in(&free, &user.server).await;
    let finishing = free.finish_sign_in(&begun.pending, &callback);
    finishing.await.unwrap();

    let busy = CredentialStores::from_store(Arc::new(Busy(memory.clone())));
    let busy = startup_with(Some(busy), None);
    let error = busy.sign_out(&user.server).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StoreFailed);
    assert!(error.message().contains("in use by another"), "{error}");
    assert_eq!(user.requests_at("revoke").len(), 0);

    free.sign_out(&user.server).await.unwrap();
    assert!(!user.requests_at("revoke").is_empty());
}

#[tokio::test]
async fn without_a_store_the_code_is_not_sent() {
    let lab = lab_of(vec![row("server", &json!({}))]).await;
    let user = User::new(&lab, "server");
    let without_store = startup_with(None, None);
    let (begun, callback) = sign_in(&without_store, &user.server).await;
    let error = without_store
        .finish_sign_in(&begun.pending, &callback)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::StoreFailed);
    assert_eq!(user.requests_at("token").len(), 0);
    // A process with a store can still finish it.
    user.startup
        .finish_sign_in(&begun.pending, &callback)
        .await
        .unwrap();

    let signed_out = without_store.sign_out(&user.server).await.unwrap();
    assert!(!signed_out.was_stored);
}

/// A sign-in that can't be stored must not send the user to a browser.
#[tokio::test]
async fn a_damaged_store_is_not_overwritten_and_no_sign_in_begins() {
    let lab = lab_of(vec![row("server", &json!({}))]).await;
    let user = User::new(&lab, "server");
    let (begun, callback) = user.sign_in().await;
    let file = user.home.path().join(".credentials.json");
    std::fs::write(&file, "{ damaged").unwrap();
    let before = user.requests().len();
    let error = user
        .startup
        .finish_sign_in(&begun.pending, &callback)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::StoreFailed);
    let beginning = user.startup.begin_sign_in(&user.server, REDIRECT_URI);
    let error = beginning.await.unwrap_err();
    assert_eq!(error.kind(), Kind::StoreFailed);
    assert!(error.message().contains("none was started"), "{error}");
    assert_eq!(user.requests().len(), before, "nothing is sent");
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
async fn the_wait_for_a_response_is_limited() {
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
                let callback = redirect_target(&begun.authorization_url).await;
                startup
                    .finish_sign_in(&begun.pending, &callback)
                    .await
                    .unwrap_err()
            }
            (_, begun) => begun.unwrap_err(),
        };
        assert_eq!(error.kind(), Kind::Unavailable, "{name}");
        let issuer = format!("{}/{name}", lab.base_url());
        let named = match name {
            "server" => format!("the server at {} did not respond", lab.url(name)),
            "metadata" => format!("the sign-in service at {}/.well-known", lab.base_url()),
            "registration" => format!("the sign-in service at {issuer}/register did not respond"),
            _ => "did not respond".to_owned(),
        };
        assert!(error.message().contains(&named), "{error}");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{name}: {:?}",
            began.elapsed()
        );
        assert_eq!(user.file(), before);
    }
}

/// The limit of a start is 30 s.
#[tokio::test]
async fn the_limit_of_the_beginning_is_that_of_the_call_if_it_is_less() {
    let hangs = json!([{ "reply": { "hang": true } }]);
    let lab = lab_of(vec![row("server", &json!({ "mcp": { "respond": hangs } }))]).await;
    let user = User::new(&lab, "server");
    let mut options = SignInOptions::default();
    options.limit = Some(Duration::from_millis(400));
    let began = Instant::now();
    let beginning = user
        .startup
        .begin_sign_in_with(&user.server, REDIRECT_URI, &options);
    let error = beginning.await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10));
    let expected = format!(
        "the server at {} did not respond within 0.4 s, so no sign-in was started: try again later",
        lab.url("server")
    );
    assert_eq!(error.message(), expected);
}

#[tokio::test]
async fn an_unreachable_server_and_a_local_program_have_no_sign_in() {
    let startup = startup_with(None, None);
    let unreachable = ServerConfig::http("nowhere", "http://127.0.0.1:1/mcp").unwrap();
    let program = ServerConfig::stdio("program", "true", ["x"]).unwrap();
    for (server, expected) in [
        (unreachable, Kind::Unavailable),
        (program, Kind::InvalidConfiguration),
    ] {
        let server = server.into();
        let error = startup
            .begin_sign_in(&server, REDIRECT_URI)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), expected);
    }
    let program = ServerConfig::stdio("program", "true", ["x"])
        .unwrap()
        .into();
    let error = startup.sign_out(&program).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidConfiguration);
}
