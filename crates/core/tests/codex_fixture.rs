//! Compatibility with Codex: decodes and encodes the notifications that the app-server of each supported version wrote.

#![allow(
    clippy::unwrap_used,
    reason = "a panic in a test helper fails the test"
)]

use std::path::{Path, PathBuf};

use mcp_startup_core::{
    CODEX_VERSIONS, McpAuthStatus, McpServerConnectionStatus, StartupTracker, decode, decode_lines,
    encode,
};
use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn lines_of(version: &str) -> String {
    let name = format!("tests/fixtures/codex-app-server-{version}.jsonl");
    std::fs::read_to_string(repository().join(name)).unwrap()
}

fn schema_of(version: &str, name: &str) -> Value {
    let name = format!("schema/codex-{version}/{name}.json");
    serde_json::from_slice(&std::fs::read(repository().join(name)).unwrap()).unwrap()
}

#[test]
fn every_line_encodes_to_the_same_params() {
    for version in CODEX_VERSIONS {
        for (number, line) in (1..).zip(lines_of(version).lines()) {
            let read = decode(line.as_bytes())
                .unwrap_or_else(|error| panic!("{version}, line {number}: {error}"))
                .unwrap_or_else(|| panic!("{version}, line {number}: another message"));
            // The text of the params must be equal, with nulls and the order of the fields.
            let (message, _) = line.split_once(r#","emittedAtMs""#).unwrap();
            assert_eq!(
                encode(&read),
                format!("{message}}}"),
                "{version}, line {number}"
            );
        }
    }
}

#[test]
fn every_field_that_codex_specifies_is_read_or_named_here() {
    for version in CODEX_VERSIONS {
        let schema = schema_of(version, "McpServerStatusUpdatedNotification");
        let fields = schema["properties"].as_object().unwrap().keys();
        for field in fields {
            let line = format!(
                r#"{{"method":"mcpServer/startupStatus/updated","params":{{"name":"a","status":"failed","{field}":"x"}}}}"#
            );
            let read = decode(line.as_bytes()).unwrap().unwrap();
            assert!(
                encode(&read).contains(&format!(r#""{field}":"x""#)),
                "{version}: `{field}` is new. Read it, or list it here if clients don't need it."
            );
        }
        assert_eq!(
            schema["required"],
            serde_json::json!(["name", "status"]),
            "{version}"
        );
    }
}

#[test]
fn every_value_that_codex_specifies_is_known() {
    for version in CODEX_VERSIONS {
        let schema = schema_of(version, "McpServerStatusUpdatedNotification");
        let values = |name: &str| {
            let values = schema["definitions"][name]["enum"].as_array().unwrap();
            let values = values
                .iter()
                .map(|value| value.as_str().unwrap().to_owned());
            values.collect::<Vec<_>>()
        };
        let states = mcp_startup_core::McpServerStartupState::KNOWN;
        let states: Vec<_> = states.iter().map(|state| state.as_str()).collect();
        assert_eq!(values("McpServerStartupState"), states, "{version}");
        let reasons = mcp_startup_core::McpServerStartupFailureReason::KNOWN;
        let reasons: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(
            values("McpServerStartupFailureReason"),
            reasons,
            "{version}"
        );
    }
}

#[test]
fn every_status_of_a_server_that_codex_specifies_is_known() {
    for version in CODEX_VERSIONS {
        let definitions = schema_of(version, "ListMcpServerStatusResponse")["definitions"].take();
        let values = |name: &str| definitions[name]["enum"].clone();
        serde_json::from_value::<Vec<McpAuthStatus>>(values("McpAuthStatus")).unwrap();
        let values = values("McpServerConnectionStatus");
        serde_json::from_value::<Vec<McpServerConnectionStatus>>(values).unwrap();
    }
}

/// Compares the tracker with the last line of each server, parsed with `serde_json`.
#[test]
fn the_tracker_ends_with_the_last_state_of_each_server() {
    for version in CODEX_VERSIONS {
        let text = lines_of(version);
        let read = decode_lines(text.as_bytes());
        assert_eq!(read.errors, [], "{version}");
        assert_eq!(read.notifications.len(), text.lines().count(), "{version}");

        let mut expected: Vec<Value> = Vec::new();
        let mut again = Vec::new();
        for line in text.lines() {
            let params = serde_json::from_str::<Value>(line).unwrap()["params"].take();
            let is_same = |other: &Value| {
                ["threadId", "environmentId", "name"]
                    .iter()
                    .all(|field| other[*field] == params[*field])
            };
            if params["failureReason"] == "reauthenticationRequired" {
                again.push(params["name"].as_str().unwrap().to_owned());
            }
            match expected.iter_mut().find(|other| is_same(other)) {
                Some(other) => *other = params,
                None => expected.push(params),
            }
        }
        let mut tracker = StartupTracker::default();
        let applied = tracker.apply_lines(text.as_bytes());
        let prompted: Vec<_> = applied.prompts.iter().map(|key| &key.name).collect();
        assert_eq!(prompted, again.iter().collect::<Vec<_>>(), "{version}");
        let required = tracker.reauthentication_required().into_iter().cloned();
        assert_eq!(required.collect::<Vec<_>>(), applied.prompts, "{version}");
        let servers = tracker.servers();
        assert_eq!(servers.len(), expected.len(), "{version}");
        for (server, expected) in servers.iter().zip(&expected) {
            let server = serde_json::to_value(server).unwrap();
            for (field, value) in server.as_object().unwrap() {
                assert_eq!(value, &expected[field], "{version}: {expected}");
            }
        }
        // Applied a second time, the file causes no prompt, because none of these servers became ready.
        assert_eq!(
            tracker.apply_lines(text.as_bytes()).prompts,
            [],
            "{version}"
        );
    }
}

/// Both versions were recorded with the same servers.
#[test]
fn the_servers_of_the_first_recordings_end_as_recorded() {
    // Written by hand from the files.
    let expected = [
        ("bearer-env", "ready", false),
        ("bearer-env-rejected", "failed", false),
        ("closed-port", "failed", false),
        ("expired-blank-refresh", "failed", true),
        ("expired-no-refresh", "failed", true),
        ("expired-refreshes", "ready", false),
        ("first-time", "failed", false),
        ("hangs", "failed", false),
        ("insufficient-scope", "failed", false),
        ("no-auth", "ready", false),
        ("no-expiry-accepted", "ready", false),
        ("not-json-rpc", "failed", false),
        ("refresh-503", "failed", false),
        ("refresh-dropped", "failed", false),
        ("refresh-invalid-grant", "failed", true),
        ("revoked-no-refresh", "failed", true),
        ("revoked-refresh-rejected", "failed", true),
        ("revoked-refreshes", "ready", false),
        ("server-500", "failed", false),
        ("stdio-crash", "failed", false),
        ("stdio-missing", "failed", false),
        ("stdio-ok", "ready", false),
        ("valid-token", "ready", false),
    ];
    for version in ["0.169.0", "0.171.0"] {
        let mut tracker = StartupTracker::default();
        let applied = tracker.apply_lines(lines_of(version).as_bytes());
        assert_eq!(applied.notifications, 46, "{version}");
        assert_eq!(applied.changed.len(), 23, "{version}");
        let mut got: Vec<_> = tracker
            .servers()
            .into_iter()
            .map(|server| {
                assert_eq!(server.error.is_some(), server.status.as_str() == "failed");
                let again = server.failure_reason.is_some();
                (server.name.as_str(), server.status.as_str(), again)
            })
            .collect();
        got.sort_unstable();
        assert_eq!(got, expected, "{version}");
        let thread = applied.changed[0].thread_id.clone().unwrap();
        assert_eq!(tracker.remove(&thread), 23, "{version}");
        assert!(tracker.servers().is_empty());
    }
}
