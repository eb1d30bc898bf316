//! Hostile lines on the stdin of `follow`.

use crate::harness::user::User;
use crate::memory::{MB, assert_memory_limit, nested_lists};

#[test]
fn lines_that_are_not_notifications_are_read_in_bounded_memory() {
    let user = User::new();
    let valid =
        r#"{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"ready"}}"#;
    for (case, bad) in [
        ("a line of 200 MB", vec![b'x'; 200 * MB]),
        (
            "100,000 nested lists",
            nested_lists(
                "{\"method\":\"mcpServer/startupStatus/updated\",\"params\":",
                100_000,
            ),
        ),
        ("zeros", vec![0; MB]),
        ("not UTF-8", vec![0xff; MB]),
    ] {
        let input = [&bad[..], b"\n", valid.as_bytes(), b"\n"].concat();
        let finished = user
            .program(&["follow", "--format", "json"])
            .stdin(input)
            .finish();
        assert_memory_limit(&finished, case);
        let finished = finished.assert_exit(0);
        assert_eq!(finished.server("a")["status"], "ready");
        assert!(finished.stderr.len() < 1000, "{case}: {}", finished.stderr);
    }
}
