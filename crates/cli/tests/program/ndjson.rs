//! `check --format ndjson`: the notifications, in the order in which the servers start.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::lab::{lab, scenarios_named, user_of};

#[test]
fn ndjson_consists_of_startup_status_notifications_only() {
    let lab = lab();
    let scenarios: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &scenarios);
    // Under Wine, one process handles all calls of the system.
    let at_once = if cfg!(windows) { "25" } else { "1000" };
    let run = user.check("ndjson").arg("--concurrency").arg(at_once);
    let finished = run.finish().assert_exit(3);
    // A refresh may outlive the start that began it. The program then prints why it has not exited yet.
    let waiting = "Waiting for the response to a token refresh";
    assert!(
        finished
            .stderr
            .lines()
            .all(|line| line.starts_with(waiting)),
        "{}",
        finished.stderr
    );
    assert!(finished.stdout.ends_with('\n'));
    let mut received: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in finished.stdout.lines() {
        let params = params_of(line);
        let name = params["name"].as_str().unwrap().to_owned();
        received.entry(name).or_default().push(params);
    }
    assert_eq!(received.len(), scenarios.len());
    for scenario in scenarios {
        let [starting, closing] = &received[&scenario.name][..] else {
            panic!("{}: {:?}", scenario.name, received[&scenario.name]);
        };
        let expected = json!({ "threadId": null, "name": scenario.name, "status": "starting", "error": null, "failureReason": null });
        assert_eq!(*starting, expected);
        assert_eq!(closing["status"], scenario.expect.state);
        assert_eq!(
            closing["failureReason"].as_str(),
            scenario.expect.reason.as_deref(),
            "{closing}"
        );
        assert_eq!(
            closing["error"].is_string(),
            scenario.expect.state == "failed",
            "{closing}"
        );
    }
    // `follow` reads the output of `check` and prints the same lines.
    let follow = user.program(&["follow", "--format", "ndjson"]);
    assert_eq!(
        follow
            .stdin(finished.stdout.clone())
            .finish()
            .assert_exit(3)
            .stdout,
        finished.stdout
    );
}

#[test]
fn concurrency_of_1_starts_servers_one_after_another() {
    let lab = lab();
    let names = [
        "ready",
        "ready-sse",
        "ready-modern",
        "stdio-ready",
        "server-500",
    ];
    let user = user_of(&lab, &scenarios_named(&lab, &names));
    let run = user.check("ndjson").arg("--concurrency").arg("1");
    let finished = run.finish().assert_exit(1);
    let received: Vec<_> = finished.stdout.lines().map(params_of).collect();
    assert_eq!(received.len(), 2 * names.len());
    for pair in received.chunks(2) {
        assert_eq!(
            pair[0]["status"], "starting",
            "not one after another: {received:?}"
        );
        assert_eq!(
            pair[0]["name"], pair[1]["name"],
            "not one after another: {received:?}"
        );
    }
}

/// The params of a notification. Asserts that its keys are in the order of the contract.
fn params_of(line: &str) -> Value {
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
