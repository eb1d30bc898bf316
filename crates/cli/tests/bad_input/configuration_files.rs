//! Configuration files that are invalid, missing, too large or unreadable.

use serde_json::json;

use crate::harness::cases::for_each_case;
use crate::harness::user::User;
use crate::memory::{MB, assert_memory_limit, nested_lists};

#[test]
fn invalid_file_is_reported_with_its_name_and_the_mistake() {
    let file = |name, content: &[u8], messages| BadFile {
        name,
        content: content.to_vec(),
        messages,
    };
    let cases = [
        file(
            "syntax.toml",
            b"[mcp_servers.a]\nurl = \"https://example.com/mcp\"\nbearer = canary-token oops\n",
            &["syntax.toml, line 3", "not valid TOML"],
        ),
        file(
            "syntax.json",
            b"{\"mcpServers\": {\n  \"a\": {\"url\": canary-token}\n}}",
            &["syntax.json, line 2", "not valid JSON"],
        ),
        file(
            "cut.json",
            b"{\"mcpServers\": {",
            &["cut.json, line 1", "not valid JSON"],
        ),
        file(
            "other.json",
            b"{\"servers\": {}}",
            &["other.json", "`mcpServers`"],
        ),
        file(
            "list.json",
            b"{\"mcpServers\": []}",
            &["list.json, line 1", "must be an object"],
        ),
        file(
            "text.toml",
            b"mcp_servers = 3\n",
            &["text.toml, line 1", "must be a table"],
        ),
        file(
            "latin.toml",
            b"# caf\xe9\n",
            &["latin.toml, line 1", "UTF-8"],
        ),
        file(
            "zero.toml",
            &[0; 100],
            &["zero.toml, line 1", "not valid TOML"],
        ),
        file(
            "large.toml",
            &vec![b'#'; 50 * MB],
            &["large.toml", "larger than 4 MiB"],
        ),
        file(
            "deep.json",
            &nested_lists("{\"mcpServers\": ", MB),
            &["deep.json", "not valid JSON"],
        ),
        file(
            "deep.toml",
            &nested_lists("mcp_servers = ", 50_000),
            &["deep.toml", "not valid TOML"],
        ),
        file(HIDDEN_NAME.0, b"=", &[HIDDEN_NAME.1, "not valid TOML"]),
    ];
    for_each_case(&cases, |case| {
        let user = User::new();
        let path = user.write(case.name, &case.content);
        for format in ["table", "ndjson", "json"] {
            let arguments = ["check", "--format", format, "--config"];
            let finished = user
                .program(&arguments)
                .arg(path.to_str().unwrap())
                .finish();
            assert_memory_limit(&finished, case.name);
            let finished = finished.assert_exit(2);
            assert_eq!(finished.stdout, "");
            assert!(finished.stderr.len() < 1000, "{finished:#?}");
            for part in case.messages {
                assert!(finished.stderr.contains(part), "{part}: {finished:#?}");
            }
            assert!(!finished.stderr.contains("canary"), "{finished:#?}");
        }
    });
}

/// A file name with a hidden character, and how it is shown. Windows allows no control character.
const HIDDEN_NAME: (&str, &str) = if cfg!(windows) {
    ("escape\u{202e}.toml", "escape\\u{202e}.toml, line 1")
} else {
    ("escape\u{1b}[31m.toml", "escape\\u{1b}[31m.toml, line 1")
};

/// An invalid file, and the texts that the error message about it contains.
struct BadFile {
    name: &'static str,
    content: Vec<u8>,
    messages: &'static [&'static str],
}

#[test]
fn missing_or_irregular_file_is_reported_with_its_name_and_the_reason() {
    let user = User::new();
    std::fs::create_dir(user.path("folder")).unwrap();
    for (name, message) in [
        ("absent.toml", "there is no such file"),
        ("absent/config.toml", "there is no such file"),
        ("folder", "this is a folder"),
    ] {
        refused(&user, name, message);
    }
}

/// Panics if the message about this file of the user has not its name and this text.
fn refused(user: &User, name: &str, message: &str) {
    let path = user.path(name);
    let run = user.program(&["check", "--config"]);
    let finished = run.arg(&path).finish().assert_exit(2);
    assert_eq!(finished.stdout, "");
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(finished.stderr.contains(name), "{finished:#?}");
    assert!(finished.stderr.contains(message), "{finished:#?}");
}

/// Windows has no such files in folders, and a user who is not an administrator creates no symbolic links there.
#[cfg(unix)]
#[test]
fn link_pipe_socket_or_device_is_reported_with_the_reason() {
    use std::os::unix::fs::symlink;

    let user = User::new();
    std::fs::create_dir(user.path("folder")).unwrap();
    symlink(user.path("folder/gone"), user.path("dangling")).unwrap();
    symlink(user.path("loop"), user.path("loop")).unwrap();
    refused(&user, "dangling", "there is no such file");
    refused(&user, "loop", "cannot be read");
    let (pipe, socket) = (user.path("pipe"), user.path("socket"));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (name, message) in [
        ("", "a value is required"),
        ("/dev/zero", "this is a device"),
        (pipe.to_str().unwrap(), "this is a named pipe (FIFO)"),
        (socket.to_str().unwrap(), "this is a socket"),
    ] {
        let run = user.program(&["check", "--config", name]);
        let finished = run.finish().assert_exit(2);
        assert!(finished.stderr.contains(message), "{finished:#?}");
    }
}

/// Each server takes memory until the end of the run.
#[test]
fn file_with_too_many_servers_is_refused() {
    let json = |count: usize| {
        let servers = (0..count).map(|number| (format!("s{number}"), json!({ "url": 7 })));
        let servers: serde_json::Map<_, _> = servers.collect();
        json!({ "mcpServers": servers }).to_string()
    };
    let toml = |count: usize| {
        let servers = (0..count).map(|number| format!("[mcp_servers.s{number}]\nurl = 7\n"));
        servers.collect::<String>()
    };
    let user = User::new();
    let many = [
        ("many.json", json(100_000), "at most 2000 servers are read"),
        ("more.json", json(2001), "at most 2000 servers are read"),
        ("more.toml", toml(20_000), "at most 2000 servers are read"),
        (
            "dotted.toml",
            format!("[s{}]\n", ".a".repeat(75)).repeat(2000),
            "more than 100000 lines, commas, dots and brackets",
        ),
        (
            "many.toml",
            toml(100_000),
            "more than 100000 lines, commas, dots and brackets",
        ),
    ];
    for (name, content, message) in many {
        let path = user.write(name, content);
        for command in [
            &["check"][..],
            &["check", "--format", "json"],
            &["status"],
            &["app-server"],
        ] {
            let arguments = [command, &["--config", path.to_str().unwrap()]].concat();
            let finished = user.program(&arguments).finish().assert_exit(2);
            assert!(finished.stderr.contains(message), "{finished:#?}");
            assert!(
                finished.peak_mb < 150.0,
                "{arguments:?}: {} MB",
                finished.peak_mb
            );
        }
    }
    let path = user.write("as-many.json", json(2000));
    let run = user.program(&["status", "--config", path.to_str().unwrap()]);
    assert!(run.finish().stdout.contains("s1999"));
}

/// The test knows only the permissions of Unix.
#[cfg(unix)]
#[test]
fn file_without_read_permission_is_reported_with_its_name_and_the_reason() {
    use std::os::unix::fs::PermissionsExt;

    use crate::harness::cases::skip;
    use crate::harness::run::PROGRAM;

    let user = User::with("");
    std::fs::set_permissions(user.config(), PermissionsExt::from_mode(0o000)).unwrap();
    let mut run = user.check("table");
    if std::fs::read(user.config()).is_ok() {
        // Root can read every file, so the check runs as another user. That user needs access to the program and the file.
        let other_user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let reachable = std::process::Command::new("setpriv")
            .args(other_user)
            .args(["test", "-x", PROGRAM])
            .status();
        if !reachable.is_ok_and(|status| status.success()) {
            let reason = "root can read every file, and no other user can start the program";
            skip(
                "configuration_files::file_without_read_permission_is_reported_with_its_name_and_the_reason",
                reason,
            );
            return;
        }
        let root = user.path("");
        std::fs::set_permissions(root, PermissionsExt::from_mode(0o755)).unwrap();
        run = run.through(&["setpriv", other_user[0], other_user[1], other_user[2]]);
    }
    let finished = run.finish().assert_exit(2);
    assert!(
        finished
            .stderr
            .contains("config.toml: you do not have permission to read this file"),
        "{finished:#?}"
    );
}
