//! The servers of a configuration that `check` starts, and its time limit for each.

use serde_json::json;

use crate::harness::configuration::{entry, url};
use crate::harness::lab::lab;
use crate::harness::output::Finished;
use crate::harness::user::User;

#[test]
fn a_server_whose_name_begins_with_a_hyphen_can_be_selected() {
    let lab = lab();
    let ready = url(&lab.url("ready"));
    for name in ["-dash", "-qx", "--dash", "-c 1", "-"] {
        let user = User::with(&[entry(name, &ready), entry("b", &ready)].concat());
        let config = user.config().display().to_string();
        let server = format!("--server={name}");
        for named in [&[server.as_str()][..], &["--server", name]] {
            let of_file = ["check", "--format", "json", "--config", &config];
            let finished = user.program(&[&of_file[..], named].concat()).finish();
            let report = finished.assert_exit(0).json();
            assert_eq!(report["servers"].as_array().unwrap().len(), 1);
            assert_eq!(report["servers"][0]["name"], name);
        }
        let both = ["check", "--config", &config, "b", &server];
        let finished = user.program(&both).finish().assert_exit(0);
        assert!(finished.stdout.contains("2 servers: 2 ready"));
    }
    // The tip of a refused name has the whole name, and works.
    let broken = [entry("-dash", "url = 7"), entry("b", &ready)].concat();
    let user = User::with(&broken);
    let config = user.config().display().to_string();
    for (command, tip) in [
        ("check", "'--server=-dash'"),
        ("status", "'-- -dash'"),
        ("login", "'-- -dash'"),
    ] {
        let run = user.program(&["--color", "never", command, "-dash", "--config", &config]);
        let finished = run.finish().assert_exit(2);
        let tip = format!("tip: to pass '-dash' as a value, use {tip}");
        assert!(finished.stderr.contains(&tip), "{finished:#?}");
    }
    // So does the command that `status` suggests.
    let status = user.program(&["status", "--config", &config]).finish();
    let suggested = status.stdout.split('`').nth(1).unwrap();
    let words: Vec<_> = suggested.split(' ').skip(1).collect();
    let finished = user.program(&words).finish().assert_exit(1);
    assert!(finished.stdout.starts_with("✗ -dash "), "{finished:#?}");
}

#[test]
fn servers_can_be_selected_by_name_and_required_ones_are_marked() {
    let lab = lab();
    let (ready, failing) = (url(&lab.url("ready")), url(&lab.url("server-500")));
    let user = User::with(
        &[
            entry("on", &ready),
            entry("off", &format!("{ready}\nenabled = false")),
            entry("needed", &format!("{failing}\nrequired = true")),
            entry("needed-and-ready", &format!("{ready}\nrequired = true")),
        ]
        .concat(),
    );
    let names = |finished: &Finished| -> Vec<String> {
        let report = finished.json();
        let servers = report["servers"].as_array().unwrap().iter();
        servers
            .map(|server| server["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = user.check("json").finish().assert_exit(1);
    assert_eq!(names(&all), ["on", "needed", "needed-and-ready"]);
    let required = |name: &str| all.server(name)["required"] == true;
    assert_eq!(
        [
            required("on"),
            required("needed"),
            required("needed-and-ready")
        ],
        [false, true, true]
    );
    let some = user
        .check("json")
        .arg("needed-and-ready")
        .arg("on")
        .arg("on")
        .finish()
        .assert_exit(0);
    assert_eq!(names(&some), ["on", "needed-and-ready"]);
    let named = user.check("json").arg("off").finish().assert_exit(0);
    assert_eq!(names(&named), ["off"]);
    let table = user.check("table").finish().assert_exit(1);
    assert!(
        table.line("needed").contains("(required)"),
        "{}",
        table.stdout
    );
    assert!(!table.line("on").contains("(required)"), "{}", table.stdout);
    let none_enabled = User::with(&entry("off", &format!("{ready}\nenabled = false")));
    let finished = none_enabled.check("table").finish().assert_exit(0);
    assert!(
        finished.stderr.contains("No servers are enabled in "),
        "{finished:#?}"
    );
    assert!(finished.stdout.starts_with("0 servers"), "{finished:#?}");
    let finished = none_enabled.check("json").finish().assert_exit(0);
    assert_eq!(finished.json()["servers"], json!([]));
}

#[test]
fn timeout_option_overrides_the_configured_timeout() {
    let lab = lab();
    let hangs = |seconds: &str| {
        entry(
            "hangs",
            &format!(
                "{}\nstartup_timeout_sec = {seconds}",
                url(&lab.url("hangs"))
            ),
        )
    };
    for (configured, option, limit_ms) in [("3600", "0.3", 300), ("0.001", "0.4", 400)] {
        let user = User::with(&hangs(configured));
        let finished = user
            .check("json")
            .arg("--timeout")
            .arg(option)
            .finish()
            .assert_exit(1);
        let failure = finished.server("hangs")["failure"].clone();
        assert_eq!(failure["kind"], "timedOut");
        assert_eq!(failure["evidence"]["limitMs"], limit_ms, "{failure:#}");
    }
    let finished = User::with(&hangs("0.25"))
        .check("json")
        .finish()
        .assert_exit(1);
    assert_eq!(
        finished.server("hangs")["failure"]["evidence"]["limitMs"],
        250
    );
}

#[test]
fn the_suggested_sign_in_of_a_url_finds_it() {
    let lab = lab();
    let user = User::new();
    let first = lab.url("first-sign-in");
    let other = lab.url("expired-no-refresh");
    let secret = format!("{first}?key=s3cret");
    let finished = user
        .program(&["check", &first, &other, &secret])
        .finish()
        .assert_exit(3);
    for suggestion in [
        format!("run `mcp-startup login {first}`"),
        format!("run `mcp-startup login {other}`"),
        "run `mcp-startup login` with its URL".to_owned(),
    ] {
        assert!(finished.stdout.contains(&suggestion), "{finished:#?}");
    }
    assert!(!finished.stdout.contains("s3cret"), "{finished:#?}");
    for option in ["--online", "--explain"] {
        let finished = user
            .program(&["status", option, &first])
            .finish()
            .assert_exit(0);
        let suggestion = format!("not signed in: run `mcp-startup login {first}`");
        assert!(finished.stdout.contains(&suggestion), "{finished:#?}");
    }
    let finished = user
        .program(&["check", "--dry-run", &first])
        .finish()
        .assert_exit(0);
    let address = first.split('/').nth(2).unwrap();
    assert!(
        finished.stdout.ends_with(&format!("  {address}\n")),
        "{finished:#?}"
    );
}
