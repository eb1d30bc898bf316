//! `follow`: reads notifications from stdin and shows the state of each server.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::user::User;

#[test]
fn follow_reads_the_output_of_any_app_server() {
    let user = User::new();
    let follow = |format: &str, input: &[u8]| {
        let run = user.program(&["follow", "--format", format]);
        run.stdin(input).finish().assert_clean()
    };
    let (a, b) = (
        notification("a", "ready", ""),
        notification("b", "failed", REAUTHENTICATE),
    );
    let other = r#"{"method":"thread/started","params":{}}"#;
    for (case, input, code, names, bad) in [
        ("empty", String::new(), 0, vec![], vec![]),
        ("one", format!("{a}\n"), 0, vec!["a"], vec![]),
        (
            "no line end after the last line",
            format!("{a}\n{b}"),
            3,
            vec!["a", "b"],
            vec![],
        ),
        ("CRLF", format!("{a}\r\n{b}\r\n"), 3, vec!["a", "b"], vec![]),
        (
            "other messages",
            format!("{other}\n\n{a}\n{other}\n"),
            0,
            vec!["a"],
            vec![],
        ),
        (
            "failed",
            format!("{a}\n{}\n", notification("b", "failed", "")),
            1,
            vec!["a", "b"],
            vec![],
        ),
        (
            "ready after a failure",
            format!("{b}\n{}\n", notification("b", "ready", "")),
            0,
            vec!["b"],
            vec![],
        ),
        (
            "invalid lines",
            format!(
                "{a}\n{{\n{}\n{b}\n",
                r#"{"method":"mcpServer/startupStatus/updated","params":{"name":3,"status":"ready"}}"#
            ),
            3,
            vec!["a", "b"],
            vec![("line 2", ""), ("line 3", "name")],
        ),
        (
            "unknown status and field",
            format!("{}\n", notification("a", "dozing", r#","mood":"fine""#)),
            1,
            vec!["a"],
            vec![],
        ),
    ] {
        let finished = follow("json", input.as_bytes());
        assert_eq!(finished.code, Some(code), "{case}: {finished:#?}");
        let report = finished.json();
        let servers = report["servers"].as_array().unwrap();
        let found: Vec<_> = servers
            .iter()
            .map(|server| server["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{case}");
        assert_eq!(report["badLines"], bad.len(), "{case}");
        assert_eq!(report["exitStatus"], code, "{case}");
        let reauthenticate = match code {
            3 => json!([{"threadId": null, "environmentId": null, "name": "b"}]),
            _ => json!([]),
        };
        assert_eq!(report["reauthenticationRequired"], reauthenticate, "{case}");
        assert_eq!(
            finished.stderr.lines().count(),
            bad.len(),
            "{case}: {finished:#?}"
        );
        for (message, (number, field)) in finished.stderr.lines().zip(&bad) {
            assert!(
                message.contains(number) && message.contains(field),
                "{case}: {message}"
            );
        }
        for format in ["table", "ndjson"] {
            assert_eq!(
                follow(format, input.as_bytes()).code,
                Some(code),
                "{case}, {format}"
            );
        }
    }
}

/// The closing line counts servers, not notifications.
#[test]
fn follow_counts_each_server_once_in_its_latest_state() {
    for (notifications, closing) in [
        (
            vec![
                notification("a", "failed", REAUTHENTICATE),
                notification("a", "starting", ""),
                notification("a", "ready", ""),
            ],
            "1 server: 1 ready",
        ),
        (
            vec![
                notification("a", "ready", ""),
                notification("a", "failed", ""),
            ],
            "1 server: 1 failed",
        ),
        (
            vec![
                notification("a", "ready", ""),
                notification("b", "starting", ""),
            ],
            "2 servers: 1 ready, 1 still starting",
        ),
        (
            vec![
                notification("a", "starting", ""),
                notification("a", "cancelled", ""),
            ],
            "1 server: 1 cancelled",
        ),
        (
            vec![
                notification("a", "dozing", ""),
                notification("b", "starting", ""),
            ],
            "2 servers: 1 still starting, 1 in another state",
        ),
        (vec![], "0 servers"),
    ] {
        let user = User::new();
        let run = user.program(&["follow"]).stdin(notifications.join("\n"));
        let finished = run.finish().assert_clean();
        assert_eq!(
            finished.stdout.lines().last(),
            Some(closing),
            "{notifications:#?}\n{}",
            finished.stdout
        );
    }
}

#[test]
fn follow_shows_unknown_states_and_thread_ids() {
    let thread_id = |thread: &str| format!(r#","threadId":"{thread}""#);
    let notifications = [
        notification("one", "dozing", ""),
        notification("two", "starting", &thread_id("0199aaaa-1")),
        notification("two", "starting", &thread_id("0199\\u001bbbb-2")),
        notification("two", "ready", &thread_id("0199aaaa-1")),
        notification("two", "ready", &thread_id("0199\\u001bbbb-2")),
    ];
    let user = User::new();
    let run = user.program(&["follow"]).stdin(notifications.join("\n"));
    let finished = run.finish().assert_exit(1);
    let lines: Vec<_> = finished.stdout.lines().collect();
    let [one, aaaa, bbbb, _] = lines[..] else {
        panic!("{lines:#?}");
    };
    assert!(
        one.starts_with("· one ") && one.ends_with("dozing"),
        "{one}"
    );
    assert!(aaaa.starts_with("✓ two 0199aaaa  ready"), "{aaaa}");
    assert!(bbbb.starts_with("✓ two 0199\\u"), "{bbbb}");
}

#[test]
fn follow_shows_a_joined_emoji_as_a_whole() {
    let family = "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}";
    let name = format!("a{family}{family}");
    let user = User::new();
    let run = user.program(&["follow"]);
    let finished = run.stdin(notification(&name, "ready", "")).finish();
    let row = format!("✓ {name}     ready");
    assert!(finished.stdout.starts_with(&row), "{finished:#?}");
}

#[test]
fn follow_shows_the_environments_of_servers_with_the_same_name() {
    let environment = |id: &str| format!(r#","environmentId":"{id}""#);
    let again = |id: &str| format!("{}{REAUTHENTICATE}", environment(id));
    let notifications = [
        notification("one", "starting", &environment("home")),
        notification("one", "starting", &environment("work")),
        notification("one", "failed", &again("work")),
        notification("one", "ready", &environment("home")),
    ];
    let user = User::new();
    let run = user.program(&["follow"]).stdin(notifications.join("\n"));
    let finished = run.finish().assert_exit(3);
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert!(lines[0].starts_with("! one work "), "{lines:#?}");
    assert!(lines[1].starts_with("✓ one home  ready"), "{lines:#?}");
    let run = user.program(&["follow", "--format", "json"]);
    let report = run.stdin(notifications.join("\n")).finish().json();
    assert_eq!(
        report["reauthenticationRequired"],
        json!([{"threadId": null, "environmentId": "work", "name": "one"}])
    );
}

#[test]
fn interrupted_follow_prints_the_states_received_so_far() {
    let user = User::new();
    for (signal, format) in [("INT", "json"), ("TERM", "json"), ("INT", "table")] {
        let run = user.program(&["follow", "--format", format]);
        let mut running = run.spawn_with(Stdio::piped());
        let mut stdin = running.child.stdin.take().unwrap();
        writeln!(stdin, "{}\n{{", notification("a", "ready", "")).unwrap();
        // The program reports the second line only after it has read both lines.
        let mut stderr = BufReader::new(running.child.stderr.take().unwrap());
        let mut message = String::new();
        stderr.read_line(&mut message).unwrap();
        assert!(message.contains("line 2"), "{message}");
        running.signal(signal);
        assert_eq!(running.child.wait().unwrap().code(), Some(130), "{signal}");
        let mut stdout = String::new();
        let mut pipe = running.child.stdout.take().unwrap();
        pipe.read_to_string(&mut stdout).unwrap();
        match format {
            "json" => {
                let state: Value = serde_json::from_str(&stdout).unwrap();
                assert_eq!(state["servers"][0]["status"], "ready", "{state:#}");
                assert_eq!(state["exitStatus"], 130, "{state:#}");
            }
            _ => assert!(stdout.ends_with("1 server: 1 ready\n"), "{stdout}"),
        }
    }
}

#[test]
fn follow_reads_recorded_output_of_codex() {
    for version in mcp_startup_core::CODEX_VERSIONS {
        follow_reads(version);
    }
}

fn follow_reads(version: &str) {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");
    let fixture = format!("{fixtures}/codex-app-server-{version}.jsonl");
    let fixture = &*std::fs::read_to_string(fixture).unwrap();
    let finished = User::new()
        .program(&["follow", "--format", "json"])
        .stdin(fixture)
        .finish();
    let report = finished.json();
    assert_eq!(report["badLines"], 0);
    // The last notification of each server, determined without the code under test.
    let mut last: Vec<(Value, Value)> = Vec::new();
    for line in fixture.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        if message["method"] != "mcpServer/startupStatus/updated" {
            continue;
        }
        let params = message["params"].clone();
        let key = json!([params["threadId"], params["environmentId"], params["name"]]);
        match last.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = params,
            None => last.push((key, params)),
        }
    }
    assert!(last.len() > 5);
    let servers = report["servers"].as_array().unwrap();
    assert_eq!(servers.len(), last.len());
    for (server, (_, params)) in servers.iter().zip(&last) {
        for field in [
            "threadId",
            "environmentId",
            "name",
            "status",
            "error",
            "failureReason",
        ] {
            assert_eq!(server[field], params[field], "{server:#}");
        }
    }
    let must_sign_in_again =
        |(_, params): &(Value, Value)| params["failureReason"] == "reauthenticationRequired";
    let code = if last.iter().any(must_sign_in_again) {
        3
    } else {
        1
    };
    let finished = finished.assert_exit(code);
    assert_eq!(finished.stderr, "");
    let table = User::new()
        .program(&["follow"])
        .stdin(fixture)
        .finish()
        .assert_exit(code);
    assert!(
        table.stdout.lines().count() > last.len() / 2,
        "{}",
        table.stdout
    );
}

#[test]
fn follow_reports_an_overlong_line_and_reads_the_next_one() {
    let mut input = notification("a", "ready", "").into_bytes();
    input.extend(b"\n{\"method\":\"");
    input.resize(input.len() + 20_000_000, b'x');
    input.extend(b"\"}\n");
    input.extend(notification("b", "ready", "").bytes());
    let user = User::new();
    let run = user.program(&["follow", "--format", "json"]).stdin(input);
    let finished = run.finish().assert_exit(0);
    assert_eq!(finished.server("b")["status"], "ready");
    assert_eq!(finished.json()["badLines"], 1);
    assert!(finished.stderr.contains("line 2"), "{finished:#?}");
    assert!(finished.peak_mb < 100.0, "{} MB", finished.peak_mb);
}

/// The fields of a failure after which the user must sign in again.
const REAUTHENTICATE: &str = r#","error":"gone","failureReason":"reauthenticationRequired""#;

/// A notification as a line of JSON, with `more` inside its params.
fn notification(name: &str, status: &str, more: &str) -> String {
    format!(
        r#"{{"method":"mcpServer/startupStatus/updated","params":{{"name":"{name}","status":"{status}"{more}}}}}"#
    )
}

#[test]
fn only_failed_and_quiet_print_less_and_keep_the_exit_status() {
    let user = User::new();
    let input = format!(
        "{}\n{}\n",
        notification("works", "ready", ""),
        notification("broken", "failed", "")
    );
    for format in ["table", "ndjson", "json"] {
        let run = user.program(&["follow", "--only-failed", "--format", format]);
        let finished = run.stdin(input.clone()).finish().assert_exit(1);
        let names = |name: &str| finished.stdout.contains(name);
        assert_eq!(
            [names("broken"), names("works")],
            [true, false],
            "{finished:#?}"
        );
        let counts_all = finished.stdout.contains("2 servers: 1 ready, 1 failed");
        assert_eq!(counts_all, format == "table", "{finished:#?}");
    }
    let run = user.program(&["follow", "--quiet"]);
    let finished = run.stdin(input).finish().assert_exit(1);
    assert_eq!(finished.stdout, "");
    let run = user.program(&["demo", "--quiet", "server-500"]);
    assert_eq!(run.finish().assert_exit(0).stdout, "");
    let run = user.program(&["demo", "--only-failed", "server-500", "ready"]);
    let finished = run.finish().assert_exit(0);
    assert!(finished.stdout.contains("server-500"), "{finished:#?}");
    assert!(!finished.stdout.contains("ready "), "{finished:#?}");
}
