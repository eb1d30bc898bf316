//! Servers that are programs and misbehave or cannot be started.

use std::os::unix::fs::PermissionsExt;

use crate::bad_server::{bad, check_each_with_a_working_server};
use crate::harness::configuration::{quoted, shell};
use crate::harness::run::PROGRAM;
use crate::harness::user::User;
use crate::memory::MB;

#[test]
fn misbehaving_program_does_not_affect_other_servers() {
    let user = User::new();
    std::fs::create_dir(user.path("folder")).unwrap();
    let path = |name: &str| format!("command = {}", quoted(user.path(name).to_str().unwrap()));
    user.write("plain", "#!/bin/sh\n");
    let script = user.write("script", "#!/no/such/interpreter\n");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let binary = user.write("binary", [0x7f, b'E', b'L', b'F', 0, 0]);
    std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).unwrap();
    let program = quoted(PROGRAM);
    let lab_program = |scenario: &str| {
        format!("command = {program}\nargs = [\"lab\", \"--stdio\", \"{scenario}\"]")
    };
    let two_seconds = "\nstartup_timeout_sec = 2";
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
            shell("head -c 100000000 /dev/zero | tr '\\0' e >&2; echo the-end >&2; exit 7"),
            "exited",
            "7",
        ),
        bad(
            "stderr-then-a-line",
            shell(
                "head -c 100000000 /dev/zero | tr '\\0' e >&2; echo >&2; echo the-end >&2; exit 7",
            ),
            "exited",
            "the-end",
        ),
        bad(
            "stderr-lines",
            shell("yes complaint | head -c 100000000 >&2; exit 7"),
            "exited",
            "complaint",
        ),
        bad("zeros", shell("head -c 100000000 /dev/zero"), "notMcp", ""),
        bad(
            "closes-stdout",
            shell("exec >&-; sleep 100"),
            "notMcp|other",
            "",
        ),
        bad(
            "closes-stdin",
            shell("exec <&-; sleep 100") + two_seconds,
            "timedOut|notMcp|other",
            "",
        ),
        bad("exits", shell("exit 0"), "exited", "0"),
        bad("kills-itself", shell("kill -9 $$"), "exited", "9"),
        bad(
            "ignores-sigterm",
            shell("trap '' TERM; cat >/dev/null; while :; do sleep 1; done") + two_seconds,
            "timedOut",
            "2 s",
        ),
        bad(
            "folder",
            path("folder"),
            "invalidConfiguration",
            "folder is a folder; write the path of the program in it",
        ),
        bad(
            "not-executable",
            path("plain"),
            "invalidConfiguration",
            "plain is not an executable file; make it executable",
        ),
        bad(
            "no-interpreter",
            path("script"),
            "invalidConfiguration",
            "script",
        ),
        bad(
            "no-binary",
            path("binary"),
            "invalidConfiguration",
            "binary",
        ),
        bad(
            "no-program",
            "command = \"no-such-program-anywhere\"",
            "programNotFound",
            "was not found on the PATH",
        ),
        bad(
            "arguments-in-command",
            "command = \"sh -c hunter2-canary\"",
            "programNotFound",
            "write `sh` as `command`, and the others as items of `args`",
        ),
        bad(
            "tilde",
            "command = \"~/no-such-program\"",
            "programNotFound",
            "write the full path",
        ),
        bad(
            "no-folder",
            shell("cat") + "\ncwd = \"/no/such/folder\"",
            "invalidConfiguration",
            "/no/such/folder does not exist",
        ),
        bad(
            "file-as-folder",
            shell("cat") + &format!("\ncwd = {}", quoted(user.path("plain").to_str().unwrap())),
            "invalidConfiguration",
            "plain",
        ),
        bad(
            "echo",
            "command = \"cat\"\nstartup_timeout_sec = 2",
            "notMcp",
            "it only repeats what it is sent",
        ),
        bad(
            "many-arguments",
            format!(
                "command = \"true\"\nargs = [{}]",
                quoted(&"x".repeat(3 * MB))
            ),
            "invalidConfiguration|other",
            "3000000 bytes",
        ),
        bad(
            "deep",
            shell("head -c 100000 /dev/zero | tr '\\0' '['; echo; sleep 100") + two_seconds,
            "notMcp",
            "",
        ),
        bad(
            "wide",
            shell(
                "read line; printf '{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":[0'; yes ,0 | tr -d '\\n' | head -c 4000000; echo ']}'; cat >/dev/null",
            ) + two_seconds,
            "notMcp|timedOut",
            "",
        ),
        bad(
            "leaves-a-child",
            shell("sleep 100 & exit 3") + "\nstartup_timeout_sec = 3",
            "exited",
            "3",
        ),
        bad(
            "terminal-codes",
            shell("printf '\\033]0;owned\\007\\033[2J\\n'; printf '\\033[31mred\\n' >&2; exit 1"),
            "exited",
            "",
        ),
    ]);
}
