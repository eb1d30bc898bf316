//! The callback URL of a sign-in reaches `login` in a request to its listener, or pasted by the user.

use std::io::Write;

use crate::harness::authorization_server::AuthorizationServer;
use crate::harness::browser::{Browser, Consent, authorize};
use crate::harness::http_client::{get, send};
use crate::harness::user::unrelated_records;
use crate::session::{RunningLogin, failure_kind, login, user_of};

#[test]
fn pasted_callback_url_completes_the_login_and_invalid_lines_do_not_end_it() {
    let Some(auth_server) = AuthorizationServer::start(
        "callback::pasted_callback_url_completes_the_login_and_invalid_lines_do_not_end_it",
    ) else {
        return;
    };
    let user = user_of(&[("linear", &auth_server.mcp_url("linear"))]);
    let browser = Browser::of(&user);
    let run = login(&user, "linear").arg("--no-browser").browser(&browser);
    let mut running = RunningLogin::start(run);
    let authorization_url = running.printed_url();
    let hint = running.wait_for_line(|line| line.contains("paste it here"));
    assert!(
        hint.starts_with("If your browser is on another machine"),
        "{hint}"
    );
    let right = authorize(&authorization_url, Consent::Allow);
    let state = |url: &str| {
        url.split("state=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap()
            .to_owned()
    };
    for (line, message) in [
        ("what is this?".to_owned(), "it is not a URL"),
        (
            authorization_url.clone(),
            "it does not begin with http://127.0.0.1:",
        ),
        (
            right.replace(&state(&right), "another"),
            "its `state` is missing or belongs to another sign-in",
        ),
        (right.replace("code=", "cod="), "it has no `code`"),
        ("\u{1b}[31m\u{9b}2J\u{202e}".to_owned(), "it is not a URL"),
    ] {
        running.paste_line(&line);
        running.wait_for_line(|line| line.contains(message));
    }
    running
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"\xff\xfe\n\n")
        .unwrap();
    running.wait_for_line(|line| line.contains("it is not a URL"));
    running.paste_line(&format!("  {right} \r"));
    let finished = running.finish().assert_exit(0);
    assert_eq!(finished.stdout, "Signed in to linear.\n");
    assert!(
        !finished.stderr.contains("URL: "),
        "there is no terminal: {finished:#?}"
    );
    assert!(
        !user.path("temporary/opened").exists(),
        "no browser is opened"
    );
    assert_eq!(failure_kind(&user, "linear"), None);
}

/// Any local program can send requests to the listener. Only the response to this sign-in completes it.
#[test]
fn foreign_requests_to_the_callback_listener_do_not_end_the_login() {
    let Some(auth_server) = AuthorizationServer::start(
        "callback::foreign_requests_to_the_callback_listener_do_not_end_the_login",
    ) else {
        return;
    };
    let user = user_of(&[("linear", &auth_server.mcp_url("linear"))]);
    let browser = Browser::of(&user);
    let mut running = RunningLogin::start(login(&user, "linear").browser(&browser));
    let right = authorize(&running.opened_url(&browser), Consent::Allow);
    let (callback, query) = right.split_once('?').unwrap();
    let base = callback.strip_suffix("/callback").unwrap();
    for (url, status) in [
        (format!("{base}/"), 404),
        (format!("{base}/favicon.ico"), 404),
        (format!("{callback}/more?{query}"), 404),
        (callback.to_owned(), 400),
        (format!("{callback}?code=stolen&state=guessed"), 400),
        (format!("{callback}?error=access_denied&state=guessed"), 400),
        (
            format!("{callback}?error=access_denied&error_description=%1B%5B31m"),
            400,
        ),
    ] {
        let response = get(&url);
        assert_eq!(response.status, status, "{url}: {response:?}");
        assert!(!response.body.contains("Signed in"), "{response:?}");
    }
    assert_eq!(send("POST", &right, &[], "").status, 405);
    assert_eq!(user.records().len(), unrelated_records().len());
    assert_eq!(get(&right).status, 200);
    let finished = running.finish().assert_exit(0);
    // Reported once, no matter how many foreign requests arrive.
    let reports = finished
        .stderr
        .matches("this is not the callback URL of the sign-in to linear")
        .count();
    assert_eq!(reports, 1, "{finished:#?}");
    assert_eq!(failure_kind(&user, "linear"), None);
}
