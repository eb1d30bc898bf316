//! The table that `check` prints if stdout is not a terminal: its lines and colors, and the log on stderr.

use crate::harness::lab::{lab, scenarios_named, user_of};
use crate::harness::run::Run;

#[test]
fn table_is_plain_lines_if_stdout_is_not_a_terminal() {
    let lab = lab();
    let names = [
        "ready",
        "expired-no-refresh",
        "first-sign-in",
        "insufficient-scope",
        "server-500",
        "stdio-exits-3",
    ];
    let user = user_of(&lab, &scenarios_named(&lab, &names));
    let finished = user.check("table").finish().assert_exit(3);
    assert_eq!(finished.stderr, "");
    assert_eq!(finished.stdout.lines().count(), names.len() + 1);
    for (name, start, end) in [
        ("ready", "✓", "  3 tools"),
        (
            "expired-no-refresh",
            "!",
            "  run `mcp-startup login expired-no-refresh`",
        ),
        (
            "first-sign-in",
            "!",
            "  run `mcp-startup login first-sign-in`",
        ),
        (
            "insufficient-scope",
            "!",
            "  run `mcp-startup login insufficient-scope`",
        ),
        (
            "server-500",
            "✗",
            "(HTTP 500): try again later; it answered: Internal Server Error",
        ),
        (
            "stdio-exits-3",
            "✗",
            "cannot open the database: no such file",
        ),
    ] {
        // A suggested command finds the same file.
        let config = format!(" --config {}`", user.config().display());
        let end = match end.strip_suffix('`') {
            Some(command) => format!("{command}{config}"),
            None => end.to_owned(),
        };
        let line = finished.line(name);
        assert!(line.starts_with(start) && line.ends_with(&end), "{line}");
    }
    for (name, state) in [
        ("ready", " ready "),
        ("expired-no-refresh", " sign-in expired "),
        ("first-sign-in", " not signed in "),
        ("insufficient-scope", " needs more access "),
        ("server-500", " failed "),
    ] {
        assert!(finished.line(name).contains(state), "{}", finished.stdout);
    }
    let closing = finished.stdout.lines().last().unwrap();
    let counts = "6 servers: 1 ready, 1 to sign in to again, 1 to sign in to, 1 to grant more access, 2 failed (";
    assert!(closing.starts_with(counts), "{closing}");
}

#[test]
fn table_is_colored_only_if_the_environment_requests_it() {
    let lab = lab();
    let user = user_of(&lab, &scenarios_named(&lab, &["ready", "server-500"]));
    let cases: [(&[(&str, &str)], bool); 5] = [
        (&[], false),
        (&[("NO_COLOR", "1")], false),
        (&[("CLICOLOR_FORCE", "1")], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (
            &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")],
            false,
        ),
    ];
    for (environment, is_colored) in cases {
        let set = |run: Run| {
            environment
                .iter()
                .fold(run, |run, (name, value)| run.env(name, value))
        };
        let finished = set(user.check("table")).finish();
        assert_eq!(finished.code, Some(1));
        assert_eq!(
            finished.stdout.contains("\u{1b}["),
            is_colored,
            "{environment:?}: {finished:#?}"
        );
        // The other formats are for programs, so they are never colored.
        for format in ["ndjson", "json"] {
            set(user.check(format)).finish().assert_exit(1);
        }
    }
}

#[test]
fn log_contains_no_escape_sequences() {
    let lab = lab();
    let user = user_of(&lab, &scenarios_named(&lab, &["ready", "api-key"]));
    for format in ["table", "ndjson", "json"] {
        let finished = user.check(format).env("RUST_LOG", "trace").finish();
        assert!(
            !finished.all_output().contains('\u{1b}'),
            "{}",
            finished.all_output()
        );
        assert_eq!(finished.code, Some(1));
    }
}
