//! `explain`: the steps of one start, the rule that decided, and that no secret is among them.

use serde_json::{Value, json};

use crate::harness::cases::for_each_case;
use crate::harness::configuration::{entry, quoted, steps as program_steps, url};
use crate::harness::lab::{lab, lab_with, scenarios_named, user_of};
use crate::harness::run::Run;
use crate::harness::run::test_program;
#[cfg(unix)]
use crate::harness::terminal::{Screen, run_on_terminal};
use crate::harness::user::User;

fn explain(user: &User, server: &str, options: &[&str]) -> Run {
    let config = user.config();
    let arguments = ["explain", server, "--config", config.to_str().unwrap()];
    user.program(&[&arguments, options].concat())
}

/// The steps without their times and details, as short words.
fn steps(explanation: &Value) -> Vec<String> {
    let entries = explanation["timeline"]["entries"].as_array().unwrap();
    let mut last = 0;
    for entry in entries {
        let at = entry["atMs"].as_u64().unwrap();
        assert!(at >= last, "{explanation:#}");
        last = at;
    }
    assert!(explanation["elapsedMs"].as_u64().unwrap() >= last);
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    entries
        .iter()
        .map(|entry| {
            let detail = match entry["step"].as_str().unwrap() {
                "phase" => text(entry, "phase"),
                "credential" => text(entry, "source"),
                "messageSent" | "messageReceived" => {
                    format!("{} {}", text(entry, "kind"), text(entry, "method"))
                }
                "requestSent" => format!(
                    "{} {} {}",
                    text(entry, "httpMethod"),
                    text(entry, "to"),
                    text(entry, "credential")
                ),
                "responseReceived" => entry["status"].to_string(),
                "requestFailed" => text(entry, "io"),
                "programExited" => entry["code"].to_string(),
                "programOutput" => text(entry, "line"),
                "discovered" => text(entry, "outcome"),
                "refreshed" => text(entry, "outcome"),
                _ => String::new(),
            };
            let step = text(entry, "step");
            format!("{step} {detail}").trim().to_owned()
        })
        .collect()
}

/// The steps of a handshake over HTTP that succeeds, with this credential.
fn handshake(credential: &str) -> Vec<String> {
    let mut steps = Vec::new();
    for (method, kind, status) in [
        ("initialize", "request", 200),
        ("notifications/initialized", "notification", 202),
        ("tools/list", "request", 200),
    ] {
        if method == "tools/list" {
            steps.push("phase listingTools".to_owned());
        }
        steps.push(format!("messageSent {kind} {method}"));
        steps.push(format!("requestSent POST mcp {credential}"));
        steps.push(format!("responseReceived {status}"));
        if kind == "request" {
            steps.push(format!("messageReceived result {method}"));
        }
    }
    steps
}

fn begin(source: &str) -> Vec<String> {
    vec![
        "phase configuring".to_owned(),
        "phase readingCredentials".to_owned(),
        format!("credential {source}"),
    ]
}

#[test]
fn the_steps_of_a_start_over_http_are_in_order() {
    let lab = lab();
    let names = ["ready", "first-sign-in", "expired-refreshes"];
    let user = user_of(&lab, &scenarios_named(&lab, &names));
    let explained = |name: &str, code: i32| {
        let run = explain(&user, name, &["--format", "json"]);
        run.finish().assert_exit(code).json()
    };
    let connecting = || vec!["phase initializing".to_owned()];

    let ready = explained("ready", 0);
    let expected = [begin("none"), connecting(), handshake("none")].concat();
    assert_eq!(steps(&ready), expected);
    assert_eq!(ready["status"], "ready");
    assert_eq!(ready["rule"], Value::Null);
    let sent = &ready["timeline"]["entries"][4];
    assert_eq!(sent["protocolVersion"], "2025-11-25");

    let sign_in = explained("first-sign-in", 3);
    let expected = [
        begin("none"),
        connecting(),
        [
            "messageSent request initialize",
            "requestSent POST mcp none",
            "responseReceived 401",
            "phase authorizing",
            "requestSent GET discovery none",
            "responseReceived 200",
            "requestSent GET discovery none",
            "responseReceived 200",
            "discovered published",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    assert_eq!(steps(&sign_in), expected.concat());
    // The 13th row of the table of kinds in docs/protocol.md.
    assert_eq!(
        sign_in["rule"],
        json!({ "kind": "signInRequired", "row": 13, "recovery": "signIn" })
    );
    assert_eq!(sign_in["failure"]["kind"], "signInRequired");
    assert_eq!(sign_in["exitStatus"], 3);

    let refreshed = steps(&explained("expired-refreshes", 0));
    let of_refresh: Vec<&str> = refreshed
        .iter()
        .map(String::as_str)
        .filter(|step| step.contains("token") || step.starts_with("refreshed"))
        .collect();
    assert_eq!(of_refresh, ["requestSent POST token", "refreshed token"]);
    assert!(
        refreshed.ends_with(&handshake("refreshed")),
        "{refreshed:#?}"
    );
}

#[test]
fn the_steps_of_a_program_are_in_order() {
    let lab = lab();
    let mut config = String::new();
    let exits = ["err", "one\n", "err", "two", "exit", "3"];
    config += &entry("exits", &program_steps(&exits));
    config += &entry("missing", "command = \"no-such-program\"");
    let user = user_of(&lab, &scenarios_named(&lab, &["stdio-ready"]));
    let with_lab = std::fs::read_to_string(user.config()).unwrap();
    user.write("home/.codex/config.toml", format!("{with_lab}{config}"));
    let explained = |name: &str, code: i32| {
        let run = explain(&user, name, &["--format", "json"]);
        run.finish().assert_exit(code).json()
    };
    let ready = steps(&explained("stdio-ready", 0));
    let of_protocol: Vec<&str> = ready
        .iter()
        .map(String::as_str)
        .filter(|step| !step.starts_with("programOutput"))
        .collect();
    assert_eq!(
        of_protocol,
        [
            "phase configuring",
            "phase launching",
            "programStarted",
            "phase initializing",
            "messageSent request initialize",
            "messageReceived result initialize",
            "messageSent notification notifications/initialized",
            "phase listingTools",
            "messageSent request tools/list",
            "messageReceived result tools/list",
        ]
    );
    let exits = explained("exits", 1);
    let (output, mut found): (Vec<_>, Vec<_>) = steps(&exits)
        .into_iter()
        .partition(|step| step.starts_with("programOutput"));
    assert_eq!(output, ["programOutput one", "programOutput two"]);
    // The program may write before the next phase, and exit before the request is passed on.
    found.retain(|step| step != "messageSent request initialize");
    assert_eq!(
        found,
        [
            "phase configuring",
            "phase launching",
            "programStarted",
            "phase initializing",
            "programExited 3",
        ]
    );
    assert_eq!(
        exits["rule"],
        json!({ "kind": "exited", "row": 17, "recovery": "none" })
    );
    let missing = explained("missing", 1);
    assert_eq!(steps(&missing), ["phase configuring", "phase launching"]);
    assert_eq!(missing["rule"]["row"], 2);
}

#[test]
fn the_exit_status_is_that_of_check() {
    let lab = lab();
    let cases = [
        ("ready", 0),
        ("server-500", 1),
        ("expired-no-refresh", 3),
        ("insufficient-scope", 3),
        ("redirect-slash", 0),
        ("drops", 1),
        ("stdio-junk", 1),
    ];
    for_each_case(&cases, |(name, code)| {
        let user = user_of(&lab, &scenarios_named(&lab, &[name]));
        for format in ["text", "json"] {
            explain(&user, name, &["--format", format])
                .finish()
                .assert_exit(*code);
        }
    });
    let user = user_of(&lab, &scenarios_named(&lab, &["ready"]));
    let unknown = explain(&user, "unknown", &[]).finish().assert_exit(2);
    assert!(
        unknown.stderr.contains("there is no server `unknown`"),
        "{unknown:#?}"
    );
}

#[test]
fn a_redirect_and_an_error_response_are_shown() {
    let lab = lab();
    let user = user_of(
        &lab,
        &scenarios_named(&lab, &["redirect-slash", "server-500"]),
    );
    let redirected = explain(&user, "redirect-slash", &[])
        .finish()
        .assert_exit(0)
        .stdout;
    assert!(
        redirected.contains("; redirect to http://127.0.0.1:"),
        "{redirected}"
    );
    let failed = explain(&user, "server-500", &[])
        .finish()
        .assert_exit(1)
        .stdout;
    assert!(failed.contains("[0] HTTP 500"), "{failed}");
    assert!(
        failed.contains("Rule: serverError, row 18 of the kinds"),
        "{failed}"
    );
}

/// The server and the program repeat every secret that they receive.
#[test]
fn no_step_contains_a_secret() {
    const MARK: &str = "ZqKvWxHtP";
    let secret = |what: &str| format!("{MARK}-{what}-0123456789");
    let echo = secret("header");
    let lab = lab_with(json!([
        { "name": "body", "mcp": { "respond": [{ "reply": { "status": 500, "body": { "text": echo } } }] } },
        { "name": "error", "mcp": { "respond": [{ "reply": { "body": { "json": {
            "jsonrpc": "2.0", "id": 0, "error": { "code": -32000, "message": format!("no: {echo}") }
        } } } }] } },
    ]));
    let mut config = String::new();
    for scenario in lab.scenarios() {
        let address = format!("{}?key={}", lab.url(&scenario.name), secret("query"));
        let body = format!(
            "{}\nhttp_headers = {{ X-Key = \"{echo}\" }}\nbearer_token_env_var = \"TOKEN\"",
            url(&address)
        );
        config += &entry(&scenario.name, &body);
    }
    let refusal = r#"{"jsonrpc":"2.0","id":{id},"error":{"code":1,"message":"{env:KEY}"}}"#;
    let program = json!([
        "err",
        "{env:KEY} {args}\n",
        "out",
        "{env:KEY}\n",
        "read",
        "out",
        format!("{refusal}\n"),
        "exit",
        "1",
    ]);
    let user = User::new();
    let program = user.write("program.json", program.to_string());
    let program = format!(
        "command = {}\nargs = [\"run\", {}, \"--token\", \"{}\"]\nenv = {{ KEY = \"{}\" }}",
        quoted(test_program()),
        quoted(program.to_str().unwrap()),
        secret("argument"),
        secret("variable")
    );
    config += &entry("program", &program);
    user.write("home/.codex/config.toml", config);
    for name in ["body", "error", "program"] {
        for format in ["text", "json"] {
            let run = explain(&user, name, &["--format", format]);
            let finished = run.env("TOKEN", secret("token")).finish().assert_exit(1);
            let output = finished.all_output();
            assert!(output.contains("[masked]"), "{output}");
            assert!(!output.contains(MARK), "{output}");
        }
    }
    let text = explain(&user, "body", &[])
        .env("TOKEN", secret("token"))
        .finish()
        .stdout;
    let expected = "credential: TOKEN in the configuration; configured headers: X-Key";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_program_that_writes_without_end_does_not_displace_the_other_steps() {
    let lines = (0..2000).flat_map(|number| ["err".to_owned(), format!("line {number}\n")]);
    let steps_of_program: Vec<_> = lines.chain(["exit".to_owned(), "4".to_owned()]).collect();
    let user = User::new();
    let program = user.write("program.json", json!(steps_of_program).to_string());
    let program = program_steps(&["run", program.to_str().unwrap()]);
    user.write("home/.codex/config.toml", entry("chatty", &program));
    let explanation = explain(&user, "chatty", &["--format", "json"])
        .finish()
        .assert_exit(1)
        .json();
    let found = steps(&explanation);
    assert!(found.len() < 120, "{}", found.len());
    assert_eq!(found.last().map(String::as_str), Some("programExited 4"));
    assert!(explanation["timeline"]["omitted"].as_u64().unwrap() >= 1900);
    let text = explain(&user, "chatty", &[]).finish().assert_exit(1).stdout;
    assert!(text.contains(" more steps left out"), "{text}");
}

/// Only Unix has pseudo-terminals.
#[cfg(unix)]
#[test]
fn lines_wrap_at_the_width_of_a_terminal_and_colors_can_be_turned_off() {
    let test = "explain::lines_wrap_at_the_width_of_a_terminal_and_colors_can_be_turned_off";
    let lab = lab();
    let user = user_of(&lab, &scenarios_named(&lab, &["ready"]));
    for no_color in [false, true] {
        let run = explain(&user, "ready", &[]);
        let run = match no_color {
            true => run.env("NO_COLOR", "1"),
            false => run,
        };
        let Some(finished) = run_on_terminal(60, 60, run, test) else {
            return;
        };
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert_eq!(
            finished.stdout.contains('\u{1b}'),
            !no_color,
            "{finished:#?}"
        );
        let Screen { lines, .. } = Screen::after(&finished.stdout, 200);
        let wide = lines.iter().filter(|line| line.chars().count() > 60);
        assert_eq!(wide.count(), 0, "{lines:#?}");
        assert!(
            lines.iter().any(|line| line.starts_with("            ")),
            "{lines:#?}"
        );
    }
}
