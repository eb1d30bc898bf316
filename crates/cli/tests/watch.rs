//! `check --watch`: its output while servers fail and recover, and its exit after a signal.

#![allow(clippy::unwrap_used)]

mod harness;

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc;
use std::time::Duration;

use harness::configuration::{FILE_STORE, entry, url};
use harness::lab::lab_with;
use harness::run::Running;
use harness::user::User;
use serde_json::{Value, json};

/// No expected line takes longer, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The lines of a program's output as they arrive.
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

    /// Waits for the next line that contains every one of these words.
    fn next_with(&self, words: &[&str]) -> String {
        loop {
            let line = self.0.recv_timeout(TIMEOUT).unwrap();
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    fn rest(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

/// Sends a signal. Returns the exit code.
fn interrupt(program: &mut Running, signal: &str) -> Option<i32> {
    program.signal(signal);
    program.child.wait().unwrap().code()
}

#[test]
fn failed_server_is_shown_again_after_a_sign_in() {
    let lab = lab_with(json!([
        { "name": "linear", "mcp": { "serves": { "tokens": ["good-token"] } } },
        { "name": "gone", "mcp": { "respond": [{ "reply": { "status": 404 } }] } },
    ]));
    for (format, signal) in [("table", "INT"), ("ndjson", "TERM")] {
        let servers = ["linear", "gone"].map(|name| entry(name, &url(&lab.url(name))));
        let user = User::with(&format!("{FILE_STORE}{}", servers.concat()));
        let mut program = user.check(format).arg("--watch").spawn();
        let lines = Lines::of(program.child.stdout.take().unwrap());
        let stderr = Lines::of(program.child.stderr.take().unwrap());
        let is_table = format == "table";

        let failed = match is_table {
            true => ["! linear", "not signed in"],
            false => [r#""linear""#, r#""failed""#],
        };
        let failed = lines.next_with(&failed);
        if is_table {
            let config = user.config();
            let hint = format!(
                "run `mcp-startup login linear --config {}`  (waiting for the sign-in)",
                config.display()
            );
            assert!(failed.ends_with(&hint), "{failed}");
        }
        user.store([json!({
            "server_name": "linear", "server_url": lab.url("linear"),
            "access_token": "good-token", "client_id": "client-1", "expires_at": null,
        })]);
        match is_table {
            true => {
                let ready = lines.next_with(&["✓ linear", "ready"]);
                assert!(ready.ends_with("1 tool"), "{ready}");
            }
            false => {
                lines.next_with(&[r#""linear""#, r#""starting""#]);
                let ready = lines.next_with(&[r#""linear""#, r#""ready""#]);
                let ready: Value = serde_json::from_str(&ready).unwrap();
                assert_eq!(ready["params"]["failureReason"], Value::Null);
            }
        }
        assert_eq!(interrupt(&mut program, signal), Some(130), "{format}");
        let rest = lines.rest();
        let stderr = stderr.rest().concat();
        if is_table {
            let counts = "2 servers: 1 ready, 1 failed ";
            let closing = rest.last().unwrap();
            assert!(closing.starts_with(counts), "{closing}");
            assert_eq!(stderr, "Watching. Press Ctrl-C to stop.");
        } else {
            assert_eq!(stderr, "");
        }
    }
}

#[test]
fn failed_server_is_started_again_after_a_sign_in_in_its_client() {
    let lab =
        lab_with(json!([{ "name": "tickets", "mcp": { "serves": { "tokens": ["held-token"] } } }]));
    let user = User::with(FILE_STORE);
    let servers =
        json!({ "mcpServers": { "tickets": { "type": "http", "url": lab.url("tickets") } } });
    user.write("home/.claude.json", servers.to_string());
    std::fs::create_dir_all(user.path("home/.claude")).unwrap();
    let sign_in = |token: &str, expires_at: i64| {
        let held = json!({ "mcpOAuth": { "tickets|0123456789abcdef": {
            "serverName": "tickets", "serverUrl": lab.url("tickets"), "accessToken": token, "expiresAt": expires_at,
        }}});
        user.write("home/.claude/.credentials.json", held.to_string());
    };
    sign_in("expired-token", 1_600_000_000_000);
    let arguments = [
        "check",
        "--client",
        "claude-code",
        "--watch",
        "--format",
        "ndjson",
    ];
    let mut program = user.program(&arguments).spawn();
    let lines = Lines::of(program.child.stdout.take().unwrap());
    let failed = lines.next_with(&[r#""tickets""#, r#""failed""#]);
    assert!(failed.contains("Claude Code"), "{failed}");
    // Another token that has expired does not start the server.
    sign_in("other-expired-token", 1_600_000_000_001);
    sign_in("held-token", 4_102_444_800_000);
    lines.next_with(&[r#""tickets""#, r#""starting""#]);
    lines.next_with(&[r#""tickets""#, r#""ready""#]);
    assert_eq!(interrupt(&mut program, "TERM"), Some(130));
}

#[test]
fn line_shows_when_the_next_try_is_due() {
    let lab = lab_with(json!([
        { "name": "away", "mcp": { "respond": [{ "times": 1, "reply": { "status": 503 } }] } },
        { "name": "busy", "mcp": { "respond": [{ "reply": { "status": 429, "headers": { "Retry-After": "86400" } } }] } },
        { "name": "gone", "mcp": { "respond": [{ "reply": { "status": 404 } }] } },
    ]));
    let servers = ["away", "busy", "gone"].map(|name| entry(name, &url(&lab.url(name))));
    let user = User::with(&servers.concat());
    let mut program = user.check("table").arg("--watch").spawn();
    let lines = Lines::of(program.child.stdout.take().unwrap());
    let mut lines_by_state = std::collections::BTreeMap::new();
    while lines_by_state.len() < 4 {
        let line = lines.next_with(&[]);
        let state = line
            .split_whitespace()
            .take(3)
            .collect::<Vec<_>>()
            .join(" ");
        lines_by_state.insert(state, line);
    }
    let line = |state: &str| {
        lines_by_state
            .get(state)
            .unwrap_or_else(|| panic!("{lines_by_state:#?}"))
    };
    let (_, away) = line("✗ away failed").rsplit_once("  ").unwrap();
    assert!(
        away.starts_with("(next try in 0.") || away == "(next try in 1.0 s)",
        "{away}"
    );
    // One hour, the longest wait, rounded up because a random part of a second is added.
    assert!(
        line("✗ busy failed").ends_with("  (next try in 61 min)"),
        "{lines_by_state:#?}"
    );
    assert!(
        line("✗ gone failed").ends_with("  (not tried again)"),
        "{lines_by_state:#?}"
    );
    assert!(
        line("✓ away ready").ends_with("1 tool"),
        "{lines_by_state:#?}"
    );
    assert_eq!(interrupt(&mut program, "INT"), Some(130));
    let closing = lines.rest().pop().unwrap();
    assert!(
        closing.starts_with("3 servers: 1 ready, 2 failed "),
        "{closing}"
    );
}

#[test]
fn watch_rejects_the_json_format() {
    let user = User::with(&entry("one", &url("http://127.0.0.1:9/mcp")));
    let finished = user.check("json").arg("--watch").finish().assert_exit(2);
    assert_eq!(finished.stdout, "");
    assert!(
        finished.stderr.contains("use `--format ndjson`"),
        "{finished:#?}"
    );
    let help = user
        .program(&["check", "--help"])
        .finish()
        .assert_exit(0)
        .stdout;
    for text in ["--watch", "with status 130", "Not with a format"] {
        assert!(help.contains(text), "{help}");
    }
}
