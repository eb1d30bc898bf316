//! `check --watch`: what it shows while servers come and go, and how it ends.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod harness;

use std::io::{BufRead, BufReader, Read};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use harness::{Started, User, entry, lab_of, url};
use serde_json::{Value, json};

/// What has to happen takes no longer, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);

/// The lines of a program's output, as they come.
struct Lines(mpsc::Receiver<String>);

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output).lines();
            while let Some(Ok(line)) = output.next() {
                let _ = sender.send(line);
            }
        });
        Self(lines)
    }

    /// The next line that is about this.
    fn about(&self, words: &[&str]) -> String {
        loop {
            let line = self.0.recv_timeout(LONG).unwrap();
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    fn rest(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

fn interrupt(program: &mut Started, signal: &str) -> Option<i32> {
    let process = program.0.id().to_string();
    let killed = Command::new("kill").args([signal, &process]).status();
    assert!(killed.unwrap().success());
    program.0.wait().unwrap().code()
}

#[test]
fn a_server_that_failed_is_shown_again_after_a_sign_in() {
    let lab = lab_of(json!([
        { "name": "linear", "mcp": { "serves": { "tokens": ["good-token"] } } },
        { "name": "gone", "mcp": { "respond": [{ "reply": { "status": 404 } }] } },
    ]));
    for (format, signal) in [("table", "-INT"), ("ndjson", "-TERM")] {
        let servers = ["linear", "gone"].map(|name| entry(name, &url(&lab.url(name))));
        let store = "mcp_oauth_credentials_store = \"file\"\n";
        let user = User::with(&format!("{store}{}", servers.concat()));
        let mut program = user.check(format).arg("--watch").spawn();
        let lines = Lines::of(program.0.stdout.take().unwrap());
        let stderr = Lines::of(program.0.stderr.take().unwrap());
        let is_table = format == "table";

        let failed = match is_table {
            true => ["! linear", "not signed in"],
            false => [r#""linear""#, r#""failed""#],
        };
        let failed = lines.about(&failed);
        if is_table {
            let says = "run `mcp-startup login linear`  (waits for that)";
            assert!(failed.ends_with(says), "{failed}");
        }
        user.store([json!({
            "server_name": "linear", "server_url": lab.url("linear"),
            "access_token": "good-token", "client_id": "client-1", "expires_at": null,
        })]);
        match is_table {
            true => {
                let ready = lines.about(&["✓ linear", "ready"]);
                assert!(ready.ends_with("1 tool"), "{ready}");
            }
            false => {
                lines.about(&[r#""linear""#, r#""starting""#]);
                let ready = lines.about(&[r#""linear""#, r#""ready""#]);
                let ready: Value = serde_json::from_str(&ready).unwrap();
                assert_eq!(ready["params"]["failureReason"], Value::Null);
            }
        }
        assert_eq!(interrupt(&mut program, signal), Some(130), "{format}");
        let rest = lines.rest();
        let stderr = stderr.rest().concat();
        if is_table {
            let wanted = "2 servers: 1 ready, 1 failed ";
            let closing = rest.last().unwrap();
            assert!(closing.starts_with(wanted), "{closing}");
            assert_eq!(stderr, "Watching them; Ctrl-C ends it.");
        } else {
            assert_eq!(stderr, "");
        }
    }
}

#[test]
fn a_line_says_when_the_next_try_is_due() {
    let lab = lab_of(json!([
        { "name": "away", "mcp": { "respond": [{ "times": 1, "reply": { "status": 503 } }] } },
        { "name": "busy", "mcp": { "respond": [{ "reply": { "status": 429, "headers": { "Retry-After": "86400" } } }] } },
        { "name": "gone", "mcp": { "respond": [{ "reply": { "status": 404 } }] } },
    ]));
    let servers = ["away", "busy", "gone"].map(|name| entry(name, &url(&lab.url(name))));
    let user = User::with(&servers.concat());
    let mut program = user.check("table").arg("--watch").spawn();
    let lines = Lines::of(program.0.stdout.take().unwrap());
    let mut told = std::collections::BTreeMap::new();
    while told.len() < 4 {
        let line = lines.about(&[]);
        let state = line
            .split_whitespace()
            .take(3)
            .collect::<Vec<_>>()
            .join(" ");
        told.insert(state, line);
    }
    let line = |state: &str| told.get(state).unwrap_or_else(|| panic!("{told:#?}"));
    let (_, away) = line("✗ away failed").rsplit_once("  ").unwrap();
    assert!(
        away.starts_with("(tries again in 0.") || away == "(tries again in 1.0 s)",
        "{away}"
    );
    // An hour at most, and the random part of a second.
    assert!(
        line("✗ busy failed").ends_with("  (tries again in 61 min)"),
        "{told:#?}"
    );
    assert!(!line("✗ gone failed").contains("again"), "{told:#?}");
    assert!(line("✓ away ready").ends_with("1 tool"), "{told:#?}");
    assert_eq!(interrupt(&mut program, "-INT"), Some(130));
    let closing = lines.rest().pop().unwrap();
    assert!(
        closing.starts_with("3 servers: 1 ready, 2 failed "),
        "{closing}"
    );
}

#[test]
fn one_report_at_the_end_is_not_for_what_has_no_end() {
    let user = User::with(&entry("one", &url("http://127.0.0.1:9/mcp")));
    let done = user.check("json").arg("--watch").done().ended_with(2);
    assert_eq!(done.stdout, "");
    assert!(done.stderr.contains("use `--format ndjson`"), "{done:#?}");
    let help = user
        .program(&["check", "--help"])
        .done()
        .ended_with(0)
        .stdout;
    for says in ["--watch", "with status 130", "Not with `--format json`"] {
        assert!(help.contains(says), "{help}");
    }
}
