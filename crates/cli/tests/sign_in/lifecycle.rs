//! The life of a stored credential, from the first sign-in to the sign-out, through all commands.

use std::io::{BufRead, BufReader};

use mcp_startup::{ServerKey, StartupTracker};
use serde_json::{Value, json};

use crate::harness::authorization_server::AuthorizationServer;
use crate::harness::browser::{Browser, Consent, authorize};
use crate::harness::http_client::get;
use crate::harness::lab::lab;
use crate::harness::output::Finished;
use crate::harness::user::unrelated_records;
use crate::session::{RunningLogin, failure_kind, login, sign_in, status_of, user_of};

#[test]
fn sign_in_check_refresh_and_sign_out() {
    let Some(auth_server) =
        AuthorizationServer::start("lifecycle::sign_in_check_refresh_and_sign_out")
    else {
        return;
    };
    let server = auth_server.mcp_url("linear");
    let user = user_of(&[("linear", &server)]);
    assert_eq!(status_of(&user, "linear", &[])["authStatus"], json!(null));
    assert_eq!(
        auth_server.request_count(),
        0,
        "nothing is sent without --online"
    );
    let status = status_of(&user, "linear", &["--online"]);
    assert_eq!(status["authStatus"], "notLoggedIn");
    user.check("table").finish().assert_exit(3);
    assert_eq!(
        failure_kind(&user, "linear").as_deref(),
        Some("signInRequired")
    );

    let browser = Browser::of(&user);
    let mut running = RunningLogin::start(login(&user, "linear").browser(&browser));
    let opened = running.opened_url(&browser);
    let callback_url = authorize(&opened, Consent::Allow);
    assert!(
        callback_url.starts_with("http://127.0.0.1:"),
        "{callback_url}"
    );
    let page = get(&callback_url);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<title>Signed in</title>"), "{page:?}");
    let finished = running.finish().assert_exit(0);
    assert_eq!(finished.stdout, "Signed in to linear.\n");
    assert!(finished.stderr.contains(&opened), "{finished:#?}");
    // The request uses PKCE (RFC 7636) and names the resource (RFC 8707). No token is printed.
    for parameter in [
        "response_type=code",
        "code_challenge_method=S256",
        "scope=mcp%3Atools+offline_access",
    ] {
        assert!(opened.contains(parameter), "{opened}");
    }
    assert!(opened.contains(&format!(
        "resource=http%3A%2F%2F{}%2Flinear%2Fmcp",
        auth_server.issuer[7..].replace(':', "%3A")
    )));
    let record = user.records().remove("linear").unwrap();
    let text = |field: &str| record[field].as_str().unwrap().to_owned();
    for secret in ["access_token", "refresh_token"] {
        assert!(!finished.all_output().contains(&text(secret)));
    }
    assert_eq!(record["server_url"], server);
    assert_eq!(record["issuer"], auth_server.issuer);
    assert_ne!(
        record["client_id"], "client-1",
        "a new client is registered"
    );
    user.assert_unrelated_records_unchanged();

    user.check("table").finish().assert_exit(0);
    auth_server.control(
        "POST",
        "/test/expire",
        json!({"accessToken": text("access_token")}),
    );
    user.check("table").finish().assert_exit(0);
    let renewed = user.records().remove("linear").unwrap();
    assert_ne!(
        renewed["refresh_token"], record["refresh_token"],
        "the refresh token rotates"
    );
    assert_eq!(auth_server.stats()["refreshes"], 1);

    let access_token = renewed["access_token"].as_str().unwrap();
    assert_eq!(auth_server.status_with_token(&server, access_token), 200);
    let finished = user.program(&["logout", "linear"]).finish().assert_exit(0);
    assert_eq!(
        finished.stdout,
        "Signed out of linear: the stored sign-in was removed, and its tokens were revoked.\n"
    );
    assert_eq!(finished.stderr, "");
    assert_eq!(auth_server.status_with_token(&server, access_token), 401);
    assert_eq!(user.records().len(), unrelated_records().len());
    user.assert_unrelated_records_unchanged();
    assert_eq!(
        failure_kind(&user, "linear").as_deref(),
        Some("signInRequired")
    );
    let finished = user.program(&["logout", "linear"]).finish().assert_exit(0);
    assert_eq!(finished.stdout, "You were not signed in to linear.\n");
}

/// Covers the first start, a revoked grant, and a running host that recovers.
#[test]
fn revoked_grant_is_reported_once_and_a_new_sign_in_recovers() {
    let Some(auth_server) = AuthorizationServer::start(
        "lifecycle::revoked_grant_is_reported_once_and_a_new_sign_in_recovers",
    ) else {
        return;
    };
    let lab = lab();
    let user = user_of(&[
        ("linear", &auth_server.mcp_url("linear")),
        ("open", &lab.url("ready")),
        ("keyed", &lab.url("api-key")),
    ]);
    let check = || user.check("ndjson").finish();

    // The first start needs a sign-in. A first sign-in is not a reauthentication, so no notification has a reason.
    let first = check().assert_exit(3);
    let (lines, with_reason) = notifications(&first);
    assert_eq!((lines.len(), with_reason.len()), (6, 0), "{lines:#?}");
    assert_eq!(
        failure_kind(&user, "linear").as_deref(),
        Some("signInRequired")
    );

    sign_in(&user, "linear");
    assert_eq!(failure_kind(&user, "linear"), None);

    // The grant is revoked.
    let record = user.records().remove("linear").unwrap();
    auth_server.revoke(&record);
    let (lines, with_reason) = notifications(&check().assert_exit(3));
    assert_eq!(lines.len(), 6);
    let [failure] = &with_reason[..] else {
        panic!("not exactly one notification has a reason: {with_reason:#?}");
    };
    assert_eq!(failure["name"], "linear");
    assert_eq!(failure["status"], "failed");
    assert_eq!(failure["failureReason"], "reauthenticationRequired");
    assert_eq!(user.records()["linear"], record, "nothing is deleted");

    // A running host is notified. It recovers automatically after the user signs in through another process.
    let mut tracker = StartupTracker::default();
    let (mut prompts, mut states) = (Vec::new(), Vec::new());
    let mut host = user.check("ndjson").arg("--watch").spawn();
    let mut stdout = BufReader::new(host.child.stdout.take().unwrap());
    let mut read_until = |until: &str| loop {
        let mut line = String::new();
        assert_ne!(
            stdout.read_line(&mut line).unwrap(),
            0,
            "the host has ended: {states:?}"
        );
        let applied = tracker.apply_lines(line.as_bytes());
        assert!(applied.errors.is_empty(), "{line}");
        prompts.extend(applied.prompts);
        let notification: Value = serde_json::from_str(&line).unwrap();
        if notification["params"]["name"] == "linear" {
            let status = notification["params"]["status"]
                .as_str()
                .unwrap()
                .to_owned();
            states.push(status.clone());
            if status == until {
                return (states.clone(), prompts.clone(), tracker.clone());
            }
        }
    };
    let linear = ServerKey {
        name: "linear".to_owned(),
        ..ServerKey::default()
    };
    let (states, prompts, tracker) = read_until("failed");
    assert_eq!(
        (states, prompts),
        (
            vec!["starting".to_owned(), "failed".to_owned()],
            vec![linear.clone()]
        )
    );
    assert_eq!(tracker.reauthentication_required(), [&linear]);

    sign_in(&user, "linear");
    let (states, prompts, tracker) = read_until("ready");
    assert_eq!(states, ["starting", "failed", "starting", "ready"]);
    assert_eq!(prompts, [linear]);
    assert!(tracker.reauthentication_required().is_empty());
    host.signal("INT");
    assert_eq!(host.child.wait().unwrap().code(), Some(130));
}

/// The notifications of `check --format ndjson`, and the params of those that have a reason.
fn notifications(finished: &Finished) -> (Vec<Value>, Vec<Value>) {
    let lines: Vec<Value> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let with_reason = lines
        .iter()
        .filter(|line| !line["params"]["failureReason"].is_null());
    let with_reason = with_reason.map(|line| line["params"].clone()).collect();
    (lines, with_reason)
}
