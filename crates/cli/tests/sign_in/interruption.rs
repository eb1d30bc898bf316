//! `login` and `logout` that are interrupted, blocked by another process, or can't store the result, against the lab.

use std::time::{Duration, Instant};

use mcp_startup_lab::{Lab, RecordedRequest};
use serde_json::{Value, json};

use crate::harness::browser::{Browser, Consent, authorize};
use crate::harness::http_client::get;
use crate::harness::lab::lab_with;
use crate::harness::user::{HOME, User, unrelated_records};
use crate::session::{RunningLogin, login, user_of};

const NAME: &str = "server";

/// A lab with one server that requires a sign-in, and its user.
fn lab_and_user(fields: &Value) -> (Lab, User) {
    let mut row = json!({ "name": NAME, "mcp": { "serves": { "tokens": [] } } });
    for (field, value) in fields.as_object().into_iter().flatten() {
        row[field] = value.clone();
    }
    let lab = lab_with(json!([row]));
    let user = user_of(&[(NAME, &lab.url(NAME))]);
    (lab, user)
}

/// How long an answer takes during which a test interrupts the program. On Windows, another program presses Ctrl-C.
const DELAY_MS: u32 = if cfg!(windows) { 5000 } else { 500 };

fn slow_token_endpoint() -> Value {
    json!({ "token": { "respond": [{ "reply": { "delayMs": DELAY_MS, "body": { "json": {
        "access_token": "late-token", "token_type": "Bearer", "refresh_token": "late-refresh"
    } } } }] } })
}

/// The requests at `/server/` followed by `place`.
fn requests_at(lab: &Lab, place: &str) -> Vec<RecordedRequest> {
    let path = format!("/{NAME}/{place}");
    let requests = lab.requests(NAME).into_iter();
    requests.filter(|request| request.path == path).collect()
}

/// Requests the callback URL as the browser does, without waiting for the page.
fn return_from_browser(running: &mut RunningLogin, browser: &Browser) {
    let callback_url = authorize(&running.opened_url(browser), Consent::Allow);
    std::thread::spawn(move || get(&callback_url));
}

fn wait_until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The code is used up, so its tokens must not be lost.
#[test]
fn an_interrupted_login_stores_the_granted_tokens() {
    let (lab, user) = lab_and_user(&slow_token_endpoint());
    let browser = Browser::of(&user);
    let mut running = RunningLogin::start(login(&user, NAME).browser(&browser));
    return_from_browser(&mut running, &browser);
    wait_until(|| !requests_at(&lab, "token").is_empty());
    running.signal("INT");
    let finished = running.finish().assert_exit(130);
    let notice = "Completing the sign-in, so that the granted tokens are not lost (at most 30 s). To exit now, press Ctrl-C again.\n";
    assert!(finished.stderr.ends_with(notice), "{finished:#?}");
    assert_eq!(user.records()[NAME]["access_token"], "late-token");
    assert_eq!(requests_at(&lab, "token").len(), 1);
}

#[test]
fn a_second_interruption_ends_the_login_immediately() {
    let hangs = json!({ "token": { "respond": [{ "reply": { "hang": true } }] } });
    let (lab, user) = lab_and_user(&hangs);
    let browser = Browser::of(&user);
    let mut running = RunningLogin::start(login(&user, NAME).browser(&browser));
    return_from_browser(&mut running, &browser);
    wait_until(|| !requests_at(&lab, "token").is_empty());
    running.signal("INT");
    running.wait_for_line(|line| line.starts_with("Completing the sign-in"));
    let began = Instant::now();
    running.signal("INT");
    running.finish().assert_exit(130);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_interrupted_logout_removes_the_record_after_the_revocation() {
    let slow = json!({ "authorization": { "revoke": [{ "reply": { "delayMs": DELAY_MS } }] } });
    let (lab, user) = lab_and_user(&slow);
    let record = json!({
        "server_name": NAME, "server_url": lab.url(NAME), "issuer": format!("{}/{NAME}", lab.base_url()),
        "client_id": "client-1", "access_token": "a", "refresh_token": "r", "scopes": [],
    });
    user.store(unrelated_records().into_iter().chain([record]));
    let running = RunningLogin::start(user.program(&["logout", NAME]));
    wait_until(|| !requests_at(&lab, "revoke").is_empty());
    running.signal("TERM");
    let finished = running.finish().assert_exit(130);
    assert!(
        finished.stderr.starts_with("Completing the sign-out"),
        "{finished:#?}"
    );
    assert_eq!(requests_at(&lab, "revoke").len(), 2);
    assert_eq!(user.records().len(), unrelated_records().len());
}

/// The user sees who will receive the password.
#[test]
fn login_shows_the_host_of_the_sign_in_and_requests_the_scopes_of_the_server_and_the_user() {
    let (lab, user) = lab_and_user(&json!({}));
    let host = lab.base_url().replace("http://", "");
    for (arguments, shown) in [
        (
            &["--no-browser"][..],
            format!("To sign in to {NAME} at {host}, open this URL in a browser:"),
        ),
        #[cfg(unix)]
        (
            &[],
            format!(
                "Opening your browser to sign in to {NAME} at {host}. If it does not open, visit this URL:"
            ),
        ),
    ] {
        let browser = Browser::of(&user);
        let run = login(&user, NAME).arg("--scopes");
        let run = run.arg("files:read,files:write");
        let run = arguments
            .iter()
            .fold(run, |run, argument| run.arg(argument));
        let mut running = RunningLogin::start(run.browser(&browser));
        running.wait_for_line(|line| line == shown);
        let url = running.printed_url();
        assert!(
            url.contains("scope=mcp%3Atools+files%3Aread+files%3Awrite&"),
            "{url}"
        );
        get(&authorize(&url, Consent::Allow));
        running.finish().assert_exit(0);
    }
}

#[test]
fn a_scope_that_is_none_is_a_usage_error() {
    let (lab, user) = lab_and_user(&json!({}));
    let run = login(&user, NAME).arg("--scopes").arg("a b");
    let finished = run.finish().assert_exit(2);
    assert!(
        finished.stderr.contains("`a b` is not a scope"),
        "{finished:#?}"
    );
    assert!(lab.requests(NAME).is_empty());
}

/// The store can't be written to, so no browser opens and no request is sent.
#[test]
fn a_login_that_cannot_be_stored_opens_no_browser() {
    let (lab, user) = lab_and_user(&json!({}));
    std::fs::write(user.path("home/.codex/.credentials.json"), "{ damaged").unwrap();
    let browser = Browser::of(&user);
    let run = login(&user, NAME).browser(&browser);
    let finished = run.finish().assert_exit(1);
    assert!(
        finished
            .stderr
            .contains("a sign-in could not be stored, so none was started"),
        "{finished:#?}"
    );
    assert!(lab.requests(NAME).is_empty());
    assert!(!user.path("temporary/opened").exists());
}

/// `ulimit -f 0`: the system would end the program without a message. Windows has no such limit.
#[cfg(unix)]
#[test]
fn a_login_and_a_refresh_at_the_limit_of_file_sizes_are_reported() {
    let limited = ["sh", "-c", "ulimit -f 0; exec \"$0\" \"$@\""];
    let (lab, user) = lab_and_user(&json!({}));
    let browser = Browser::of(&user);
    let run = login(&user, NAME).browser(&browser).through(&limited);
    let finished = run.finish().assert_exit(1);
    assert!(finished.stderr.contains("File too large"), "{finished:#?}");
    assert!(lab.requests(NAME).is_empty());

    let record = json!({
        "server_name": NAME, "server_url": lab.url(NAME), "issuer": format!("{}/{NAME}", lab.base_url()),
        "client_id": "client-1", "access_token": "expired-token", "expires_at": 1, "refresh_token": "good-refresh",
    });
    user.store([record]);
    let finished = user.check("json").through(&limited).finish();
    let finished = finished.assert_exit(1);
    assert!(finished.stdout.contains("ulimit -f"), "{finished:#?}");
    assert!(requests_at(&lab, "token").is_empty());
}

/// Without a home folder there is no place for the sign-in. A relative one would be another folder in each folder.
#[test]
fn a_login_without_a_home_folder_opens_no_browser() {
    for home in [None, Some(""), Some(" "), Some("relative")] {
        let (lab, user) = lab_and_user(&json!({}));
        // A JSON file: the sign-ins of a file of Codex are in its own folder.
        let config = user.path("servers.json");
        let url = lab.url(NAME);
        let servers = json!({ "mcpServers": { NAME: { "url": url } } });
        std::fs::write(&config, servers.to_string()).unwrap();
        for command in ["login", "logout"] {
            let browser = Browser::of(&user);
            let config = config.to_str().unwrap();
            let run = user.program(&[command, "--config", config, NAME]);
            let run = run.browser(&browser).env_remove("CODEX_HOME");
            let run = run.env_remove("USERPROFILE");
            let run = match home {
                None => run.env_remove(HOME),
                Some(home) => run.env(HOME, home),
            };
            let finished = run.finish();
            if command == "logout" {
                finished.assert_exit(0);
                continue;
            }
            let finished = finished.assert_exit(1);
            let expected = "a sign-in could not be stored, so none was started";
            assert!(finished.stderr.contains(expected), "{finished:#?}");
            assert!(
                finished.stderr.contains("set HOME"),
                "{home:?}: {finished:#?}"
            );
        }
        assert!(lab.requests(NAME).is_empty());
        assert!(!user.path("temporary/opened").exists());
        assert!(!user.path("relative").exists());
    }
}
