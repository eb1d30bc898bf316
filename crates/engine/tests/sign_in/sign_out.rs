//! Runs the cases of `sign_out.json`.

use serde::Deserialize;
use serde_json::{Map, Value};

use mcp_startup::auth::Revocation;

use crate::secrets::check_log;
use crate::{Case, User, lab_of, requests_at, row, run_all, same};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expectation {
    /// `revoked`, `notOffered` or `failed`.
    revocation: String,
    /// The tokens in the revocation requests, in order.
    #[serde(default)]
    tokens: Vec<String>,
    /// The row whose authorization server receives them, if not the case's row.
    to: Option<String>,
    /// Whether no request may be sent.
    #[serde(default)]
    silent: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_matches_the_table() {
    run_all("sign-outs", include_str!("sign_out.json"), run).await;
}

async fn run(case: &Case<Expectation>, user: &User<'_>) -> Result<(), String> {
    let was_stored = user.record().is_some();
    let to = case.expect.to.as_ref().unwrap_or(&case.name);
    let before = requests_at(user.lab, to, "revoke").len();
    let signed_out = user.startup.sign_out(&user.server).await;
    let signed_out = signed_out.map_err(|error| error.to_string())?;
    let revocation = match signed_out.revocation {
        Revocation::Revoked => "revoked",
        Revocation::NotOffered => "notOffered",
        Revocation::Failed => "failed",
    };
    same("revocation", revocation, &case.expect.revocation)?;
    same("was stored", signed_out.was_stored, was_stored)?;

    let requests = requests_at(user.lab, to, "revoke").split_off(before);
    let tokens: Vec<_> = requests
        .iter()
        .map(|request| request.token.clone())
        .collect();
    same("tokens", &tokens, &case.expect.tokens)?;
    for request in &requests {
        let hint = match request.token.contains("refresh") {
            true => "refresh_token",
            false => "access_token",
        };
        same("hint", request.parameters["token_type_hint"].as_str(), hint)?;
    }
    if *to != case.name {
        same("at its own", user.requests_at("revoke").len(), 0)?;
    }
    if case.expect.silent {
        same("requests", user.requests().len(), 0)?;
    }

    same("stored", user.record(), None)?;
    let records: Map<String, Value> = serde_json::from_str(&user.file()).unwrap();
    same("other records", records.len(), 1)?;
    let again = user.startup.sign_out(&user.server).await;
    let again = again.map_err(|error| error.to_string())?;
    same("was stored after that", again.was_stored, false)?;
    check_log(&[
        "good-token".to_owned(),
        "good-refresh".to_owned(),
        "issued-secret".to_owned(),
    ])
}

/// A sign-out revokes everything that a sign-in granted.
#[tokio::test]
async fn tokens_of_a_sign_in_are_refused_after_a_sign_out() {
    let secret = serde_json::json!({ "authorization": { "registered": {
        "client_secret": "issued-secret", "client_secret_expires_at": 0, "token_endpoint_auth_method": "client_secret_post"
    } } });
    let lab = lab_of(vec![row("server", &secret)]).await;
    let user = User::new(&lab, "server");
    let (begun, callback) = user.sign_in().await;
    user.startup
        .finish_sign_in(&begun.pending, &callback)
        .await
        .unwrap();
    assert!(user.is_ready().await);
    let record = user.record().unwrap();

    let signed_out = user.startup.sign_out(&user.server).await.unwrap();
    assert_eq!(signed_out.revocation, Revocation::Revoked);
    assert_eq!(user.record(), None);
    // Restore a copy of the record.
    user.write_record(&record);
    assert!(!user.is_ready().await);
    let refused = user.token_requests("refresh_token").pop().unwrap();
    assert_eq!(refused.token, "fresh-refresh-1");
}
