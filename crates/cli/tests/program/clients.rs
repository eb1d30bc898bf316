//! The servers of every client on a machine, a URL, and a command.

#[cfg(unix)]
use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::harness::configuration::{FILE_STORE, QUOTE, entry, url};
use crate::harness::lab::{lab, lab_with};
use crate::harness::run::test_program;
#[cfg(unix)]
use crate::harness::terminal::{is_available, spawn_on_terminal};
use crate::harness::user::{HOME, SETTINGS, User};
use mcp_startup_lab::Lab;

/// Writes a JSON file of a client, with its folders.
fn write(user: &User, path: &str, content: &Value) {
    std::fs::create_dir_all(user.path(path).parent().unwrap()).unwrap();
    user.write(path, content.to_string());
}

fn vs_code_file() -> String {
    format!("{SETTINGS}/Code/User/mcp.json")
}

/// A server that creates a file in the current folder when it is started.
fn server_with_marker() -> Value {
    json!({ "command": test_program(), "args": ["file", "marker", "started", "exit", "1"] })
}

/// A user with Codex, Cursor and VS Code, and a project in the current folder.
fn user_of_three_clients(lab: &Lab) -> User {
    let codex = [
        FILE_STORE.to_owned(),
        entry("shared", &url(&lab.url("ready"))),
        entry("only-codex", &url(&lab.url("first-sign-in"))),
    ];
    let user = User::with(&codex.concat());
    let cursor = json!({ "mcpServers": {
        "docs": { "url": lab.url("ready"), "type": "http" },
        "off": { "command": "/nonexistent" },
        "broken": { "type": "carrier-pigeon" },
    }});
    write(&user, "home/.cursor/mcp.json", &cursor);
    let vs_code = json!({ "servers": {
        "docs": { "url": lab.url("server-500"), "type": "http" },
        "prompt": { "url": lab.url("ready"), "headers": { "Authorization": "Bearer ${input:token}" } },
    }});
    write(&user, &vs_code_file(), &vs_code);
    let project = json!({ "mcpServers": { "here": server_with_marker() } });
    write(&user, "here/.mcp.json", &project);
    user
}

#[test]
fn check_without_arguments_starts_the_servers_of_every_client_and_groups_them() {
    let lab = lab();
    let user = user_of_three_clients(&lab);
    let finished = user.program(&["check"]).finish().assert_exit(3);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    for client in ["Codex", "Cursor", "VS Code"] {
        assert!(lines.contains(&client), "{}", finished.stdout);
    }
    let heading = |name: &str| lines.iter().position(|line| line.contains(name)).unwrap();
    assert_eq!(
        heading("cursor:docs"),
        heading("Cursor") + 2,
        "{}",
        finished.stdout
    );
    assert_eq!(
        heading("vscode:docs"),
        heading("VS Code") + 1,
        "{}",
        finished.stdout
    );
    assert!(
        finished
            .stdout
            .contains("run `mcp-startup login only-codex`"),
        "{}",
        finished.stdout
    );
    let prompt =
        "not checked: prompt (VS Code): needs a value that only VS Code knows: `${input:token}`";
    assert!(lines.contains(&prompt), "{}", finished.stdout);
    assert!(
        finished
            .stdout
            .contains("if you trust the project, pass `--trust-project`")
    );
    let closing = lines.last().unwrap();
    assert!(
        closing.starts_with("6 servers: 2 ready, 1 to sign in to, 3 failed, "),
        "{closing}"
    );
    assert!(closing.contains("not checked"), "{closing}");
    assert!(!user.path("here/marker").exists());
}

#[test]
fn servers_are_named_with_their_client_and_similar_names_are_suggested() {
    let lab = lab();
    let user = user_of_three_clients(&lab);
    let names = |arguments: &[&str], code: i32| -> Vec<String> {
        let arguments = [&["check", "--format", "json"], arguments].concat();
        let finished = user.program(&arguments).finish().assert_exit(code);
        let report = finished.json();
        let servers = report["servers"].as_array().unwrap().iter();
        servers
            .map(|server| server["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&["docs"], 1), ["cursor:docs", "vscode:docs"]);
    assert_eq!(names(&["cursor:docs"], 0), ["docs"]);
    assert_eq!(names(&["--client", "cursor", "docs"], 0), ["docs"]);
    assert_eq!(
        names(&["--client", "codex,cursor", "shared", "docs"], 0),
        ["shared", "docs"]
    );
    let finished = user.program(&["check", "shred"]).finish().assert_exit(2);
    assert!(
        finished.stderr.contains("did you mean `shared`?"),
        "{finished:#?}"
    );
    let finished = user
        .program(&["check", "--client", "emacs"])
        .finish()
        .assert_exit(2);
    assert!(finished.stderr.contains("claude-code"), "{finished:#?}");
    let finished = user
        .program(&["login", "docs", "--no-browser"])
        .finish()
        .assert_exit(2);
    let message = "several clients have a server `docs`; name one of: cursor:docs, vscode:docs";
    assert!(finished.stderr.contains(message), "{finished:#?}");
}

#[test]
fn a_server_of_several_clients_is_started_once_and_names_all_of_them() {
    let lab = lab();
    let user = User::with(FILE_STORE);
    let entry = json!({ "type": "http", "url": lab.url("ready") });
    write(
        &user,
        "home/.cursor/mcp.json",
        &json!({ "mcpServers": { "docs": entry } }),
    );
    write(
        &user,
        &vs_code_file(),
        &json!({ "servers": { "docs": entry } }),
    );
    let finished = user
        .program(&["check", "--format", "json"])
        .finish()
        .assert_exit(0);
    let report = finished.json();
    assert_eq!(report["servers"].as_array().unwrap().len(), 1, "{report:#}");
    let owners: Vec<_> = report["servers"][0]["owners"]
        .as_array()
        .unwrap()
        .iter()
        .map(|owner| owner["client"].clone())
        .collect();
    assert_eq!(owners, ["cursor", "vscode"]);
    let finished = user.program(&["check"]).finish().assert_exit(0);
    assert!(
        finished.stdout.contains("    also in VS Code\n"),
        "{}",
        finished.stdout
    );
}

#[test]
fn every_name_of_a_client_is_reported_even_if_two_start_the_same() {
    let user = User::with(FILE_STORE);
    let entry = server_with_marker();
    write(
        &user,
        "home/.cursor/mcp.json",
        &json!({ "mcpServers": { "a": entry, "b": entry } }),
    );
    write(
        &user,
        &vs_code_file(),
        &json!({ "servers": { "c": entry } }),
    );
    let finished = user
        .program(&["check", "--format", "json"])
        .finish()
        .assert_exit(1);
    let report = finished.json();
    let servers = report["servers"].as_array().unwrap().iter();
    let found: Vec<_> = servers
        .map(|server| {
            let owners = server["owners"].as_array().unwrap();
            (server["name"].clone(), owners.len())
        })
        .collect();
    assert_eq!(found, [("a".into(), 2), ("b".into(), 1)], "{report:#}");
}

#[test]
fn a_project_file_is_used_only_if_its_client_has_the_approval_or_with_trust_project() {
    let user = User::new();
    write(
        &user,
        "here/.mcp.json",
        &json!({ "mcpServers": { "project": server_with_marker() } }),
    );
    let claude = ["check", "--client", "claude-code", "--format", "json"];
    let marker = user.path("here/marker");
    let finished = user.program(&claude).finish().assert_exit(0);
    assert_eq!(finished.json()["notChecked"][0]["name"], "project");
    assert!(!marker.exists());
    // The author of the repository can't approve it.
    let approval = json!({ "enabledMcpjsonServers": ["project"] });
    write(&user, "here/.claude/settings.json", &approval);
    user.program(&claude).finish().assert_exit(0);
    assert!(!marker.exists());
    write(&user, "home/.claude/settings.json", &approval);
    user.program(&claude).finish().assert_exit(1);
    assert!(marker.exists());
    std::fs::remove_file(&marker).unwrap();
    std::fs::remove_file(user.path("home/.claude/settings.json")).unwrap();
    let trusted = [&claude[..], &["--trust-project"]].concat();
    user.program(&trusted).finish().assert_exit(1);
    assert!(marker.exists());
}

#[test]
fn a_url_and_a_command_are_checked_without_a_configuration() {
    let lab = lab();
    let user = User::new();
    let url = lab.url("ready");
    let finished = user
        .program(&["check", "--format", "json", &url])
        .finish()
        .assert_exit(0);
    assert_eq!(finished.server("127.0.0.1")["status"], "ready");
    let finished = user
        .program(&["check", "--format", "json", &url, &url])
        .finish()
        .assert_exit(0);
    assert_eq!(finished.json()["servers"].as_array().unwrap().len(), 2);
    let finished = user
        .program(&["check", "ftp://example.com/secret?key=hunter2"])
        .finish()
        .assert_exit(2);
    assert!(
        finished.stderr.contains("ftp:// is not supported"),
        "{finished:#?}"
    );
    assert!(!finished.stderr.contains("hunter2"), "{finished:#?}");
    let command = [
        "check",
        "--format",
        "json",
        "--",
        test_program(),
        "err",
        "cannot open the database",
        "exit",
        "3",
    ];
    let finished = user.program(&command).finish().assert_exit(1);
    let name = std::path::Path::new(test_program()).file_stem().unwrap();
    let server = finished.server(name.to_str().unwrap());
    assert_eq!(server["failure"]["kind"], "exited");
    let finished = user
        .program(&["check", "name", "--", "sh"])
        .finish()
        .assert_exit(2);
    assert!(
        finished.stderr.contains("cannot be used with"),
        "{finished:#?}"
    );
}

#[test]
fn dry_run_lists_the_servers_and_starts_none() {
    let lab = lab();
    let user = user_of_three_clients(&lab);
    write(
        &user,
        "home/.cursor/mcp.json",
        &json!({ "mcpServers": {
            "marks": { "command": test_program(), "args": ["file", "marker", "started", "--token", "hunter2-canary"],
                       "env": { "LD_PRELOAD": "hunter2-library" } },
        }}),
    );
    let command = format!(
        "{} file marker started --token {QUOTE}[masked]{QUOTE} with LD_PRELOAD",
        test_program()
    );
    let command = command.as_str();
    let finished = user
        .program(&["check", "--dry-run"])
        .finish()
        .assert_exit(0);
    assert!(
        finished.stdout.contains(&format!("    marks  {command}\n")),
        "{}",
        finished.stdout
    );
    assert!(!finished.stdout.contains("hunter2"), "{}", finished.stdout);
    let finished = user
        .program(&["check", "--dry-run", "--format", "json"])
        .finish()
        .assert_exit(0);
    let report = finished.json();
    let servers = report["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 4, "{}", finished.stdout);
    let of = |name: &str| {
        servers
            .iter()
            .find(|server| server["name"] == name)
            .unwrap()
    };
    assert_eq!(of("marks")["command"], command);
    assert_eq!(of("marks")["url"], Value::Null);
    let origin = lab.url("").split('/').take(3).collect::<Vec<_>>().join("/");
    assert_eq!(of("shared")["url"], origin);
    assert!(!finished.stdout.contains("hunter2"), "{}", finished.stdout);
    assert!(!user.path("here/marker").exists());
}

#[test]
fn a_broken_file_of_one_client_does_not_hold_up_the_others() {
    let lab = lab();
    let user = User::with(&entry("fine", &url(&lab.url("ready"))));
    write(&user, "home/.cursor/mcp.json", &json!({}));
    user.write("home/.cursor/mcp.json", "{\"mcpServers\": {\n  oops");
    let finished = user
        .program(&["check", "--format", "json"])
        .finish()
        .assert_exit(1);
    assert_eq!(finished.server("fine")["status"], "ready");
    assert!(finished.stderr.contains("Cursor: "), "{finished:#?}");
    assert!(
        finished.stderr.contains("line 2, column 3"),
        "{finished:#?}"
    );
}

#[test]
fn clients_lists_the_files_and_the_servers_of_each_client() {
    let lab = lab();
    let user = user_of_three_clients(&lab);
    user.write("home/.codex/broken.config.toml", "x = ");
    let finished = user
        .program(&["clients", "--format", "json"])
        .finish()
        .assert_exit(1);
    let files = finished.json();
    let of = |client: &str| -> Vec<&Value> {
        files
            .as_array()
            .unwrap()
            .iter()
            .filter(|file| file["client"] == client)
            .collect()
    };
    let codex = of("codex");
    assert_eq!(codex[0]["path"], user.config().to_str().unwrap());
    assert_eq!(
        (&codex[0]["scope"], &codex[0]["format"]),
        (&json!("user"), &json!("toml"))
    );
    assert_eq!(codex[1]["error"]["line"], 1);
    let broken = &of("cursor")[0]["servers"][0];
    assert_eq!(
        (&broken["name"], &broken["checkable"]),
        (&json!("broken"), &json!(false))
    );
    assert!(
        broken["why"]
            .as_str()
            .unwrap()
            .contains("neither `command` nor `url`"),
        "{broken}"
    );
    let vs_code = of("vscode");
    let project = vs_code
        .iter()
        .find(|file| file["scope"] == "project")
        .unwrap();
    assert_eq!(
        (&project["approved"], &project["error"]),
        (&Value::Null, &Value::Null)
    );
    let finished = user.program(&["clients", "cursor"]).finish().assert_exit(0);
    assert!(
        finished.stdout.starts_with("Cursor\n"),
        "{}",
        finished.stdout
    );
    assert!(
        finished.stdout.contains("✗ mcpServers.broken (line 1)"),
        "{}",
        finished.stdout
    );
    let finished = User::new().program(&["clients"]).finish().assert_exit(0);
    assert_eq!(
        finished.stdout,
        "No configuration file of an MCP client was found.\n"
    );
    let user = User::new();
    let run = user.program(&["clients"]).env(HOME, "home");
    let finished = run.finish().assert_exit(0);
    assert_eq!(
        finished.stdout,
        format!(
            "No configuration file of an MCP client was found: the variable {HOME} has no absolute path.\n"
        )
    );
}

/// Only Unix has pseudo-terminals.
#[cfg(unix)]
#[test]
fn the_first_check_of_every_client_asks_on_a_terminal_until_the_user_agrees() {
    let test = "clients::the_first_check_of_every_client_asks_on_a_terminal_until_the_user_agrees";
    if !is_available(test) {
        return;
    }
    let lab = lab();
    let user = User::with(&entry("fine", &url(&lab.url("ready"))));
    let answer = |arguments: &[&str], keys: &[u8]| -> String {
        let mut running = spawn_on_terminal(user.program(arguments));
        let mut stdin = running.child.stdin.take().unwrap();
        stdin.write_all(keys).unwrap();
        let mut text = String::new();
        let mut stdout = running.child.stdout.take().unwrap();
        stdout.read_to_string(&mut text).unwrap();
        text
    };
    let confirmed = user.path("home/.local/state/mcp-startup/check-confirmed");
    let text = answer(&["check"], b"n\n");
    assert!(text.contains("    fine  127.0.0.1"), "{text}");
    assert!(
        text.contains("[y/N]") && !text.contains("1 ready"),
        "{text}"
    );
    assert!(text.contains("Nothing was started."), "{text}");
    assert!(!confirmed.exists());
    for arguments in [&["check", "--yes"][..], &["check", "fine"]] {
        let text = answer(arguments, b"");
        assert!(
            !text.contains("[y/N]") && text.contains("1 ready"),
            "{text}"
        );
        assert!(!confirmed.exists());
    }
    let text = answer(&["check"], b"y\n");
    assert!(text.contains("[y/N]") && text.contains("1 ready"), "{text}");
    let text = answer(&["check"], b"");
    assert!(
        !text.contains("[y/N]") && text.contains("1 ready"),
        "{text}"
    );
}

#[test]
fn the_token_that_mcp_remote_stores_is_used_for_the_server_behind_it() {
    let lab = lab_with(json!([
        { "name": "behind", "mcp": { "serves": { "tokens": ["good-token"] } } },
    ]));
    let server = lab.url("behind");
    let user = User::new();
    let config = json!({ "mcpServers": { "behind": { "command": "npx", "args": ["-y", "mcp-remote", server] } } });
    write(&user, "home/mcp.json", &config);
    let key = mcp_startup::config::StorageKeys::of_url(&server).current;
    let store = format!("home/.mcp-auth/mcp-remote-v1/{key}_tokens.json");
    write(&user, &store, &json!({ "access_token": "good-token" }));
    let file = user.path("home/mcp.json");
    let check = [
        "check",
        "--format",
        "json",
        "--config",
        file.to_str().unwrap(),
    ];
    let finished = user.program(&check).finish().assert_exit(0);
    assert_eq!(finished.server("behind")["status"], "ready");
}

#[test]
fn the_sign_in_that_a_client_holds_is_used_or_the_client_is_named() {
    let lab =
        lab_with(json!([{ "name": "tickets", "mcp": { "serves": { "tokens": ["held-token"] } } }]));
    let user = User::with(FILE_STORE);
    let tickets = json!({ "type": "http", "url": lab.url("tickets") });
    write(
        &user,
        "home/.claude.json",
        &json!({ "mcpServers": { "tickets": tickets } }),
    );
    let store = "home/.claude/.credentials.json";
    let (later, earlier) = (4_102_444_800_000_i64, 1_600_000_000_000_i64);
    #[rustfmt::skip]
    let rows = [
        (lab.url("tickets"), later, 0, Value::Null, Value::Null),
        (lab.url("tickets"), earlier, 3, json!("signInHeldByClient"), json!("openClient")),
        // The token of another URL is never sent.
        (lab.url("other"), later, 3, json!("signInRequired"), json!("signIn")),
    ];
    for (url, expires_at, exit, kind, recovery) in rows {
        let held = json!({ "mcpOAuth": { "tickets|0123456789abcdef": {
            "serverName": "tickets", "serverUrl": url, "accessToken": "held-token", "refreshToken": "held-refresh",
            "expiresAt": expires_at,
        }}});
        write(&user, store, &held);
        let before = std::fs::read(user.path(store)).unwrap();
        let checked = user.program(&["check", "--format", "json"]).finish();
        let report = checked.assert_exit(exit).json();
        let server = &report["servers"][0];
        assert_eq!(server["failure"]["kind"], kind, "{report:#}");
        assert_eq!(server["failure"]["recovery"], recovery, "{report:#}");
        assert_eq!(server["failureReason"], Value::Null, "{report:#}");
        if kind == "signInHeldByClient" {
            let message = server["failure"]["message"].as_str().unwrap();
            assert!(message.contains("Claude Code"), "{message}");
        }
        user.program(&["status", "tickets"]).finish();
        user.program(&["explain", "tickets"]).finish();
        assert_eq!(std::fs::read(user.path(store)).unwrap(), before);
        assert!(user.records().is_empty());
    }
}
