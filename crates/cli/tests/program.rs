//! How the program speaks: what it prints in each format, what it ends with, which servers it starts and which it never
//! does, and that a check leaves everything as it was.

#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod harness;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use harness::{
    Done, PROGRAM, Run, Server, User, each, entry, lab, lab_of, now_ms, quoted, ran, shell, skip,
    url,
};
use mcp_startup_lab::{Lab, Scenario, config_toml, scenarios};
use serde_json::{Value, json};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const FILE_STORE: &str = "mcp_oauth_credentials_store = \"file\"\n";

/// A user with these rows of the lab as their servers, and what is stored for them.
fn user_of(lab: &Lab, rows: &[&Scenario]) -> User {
    let config = config_toml(rows.iter().copied(), &lab.base_url(), &[PROGRAM]);
    let user = User::with(&config);
    let stored = rows.iter();
    user.store(stored.filter_map(|row| row.stored_record(&lab.base_url(), now_ms())));
    user
}

fn rows_of<'a>(lab: &'a Lab, names: &[&str]) -> Vec<&'a Scenario> {
    let row = |name: &&str| lab.scenarios().iter().find(|row| row.name == *name);
    names.iter().map(|name| row(name).unwrap()).collect()
}

#[test]
fn the_exit_status_says_what_the_servers_came_to() {
    let lab = lab();
    let rows: [(&[&str], i32); 8] = [
        (&["ready", "ready-sse"], 0),
        (&["expired-but-served"], 0),
        (&["ready", "server-500"], 1),
        (&["api-key"], 1),
        (&["ready", "first-sign-in"], 3),
        (&["ready", "expired-no-refresh", "server-500"], 3),
        (&["insufficient-scope", "html-page", "bearer-rejected"], 3),
        (&["bearer-rejected", "access-denied", "discovery-500"], 1),
    ];
    each(&rows, |(names, code)| {
        let user = user_of(&lab, &rows_of(&lab, names));
        for format in ["table", "ndjson", "json"] {
            let done = user.check(format).done().ended_with(*code);
            if format == "json" {
                assert_eq!(done.json()["exitStatus"], *code);
            }
        }
    });
}

#[test]
fn the_exit_statuses_stand_in_the_help() {
    let of_starts = ["  0  ", "  1  ", "  2  ", "  3  ", "  130  ", "  141  "];
    let of_demo = ["  0  ", "  1  ", "  130  "];
    for (command, statuses) in [
        ("check", &of_starts[..]),
        ("follow", &of_starts),
        ("demo", &of_demo),
    ] {
        for help in ["--help", "-h"] {
            let done = User::new().program(&[command, help]).done().ended_with(0);
            for status in statuses {
                assert!(done.stdout.contains(status), "{}", done.stdout);
            }
        }
    }
}

#[test]
fn arguments_that_steer_a_terminal_are_quoted_without_that() {
    let user = User::new();
    for (arguments, says) in [
        (
            &["check", "--format", "ba\u{1b}[41mX"][..],
            "ba\\u{1b}[41mX",
        ),
        (&["check", "--format=ba\u{1b}[41mX"], "ba\\u{1b}[41mX"),
        (&["check", "--timeout", "\u{9b}2J"], "\\u{9b}2J"),
        (&["check", "--co\u{1b}lour"], "--co\\u{1b}lour"),
        (&["check", "-\u{1b}[2J"], "unexpected argument"),
        (&["re\nboot\u{202e}"], "re\\nboot\\u{202e}"),
    ] {
        let done = user.program(arguments).done().ended_with(2);
        assert_eq!(done.stdout, "", "{arguments:?}");
        assert!(done.stderr.contains(says), "{arguments:?}: {done:#?}");
        assert!(!done.stderr.contains('\u{202e}'), "{done:#?}");
    }
    let hostile = std::ffi::OsStr::from_bytes(b"\xff\x1b[41m");
    let done = user.program(&["check"]).arg_os(hostile).done();
    assert!(!done.ended_with(2).stderr.is_empty());
}

#[test]
fn bad_usage_ends_with_2_and_says_what_is_wrong() {
    let lab = lab();
    let user = user_of(&lab, &rows_of(&lab, &["ready", "first-sign-in"]));
    let config = user.config();
    let config = config.to_str().unwrap();
    let check = |more: &[&'static str]| [&["check", "--config", config], more].concat();
    let rows = [
        (vec![], "Usage"),
        (vec!["reboot"], "reboot"),
        (check(&["--colour"]), "--colour"),
        (check(&["--timeout", "0"]), "more than 0"),
        (check(&["--timeout=-1"]), "more than 0"),
        (check(&["--timeout", "nan"]), "more than 0"),
        (check(&["--timeout", "inf"]), "more than 0"),
        (check(&["--timeout", "soon"]), "more than 0"),
        (check(&["--concurrency", "0"]), "from 1"),
        (check(&["--concurrency=-1"]), "from 1"),
        (
            check(&["--concurrency", "99999999999999999999999"]),
            "from 1",
        ),
        (check(&["--format", "xml"]), "ndjson"),
        (check(&["reday"]), "it configures: ready, first-sign-in"),
        (check(&["ready", "\u{1b}[31m"]), "no server `\\u{1b}[31m`"),
        (vec!["check", "--config"], "--config"),
        (vec!["follow", "more"], "more"),
        (vec!["demo", "nothing-like-it"], "it has: ready, "),
        (vec!["demo", "--all", "ready"], "--all"),
        (vec!["lab", "--port", "65536"], "65536"),
        (vec!["lab", "--stdio", "ready"], "it has: stdio-ready, "),
        (vec!["completions"], "<SHELL>"),
        (vec!["completions", "csh"], "csh"),
    ];
    for (arguments, says) in rows {
        let done = user.program(&arguments).done().ended_with(2);
        assert_eq!(done.stdout, "", "{arguments:?}");
        assert!(done.stderr.contains(says), "{arguments:?}: {done:#?}");
    }
}

#[test]
fn a_table_is_plain_lines_where_there_is_no_terminal() {
    let lab = lab();
    let names = [
        "ready",
        "expired-no-refresh",
        "first-sign-in",
        "insufficient-scope",
        "server-500",
        "stdio-exits-3",
    ];
    let user = user_of(&lab, &rows_of(&lab, &names));
    let done = user.check("table").done().ended_with(3);
    assert_eq!(done.stderr, "");
    assert_eq!(done.stdout.lines().count(), names.len() + 1);
    for (name, starts, ends) in [
        ("ready", "✓", "  3 tools"),
        (
            "expired-no-refresh",
            "!",
            "  run `mcp-startup login expired-no-refresh`",
        ),
        (
            "first-sign-in",
            "!",
            "  run `mcp-startup login first-sign-in`",
        ),
        (
            "insufficient-scope",
            "!",
            "  run `mcp-startup login insufficient-scope`",
        ),
        ("server-500", "✗", "(HTTP 500): try again later"),
        (
            "stdio-exits-3",
            "✗",
            "cannot open the database: no such file",
        ),
    ] {
        let line = done.line(name);
        assert!(line.starts_with(starts) && line.ends_with(ends), "{line}");
    }
    for (name, state) in [
        ("ready", " ready "),
        ("expired-no-refresh", " sign-in expired "),
        ("first-sign-in", " not signed in "),
        ("insufficient-scope", " needs more access "),
        ("server-500", " failed "),
    ] {
        assert!(done.line(name).contains(state), "{}", done.stdout);
    }
    let closing = done.stdout.lines().last().unwrap();
    let counts = "6 servers: 1 ready, 1 to sign in to again, 1 to sign in to, 1 to grant more access, 2 failed (";
    assert!(closing.starts_with(counts), "{closing}");
}

#[test]
fn colour_is_for_who_wants_it() {
    let lab = lab();
    let user = user_of(&lab, &rows_of(&lab, &["ready", "server-500"]));
    let rows: [(&[(&str, &str)], bool); 5] = [
        (&[], false),
        (&[("NO_COLOR", "1")], false),
        (&[("CLICOLOR_FORCE", "1")], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (
            &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")],
            false,
        ),
    ];
    for (environment, coloured) in rows {
        let set = |run: Run| {
            environment
                .iter()
                .fold(run, |run, (name, value)| run.env(name, value))
        };
        let done = set(user.check("table")).done();
        assert_eq!(done.code, Some(1));
        assert_eq!(
            done.stdout.contains("\u{1b}["),
            coloured,
            "{environment:?}: {done:#?}"
        );
        // The other formats are for programs.
        for format in ["ndjson", "json"] {
            set(user.check(format)).done().ended_with(1);
        }
    }
}

#[test]
fn what_is_logged_is_plain_too() {
    let lab = lab();
    let user = user_of(&lab, &rows_of(&lab, &["ready", "api-key"]));
    for format in ["table", "ndjson", "json"] {
        let run = user.check(format).env("RUST_LOG", "trace");
        let done = run.done();
        assert!(!done.all().contains('\u{1b}'), "{}", done.all());
        assert_eq!(done.code, Some(1));
    }
}

/// A line as it goes over the wire: the params, with their keys as they stand there.
fn wire(line: &str) -> Value {
    const KEYS: [&str; 5] = ["threadId", "name", "status", "error", "failureReason"];
    let head = r#"{"method":"mcpServer/startupStatus/updated","params":{"#;
    assert!(line.starts_with(head), "{line}");
    let message: Value = serde_json::from_str(line).unwrap();
    assert_eq!(message.as_object().unwrap().len(), 2, "{line}");
    let params = message["params"].as_object().unwrap();
    assert_eq!(params.len(), KEYS.len(), "{line}");
    let at = KEYS.map(|key| line.find(&format!("\"{key}\":")).unwrap());
    assert!(at.is_sorted(), "{line}");
    message["params"].clone()
}

#[test]
fn ndjson_is_the_notifications_of_the_wire_and_nothing_else() {
    let lab = lab();
    let rows: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &rows);
    let done = user.check("ndjson").done().ended_with(3);
    // Rows whose refresh outlives their start: who waits is told for what.
    let waits = "Waiting for the answer to a refresh";
    assert!(
        done.stderr.lines().all(|line| line.starts_with(waits)),
        "{}",
        done.stderr
    );
    assert!(done.stdout.ends_with('\n'));
    let mut said: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in done.stdout.lines() {
        let params = wire(line);
        let name = params["name"].as_str().unwrap().to_owned();
        said.entry(name).or_default().push(params);
    }
    assert_eq!(said.len(), rows.len());
    for row in rows {
        let [starting, closing] = &said[&row.name][..] else {
            panic!("{}: {:?}", row.name, said[&row.name]);
        };
        let nothing = json!({ "threadId": null, "name": row.name, "status": "starting", "error": null, "failureReason": null });
        assert_eq!(*starting, nothing);
        assert_eq!(closing["status"], row.expect.state);
        assert_eq!(
            closing["failureReason"].as_str(),
            row.expect.reason.as_deref(),
            "{closing}"
        );
        assert_eq!(
            closing["error"].is_string(),
            row.expect.state == "failed",
            "{closing}"
        );
    }
    // What one side writes, the other reads.
    let follow = user.program(&["follow", "--format", "ndjson"]);
    assert_eq!(
        follow
            .stdin(done.stdout.clone())
            .done()
            .ended_with(3)
            .stdout,
        done.stdout
    );
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn json_is_one_report_in_the_order_of_the_configuration() {
    let lab = lab();
    let names = [
        "server-500",
        "ready",
        "first-sign-in",
        "stdio-exits-3",
        "expired-no-refresh",
    ];
    let user = user_of(&lab, &rows_of(&lab, &names));
    let done = user.check("json").done().ended_with(3);
    assert_eq!(done.stderr, "");
    let report = done.json();
    let mut wanted = ["configuration", "elapsedMs", "exitStatus", "servers"];
    wanted.sort_unstable();
    let mut found = keys(&report);
    found.sort_unstable();
    assert_eq!(found, wanted);
    assert_eq!(report["configuration"], user.config().to_str().unwrap());
    let servers = report["servers"].as_array().unwrap();
    let in_order: Vec<_> = servers
        .iter()
        .map(|server| server["name"].as_str().unwrap())
        .collect();
    assert_eq!(in_order, names);
    for server in servers {
        let mut found = keys(server);
        found.sort_unstable();
        let mut wanted = [
            "name",
            "required",
            "status",
            "failureReason",
            "phase",
            "elapsedMs",
            "tools",
            "failure",
            "notSaved",
        ];
        wanted.sort_unstable();
        assert_eq!(found, wanted);
        match server["name"] == "ready" {
            true => {
                assert_eq!(
                    (&server["failure"], &server["tools"]),
                    (&Value::Null, &json!(3))
                );
            }
            false => {
                let mut found = keys(&server["failure"]);
                found.sort_unstable();
                assert_eq!(found, ["evidence", "kind", "message", "recovery"]);
                assert_eq!(server["tools"], Value::Null);
                assert_eq!(server["failure"]["evidence"]["server"], server["name"]);
            }
        }
    }
    let exited = &done.server("stdio-exits-3")["failure"]["evidence"]["process"];
    assert_eq!(exited["exit"], 3);
    assert_eq!(exited["stderr"], "cannot open the database: no such file");
}

#[test]
fn servers_are_chosen_by_name_and_required_ones_are_marked() {
    let lab = lab();
    let (ready, failing) = (url(&lab.url("ready")), url(&lab.url("server-500")));
    let user = User::with(
        &[
            entry("on", &ready),
            entry("off", &format!("{ready}\nenabled = false")),
            entry("needed", &format!("{failing}\nrequired = true")),
            entry("needed-and-good", &format!("{ready}\nrequired = true")),
        ]
        .concat(),
    );
    let names = |done: &Done| -> Vec<String> {
        let report = done.json();
        let servers = report["servers"].as_array().unwrap().iter();
        servers
            .map(|server| server["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = user.check("json").done().ended_with(1);
    assert_eq!(names(&all), ["on", "needed", "needed-and-good"]);
    let required = |name: &str| all.server(name)["required"] == true;
    assert_eq!(
        [
            required("on"),
            required("needed"),
            required("needed-and-good")
        ],
        [false, true, true]
    );
    let some = user
        .check("json")
        .arg("needed-and-good")
        .arg("on")
        .arg("on")
        .done()
        .ended_with(0);
    assert_eq!(names(&some), ["on", "needed-and-good"]);
    let named = user.check("json").arg("off").done().ended_with(0);
    assert_eq!(names(&named), ["off"]);
    let table = user.check("table").done().ended_with(1);
    assert!(
        table.line("needed").contains("(required)"),
        "{}",
        table.stdout
    );
    assert!(!table.line("on").contains("(required)"), "{}", table.stdout);
    let nothing = User::with(&entry("off", &format!("{ready}\nenabled = false")));
    let done = nothing.check("table").done().ended_with(0);
    assert!(
        done.stderr.contains("No server is enabled in "),
        "{done:#?}"
    );
    assert!(done.stdout.starts_with("0 servers"), "{done:#?}");
    let done = nothing.check("json").done().ended_with(0);
    assert_eq!(done.json()["servers"], json!([]));
}

#[test]
fn a_configuration_without_any_server_is_an_error() {
    let user = User::with(FILE_STORE);
    user.write("empty.json", "{\"mcpServers\": {}}");
    let json = user.path("empty.json");
    for (run, file) in [
        (user.check("table"), user.config()),
        (user.check("json"), user.config()),
        (user.check("json").arg("named"), user.config()),
        (user.program(&["check"]), user.config()),
        (
            user.program(&["check", "--config", json.to_str().unwrap()]),
            json.clone(),
        ),
    ] {
        let done = run.done().ended_with(2);
        assert_eq!(done.stdout, "");
        let wanted = format!("no server is configured in {}", file.display());
        assert!(done.stderr.contains(&wanted), "{done:#?}");
    }
}

#[test]
fn the_time_out_of_the_command_line_is_over_that_of_the_configuration() {
    let lab = lab();
    let hangs = |seconds: &str| {
        entry(
            "hangs",
            &format!(
                "{}\nstartup_timeout_sec = {seconds}",
                url(&lab.url("hangs"))
            ),
        )
    };
    for (configured, given, limit_ms) in [("3600", "0.3", 300), ("0.001", "0.4", 400)] {
        let user = User::with(&hangs(configured));
        let done = user
            .check("json")
            .arg("--timeout")
            .arg(given)
            .done()
            .ended_with(1);
        let failure = done.server("hangs")["failure"].clone();
        assert_eq!(failure["kind"], "timedOut");
        assert_eq!(failure["evidence"]["limitMs"], limit_ms, "{failure:#}");
    }
    let done = User::with(&hangs("0.25"))
        .check("json")
        .done()
        .ended_with(1);
    assert_eq!(done.server("hangs")["failure"]["evidence"]["limitMs"], 250);
}

#[test]
fn one_at_a_time_all_of_them_start() {
    let lab = lab();
    let names = [
        "ready",
        "ready-sse",
        "ready-modern",
        "stdio-ready",
        "server-500",
    ];
    let user = user_of(&lab, &rows_of(&lab, &names));
    let run = user.check("ndjson").arg("--concurrency").arg("1");
    let done = run.done().ended_with(1);
    let said: Vec<_> = done.stdout.lines().map(wire).collect();
    assert_eq!(said.len(), 2 * names.len());
    for pair in said.chunks(2) {
        assert_eq!(
            pair[0]["status"], "starting",
            "one after the other: {said:?}"
        );
        assert_eq!(
            pair[0]["name"], pair[1]["name"],
            "one after the other: {said:?}"
        );
    }
}

/// A server whose program leaves a file where it was started.
fn leaves(marker: &Path) -> Value {
    json!({ "mcpServers": { "stranger": {
        "type": "stdio", "command": "/bin/sh", "args": ["-c", "echo started > \"$0\"; exit 1", marker],
    }}})
}

#[test]
fn without_a_file_it_is_that_of_codex_and_never_one_of_the_current_folder() {
    let lab = lab();
    let config = entry("mine", &url(&lab.url("ready")));
    for with_stranger in [false, true] {
        for at in ["HOME", "CODEX_HOME", "CODEX_HOME is elsewhere", "nowhere"] {
            let user = match at {
                "nowhere" => User::new(),
                _ => User::with(&config),
            };
            let marker = user.path("marker");
            if with_stranger {
                user.write("here/.mcp.json", leaves(&marker).to_string());
            }
            let run = user.program(&["check", "--format", "json"]);
            let run = match at {
                "CODEX_HOME" => run
                    .without("HOME")
                    .env("CODEX_HOME", user.path("home/.codex")),
                "CODEX_HOME is elsewhere" => run.env("CODEX_HOME", user.path("elsewhere")),
                _ => run,
            };
            let done = run.done();
            assert!(
                !marker.exists(),
                "{at}: the program of a stranger was started"
            );
            let named =
                done.stderr.contains(".mcp.json") && done.stderr.contains("--config .mcp.json");
            assert_eq!(named, with_stranger, "{at}: {done:#?}");
            match at {
                "HOME" | "CODEX_HOME" => {
                    let done = done.ended_with(0);
                    assert_eq!(done.server("mine")["status"], "ready");
                    assert!(
                        done.stderr.contains(user.config().to_str().unwrap()),
                        "{done:#?}"
                    );
                }
                _ => {
                    let done = done.ended_with(2);
                    assert_eq!(done.stdout, "");
                    let wanted = match at {
                        "nowhere" => user.config(),
                        _ => user.path("elsewhere/config.toml"),
                    };
                    let wanted = format!("{} does not exist", wanted.display());
                    assert!(done.stderr.contains(&wanted), "{done:#?}");
                }
            }
        }
    }
    let user = User::new();
    let done = user
        .program(&["check"])
        .without("HOME")
        .done()
        .ended_with(2);
    assert!(
        done.stderr.contains("neither CODEX_HOME nor HOME is set"),
        "{done:#?}"
    );
    let marker = user.path("marker");
    user.write("here/.mcp.json", leaves(&marker).to_string());
    let run = user.program(&["check", "--config", ".mcp.json", "--format", "json"]);
    let done = run.done().ended_with(1);
    assert_eq!(done.server("stranger")["failure"]["kind"], "exited");
    assert!(marker.exists(), "who names it wants it");
}

/// The name, the content and the time of the last change of everything below a folder.
fn everything(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let content = match metadata.is_dir() {
                true => {
                    folders.push(path.clone());
                    Vec::new()
                }
                false => std::fs::read(&path).unwrap(),
            };
            let name = path.to_str().unwrap().to_owned();
            found.insert(name, (content, metadata.modified().unwrap()));
        }
    }
    found
}

#[test]
fn a_check_writes_nothing_but_a_refreshed_credential() {
    let lab = lab();
    let refreshes = |row: &&Scenario| {
        let stored = row.stored.as_ref();
        stored.is_some_and(|stored| {
            stored
                .refresh_token
                .as_ref()
                .is_some_and(|token| !token.trim().is_empty())
        })
    };
    let rows: Vec<_> = lab
        .scenarios()
        .iter()
        .filter(|row| !refreshes(row))
        .collect();
    let user = user_of(&lab, &rows);
    let before = everything(&user.path(""));
    assert!(before.len() >= 5);
    for format in ["table", "ndjson", "json"] {
        let config = user.config();
        let run = user.program(&["check", "--format", format]);
        let run = match format {
            "ndjson" => run.env("CODEX_HOME", config.parent().unwrap()),
            _ => run,
        };
        run.done().ended_with(3);
        assert_eq!(everything(&user.path("")), before, "{format}");
    }
}

#[test]
fn a_store_that_cannot_be_read_is_not_signed_out() {
    let lab = lab();
    let rows = [
        (Some("file"), None, "signInRequired"),
        (Some("file"), Some("{}"), "signInRequired"),
        (Some("file"), Some("{\"cut"), "credentialStoreUnavailable"),
        (Some("file"), Some(""), "credentialStoreUnavailable"),
        (Some("file"), Some("[]"), "credentialStoreUnavailable"),
        (Some("auto"), None, "credentialStoreUnavailable"),
        (Some("auto"), Some("{}"), "credentialStoreUnavailable"),
        (Some("auto"), Some("nonsense"), "credentialStoreUnavailable"),
        (Some("keyring"), Some("{}"), "credentialStoreUnavailable"),
        (Some("vault"), Some("{}"), "credentialStoreUnavailable"),
        (None, None, "credentialStoreUnavailable"),
        (None, Some("{}"), "credentialStoreUnavailable"),
    ];
    each(&rows, |(mode, content, kind)| {
        let mode = mode.map(|mode| format!("mcp_oauth_credentials_store = {}\n", quoted(mode)));
        let user = User::with(
            &[
                mode.unwrap_or_default(),
                entry("asks", &url(&lab.url("first-sign-in"))),
                entry("does-not-ask", &url(&lab.url("ready"))),
                entry(
                    "configured",
                    &format!(
                        "{}\nbearer_token_env_var = \"TOKEN\"",
                        url(&lab.url("bearer-ok"))
                    ),
                ),
            ]
            .concat(),
        );
        let file = user.path("home/.codex/.credentials.json");
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let run = user.check("json").env("TOKEN", "good-token");
        let done = run
            .done()
            .ended_with(if *kind == "signInRequired" { 3 } else { 1 });
        let asks = done.server("asks");
        assert_eq!(asks["failure"]["kind"], *kind, "{asks:#}");
        assert_eq!(asks["failureReason"], Value::Null);
        assert_eq!(done.server("does-not-ask")["status"], "ready");
        assert_eq!(done.server("configured")["status"], "ready");
        match content {
            Some(content) => assert_eq!(std::fs::read_to_string(&file).unwrap(), *content),
            None => assert!(!file.exists()),
        }
    });
    // What is in the file is found there by whoever may look into it.
    for (mode, status) in [("file", "ready"), ("auto", "ready"), ("keyring", "failed")] {
        let rows = rows_of(&lab, &["ready-stored-token"]);
        let user = user_of(&lab, &rows);
        let config = std::fs::read_to_string(user.config()).unwrap();
        user.write(
            "home/.codex/config.toml",
            config.replace("\"file\"", &quoted(mode)),
        );
        let done = user.check("json").done();
        assert_eq!(
            done.server("ready-stored-token")["status"],
            status,
            "{mode}"
        );
    }
}

fn line(name: &str, status: &str, more: &str) -> String {
    format!(
        r#"{{"method":"mcpServer/startupStatus/updated","params":{{"name":"{name}","status":"{status}"{more}}}}}"#
    )
}

const AGAIN: &str = r#","error":"gone","failureReason":"reauthenticationRequired""#;

#[test]
fn follow_reads_what_any_app_server_writes() {
    let user = User::new();
    let follow = |format: &str, input: &[u8]| {
        let run = user.program(&["follow", "--format", format]);
        run.stdin(input).done().decently()
    };
    let (a, b) = (line("a", "ready", ""), line("b", "failed", AGAIN));
    let other = r#"{"method":"thread/started","params":{}}"#;
    for (what, input, code, names, bad) in [
        ("empty", String::new(), 0, vec![], vec![]),
        ("one", format!("{a}\n"), 0, vec!["a"], vec![]),
        (
            "no last line end",
            format!("{a}\n{b}"),
            3,
            vec!["a", "b"],
            vec![],
        ),
        ("CRLF", format!("{a}\r\n{b}\r\n"), 3, vec!["a", "b"], vec![]),
        (
            "others",
            format!("{other}\n\n{a}\n{other}\n"),
            0,
            vec!["a"],
            vec![],
        ),
        (
            "failed",
            format!("{a}\n{}\n", line("b", "failed", "")),
            1,
            vec!["a", "b"],
            vec![],
        ),
        (
            "signed in meanwhile",
            format!("{b}\n{}\n", line("b", "ready", "")),
            0,
            vec!["b"],
            vec![],
        ),
        (
            "bad ones",
            format!(
                "{a}\n{{\n{}\n{b}\n",
                r#"{"method":"mcpServer/startupStatus/updated","params":{"name":3,"status":"ready"}}"#
            ),
            3,
            vec!["a", "b"],
            vec![("line 2", ""), ("line 3", "name")],
        ),
        (
            "newer",
            format!("{}\n", line("a", "dozing", r#","mood":"fine""#)),
            1,
            vec!["a"],
            vec![],
        ),
    ] {
        let done = follow("json", input.as_bytes());
        assert_eq!(done.code, Some(code), "{what}: {done:#?}");
        let report = done.json();
        let servers = report["servers"].as_array().unwrap();
        let found: Vec<_> = servers
            .iter()
            .map(|server| server["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{what}");
        assert_eq!(report["badLines"], bad.len(), "{what}");
        assert_eq!(report["exitStatus"], code, "{what}");
        let again = if code == 3 { json!(["b"]) } else { json!([]) };
        assert_eq!(report["reauthenticationRequired"], again, "{what}");
        assert_eq!(done.stderr.lines().count(), bad.len(), "{what}: {done:#?}");
        for (said, (number, field)) in done.stderr.lines().zip(&bad) {
            assert!(
                said.contains(number) && said.contains(field),
                "{what}: {said}"
            );
        }
        for format in ["table", "ndjson"] {
            assert_eq!(
                follow(format, input.as_bytes()).code,
                Some(code),
                "{what}, {format}"
            );
        }
    }
}

/// The closing line is about servers, not about what was said of them.
#[test]
fn follow_counts_each_server_once_and_as_it_is_now() {
    for (said, closing) in [
        (
            vec![
                line("a", "failed", AGAIN),
                line("a", "starting", ""),
                line("a", "ready", ""),
            ],
            "1 server: 1 ready",
        ),
        (
            vec![line("a", "ready", ""), line("a", "failed", "")],
            "1 server: 1 failed",
        ),
        (
            vec![line("a", "ready", ""), line("b", "starting", "")],
            "2 servers: 1 ready, 1 still starting",
        ),
        (
            vec![line("a", "starting", ""), line("a", "cancelled", "")],
            "1 server: 1 cancelled",
        ),
        (
            vec![line("a", "dozing", ""), line("b", "starting", "")],
            "2 servers: 1 still starting, 1 in another state",
        ),
        (vec![], "0 servers"),
    ] {
        let user = User::new();
        let run = user.program(&["follow"]).stdin(said.join("\n"));
        let done = run.done().decently();
        assert_eq!(
            done.stdout.lines().last(),
            Some(closing),
            "{said:#?}\n{}",
            done.stdout
        );
    }
}

#[test]
fn follow_shows_what_it_does_not_know_and_which_thread_it_is_about() {
    let of = |thread: &str| format!(r#","threadId":"{thread}""#);
    let said = [
        line("one", "dozing", ""),
        line("two", "starting", &of("0199aaaa-1")),
        line("two", "starting", &of("0199\\u001bbbb-2")),
        line("two", "ready", &of("0199aaaa-1")),
        line("two", "ready", &of("0199\\u001bbbb-2")),
    ];
    let user = User::new();
    let run = user.program(&["follow"]).stdin(said.join("\n"));
    let done = run.done().ended_with(1);
    let lines: Vec<_> = done.stdout.lines().collect();
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
fn follow_that_is_interrupted_shows_what_it_has_heard() {
    let user = User::new();
    for (signal, format) in [("INT", "json"), ("TERM", "json"), ("INT", "table")] {
        let run = user.program(&["follow", "--format", format]);
        let mut child = run.spawn_with(Stdio::piped());
        let mut stdin = child.0.stdin.take().unwrap();
        writeln!(stdin, "{}\n{{", line("a", "ready", "")).unwrap();
        // It has read all when it complains of the second line.
        let mut stderr = BufReader::new(child.0.stderr.take().unwrap());
        let mut complaint = String::new();
        stderr.read_line(&mut complaint).unwrap();
        assert!(complaint.contains("line 2"), "{complaint}");
        let process = child.0.id().to_string();
        let killed = Command::new("kill")
            .args([&format!("-{signal}"), &process])
            .status();
        assert!(killed.unwrap().success());
        assert_eq!(child.0.wait().unwrap().code(), Some(130), "{signal}");
        let mut stdout = String::new();
        let mut pipe = child.0.stdout.take().unwrap();
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
fn follow_reads_what_codex_wrote() {
    let fixture = include_str!("../../../tests/fixtures/codex-app-server-0.169.0.jsonl");
    let done = User::new()
        .program(&["follow", "--format", "json"])
        .stdin(fixture)
        .done();
    let report = done.json();
    assert_eq!(report["badLines"], 0);
    // The last that was said of each, read without any of our code.
    let mut last: Vec<(Value, Value)> = Vec::new();
    for line in fixture.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        if message["method"] != "mcpServer/startupStatus/updated" {
            continue;
        }
        let params = message["params"].clone();
        let key = json!([params["threadId"], params["name"]]);
        match last.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = params,
            None => last.push((key, params)),
        }
    }
    assert!(last.len() > 5);
    let servers = report["servers"].as_array().unwrap();
    assert_eq!(servers.len(), last.len());
    for (server, (_, params)) in servers.iter().zip(&last) {
        for field in ["threadId", "name", "status", "error", "failureReason"] {
            assert_eq!(server[field], params[field], "{server:#}");
        }
    }
    let again =
        |(_, params): &(Value, Value)| params["failureReason"] == "reauthenticationRequired";
    let code = if last.iter().any(again) { 3 } else { 1 };
    let done = done.ended_with(code);
    assert_eq!(done.stderr, "");
    let table = User::new()
        .program(&["follow"])
        .stdin(fixture)
        .done()
        .ended_with(code);
    assert!(
        table.stdout.lines().count() > last.len() / 2,
        "{}",
        table.stdout
    );
}

#[test]
fn a_line_that_is_too_long_is_told_and_the_next_one_is_read() {
    let mut input = line("a", "ready", "").into_bytes();
    input.extend(b"\n{\"method\":\"");
    input.resize(input.len() + 20_000_000, b'x');
    input.extend(b"\"}\n");
    input.extend(line("b", "ready", "").bytes());
    let user = User::new();
    let run = user.program(&["follow", "--format", "json"]).stdin(input);
    let done = run.done().ended_with(0);
    assert_eq!(done.server("b")["status"], "ready");
    assert_eq!(done.json()["badLines"], 1);
    assert!(done.stderr.contains("line 2"), "{done:#?}");
    assert!(done.peak_mb < 100.0, "{} MB", done.peak_mb);
}

#[test]
fn the_demo_shows_servers_in_many_states() {
    let user = User::new();
    let done = user.program(&["demo"]).done().ended_with(0);
    let shown = done.stdout.lines().count() - 1;
    assert_eq!(shown, 14, "{}", done.stdout);
    assert!(done.stdout.contains("sign-in expired"), "{}", done.stdout);
    assert!(
        done.stdout
            .lines()
            .last()
            .unwrap()
            .starts_with("14 servers: "),
        "{}",
        done.stdout
    );
    let one = user.program(&["demo", "first-sign-in", "--format", "json"]);
    assert_eq!(
        one.done().ended_with(0).json()["servers"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        std::fs::read_dir(user.path("temporary")).unwrap().count(),
        0
    );
}

#[test]
fn every_scenario_of_the_lab_comes_to_what_it_is_made_for() {
    let user = User::new();
    let done = user
        .program(&["demo", "--all", "--format", "json"])
        .done()
        .ended_with(0);
    let mut wrong = Vec::new();
    for row in scenarios() {
        let server = done.server(&row.name);
        let failure = &server["failure"];
        let got = [
            &server["status"],
            &failure["kind"],
            &server["failureReason"],
            &failure["recovery"],
        ];
        let expect = &row.expect;
        let wanted = [
            json!(expect.state),
            json!(expect.kind),
            json!(expect.reason),
            json!(expect.recovery),
        ];
        if got.iter().zip(&wanted).any(|(got, wanted)| *got != wanted) {
            wrong.push(format!("{}: {got:?}, wanted {wanted:?}", row.name));
        }
    }
    ran("starts by the program", scenarios().len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_lab_serves_until_it_is_interrupted() {
    let user = User::new();
    for signal in ["INT", "TERM"] {
        let mut child = user.program(&["lab", "--port", "0"]).spawn();
        let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
        let mut printed = String::new();
        stdout.read_line(&mut printed).unwrap();
        let base = printed.trim_end();
        assert!(
            base.starts_with("http://127.0.0.1:") && base.ends_with('/'),
            "{base}"
        );
        let listing = get(base);
        let rows: Value = serde_json::from_str(&listing).unwrap();
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), scenarios().len());
        assert_eq!(
            rows[0]["url"],
            format!("{base}{}/mcp", rows[0]["name"].as_str().unwrap())
        );
        // Its port is taken now.
        let port = base.trim_end_matches('/').rsplit(':').next().unwrap();
        let second = user.program(&["lab", "--port", port]).done();
        assert!(second.code.is_some_and(|code| code != 0), "{second:#?}");
        let second = second.decently();
        assert!(
            second.stderr.contains(&format!("127.0.0.1:{port}")),
            "{second:#?}"
        );
        assert!(
            second.stderr.to_lowercase().contains("in use"),
            "{second:#?}"
        );
        let killed = Command::new("kill")
            .args([&format!("-{signal}"), &child.0.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        let ended = child.0.wait().unwrap();
        assert_eq!(ended.code(), Some(0), "{signal}");
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

/// The body of a page.
fn get(url: &str) -> String {
    use std::io::Write;
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    write!(connection, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn completions_and_the_version_are_printed() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = user.program(&["completions", shell]).done();
        assert_eq!(done.code, Some(0), "{done:#?}");
        assert!(
            done.stdout.contains("mcp-startup") && done.stdout.contains("concurrency"),
            "{shell}"
        );
        assert_eq!(done.stderr, "");
    }
    let version = concat!("mcp-startup ", env!("CARGO_PKG_VERSION"), "\n");
    for arguments in [&["--version"][..], &["-V"]] {
        assert_eq!(user.program(arguments).done().ended_with(0).stdout, version);
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let lab = lab();
    let user = user_of(&lab, &rows_of(&lab, &["ready", "stdio-ready", "hangs"]));
    for format in ["table", "ndjson", "json"] {
        let (_, stderr) = user.check(format).spawn().closed();
        assert_eq!(stderr, "", "{format}");
    }
}

/// Runs a program on a terminal of so many rows and columns, and prints all that came to it, then its exit status.
const ON_A_TERMINAL: &str = r#"
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", int(sys.argv[1]), int(sys.argv[2]), 0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])
while True:
    try:
        read = os.read(terminal, 65536)
    except OSError:
        break
    if not read:
        break
    sys.stdout.buffer.write(read)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

fn on_a_terminal(run: Run, test: &str) -> Option<Done> {
    on_a_terminal_of(60, 120, run, test)
}

fn on_a_terminal_of(rows: usize, columns: usize, run: Run, test: &str) -> Option<Done> {
    let has_terminals = Command::new("python3").args(["-c", "import pty"]).status();
    if !has_terminals.is_ok_and(|status| status.success()) {
        skip(
            env!("CARGO_CRATE_NAME"),
            test,
            "no python3 to open a terminal with",
        );
        return None;
    }
    let run = run.env("TERM", "xterm-256color");
    let (rows, columns) = (rows.to_string(), columns.to_string());
    let terminal = ["python3", "-c", ON_A_TERMINAL, &rows, &columns];
    Some(run.through(&terminal).done())
}

/// What stands on a terminal's screen after all this has come to it, and the parameters of each SGR sequence.
fn screen(text: &str) -> (Vec<String>, Vec<String>) {
    screen_of(120, text)
}

fn screen_of(columns: usize, text: &str) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut colours) = (vec![Vec::new()], Vec::new());
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' => {
                assert_eq!(characters.next(), Some('['), "an escape that is no CSI");
                let mut parameters = String::new();
                let command = loop {
                    let next = characters.next().unwrap();
                    if next.is_ascii_alphabetic() {
                        break next;
                    }
                    parameters.push(next);
                };
                let count = parameters.parse().unwrap_or(1);
                match command {
                    'm' => colours.push(parameters),
                    'A' => row = row.saturating_sub(count),
                    'B' => row += count,
                    'C' => column += count,
                    'D' => column = column.saturating_sub(count),
                    'G' => column = count - 1,
                    'K' if parameters == "2" => lines[row] = Vec::new(),
                    'K' if parameters.is_empty() || parameters == "0" => {
                        lines[row].truncate(column)
                    }
                    'J' if parameters.is_empty() || parameters == "0" => {
                        lines[row].truncate(column);
                        lines.truncate(row + 1);
                    }
                    'h' | 'l' => {}
                    other => panic!("a sequence that is not expected: {parameters}{other}"),
                }
            }
            character => {
                assert!(!character.is_control(), "{character:?}");
                let width = character.width().unwrap();
                if column + width > columns {
                    (row, column) = (row + 1, 0);
                }
                lines.resize(lines.len().max(row + 1), Vec::new());
                let line: &mut Vec<char> = &mut lines[row];
                line.resize(line.len().max(column + width), ' ');
                // A wide character takes two cells, of which the second is empty.
                line[column..column + width].fill('\0');
                line[column] = character;
                column += width;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    let shown = |line: Vec<char>| {
        let line: String = line.into_iter().filter(|cell| *cell != '\0').collect();
        line.trim_end().to_owned()
    };
    let mut lines: Vec<_> = lines.into_iter().map(shown).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    (lines, colours)
}

#[test]
fn on_a_terminal_spinners_run_and_the_lines_are_left() {
    let test = "on_a_terminal_spinners_run_and_the_lines_are_left";
    let slow = |milliseconds: u32| json!([{ "reply": { "delayMs": milliseconds, "status": 500 } }]);
    let lab = lab_of(json!([
        { "name": "fast", "mcp": { "tools": 2 } },
        { "name": "slow", "mcp": { "respond": slow(700) } },
        { "name": "slower", "mcp": { "respond": slow(1200) } },
    ]));
    let rows: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &rows);
    user.write(
        "home/.codex/config.toml",
        format!(
            "{}{}",
            std::fs::read_to_string(user.config()).unwrap(),
            entry("exits", &shell("printf '\\033[31mred\\n' >&2; exit 4"))
        ),
    );
    for no_color in [false, true] {
        let run = user.check("table");
        let run = match no_color {
            true => run.env("NO_COLOR", "1"),
            false => run,
        };
        let Some(done) = on_a_terminal(run, test) else {
            return;
        };
        assert_eq!(done.code, Some(1), "{done:#?}");
        assert!(
            done.stdout.contains("slower    shaking hands"),
            "{:?}",
            done.stdout
        );
        let (lines, colours) = screen(&done.stdout);
        assert_eq!(lines.len(), 5, "{lines:#?}");
        let names: Vec<_> = lines
            .iter()
            .map(|line| line.split_whitespace().nth(1).unwrap())
            .collect();
        assert_eq!(names[2..4], ["slow", "slower"], "{lines:#?}");
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("✓ fast") && line.ends_with("  2 tools")),
            "{lines:#?}"
        );
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("✗ exits") && line.contains("\\u{1b}[31mred")),
            "{lines:#?}"
        );
        assert!(
            lines[4].starts_with("4 servers: 1 ready, 3 failed ("),
            "{lines:#?}"
        );
        assert_eq!(colours.is_empty(), no_color, "{colours:?}");
    }
    for format in ["ndjson", "json"] {
        let done = on_a_terminal(user.check(format), test).unwrap();
        assert!(!done.stdout.contains('\u{1b}'), "{done:#?}");
    }
}

#[test]
fn on_a_terminal_more_servers_than_spinners_are_all_shown() {
    let test = "on_a_terminal_more_servers_than_spinners_are_all_shown";
    let names: Vec<_> = (0..40)
        .map(|number| format!("server-{number:02}"))
        .collect();
    let rows: Vec<_> = names
        .iter()
        .map(|name| json!({ "name": name, "mcp": { "respond": [{ "when": { "method": "initialize" }, "times": 1, "reply": { "delayMs": 200, "status": 503 } }] } }))
        .collect();
    let lab = lab_of(rows.into());
    let rows: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &rows);
    let Some(done) = on_a_terminal(user.check("table"), test) else {
        return;
    };
    let (lines, _) = screen(&done.stdout);
    assert_eq!(lines.len(), 41, "{lines:#?}");
    for name in &names {
        assert!(
            lines.iter().any(|line| line.contains(name.as_str())),
            "{name}: {lines:#?}"
        );
    }
}

/// A row of the lab whose first answers take so long, and are failures.
fn slow_row(name: &str, milliseconds: u32) -> Value {
    let reply = json!({ "delayMs": milliseconds, "status": 500 });
    json!({ "name": name, "mcp": { "respond": [{ "when": { "method": "initialize" }, "reply": reply }] } })
}

#[test]
fn on_a_terminal_wide_names_are_as_wide_as_they_are() {
    let test = "on_a_terminal_wide_names_are_as_wide_as_they_are";
    let lab = lab_of(json!([slow_row("slow", 500)]));
    let long = "名".repeat(45);
    let names = ["名前", "a", &long];
    let entries = names.map(|name| entry(name, &url(&lab.url("slow"))));
    let user = User::with(&entries.concat());
    let Some(done) = on_a_terminal(user.check("table"), test) else {
        return;
    };
    let (lines, _) = screen(&done.stdout);
    let rows: Vec<_> = lines.iter().filter(|line| line.starts_with('✗')).collect();
    assert_eq!(rows.len(), 3, "{lines:#?}");
    for row in &rows {
        let (before, _) = row.split_once("failed").unwrap();
        // The long name is cut to 40 columns, of which half a character can't have the last.
        assert_eq!(before.width(), 2 + 39 + 2, "{lines:#?}");
    }
    assert!(rows.iter().any(|row| row.contains(" 名前 ")), "{lines:#?}");
    // Nothing of a spinner is left.
    assert!(lines.last().unwrap().starts_with("3 servers: 3 failed ("));
    assert!(!lines.iter().any(|line| line.contains("starting")));
}

#[test]
fn on_a_terminal_servers_without_a_line_are_counted_and_get_one_when_one_is_free() {
    let test = "on_a_terminal_servers_without_a_line_are_counted_and_get_one_when_one_is_free";
    let name = |number: u32| format!("server-{number:02}");
    let lab = lab_of(
        (0..30)
            .map(|number| slow_row(&name(number), if number < 12 { 800 } else { 2500 }))
            .collect(),
    );
    let rows: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &rows);
    let Some(done) = on_a_terminal_of(24, 120, user.check("table"), test) else {
        return;
    };
    for wanted in ["… and 18 more", "… and 6 more"] {
        assert!(done.stdout.contains(wanted), "{wanted}: {done:#?}");
    }
    // It began without a line.
    let shakes = format!("{}  shaking hands", name(23));
    assert!(done.stdout.contains(&shakes), "{done:#?}");
    let (lines, _) = screen(&done.stdout);
    assert_eq!(lines.len(), 31, "{lines:#?}");
    assert!(lines[30].starts_with("30 servers: 30 failed ("));
}

#[test]
fn on_a_terminal_nothing_breaks_inside_a_word() {
    let test = "on_a_terminal_nothing_breaks_inside_a_word";
    let lab = lab();
    let long = "a-name-that-is-longer-than-half-of-the-row";
    let user = User::with(
        &[
            FILE_STORE.to_owned(),
            entry(
                long,
                &format!("{}\nrequired = true", url(&lab.url("server-500"))),
            ),
            entry("sign-in", &url(&lab.url("first-sign-in"))),
            entry("ready", &url(&lab.url("ready"))),
        ]
        .concat(),
    );
    let Some(done) = on_a_terminal_of(24, 60, user.check("table"), test) else {
        return;
    };
    let (lines, _) = screen_of(60, &done.stdout);
    // The terminal itself has broken no row: what it breaks goes on in the first column.
    let rows = lines
        .iter()
        .take_while(|line| !line.starts_with("3 servers"));
    let mut starts = rows.map(|line| line.split_whitespace().next().zip(line.find(|c| c != ' ')));
    assert!(
        starts.all(|start| matches!(start, Some(("✓" | "✗" | "!", 0) | (_, 4)))),
        "{lines:#?}"
    );
    let has = |wanted: &str| lines.iter().any(|line| line == wanted);
    assert!(has("    run `mcp-startup login sign-in`"), "{lines:#?}");
    let required = |line: &String| line.starts_with("    (required)");
    assert!(lines.iter().any(required), "{lines:#?}");
    let ready = |line: &String| line.starts_with("✓ ready") && line.ends_with(" s");
    assert!(lines.iter().any(ready), "{lines:#?}");
}

#[test]
fn on_a_terminal_a_ready_server_says_that_its_tools_are_counted() {
    let test = "on_a_terminal_a_ready_server_says_that_its_tools_are_counted";
    let server = Server::start(|asked, answering| {
        if asked.rpc() == "tools/list" {
            std::thread::sleep(std::time::Duration::from_millis(600));
        }
        answering.good(asked)
    });
    let user = User::with(&entry("ready", &url(&server.url())));
    let Some(done) = on_a_terminal(user.check("table"), test) else {
        return;
    };
    let counts = done.stdout.contains("ready     ready, counting its tools");
    assert!(counts, "{done:#?}");
}
