//! The launcher and the supervisors themselves: their reports, the files that they share, and that no race leaves a process.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcp_startup::config::{ServerConfig, ServerEntry};
use mcp_startup::supervisor_protocol::END;
use mcp_startup::{LiveServer, Startup, StartupFailure, StartupOptions};
use serde_json::Value;

use crate::harness::configuration::{entry, quoted};
use crate::harness::run::PROGRAM;
use crate::harness::time::eventually;
use crate::harness::user::User;
use crate::launcher::{Launcher, Supervised, children, parent, shell, stat};
use crate::marked::{Mark, send};

#[test]
fn supervisor_reports_how_its_program_ended() {
    // Wait statuses: the exit code in the second byte, or the signal in the first, with 128 if there may be a core file.
    let table = [
        ("exit 0", 0, 0),
        ("exit 3", 3 << 8, 0),
        ("exit 127", 127 << 8, 0),
        ("exit 255", 255 << 8, 0),
        ("kill -TERM $$", 15, 0),
        ("kill -KILL $$", 9, 0),
        ("kill -SEGV $$", 11, 128),
        ("kill -ABRT $$", 6, 128),
        ("kill -USR1 $$", 10, 0),
        ("exec /bin/sh -c 'kill -40 $$'", 40, 0),
    ];
    let launcher = Launcher::start();
    for (script, status, core) in table {
        let reported = launcher.supervise(500, script).wait();
        assert!(
            [status, status | core].contains(&reported),
            "{script}: {reported}"
        );
    }
}

#[test]
fn supervisor_leaves_the_streams_to_the_program_and_keeps_no_copy() {
    let launcher = Launcher::start();
    let script =
        "read -r line; echo \"$line\"; echo error >&2; exec >&- 2>&- <&-; sleep 0.2; exit 4";
    let mut program = launcher.supervise(500, script);
    let mut stdin = program.stdin.take().unwrap();
    stdin.write_all(b"line\n").unwrap();
    let mut output = String::new();
    program.stdout.read_to_string(&mut output).unwrap();
    assert_eq!(output, "line\n");
    output.clear();
    program.stderr.read_to_string(&mut output).unwrap();
    assert_eq!(output, "error\n");
    let closed = eventually("stdin is closed", || (&stdin).write_all(b"line\n").err());
    assert_eq!(closed.kind(), std::io::ErrorKind::BrokenPipe);
    // The output had ended, and the program had not.
    assert_eq!(program.wait(), 4 << 8);
}

/// Without a terminal of its session, a program can't open `/dev/tty`, and so neither writes to it nor waits for an answer there.
#[test]
fn program_is_in_a_session_of_its_supervisor() {
    let launcher = Launcher::start();
    let mut program = launcher.supervise(500, "echo $$; exec cat");
    let (id, supervisor) = ids(&mut program);
    let fields = stat(id).unwrap();
    let (session, terminal) = (&fields[3], &fields[4]);
    assert_eq!((session, terminal.as_str()), (&supervisor.to_string(), "0"));
    drop(program.stdin.take());
    assert_eq!(program.wait(), 0);
}

/// The program and its supervisor.
fn ids(program: &mut Supervised) -> (u32, u32) {
    let program = program.line().parse().unwrap();
    (program, parent(program))
}

/// The open files of a process, by descriptor.
fn files(process: u32) -> Vec<(String, PathBuf)> {
    let all = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let all = all.map(|entry| entry.unwrap().path());
    let file = |path: PathBuf| {
        let descriptor = path.file_name().unwrap().to_str().unwrap().to_owned();
        Some((descriptor, std::fs::read_link(path).ok()?))
    };
    let mut files: Vec<_> = all.filter_map(file).collect();
    files.sort();
    files
}

/// Otherwise the end of one server's input would not reach it as long as another server runs.
#[test]
fn servers_share_no_stream_and_no_socket() {
    let launcher = Launcher::start();
    let mut programs: Vec<_> = (0..3)
        .map(|_| launcher.supervise(500, "echo $$; exec cat"))
        .collect();
    // This process has inherited these files, and so have all others.
    let inherited: HashSet<_> = files(launcher.process.id())
        .into_iter()
        .filter(|(descriptor, _)| descriptor != "0")
        .map(|(_, file)| file)
        .collect();
    let is_private = |file: &PathBuf| {
        let name = file.to_str().unwrap();
        (name.starts_with("pipe:") || name.starts_with("socket:")) && !inherited.contains(file)
    };
    let mut seen = HashSet::new();
    for program in &mut programs {
        let (program, supervisor) = ids(program);
        let of = |process| {
            files(process)
                .into_iter()
                .map(|(_, file)| file)
                .filter(is_private)
        };
        let streams: HashSet<_> = of(program).collect();
        let control: HashSet<_> = of(supervisor).collect();
        assert_eq!(
            (streams.len(), control.len()),
            (3, 1),
            "{streams:?} {control:?}"
        );
        for file in streams.into_iter().chain(control) {
            assert!(seen.insert(file.clone()), "{file:?} is shared");
        }
    }
    let mut launchers = files(launcher.process.id()).into_iter();
    assert!(launchers.all(|(_, file)| !seen.contains(&file)));
    // The end of the input ends each of them, in any order.
    let order = [1, 2, 0];
    let mut programs: Vec<_> = programs.into_iter().map(Some).collect();
    for number in order {
        let mut program = programs[number].take().unwrap();
        drop(program.stdin.take());
        assert_eq!(program.wait(), 0);
    }
}

/// A text in the memory of a process.
fn remembers(process: u32, text: &[u8]) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    maps.lines()
        .filter(|line| line.contains(" rw-p "))
        .any(|line| {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let address = |text| u64::from_str_radix(text, 16).unwrap();
            let length = usize::try_from(address(end) - address(start)).unwrap();
            let mut content = vec![0; length];
            // The kernel does not let any process read some regions.
            let read = memory.read_exact_at(&mut content, address(start)).is_ok();
            read && content.windows(text.len()).any(|window| window == text)
        })
}

#[test]
fn secrets_of_one_server_are_in_no_process_of_another_one() {
    let launcher = Launcher::start();
    // The first has the secret. `cat` does not, because the shell has exited.
    let script = |secret| format!("echo $$; : {secret}; cat");
    let mut with = launcher.supervise(500, &script("secret-of-one-server"));
    let mut without = launcher.supervise(500, &script("something-else"));
    let secret = b"secret-of-one-server";
    let (program, _) = ids(&mut with);
    assert!(remembers(program, secret));
    let (program, supervisor) = ids(&mut without);
    for process in [program, supervisor, launcher.process.id()] {
        assert!(!remembers(process, secret));
    }
}

/// Grace for processes that end in an orderly way. Each signal is sent only once, and not to the helpers of the orderly end.
#[test]
fn processes_get_one_signal_and_the_time_to_end() {
    let launcher = Launcher::start();
    type End = fn(&Supervised, u32);
    let ways: [(&str, End); 5] = [
        ("END", |program, _| program.end()),
        ("TERM", |_, supervisor| send(supervisor, "TERM")),
        ("INT", |_, supervisor| send(supervisor, "INT")),
        ("HUP", |_, supervisor| send(supervisor, "HUP")),
        ("QUIT", |_, supervisor| send(supervisor, "QUIT")),
    ];
    for (way, end) in ways {
        let user = User::new();
        let log = user.path("log");
        let mark = Mark::new();
        let script = format!(
            "{0}; exec 2>/dev/null; trap 'echo term >>{1}; sleep 0.5; echo done >>{1}; exit 7' TERM; echo $$; while :; do sleep 0.05; done",
            mark.shell_command(),
            log.display()
        );
        let mut program = launcher.supervise(5000, &script);
        let (_, supervisor) = ids(&mut program);
        let read = || std::fs::read_to_string(&log).ok();
        end(&program, supervisor);
        eventually("the signal has arrived", || {
            read().filter(|log| log.contains("term"))
        });
        end(&program, supervisor);
        assert_eq!(program.wait(), 7 << 8, "{way}");
        assert_eq!(read().unwrap(), "term\ndone\n", "{way}");
        assert_eq!(mark.processes(), []);
    }
}

#[test]
fn signals_other_than_those_that_end_it_do_not_end_the_supervisor() {
    let launcher = Launcher::start();
    let script = "kill -USR1 $PPID; kill -USR2 $PPID; kill -CHLD $PPID; exit 5";
    assert_eq!(launcher.supervise(500, script).wait(), 5 << 8);
}

/// The program must be able to get the signals that its supervisor blocks and handles.
#[test]
fn program_inherits_no_blocked_and_no_ignored_signal() {
    let launcher = Launcher::start();
    let mut program = launcher.supervise(500, "exec cat /proc/self/status");
    let mut status = String::new();
    program.stdout.read_to_string(&mut status).unwrap();
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let signals = |status: &str, name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    const SIGPIPE: u64 = 1 << 12;
    // The others are the C library's.
    const STANDARD: u64 = (1 << 31) - 1;
    for (name, but) in [("SigBlk:", 0), ("SigIgn:", SIGPIPE)] {
        // Rust programs ignore SIGPIPE, and do not pass that on.
        let expected = signals(&own, name) & STANDARD & !but;
        assert_eq!(signals(&status, name) & STANDARD, expected, "{name}");
    }
}

/// Orphans become children of the supervisor. They must not stay zombies while the program runs.
#[test]
fn orphans_are_reaped_while_the_program_runs() {
    let launcher = Launcher::start();
    let script = "for i in 1 2 3 4 5 6 7 8; do (sh -c : &); done; echo $$; read -r line";
    let mut program = launcher.supervise(500, script);
    let (id, supervisor) = ids(&mut program);
    eventually("only the program is left", || {
        (children(supervisor) == [id]).then_some(())
    });
}

#[test]
fn supervisors_are_reaped_while_the_launcher_runs() {
    let launcher = Launcher::start();
    for _ in 0..8 {
        assert_eq!(launcher.supervise(500, "exit 0").wait(), 0);
    }
    eventually("no supervisor is left", || {
        children(launcher.process.id()).is_empty().then_some(())
    });
}

#[test]
fn supervisors_do_not_need_the_launcher() {
    type End = fn(&mut Launcher);
    let ways: [(&str, End); 4] = [
        ("closed", Launcher::close),
        ("KILL", |launcher| send(launcher.process.id(), "KILL")),
        ("TERM", |launcher| send(launcher.process.id(), "TERM")),
        ("INT", |launcher| send(launcher.process.id(), "INT")),
    ];
    for (way, end) in ways {
        let mut launcher = Launcher::start();
        let mark = Mark::new();
        let daemon = "setsid sh -c 'sleep 1000' </dev/null >/dev/null 2>&1 &";
        let script = format!("{}; {daemon} echo $$; cat; exit 6", mark.shell_command());
        let mut program = launcher.supervise(500, &script);
        ids(&mut program);
        end(&mut launcher);
        launcher.process.wait().unwrap();
        program
            .stdin
            .as_ref()
            .unwrap()
            .write_all(b"still there\n")
            .unwrap();
        assert_eq!(program.line(), "still there", "{way}");
        drop(program.stdin.take());
        assert_eq!(program.wait(), 6 << 8, "{way}");
        assert_eq!(mark.left_after(Duration::from_secs(5)), [], "{way}");
    }
}

/// Closes a socket also for processes that other tests fork at this moment.
fn close(socket: UnixStream) {
    socket.shutdown(Shutdown::Both).unwrap();
}

/// The process that requests a program may be killed at any moment.
#[test]
fn program_is_not_started_if_its_request_was_withdrawn_before() {
    let user = User::new();
    let started = user.path("started");
    let request = shell(500, &format!(">{}", started.display()));
    let request = request.encode().unwrap();
    let with_end = [&request[..], &[END]].concat();
    let table: [(&str, &[u8]); 5] = [
        ("before the request", &[]),
        ("within its length", &request[..2]),
        ("within the request", &request[..request.len() - 1]),
        ("after the request", &request),
        ("after the request to end", &with_end),
    ];
    let launcher = Launcher::start();
    for (moment, message) in table {
        send(launcher.process.id(), "STOP");
        let mut control = launcher.request();
        control.write_all(message).unwrap();
        close(control);
        send(launcher.process.id(), "CONT");
        // A later request is fulfilled, and all supervisors have ended.
        assert_eq!(launcher.supervise(500, "exit 0").wait(), 0);
        eventually("no supervisor is left", || {
            children(launcher.process.id()).is_empty().then_some(())
        });
        assert!(!started.exists(), "{moment}");
    }
    // The same request starts the program if it is not withdrawn.
    let mut control = launcher.request();
    control.write_all(&request).unwrap();
    eventually("the program has started", || started.exists().then_some(()));
}

/// A program that has started meanwhile ends within the grace for a closed input.
#[test]
fn nothing_is_left_if_the_control_socket_closes_at_any_moment() {
    let launcher = Launcher::start();
    for moment in 0..40 {
        let mark = Mark::new();
        let daemon =
            "setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &";
        let script = format!("{}; {daemon} exec sleep 1000", mark.shell_command());
        let mut control = launcher.request();
        let request = shell(100, &script).encode().unwrap();
        control.write_all(&request).unwrap();
        if moment % 2 == 0 {
            control.write_all(&[END]).unwrap();
        }
        std::thread::sleep(Duration::from_micros(moment * 100));
        close(control);
        // The launcher has received the request.
        assert_eq!(launcher.supervise(500, "exit 0").wait(), 0);
        eventually("the supervisor has ended", || {
            children(launcher.process.id()).is_empty().then_some(())
        });
        let left = mark.processes();
        let launcher = stat(launcher.process.id());
        assert!(left.is_empty(), "{moment}: {left:?}, {launcher:?}");
    }
}

#[test]
fn launcher_without_a_socket_or_with_arguments_is_a_usage_error() {
    let table: [&[&str]; 3] = [&[], &["--grace-ms", "500"], &["/bin/true"]];
    for arguments in table {
        let mut command = Command::new(PROGRAM);
        command
            .arg("__supervise")
            .args(arguments)
            .stdin(Stdio::null());
        let run = command.output().unwrap();
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
            "a program that kills itself",
            executable("kills", b"#!/bin/sh\nread -r line\nkill -KILL $$\n"),
            "",
        ),
        (
            "a program that gets a real-time signal",
            executable("signal", b"#!/bin/sh\nread -r line\nkill -40 $$\n"),
            "",
        ),
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

/// A launcher that does not do its work, for example because it is another program, is no reason either.
#[tokio::test]
async fn server_starts_without_a_supervisor_if_the_launcher_ends() {
    for command in ["/bin/true", "/bin/false"] {
        let server =
            ServerConfig::stdio("server", PROGRAM, ["lab", "--stdio", "stdio-ready"]).unwrap();
        let mut options = StartupOptions::default();
        options.supervisor = Some(vec![command.into()]);
        let mut check = Startup::new(options).unwrap().check(vec![server.into()]);
        check.next().await.unwrap();
        let event = check.next().await.unwrap();
        assert_eq!(event.notification.status().as_str(), "ready", "{event:?}");
    }
}

fn supervised() -> Startup {
    let mut options = StartupOptions::default();
    options.supervisor = Some(vec![PROGRAM.into(), "__supervise".into()]);
    Startup::new(options).unwrap()
}

/// A live server that writes its process ID to the file `started` and has a daemon.
async fn live(startup: &Startup, user: &User, mark: &Mark) -> (LiveServer, u32) {
    let started = user.path("started");
    let program = user.write_script("server", crate::endings::READY);
    let script = format!(
        "{}; echo $$ >{}; exec {} {}",
        mark.shell_command(),
        user.path("id").display(),
        program.display(),
        started.display()
    );
    let server = ServerConfig::stdio("server", "/bin/sh", ["-c", &script]).unwrap();
    let mut start = startup.start(vec![server.into()]);
    start.next().await.unwrap();
    let (event, live) = start.next().await.unwrap();
    let id = std::fs::read_to_string(user.path("id")).unwrap();
    let live = live.unwrap_or_else(|| panic!("{event:?}"));
    (live, id.trim().parse().unwrap())
}

#[tokio::test]
async fn launcher_that_was_killed_is_replaced() {
    let startup = supervised();
    let (users, marks) = ([User::new(), User::new()], [Mark::new(), Mark::new()]);
    let (first, id) = live(&startup, &users[0], &marks[0]).await;
    let launcher = parent(parent(id));
    send(launcher, "KILL");
    eventually("the launcher has ended", || match stat(launcher) {
        Some(fields) if fields[0] != "Z" => None,
        _ => Some(()),
    });
    let (second, id) = live(&startup, &users[1], &marks[1]).await;
    assert_ne!(parent(parent(id)), launcher);
    drop((first, second));
    for mark in marks {
        assert_eq!(mark.left_after(Duration::from_secs(5)), []);
    }
}

/// Its server continues, and ends at the end of its input.
#[tokio::test]
async fn server_whose_supervisor_was_killed_goes_on() {
    let user = User::new();
    let mark = Mark::new();
    let script = format!(
        "{}; echo $$ >{}; exec {PROGRAM} lab --stdio stdio-ready",
        mark.shell_command(),
        user.path("id").display()
    );
    let server = ServerConfig::stdio("server", "/bin/sh", ["-c", &script]).unwrap();
    let mut start = supervised().start(vec![server.into()]);
    start.next().await.unwrap();
    let (event, live) = start.next().await.unwrap();
    let live = live.unwrap_or_else(|| panic!("{event:?}"));
    let id = std::fs::read_to_string(user.path("id")).unwrap();
    let supervisor = parent(id.trim().parse().unwrap());
    send(supervisor, "KILL");
    eventually("the supervisor has ended", || {
        stat(supervisor).is_none().then_some(())
    });
    live.peer().list_all_tools().await.unwrap();
    live.close().await;
    assert_eq!(mark.left_after(Duration::from_secs(5)), []);
}

/// A host may have several runtimes, one after the other.
#[test]
fn launcher_outlives_the_runtime_in_which_it_was_started() {
    let startup = supervised();
    let mut launchers = Vec::new();
    for _ in 0..2 {
        let (user, mark) = (User::new(), Mark::new());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (live, id) = runtime.block_on(live(&startup, &user, &mark));
        launchers.push(parent(parent(id)));
        drop(runtime);
        drop(live);
        assert_eq!(mark.left_after(Duration::from_secs(5)), []);
    }
    assert_eq!(launchers[0], launchers[1]);
}

#[test]
fn sixty_servers_start_at_once_and_nothing_is_left() {
    let user = User::new();
    let mark = Mark::new();
    let daemon = "setsid sleep 1000 </dev/null >/dev/null 2>&1 &";
    let script = format!("{daemon} exec \"$0\" lab --stdio stdio-ready");
    let body = format!(
        "command = \"/bin/sh\"\nargs = [\"-c\", {}, {}]\n{}",
        quoted(&script),
        quoted(PROGRAM),
        mark.setting()
    );
    let config: String = (0..60)
        .map(|number| entry(&format!("server-{number}"), &body))
        .collect();
    user.write("home/.codex/config.toml", config);
    let limited = ["/bin/sh", "-c", "ulimit -n 1024; exec \"$0\" \"$@\""];
    let finished = user.check("json").through(&limited).finish().assert_exit(0);
    for number in 0..60 {
        let server = finished.server(&format!("server-{number}"));
        assert_eq!(server["status"], "ready", "{server:#}");
    }
    assert_eq!(mark.left_after(Duration::from_secs(5)), []);
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
