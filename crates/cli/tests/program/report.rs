//! The documents of `--format json`. [`json`](crate::harness::output::Finished::json) compares each with its schema.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::documents;
use crate::harness::lab::{lab, scenarios_named, user_of};

#[test]
fn every_schema_of_the_program_is_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/program");
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().path());
    let names = names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let used = documents::names().into_iter().map(str::to_owned);
    assert_eq!(names.collect::<BTreeSet<_>>(), used.collect());
}

#[test]
fn document_that_does_not_conform_is_found() {
    let arguments = ["follow".to_owned()];
    let valid =
        json!({ "servers": [], "reauthenticationRequired": [], "badLines": 0, "exitStatus": 0 });
    documents::check(&arguments, &valid);
    for (field, value) in [
        ("servers", json!([{ "name": 1 }])),
        ("badLines", json!("0")),
        ("exitStatus", Value::Null),
    ] {
        let mut invalid = valid.clone();
        invalid[field] = value;
        let checked = std::panic::catch_unwind(|| documents::check(&arguments, &invalid));
        assert!(checked.is_err(), "{field}");
    }
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
    let user = user_of(&lab, &scenarios_named(&lab, &names));
    let finished = user.check("json").finish().assert_exit(3);
    assert_eq!(finished.stderr, "");
    let report = finished.json();
    let mut expected = [
        "configuration",
        "configurationWarnings",
        "elapsedMs",
        "exitStatus",
        "servers",
        "notChecked",
    ];
    expected.sort_unstable();
    let mut found = keys(&report);
    found.sort_unstable();
    assert_eq!(found, expected);
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
        let mut expected = [
            "name",
            "owners",
            "line",
            "required",
            "status",
            "failureReason",
            "phase",
            "elapsedMs",
            "tools",
            "failure",
            "warning",
            "notSaved",
            "configurationWarnings",
        ];
        expected.sort_unstable();
        assert_eq!(found, expected);
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
                assert_eq!(
                    found,
                    ["evidence", "fallback", "kind", "message", "recovery"]
                );
                assert_eq!(server["tools"], Value::Null);
                assert_eq!(server["failure"]["evidence"]["server"], server["name"]);
            }
        }
    }
    let exited = &finished.server("stdio-exits-3")["failure"]["evidence"]["process"];
    assert_eq!(exited["exit"], 3);
    assert_eq!(exited["stderr"], "cannot open the database: no such file");
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_as_the_cause() {
    // Every write to this device fails as on a full disk (full(4)).
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mcp-startup"))
        .args(["completions", "bash"])
        .stdout(full)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("error: the output can't be written: "),
        "{stderr}"
    );
    assert!(!output.status.success());
}
