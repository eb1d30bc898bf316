//! `login`: the callback port, simultaneous logins, and logins that fail or lose their browser, stdin or stdout.

use std::net::{Ipv4Addr, TcpListener};

use crate::harness::authorization_server::AuthorizationServer;
use crate::harness::browser::{Browser, Consent, authorize};
use crate::harness::http_client::get;
use crate::harness::user::unrelated_records;
use crate::session::{RunningLogin, failure_kind, login, sign_in, user_of};

#[test]
fn failed_login_leaves_the_stored_record_unchanged() {
    let Some(auth_server) =
        AuthorizationServer::start("login::failed_login_leaves_the_stored_record_unchanged")
    else {
        return;
    };
    let user = user_of(&[("linear", &auth_server.mcp_url("linear"))]);
    sign_in(&user, "linear");
    let before = std::fs::read(user.path("home/.codex/.credentials.json")).unwrap();
    let assert_unchanged = || {
        let now = std::fs::read(user.path("home/.codex/.credentials.json")).unwrap();
        assert!(now == before);
    };
    let browser = Browser::of(&user);
    let begin = || RunningLogin::start(login(&user, "linear").browser(&browser));

    // The user denies access. The description of the error may contain control characters.
    for has_controls in [false, true] {
        let mut running = begin();
        let mut callback_url = authorize(&running.opened_url(&browser), Consent::Deny);
        if has_controls {
            callback_url =
                callback_url.replace("_description=the", "_description=%1B%5B31mthe%C2%9B");
        }
        let page = get(&callback_url);
        assert!(
            page.body.contains("<title>Sign-in ended</title>"),
            "{page:?}"
        );
        let finished = running.finish().assert_exit(1);
        // words: allow: quotes `tests/e2e/npm/oidc.mjs`
        let why = "the user has said no";
        let why = match has_controls {
            true => why.replace("the", "\\u{1b}[31mthe\\u{9b}"),
            false => why.to_owned(),
        };
        let message = format!("error: the sign-in to linear was denied (access_denied: {why})\n");
        assert!(finished.stderr.ends_with(&message), "{finished:#?}");
        assert_eq!(finished.stdout, "");
        assert_unchanged();
    }
    // The authorization server rejects the code.
    let mut running = begin();
    let callback_url = authorize(&running.opened_url(&browser), Consent::Allow);
    let page = get(&callback_url.replace("code=", "code=x"));
    assert!(
        page.body.contains("<title>Sign-in ended</title>"),
        "{page:?}"
    );
    let finished = running.finish().assert_exit(1);
    assert!(
        finished
            .stderr
            .contains("refused the sign-in (invalid_grant: "),
        "{finished:#?}"
    );
    assert_unchanged();
    // The browser never returns.
    let run = user
        .program(&["login", "linear", "--timeout", "5"])
        .browser(&browser);
    let finished = run.finish().assert_exit(1);
    let message = "error: the sign-in to linear was not completed within 5 s, and nothing was changed: try again, or allow more time with --timeout. If the sign-in page shows an error, contact the operator of the server\n";
    assert!(finished.stderr.ends_with(message), "{finished:#?}");
    #[cfg(unix)]
    browser.opened_url();
    assert_unchanged();
    // The user interrupts the login.
    for signal in ["INT", "TERM"] {
        let mut running = begin();
        running.opened_url(&browser);
        running.signal(signal);
        let finished = running.finish().assert_exit(130);
        assert_eq!(finished.stdout, "");
        assert!(!finished.stderr.contains("error"), "{finished:#?}");
        assert_unchanged();
    }
    assert_eq!(failure_kind(&user, "linear"), None);
    // The stored refresh token was never used.
    assert_eq!(auth_server.stats()["refreshes"], 0);
}

#[test]
fn port_option_sets_the_callback_port() {
    let Some(auth_server) = AuthorizationServer::start("login::port_option_sets_the_callback_port")
    else {
        return;
    };
    let user = user_of(&[("linear", &auth_server.mcp_url("linear"))]);
    let browser = Browser::of(&user);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let run = || {
        login(&user, "linear")
            .browser(&browser)
            .arg("--port")
            .arg(port.to_string())
    };
    let finished = run().finish().assert_exit(1);
    let message =
        format!("error: can't listen on 127.0.0.1:{port}, where the browser returns to: ");
    assert!(finished.stderr.starts_with(&message), "{finished:#?}");
    assert!(
        finished.stderr.contains("choose another --port"),
        "{finished:#?}"
    );
    assert_eq!(auth_server.request_count(), 0, "no sign-in is started");
    drop(taken);
    let mut running = RunningLogin::start(run());
    let callback_url = authorize(&running.opened_url(&browser), Consent::Allow);
    assert!(
        callback_url.starts_with(&format!("http://127.0.0.1:{port}/callback?")),
        "{callback_url}"
    );
    get(&callback_url);
    running.finish().assert_exit(0);
}

#[test]
fn two_simultaneous_logins_do_not_interfere() {
    let Some(auth_server) =
        AuthorizationServer::start("login::two_simultaneous_logins_do_not_interfere")
    else {
        return;
    };
    let names = ["linear", "github"];
    let user = user_of(
        &names
            .map(|name| (name, auth_server.mcp_url(name)))
            .each_ref()
            .map(|(name, server)| (*name, server.as_str())),
    );
    let mut running = names.map(|name| RunningLogin::start(login(&user, name).arg("--no-browser")));
    let urls = running.each_mut().map(RunningLogin::printed_url);
    let [linear, github] = urls.map(|url| authorize(&url, Consent::Allow));
    // A callback belongs to one login. The login that started later finishes first.
    running[1].paste_line(&linear);
    running[1].wait_for_line(|line| line.contains("it does not begin with"));
    assert_eq!(get(&github).status, 200);
    assert_eq!(get(&linear).status, 200);
    for (running, name) in running.into_iter().zip(names) {
        let finished = running.finish().assert_exit(0);
        assert_eq!(finished.stdout, format!("Signed in to {name}.\n"));
    }
    user.check("table").finish().assert_exit(0);
    user.assert_unrelated_records_unchanged();
    assert_eq!(user.records().len(), 2 + unrelated_records().len());
}

/// The program prints the URL, and a browser on this machine can still complete the sign-in. On Windows, a browser would open.
#[cfg(unix)]
#[test]
fn login_continues_if_no_browser_opens_and_stdin_is_closed() {
    let Some(auth_server) = AuthorizationServer::start(
        "login::login_continues_if_no_browser_opens_and_stdin_is_closed",
    ) else {
        return;
    };
    let user = user_of(&[("linear", &auth_server.mcp_url("linear"))]);
    let run = login(&user, "linear").env("PATH", user.path("here"));
    let run = run.env("BROWSER", user.path("no-browser"));
    let mut running = RunningLogin::start(run);
    let authorization_url = running.printed_url();
    running.wait_for_line(|line| {
        line.starts_with("No browser could be opened. If your browser is on another machine")
    });
    drop(running.stdin.take());
    running.wait_for_line(|line| line.starts_with("Stdin has ended, so no URL can be pasted"));
    get(&authorize(&authorization_url, Consent::Allow));
    let finished = running.finish().assert_exit(0);
    assert_eq!(finished.stdout, "Signed in to linear.\n");
}

/// The sign-in is stored even if the program cannot print the result. The test learns the URL from the browser, so not on Windows.
#[cfg(unix)]
#[test]
fn closed_output_prints_no_error_and_does_not_undo_the_login() {
    let Some(auth_server) = AuthorizationServer::start(
        "login::closed_output_prints_no_error_and_does_not_undo_the_login",
    ) else {
        return;
    };
    let user = user_of(&[("linear", &auth_server.mcp_url("linear"))]);
    let browser = Browser::of(&user);
    let mut running = login(&user, "linear").browser(&browser).spawn();
    drop(running.child.stdout.take());
    drop(running.child.stderr.take());
    get(&authorize(&browser.opened_url(), Consent::Allow));
    assert_eq!(running.child.wait().unwrap().code(), Some(141));
    assert!(user.records().contains_key("linear"));
    for arguments in [
        &["status"][..],
        &["status", "--format", "json"],
        &["logout", "linear"],
    ] {
        let (code, stderr) = user.program(arguments).spawn().close_stdout();
        // The program may write its output before the reading end of the pipe is closed.
        assert!(matches!(code, Some(0 | 141)), "{arguments:?}");
        assert_eq!(stderr, "", "{arguments:?}");
    }
}
