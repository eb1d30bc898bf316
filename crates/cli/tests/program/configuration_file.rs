//! The configuration file that `check` reads if none is named, and the files that it never reads.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::configuration::{FILE_STORE, entry, url};
use crate::harness::lab::lab;
use crate::harness::user::User;

#[test]
fn default_configuration_is_codexs_and_never_a_file_in_the_current_folder() {
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
                    .env_remove("HOME")
                    .env("CODEX_HOME", user.path("home/.codex")),
                "CODEX_HOME is elsewhere" => run.env("CODEX_HOME", user.path("elsewhere")),
                _ => run,
            };
            let finished = run.finish();
            assert!(
                !marker.exists(),
                "{at}: a server from the current folder was started"
            );
            let is_named = finished.stderr.contains(".mcp.json")
                && finished.stderr.contains("--config .mcp.json");
            assert_eq!(is_named, with_project_file, "{at}: {finished:#?}");
            match at {
                "HOME" | "CODEX_HOME" => {
                    let finished = finished.assert_exit(0);
                    assert_eq!(finished.server("mine")["status"], "ready");
                    assert!(
                        finished.stderr.contains(user.config().to_str().unwrap()),
                        "{finished:#?}"
                    );
                }
                _ => {
                    let finished = finished.assert_exit(2);
                    assert_eq!(finished.stdout, "");
                    let path = match at {
                        "nowhere" => user.config(),
                        _ => user.path("elsewhere/config.toml"),
                    };
                    let message = format!("{} does not exist", path.display());
                    assert!(finished.stderr.contains(&message), "{finished:#?}");
                }
            }
        }
    }
    let user = User::new();
    let finished = user
        .program(&["check"])
        .env_remove("HOME")
        .finish()
        .assert_exit(2);
    assert!(
        finished
            .stderr
            .contains("neither CODEX_HOME nor HOME is set"),
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
        "type": "stdio", "command": "/bin/sh", "args": ["-c", "echo started > \"$0\"; exit 1", marker],
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
        (user.program(&["check"]), user.config()),
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
