//! Compatibility with Codex: decodes and re-encodes the notifications that Codex's app-server 0.169.0 wrote.

use mcp_startup_core::{StartupTracker, decode, decode_lines, encode};
use serde_json::Value;

const FIXTURE: &str = include_str!("../../../tests/fixtures/codex-app-server-0.169.0.jsonl");
const THREAD: &str = "01a203fb-1332-7de2-ac97-c052934e38e0";

#[test]
fn every_line_encodes_to_the_same_params() {
    assert_eq!(FIXTURE.lines().count(), 46);
    for (number, line) in (1..).zip(FIXTURE.lines()) {
        let read = decode(line.as_bytes())
            .unwrap_or_else(|error| panic!("line {number}: {error}"))
            .unwrap_or_else(|| panic!("line {number} was decoded as another message"));
        let theirs: Value = serde_json::from_str(line).unwrap();
        let ours: Value = serde_json::from_str(&encode(&read)).unwrap();
        assert_eq!(ours["params"], theirs["params"], "line {number}");
        assert_eq!(ours["method"], theirs["method"], "line {number}");
        // The text must be equal too, with nulls and the order of the fields.
        let params = line.split_once("\"params\":").unwrap().1;
        let params = params.split_once(",\"emittedAtMs\"").unwrap().0;
        assert_eq!(
            serde_json::to_string(&read).unwrap(),
            params,
            "line {number}"
        );
    }
}

#[test]
fn the_whole_file_decodes_without_an_error() {
    let read = decode_lines(FIXTURE.as_bytes());
    assert_eq!(read.errors, []);
    assert_eq!(read.notifications.len(), 46);
}

#[test]
fn the_tracker_ends_with_the_states_of_the_file() {
    // Written by hand from the file, in the order of the 23 `starting` lines.
    let expected = [
        ("expired-refreshes", "ready", false),
        ("refresh-invalid-grant", "failed", true),
        ("not-json-rpc", "failed", false),
        ("stdio-crash", "failed", false),
        ("no-auth", "ready", false),
        ("revoked-refreshes", "ready", false),
        ("revoked-refresh-rejected", "failed", true),
        ("expired-no-refresh", "failed", true),
        ("insufficient-scope", "failed", false),
        ("refresh-dropped", "failed", false),
        ("revoked-no-refresh", "failed", true),
        ("stdio-ok", "ready", false),
        ("no-expiry-accepted", "ready", false),
        ("stdio-missing", "failed", false),
        ("closed-port", "failed", false),
        ("valid-token", "ready", false),
        ("hangs", "failed", false),
        ("first-time", "failed", false),
        ("server-500", "failed", false),
        ("refresh-503", "failed", false),
        ("bearer-env-rejected", "failed", false),
        ("bearer-env", "ready", false),
        ("expired-blank-refresh", "failed", true),
    ];
    // In the order of the five failures.
    let again = [
        "expired-blank-refresh",
        "expired-no-refresh",
        "revoked-no-refresh",
        "revoked-refresh-rejected",
        "refresh-invalid-grant",
    ];

    let mut tracker = StartupTracker::default();
    let applied = tracker.apply_lines(FIXTURE.as_bytes());
    assert_eq!(applied.notifications, 46);
    assert_eq!(applied.errors, []);
    assert_eq!(applied.prompts, again);
    assert_eq!(applied.changed.len(), 23);
    assert_eq!(tracker.reauthentication_required(), again);

    let got: Vec<_> = tracker
        .servers()
        .into_iter()
        .map(|server| {
            assert_eq!(server.thread_id.as_deref(), Some(THREAD));
            assert_eq!(server.error.is_some(), server.status.as_str() == "failed");
            let reason = server.failure_reason.as_ref().map(|reason| reason.as_str());
            assert!(matches!(reason, None | Some("reauthenticationRequired")));
            (
                server.name.as_str(),
                server.status.as_str(),
                reason.is_some(),
            )
        })
        .collect();
    assert_eq!(got, expected);

    // Applied a second time, the file causes no prompt, because none of the five servers became ready.
    let second = tracker.apply_lines(FIXTURE.as_bytes());
    assert_eq!(second.prompts, Vec::<String>::new());
    assert_eq!(tracker.remove(THREAD), 23);
    assert!(tracker.servers().is_empty());
}
