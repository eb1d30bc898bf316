//! Invalid entries in a valid configuration file.

use serde_json::json;

use crate::bad_server::{WORKING, bad, check_each_with_a_working_server};
use crate::harness::configuration::{entry, url};
use crate::harness::lab::lab;
use crate::harness::user::User;

#[test]
fn invalid_entry_fails_only_its_own_server() {
    let servers = [
        bad(
            "../../x",
            url("http://127.0.0.1:9/mcp"),
            "invalidConfiguration",
            "the path segment `..`",
        ),
        bad(
            "a\nb",
            url("http://127.0.0.1:9/mcp"),
            "invalidConfiguration",
            "control characters",
        ),
        bad(
            "a\u{1b}]0;owned\u{7}b",
            url("http://127.0.0.1:9/mcp"),
            "invalidConfiguration",
            "control characters",
        ),
        bad(
            "a\u{9b}2Jb",
            url("http://127.0.0.1:9/mcp"),
            "invalidConfiguration",
            "control characters",
        ),
        bad(
            "",
            url("http://127.0.0.1:9/mcp"),
            "invalidConfiguration",
            "the server name is empty",
        ),
        bad(
            "password",
            url("https://me:hunter2-canary@example.com/mcp"),
            "invalidConfiguration",
            "remove it",
        ),
        bad(
            "password-mistyped",
            url("https//me:hunter2-canary@example.com/mcp"),
            "invalidConfiguration",
            "`mcp_servers.password-mistyped.url` (line 3)",
        ),
        bad(
            "password-in-port",
            url("https://me:hunter2-canary/@example.com/mcp"),
            "invalidConfiguration",
            "not a URL",
        ),
        bad(
            "ftp",
            url("ftp://example.com/mcp"),
            "invalidConfiguration",
            "ftp:// is not supported",
        ),
        bad(
            "unset",
            "url = \"https://example.com/mcp\"\nbearer_token_env_var = \"NO_SUCH_TOKEN\"",
            "invalidConfiguration",
            "the environment variable NO_SUCH_TOKEN is not set",
        ),
        bad(
            "nothing",
            "",
            "invalidConfiguration",
            "neither `command` nor `url`",
        ),
        bad(
            "number",
            "url = 3",
            "invalidConfiguration",
            "must be a string",
        ),
        bad(
            "header",
            "url = \"https://example.com/mcp\"\nhttp_headers = { X = \"a\\nb\" }",
            "invalidConfiguration",
            "a character that is not allowed in a header",
        ),
        bad(
            "timeout",
            "url = \"https://example.com/mcp\"\nstartup_timeout_sec = -1",
            "invalidConfiguration",
            "more than zero",
        ),
        bad(
            "timeout-nan",
            "url = \"https://example.com/mcp\"\nstartup_timeout_sec = nan",
            "invalidConfiguration",
            "more than zero",
        ),
        bad(
            "timeout-inf",
            "url = \"https://example.com/mcp\"\nstartup_timeout_sec = inf",
            "invalidConfiguration",
            "24 hours",
        ),
        bad(
            "nul",
            "command = \"a\\u0000b\"",
            "invalidConfiguration",
            "NUL",
        ),
    ];
    check_each_with_a_working_server(&servers);
    let lab = lab();
    let working = entry(WORKING, &url(&lab.url("ready")));
    let entries: String = servers.iter().map(|bad| bad.entry()).collect();
    let user = User::with(&format!("{entries}{working}"));
    for format in ["table", "ndjson", "json"] {
        let finished = user.check(format).finish().assert_exit(1);
        assert!(!finished.all_output().contains("hunter2"), "{finished:#?}");
        assert!(finished.all_output().contains(WORKING), "{finished:#?}");
    }
    let table = user.check("table").finish();
    assert_eq!(
        table.stdout.lines().count(),
        servers.len() + 2,
        "{}",
        table.stdout
    );
}

#[test]
fn unset_variable_in_a_json_file_is_named() {
    let lab = lab();
    let user = User::new();
    let servers = json!({ "mcpServers": {
        "token": { "type": "http", "url": lab.url("bearer-ok"), "headers": { "Authorization": "Bearer ${NO_SUCH_TOKEN}" } },
        "program": { "command": "${NO_SUCH_PROGRAM}" },
        "default": { "type": "http", "url": lab.url("bearer-ok"), "headers": { "Authorization": "Bearer ${NO_SUCH_TOKEN:-good-token}" } },
        WORKING: { "type": "http", "url": "${LAB_URL}" },
    }});
    let path = user.write("servers.json", servers.to_string());
    let run = user.program(&["check", "--format", "json", "--config"]);
    let run = run
        .arg(path.to_str().unwrap())
        .env("LAB_URL", lab.url("ready"));
    let finished = run.finish().assert_exit(1);
    for (name, variable) in [("token", "NO_SUCH_TOKEN"), ("program", "NO_SUCH_PROGRAM")] {
        let failure = finished.server(name)["failure"].clone();
        assert_eq!(failure["kind"], "invalidConfiguration");
        let message = format!("the environment variable {variable} is not set");
        assert!(
            failure["message"].as_str().unwrap().contains(&message),
            "{failure:#}"
        );
    }
    assert_eq!(finished.server("default")["status"], "ready");
    assert_eq!(finished.server(WORKING)["status"], "ready");
}
