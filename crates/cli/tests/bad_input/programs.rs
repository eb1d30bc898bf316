//! Servers that are programs and misbehave or cannot be started.

use crate::bad_server::{BadServer, bad, check_each_with_a_working_server};
use crate::harness::configuration::{quoted, steps};
use crate::harness::run::program;
use crate::harness::user::User;

/// Under Wine, a pipe is slow.
const FLOOD: &str = if cfg!(windows) {
    "4000000"
} else {
    "100000000"
};
const TWO_SECONDS: &str = "\nstartup_timeout_sec = 2";

#[test]
fn misbehaving_program_does_not_affect_other_servers() {
    let program = quoted(program());
    let lab_program = |scenario: &str| {
        format!("command = {program}\nargs = [\"lab\", \"--stdio\", \"{scenario}\"]")
    };
    let deep = "[".repeat(100_000);
    let wide = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":[0{}]}}\n",
        ",0".repeat(2_000_000)
    );
    let user = User::new();
    let in_file = |name: &str, steps: &[&str]| {
        let path = user.write(name, serde_json::json!(steps).to_string());
        self::steps(&["run", path.to_str().unwrap()])
    };
    check_each_with_a_working_server(&[
        bad("junk", lab_program("stdio-junk"), "notMcp", ""),
        bad(
            "endless-line",
            lab_program("stdio-endless-line"),
            "notMcp",
            "",
        ),
        bad(
            "stderr",
            steps(&["flood", "err", "e", FLOOD, "err", "the-end", "exit", "7"]),
            "exited",
            "7",
        ),
        bad(
            "stderr-then-a-line",
            steps(&[
                "flood",
                "err",
                "e",
                FLOOD,
                "err",
                "\nthe-end\n",
                "exit",
                "7",
            ]),
            "exited",
            "the-end",
        ),
        bad(
            "stderr-lines",
            steps(&["flood", "err", "complaint\n", FLOOD, "exit", "7"]),
            "exited",
            "complaint",
        ),
        bad("zeros", steps(&["zeros", FLOOD]), "notMcp", ""),
        bad(
            "closes-stdout",
            steps(&["close", "out", "sleep", "100"]),
            "notMcp|other",
            "",
        ),
        bad(
            "closes-stdin",
            steps(&["close", "in", "sleep", "100"]) + TWO_SECONDS,
            "timedOut|notMcp|other",
            "",
        ),
        bad("exits", steps(&["exit", "0"]), "exited", "0"),
        bad(
            "no-program",
            "command = \"no-such-program-anywhere\"",
            "programNotFound",
            "was not found on the PATH",
        ),
        bad(
            "tilde",
            "command = \"~/no-such-program\"",
            "programNotFound",
            "write the full path",
        ),
        bad(
            "deep",
            in_file("deep.json", &["out", &deep, "out", "\n", "sleep", "100"]) + TWO_SECONDS,
            "notMcp",
            "",
        ),
        bad(
            "wide",
            in_file("wide.json", &["read", "out", &wide, "wait"]) + TWO_SECONDS,
            "notMcp|timedOut",
            "",
        ),
        bad(
            "leaves-a-child",
            steps(&["child", "100", "exit", "3"]) + "\nstartup_timeout_sec = 3",
            "exited",
            "3",
        ),
        bad(
            "terminal-codes",
            steps(&[
                "out",
                "\u{1b}]0;owned\u{7}\u{1b}[2J\n",
                "err",
                "\u{1b}[31mred\n",
                "exit",
                "1",
            ]),
            "exited",
            "",
        ),
    ]);
}

#[test]
fn command_that_cannot_be_run_does_not_affect_other_servers() {
    let user = User::new();
    std::fs::create_dir(user.path("folder")).unwrap();
    user.write("plain", "#!/bin/sh\n");
    let path = |name: &str| command(&user, name);
    let mut servers = vec![
        bad(
            "folder",
            path("folder"),
            "invalidConfiguration",
            "folder is a folder; write the path of the program in it",
        ),
        bad(
            "no-folder",
            format!("{}\ncwd = {}", steps(&["wait"]), quoted(&no_folder(&user))),
            "invalidConfiguration",
            "folder-that-is-not does not exist",
        ),
        bad(
            "file-as-folder",
            format!(
                "{}\ncwd = {}",
                steps(&["wait"]),
                quoted(user.path("plain").to_str().unwrap())
            ),
            "invalidConfiguration",
            "plain",
        ),
    ];
    servers.extend(of_the_system(&user));
    check_each_with_a_working_server(&servers);
}

fn command(user: &User, name: &str) -> String {
    format!("command = {}", quoted(user.path(name).to_str().unwrap()))
}

fn no_folder(user: &User) -> String {
    user.path("folder-that-is-not").to_str().unwrap().to_owned()
}

/// The rules of Windows: a program has a suffix, and a script is a file for `cmd.exe`.
#[cfg(windows)]
fn of_the_system(user: &User) -> Vec<BadServer> {
    user.write("binary.exe", [b'M', b'Z', 0, 0]);
    user.write(
        "script.cmd",
        "@echo cannot open the database>&2\r\n@exit 5\r\n",
    );
    vec![
        bad(
            "no-binary",
            command(user, "binary.exe"),
            "invalidConfiguration",
            "binary.exe",
        ),
        bad(
            "script",
            command(user, "script.cmd"),
            "exited",
            "cannot open the database",
        ),
        bad(
            "arguments-in-command",
            "command = \"cmd /c hunter2-canary\"",
            "programNotFound",
            "write `cmd` as `command`, and the others as items of `args`",
        ),
    ]
}

/// The rules of Unix: signals, permissions, interpreters, and programs that every system has. Wine has no limit of arguments.
#[cfg(unix)]
fn of_the_system(user: &User) -> Vec<BadServer> {
    use std::os::unix::fs::PermissionsExt;

    use crate::harness::configuration::shell;
    use crate::harness::run::test_program;
    use crate::memory::MB;

    let script = user.write("script", "#!/no/such/interpreter\n");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let binary = user.write("binary", [0x7f, b'E', b'L', b'F', 0, 0]);
    std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).unwrap();
    vec![
        bad(
            "many-arguments",
            format!(
                "command = {}\nargs = [\"exit\", \"0\", {}]",
                quoted(test_program()),
                quoted(&"x".repeat(3 * MB))
            ),
            "invalidConfiguration|other",
            "3000000 bytes",
        ),
        bad("kills-itself", shell("kill -9 $$"), "exited", "9"),
        bad(
            "ignores-sigterm",
            shell("trap '' TERM; cat >/dev/null; while :; do sleep 1; done") + TWO_SECONDS,
            "timedOut",
            "2 s",
        ),
        bad(
            "not-executable",
            command(user, "plain"),
            "invalidConfiguration",
            "plain is not an executable file; make it executable",
        ),
        bad(
            "no-interpreter",
            command(user, "script"),
            "invalidConfiguration",
            "script",
        ),
        bad(
            "no-binary",
            command(user, "binary"),
            "invalidConfiguration",
            "binary",
        ),
        bad(
            "arguments-in-command",
            "command = \"sh -c hunter2-canary\"",
            "programNotFound",
            "write `sh` as `command`, and the others as items of `args`",
        ),
        bad(
            "echo",
            "command = \"cat\"\nstartup_timeout_sec = 2",
            "notMcp",
            "it only repeats what it is sent",
        ),
    ]
}
