//! The supervisor itself: it ends as its program did, and reports why the program could not be started.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::{Startup, StartupFailure, StartupOptions};
use serde_json::Value;

use crate::harness::configuration::{entry, quoted};
use crate::harness::run::PROGRAM;
use crate::harness::time::eventually;
use crate::harness::user::User;
use crate::marked::{Mark, send};

/// The supervisor of a shell script.
fn supervise(grace_ms: u32, script: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["__supervise", "--grace-ms", &grace_ms.to_string(), "--"]);
    command.args(["/bin/sh", "-c", script]);
    command.stdin(Stdio::piped());
    command
}

#[test]
fn supervisor_ends_as_its_program_does() {
    let table: [(&str, Option<i32>, Option<i32>); 10] = [
        ("exit 0", Some(0), None),
        ("exit 3", Some(3), None),
        ("exit 127", Some(127), None),
        ("exit 255", Some(255), None),
        ("kill -TERM $$", None, Some(15)),
        ("kill -KILL $$", None, Some(9)),
        ("kill -SEGV $$", None, Some(11)),
        ("kill -ABRT $$", None, Some(6)),
        ("kill -USR1 $$", None, Some(10)),
        // A real-time signal, as shells report it.
        ("exec /bin/sh -c 'kill -40 $$'", Some(168), None),
    ];
    for (script, code, signal) in table {
        let mut child = supervise(500, script).spawn().unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (code, signal), "{script}");
    }
}

#[test]
fn supervisor_passes_the_streams_and_the_environment_on_and_keeps_no_copy() {
    let script =
        "read -r line; echo \"$line $VARIABLE\"; echo error >&2; exec >&- 2>&- <&-; sleep 0.2";
    let mut command = supervise(500, script);
    command.env("VARIABLE", "value");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    (&stdin).write_all(b"line\n").unwrap();
    let mut stdout = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    // The output has ended, and the program has not.
    assert_eq!(child.try_wait().unwrap(), None);
    assert_eq!(stdout, "line value\n");
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(stderr, "error\n");
    let closed = eventually("stdin is closed", || (&stdin).write_all(b"line\n").err());
    assert_eq!(closed.kind(), std::io::ErrorKind::BrokenPipe);
    assert!(child.wait().unwrap().success());
}

/// Grace for processes that end in an orderly way. Each signal is sent only once, and not to the helpers of the orderly end.
#[test]
fn processes_get_one_signal_and_the_time_to_end() {
    let user = User::new();
    let log = user.path("log");
    let script = format!(
        "exec 2>/dev/null; trap 'echo term >>{0}; sleep 0.5; echo done >>{0}; exit 7' TERM; echo started >>{0}; while :; do sleep 0.05; done",
        log.display()
    );
    let mark = Mark::new();
    let mut child = mark.on(&mut supervise(5000, &script)).spawn().unwrap();
    let read = || std::fs::read_to_string(&log).ok();
    eventually("the program has started", || {
        read().filter(|log| !log.is_empty())
    });
    send(child.id(), "TERM");
    eventually("the signal has arrived", || {
        read().filter(|log| log.contains("term"))
    });
    send(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert_eq!(read().unwrap(), "started\nterm\ndone\n");
    assert_eq!(mark.processes(), []);
}

#[test]
fn signals_other_than_those_that_end_it_do_not_end_the_supervisor() {
    let mark = Mark::new();
    let script = "kill -USR1 $PPID; kill -USR2 $PPID; kill -CHLD $PPID; exit 5";
    let mut child = mark.on(&mut supervise(500, script)).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

/// Orphans become children of the supervisor. They must not stay zombies while the program runs.
#[test]
fn orphans_are_reaped_while_the_program_runs() {
    let user = User::new();
    let started = user.path("started");
    let script = format!(
        "for i in 1 2 3 4 5 6 7 8; do (sh -c : &); done; >{}; read -r line",
        started.display()
    );
    let mut child = supervise(500, &script).spawn().unwrap();
    eventually("the program has started", || started.exists().then_some(()));
    let supervisor = child.id().to_string();
    eventually("only the program is left", || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let stats = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
        let parents = stats.filter_map(|stat| {
            let (_, fields) = stat.rsplit_once(')')?;
            fields.split_whitespace().nth(1).map(str::to_owned)
        });
        let children = parents.filter(|parent| *parent == supervisor).count();
        (children == 1).then_some(())
    });
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn invalid_arguments_are_a_usage_error() {
    let table: [&[&str]; 9] = [
        &[],
        &["--grace-ms", "500", "--"],
        &["--grace-ms", "x", "--", "/bin/true"],
        &["--grace-ms", "500", "/bin/true", "x"],
        &["--grace", "500", "--", "/bin/true"],
        &["--grace-ms", "500", "--env", "A=1", "/bin/true"],
        &["--grace-ms", "500", "--env", "A", "--", "/bin/true"],
        &["--grace-ms", "500", "--env"],
        // It would be searched for in `PATH`.
        &["--grace-ms", "500", "--", "true"],
    ];
    for arguments in table {
        let mut command = Command::new(PROGRAM);
        let run = command.arg("__supervise").args(arguments).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{arguments:?}");
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert!(stderr.starts_with("usage: "), "{stderr}");
    }
}

/// Starts the server and returns its failure.
async fn failure(server: ServerEntry, supervisor: bool) -> StartupFailure {
    let mut options = StartupOptions::default();
    options.supervisor = supervisor.then(|| vec![PROGRAM.into(), "__supervise".into()]);
    let mut check = Startup::new(options).unwrap().check(vec![server]);
    while let Some(event) = check.next().await {
        if let Some(failure) = event.failure {
            return failure;
        }
    }
    panic!("the server has not failed");
}

fn without_time(failure: &StartupFailure) -> Value {
    let mut failure = serde_json::to_value(failure).unwrap();
    failure["evidence"]
        .as_object_mut()
        .unwrap()
        .remove("elapsedMs");
    failure
}

#[tokio::test]
async fn program_that_cannot_be_started_is_the_same_evidence_with_and_without_a_supervisor() {
    let user = User::new();
    let executable = |name: &str, content: &[u8]| {
        let path = user.write(name, content);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    };
    let long = "x".repeat(3 * 1024 * 1024);
    let table = [
        (
            "no interpreter",
            executable("script", b"#!/no/such/interpreter\n"),
            "",
        ),
        ("no binary", executable("binary", b"\x7fELF\0\0"), ""),
        ("not executable", user.write("plain", "#!/bin/sh\n"), ""),
        ("a folder", user.path("home"), ""),
        ("too many arguments", "/bin/true".into(), long.as_str()),
        (
            "a program that exits",
            executable(
                "exits",
                b"#!/bin/sh\nread -r line\necho error >&2\nexit 127\n",
            ),
            "",
        ),
        ("no program", user.path("no-program"), ""),
    ];
    for (case, program, argument) in table {
        let server = || ServerConfig::stdio("server", program.to_str().unwrap(), [argument]);
        let without = failure(server().unwrap().into(), false).await;
        let with = failure(server().unwrap().into(), true).await;
        assert_eq!(without_time(&with), without_time(&without), "{case}");
    }
}

/// A supervisor that is missing, for example after an update, is no reason not to start the server.
#[tokio::test]
async fn server_starts_without_a_supervisor_that_cannot_be_started() {
    let mut options = StartupOptions::default();
    options.supervisor = Some(vec!["/no/such/supervisor".into()]);
    let server = ServerConfig::stdio("server", PROGRAM, ["lab", "--stdio", "stdio-ready"]).unwrap();
    let mut check = Startup::new(options).unwrap().check(vec![server.into()]);
    check.next().await.unwrap();
    let event = check.next().await.unwrap();
    assert_eq!(event.notification.status().as_str(), "ready", "{event:?}");
}

/// Variables for the dynamic loader are for the program. With them, the supervisor itself may be unable to start.
#[test]
fn supervisor_starts_if_its_program_has_its_own_libraries() {
    let user = User::new();
    // A library of the supervisor, and not of the shell.
    user.write("libgcc_s.so.1", "not a library");
    let folder = user.path("").to_str().unwrap().to_owned();
    let script = "[ \"$LD_LIBRARY_PATH\" = \"$0\" ] && [ \"$LD_BIND_NOW\" = a=b ] && exit 42";
    let body = format!(
        "command = \"/bin/sh\"\nargs = [\"-c\", {}, {}]\nenv = {{ LD_LIBRARY_PATH = {}, LD_BIND_NOW = \"a=b\" }}",
        quoted(script),
        quoted(&folder),
        quoted(&folder),
    );
    user.write("home/.codex/config.toml", entry("server", &body));
    let finished = user.check("json").finish().assert_exit(1);
    let failure = &finished.server("server")["failure"];
    assert_eq!(failure["evidence"]["process"]["exit"], 42, "{failure:#}");
    assert_eq!(failure["evidence"]["process"]["stderr"], Value::Null);
}

/// A live server that a host drops or closes ends with its daemons.
#[tokio::test]
async fn live_server_ends_with_its_daemons() {
    for closes in [true, false] {
        let user = User::new();
        let mark = Mark::new();
        let program = user.write_script("server", crate::endings::READY);
        let started = user.path("started");
        let script = format!(
            "{}; exec {} {}",
            mark.shell_command(),
            program.display(),
            started.display()
        );
        let server = ServerConfig::stdio("server", "/bin/sh", ["-c", &script]).unwrap();
        let mut options = StartupOptions::default();
        options.supervisor = Some(vec![PROGRAM.into(), "__supervise".into()]);
        let mut start = Startup::new(options).unwrap().start(vec![server.into()]);
        start.next().await.unwrap();
        let (event, live) = start.next().await.unwrap();
        let live = live.unwrap_or_else(|| panic!("{event:?}"));
        assert!(mark.processes().len() >= 2);
        let began = Instant::now();
        match closes {
            true => live.close().await,
            false => drop(live),
        }
        let left = mark.left_after(Duration::from_secs(5));
        assert!(left.is_empty(), "closes: {closes}, {left:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
