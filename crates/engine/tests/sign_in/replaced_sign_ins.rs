//! Sign-ins over a stored one: the tokens of the replaced record are revoked, unless they may be in use.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{User, lab_of, row, sign_in};

/// A record of this client with the tokens `good-token` and `good-refresh`, granted by the authorization server of the row.
fn stored(client_id: &str) -> Value {
    json!({
        "issuer": "{issuer}", "clientId": client_id, "accessToken": "good-token", "expiresInSeconds": 3600,
        "refreshToken": "good-refresh", "scopes": ["mcp:tools"]
    })
}

/// A token endpoint that answers late.
fn slow() -> Value {
    json!({ "respond": [{ "reply": { "delayMs": 500, "body": { "json": {
        "access_token": "late-token", "token_type": "Bearer", "refresh_token": "late-refresh", "expires_in": 3600
    } } } }] })
}

fn revoked(user: &User<'_>) -> Vec<String> {
    let requests = user.requests_at("revoke").into_iter();
    requests.map(|request| request.token).collect()
}

/// Each registration of the lab has the client ID `client-1`.
#[tokio::test]
async fn the_tokens_of_a_replaced_record_are_revoked_unless_it_has_the_same_client() {
    let both = ["good-refresh", "good-token"];
    let refusing = json!({ "revoke": [{ "reply": { "status": 503 } }] });
    let elsewhere = json!({
        "issuer": "{base}/elsewhere", "clientId": "client-0", "accessToken": "good-token", "refreshToken": "good-refresh"
    });
    let unknown = json!({ "issuer": "{issuer}", "accessToken": "good-token", "refreshToken": "good-refresh" });
    let nowhere = json!({ "clientId": "client-0", "accessToken": "good-token", "refreshToken": "good-refresh" });
    let cases: [(&str, Value, &[&str], &[&str]); 7] = [
        (
            "another-client",
            json!({ "stored": stored("client-0") }),
            &both,
            &[],
        ),
        // The authorization server could revoke the new sign-in too.
        (
            "same-client",
            json!({ "stored": stored("client-1") }),
            &[],
            &[],
        ),
        ("unknown-client", json!({ "stored": unknown }), &[], &[]),
        ("another-issuer", json!({ "stored": elsewhere }), &[], &both),
        ("unknown-issuer", json!({ "stored": nowhere }), &[], &[]),
        (
            "refused",
            json!({ "stored": stored("client-0"), "authorization": refusing }),
            &both[..1],
            &[],
        ),
        ("nothing-stored", json!({}), &[], &[]),
    ];
    let rows = cases.iter().map(|(name, fields, ..)| row(name, fields));
    let rows = rows.chain([row(
        "elsewhere",
        &json!({ "mcp": { "serves": { "tokens": ["good-token"] } } }),
    )]);
    let lab = lab_of(rows.collect()).await;
    let elsewhere = User::new(&lab, "elsewhere");
    for (name, _, expected, expected_elsewhere) in &cases {
        let user = User::new(&lab, name);
        let (begun, callback) = user.sign_in().await;
        assert!(
            revoked(&user).is_empty(),
            "{name}: the record is still in use"
        );
        let finishing = user.startup.finish_sign_in(&begun.pending, &callback);
        finishing.await.unwrap();
        assert_eq!(user.record().unwrap()["access_token"], "fresh-token-1");
        assert_eq!(revoked(&user), *expected, "{name}");
        assert!(user.is_ready().await, "{name}");
        if !expected_elsewhere.is_empty() {
            assert_eq!(revoked(&elsewhere), *expected_elsewhere, "{name}");
        }
    }
}

#[tokio::test]
async fn a_revocation_that_is_not_answered_delays_the_sign_in_by_at_most_5_s() {
    let hanging = json!({ "revoke": [{ "reply": { "hang": true } }] });
    let fields = json!({ "stored": stored("client-0"), "authorization": hanging });
    let lab = lab_of(vec![row("server", &fields)]).await;
    let user = User::new(&lab, "server");
    let (begun, callback) = user.sign_in().await;
    let began = Instant::now();
    let finishing = user.startup.finish_sign_in(&begun.pending, &callback);
    finishing.await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(revoked(&user), ["good-refresh"]);
    assert_eq!(user.record().unwrap()["access_token"], "fresh-token-1");
}

/// Such a program may use it: Codex refreshes without our lock.
#[tokio::test]
async fn a_record_that_another_program_has_just_stored_is_replaced_and_not_revoked() {
    let fields = json!({ "stored": stored("client-0"), "token": slow() });
    let lab = lab_of(vec![row("server", &fields)]).await;
    let user = User::new(&lab, "server");
    let (begun, callback) = user.sign_in().await;
    let mut theirs = user.record().unwrap();
    theirs["access_token"] = "their-token".into();
    theirs["refresh_token"] = "their-refresh".into();
    let finishing = user.startup.finish_sign_in(&begun.pending, &callback);
    let storing = async {
        while user.requests_at("token").is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        user.write_record(&theirs);
    };
    let (finished, ()) = tokio::join!(finishing, storing);
    finished.unwrap();
    assert_eq!(user.record().unwrap()["access_token"], "late-token");
    assert_eq!(revoked(&user), [""; 0]);
}

#[tokio::test]
async fn a_sign_out_beside_a_sign_in_leaves_no_token_valid() {
    let fields = json!({ "stored": stored("client-0"), "token": slow() });
    let lab = lab_of(vec![row("server", &fields)]).await;
    let user = User::new(&lab, "server");
    let (begun, callback) = sign_in(&user.startup, &user.server).await;
    let other_process = user.next_startup();
    let finishing = user.startup.finish_sign_in(&begun.pending, &callback);
    let signing_out = async {
        while user.requests_at("token").is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        other_process.sign_out(&user.server).await
    };
    let (finished, signed_out) = tokio::join!(finishing, signing_out);
    finished.unwrap();
    assert!(signed_out.unwrap().was_stored);
    assert_eq!(user.record(), None);
    let all = ["good-refresh", "good-token", "late-refresh", "late-token"];
    assert_eq!(revoked(&user), all);
}
