//! Windows: package runners are files for `cmd.exe`, and no process that they start outlives the program.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::configuration::{entry, quoted};
use crate::harness::run::{Run, test_program};
use crate::harness::user::User;

/// A user with a launcher `npx.cmd` on the `PATH`. It starts a program that keeps a connection to the listener, and then a server
/// with its arguments.
fn user_with_npx(listener: Option<&TcpListener>) -> User {
    let user = User::new();
    std::fs::create_dir(user.path("bin")).unwrap();
    let mut lines = vec!["@echo off".to_owned()];
    if let Some(listener) = listener {
        let address = listener.local_addr().unwrap();
        lines.push(format!(
            "start /b \"\" \"{}\" connect {address}",
            test_program()
        ));
    }
    lines.push(format!("\"{}\" %*", test_program()));
    user.write("bin/npx.cmd", lines.join("\r\n"));
    user
}

fn check(user: &User, arguments: &[&str]) -> Run {
    let body = format!(
        "command = \"npx\"\nargs = {}\nstartup_timeout_sec = 3",
        serde_json::json!(arguments)
    );
    user.write("home/.codex/config.toml", entry("server", &body));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{};{path}", user.path("bin").display());
    user.check("json").env("PATH", path)
}

#[test]
fn a_launcher_is_found_by_its_name_and_gets_its_arguments() {
    let user = user_with_npx(None);
    for text in [
        "plain",
        "with spaces",
        "C:\\a folder\\",
        "a & echo b",
        "a | b > c",
        "(a) ^ b",
        "a \"quoted\" word",
    ] {
        let finished = check(&user, &["err", text, "exit", "3"]).finish();
        let server = finished.assert_exit(1).server("server");
        let process = &server["failure"]["evidence"]["process"];
        assert_eq!(server["failure"]["kind"], "exited", "{server:#}");
        assert_eq!(process["exit"], 3, "{text}: {server:#}");
        assert_eq!(process["stderr"], text, "{server:#}");
    }
    // `npx` is also a file without a suffix: a script for the shells of Unix.
    user.write("bin/npx", "#!/bin/sh\n");
    let finished = check(&user, &["exit", "4"]).finish();
    let server = finished.server("server");
    assert_eq!(server["failure"]["evidence"]["process"]["exit"], 4);
    // A whole path needs its suffix, or finds the same file.
    let npx = user.path("bin/npx.cmd");
    let body = format!(
        "command = {}\nargs = [\"exit\", \"5\"]",
        quoted(npx.to_str().unwrap())
    );
    user.write("home/.codex/config.toml", entry("server", &body));
    let server = user.check("json").finish().server("server");
    assert_eq!(server["failure"]["evidence"]["process"]["exit"], 5);
}

/// Panics unless the other end closes the connection: its process has ended.
fn assert_ends(mut connection: TcpStream) {
    let began = Instant::now();
    let limit = Duration::from_secs(20);
    connection.set_read_timeout(Some(limit)).unwrap();
    let ended = connection.read(&mut [0]);
    assert!(
        !matches!(ended, Ok(1..)) && began.elapsed() < limit,
        "a process is left: {ended:?}"
    );
}

#[test]
fn no_process_of_a_launcher_is_left_after_a_check() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let user = user_with_npx(Some(&listener));
    let finished = check(&user, &["sleep", "1000"]).finish().assert_exit(1);
    assert_eq!(finished.server("server")["failure"]["kind"], "timedOut");
    assert_ends(listener.accept().unwrap().0);
}

#[test]
fn no_process_of_a_launcher_is_left_after_an_interruption_or_a_kill() {
    for is_interrupted in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let user = user_with_npx(Some(&listener));
        let mut program = check(&user, &["sleep", "1000"])
            .arg("--timeout")
            .arg("600")
            .spawn();
        let (connection, _) = listener.accept().unwrap();
        if is_interrupted {
            program.signal("INT");
            assert_eq!(program.child.wait().unwrap().code(), Some(130));
        } else {
            program.child.kill().unwrap();
            program.child.wait().unwrap();
        }
        assert_ends(connection);
    }
}
