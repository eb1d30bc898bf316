//! The program with real MCP servers, with programs that do not exit, and with users who interrupt it.
//!
//! `tests/e2e/README.md` describes how the real servers are installed. Without them, the tests that need them are skipped.

// Most of the servers are Python programs, and the tests find processes with `ps` and signals.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests may panic and print"
)]

mod peers;
mod processes;
mod user;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mcp_startup_lab::{Lab, RecordedRequest};
use serde_json::{Value, json};

use peers::{Era, Installed, Kit, Peer, Transport, sources};
use processes::{lives, members, soon};
use user::{Finished, Hanging, Reading, User, text_of};

/// A timeout that no test reaches: a server that hangs does so until it is killed.
const NO_LIMIT: &str = "startup_timeout_sec = 600";
/// How long the program may take to exit after a signal.
const EXIT_LIMIT: Duration = Duration::from_secs(20);

fn start_lab() -> Lab {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(Lab::start(0)).unwrap()
}

// --- Every real server becomes ready ---------------------------------------------------------------------------------

/// Defines a test for each server.
macro_rules! ready {
    ($($name:ident: $kit:expr, $transport:ident, $era:ident, $tools:literal;)*) => {
        mod ready {
            use super::*;
            $(
                #[test]
                fn $name() {
                    let peer = Peer { kit: $kit, transport: Transport::$transport, era: Era::$era, tools: $tools };
                    assert_ready(concat!("ready::", stringify!($name)), peer);
                }
            )*
        }
    };
}

ready! {
    everything_stdio: Kit::Everything, Stdio, Legacy, 13;
    everything_http: Kit::Everything, Http, Legacy, 13;
    python_stdio_dual: Kit::Python, Stdio, Dual, 3;
    python_stdio_legacy: Kit::Python, Stdio, Legacy, 3;
    python_stdio_modern: Kit::Python, Stdio, Modern, 3;
    python_http_dual: Kit::Python, Http, Dual, 3;
    python_http_legacy: Kit::Python, Http, Legacy, 3;
    python_http_modern: Kit::Python, Http, Modern, 3;
    typescript_stdio_dual: Kit::TypeScript, Stdio, Dual, 2;
    typescript_stdio_modern: Kit::TypeScript, Stdio, Modern, 2;
    typescript_http_dual: Kit::TypeScript, Http, Dual, 2;
    typescript_http_modern: Kit::TypeScript, Http, Modern, 2;
    silent_at_unknown: Kit::Small("silent_at_unknown.py"), Stdio, Legacy, 1;
    exits_at_unknown: Kit::Small("exits_at_unknown.py"), Stdio, Legacy, 1;
}

/// Asserts that the server becomes ready with its tools, at most one second later than it responds to a bare request.
fn assert_ready(test: &str, peer: Peer) {
    const OVERHEAD: Duration = Duration::from_secs(1);
    // Other work on the machine may delay a single start. A client that waits for no reason is slow every time.
    const TRIES: usize = 3;
    let Some(installed) = Installed::find(test, &[peer.kit]) else {
        return;
    };
    let server = installed.prepare(peer);
    let mut user = User::new();
    server.configure(&mut user, &peer.to_string(), NO_LIMIT);
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let own = server.own_time(peer.era);
        let finished = user.check("json");
        let report = finished.report();
        let ready = &report["servers"][0];
        let actual = json!([
            ready["name"],
            ready["status"],
            ready["tools"],
            ready["failure"]
        ]);
        let expected = json!([peer.to_string(), "ready", peer.tools, null]);
        assert_eq!(actual, expected, "{finished:#?}");
        assert_eq!(finished.status, Some(0), "{finished:#?}");
        assert_eq!(finished.stderr, "");
        let elapsed = Duration::from_millis(ready["elapsedMs"].as_u64().unwrap());
        times.push((own, elapsed));
        if elapsed <= own + OVERHEAD {
            eprintln!("{peer}: bare {own:.2?}, through the program {elapsed:.2?}");
            return;
        }
    }
    panic!("{peer} takes too long (bare, through the program): {times:.2?}");
}

/// The program cannot write while its output is not read. It must process the responses of servers anyway.
#[test]
fn number_of_tools_is_shown_even_if_the_output_is_read_slowly() {
    // The lines of this many servers do not fit into a pipe.
    const FAILING: usize = 400;
    let lab = start_lab();
    let mut user = User::new();
    let program = ["no-such-program-anywhere".to_owned()];
    for number in 0..FAILING {
        let name = format!("{number}-{}", "\u{1f980}".repeat(40));
        user.program(&name, &program, "");
    }
    user.url("ready", &lab.url("ready"), NO_LIMIT);
    let concurrency = (FAILING + 1).to_string();
    let arguments = ["--format", "table", "--concurrency", &concurrency];
    let mut running = user.start_check(&arguments, Reading::Later);
    // The session is closed after the tools were listed.
    let closes = |request: &RecordedRequest| request.method == "DELETE";
    let closed = || lab.requests("ready").iter().any(closes);
    assert!(soon(processes::DEADLINE, closed));
    running.read_on();
    let finished = running.finish();
    let mut lines = finished.stdout.lines();
    let ready = lines.find(|line| line.contains(" ready  "));
    assert!(ready.unwrap().ends_with("3 tools"), "{ready:?}");
    assert_eq!((finished.status, &*finished.stderr), (Some(1), ""));
}

// --- Programs that exit, and programs that do not ---------------------------------------------------------------------

#[test]
fn exit_code_and_error_of_a_program_that_exits_are_reported() {
    let mut user = User::new();
    let script = sources().join("stdio/exits_3.sh");
    user.program("exits", &[text_of(&script).to_owned()], "");
    let finished = user.check("json");
    let report = finished.report();
    let failed = &report["servers"][0];
    let actual = json!([
        failed["status"],
        failed["failureReason"],
        failed["failure"]["kind"],
        failed["failure"]["evidence"]["process"]["exit"],
        failed["failure"]["evidence"]["process"]["stderr"],
    ]);
    let why = "cannot open the database: no such file";
    assert_eq!(
        actual,
        json!(["failed", null, "exited", 3, why]),
        "{report:#}"
    );
    assert_eq!((finished.status, &*finished.stderr), (Some(1), ""));
}

#[test]
fn child_process_that_a_server_leaves_behind_is_ended() {
    let test = "child_process_that_a_server_leaves_behind_is_ended";
    let file = "leaves_child.py";
    let Some(installed) = Installed::find(test, &[Kit::Small(file)]) else {
        return;
    };
    let mut user = User::new();
    let pid_file = user.folder().join("child.pid");
    let script = sources().join("stdio").join(file);
    let command = [installed.python(), script].map(|path| text_of(&path).to_owned());
    let env = format!("env = {{ MCP_STARTUP_E2E_CHILD_PID = {pid_file:?} }}");
    user.program("leaves-child", &command, &env);
    let finished = user.check("json");
    let ready = &finished.report()["servers"][0];
    assert_eq!(
        json!([ready["status"], ready["tools"]]),
        json!(["ready", 1]),
        "{finished:#?}"
    );
    let child = std::fs::read_to_string(&pid_file).unwrap();
    let child = child.trim().parse().unwrap();
    assert!(
        soon(Duration::from_secs(5), || !lives(child)),
        "the child still runs"
    );
}

#[test]
fn server_that_ignores_signals_is_ended() {
    let mut user = User::new();
    let files = [
        user.hanging("ready", Hanging::AnswersAndNeverEnds, NO_LIMIT),
        user.hanging("hangs", Hanging::NeverEnds, "startup_timeout_sec = 1"),
    ];
    let finished = user.check("json");
    let servers = &finished.report()["servers"];
    let actual = json!([servers[0]["status"], servers[1]["failure"]["kind"]]);
    assert_eq!(actual, json!(["ready", "timedOut"]), "{finished:#?}");
    assert_eq!((finished.status, &*finished.stderr), (Some(1), ""));
    for file in files {
        assert_group_ended(file.wait());
    }
}

/// Asserts that no process of this group is left.
fn assert_group_ended(group: u32) {
    let gone = soon(Duration::from_secs(5), || members(group).is_empty());
    assert!(
        gone,
        "processes of group {group} are left: {:?}",
        members(group)
    );
}

// --- The notifications on stdout --------------------------------------------------------------------------------------

/// For each server, its states in order and its last failure reason.
type Notifications = BTreeMap<String, (Vec<String>, Value)>;

/// Reads the output of `--format ndjson`. Asserts that it contains only notifications.
fn notifications(finished: &Finished) -> Notifications {
    let mut notifications = Notifications::new();
    for line in finished.stdout.split_inclusive('\n') {
        assert!(line.ends_with('\n'), "{line:?}");
        let message: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
        let keys = |value: &Value| {
            let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys.join(" ")
        };
        assert_eq!(keys(&message), "method params");
        assert_eq!(message["method"], "mcpServer/startupStatus/updated");
        let params = &message["params"];
        assert_eq!(keys(params), "error failureReason name status threadId");
        assert_eq!(
            params["status"] == "failed",
            params["error"].is_string(),
            "{line}"
        );
        let name = params["name"].as_str().unwrap().to_owned();
        let entry = notifications.entry(name).or_default();
        entry.0.push(params["status"].as_str().unwrap().to_owned());
        entry.1 = params["failureReason"].clone();
    }
    notifications
}

/// The notifications of a server that goes from `starting` to one final state.
fn expected(name: &str, state: &str, reason: Option<&str>) -> (String, (Vec<String>, Value)) {
    let states = vec!["starting".to_owned(), state.to_owned()];
    (name.to_owned(), (states, json!(reason)))
}

const REAUTHENTICATE: &str = "reauthenticationRequired";

/// Checks servers of the lab, two programs, and further servers that must become ready.
fn assert_notifications(configure_others: impl FnOnce(&mut User) -> Vec<String>) {
    const ROWS: [(&str, &str, Option<&str>); 6] = [
        ("ready", "ready", None),
        ("first-sign-in", "failed", None),
        ("expired-no-refresh", "failed", Some(REAUTHENTICATE)),
        ("expired-but-served", "ready", None),
        ("hangs", "failed", None),
        ("stdio-exits-3", "failed", None),
    ];
    let lab = start_lab();
    let mut user = User::new();
    let mut all = Notifications::new();
    for (name, state, reason) in ROWS {
        let row = lab.scenarios().iter().find(|row| row.name == name);
        user.scenario(&lab, row.unwrap());
        all.extend([expected(name, state, reason)]);
    }
    user.program("missing", &["no-such-program-anywhere".to_owned()], "");
    let script = sources().join("stdio/exits_3.sh");
    user.program("exits-3", &[text_of(&script).to_owned()], "");
    all.extend(["missing", "exits-3"].map(|name| expected(name, "failed", None)));
    let others = configure_others(&mut user);
    all.extend(others.iter().map(|name| expected(name, "ready", None)));

    let finished = user.check("ndjson");
    assert_eq!(notifications(&finished), all, "{finished:#?}");
    assert_eq!((finished.status, &*finished.stderr), (Some(3), ""));
    for row in lab.scenarios().iter().filter(|row| row.mcp.is_some()) {
        if all.contains_key(&row.name)
            && let Some(tokens) = &row.expect.tokens_sent
        {
            assert_eq!(&lab.tokens_sent(&row.name), tokens, "{}", row.name);
        }
    }
}

#[test]
fn every_server_is_notified_as_starting_and_then_in_its_final_state() {
    assert_notifications(|_| Vec::new());
}

#[test]
fn every_server_is_notified_in_a_configuration_with_real_servers() {
    let test = "every_server_is_notified_in_a_configuration_with_real_servers";
    let rows = [
        (Kit::Everything, Transport::Stdio, Era::Legacy),
        (Kit::TypeScript, Transport::Http, Era::Dual),
        (Kit::Python, Transport::Http, Era::Modern),
        (
            Kit::Small("silent_at_unknown.py"),
            Transport::Stdio,
            Era::Legacy,
        ),
    ];
    let Some(installed) = Installed::find(test, &rows.map(|(kit, ..)| kit)) else {
        return;
    };
    let servers = rows.map(|(kit, transport, era)| {
        let tools = 0;
        let peer = Peer {
            kit,
            transport,
            era,
            tools,
        };
        (peer.to_string(), installed.prepare(peer))
    });
    assert_notifications(|user| {
        let configure = servers.iter().map(|(name, server)| {
            server.configure(user, name, NO_LIMIT);
            name.clone()
        });
        configure.collect()
    });
}

// --- Interruption -----------------------------------------------------------------------------------------------------

/// A user whose servers hang: one over HTTP, a program, and a program that ignores signals.
struct HangingServers {
    lab: Lab,
    user: User,
    files: [user::GroupFile; 2],
}

const HANGING: [&str; 3] = ["hangs", "never-answers", "never-ends"];

impl HangingServers {
    fn new(settings: &str) -> Self {
        let lab = start_lab();
        let mut user = User::new();
        let [http, answers, ends] = HANGING;
        user.url(http, &lab.url("hangs"), settings);
        let files = [
            user.hanging(answers, Hanging::NeverAnswers, settings),
            user.hanging(ends, Hanging::NeverEnds, settings),
        ];
        Self { lab, user, files }
    }

    /// Waits until all servers hang. Returns the process groups of the programs.
    fn all_hang(&self) -> [u32; 2] {
        let requested = || !self.lab.requests("hangs").is_empty();
        assert!(soon(processes::DEADLINE, requested));
        let groups = self.files.each_ref().map(user::GroupFile::wait);
        assert_eq!(groups.map(|group| members(group).is_empty()), [false; 2]);
        // The second program has a child.
        assert!(members(groups[1]).len() >= 2);
        groups
    }
}

#[test]
fn interrupted_check_reports_cancelled_and_leaves_no_process() {
    let cases = [
        ("INT", "ndjson"),
        ("TERM", "ndjson"),
        ("HUP", "ndjson"),
        ("INT", "json"),
        ("INT", "table"),
    ];
    for (signal, format) in cases {
        let hanging = HangingServers::new(NO_LIMIT);
        let running = hanging
            .user
            .start_check(&["--format", format], Reading::Everything);
        let groups = hanging.all_hang();
        running.signal(signal);
        let finished = running.finish_within(EXIT_LIMIT);
        groups.into_iter().for_each(assert_group_ended);
        let case = format!("{signal} {format}: {finished:#?}");
        assert_eq!(finished.status, Some(130), "{case}");
        assert_eq!(finished.stderr, "", "{case}");
        match format {
            "ndjson" => {
                let all = HANGING.map(|name| expected(name, "cancelled", None));
                assert_eq!(notifications(&finished), Notifications::from(all), "{case}");
            }
            "json" => {
                let report = finished.report();
                assert_eq!(report["exitStatus"], 130, "{case}");
                let servers = report["servers"].as_array().unwrap().iter();
                let actual: Vec<_> = servers
                    .map(|server| json!([server["name"], server["status"], server["failure"]]))
                    .collect();
                let all = HANGING.map(|name| json!([name, "cancelled", null]));
                assert_eq!(actual, all, "{case}");
            }
            _ => {
                let lines = finished.stdout.lines();
                let cancelled = lines.filter(|line| line.contains("cancelled"));
                // One for each server, and one in the closing line.
                assert_eq!(cancelled.count(), 4, "{case}");
            }
        }
    }
}

#[test]
fn server_that_has_not_started_is_not_notified_when_interrupted() {
    let mut user = User::new();
    for name in ["one", "two"] {
        user.hanging(name, Hanging::NeverAnswers, NO_LIMIT);
    }
    let running = user.start_check(
        &["--format", "ndjson", "--concurrency", "1"],
        Reading::Everything,
    );
    running.wait_for("starting");
    running.signal("INT");
    let finished = running.finish_within(EXIT_LIMIT);
    let notifications = notifications(&finished);
    let states: Vec<_> = notifications
        .values()
        .map(|(states, _)| states.join(" "))
        .collect();
    assert_eq!(states, ["starting cancelled"], "{finished:#?}");
    assert_eq!((finished.status, &*finished.stderr), (Some(130), ""));
}

#[test]
fn second_interruption_ends_everything_immediately() {
    // After one interruption, a ready server that ignores signals has more than two seconds to exit.
    const IMMEDIATELY: Duration = Duration::from_millis(1500);
    const TRIES: usize = 3;
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let mut user = User::new();
        let files = [
            user.hanging("hangs", Hanging::NeverAnswers, NO_LIMIT),
            user.hanging("ready", Hanging::AnswersAndNeverEnds, NO_LIMIT),
        ];
        let running = user.start_check(&["--format", "ndjson"], Reading::Everything);
        let groups = files.map(|file| file.wait());
        running.wait_for("\"ready\",\"error\"");
        let began = Instant::now();
        running.signal("INT");
        // The program has handled the first signal.
        running.wait_for("cancelled");
        running.signal("INT");
        let finished = running.finish_within(EXIT_LIMIT);
        let elapsed = began.elapsed();
        groups.into_iter().for_each(assert_group_ended);
        assert_eq!((finished.status, &*finished.stderr), (Some(130), ""));
        let states = [("hangs", "cancelled"), ("ready", "ready")];
        let all = states.map(|(name, state)| expected(name, state, None));
        assert_eq!(
            notifications(&finished),
            Notifications::from(all),
            "{finished:#?}"
        );
        times.push(elapsed);
        if elapsed < IMMEDIATELY {
            return;
        }
    }
    panic!("the program takes {times:.2?} to exit");
}

#[test]
fn interruption_is_handled_while_the_output_is_read_slowly() {
    // The lines of this many servers do not fit into a pipe: in JSON, each quote in a name takes two bytes.
    const SERVERS: usize = 300;
    let lab = start_lab();
    let mut user = User::new();
    for number in 0..SERVERS {
        let name = format!("{number}-{}", "\"".repeat(190));
        user.url(&name, &lab.url("hangs"), NO_LIMIT);
    }
    let concurrency = SERVERS.to_string();
    let arguments = ["--format", "ndjson", "--concurrency", &concurrency];
    let mut running = user.start_check(&arguments, Reading::Later);
    let all_hang = || lab.requests("hangs").len() == SERVERS;
    assert!(soon(processes::DEADLINE, all_hang));
    running.signal("INT");
    running.read_on();
    let finished = running.finish_within(EXIT_LIMIT);
    assert_eq!((finished.status, &*finished.stderr), (Some(130), ""));
    let notifications = notifications(&finished);
    assert_eq!(notifications.len(), SERVERS);
    for (name, (states, _)) in notifications {
        assert_eq!(states, ["starting", "cancelled"], "{name}");
    }
}

#[test]
fn closed_stdout_ends_the_program_quietly_and_leaves_no_process() {
    // The number of lines to read before stdout is closed, and the timeout of each start. A JSON report is written only at the
    // end.
    let cases = [
        ("ndjson", 4, NO_LIMIT),
        ("table", 0, NO_LIMIT),
        ("json", 0, "startup_timeout_sec = 2"),
    ];
    for (format, read, settings) in cases {
        let mut hanging = HangingServers::new(settings);
        // This failure makes the program write.
        let fails = "startup_timeout_sec = 2";
        hanging.user.hanging("fails", Hanging::NeverAnswers, fails);
        assert_ends_when_unread(&hanging, format, read);
    }
}

#[test]
fn closed_stdout_ends_the_program_even_if_it_has_no_output_to_write() {
    for (format, read) in [("ndjson", 3), ("ndjson", 1), ("table", 0), ("json", 0)] {
        assert_ends_when_unread(&HangingServers::new(NO_LIMIT), format, read);
    }
}

/// Closes stdout after `read` lines. Asserts that the program exits without an error message and leaves no process.
fn assert_ends_when_unread(hanging: &HangingServers, format: &str, read: usize) {
    let running = hanging
        .user
        .start_check(&["--format", format], Reading::Lines(read));
    let finished = running.finish_within(EXIT_LIMIT);
    let case = format!("{format} {read}: {finished:#?}");
    assert_eq!(finished.stderr, "", "{case}");
    assert_eq!(finished.status, Some(141), "{case}");
    // The programs that were started before it exited.
    let groups = hanging.files.iter().filter_map(user::GroupFile::read);
    groups.for_each(assert_group_ended);
}
