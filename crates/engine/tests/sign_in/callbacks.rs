//! Callback URLs and pending sign-ins: the valid ones, and those that are refused.

use mcp_startup::auth::{PendingSignIn, SignInFailureKind as Kind};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::secrets::{check_debug, check_log, secrets_of};
use crate::{REDIRECT_URI, User, kind, lab_of, report_count, row};

const NAME: &str = "server";
const STORED: &str = r#"{ "issuer": "{issuer}", "clientId": "client-0", "accessToken": "expired-token", "expiresInSeconds": -3600,
    "refreshToken": "old-refresh", "scopes": ["mcp:tools"] }"#;

/// A row with a stored sign-in, so that any change to it is noticed.
fn rows() -> Vec<Value> {
    let stored: Value = serde_json::from_str(STORED).unwrap();
    vec![row(NAME, &json!({ "stored": stored }))]
}

#[tokio::test]
async fn an_invalid_callback_changes_nothing_and_the_valid_one_still_finishes() {
    let lab = lab_of(rows()).await;
    let user = User::new(&lab, NAME);
    let before = user.file();
    let (begun, callback) = user.sign_in().await;
    let state = begun.pending.state().to_owned();
    let secrets = secrets_of(&begun.pending);
    let (_, other_callback) = user.sign_in().await;
    let changed = |from: &str, to: &str| {
        assert!(callback.contains(from), "{callback}");
        callback.replace(from, to)
    };
    let cases = [
        // Another URI (RFC 6749, section 3.1.2.3).
        changed("/callback", "/other"),
        changed("/callback", "/callback/"),
        changed("/callback", "/callback/more"),
        changed("/callback", "/Callback"),
        changed(":8123", ":8124"),
        changed(":8123", ""),
        changed("127.0.0.1", "localhost"),
        changed("127.0.0.1", "127.0.0.2"),
        changed("http://", "https://"),
        changed(
            "http://127.0.0.1:8123",
            "http://127.0.0.1:8123@attacker.example",
        ),
        // Another `state` (section 10.12).
        changed(&state, "another"),
        changed(&state, ""),
        changed(
            &state,
            &state.to_lowercase().replace(|c: char| c.is_numeric(), "x"),
        ),
        changed("state=", "State="),
        other_callback,
        // Repeated parameters (section 3.1).
        format!("{callback}&state={state}"),
        format!("{callback}&code=another"),
        format!("{callback}&iss=https://a.example&iss=https://b.example"),
        // A missing code.
        changed("code=", "codes="),
        // Text that is not a URL.
        String::new(),
        "fresh-code-1".to_owned(),
        callback.split_once('?').unwrap().1.to_owned(),
        REDIRECT_URI.to_owned(),
        "http://127.0.0.1:8123/callback#state".to_owned(),
        "\u{1b}[2J".to_owned(),
    ];
    for case in &cases {
        assert_eq!(
            begun.pending.check(case).unwrap_err().kind(),
            Kind::InvalidCallback,
            "{case}"
        );
        let error = user
            .startup
            .finish_sign_in(&begun.pending, case)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidCallback, "{case}");
        check_debug(&error, &secrets).unwrap();
        assert!(!error.message().contains(char::is_control), "{error}");
    }
    assert_eq!(user.file(), before);
    assert_eq!(user.requests_at("token").len(), 0, "no code was sent");

    // A pasted URL, with white space.
    let pasted = format!(" \t{callback}\r\n");
    begun.pending.check(&pasted).unwrap();
    user.startup
        .finish_sign_in(&begun.pending, &pasted)
        .await
        .unwrap();
    assert_ne!(user.file(), before);
    check_log(&secrets).unwrap();
    report_count("callbacks", cases.len());
}

/// Several callbacks are finished at the same time, and only one of them is correct.
#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_invalid_callbacks_do_not_use_up_the_sign_in() {
    let lab = lab_of(rows()).await;
    let user = User::new(&lab, NAME);
    for _ in 0..20 {
        let (begun, callback) = user.sign_in().await;
        let finishing = (0..8).map(|number| {
            let (startup, pending) = (user.startup.clone(), begun.pending.clone());
            let callback_url = match number {
                4 => callback.clone(),
                _ => callback.replace("state=", "state=x"),
            };
            tokio::spawn(async move { startup.finish_sign_in(&pending, &callback_url).await })
        });
        let finished = futures::future::join_all(finishing).await;
        let successful = finished
            .into_iter()
            .filter(|finished| finished.as_ref().unwrap().is_ok());
        assert_eq!(successful.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_single_use() {
    let lab = lab_of(rows()).await;
    let user = User::new(&lab, NAME);
    let (begun, callback) = user.sign_in().await;
    let finishing = (0..8).map(|_| user.startup.finish_sign_in(&begun.pending, &callback));
    let finished = futures::future::join_all(finishing).await;
    assert_eq!(
        finished.iter().filter(|finished| finished.is_ok()).count(),
        1
    );
    let error = finished.into_iter().find_map(Result::err).unwrap();
    assert_eq!(error.kind(), Kind::Used);
    let after = user.file();
    let again = user.startup.finish_sign_in(&begun.pending, &callback).await;
    assert_eq!(again.unwrap_err().kind(), Kind::Used);
    assert_eq!(user.requests_at("token").len(), 1);

    // Another process cannot detect that. The authorization server can (RFC 6749, section 4.1.2).
    let elsewhere = user
        .next_startup()
        .finish_sign_in(&begun.pending, &callback)
        .await;
    assert_eq!(elsewhere.unwrap_err().kind(), Kind::Denied);
    assert_eq!(user.file(), after);
}

#[tokio::test]
async fn a_stored_pending_sign_in_finishes_in_another_process() {
    let lab = lab_of(rows()).await;
    let user = User::new(&lab, NAME);
    let (begun, callback) = user.sign_in().await;
    let stored = begun.pending.to_json();
    drop(begun);

    let pending = PendingSignIn::parse(stored.expose_secret()).unwrap();
    assert_eq!(pending.server_name(), NAME);
    assert_eq!(pending.server_url(), lab.url(NAME));
    assert_eq!(pending.redirect_uri(), REDIRECT_URI);
    assert!(callback.contains(pending.state()));
    let again = pending.to_json();
    let read = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    assert_eq!(read(again.expose_secret()), read(stored.expose_secret()));
    user.next_startup()
        .finish_sign_in(&pending, &callback)
        .await
        .unwrap();
    assert_eq!(user.record().unwrap()["access_token"], "fresh-token-1");
    assert!(user.is_ready().await);
}

#[tokio::test]
async fn an_expired_sign_in_cannot_be_finished() {
    let lab = lab_of(rows()).await;
    let user = User::new(&lab, NAME);
    let before = user.file();
    let (begun, callback) = user.sign_in().await;
    let mut stored: Value = serde_json::from_str(begun.pending.to_json().expose_secret()).unwrap();
    let remaining_ms = begun.pending.expires_at_ms() - crate::now_ms();
    assert!(
        (14 * 60_000..=15 * 60_000).contains(&remaining_ms),
        "{remaining_ms}"
    );
    stored["expiresAtMs"] = json!(crate::now_ms() - 1);
    let expired = PendingSignIn::parse(&stored.to_string()).unwrap();
    for _ in 0..2 {
        let error = user
            .startup
            .finish_sign_in(&expired, &callback)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Expired);
    }
    assert_eq!(user.file(), before);
    assert_eq!(user.requests_at("token").len(), 0);
}

#[tokio::test]
async fn an_invalid_pending_sign_in_is_refused_and_not_quoted() {
    let lab = lab_of(rows()).await;
    let user = User::new(&lab, NAME);
    let (begun, callback) = user.sign_in().await;
    let stored = begun.pending.to_json();
    let stored = stored.expose_secret();
    let mut cases: Vec<String> = [
        "",
        "{}",
        "null",
        "[]",
        "\"canary\"",
        "{\"canary\"",
        "canary",
    ]
    .map(str::to_owned)
    .into();
    cases.push(stored[..stored.len() / 2].to_owned());
    let fields: Value = serde_json::from_str(stored).unwrap();
    for field in fields.as_object().unwrap().keys() {
        // An earlier version does not write it.
        if !["configuredResource", "prompt"].contains(&field.as_str()) {
            let mut without = fields.clone();
            without.as_object_mut().unwrap().remove(field);
            cases.push(without.to_string());
        }
        let mut wrong = fields.clone();
        wrong[field] = json!([["canary"]]);
        cases.push(wrong.to_string());
    }
    let secrets = secrets_of(&begun.pending);
    for case in &cases {
        let error = PendingSignIn::parse(case).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidPending, "{case}");
        assert!(!format!("{error:?}").contains("canary"), "{error}");
        check_debug(&error, &secrets).unwrap();
    }
    report_count("damaged sign-ins", cases.len());

    // A pending sign-in that can be parsed, but not used.
    let mut unusable = fields.clone();
    unusable["serverUrl"] = json!("nowhere");
    let unusable = PendingSignIn::parse(&unusable.to_string()).unwrap();
    let error = user.startup.finish_sign_in(&unusable, &callback).await;
    assert_eq!(kind(&error.unwrap_err()), "invalidPending");
}
