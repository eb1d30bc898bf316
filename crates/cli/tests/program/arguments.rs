//! The command line: wrong usage, hostile arguments, and the commands that only print.

use std::io::Error;

use mcp_startup_core::io_problem;

use crate::harness::configuration::{entry, url};
use crate::harness::lab::{lab, scenarios_named, user_of};
use crate::harness::user::User;

#[test]
fn wrong_usage_exits_with_2_and_names_the_mistake() {
    let lab = lab();
    let user = user_of(&lab, &scenarios_named(&lab, &["ready", "first-sign-in"]));
    let config = user.config();
    let config = config.to_str().unwrap();
    let check = |more: &[&'static str]| [&["check", "--config", config], more].concat();
    let cases = [
        (vec![], "Usage"),
        (vec!["reboot"], "reboot"),
        (check(&["--colour"]), "--colour"),
        (check(&["--timeout", "0"]), "greater than 0"),
        (check(&["--timeout=-1"]), "greater than 0"),
        (check(&["--timeout", "-1"]), "greater than 0"),
        (check(&["--timeout", "nan"]), "greater than 0"),
        (check(&["--timeout", "inf"]), "greater than 0"),
        (check(&["--timeout", "soon"]), "greater than 0"),
        (check(&["--concurrency", "0"]), "from 1 to 1000000"),
        (check(&["--concurrency=-1"]), "from 1 to 1000000"),
        (
            check(&["--concurrency", "99999999999999999999999"]),
            "from 1 to 1000000",
        ),
        (check(&["--format", "xml"]), "ndjson"),
        (
            check(&["reday"]),
            "did you mean `ready`? 1 other server is configured.",
        ),
        (
            check(&["READY"]),
            "did you mean `ready`? 1 other server is configured.",
        ),
        (check(&["--concurrency", "1000001"]), "from 1 to 1000000"),
        (check(&["ready", "\u{1b}[31m"]), "no server `\\u{1b}[31m`"),
        (vec!["check", "--config"], "--config"),
        (vec!["follow", "more"], "more"),
        (vec!["demo", "nothing-like-it"], "it has: ready, "),
        (vec!["demo", "--all", "ready"], "--all"),
        (vec!["demo", "redy"], "did you mean `ready`?"),
        (
            vec!["lab", "--stdio", "stdio-redy"],
            "did you mean `stdio-ready`?",
        ),
        (vec!["lab", "--port", "65536"], "from 0 to 65535"),
        (vec!["lab", "--port", "22x"], "from 0 to 65535"),
        (vec!["check", "--"], "a command must follow `--`"),
        (vec!["lab", "--stdio", "ready"], "it has: stdio-ready, "),
        (vec!["completions"], "<SHELL>"),
        (vec!["completions", "csh"], "csh"),
    ];
    for (arguments, message) in cases {
        let finished = user.program(&arguments).finish().assert_exit(2);
        assert_eq!(finished.stdout, "", "{arguments:?}");
        assert!(
            finished.stderr.contains(message),
            "{arguments:?}: {finished:#?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_token_file_that_other_users_can_read_is_a_warning_and_a_long_one_an_error() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    let user = User::new();
    let config = user.write("servers.json", "{\"mcpServers\":{}}");
    let file = user.write("token", "too short");
    let path = file.to_str().unwrap();
    let listen = ["app-server", "--listen", "ws://127.0.0.1:0", "--config"];
    let token = ["--ws-auth", "capability-token", "--ws-token-file", path];
    let arguments = [&listen[..], &[config.to_str().unwrap()], &token].concat();
    for (mode, expected) in [(0o600, false), (0o640, true), (0o604, true)] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let finished = user.program(&arguments).finish().assert_exit(2);
        assert!(
            finished
                .stderr
                .contains("has no token of at least 16 characters")
        );
        let warning = format!("other users can read {path}, which has the token");
        let has_warning = finished.stderr.contains(&warning);
        assert_eq!(has_warning, expected, "{mode:o}: {finished:#?}");
    }
    // A part of a token would be another token.
    user.write("token", "x".repeat(64 * 1024 + 1));
    let finished = user.program(&arguments).finish().assert_exit(2);
    let message = format!("{path} can't be read: it is longer than 64 KiB");
    assert!(finished.stderr.contains(&message), "{finished:#?}");
}

/// The text of an error of the system, in lower case. Windows has other numbers, and its texts depend on its version.
fn system_text(on_unix: &str, on_windows: i32) -> String {
    match cfg!(windows) {
        true => io_problem(&Error::from_raw_os_error(on_windows)).to_lowercase(),
        false => on_unix.to_owned(),
    }
}

#[test]
fn the_error_of_the_system_has_no_number() {
    let user = User::new();
    let config = user.write("servers.json", "{\"mcpServers\":{}}");
    let config = config.to_str().unwrap();
    let used = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = used.local_addr().unwrap().port();
    let (address, port) = (format!("ws://127.0.0.1:{port}"), port.to_string());
    user.write("token", "0123456789abcdef");
    user.write("here/lab.json", "mine");
    let no_file = system_text("no such file or directory", 2);
    let exists = system_text("file exists", 80);
    let in_use = system_text("address already in use", 10_048);
    let websocket = [
        "app-server",
        "--config",
        config,
        "--ws-auth",
        "capability-token",
    ];
    let nope = ["--ws-token-file", "nope", "--listen", "ws://127.0.0.1:0"];
    let used_port = ["--ws-token-file", "../token", "--listen", &address];
    for (arguments, code, message) in [
        (
            [&websocket[..], &nope].concat(),
            2,
            format!("nope can't be read: {no_file}"),
        ),
        (
            [&websocket[..], &used_port].concat(),
            1,
            format!("can't listen on 127.0.0.1:{port}: {in_use}; choose"),
        ),
        #[cfg(unix)]
        (
            vec![
                "app-server",
                "--config",
                config,
                "--listen",
                "unix:///proc/none/socket",
            ],
            1,
            format!("error: the folder /proc/none can't be created: {no_file}"),
        ),
        (
            vec!["lab", "--write-config", "lab.json"],
            2,
            format!("lab.json can't be written: {exists}; `--write-config` needs"),
        ),
        (
            vec!["lab", "--port", port.as_str()],
            1,
            format!("cannot listen on 127.0.0.1:{port}: {in_use}; choose"),
        ),
        (
            vec![
                "open",
                "--no-browser",
                "--config",
                config,
                "--port",
                port.as_str(),
            ],
            1,
            format!("{in_use}; choose another port"),
        ),
        (
            vec![
                "login",
                "http://127.0.0.1:1/mcp",
                "--no-browser",
                "--port",
                port.as_str(),
            ],
            1,
            format!("{in_use}; choose another --port"),
        ),
    ] {
        let finished = user.program(&arguments).finish().assert_exit(code);
        let text = finished.stderr.to_lowercase();
        assert!(text.contains(&message), "{arguments:?}: {finished:#?}");
        assert!(!text.contains("os error"), "{arguments:?}: {finished:#?}");
    }
}

/// No program writes into the pipe. Windows has neither such files nor devices in folders.
#[cfg(unix)]
#[test]
fn a_file_with_a_token_or_keys_that_is_no_file_is_named_and_does_not_block() {
    let user = User::new();
    let pipe = user.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let servers = r#"{"mcpServers":{"a":{"url":"http://127.0.0.1:1/mcp"}}}"#;
    let config = user.write("servers.json", servers);
    let config = ["--config", config.to_str().unwrap()];
    let database = [
        "--store",
        "postgres://127.0.0.1:1/none",
        "--user",
        "a",
        "--store-keys",
    ];
    let listen = [
        "app-server",
        "--listen",
        "ws://127.0.0.1:0",
        "--ws-auth",
        "capability-token",
        "--ws-token-file",
    ];
    for (path, problem) in [
        (
            pipe.to_str().unwrap(),
            "it is a named pipe (FIFO), and was not complete after 5 s",
        ),
        ("/", "it is a folder"),
        ("/dev/zero", "it is longer than 64 KiB"),
    ] {
        for arguments in [
            [&listen[..], &[path], &config].concat(),
            [&["check"][..], &database, &[path], &config].concat(),
        ] {
            let finished = user.program(&arguments).finish().assert_exit(2);
            let expected = format!("{path} can't be read: {problem}");
            assert!(
                finished.stderr.contains(&expected),
                "{arguments:?}: {finished:#?}"
            );
        }
    }
}

#[test]
fn control_characters_in_arguments_are_escaped_in_error_messages() {
    let user = User::new();
    for (arguments, message) in [
        (
            &["check", "--format", "ba\u{1b}[41mX"][..],
            "ba\\u{1b}[41mX",
        ),
        (&["check", "--format=ba\u{1b}[41mX"], "ba\\u{1b}[41mX"),
        (&["check", "--timeout", "\u{9b}2J"], "\\u{9b}2J"),
        (&["check", "--co\u{1b}lour"], "--co\\u{1b}lour"),
        (&["check", "-\u{1b}[2J"], "unexpected argument"),
        (&["re\nboot\u{202e}"], "re\\nboot\\u{202e}"),
    ] {
        let finished = user.program(arguments).finish().assert_exit(2);
        assert_eq!(finished.stdout, "", "{arguments:?}");
        assert!(
            finished.stderr.contains(message),
            "{arguments:?}: {finished:#?}"
        );
        assert!(!finished.stderr.contains('\u{202e}'), "{finished:#?}");
    }
    let finished = user.program(&["check"]).arg(not_unicode()).finish();
    assert!(!finished.assert_exit(2).stderr.is_empty());
}

#[cfg(unix)]
fn not_unicode() -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(b"\xff\x1b[41m".to_vec())
}

#[cfg(windows)]
fn not_unicode() -> std::ffi::OsString {
    std::os::windows::ffi::OsStringExt::from_wide(&[0xd800, 0x1b])
}

#[test]
fn completions_and_the_version_are_printed() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let finished = user.program(&["completions", shell]).finish();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        let script = &finished.stdout;
        assert!(script.contains("MCP_STARTUP_COMPLETE"), "{shell}: {script}");
        assert_eq!(finished.stderr, "");
    }
    let version = concat!("mcp-startup ", env!("CARGO_PKG_VERSION"), "\n");
    for arguments in [&["--version"][..], &["-V"]] {
        assert_eq!(
            user.program(arguments).finish().assert_exit(0).stdout,
            version
        );
    }
}

/// The runtime would panic. Windows has no such limit.
#[cfg(unix)]
#[test]
fn a_limit_of_open_files_that_is_too_low_is_an_error() {
    let user = User::new();
    let limited = ["/bin/sh", "-c", "ulimit -n 7; exec \"$0\" \"$@\""];
    for arguments in [
        &["check", "https://mcp.example.com/mcp"][..],
        &["status", "https://mcp.example.com/mcp"],
        &["follow"],
        &["lab"],
    ] {
        let run = user.program(arguments).through(&limited);
        let finished = run.finish().assert_exit(1);
        assert!(finished.stderr.contains("`ulimit -n`"), "{finished:#?}");
    }
}

/// A shell replaces `~` only at the start of a word.
#[test]
fn the_home_folder_is_known_after_an_equals_sign() {
    let user = User::with(&entry("server", &url("https://a.example/mcp")));
    for config in ["--config=~/.codex/config.toml", "--config=config.toml"] {
        user.write("here/config.toml", std::fs::read(user.config()).unwrap());
        let run = user.program(&["status", config]);
        let finished = run.finish().assert_exit(0);
        assert!(finished.stdout.contains("server"), "{finished:#?}");
    }
    let run = user.program(&["status", "--config=~/other.toml"]);
    let finished = run.finish().assert_exit(2);
    let path = user.path("home/other.toml");
    assert!(
        finished.stderr.contains(path.to_str().unwrap()),
        "{finished:#?}"
    );
}

#[test]
fn the_text_of_an_exit_status_is_below_itself_on_a_narrow_terminal() {
    let user = User::new();
    let check = user.program(&["check", "--help"]);
    let finished = check.env("COLUMNS", "60").finish().assert_exit(0);
    let (_, statuses) = finished.stdout.split_once("Exit status:\n").unwrap();
    let is_indented = |line: &str| match line.trim_start().starts_with(|c: char| c.is_ascii_digit())
    {
        true => line.starts_with("  "),
        false => line.starts_with("       "),
    };
    assert!(statuses.lines().count() > 6, "{statuses}");
    for line in statuses.lines() {
        assert!(is_indented(line) && line.chars().count() <= 60, "{line}");
    }
}

#[test]
fn names_are_whole_in_the_list_of_a_dry_run_that_a_program_reads() {
    let name = "a-server-with-a-long-name-".repeat(5);
    let user = User::with(&entry(&name, &url("https://a.example/mcp")));
    let config = user.config();
    let run = user.program(&["check", "--dry-run", "--config", config.to_str().unwrap()]);
    let finished = run.finish().assert_exit(0);
    assert!(
        finished.stdout.contains(&format!("{name}  a.example\n")),
        "{finished:#?}"
    );
}

#[test]
fn a_variable_of_the_network_that_is_ignored_has_a_warning() {
    let user = User::with(&entry("server", &url("https://a.example/mcp")));
    let config = user.config();
    for (variable, value) in [
        ("HTTPS_PROXY", "ftp://user:s3cret@proxy.example.com"),
        ("all_proxy", "x y"),
        ("SSL_CERT_FILE", "/no/such/file"),
    ] {
        if variable == "SSL_CERT_FILE" && cfg!(not(target_os = "linux")) {
            continue;
        }
        let status = user.program(&["status", "--config", config.to_str().unwrap()]);
        let finished = status.env(variable, value).finish().assert_exit(0);
        assert!(finished.stderr.contains(variable), "{finished:#?}");
        assert!(!finished.stderr.contains("s3cret"), "{finished:#?}");
    }
}
