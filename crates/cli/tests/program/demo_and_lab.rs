//! `demo`, which checks the lab's scenarios, and `lab`, which serves them.

use std::io::{BufRead, BufReader, Read};

use mcp_startup_lab::{Scenario, scenarios};
use serde_json::{Value, json};

use crate::harness::cases::report_count;
use crate::harness::http_client::get;
use crate::harness::output::Finished;
use crate::harness::user::User;

#[test]
fn demo_shows_servers_in_many_states() {
    let user = User::new();
    let finished = user.program(&["demo"]).finish().assert_exit(0);
    let shown = finished.stdout.lines().count() - 1;
    assert_eq!(shown, 14, "{}", finished.stdout);
    assert!(
        finished.stdout.contains("sign-in expired"),
        "{}",
        finished.stdout
    );
    assert!(
        finished
            .stdout
            .lines()
            .last()
            .unwrap()
            .starts_with("14 servers: "),
        "{}",
        finished.stdout
    );
    let one = user.program(&["demo", "first-sign-in", "--format", "json"]);
    assert_eq!(
        one.finish().assert_exit(0).json()["servers"]
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

/// How many scenarios are started at once, while other tests run. Under Wine, one process handles all calls of the system.
const AT_ONCE: usize = if cfg!(windows) { 25 } else { 75 };

/// How the result of a scenario differs from the expected one.
fn difference(finished: &Finished, scenario: &Scenario) -> Option<String> {
    let server = finished.server(&scenario.name);
    let failure = &server["failure"];
    let got = [
        &server["status"],
        &failure["kind"],
        &server["failureReason"],
        &failure["recovery"],
    ];
    let expect = &scenario.expect;
    let expected = [
        json!(expect.state),
        json!(expect.kind),
        json!(expect.reason),
        json!(expect.recovery),
    ];
    let differs = got
        .iter()
        .zip(&expected)
        .any(|(got, expected)| *got != expected);
    differs.then(|| format!("{}: {got:?}, expected {expected:?}", scenario.name))
}

#[test]
fn all_scenarios_can_be_started_with_one_option() {
    let user = User::new();
    let arguments = ["demo", "--all", "--format", "json"];
    let finished = user.program(&arguments).finish().assert_clean();
    let report = finished.json();
    assert_eq!(
        report["servers"].as_array().unwrap().len(),
        scenarios().len()
    );
}

#[test]
fn every_lab_scenario_has_its_expected_result() {
    let user = User::new();
    let mut wrong = Vec::new();
    for scenarios in scenarios().chunks(AT_ONCE) {
        let names = scenarios.iter().map(|scenario| scenario.name.as_str());
        let arguments: Vec<&str> = ["demo", "--format", "json"]
            .into_iter()
            .chain(names)
            .collect();
        let finished = user.program(&arguments).finish().assert_exit(0);
        wrong.extend(
            scenarios
                .iter()
                .filter_map(|scenario| difference(&finished, scenario)),
        );
    }
    report_count("starts by the program", scenarios().len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lab_serves_until_it_is_interrupted() {
    let user = User::new();
    for signal in ["INT", "TERM"] {
        let mut running = user.program(&["lab", "--port", "0"]).spawn();
        let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
        let mut printed = String::new();
        stdout.read_line(&mut printed).unwrap();
        let base = printed.trim_end();
        assert!(
            base.starts_with("http://127.0.0.1:") && base.ends_with('/'),
            "{base}"
        );
        let listing = get(base).body;
        let rows: Value = serde_json::from_str(&listing).unwrap();
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), scenarios().len());
        assert_eq!(
            rows[0]["url"],
            format!("{base}{}/mcp", rows[0]["name"].as_str().unwrap())
        );
        // Another program can't use the same port.
        let port = base.trim_end_matches('/').rsplit(':').next().unwrap();
        let second = user.program(&["lab", "--port", port]).finish();
        assert!(second.code.is_some_and(|code| code != 0), "{second:#?}");
        let second = second.assert_clean();
        assert!(
            second.stderr.contains(&format!("127.0.0.1:{port}")),
            "{second:#?}"
        );
        assert!(
            second.stderr.to_lowercase().contains("in use"),
            "{second:#?}"
        );
        running.signal(signal);
        let ended = running.child.wait().unwrap();
        assert_eq!(ended.code(), Some(0), "{signal}");
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}
