//! The configuration file that `check` reads if none is named, and the files that it never reads.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::configuration::{FILE_STORE, entry, url};
use crate::harness::lab::lab;
use crate::harness::run::test_program;
use crate::harness::user::{HOME, User};

#[test]
fn check_without_arguments_never_starts_a_server_of_the_current_folder() {
    let lab = lab();
    let config = entry("mine", &url(&lab.url("ready")));
    for with_project_file in [false, true] {
        for at in ["HOME", "CODEX_HOME", "CODEX_HOME is elsewhere", "nowhere"] {
            let user = match at {
                "nowhere" => User::new(),
                _ => User::with(&config),
            };
            let marker = user.path("marker");
            if with_project_file {
                user.write("here/.mcp.json", server_creating(&marker).to_string());
            }
            let run = user.program(&["check", "--format", "json"]);
            let run = match at {
                "CODEX_HOME" => run
                    .env_remove(HOME)
                    .env("CODEX_HOME", user.path("home/.codex")),
                "CODEX_HOME is elsewhere" => run.env("CODEX_HOME", user.path("elsewhere")),
                _ => run,
            };
            let finished = run.finish();
            assert!(
                !marker.exists(),
                "{at}: a server from the current folder was started"
            );
            match at {
                "HOME" | "CODEX_HOME" => {
                    let finished = finished.assert_exit(0);
                    let mine = finished.server("mine");
                    assert_eq!(mine["status"], "ready");
                    assert_eq!(mine["owners"][0]["client"], "codex");
                    assert_eq!(mine["owners"][0]["path"], user.config().to_str().unwrap());
                    let report = finished.json();
                    let not_checked = report["notChecked"].as_array().unwrap();
                    assert_eq!(!not_checked.is_empty(), with_project_file, "{at}");
                    for left in not_checked {
                        let why = left["why"].as_str().unwrap();
                        assert!(why.contains("--trust-project"), "{left}");
                    }
                }
                _ if with_project_file => {
                    let finished = finished.assert_exit(0);
                    assert_eq!(finished.json()["servers"], json!([]));
                }
                _ => {
                    let finished = finished.assert_exit(2);
                    assert_eq!(finished.stdout, "");
                    let message = "no MCP client with servers was found";
                    assert!(finished.stderr.contains(message), "{finished:#?}");
                }
            }
        }
    }
    let user = User::new();
    let finished = user
        .program(&["check"])
        .env_remove(HOME)
        .finish()
        .assert_exit(2);
    assert!(
        finished.stderr.contains(&format!(
            "no MCP client with servers was found: the variable {HOME} has no absolute path; set it,"
        )),
        "{finished:#?}"
    );
    let marker = user.path("marker");
    user.write("here/.mcp.json", server_creating(&marker).to_string());
    let run = user.program(&["check", "--config", ".mcp.json", "--format", "json"]);
    let finished = run.finish().assert_exit(1);
    assert_eq!(finished.server("project")["failure"]["kind"], "exited");
    assert!(marker.exists(), "a file named on the command line is used");
}

/// A configuration with one server, which creates the file `marker` when it is started.
fn server_creating(marker: &Path) -> Value {
    json!({ "mcpServers": { "project": {
        "type": "stdio", "command": test_program(), "args": ["file", marker, "started", "exit", "1"],
    }}})
}

#[test]
fn configuration_without_servers_is_an_error() {
    let user = User::with(FILE_STORE);
    user.write("empty.json", "{\"mcpServers\": {}}");
    let json = user.path("empty.json");
    for (run, file) in [
        (user.check("table"), user.config()),
        (user.check("json"), user.config()),
        (user.check("json").arg("named"), user.config()),
        (
            user.program(&["check", "--config", json.to_str().unwrap()]),
            json.clone(),
        ),
    ] {
        let finished = run.finish().assert_exit(2);
        assert_eq!(finished.stdout, "");
        let message = format!("no servers are configured in {}", file.display());
        assert!(finished.stderr.contains(&message), "{finished:#?}");
    }
}

/// Parts of a configuration that may not have the expected effect: in the table, in the report, and in the message of a failure.
#[test]
fn configuration_warnings_are_shown_whether_a_server_is_ready_or_not() {
    let lab = lab();
    let user = User::new();
    // A short command: the message with the warning is limited.
    let (shell, option) = match cfg!(windows) {
        true => ("cmd", "/c"),
        false => ("sh", "-c"),
    };
    let servers = json!({ "mcpServers": {
        "ready": { "type": "http", "url": lab.url("ready"), "environment": { "A": "hunter2-canary" } },
        "fails": { "command": shell, "args": [option, "exit 3"], "environment": { "A": "hunter2-canary" } },
        "refused": {
            "type": "http", "url": lab.url("bearer-rejected"), "headers": { "Authorization": "Bearer $ACME_TOKEN" },
        },
    }});
    let path = user.write("servers.json", format!("// A comment\n{servers}"));
    let check = |format| {
        let run = user.program(&["check", "--format", format, "--config"]);
        run.arg(path.to_str().unwrap()).finish().assert_exit(1)
    };
    let finished = check("json");
    assert!(
        finished
            .stderr
            .contains("servers.json, line 1: JSON has no comments")
    );
    let report = finished.json();
    assert_eq!(report["configurationWarnings"][0]["line"], 1);
    for (name, key, part) in [
        (
            "ready",
            "mcpServers.ready.environment",
            "did you mean `env`?",
        ),
        (
            "fails",
            "mcpServers.fails.environment",
            "did you mean `env`?",
        ),
        (
            "refused",
            "mcpServers.refused.headers.Authorization",
            "write `${ACME_TOKEN}`",
        ),
    ] {
        let server = finished.server(name);
        let [warning] = server["configurationWarnings"]
            .as_array()
            .unwrap()
            .as_slice()
        else {
            panic!("{server:#}");
        };
        assert_eq!(
            (&warning["key"], &warning["line"]),
            (&json!(key), &json!(2))
        );
        assert!(
            warning["problem"].as_str().unwrap().contains(part),
            "{server:#}"
        );
        if name != "ready" {
            let message = server["failure"]["message"].as_str().unwrap();
            assert!(message.contains(key) && message.contains(part), "{message}");
            let evidence = &server["failure"]["evidence"]["configurationWarnings"];
            assert_eq!(evidence, &server["configurationWarnings"]);
        }
    }
    let table = check("table");
    assert!(
        table
            .stdout
            .contains("\n    mcpServers.ready.environment (line 2): this key is not read"),
        "{}",
        table.stdout
    );
    // Once for each server: the message of a failure has it already.
    assert_eq!(
        table.stdout.matches("did you mean `env`?").count(),
        2,
        "{}",
        table.stdout
    );
    for finished in [&finished, &table, &check("ndjson")] {
        assert!(!finished.all_output().contains("hunter2"), "{finished:#?}");
    }
}

/// `login` and `status` show what `check` shows about the entry.
#[test]
fn configuration_warnings_are_shown_by_each_command() {
    let lab = lab();
    let user = User::new();
    let server = json!({
        "type": "http", "url": lab.url("ready"), "header": { "X-Key": "hunter2-canary" }, "oauth": { "clientIdd": "hunter2-canary" },
    });
    let path = user.write(
        "servers.json",
        json!({ "mcpServers": { "ready": server } }).to_string(),
    );
    let run = |arguments: &[&str]| {
        let run = user.program(arguments).arg("--config");
        run.arg(path.to_str().unwrap()).finish()
    };
    let check = run(&["check", "--format", "json"]).assert_exit(0);
    let warnings = &check.server("ready")["configurationWarnings"];
    let status = run(&["status", "--format", "json"]).assert_exit(0);
    assert_eq!(&status.server("ready")["configurationWarnings"], warnings);
    let warnings = warnings.as_array().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");

    let table = run(&["check"]).assert_exit(0);
    let status = run(&["status"]).assert_exit(0);
    let explain = run(&["explain", "ready"]).assert_exit(0);
    let login = run(&["login", "ready", "--no-browser", "--timeout", "0.1"]).assert_exit(1);
    for warning in warnings {
        let [key, problem] = ["key", "problem"].map(|field| warning[field].as_str().unwrap());
        let text = format!("{key} (line 1): {problem}");
        for shown in [
            &table.stdout,
            &status.stdout,
            &explain.stdout,
            &login.stderr,
        ] {
            assert_eq!(shown.matches(&text).count(), 1, "{text}\n{shown}");
        }
    }
    for finished in [&check, &table, &status, &explain, &login] {
        assert!(!finished.all_output().contains("hunter2"), "{finished:#?}");
    }
}
