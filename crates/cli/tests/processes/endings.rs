//! Every way in which a check ends, and every way in which a server does not: no process is left.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::harness::cases::for_each_case;
use crate::harness::configuration::{entry, quoted};
use crate::harness::run::Running;
use crate::harness::time::eventually;
use crate::harness::user::User;
use crate::marked::Mark;

/// How long processes may exist after the program has exited.
const LIMIT: Duration = Duration::from_secs(15);

/// Shell scripts. `$1` is the file to create when everything has started. None writes to stdout, because the start would fail before.
const SERVERS: [(&str, &str); 11] = [
    (
        "exits at the end of its input",
        ">\"$1\"; while read -r line; do :; done",
    ),
    (
        "ignores signals",
        "trap '' TERM INT HUP; >\"$1\"; while :; do sleep 1; done",
    ),
    ("stops itself", ">\"$1\"; kill -STOP $$; cat >/dev/null"),
    (
        "stops its supervisor",
        "kill -STOP $PPID; >\"$1\"; trap '' TERM; while :; do sleep 1; done",
    ),
    (
        "has a child that ignores signals",
        "sh -c 'trap \"\" TERM INT HUP; >\"$1\"; while :; do sleep 1; done' sh \"$1\" & cat >/dev/null",
    ),
    (
        "has a daemon in another session",
        "setsid sh -c '>\"$1\"; sleep 1000' sh \"$1\" </dev/null >/dev/null 2>&1 & cat >/dev/null",
    ),
    (
        "has a daemon that ignores signals",
        "setsid sh -c 'trap \"\" TERM HUP; >\"$1\"; while :; do sleep 1; done' sh \"$1\" </dev/null >/dev/null 2>&1 & cat >/dev/null",
    ),
    (
        "has a daemon after two forks",
        "setsid sh -c '(trap \"\" TERM HUP; >\"$1\"; while :; do sleep 1; done) &' sh \"$1\" </dev/null >/dev/null 2>&1; cat >/dev/null",
    ),
    (
        "has a daemon that holds the output open",
        "setsid sh -c 'trap \"\" TERM HUP; >\"$1\"; while :; do sleep 1; done' sh \"$1\" & exec sleep 1000",
    ),
    (
        "exits and leaves a daemon",
        "setsid sh -c 'trap \"\" TERM HUP; >\"$1\"; while :; do sleep 1; done' sh \"$1\" & until [ -e \"$1\" ]; do sleep 0.01; done; exit 3",
    ),
    (
        // Each of these processes ends too soon to be always found in /proc, so it leaves a trace.
        "has a process that starts itself again and exits",
        "printf 'echo >>\"$0.trace\"; sleep 0.01; sh \"$0\" &\\n' >\"$1.again\"; setsid sh \"$1.again\" </dev/null >/dev/null 2>&1 & >\"$1\"; cat >/dev/null",
    ),
];

/// Answers `initialize`, ignores signals, and has a daemon.
pub const READY: &str = r#"trap '' TERM INT HUP
setsid sh -c 'while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &
>"$1"
read -r line
id=${line##*'"id":'}
id=${id%%[,\}]*}
printf '%s%s%s\n' '{"jsonrpc":"2.0","id":' "$id" ',"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"stays","version":"1"}}}'
while :; do sleep 1; done
"#;

#[derive(Clone, Copy, Debug)]
enum Ending {
    /// The starts end by themselves.
    TimeOut,
    /// The program gets a signal when all servers have started.
    Signal(&'static str),
    /// It gets the signal again at once.
    Twice(&'static str),
    ClosedStdout,
}

const ENDINGS: [Ending; 9] = [
    Ending::TimeOut,
    Ending::Signal("INT"),
    Ending::Signal("TERM"),
    Ending::Signal("HUP"),
    Ending::Signal("QUIT"),
    Ending::Signal("KILL"),
    Ending::Twice("INT"),
    Ending::Twice("TERM"),
    Ending::ClosedStdout,
];

/// A check whose servers are marked one by one.
struct Check {
    user: User,
    servers: Vec<(&'static str, Mark, PathBuf)>,
}

impl Check {
    fn of(scripts: &[(&'static str, &'static str)], seconds: u32) -> Self {
        let user = User::new();
        let mut config = String::new();
        let servers = scripts.iter().enumerate().map(|(number, (name, script))| {
            let mark = Mark::new();
            let started = user.path(&format!("temporary/started-{number}"));
            let path = quoted(started.to_str().unwrap());
            config += &entry(
                &number.to_string(),
                &format!(
                    "command = \"/bin/sh\"\nargs = [\"-c\", {}, \"sh\", {path}]\n{}\nstartup_timeout_sec = {seconds}",
                    quoted(script),
                    mark.setting(),
                ),
            );
            (*name, mark, started)
        });
        let servers = servers.collect();
        user.write("home/.codex/config.toml", config);
        Self { user, servers }
    }

    /// Starts the program, and waits until all servers have started.
    fn start(&self) -> Running {
        let running = self.user.check("ndjson").spawn();
        for (name, _, started) in &self.servers {
            eventually(name, || started.exists().then_some(()));
        }
        running
    }

    /// The lengths of the traces.
    fn traces(&self) -> Vec<u64> {
        let paths = self.servers.iter().map(|(_, _, started)| {
            let name = started.file_name().unwrap().to_str().unwrap();
            started.with_file_name(format!("{name}.again.trace"))
        });
        paths
            .filter_map(|path| Some(path.metadata().ok()?.len()))
            .collect()
    }

    fn assert_gone(&self, ending: Ending) {
        let began = Instant::now();
        let left: Vec<_> = self
            .servers
            .iter()
            .map(|(name, mark, _)| (name, mark.left_after(LIMIT.saturating_sub(began.elapsed()))))
            .filter(|(_, left)| !left.is_empty())
            .collect();
        assert!(left.is_empty(), "left after {ending:?}: {left:#?}");
        let before = self.traces();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(
            self.traces(),
            before,
            "something still runs after {ending:?}"
        );
    }
}

#[test]
fn no_process_is_left_after_any_ending() {
    let servers = [SERVERS.as_slice(), &[("is ready and stays", READY)]].concat();
    for_each_case(&ENDINGS, |ending| {
        let seconds = match ending {
            Ending::TimeOut => 5,
            _ => 600,
        };
        let check = Check::of(&servers, seconds);
        let mut running = check.start();
        match ending {
            Ending::TimeOut => {}
            Ending::Signal(signal) => running.signal(signal),
            Ending::Twice(signal) => {
                running.signal(signal);
                running.signal(signal);
            }
            Ending::ClosedStdout => drop(running.child.stdout.take()),
        }
        let status = running.child.wait().unwrap();
        let expected = match ending {
            Ending::TimeOut => (Some(1), None),
            Ending::Signal("KILL") => (None, Some(9)),
            Ending::Signal("QUIT") => (None, Some(3)),
            Ending::Signal(_) | Ending::Twice(_) => (Some(130), None),
            Ending::ClosedStdout => (Some(141), None),
        };
        assert_eq!((status.code(), status.signal()), expected, "{ending:?}");
        check.assert_gone(*ending);
    });
}

/// Stops the launcher and its own supervisor, which would otherwise end it.
const STOPS: &str = r#"trap '' TERM INT HUP
read -r _ _ _ launcher _ </proc/$PPID/stat
kill -STOP $launcher $PPID
>"$1"
while :; do sleep 1; done
"#;

/// Does so again and again, in two sessions.
const KEEPS_STOPPING: &str = r#"trap '' TERM INT HUP
read -r _ _ _ launcher _ </proc/$PPID/stat
stop='while :; do kill -STOP "$@" 2>/dev/null; done'
setsid sh -c "$stop" sh $launcher $PPID </dev/null >/dev/null 2>&1 &
kill -STOP $launcher $PPID
>"$1"
set -- $launcher $PPID
eval "$stop"
"#;

/// A SIGKILL of the program is missing here: see SECURITY.md.
#[test]
fn server_that_stops_the_processes_that_would_end_it_is_ended() {
    let endings = [
        Ending::TimeOut,
        Ending::Signal("INT"),
        Ending::Signal("TERM"),
        Ending::Signal("HUP"),
    ];
    let end = |server, ending: &Ending| {
        let seconds = match ending {
            Ending::TimeOut => 5,
            _ => 600,
        };
        let check = Check::of(&[server], seconds);
        let mut running = check.start();
        if let Ending::Signal(signal) = ending {
            running.signal(signal);
        }
        running.child.wait().unwrap();
        check.assert_gone(*ending);
    };
    for_each_case(&endings, |ending| end(("stops them once", STOPS), ending));
    // Each has two processes that use all the time of a processor.
    endings
        .iter()
        .for_each(|ending| end(("keeps stopping them", KEEPS_STOPPING), ending));
}

/// The launcher starts the programs of all servers.
#[test]
fn server_that_stops_the_launcher_delays_other_servers_only_shortly() {
    for script in [STOPS, KEEPS_STOPPING] {
        let check = Check::of(&[("stops", script)], 5);
        let config = check.user.path("home/.codex/config.toml");
        let mut text = std::fs::read_to_string(&config).unwrap();
        let program = check.user.write_script("server", READY);
        let marks = [(); 3].map(|()| Mark::new());
        for (number, mark) in marks.iter().enumerate() {
            let started = check.user.path(&format!("temporary/ready-{number}"));
            text += &entry(
                &format!("good-{number}"),
                &format!(
                    "command = {}\nargs = [{}]\n{}",
                    quoted(program.to_str().unwrap()),
                    quoted(started.to_str().unwrap()),
                    mark.setting(),
                ),
            );
        }
        std::fs::write(config, text).unwrap();
        let run = check.user.check("json").arg("--concurrency").arg("1");
        let finished = run.finish().assert_exit(1);
        for number in 0..marks.len() {
            let server = finished.server(&format!("good-{number}"));
            assert_eq!(server["status"], "ready", "{server:#}");
        }
        for mark in marks {
            assert_eq!(mark.left_after(LIMIT), []);
        }
        check.assert_gone(Ending::TimeOut);
    }
}

/// The pipe of stdout is full, so the program waits for its reader.
#[test]
fn signal_ends_a_check_whose_output_is_not_read() {
    for signal in ["TERM", "INT"] {
        let check = Check::of(&[SERVERS[1]], 600);
        let config = check.user.path("home/.codex/config.toml");
        let mut text = std::fs::read_to_string(&config).unwrap();
        for number in 0..400 {
            text += &entry(&format!("missing-{number}"), "command = \"/nonexistent\"");
        }
        std::fs::write(config, text).unwrap();
        let mut running = check.start();
        // How many bytes fit depends on how the program divides its output into writes, so the test polls the end of the pipe.
        let stdout = format!("/proc/{}/fd/1", running.child.id());
        let stdout = File::options().write(true).open(stdout).unwrap();
        eventually("the pipe is full", || {
            let mut pipe = [PollFd::new(&stdout, PollFlags::OUT)];
            let writable = poll(&mut pipe, Some(&Timespec::default())).unwrap();
            (writable == 0).then_some(())
        });
        drop(stdout);
        running.signal(signal);
        let status = running.child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{signal}");
        check.assert_gone(Ending::Signal(signal));
    }
}

#[test]
fn server_that_ignores_signals_ends_soon_after_the_program_was_killed() {
    const SOON: Duration = Duration::from_secs(3);
    // Other work on the machine may delay a single try.
    const TRIES: usize = 3;
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let check = Check::of(&[SERVERS[1]], 600);
        let mut running = check.start();
        let began = Instant::now();
        running.signal("KILL");
        check.assert_gone(Ending::Signal("KILL"));
        times.push(began.elapsed());
        running.child.wait().unwrap();
        if times.last() < Some(&SOON) {
            return;
        }
    }
    panic!("the server ends after {times:.2?}");
}

/// A package runner that needs a second to end, for example to remove a half-installed package, is not killed meanwhile.
#[test]
fn package_runner_has_time_to_end() {
    // A shell reports on stderr that its child was killed. After a SIGKILL of the program, that pipe is closed.
    let script = "exec 2>/dev/null; trap 'sleep 1; >\"$1.done\"; exit' TERM; >\"$1\"; while :; do sleep 0.05; done";
    let endings = [
        Ending::TimeOut,
        Ending::Signal("INT"),
        Ending::Signal("TERM"),
        Ending::Signal("KILL"),
        Ending::Twice("INT"),
    ];
    let cases: Vec<_> = endings
        .iter()
        .flat_map(|ending| {
            [("npx", true), ("uvx", true), ("server", false)].map(|it| (*ending, it))
        })
        .collect();
    for_each_case(&cases, |(ending, (name, has_time))| {
        let user = User::new();
        let mark = Mark::new();
        let program = user.write_script(name, script);
        let started = user.path("temporary/started");
        let seconds = match ending {
            Ending::TimeOut => 5,
            _ => 600,
        };
        let entry = entry(
            "server",
            &format!(
                "command = {}\nargs = [{}]\n{}\nstartup_timeout_sec = {seconds}",
                quoted(program.to_str().unwrap()),
                quoted(started.to_str().unwrap()),
                mark.setting(),
            ),
        );
        user.write("home/.codex/config.toml", entry);
        let mut running = user.check("ndjson").spawn();
        eventually("the server has started", || started.exists().then_some(()));
        match ending {
            Ending::TimeOut | Ending::ClosedStdout => {}
            Ending::Signal(signal) => running.signal(signal),
            Ending::Twice(signal) => {
                running.signal(signal);
                running.signal(signal);
            }
        }
        running.child.wait().unwrap();
        let left = mark.left_after(LIMIT);
        assert!(left.is_empty(), "{name} {ending:?}: {left:?}");
        let is_done = started.with_extension("done").exists();
        assert_eq!(is_done, *has_time, "{name} {ending:?}");
    });
}
