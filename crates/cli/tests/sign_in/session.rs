//! A user who signs in: their configuration, and the program's commands as the tests run them.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStderr, ChildStdin, Stdio};

use serde_json::Value;

use crate::harness::browser::{Browser, Consent, authorize};
use crate::harness::configuration::{FILE_STORE, entry, url};
use crate::harness::http_client::get;
use crate::harness::output::Finished;
use crate::harness::run::{Run, Running};
use crate::harness::user::{User, unrelated_records};

/// A user with servers at these URLs. The credential file has records of unrelated servers.
pub fn user_of(servers: &[(&str, &str)]) -> User {
    let entries: String = servers
        .iter()
        .map(|(name, server)| entry(name, &url(server)))
        .collect();
    let user = User::with(&format!("{FILE_STORE}{entries}"));
    user.store(unrelated_records());
    user
}

/// `login SERVER`, with a timeout.
pub fn login(user: &User, name: &str) -> Run {
    user.program(&["login", name, "--timeout", "60"])
}

/// `status` with these arguments. Asserts that it succeeds.
pub fn status(user: &User, more: &[&str]) -> Finished {
    let finished = user.program(&[&["status"], more].concat()).finish();
    assert_eq!(finished.stderr, "");
    finished.assert_exit(0)
}

/// The status of one server, as JSON.
pub fn status_of(user: &User, name: &str, more: &[&str]) -> Value {
    let more = [&["--format", "json", name], more].concat();
    status(user, &more).server(name)
}

/// Checks one server. Returns the kind of its failure, or `None` if it is ready.
pub fn failure_kind(user: &User, name: &str) -> Option<String> {
    let server = user.check("json").arg(name).finish().server(name);
    (server["status"] != "ready").then(|| server["failure"]["kind"].as_str().unwrap().to_owned())
}

/// A login in progress.
pub struct RunningLogin {
    running: Running,
    pub stdin: Option<ChildStdin>,
    stderr: BufReader<ChildStderr>,
    read: String,
}

impl RunningLogin {
    pub fn start(run: Run) -> Self {
        let mut running = run.spawn_with(Stdio::piped());
        Self {
            stdin: running.child.stdin.take(),
            stderr: BufReader::new(running.child.stderr.take().unwrap()),
            running,
            read: String::new(),
        }
    }

    /// Reads stderr until a line matches. Returns that line.
    pub fn wait_for_line(&mut self, matches: impl Fn(&str) -> bool) -> String {
        loop {
            let mut line = String::new();
            let count = self.stderr.read_line(&mut line).unwrap();
            assert_ne!(count, 0, "stderr has ended:\n{}", self.read);
            self.read.push_str(&line);
            if matches(line.trim()) {
                return line.trim().to_owned();
            }
        }
    }

    /// The authorization URL that the program prints.
    pub fn printed_url(&mut self) -> String {
        self.wait_for_line(|line| line.starts_with("http"))
    }

    /// The authorization URL that the browser is opened with.
    #[cfg(unix)]
    #[allow(clippy::unused_self, reason = "on Windows, it is the printed URL")]
    pub fn opened_url(&mut self, browser: &Browser) -> String {
        browser.opened_url()
    }

    /// The authorization URL. No browser is opened.
    #[cfg(windows)]
    pub fn opened_url(&mut self, _browser: &Browser) -> String {
        self.printed_url()
    }

    pub fn paste_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub fn signal(&self, name: &str) {
        self.running.signal(name);
    }

    /// Closes stdin and waits for the program to exit.
    pub fn finish(mut self) -> Finished {
        drop(self.stdin.take());
        self.stderr.read_to_string(&mut self.read).unwrap();
        let mut stdout = String::new();
        let mut pipe = self.running.child.stdout.take().unwrap();
        pipe.read_to_string(&mut stdout).unwrap();
        Finished {
            arguments: Vec::new(),
            code: self.running.child.wait().unwrap().code(),
            stdout,
            stderr: self.read.clone(),
            peak_mb: 0.0,
        }
    }
}

/// Signs in successfully, with the test as the browser.
pub fn sign_in(user: &User, name: &str) {
    let browser = Browser::of(user);
    let mut running = RunningLogin::start(login(user, name).browser(&browser));
    let page = get(&authorize(&running.opened_url(&browser), Consent::Allow));
    assert_eq!(page.status, 200, "{page:?}");
    let finished = running.finish().assert_exit(0);
    assert_eq!(finished.stdout, format!("Signed in to {name}.\n"));
}
