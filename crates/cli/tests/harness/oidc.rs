//! The real authorization server of the end-to-end tests (npm `oidc-provider`), with MCP servers that take its tokens; and the
//! person who signs in there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Run, User, skip};

/// Where what the end-to-end tests start is installed, if that part of it is.
pub fn installed(part: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("MCP_STARTUP_E2E").map(PathBuf::from)?;
    let is_complete = folder.join(part).join(".installed-from").exists();
    is_complete.then_some(folder)
}

/// The authorization server, and an MCP server that takes its tokens. It ends with its stdin.
pub struct Oidc {
    child: Child,
    /// Its issuer.
    pub base: String,
}

impl Oidc {
    /// `None`, and noted as skipped, where Node or its packages are not installed.
    pub fn start(test: &str) -> Option<Self> {
        let Some(folder) = installed("npm") else {
            let program = env!("CARGO_CRATE_NAME");
            skip(program, test, "the Node packages are not installed");
            return None;
        };
        let mut child = Command::new(folder.join("bin/node"))
            .arg(folder.join("npm/oidc.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening ").unwrap().to_owned();
        Some(Self { child, base })
    }

    /// The URL of its MCP server of this name.
    pub fn mcp(&self, name: &str) -> String {
        format!("{}/{name}/mcp", self.base)
    }

    /// What its door for tests answers.
    pub fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let body = match method {
            "GET" => String::new(),
            _ => body.to_string(),
        };
        let url = format!("{}{path}", self.base);
        let answer = send(method, &url, &[("Content-Type", "application/json")], &body);
        assert!(
            (200..300).contains(&answer.status),
            "{method} {path}: {answer:?}"
        );
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    pub fn stats(&self) -> Value {
        self.ask("GET", "/test/stats", Value::Null)
    }

    /// How many requests came, but for those of the tests.
    pub fn requests(&self) -> u64 {
        self.stats()["requests"].as_u64().unwrap()
    }

    /// The user withdraws what this record was granted.
    pub fn revoke(&self, record: &Value) {
        let body = json!({"refreshToken": record["refresh_token"]});
        let revoked = self.ask("POST", "/test/revoke", body);
        assert_eq!(revoked["found"], true, "{record:#}");
    }

    /// What an MCP server here says to this token.
    pub fn status_for(&self, url: &str, token: &str) -> u16 {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        send(
            "POST",
            url,
            &headers,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        )
        .status
    }
}

impl Drop for Oidc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server has answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter_map(move |(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// One request, over a connection of its own.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let (address, path) = parts(url);
    let mut stream = TcpStream::connect(address).unwrap();
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len(),
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub fn get(url: &str) -> Answer {
    send("GET", url, &[], "")
}

/// The host and port of a URL, and the rest of it.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap();
    rest.split_at(rest.find('/').unwrap())
}

/// Which button the person presses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Allow,
    Deny,
}

/// What a browser does with an authorization URL, and the person before it: gives the URL that it comes back with, which is not
/// asked for here.
pub fn sign_in_at(authorization_url: &str, says: Says) -> String {
    let mut cookies: Vec<(String, String)> = Vec::new();
    let mut url = authorization_url.to_owned();
    let mut method = "GET";
    for _ in 0..10 {
        let sent: Vec<_> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let headers = [
            ("Cookie", sent.join("; ")),
            (
                "Content-Type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
        ];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let body = match (method, says) {
            ("POST", Says::Deny) => "deny=yes",
            _ => "",
        };
        let answer = send(method, &url, &headers, body);
        for cookie in answer.headers("Set-Cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            cookies.retain(|(known, _)| known != name);
            cookies.push((name.to_owned(), value.to_owned()));
        }
        let Some(location) = answer.headers("Location").next() else {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(method, "GET", "the form leads nowhere: {answer:?}");
            method = "POST";
            continue;
        };
        method = "GET";
        url = match location.starts_with('/') {
            true => format!("http://{}{location}", parts(&url).0),
            false => location.to_owned(),
        };
        if parts(&url).0 != parts(authorization_url).0 {
            return url;
        }
    }
    panic!("the sign-in comes to no end: {url}");
}

/// A browser of the tests' own: `$BROWSER`, which gives the URL to the test.
pub struct Browser {
    script: PathBuf,
    opened: PathBuf,
}

impl Browser {
    pub fn of(user: &User) -> Self {
        let opened = user.path("temporary/opened");
        let new = opened.with_extension("new");
        let script = executable(
            user,
            "browser",
            &format!(
                "printf '%s\\n' \"$@\" >{0} && mv {0} {1}",
                new.display(),
                opened.display()
            ),
        );
        Self { script, opened }
    }

    /// The URL that it was opened with.
    pub fn url(&self) -> String {
        let url = eventually("the browser is opened", || {
            std::fs::read_to_string(&self.opened).ok()
        });
        std::fs::remove_file(&self.opened).unwrap();
        url.trim_end().to_owned()
    }
}

impl Run {
    pub fn browser(self, browser: &Browser) -> Self {
        self.env("BROWSER", &browser.script)
    }
}

/// A shell script of the user's.
pub fn executable(user: &User, name: &str, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = user.write(name, format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// Looks again and again, until there is something.
pub fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "not so: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
