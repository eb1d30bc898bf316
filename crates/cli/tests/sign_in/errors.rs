//! `login`, `logout` and `status` for servers that have no sign-in, and the exit statuses in their help.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use crate::harness::configuration::{FILE_STORE, entry, steps, url};
use crate::harness::lab::lab;
use crate::harness::user::User;

/// The time-out applies before a browser opens too.
#[test]
fn a_server_that_does_not_respond_ends_a_login_in_time() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url_of = format!("http://{}/mcp", silent.local_addr().unwrap());
    let user = User::with(&format!("{FILE_STORE}{}", entry("silent", &url(&url_of))));
    let began = Instant::now();
    let finished = user
        .program(&["login", "silent", "--timeout", "2", "--no-browser"])
        .finish()
        .assert_exit(1);
    let expected = format!(
        "error: the server at {url_of} did not respond within 2 s, so no sign-in was started: try again later, or allow more time with `--timeout`\n"
    );
    assert_eq!(finished.stderr, expected);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn commands_explain_why_a_server_has_no_sign_in() {
    let lab = lab();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let unreachable = format!("http://{}/mcp", closed.local_addr().unwrap());
    drop(closed);
    let entries = [
        entry("program", &steps(&["exit", "1"])),
        entry(
            "key",
            &format!(
                "{}\nhttp_headers = {{ Authorization = \"Bearer k\" }}",
                url(&lab.url("ready"))
            ),
        ),
        entry(
            "token",
            &format!(
                "{}\nbearer_token_env_var = \"TOKEN\"",
                url(&lab.url("ready"))
            ),
        ),
        entry("broken", "url = \"no URL\""),
        entry("open", &url(&lab.url("api-key"))),
        entry("gone", &url(&unreachable)),
    ];
    let user = User::with(&format!("{FILE_STORE}{}", entries.concat()));
    for (command, name, code, message) in [
        (
            "login",
            "no\u{1b}[31mbody",
            2,
            "no client has a server `no\\u{1b}[31mbody`; ",
        ),
        (
            "logout",
            "unknown",
            2,
            "the configured servers are: broken, gone, key, open, program, token\n",
        ),
        ("status", "unknown", 2, "no client has a server `unknown`; "),
        (
            "login",
            "program",
            2,
            "error: program: this server is a program on this machine",
        ),
        (
            "logout",
            "program",
            2,
            "error: program: this server is a program on this machine",
        ),
        (
            "login",
            "key",
            2,
            "error: key: the configuration has a token or an `Authorization` header",
        ),
        (
            "login",
            "token",
            2,
            "error: token: the configuration has a token",
        ),
        ("login", "broken", 2, "error: broken: "),
        (
            "login",
            "open",
            1,
            "error: the server does not offer a sign-in",
        ),
        ("login", "gone", 1, "try again later"),
    ] {
        let finished = user
            .program(&[command, name])
            .env("TOKEN", "t")
            .finish()
            .assert_exit(code);
        assert_eq!(finished.stdout, "", "{command} {name}");
        assert!(
            finished.stderr.contains(message),
            "{command} {name}: {finished:#?}"
        );
    }
    let finished = user.program(&["logout", "key"]).finish().assert_exit(0);
    assert_eq!(finished.stdout, "You were not signed in to key.\n");
    // A value that is not a word may be a secret, or change the terminal.
    let broken = User::with(
        "mcp_oauth_credentials_store = \"\\u001b[31m\"\n[mcp_servers.a]\nurl = \"http://127.0.0.1:1/mcp\"\n",
    );
    let logout = broken.program(&["logout", "a"]).finish().assert_exit(1);
    let status = broken.program(&["status", "a"]).finish().assert_exit(1);
    for output in [&logout.stderr, &status.stdout] {
        assert!(output.contains("(…)"), "{output}");
        assert!(!output.contains("[31m"), "{output}");
    }
}

#[test]
fn help_lists_the_exit_statuses_of_login_logout_and_status() {
    for (command, codes) in [
        ("login", &[0, 1, 2, 130, 141][..]),
        ("logout", &[0, 1, 2, 130, 141]),
        ("status", &[0, 1, 2, 130, 141]),
    ] {
        let finished = User::new()
            .program(&[command, "--help"])
            .finish()
            .assert_exit(0);
        let (_, statuses) = finished.stdout.split_once("Exit status:\n").unwrap();
        let listed = statuses
            .lines()
            .map(|line| line.split_whitespace().next().unwrap());
        let listed: Vec<i32> = listed.map(|code| code.parse().unwrap()).collect();
        assert_eq!(listed, codes, "{command}");
    }
}
