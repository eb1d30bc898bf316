//! Sign-ins, sign-outs and refreshes that meet each other, are interrupted, or can't be completed.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcp_startup::auth::{
    CredentialStore, CredentialStores, FileStore, MemoryStore, Revocation,
    SignInFailureKind as Kind, StoreSelection,
};
use mcp_startup::{CredentialStoreTrouble, Startup, StartupFailureKind};
use mcp_startup_lab::RecordedRequest;
use serde_json::{Value, json};

use crate::stores::{Full, startup_with};
use crate::{REDIRECT_URI, User, key_of, lab_of, row, secrets, sign_in};

/// A token endpoint that answers late.
fn slow() -> Value {
    json!({ "respond": [{ "reply": { "delayMs": 300, "body": { "json": {
        "access_token": "late-token", "token_type": "Bearer", "refresh_token": "late-refresh", "expires_in": 3600
    } } } }] })
}

fn expired() -> Value {
    json!({
        "issuer": "{issuer}", "clientId": "client-1", "accessToken": "expired-token", "expiresInSeconds": -3600,
        "refreshToken": "good-refresh", "scopes": ["mcp:tools"]
    })
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A new process of the user, whose calls take at most `limit`.
fn limited(user: &User<'_>, limit: Duration) -> Startup {
    let stores = CredentialStores::new(user.home.path(), StoreSelection::File);
    startup_with(Some(stores), Some(limit))
}

fn tokens(requests: Vec<RecordedRequest>) -> Vec<String> {
    requests.into_iter().map(|request| request.token).collect()
}

/// The code is used up, so its tokens must not be lost.
#[tokio::test]
async fn a_sign_in_whose_caller_stops_waiting_is_stored() {
    let lab = lab_of(vec![row("server", &json!({ "token": slow() }))]).await;
    let user = User::new(&lab, "server");
    let (begun, callback) = user.sign_in().await;
    {
        let mut finishing = pin!(user.startup.finish_sign_in(&begun.pending, &callback));
        tokio::select! {
            finished = &mut finishing => panic!("{finished:?}"),
            () = until(|| !user.requests_at("token").is_empty()) => {}
        }
    }
    assert!(user.record().is_none());
    user.startup.finish().await;
    assert_eq!(user.record().unwrap()["access_token"], "late-token");
    assert_eq!(user.requests_at("token").len(), 1);
}

#[tokio::test]
async fn a_sign_in_that_is_dropped_before_the_code_is_sent_sends_nothing_and_can_be_repeated() {
    let lab = lab_of(vec![row("server", &json!({}))]).await;
    let user = User::new(&lab, "server");
    let (begun, callback) = user.sign_in().await;
    let key = key_of(&user.server);
    let other_process = FileStore::new(user.home.path());
    let lock = other_process.lock(&key).await.unwrap();
    {
        let finishing = user.startup.finish_sign_in(&begun.pending, &callback);
        let finishing = tokio::time::timeout(Duration::from_millis(100), finishing);
        assert!(finishing.await.is_err(), "the lock is held");
    }
    user.startup.finish().await;
    drop(lock);
    assert_eq!(user.requests_at("token").len(), 0);
    let finishing = user.startup.finish_sign_in(&begun.pending, &callback);
    finishing.await.unwrap();
    assert_eq!(user.requests_at("token").len(), 1);
}

/// Another process holds the lock of the record and does not release it.
#[tokio::test]
async fn nothing_that_cannot_be_undone_happens_while_another_process_holds_the_lock() {
    let lab = lab_of(vec![row("server", &json!({ "stored": expired() }))]).await;
    let user = User::new(&lab, "server");
    let (begun, callback) = user.sign_in().await;
    let before = user.file();
    let other_process = FileStore::new(user.home.path());
    let lock = other_process.lock(&key_of(&user.server)).await.unwrap();
    let limit = Duration::from_millis(600);
    let startup = limited(&user, limit);
    // The wait for the lock leaves a third of it for the requests of the start.
    let start_limit = 5 * limit;

    let began = Instant::now();
    let finished = startup.finish_sign_in(&begun.pending, &callback).await;
    let signed_out = startup.sign_out(&user.server).await.map(drop);
    for ended in [finished, signed_out] {
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), Kind::StoreFailed);
        // Here the other process is this one.
        let holder = format!("(process {})", std::process::id());
        let message = error.message();
        // Only Linux reveals the holder of a lock.
        let names_holder = message.contains(&holder) == cfg!(target_os = "linux");
        let expected = message.contains("in use by another") && names_holder;
        assert!(expected, "{message}");
    }
    let starts = limited(&user, start_limit);
    let events: Vec<_> = starts.check(vec![user.server.clone()]).collect().await;
    let failure = events.last().unwrap().failure.clone().unwrap();
    assert_eq!(
        failure.kind(),
        StartupFailureKind::CredentialStoreUnavailable,
        "{failure:?}"
    );
    let store = failure.evidence().store.clone().unwrap();
    assert_eq!(store.trouble, Some(CredentialStoreTrouble::InUse));
    let message = failure.message();
    assert!(message.contains("in use by another program"), "{message}");
    assert!(began.elapsed() < 5 * start_limit, "{:?}", began.elapsed());

    assert_eq!(user.requests_at("token").len(), 0, "no code and no refresh");
    assert_eq!(user.requests_at("revoke").len(), 0);
    assert_eq!(user.file(), before);
    // The sign-in is not used up.
    drop(lock);
    let finishing = startup.finish_sign_in(&begun.pending, &callback);
    finishing.await.unwrap();
    assert_eq!(user.record().unwrap()["access_token"], "fresh-token-1");
}

/// Otherwise, the user could not sign out of this grant.
#[tokio::test]
async fn granted_tokens_that_cannot_be_stored_are_revoked() {
    let no_revocation = json!({ "authorizationServerFields": { "revocation_endpoint": null } });
    let refusing = json!({ "revoke": [{ "reply": { "status": 503 } }] });
    let confidential = json!({
        "configured": { "clientId": "configured-client", "clientSecret": "configured-secret" }
    });
    let both = ["fresh-refresh-1", "fresh-token-1"];
    let cases = [
        ("public", json!({}), "its tokens were revoked", &both[..]),
        (
            "confidential",
            confidential,
            "its tokens were revoked",
            &both,
        ),
        (
            "without-revocation",
            json!({ "discovery": no_revocation }),
            "because the sign-in service does not support revocation",
            &[],
        ),
        (
            "refused",
            json!({ "authorization": refusing }),
            "its tokens could not be revoked",
            &both[..1],
        ),
    ];
    let rows = cases.iter().map(|(name, fields, ..)| row(name, fields));
    let lab = lab_of(rows.collect()).await;
    for (name, _, says, revoked) in &cases {
        let user = User::new(&lab, name);
        let store = Arc::new(Full(MemoryStore::default()));
        let startup = startup_with(Some(CredentialStores::from_store(store)), None);
        let (begun, callback) = sign_in(&startup, &user.server).await;
        let finishing = startup.finish_sign_in(&begun.pending, &callback);
        let error = finishing.await.unwrap_err();
        assert_eq!(error.kind(), Kind::StoreFailed);
        let message = error.message();
        assert!(message.contains("no space is left"), "{name}: {message}");
        assert!(message.contains(says), "{name}: {message}");
        assert_eq!(&tokens(user.requests_at("revoke")), revoked, "{name}");
        let secrets = secrets::secrets_of(&begun.pending);
        secrets::check_debug(&error, &secrets).unwrap();
        secrets::check_log(&secrets).unwrap();
    }
}

/// Otherwise, the grant would stay valid although it can't be used.
#[tokio::test]
async fn unusable_tokens_are_revoked_even_if_their_exchange_took_most_of_its_time() {
    let reply = json!({
        "access_token": "granted-token", "token_type": "dpop", "refresh_token": "granted-refresh"
    });
    let lab = lab_of(vec![row(
        "server",
        &json!({
            "token": { "respond": [{ "reply": { "delayMs": 1000, "body": { "json": reply } } }] },
            "authorization": { "revoke": [{ "reply": { "delayMs": 1100 } }] },
        }),
    )])
    .await;
    let user = User::new(&lab, "server");
    let startup = limited(&user, Duration::from_secs(2));
    let (begun, callback) = sign_in(&startup, &user.server).await;
    let finishing = startup.finish_sign_in(&begun.pending, &callback);
    let error = finishing.await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "{}", error.message());
    assert_eq!(
        tokens(user.requests_at("revoke")),
        ["granted-refresh", "granted-token"]
    );
}

/// The refresh has been sent when the sign-out begins. Its tokens must not stay valid.
#[tokio::test]
async fn a_sign_out_during_a_refresh_revokes_the_new_tokens() {
    let fields = json!({ "token": slow(), "stored": expired() });
    let lab = lab_of(vec![row("server", &fields)]).await;
    let user = User::new(&lab, "server");
    let other_process = user.next_startup();
    let mut check = other_process.check(vec![user.server.clone()]);
    until(|| !user.requests_at("token").is_empty()).await;

    let signed_out = user.startup.sign_out(&user.server).await.unwrap();
    assert!(signed_out.was_stored);
    assert_eq!(signed_out.revocation, Revocation::Revoked);
    assert_eq!(
        tokens(user.requests_at("revoke")),
        ["late-refresh", "late-token"]
    );
    while check.next().await.is_some() {}
    assert!(user.record().is_none());
}

#[tokio::test]
async fn a_sign_out_whose_caller_stops_waiting_is_completed() {
    let slow = json!({ "revoke": [{ "reply": { "delayMs": 200 } }] });
    let fields = json!({ "authorization": slow, "stored": expired() });
    let lab = lab_of(vec![row("server", &fields)]).await;
    let user = User::new(&lab, "server");
    {
        let mut signing_out = pin!(user.startup.sign_out(&user.server));
        tokio::select! {
            signed_out = &mut signing_out => panic!("{signed_out:?}"),
            () = until(|| !user.requests_at("revoke").is_empty()) => {}
        }
    }
    assert!(user.record().is_some());
    user.startup.finish().await;
    assert!(user.record().is_none());
    assert_eq!(
        tokens(user.requests_at("revoke")),
        ["good-refresh", "expired-token"]
    );
}

#[tokio::test]
async fn a_damaged_record_can_be_signed_out_of_and_replaced() {
    let lab = lab_of(vec![row("server", &json!({}))]).await;
    let user = User::new(&lab, "server");
    let damaged = json!({ "access_token": 7 });
    user.write_record(&damaged);
    let signed_out = user.startup.sign_out(&user.server).await.unwrap();
    assert!(signed_out.was_stored);
    assert_eq!(signed_out.revocation, Revocation::Failed);
    assert!(user.record().is_none());

    user.write_record(&damaged);
    let begun = user.startup.begin_sign_in(&user.server, REDIRECT_URI).await;
    let callback = crate::redirect_target(&begun.as_ref().unwrap().authorization_url).await;
    let pending = begun.unwrap().pending;
    let finishing = user.startup.finish_sign_in(&pending, &callback);
    finishing.await.unwrap();
    assert_eq!(user.record().unwrap()["access_token"], "fresh-token-1");
}
