//! The exit statuses of `check`, their list in the help, and the behavior of `check` if its stdout is closed.

use crate::harness::cases::for_each_case;
use crate::harness::lab::{lab, scenarios_named, user_of};
use crate::harness::user::User;

#[test]
fn exit_status_reflects_the_results_of_all_servers() {
    let lab = lab();
    let cases: [(&[&str], i32); 8] = [
        (&["ready", "ready-sse"], 0),
        (&["expired-but-served"], 0),
        (&["ready", "server-500"], 1),
        (&["api-key"], 1),
        (&["ready", "first-sign-in"], 3),
        (&["ready", "expired-no-refresh", "server-500"], 3),
        (&["insufficient-scope", "html-page", "bearer-rejected"], 3),
        (&["bearer-rejected", "access-denied", "discovery-500"], 1),
    ];
    for_each_case(&cases, |(names, code)| {
        let user = user_of(&lab, &scenarios_named(&lab, names));
        for format in ["table", "ndjson", "json"] {
            let finished = user.check(format).finish().assert_exit(*code);
            if format == "json" {
                assert_eq!(finished.json()["exitStatus"], *code);
            }
        }
    });
}

#[test]
fn help_lists_the_exit_statuses() {
    let of_check = ["  0  ", "  1  ", "  2  ", "  3  ", "  130  ", "  141  "];
    let of_demo = ["  0  ", "  1  ", "  2  ", "  130  ", "  141  "];
    let of_lab = ["  0  ", "  1  ", "  2  ", "  141  "];
    for (command, statuses) in [
        ("check", &of_check[..]),
        ("explain", &of_check),
        ("follow", &of_check),
        ("demo", &of_demo),
        ("lab", &of_lab),
    ] {
        for help in ["--help", "-h"] {
            let finished = User::new()
                .program(&[command, help])
                .finish()
                .assert_exit(0);
            for status in statuses {
                assert!(finished.stdout.contains(status), "{}", finished.stdout);
            }
        }
    }
}

#[test]
fn closed_stdout_ends_check_without_an_error_message() {
    let lab = lab();
    let user = user_of(
        &lab,
        &scenarios_named(&lab, &["ready", "stdio-ready", "hangs"]),
    );
    for format in ["table", "ndjson", "json"] {
        let (_, stderr) = user.check(format).spawn().close_stdout();
        assert_eq!(stderr, "", "{format}");
    }
}
