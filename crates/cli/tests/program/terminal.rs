//! `check` on a terminal: spinners while servers start, the result lines that replace them, and their width.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::harness::configuration::{FILE_STORE, entry, shell, url};
use crate::harness::http_server::Server;
use crate::harness::lab::{lab, lab_with, user_of};
use crate::harness::output::Finished;
use crate::harness::run::Run;
use crate::harness::terminal::{Screen, run_on_resized_terminal, run_on_terminal};
use crate::harness::user::User;

/// Wide enough that no line wraps.
const COLUMNS: usize = 120;

fn on_large_terminal(run: Run, test: &str) -> Option<Finished> {
    run_on_terminal(60, COLUMNS, run, test)
}

#[test]
fn spinners_run_and_the_result_lines_remain() {
    let test = "terminal::spinners_run_and_the_result_lines_remain";
    let slow = |milliseconds: u32| json!([{ "reply": { "delayMs": milliseconds, "status": 500 } }]);
    let lab = lab_with(json!([
        { "name": "fast", "mcp": { "tools": 2 } },
        { "name": "slow", "mcp": { "respond": slow(700) } },
        { "name": "slower", "mcp": { "respond": slow(1200) } },
    ]));
    let scenarios: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &scenarios);
    user.write(
        "home/.codex/config.toml",
        format!(
            "{}{}",
            std::fs::read_to_string(user.config()).unwrap(),
            entry("exits", &shell("printf '\\033[31mred\\n' >&2; exit 4"))
        ),
    );
    for no_color in [false, true] {
        let run = user.check("table");
        let run = match no_color {
            true => run.env("NO_COLOR", "1"),
            false => run,
        };
        let Some(finished) = on_large_terminal(run, test) else {
            return;
        };
        assert_eq!(finished.code, Some(1), "{finished:#?}");
        assert!(
            finished.stdout.contains("slower    connecting"),
            "{:?}",
            finished.stdout
        );
        let Screen { lines, colors, .. } = Screen::after(&finished.stdout, COLUMNS);
        assert_eq!(lines.len(), 5, "{lines:#?}");
        let names: Vec<_> = lines
            .iter()
            .map(|line| line.split_whitespace().nth(1).unwrap())
            .collect();
        assert_eq!(names[2..4], ["slow", "slower"], "{lines:#?}");
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("✓ fast") && line.ends_with("  2 tools")),
            "{lines:#?}"
        );
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("✗ exits") && line.ends_with(": red")),
            "{lines:#?}"
        );
        assert!(
            lines[4].starts_with("4 servers: 1 ready, 3 failed ("),
            "{lines:#?}"
        );
        assert_eq!(colors.is_empty(), no_color, "{colors:?}");
    }
    for format in ["ndjson", "json"] {
        let finished = on_large_terminal(user.check(format), test).unwrap();
        assert!(!finished.stdout.contains('\u{1b}'), "{finished:#?}");
    }
}

#[test]
fn all_servers_are_shown_if_there_are_more_than_spinners() {
    let test = "terminal::all_servers_are_shown_if_there_are_more_than_spinners";
    let names: Vec<_> = (0..40)
        .map(|number| format!("server-{number:02}"))
        .collect();
    let scenarios: Vec<_> = names
        .iter()
        .map(|name| json!({ "name": name, "mcp": { "respond": [{ "when": { "method": "initialize" }, "times": 1, "reply": { "delayMs": 200, "status": 503 } }] } }))
        .collect();
    let lab = lab_with(scenarios.into());
    let scenarios: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &scenarios);
    let Some(finished) = on_large_terminal(user.check("table"), test) else {
        return;
    };
    let Screen { lines, .. } = Screen::after(&finished.stdout, COLUMNS);
    assert_eq!(lines.len(), 41, "{lines:#?}");
    for name in &names {
        assert!(
            lines.iter().any(|line| line.contains(name.as_str())),
            "{name}: {lines:#?}"
        );
    }
}

#[test]
fn the_servers_without_a_spinner_are_counted_on_a_small_terminal() {
    let test = "terminal::the_servers_without_a_spinner_are_counted_on_a_small_terminal";
    let names: Vec<String> = (0..40)
        .map(|number| format!("server-{number:02}"))
        .collect();
    let rows = names.iter().map(|name| slow_failure(name, 700));
    let lab = lab_with(rows.collect());
    let scenarios: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &scenarios);
    let Some(finished) = run_on_terminal(12, 40, user.check("table"), test) else {
        return;
    };
    // Ten spinners, this line and the cursor.
    assert!(
        finished.stdout.contains("… and 30 more"),
        "{:?}",
        finished.stdout
    );
}

#[test]
fn columns_are_aligned_if_names_have_wide_characters() {
    let test = "terminal::columns_are_aligned_if_names_have_wide_characters";
    let lab = lab_with(json!([slow_failure("slow", 500)]));
    let long = "名".repeat(45);
    let names = ["名前", "a", &long];
    let entries = names.map(|name| entry(name, &url(&lab.url("slow"))));
    let user = User::with(&entries.concat());
    let Some(finished) = on_large_terminal(user.check("table"), test) else {
        return;
    };
    let Screen { lines, .. } = Screen::after(&finished.stdout, COLUMNS);
    let rows: Vec<_> = lines.iter().filter(|line| line.starts_with('✗')).collect();
    assert_eq!(rows.len(), 3, "{lines:#?}");
    for row in &rows {
        let (before, _) = row.split_once("failed").unwrap();
        // The long name is truncated to 40 columns. A wide character does not fit into the last column.
        assert_eq!(before.width(), 2 + 39 + 2, "{lines:#?}");
    }
    assert!(rows.iter().any(|row| row.contains(" 名前 ")), "{lines:#?}");
    // No spinner is left.
    assert!(lines.last().unwrap().starts_with("3 servers: 3 failed ("));
    assert!(!lines.iter().any(|line| line.contains("starting")));
}

#[test]
fn a_joined_emoji_in_a_name_is_shown_as_a_whole() {
    let test = "terminal::a_joined_emoji_in_a_name_is_shown_as_a_whole";
    let family = "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}";
    let team = format!("team {family}");
    let long = family.repeat(30);
    let lab = lab_with(json!([slow_failure("slow", 500)]));
    let entries = [&team, "b", &long].map(|name| entry(name, &url(&lab.url("slow"))));
    let user = User::with(&entries.concat());
    let cut = |families| format!("{}…", family.repeat(families));
    for (columns, families) in [(COLUMNS, 19), (40, 4)] {
        let names = [&team, "b", &cut(families)];
        let Some(finished) = run_on_terminal(60, columns, user.check("table"), test) else {
            return;
        };
        assert!(!finished.stdout.contains("200d"), "{finished:#?}");
        let Screen { lines, .. } = Screen::after(&finished.stdout, columns);
        let rows: Vec<_> = lines.iter().filter(|line| line.starts_with('✗')).collect();
        assert_eq!(rows.len(), 3, "{lines:#?}");
        for name in names {
            let is_row = |row: &&&String| row.starts_with(&format!("✗ {name} "));
            assert!(rows.iter().any(|row| is_row(&row)), "{name}: {lines:#?}");
        }
        let before = rows.iter().map(|row| row.split_once("failed").unwrap().0);
        let ends: Vec<_> = before.map(UnicodeWidthStr::width).collect();
        assert!(ends.iter().all(|end| *end == ends[0]), "{lines:#?}");
    }
    let spinner = format!("{team}   connecting");
    let user = User::with(&entry(&team, &url(&lab.url("slow"))));
    let finished = on_large_terminal(user.check("table"), test).unwrap();
    assert!(finished.stdout.contains(&spinner), "{finished:#?}");
    // A pipe gets the whole names.
    let finished = user.check("table").finish();
    assert!(finished.stdout.starts_with(&format!("✗ {team}   failed")));
    let status = user.program(&["status"]).finish();
    assert!(status.stdout.contains(&format!(" {team}  ")), "{status:#?}");
}

#[test]
fn servers_without_a_spinner_are_counted_and_get_the_next_free_one() {
    let test = "terminal::servers_without_a_spinner_are_counted_and_get_the_next_free_one";
    let name = |number: u32| format!("server-{number:02}");
    let lab = lab_with(
        (0..30)
            .map(|number| slow_failure(&name(number), if number < 12 { 800 } else { 2500 }))
            .collect(),
    );
    let scenarios: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &scenarios);
    let Some(finished) = run_on_terminal(24, COLUMNS, user.check("table"), test) else {
        return;
    };
    for text in ["… and 18 more", "… and 6 more"] {
        assert!(finished.stdout.contains(text), "{text}: {finished:#?}");
    }
    // This server started without a spinner.
    let spinner = format!("{}  connecting", name(23));
    assert!(finished.stdout.contains(&spinner), "{finished:#?}");
    let Screen { lines, .. } = Screen::after(&finished.stdout, COLUMNS);
    assert_eq!(lines.len(), 31, "{lines:#?}");
    assert!(lines[30].starts_with("30 servers: 30 failed ("));
}

#[test]
fn lines_wrap_only_between_words_and_not_in_commands() {
    let test = "terminal::lines_wrap_only_between_words_and_not_in_commands";
    let lab = lab();
    let long = "a-name-that-is-longer-than-half-of-the-row";
    let user = User::with(
        &[
            FILE_STORE.to_owned(),
            entry(
                long,
                &format!("{}\nrequired = true", url(&lab.url("server-500"))),
            ),
            entry("sign-in", &url(&lab.url("first-sign-in"))),
            entry("ready", &url(&lab.url("ready"))),
        ]
        .concat(),
    );
    let config = user.config().display().to_string();
    let command = format!("    `mcp-startup login sign-in --config {config}`");
    for columns in [60, 40] {
        let Some(finished) = run_on_terminal(24, columns, user.check("table"), test) else {
            return;
        };
        let Screen { copied, .. } = Screen::after(&finished.stdout, columns);
        let rows = copied
            .iter()
            .take_while(|line| !line.starts_with("3 servers"));
        let mut starts =
            rows.map(|line| line.split_whitespace().next().zip(line.find(|c| c != ' ')));
        assert!(
            starts.all(|start| matches!(start, Some(("✓" | "✗" | "!", 0) | (_, 4)))),
            "{copied:#?}"
        );
        // Only the command is longer than a row, and it can be copied.
        let overlong = |line: &&String| line.width() > columns;
        let overlong: Vec<_> = copied.iter().filter(overlong).collect();
        assert_eq!(overlong, [&command], "{copied:#?}");
        assert!(copied.contains(&"    run".to_owned()), "{copied:#?}");
        let required = |line: &String| line.starts_with("    (required)");
        assert!(copied.iter().any(required), "{copied:#?}");
        let ready = |line: &String| line.starts_with("✓ ready") && line.ends_with(" s");
        assert!(copied.iter().any(ready), "{copied:#?}");
    }
}

/// The commands of a screen, as a user copies them.
fn commands(finished: &Finished, columns: usize) -> Vec<String> {
    let copied = Screen::after(&finished.stdout, columns).copied;
    let quoted = copied.iter().flat_map(|line| {
        let parts = line.split('`').collect::<Vec<_>>();
        assert_eq!(parts.len() % 2, 1, "a command is broken: {copied:#?}");
        let quoted = parts.into_iter().skip(1).step_by(2);
        quoted.map(str::to_owned).collect::<Vec<_>>()
    });
    quoted.collect()
}

#[test]
fn every_suggested_command_can_be_copied_from_a_narrow_terminal() {
    let test = "terminal::every_suggested_command_can_be_copied_from_a_narrow_terminal";
    let lab = lab();
    let user = User::with(
        &[
            FILE_STORE.to_owned(),
            entry("sign in", &url(&lab.url("first-sign-in"))),
            entry("broken", "url = 7"),
        ]
        .concat(),
    );
    let config = user.config().display().to_string();
    let (login, check) = (
        format!("mcp-startup login 'sign in' --config {config}"),
        format!("mcp-startup check broken --config {config}"),
    );
    let of_file = |words: &[&'static str]| [words, &["--config"]].concat();
    for (arguments, expected) in [
        (of_file(&["check"]), vec![&login]),
        (of_file(&["status", "--online"]), vec![&login, &check]),
        (of_file(&["explain", "sign in"]), vec![]),
        (of_file(&["explain", "broken"]), vec![]),
    ] {
        let arguments = [&arguments[..], &[config.as_str()]].concat();
        for columns in [40, 12] {
            let run = user.program(&arguments);
            let Some(finished) = run_on_terminal(12, columns, run, test) else {
                return;
            };
            let found = commands(&finished, columns);
            for command in &expected {
                assert!(found.contains(command), "{arguments:?}: {finished:#?}");
            }
        }
    }
    let demo = user.program(&["demo", "ready"]);
    let demo = run_on_terminal(12, 20, demo, test).unwrap();
    assert_eq!(commands(&demo, 20), ["mcp-startup check"]);
    for columns in [80, 60] {
        let help = user.program(&["completions", "--help"]);
        let help = run_on_terminal(24, columns, help, test).unwrap();
        let line = |text: &str| help.stdout.contains(&format!("\n{text}\r"));
        assert!(line("source <(mcp-startup completions bash)"), "{help:#?}");
        assert!(line("mcp-startup completions fish | source"), "{help:#?}");
    }
}

#[test]
fn status_and_clients_wrap_between_words() {
    let test = "terminal::status_and_clients_wrap_between_words";
    let user = User::with(
        &[
            FILE_STORE.to_owned(),
            entry("a-server-with-a-long-name", &url("https://a.example/mcp")),
            entry("broken", "url = 7"),
        ]
        .concat(),
    );
    for command in ["status", "clients"] {
        let Some(finished) = run_on_terminal(40, 60, user.program(&[command]), test) else {
            return;
        };
        let Screen { lines, .. } = Screen::after(&finished.stdout, 60);
        // The terminal itself wrapped no line. If it had, the rest of the line would start in the first column.
        let is_heading = |line: &String| line.starts_with(['-', '✗']) || line == "Codex";
        let is_below = |line: &String| line.starts_with("  ");
        assert!(
            lines.iter().all(|line| is_heading(line) || is_below(line)),
            "{command}: {lines:#?}"
        );
        assert!(lines.len() > 3, "{command}: {lines:#?}");
    }
}

#[test]
fn status_cuts_a_name_only_at_the_width_of_the_terminal() {
    let test = "terminal::status_cuts_a_name_only_at_the_width_of_the_terminal";
    let name = "a-name-with-more-than-the-forty-characters-of-a-column";
    let user = User::with(
        &[
            FILE_STORE.to_owned(),
            entry(name, &url("https://a.example/mcp")),
            entry("short", &url("https://b.example/mcp")),
        ]
        .concat(),
    );
    for columns in [120, 40] {
        let Some(finished) = run_on_terminal(40, columns, user.program(&["status"]), test) else {
            return;
        };
        let Screen { lines, .. } = Screen::after(&finished.stdout, columns);
        let shown = match columns {
            120 => format!("- {name}  not signed in; "),
            _ => format!("- {}…", &name[..37]),
        };
        assert!(lines[0].starts_with(&shown), "{lines:#?}");
        let is_row = |line: &&String| line.starts_with("- ");
        assert_eq!(lines.iter().filter(is_row).count(), 2, "{lines:#?}");
        assert!(
            lines
                .iter()
                .all(|line| is_row(&line) || line.starts_with("    ")),
            "{lines:#?}"
        );
    }
}

#[test]
fn errors_are_wrapped_between_words() {
    let test = "terminal::errors_are_wrapped_between_words";
    let user = User::with(&entry("ready", &url("https://a.example/mcp")));
    let run = user.program(&["check", "--yes", "redy"]);
    let Some(finished) = run_on_terminal(40, 40, run, test) else {
        return;
    };
    let Screen { lines, copied, .. } = Screen::after(&finished.stdout, 40);
    assert!(lines.len() > 1, "{lines:#?}");
    let is_whole = |line: &String| line.contains("`ready`?");
    assert!(lines.iter().any(is_whole), "{lines:#?}");
    // The terminal itself wrapped no line.
    assert!(copied.iter().all(|line| line.width() <= 40), "{copied:#?}");
}

#[test]
fn lines_are_neither_left_nor_lost_if_the_terminal_gets_another_width() {
    let test = "terminal::lines_are_neither_left_nor_lost_if_the_terminal_gets_another_width";
    let long = |number: u32| format!("a-server-with-a-rather-long-name-{number}");
    let slow: Vec<_> = (0..5)
        .map(|number| slow_failure(&long(number), 2500))
        .collect();
    let fast = (0..5).map(|number| slow_failure(&format!("fast-{number}"), 1));
    let lab = lab_with(fast.chain(slow).collect());
    let scenarios: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &scenarios);
    for (columns, later) in [(100, 50), (100, 30), (50, 100)] {
        let when = ("connecting  1 s", later);
        let run = user.check("table");
        let Some(finished) = run_on_resized_terminal((40, columns), when, run, test) else {
            return;
        };
        assert!(finished.stdout.contains("\u{1b}[8;"), "{finished:#?}");
        let Screen { lines, .. } = Screen::after(&finished.stdout, columns);
        let is_row = |line: &&String| line.starts_with("✗ ");
        assert_eq!(lines.iter().filter(is_row).count(), 10, "{lines:#?}");
        let is_left = |line: &String| line.contains("connecting");
        assert!(!lines.iter().any(is_left), "{columns} {later}: {lines:#?}");
    }
}

#[test]
fn nothing_moves_the_cursor_of_a_dumb_terminal() {
    let test = "terminal::nothing_moves_the_cursor_of_a_dumb_terminal";
    let lab = lab_with(json!([slow_failure("slow", 500)]));
    let scenarios: Vec<_> = lab.scenarios().iter().collect();
    let user = user_of(&lab, &scenarios);
    let run = user.check("table").through(&["env", "TERM=dumb"]);
    let Some(finished) = on_large_terminal(run, test) else {
        return;
    };
    assert!(!finished.stdout.contains('\u{1b}'), "{finished:#?}");
    assert!(finished.stdout.starts_with("✗ slow "), "{finished:#?}");
}

#[test]
fn phase_is_shown_while_the_tools_are_listed() {
    let test = "terminal::phase_is_shown_while_the_tools_are_listed";
    let server = Server::start(|request, responder| {
        if request.rpc_method() == "tools/list" {
            std::thread::sleep(std::time::Duration::from_millis(600));
        }
        responder.successful(request)
    });
    let user = User::with(&entry("ready", &url(&server.url())));
    let Some(finished) = on_large_terminal(user.check("table"), test) else {
        return;
    };
    let is_shown = finished.stdout.contains("ready     listing its tools");
    assert!(is_shown, "{finished:#?}");
}

/// A lab scenario that fails after a delay.
fn slow_failure(name: &str, milliseconds: u32) -> Value {
    let reply = json!({ "delayMs": milliseconds, "status": 500 });
    json!({ "name": name, "mcp": { "respond": [{ "when": { "method": "initialize" }, "reply": reply }] } })
}
