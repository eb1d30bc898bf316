//! Signing in and out, and what `status` says of it: the program against a real authorization server that registers clients,
//! rotates refresh tokens and revokes them (npm `oidc-provider`).
//!
//! The browser is the test itself, by HTTP; once it is Chromium, with a person before it.

#![cfg(unix)]
#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod harness;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdin, Command, Stdio};

use harness::oidc::{
    Browser, Oidc, Says, eventually, executable, get, installed, send, sign_in_at,
};
use harness::{
    Answering, Asked, Done, Run, Server, Started, User, entry, lab, now_ms, others, shell, skip,
    url,
};
use mcp_startup::StartupTracker;
use serde_json::{Value, json};

const FILE_STORE: &str = "mcp_oauth_credentials_store = \"file\"\n";

/// A user with servers at these URLs, and with records of others in the file.
fn user_of(servers: &[(&str, &str)]) -> User {
    let entries: String = servers
        .iter()
        .map(|(name, at)| entry(name, &url(at)))
        .collect();
    let user = User::with(&format!("{FILE_STORE}{entries}"));
    user.store(others());
    user
}

/// `login SERVER`, which does not wait for ever.
fn login(user: &User, name: &str) -> Run {
    user.program(&["login", name, "--timeout", "60"])
}

fn status(user: &User, more: &[&str]) -> Done {
    let done = user.program(&[&["status"], more].concat()).done();
    assert_eq!(done.stderr, "");
    done.ended_with(0)
}

/// The status of the one server of this name, as JSON.
fn status_of(user: &User, name: &str, more: &[&str]) -> Value {
    let more = [&["--format", "json", name], more].concat();
    status(user, &more).server(name)
}

fn kind_of_failure(user: &User, name: &str) -> Option<String> {
    let server = user.check("json").arg(name).done().server(name);
    (server["status"] != "ready").then(|| server["failure"]["kind"].as_str().unwrap().to_owned())
}

/// A run of the program that goes on while the test does something.
struct Running {
    child: Started,
    stdin: Option<ChildStdin>,
    stderr: BufReader<ChildStderr>,
    read: String,
}

impl Running {
    fn start(run: Run) -> Self {
        let mut child = run.spawn_with(Stdio::piped());
        Self {
            stdin: child.0.stdin.take(),
            stderr: BufReader::new(child.0.stderr.take().unwrap()),
            child,
            read: String::new(),
        }
    }

    /// Reads stderr to the first line that is so.
    fn line(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        loop {
            let mut line = String::new();
            let count = self.stderr.read_line(&mut line).unwrap();
            assert_ne!(count, 0, "stderr has ended:\n{}", self.read);
            self.read.push_str(&line);
            if is_it(line.trim()) {
                return line.trim().to_owned();
            }
        }
    }

    /// The URL that is printed.
    fn url(&mut self) -> String {
        self.line(|line| line.starts_with("http"))
    }

    fn paste(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn signal(&self, signal: &str) {
        let process = self.child.0.id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.unwrap().success());
    }

    fn end(mut self) -> Done {
        drop(self.stdin.take());
        self.stderr.read_to_string(&mut self.read).unwrap();
        let mut stdout = String::new();
        let mut pipe = self.child.0.stdout.take().unwrap();
        pipe.read_to_string(&mut stdout).unwrap();
        Done {
            code: self.child.0.wait().unwrap().code(),
            stdout,
            stderr: self.read.clone(),
            peak_mb: 0.0,
        }
    }
}

/// Signs in, with the test as the browser.
fn signs_in(user: &User, name: &str) {
    let browser = Browser::of(user);
    let running = Running::start(login(user, name).browser(&browser));
    let page = get(&sign_in_at(&browser.url(), Says::Allow));
    assert_eq!(page.status, 200, "{page:?}");
    let done = running.end().ended_with(0);
    assert_eq!(done.stdout, format!("Signed in to {name}.\n"));
}

#[test]
fn sign_in_check_refresh_sign_out() {
    let Some(oidc) = Oidc::start("sign_in_check_refresh_sign_out") else {
        return;
    };
    let server = oidc.mcp("linear");
    let user = user_of(&[("linear", &server)]);
    assert_eq!(status_of(&user, "linear", &[])["authStatus"], json!(null));
    assert_eq!(oidc.requests(), 0, "without --online nothing is sent");
    let asked = status_of(&user, "linear", &["--online"]);
    assert_eq!(asked["authStatus"], "notLoggedIn");
    user.check("table").done().ended_with(3);
    assert_eq!(
        kind_of_failure(&user, "linear").as_deref(),
        Some("signInRequired")
    );

    let browser = Browser::of(&user);
    let running = Running::start(login(&user, "linear").browser(&browser));
    let opened = browser.url();
    let came_back = sign_in_at(&opened, Says::Allow);
    assert!(came_back.starts_with("http://127.0.0.1:"), "{came_back}");
    let page = get(&came_back);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<title>Signed in</title>"), "{page:?}");
    let done = running.end().ended_with(0);
    assert_eq!(done.stdout, "Signed in to linear.\n");
    assert!(done.stderr.contains(&opened), "{done:#?}");
    // All that matters is in the request (RFC 7636, RFC 8707), and nothing secret is printed.
    for parameter in [
        "response_type=code",
        "code_challenge_method=S256",
        "scope=mcp%3Atools+offline_access",
        "prompt=consent",
    ] {
        assert!(opened.contains(parameter), "{opened}");
    }
    assert!(opened.contains(&format!(
        "resource=http%3A%2F%2F{}%2Flinear%2Fmcp",
        oidc.base[7..].replace(':', "%3A")
    )));
    let record = user.records().remove("linear").unwrap();
    let text = |field: &str| record[field].as_str().unwrap().to_owned();
    for secret in ["access_token", "refresh_token"] {
        assert!(!done.all().contains(&text(secret)));
    }
    assert_eq!(record["server_url"], server);
    assert_eq!(record["issuer"], oidc.base);
    assert_ne!(
        record["client_id"], "client-1",
        "a client of its own is registered"
    );
    user.assert_others_untouched();

    user.check("table").done().ended_with(0);
    oidc.ask(
        "POST",
        "/test/expire",
        json!({"accessToken": text("access_token")}),
    );
    user.check("table").done().ended_with(0);
    let renewed = user.records().remove("linear").unwrap();
    assert_ne!(
        renewed["refresh_token"], record["refresh_token"],
        "it rotates"
    );
    assert_eq!(oidc.stats()["refreshes"], 1);

    let access_token = renewed["access_token"].as_str().unwrap();
    assert_eq!(oidc.status_for(&server, access_token), 200);
    let done = user.program(&["logout", "linear"]).done().ended_with(0);
    assert_eq!(
        done.stdout,
        "Signed out of linear: nothing is stored any more, and what was granted is revoked.\n"
    );
    assert_eq!(done.stderr, "");
    assert_eq!(oidc.status_for(&server, access_token), 401);
    assert_eq!(user.records().len(), others().len());
    user.assert_others_untouched();
    assert_eq!(
        kind_of_failure(&user, "linear").as_deref(),
        Some("signInRequired")
    );
    let done = user.program(&["logout", "linear"]).done().ended_with(0);
    assert_eq!(done.stdout, "You were not signed in to linear.\n");
}

#[test]
fn status_says_what_is_stored_and_sends_nothing() {
    let Some(oidc) = Oidc::start("status_says_what_is_stored_and_sends_nothing") else {
        return;
    };
    let user = user_of(&[]);
    let at = |name: &str| entry(name, &url(&oidc.mcp(name)));
    let lab = lab();
    let entries = [
        at("good"),
        at("old"),
        at("over"),
        at("forever"),
        at("none"),
        entry("odd name", &url(&oidc.mcp("odd"))),
        entry(
            "key",
            &format!(
                "{}\nhttp_headers = {{ Authorization = \"Bearer k\" }}",
                url(&oidc.mcp("key"))
            ),
        ),
        entry("program", &shell("exit 1")),
        entry("broken", "url = \"no URL\""),
        entry("open", &url(&lab.url("api-key"))),
        entry("gone", &url("http://127.0.0.1:1/mcp")),
        entry(
            "disabled",
            &format!("{}\nenabled = false", url(&oidc.mcp("disabled"))),
        ),
    ];
    user.write(
        "home/.codex/config.toml",
        format!("{FILE_STORE}{}", entries.concat()),
    );
    let record = |name: &str, more: Value| {
        let mut record = json!({
            "server_name": name, "server_url": oidc.mcp(name.split(' ').next().unwrap()), "client_id": "c",
            "access_token": format!("secret-{name}"), "refresh_token": null, "scopes": [],
        });
        record
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        record
    };
    let in_days = |days: i64| now_ms() + days * 86_400_000 + 3_600_000;
    let expires_at = in_days(3);
    user.store([
        record("good", json!({"expires_at": expires_at, "refresh_token": "secret", "scopes": ["a", "b\u{9b}2J"], "issuer": oidc.base})),
        record("old", json!({"expires_at": 1000, "refresh_token": "secret", "issuer": oidc.base})),
        record("over", json!({"expires_at": 1000})),
        record("odd name", json!({"expires_at": 1000})),
        record("forever", json!({})),
    ]);
    let done = status(&user, &[]);
    let nothing = "nothing is stored; whether it offers a sign-in shows with --online";
    let lines = [
        "✓ good      signed in (file); the token is good for 3 days".to_owned(),
        "✓ old       signed in (file); the token has expired, and the next start renews it"
            .to_owned(),
        "! over      sign-in expired (file): run `mcp-startup login over`".to_owned(),
        "✓ forever   signed in (file); when the token expires is not known".to_owned(),
        format!("- none      {nothing}"),
        "! odd name  sign-in expired (file): run `mcp-startup login 'odd name'`".to_owned(),
        "✓ key       the configuration carries its token".to_owned(),
        "- program   a program on this machine: nothing to sign in to".to_owned(),
        "✗ broken    its entry in the configuration can't be used: `mcp-startup check` says why"
            .to_owned(),
        format!("- open      {nothing}"),
        format!("- gone      {nothing}"),
    ];
    assert_eq!(done.stdout.lines().collect::<Vec<_>>(), lines);
    let coloured = user.program(&["status"]).env("CLICOLOR_FORCE", "1");
    assert!(coloured.done().stdout.contains("\u{1b}[32m✓\u{1b}[0m good"));
    let plain = user
        .program(&["status"])
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1");
    assert_eq!(plain.done().stdout, done.stdout);

    let done = status(&user, &["disabled", "good", "--format", "json"]);
    let wanted = format!(
        r#"{{
  "configuration": "{}",
  "servers": [
    {{
      "name": "good",
      "transport": "http",
      "authStatus": "oAuth",
      "stored": {{
        "store": "file",
        "accessToken": "good",
        "refreshToken": true,
        "expiresAtMs": {expires_at},
        "scopes": [
          "a",
          "b\u009b2J"
        ],
        "issuer": "{}"
      }},
      "storeError": null
    }},
    {{
      "name": "disabled",
      "transport": "http",
      "authStatus": null,
      "stored": null,
      "storeError": null
    }}
  ]
}}
"#,
        user.config().display(),
        oidc.base
    );
    assert_eq!(done.stdout, wanted);
    assert_eq!(
        done.json()["servers"][0]["stored"]["scopes"][1],
        "b\u{9b}2J"
    );
    let kinds = [
        "good", "old", "over", "forever", "none", "odd name", "key", "program", "broken",
    ];
    let said = kinds.map(|name| status_of(&user, name, &[])["authStatus"].clone());
    let said: Vec<_> = said
        .iter()
        .map(|status| status.as_str().unwrap_or("-"))
        .collect();
    assert_eq!(
        said,
        [
            "oAuth",
            "oAuth",
            "-",
            "oAuth",
            "-",
            "-",
            "bearerToken",
            "unsupported",
            "-"
        ]
    );
    assert_eq!(
        status_of(&user, "over", &[])["stored"]["accessToken"],
        "expired"
    );
    assert_eq!(oidc.requests(), 0);

    let done = status(&user, &["--online", "none", "over", "open", "gone"]);
    let lines = [
        "! over  sign-in expired (file): run `mcp-startup login over`",
        "! none  not signed in: run `mcp-startup login none`",
        "- open  offers no sign-in",
        "- gone  nothing is stored, and whether it offers a sign-in could not be found out now",
    ];
    assert_eq!(done.stdout.lines().collect::<Vec<_>>(), lines);
    assert_eq!(
        status_of(&user, "over", &["--online"])["authStatus"],
        "notLoggedIn"
    );
    assert_ne!(oidc.requests(), 0);

    user.write("home/.codex/.credentials.json", "{\"");
    let done = user
        .program(&["status", "good", "key"])
        .done()
        .ended_with(1);
    assert!(
        done.stdout
            .starts_with("✗ good  the credential store (file) can't be used: "),
        "{done:#?}"
    );
    assert!(
        done.stdout
            .ends_with("\n✓ key   the configuration carries its token\n"),
        "{done:#?}"
    );
    let json = user
        .program(&["status", "good", "--format", "json"])
        .done()
        .ended_with(1);
    assert!(
        json.server("good")["storeError"]
            .as_str()
            .unwrap()
            .contains("(file)")
    );
    let done = user.program(&["logout", "good"]).done().ended_with(1);
    assert!(
        done.stderr
            .starts_with("error: the credential store (file) can't be used: "),
        "{done:#?}"
    );
}

#[test]
fn a_pasted_url_finishes_it_and_wrong_ones_do_not_end_it() {
    let Some(oidc) = Oidc::start("a_pasted_url_finishes_it_and_wrong_ones_do_not_end_it") else {
        return;
    };
    let user = user_of(&[("linear", &oidc.mcp("linear"))]);
    let browser = Browser::of(&user);
    let run = login(&user, "linear").arg("--no-browser").browser(&browser);
    let mut running = Running::start(run);
    let asked = running.url();
    let hint = running.line(|line| line.contains("paste it here"));
    assert!(
        hint.starts_with("If the browser is on another machine"),
        "{hint}"
    );
    let right = sign_in_at(&asked, Says::Allow);
    let state = |url: &str| {
        url.split("state=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap()
            .to_owned()
    };
    for (wrong, says) in [
        ("what is this?".to_owned(), "it is no URL"),
        (asked.clone(), "it does not begin with http://127.0.0.1:"),
        (
            right.replace(&state(&right), "another"),
            "it belongs to another sign-in",
        ),
        (right.replace("code=", "cod="), "it has no `code`"),
        (
            right.replace("iss=", "iss=http%3A%2F%2Fevil.example%2F&i="),
            "another authorization server",
        ),
        ("\u{1b}[31m\u{9b}2J\u{202e}".to_owned(), "it is no URL"),
    ] {
        running.paste(&wrong);
        running.line(|line| line.contains(says));
    }
    running
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"\xff\xfe\n\n")
        .unwrap();
    running.line(|line| line.contains("it is no URL"));
    running.paste(&format!("  {right} \r"));
    let done = running.end().ended_with(0);
    assert_eq!(done.stdout, "Signed in to linear.\n");
    assert!(
        !done.stderr.contains("URL: "),
        "there is no terminal: {done:#?}"
    );
    assert!(
        !user.path("temporary/opened").exists(),
        "no browser is opened"
    );
    assert_eq!(kind_of_failure(&user, "linear"), None);
}

/// Whoever calls at the listener, the sign-in goes on until its own answer comes.
#[test]
fn wrong_calls_at_the_listener_do_not_end_it() {
    let Some(oidc) = Oidc::start("wrong_calls_at_the_listener_do_not_end_it") else {
        return;
    };
    let user = user_of(&[("linear", &oidc.mcp("linear"))]);
    let browser = Browser::of(&user);
    let running = Running::start(login(&user, "linear").browser(&browser));
    let right = sign_in_at(&browser.url(), Says::Allow);
    let (callback, query) = right.split_once('?').unwrap();
    let base = callback.strip_suffix("/callback").unwrap();
    for (url, wanted) in [
        (format!("{base}/"), 404),
        (format!("{base}/favicon.ico"), 404),
        (format!("{callback}/?{query}"), 404),
        (callback.to_owned(), 400),
        (format!("{callback}?code=stolen&state=guessed"), 400),
        (format!("{callback}?error=access_denied&state=guessed"), 400),
        (
            format!("{callback}?error=access_denied&error_description=%1B%5B31m"),
            400,
        ),
    ] {
        let answer = get(&url);
        assert_eq!(answer.status, wanted, "{url}: {answer:?}");
        assert!(!answer.body.contains("Signed in"), "{answer:?}");
    }
    assert_eq!(send("POST", &right, &[], "").status, 405);
    assert_eq!(user.records().len(), others().len());
    assert_eq!(get(&right).status, 200);
    let done = running.end().ended_with(0);
    // Said once, however often somebody calls.
    let said = done
        .stderr
        .matches("this is not the answer to the sign-in to linear")
        .count();
    assert_eq!(said, 1, "{done:#?}");
    assert_eq!(kind_of_failure(&user, "linear"), None);
}

#[test]
fn a_sign_in_that_comes_to_nothing_changes_nothing() {
    let Some(oidc) = Oidc::start("a_sign_in_that_comes_to_nothing_changes_nothing") else {
        return;
    };
    let user = user_of(&[("linear", &oidc.mcp("linear"))]);
    signs_in(&user, "linear");
    let before = std::fs::read(user.path("home/.codex/.credentials.json")).unwrap();
    let unchanged = || {
        let now = std::fs::read(user.path("home/.codex/.credentials.json")).unwrap();
        assert!(now == before);
    };
    let browser = Browser::of(&user);
    let begin = || Running::start(login(&user, "linear").browser(&browser));

    // Denied, by the button and with words that steer a terminal.
    for steers in [false, true] {
        let running = begin();
        let asked = browser.url();
        let mut came_back = sign_in_at(&asked, Says::Deny);
        if steers {
            came_back = came_back.replace("_description=the", "_description=%1B%5B31mthe%C2%9B");
        }
        let page = get(&came_back);
        assert!(
            page.body.contains("<title>Sign-in ended</title>"),
            "{page:?}"
        );
        let done = running.end().ended_with(1);
        let why = match steers {
            true => "\\u{1b}[31mthe\\u{9b} user has said no",
            false => "the user has said no",
        };
        let wanted =
            format!("error: the sign-in to linear was not granted (access_denied: {why})\n");
        assert!(done.stderr.ends_with(&wanted), "{done:#?}");
        assert_eq!(done.stdout, "");
        unchanged();
    }
    // A code that is good for nothing.
    let running = begin();
    let came_back = sign_in_at(&browser.url(), Says::Allow);
    let page = get(&came_back.replace("code=", "code=x"));
    assert!(
        page.body.contains("<title>Sign-in ended</title>"),
        "{page:?}"
    );
    let done = running.end().ended_with(1);
    assert!(
        done.stderr.contains("gave no token (invalid_grant)"),
        "{done:#?}"
    );
    unchanged();
    // Nobody comes.
    let run = user
        .program(&["login", "linear", "--timeout", "1"])
        .browser(&browser);
    let done = run.done().ended_with(1);
    let wanted = "error: nobody came back from the sign-in to linear within 1 s, and nothing was changed; try again, or give it more time with --timeout\n";
    assert!(done.stderr.ends_with(wanted), "{done:#?}");
    browser.url();
    unchanged();
    // Given up.
    for signal in ["-INT", "-TERM"] {
        let running = begin();
        browser.url();
        running.signal(signal);
        let done = running.end().ended_with(130);
        assert_eq!(done.stdout, "");
        assert!(!done.stderr.contains("error"), "{done:#?}");
        unchanged();
    }
    assert_eq!(kind_of_failure(&user, "linear"), None);
    // Nothing of it was refused or used: those were no refreshes.
    assert_eq!(oidc.stats()["refreshes"], 0);
}

#[test]
fn the_port_is_the_users_choice() {
    let Some(oidc) = Oidc::start("the_port_is_the_users_choice") else {
        return;
    };
    let user = user_of(&[("linear", &oidc.mcp("linear"))]);
    let browser = Browser::of(&user);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let run = || {
        login(&user, "linear")
            .browser(&browser)
            .arg("--port")
            .arg(&port.to_string())
    };
    let done = run().done().ended_with(1);
    let wanted = format!(
        "error: can't listen on 127.0.0.1:{port}, where the browser would come back to: Address already in use"
    );
    assert!(done.stderr.starts_with(&wanted), "{done:#?}");
    assert!(done.stderr.contains("choose another --port"), "{done:#?}");
    assert_eq!(oidc.requests(), 0, "nothing is begun");
    drop(taken);
    let running = Running::start(run());
    let came_back = sign_in_at(&browser.url(), Says::Allow);
    assert!(
        came_back.starts_with(&format!("http://127.0.0.1:{port}/callback?")),
        "{came_back}"
    );
    get(&came_back);
    running.end().ended_with(0);
}

#[test]
fn two_sign_ins_at_once_do_not_disturb_each_other() {
    let Some(oidc) = Oidc::start("two_sign_ins_at_once_do_not_disturb_each_other") else {
        return;
    };
    let names = ["linear", "github"];
    let user = user_of(
        &names
            .map(|name| (name, oidc.mcp(name)))
            .each_ref()
            .map(|(name, at)| (*name, at.as_str())),
    );
    let mut running = names.map(|name| Running::start(login(&user, name).arg("--no-browser")));
    let asked = running.each_mut().map(Running::url);
    let [linear, github] = asked.map(|url| sign_in_at(&url, Says::Allow));
    // Each is the answer to one of them, and the later is done first.
    running[1].paste(&linear);
    running[1].line(|line| line.contains("it does not begin with"));
    assert_eq!(get(&github).status, 200);
    assert_eq!(get(&linear).status, 200);
    for (running, name) in running.into_iter().zip(names) {
        let done = running.end().ended_with(0);
        assert_eq!(done.stdout, format!("Signed in to {name}.\n"));
    }
    user.check("table").done().ended_with(0);
    user.assert_others_untouched();
    assert_eq!(user.records().len(), 2 + others().len());
}

#[test]
fn what_can_not_be_signed_in_to_is_said() {
    let lab = lab();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let gone = format!("http://{}/mcp", closed.local_addr().unwrap());
    drop(closed);
    let entries = [
        entry("program", &shell("exit 1")),
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
        entry("gone", &url(&gone)),
    ];
    let user = User::with(&format!("{FILE_STORE}{}", entries.concat()));
    for (command, name, code, says) in [
        (
            "login",
            "no\u{1b}[31mbody",
            2,
            "there is no server `no\\u{1b}[31mbody` in ",
        ),
        (
            "logout",
            "nobody",
            2,
            "it configures: program, key, token, broken, open, gone\n",
        ),
        ("status", "nobody", 2, "there is no server `nobody` in "),
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
            "error: key: the configuration carries a token or an `Authorization` header",
        ),
        (
            "login",
            "token",
            2,
            "error: token: the configuration carries a token",
        ),
        ("login", "broken", 2, "error: broken: "),
        ("login", "open", 1, "error: the server offers no sign-in"),
        ("login", "gone", 1, "try again later"),
    ] {
        let done = user
            .program(&[command, name])
            .env("TOKEN", "t")
            .done()
            .ended_with(code);
        assert_eq!(done.stdout, "", "{command} {name}");
        assert!(done.stderr.contains(says), "{command} {name}: {done:#?}");
    }
    let done = user.program(&["logout", "key"]).done().ended_with(0);
    assert_eq!(done.stdout, "You were not signed in to key.\n");
    let broken = User::with(
        "mcp_oauth_credentials_store = \"\\u001b[31m\"\n[mcp_servers.a]\nurl = \"http://127.0.0.1:1/mcp\"\n",
    );
    let done = broken.program(&["logout", "a"]).done().ended_with(1);
    assert!(done.stderr.contains("\\u{1b}[31m"), "{done:#?}");
    assert!(
        broken
            .program(&["status", "a"])
            .done()
            .ended_with(1)
            .stdout
            .contains("\\u{1b}[31m")
    );
}

#[test]
fn the_exit_statuses_of_signing_in_and_out_stand_in_the_help() {
    for (command, codes) in [
        ("login", &[0, 1, 2, 130, 141][..]),
        ("logout", &[0, 1, 2, 130, 141]),
        ("status", &[0, 1, 2, 130, 141]),
    ] {
        let done = User::new()
            .program(&[command, "--help"])
            .done()
            .ended_with(0);
        let (_, statuses) = done.stdout.split_once("Exit status:\n").unwrap();
        let said = statuses
            .lines()
            .map(|line| line.split_whitespace().next().unwrap());
        let said: Vec<i32> = said.map(|code| code.parse().unwrap()).collect();
        assert_eq!(said, codes, "{command}");
    }
}

/// Without a browser, and without anything to paste from, the URL is printed, and a browser of this machine can come back.
#[test]
fn a_missing_browser_and_a_closed_stdin_are_no_end() {
    let Some(oidc) = Oidc::start("a_missing_browser_and_a_closed_stdin_are_no_end") else {
        return;
    };
    let user = user_of(&[("linear", &oidc.mcp("linear"))]);
    let run = login(&user, "linear").env("PATH", user.path("here"));
    let run = run.env("BROWSER", user.path("no-browser"));
    let mut running = Running::start(run);
    let asked = running.url();
    running.line(|line| {
        line.starts_with("No browser could be opened here. If the browser is on another machine")
    });
    drop(running.stdin.take());
    running.line(|line| line.starts_with("Nothing more can be pasted here"));
    get(&sign_in_at(&asked, Says::Allow));
    let done = running.end().ended_with(0);
    assert_eq!(done.stdout, "Signed in to linear.\n");
}

/// The sign-in counts, whoever reads of it.
#[test]
fn a_closed_pipe_is_quiet() {
    let Some(oidc) = Oidc::start("a_closed_pipe_is_quiet") else {
        return;
    };
    let user = user_of(&[("linear", &oidc.mcp("linear"))]);
    let browser = Browser::of(&user);
    let mut child = login(&user, "linear").browser(&browser).spawn();
    drop(child.0.stdout.take());
    drop(child.0.stderr.take());
    get(&sign_in_at(&browser.url(), Says::Allow));
    assert_eq!(child.0.wait().unwrap().code(), Some(141));
    assert!(user.records().contains_key("linear"));
    for arguments in [
        &["status"][..],
        &["status", "--format", "json"],
        &["logout", "linear"],
    ] {
        let (code, stderr) = user.program(arguments).spawn().closed();
        // What it prints may be in the pipe before the other end is closed.
        assert!(matches!(code, Some(0 | 141)), "{arguments:?}");
        assert_eq!(stderr, "", "{arguments:?}");
    }
}

/// Where a server has no revocation, or it fails, the record goes all the same, and that is said.
#[test]
fn a_logout_without_revocation_removes_all_the_same() {
    for (revocation, says) in [
        (
            None,
            "its sign-in service offers no revocation, so what was granted ends when it expires",
        ),
        (
            Some(503),
            "what was granted could not be revoked, and ends when it expires",
        ),
    ] {
        let server = Server::start(move |asked: &Asked, answer: &mut Answering<'_>| {
            let issuer = format!("http://{}", asked.header("host"));
            match asked.path.as_str() {
                "/.well-known/oauth-authorization-server" => {
                    let mut metadata = json!({
                        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                        "token_endpoint": format!("{issuer}/token"), "response_types_supported": ["code"],
                        "code_challenge_methods_supported": ["S256"],
                    });
                    if revocation.is_some() {
                        metadata["revocation_endpoint"] = json!(format!("{issuer}/revoke"));
                    }
                    answer.json(&metadata)
                }
                "/revoke" => answer.text(revocation.unwrap(), "text/plain", "\u{1b}[31mno"),
                _ => answer.text(404, "text/plain", ""),
            }
        });
        let user = user_of(&[("linear", &server.url())]);
        let record = json!({
            "server_name": "linear", "server_url": server.url(), "issuer": server.base(), "client_id": "c",
            "access_token": "a", "refresh_token": "r", "scopes": [],
        });
        user.store(others().into_iter().chain([record]));
        let done = user.program(&["logout", "linear"]).done().ended_with(0);
        assert_eq!(
            done.stdout,
            format!("Signed out of linear: nothing is stored any more, and {says}.\n")
        );
        assert_eq!(user.records().len(), others().len());
        user.assert_others_untouched();
    }
}

/// Runs a program on a terminal, with what comes to stdin as its keys.
const ON_A_TERMINAL: &str = "
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
";

#[test]
fn on_a_terminal_it_asks_for_the_url() {
    let test = "on_a_terminal_it_asks_for_the_url";
    let Some(oidc) = Oidc::start(test) else {
        return;
    };
    let has_terminals = Command::new("python3").args(["-c", "import pty"]).status();
    if !has_terminals.is_ok_and(|status| status.success()) {
        return skip("sign_in", test, "no python3 to open a terminal with");
    }
    let user = user_of(&[("linear", &oidc.mcp("linear"))]);
    // What comes from a terminal is all on one way: its stdout.
    let begin = || {
        let run = login(&user, "linear")
            .arg("--no-browser")
            .env("TERM", "xterm-256color");
        let mut child = run
            .through(&["python3", "-c", ON_A_TERMINAL])
            .spawn_with(Stdio::piped());
        let keys = child.0.stdin.take().unwrap();
        let mut screen = Screen {
            from: child.0.stdout.take().unwrap(),
            text: String::new(),
        };
        screen.until("URL: ");
        (child, keys, screen)
    };
    let url_of = |screen: &Screen| {
        let mut lines = screen.text.lines();
        lines
            .find_map(|line| {
                line.trim()
                    .strip_prefix("http")
                    .map(|rest| format!("http{rest}"))
            })
            .unwrap()
    };

    let (mut child, mut keys, mut screen) = begin();
    let came_back = sign_in_at(&url_of(&screen), Says::Allow);
    keys.write_all(b"hello\n").unwrap();
    screen.until("it is no URL\r\nURL: ");
    keys.write_all(format!("{came_back}\n").as_bytes()).unwrap();
    screen.until("Signed in to linear.\r\n");
    assert!(child.0.wait().unwrap().success());
    assert!(!screen.text.contains('\u{1b}'), "{}", screen.text);

    // The browser comes back by itself: what is said begins a line.
    let (mut child, _keys, mut screen) = begin();
    get(&sign_in_at(&url_of(&screen), Says::Allow));
    screen.until("URL: \r\nSigned in to linear.\r\n");
    assert!(child.0.wait().unwrap().success());

    // Ctrl-C.
    let (mut child, mut keys, mut screen) = begin();
    keys.write_all(b"\x03").unwrap();
    screen.until("URL: ^C\r\n");
    assert_eq!(child.0.wait().unwrap().code(), Some(130));
}

/// What has come to a terminal.
struct Screen {
    from: std::process::ChildStdout,
    text: String,
}

impl Screen {
    fn until(&mut self, wanted: &str) {
        while !self.text.ends_with(wanted) {
            let mut byte = [0; 4096];
            let count = self.from.read(&mut byte).unwrap();
            assert_ne!(count, 0, "no {wanted:?} in {:?}", self.text);
            self.text
                .push_str(std::str::from_utf8(&byte[..count]).unwrap());
        }
    }
}

/// What `check --format ndjson` says: its lines, and of those the ones that carry a reason.
fn said(done: &Done) -> (Vec<Value>, Vec<Value>) {
    let lines: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let reasoned = lines
        .iter()
        .filter(|line| !line["params"]["failureReason"].is_null());
    let reasoned = reasoned.map(|line| line["params"].clone()).collect();
    (lines, reasoned)
}

/// All of it, in one go.
#[test]
fn the_story_of_a_revoked_grant() {
    let Some(oidc) = Oidc::start("the_story_of_a_revoked_grant") else {
        return;
    };
    let lab = lab();
    let user = user_of(&[
        ("linear", &oidc.mcp("linear")),
        ("open", &lab.url("ready")),
        ("keyed", &lab.url("api-key")),
    ]);
    let check = || user.check("ndjson").done();

    // The first start: a sign-in is asked for, and that is no reason to ask for one *again*.
    let first = check().ended_with(3);
    let (lines, reasoned) = said(&first);
    assert_eq!((lines.len(), reasoned.len()), (6, 0), "{lines:#?}");
    assert_eq!(
        kind_of_failure(&user, "linear").as_deref(),
        Some("signInRequired")
    );

    signs_in(&user, "linear");
    assert_eq!(kind_of_failure(&user, "linear"), None);

    // The grant is revoked.
    let record = user.records().remove("linear").unwrap();
    oidc.revoke(&record);
    let (lines, reasoned) = said(&check().ended_with(3));
    assert_eq!(lines.len(), 6);
    let [reason] = &reasoned[..] else {
        panic!("one notification has a reason: {reasoned:#?}");
    };
    assert_eq!(reason["name"], "linear");
    assert_eq!(reason["status"], "failed");
    assert_eq!(reason["failureReason"], "reauthenticationRequired");
    assert_eq!(user.records()["linear"], record, "nothing is deleted");

    // A host that runs: it is told, and recovers by itself once the user has signed in, in another process.
    let mut tracker = StartupTracker::default();
    let (mut prompts, mut states) = (Vec::new(), Vec::new());
    let mut host = user.check("ndjson").arg("--watch").spawn();
    let mut stdout = BufReader::new(host.0.stdout.take().unwrap());
    let mut hear = |until: &str| loop {
        let mut line = String::new();
        assert_ne!(
            stdout.read_line(&mut line).unwrap(),
            0,
            "it has ended: {states:?}"
        );
        let applied = tracker.apply_lines(line.as_bytes());
        assert!(applied.errors.is_empty(), "{line}");
        prompts.extend(applied.prompts);
        let said: Value = serde_json::from_str(&line).unwrap();
        if said["params"]["name"] == "linear" {
            let status = said["params"]["status"].as_str().unwrap().to_owned();
            states.push(status.clone());
            if status == until {
                return (states.clone(), prompts.clone(), tracker.clone());
            }
        }
    };
    let (states, prompts, tracker) = hear("failed");
    assert_eq!(
        (states, prompts),
        (
            vec!["starting".to_owned(), "failed".to_owned()],
            vec!["linear".to_owned()]
        )
    );
    assert_eq!(tracker.reauthentication_required(), ["linear"]);

    signs_in(&user, "linear");
    let (states, prompts, tracker) = hear("ready");
    assert_eq!(states, ["starting", "failed", "starting", "ready"]);
    assert_eq!(prompts, ["linear"]);
    assert!(tracker.reauthentication_required().is_empty());
    let process = host.0.id().to_string();
    let sent = Command::new("kill").args(["-INT", &process]).status();
    assert!(sent.unwrap().success());
    assert_eq!(host.0.wait().unwrap().code(), Some(130));
}

/// A person, with a browser: Debian's Chromium, without a window.
#[test]
fn a_person_signs_in_with_chromium() {
    let test = "a_person_signs_in_with_chromium";
    let Some(oidc) = Oidc::start(test) else {
        return;
    };
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    let Some(chromium) = programs.find(|program| program.is_file()) else {
        return skip("sign_in", test, "no Chromium is installed");
    };
    let user = user_of(&[("linear", &oidc.mcp("linear"))]);
    let folder = installed("npm").unwrap();
    let artifacts = std::env::var_os("MCP_STARTUP_ARTIFACTS").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../target/test-artifacts"
            ))
        },
        PathBuf::from,
    );
    let screenshot = artifacts.join("sign-in.png");
    let _ = std::fs::remove_file(&screenshot);
    let (said, ended) = (user.path("temporary/said"), user.path("temporary/ended"));
    let script = format!(
        "{node} {browser} --chromium {chromium} --screenshot {screenshot} \"$1\" >{said} 2>&1\n\
         echo $? >{ended}.new && mv {ended}.new {ended}",
        node = folder.join("bin/node").display(),
        browser = folder.join("npm/browser.mjs").display(),
        chromium = chromium.display(),
        screenshot = screenshot.display(),
        said = said.display(),
        ended = ended.display(),
    );
    let browser = executable(&user, "chromium-by-hand", &script);
    let done = login(&user, "linear")
        .env("BROWSER", &browser)
        .done()
        .ended_with(0);
    assert_eq!(done.stdout, "Signed in to linear.\n");
    let ended = eventually("the browser is closed", || {
        std::fs::read_to_string(&ended).ok()
    });
    let said = std::fs::read_to_string(&said).unwrap();
    assert_eq!(ended, "0\n", "{said}");
    assert_eq!(
        said,
        "Signed in\nSigned in\n\nYou are signed in, and can close this page.\n"
    );
    let picture = std::fs::read(&screenshot).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    eprintln!("the last page: {}", screenshot.display());
    assert_eq!(kind_of_failure(&user, "linear"), None);
}

/// The Python SDK's own server, whose OAuth support says what it wants and refuses; the authorization server is elsewhere.
#[test]
fn the_python_sdks_server_is_signed_in_to() {
    let test = "the_python_sdks_server_is_signed_in_to";
    let Some(oidc) = Oidc::start(test) else {
        return;
    };
    let Some(server) = Protected::start(&oidc, test) else {
        return;
    };
    let user = user_of(&[("python", &server.url)]);
    assert_eq!(
        status_of(&user, "python", &["--online"])["authStatus"],
        "notLoggedIn"
    );
    assert_eq!(
        kind_of_failure(&user, "python").as_deref(),
        Some("signInRequired")
    );
    signs_in(&user, "python");
    assert_eq!(kind_of_failure(&user, "python"), None);
    let record = user.records().remove("python").unwrap();
    assert_eq!(record["issuer"], oidc.base);
    // A token for another resource of the same authorization server is not taken: the resource was named.
    let elsewhere = oidc.ask("POST", "/test/grant", json!({"name": "linear"}));
    assert_eq!(
        oidc.status_for(&server.url, elsewhere["accessToken"].as_str().unwrap()),
        401
    );

    oidc.revoke(&record);
    assert_eq!(
        kind_of_failure(&user, "python").as_deref(),
        Some("reauthenticationRequired")
    );
    signs_in(&user, "python");
    assert_eq!(kind_of_failure(&user, "python"), None);
}

/// `tests/e2e/python/protected.py`, which ends with its stdin.
struct Protected {
    _child: Started,
    url: String,
}

impl Protected {
    fn start(oidc: &Oidc, test: &str) -> Option<Self> {
        let Some(folder) = installed("venv") else {
            skip("sign_in", test, "the Python SDK is not installed");
            return None;
        };
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/e2e/python/protected.py"
        );
        let mut child = Command::new(folder.join("venv/bin/python"))
            .args([script, "--issuer", &oidc.base])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned();
        Some(Self {
            _child: Started(child),
            url,
        })
    }
}
