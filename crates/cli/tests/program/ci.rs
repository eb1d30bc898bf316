//! The options for scripts and continuous integration: `--only-failed`, `--quiet`, `--color`, and the formats.

use std::io::{BufRead, BufReader, Read};
#[cfg(unix)]
use std::{path::Path, process::Command};

use serde_json::json;

use crate::harness::configuration::{FILE_STORE, entry, url};
use crate::harness::lab::{lab, lab_with, scenarios_named, user_of};
#[cfg(unix)]
use crate::harness::run::PROGRAM;
use crate::harness::user::User;

fn user_with_one_failure() -> (mcp_startup_lab::Lab, User) {
    let lab = lab();
    let user = user_of(&lab, &scenarios_named(&lab, &["ready", "server-500"]));
    (lab, user)
}

#[test]
fn only_failed_hides_the_servers_that_are_ready_and_counts_them() {
    let (_lab, user) = user_with_one_failure();
    let shown = |format: &str| {
        let finished = user.check(format).arg("--only-failed").finish();
        finished.assert_exit(1).stdout
    };
    let table = shown("table");
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("✗ server-500"), "{table}");
    assert!(
        lines[1].starts_with("2 servers: 1 ready, 1 failed ("),
        "{table}"
    );
    assert_eq!(lines.len(), 2, "{table}");
    let report: serde_json::Value = serde_json::from_str(&shown("json")).unwrap();
    let servers = report["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0]["name"], "server-500");
    let ndjson = shown("ndjson");
    assert_eq!(ndjson.lines().count(), 1, "{ndjson}");
    assert!(ndjson.contains(r#""status":"failed""#), "{ndjson}");
}

#[test]
fn quiet_prints_nothing_and_keeps_the_exit_status() {
    let (_lab, user) = user_with_one_failure();
    let config = user.config();
    let check = ["check", "--quiet", "--config", config.to_str().unwrap()];
    let finished = user.program(&check).finish().assert_exit(1);
    assert_eq!((&*finished.stdout, &*finished.stderr), ("", ""));
    let ready = [&check[..], &["ready"]].concat();
    user.program(&ready).finish().assert_exit(0);
    let both = [&check[..], &["--format", "json"]].concat();
    user.program(&both).finish().assert_exit(2);
}

#[test]
fn a_suggested_command_starts_with_npx_under_npx() {
    let lab = lab();
    let entries = entry("first", &url(&lab.url("first-sign-in")));
    let user = User::with(&format!("{FILE_STORE}{entries}"));
    for (event, command) in [
        ("npx", "run `npx mcp-startup login first"),
        ("test", "run `mcp-startup login first"),
    ] {
        let run = user.check("table").env("npm_lifecycle_event", event);
        let finished = run.finish().assert_exit(3);
        assert!(finished.stdout.contains(command), "{finished:#?}");
    }
}

#[test]
fn color_overrides_the_environment() {
    let (_lab, user) = user_with_one_failure();
    let colored = |when: &str, variable: &str| {
        let run = user.check("table").arg("--color").arg(when);
        let finished = run.env(variable, "1").finish();
        finished.stdout.contains('\u{1b}')
    };
    assert!(colored("always", "NO_COLOR"));
    assert!(!colored("never", "CLICOLOR_FORCE"));
    assert!(colored("auto", "CLICOLOR_FORCE"));
    assert!(!colored("auto", "NO_COLOR"));
}

/// A project of VS Code and Cursor, with one server that is ready, one that fails, and two that can't be checked or used.
fn project(lab: &mcp_startup_lab::Lab) -> User {
    let user = User::with(FILE_STORE);
    std::fs::create_dir_all(user.path("here/.vscode")).unwrap();
    let text = format!(
        "{{\n  \"servers\": {{\n    \"ready\": {{\"type\": \"http\", \"url\": \"{}\"}},\n    \"a <b> & \\\"c\\\"\": {{\n      \"type\": \
         \"http\",\n      \"url\": \"{}\"\n    }},\n    \"wrong\": {{\n      \"type\": \"http\",\n      \"url\": 7\n    }},\n    \
         \"prompt\": {{\"url\": \"${{input:url}}\"}}\n  }}\n}}\n",
        lab.url("ready"),
        lab.url("server-500")
    );
    user.write("here/.vscode/mcp.json", text);
    user
}

#[test]
fn junit_has_a_test_case_for_each_server() {
    let lab = lab();
    let user = project(&lab);
    let arguments = ["check", "--trust-project", "--format", "junit"];
    let xml = user.program(&arguments).finish().assert_exit(1).stdout;
    for part in [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n",
        "<testsuite name=\"mcp-startup\" tests=\"4\" failures=\"2\" skipped=\"1\"",
        "<testcase classname=\"vscode\" name=\"ready\" file=\".vscode/mcp.json\" line=\"3\"",
        "name=\"a &lt;b&gt; &amp; &quot;c&quot;\" file=\".vscode/mcp.json\" line=\"4\"",
        "<failure type=\"serverError\" message=\"",
        "<failure type=\"invalidConfiguration\" message=\"",
        "name=\"prompt\" file=\".vscode/mcp.json\"",
        "<skipped message=\"needs a value that only VS Code knows: `${input:url}`\"/>",
    ] {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
}

#[test]
fn github_annotates_the_lines_of_the_configuration() {
    let lab = lab();
    let user = project(&lab);
    let arguments = ["check", "--trust-project", "--format", "github"];
    let text = user.program(&arguments).finish().assert_exit(1).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    let starts = [
        "::error file=.vscode/mcp.json,line=4,title=a <b> & \"c\"::",
        "::error file=.vscode/mcp.json,line=10,title=wrong::",
        "::notice file=",
    ];
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{start}\n{text}");
    }
    let watch = [&arguments[..], &["--watch"]].concat();
    let finished = user.program(&watch).finish().assert_exit(2);
    assert!(
        finished
            .stderr
            .contains("`--format github` prints one report"),
        "{finished:#?}"
    );
}

#[test]
fn a_configuration_that_cannot_be_read_is_in_the_report() {
    let user = User::new();
    user.write("here/broken.json", "{\n  \"mcpServers\": [\n}\n");
    let rows = [
        (
            "github",
            "::error file=broken.json,line=3,title=mcp-startup check::broken.json, line 3, column 1: ",
        ),
        (
            "junit",
            "<testcase classname=\"mcp\" name=\"mcp-startup check\" file=\"broken.json\" line=\"3\" time=\"0\">\n      <error message=\"",
        ),
    ];
    for (format, part) in rows {
        let arguments = ["check", "--config", "broken.json", "--format", format];
        let finished = user.program(&arguments).finish().assert_exit(2);
        assert!(finished.stdout.contains(part), "{format}: {finished:#?}");
        assert!(finished.stderr.starts_with("error: "), "{finished:#?}");
    }
    let arguments = ["check", "--dry-run", "--format", "junit"];
    let finished = user.program(&arguments).finish().assert_exit(2);
    assert!(finished.stderr.contains("`--dry-run`"), "{finished:#?}");
}

#[test]
fn status_shows_each_server_when_it_answers_and_has_a_time_limit() {
    let slow = json!([{ "reply": { "delayMs": 60_000, "status": 401 } }]);
    let lab = lab_with(json!([
        { "name": "slow", "mcp": { "respond": slow } },
        { "name": "open", "mcp": {} },
    ]));
    let entries = ["slow", "open"].map(|name| entry(name, &url(&lab.url(name))));
    let user = User::with(&format!("{FILE_STORE}{}", entries.concat()));
    let arguments = ["status", "--online", "--timeout", "2"];
    let mut running = user.program(&arguments).spawn();
    let stdout = BufReader::new(running.child.stdout.take().unwrap());
    let lines: Vec<String> = stdout.lines().map(Result::unwrap).collect();
    assert!(lines[0].starts_with("! open  "), "{lines:#?}");
    assert!(lines[1].starts_with("- slow  "), "{lines:#?}");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

/// The commands of the shells of Windows have other quotation marks, and are tested with the suggestions.
#[cfg(unix)]
#[test]
fn a_suggested_command_works_when_it_is_copied() {
    let lab = lab();
    let long = "n".repeat(60);
    let names = [
        long.as_str(),
        "-dash",
        "it's a $(name)",
        "👨\u{200d}👩\u{200d}👧",
    ];
    let entries = names.map(|name| {
        let key = toml_key(name);
        format!(
            "[mcp_servers.{key}]\nurl = \"{}\"\n",
            lab.url("first-sign-in")
        )
    });
    let user = User::with(&format!("{FILE_STORE}{}", entries.concat()));
    let finished = user.check("table").finish().assert_exit(3);
    for name in names {
        let line = finished.stdout.lines().find(|line| line.contains(name));
        let line = line.unwrap_or_else(|| panic!("{name}: {}", finished.stdout));
        let command = line.split('`').nth(1).unwrap();
        // The same arguments, without a browser.
        let command = command.replacen(" login ", " status ", 1);
        let folder = Path::new(PROGRAM).parent().unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.display());
        let output = Command::new("sh")
            .args(["-c", &command])
            .env_clear()
            .env("PATH", path)
            .env("HOME", user.path("home"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command}: {output:?}");
        assert!(text.contains(name), "{command}: {text}");
    }
}

#[cfg(unix)]
fn toml_key(name: &str) -> String {
    format!("{name:?}").replace("\\u{200d}", "\\u200d")
}

#[test]
fn demo_suggests_no_command_that_cannot_find_its_servers() {
    let user = User::new();
    let finished = user.program(&["demo"]).finish().assert_exit(0);
    assert!(
        finished
            .stdout
            .contains("its user would be asked to sign in"),
        "{}",
        finished.stdout
    );
    assert!(!finished.stdout.contains("mcp-startup login"));
}

#[test]
fn lab_writes_a_configuration_and_removes_it() {
    let user = User::new();
    for name in ["lab.json", "config.toml"] {
        let file = user.path(&format!("here/{name}"));
        let mut running = user.program(&["lab", "--write-config", name]).spawn();
        let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
        stdout.read_line(&mut String::new()).unwrap();
        let check = ["check", "--config", name, "--format", "json", "ready"];
        let finished = user.program(&check).finish().assert_exit(0);
        assert_eq!(finished.server("ready")["status"], "ready");
        // The sign-in of this scenario is not in the file.
        let check = [
            "check",
            "--config",
            name,
            "--format",
            "json",
            "expired-no-refresh",
        ];
        let finished = user.program(&check).finish().assert_exit(3);
        let failure = &finished.server("expired-no-refresh")["failure"];
        assert_eq!(failure["kind"], "signInRequired", "{failure}");
        running.signal("TERM");
        assert_eq!(running.child.wait().unwrap().code(), Some(0));
        let mut stderr = String::new();
        let mut pipe = running.child.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        assert!(stderr.contains("It has no sign-ins: "), "{stderr}");
        assert!(!file.exists());
        // A file of the user is kept.
        std::fs::write(&file, "mine").unwrap();
        let lab = ["lab", "--write-config", name];
        let finished = user.program(&lab).finish().assert_exit(2);
        assert!(finished.stderr.contains("needs the path of a new file"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }
    let lab = ["lab", "--write-config", "config.yaml"];
    let finished = user.program(&lab).finish().assert_exit(2);
    assert!(finished.stderr.contains("ends in `.toml` or `.json`"));
    assert!(!user.path("here/config.yaml").exists());
}
