//! The program `mcp-startup`, with real MCP servers, programs that misbehave, and users who change their minds.
//!
//! `tests/e2e/README.md` says how the real servers are installed; without them, what needs them is skipped, and named.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that can't go on says so by a panic"
)]

mod peers;
mod processes;
mod user;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mcp_startup_lab::{Lab, RecordedRequest};
use serde_json::{Value, json};

use peers::{Era, Installed, Kit, Peer, Way, sources};
use processes::{lives, members, soon};
use user::{Finished, Hanging, Reading, User, text_of};

/// A limit that no test waits for: what hangs here hangs until it is ended.
const NO_LIMIT: &str = "startup_timeout_sec = 600";
/// How long the program may take to end when it is asked to: far less than that.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

fn start_lab() -> Lab {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(Lab::start(0)).unwrap()
}

// --- every real server is ready --------------------------------------------------------------------------------------

/// Makes a test of each row.
macro_rules! ready {
    ($($name:ident: $kit:expr, $way:ident, $era:ident, $tools:literal;)*) => {
        mod ready {
            use super::*;
            $(
                #[test]
                fn $name() {
                    let peer = Peer { kit: $kit, way: Way::$way, era: Era::$era, tools: $tools };
                    is_ready(concat!("ready::", stringify!($name)), peer);
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

/// The server is ready, with its tools, and never a second later than its own start takes.
fn is_ready(test: &str, peer: Peer) {
    const MORE: Duration = Duration::from_secs(1);
    // A machine that is busy with something else may hold up either of two starts; a client that waits does so each time.
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
        let said = json!([
            ready["name"],
            ready["status"],
            ready["tools"],
            ready["failure"]
        ]);
        let wanted = json!([peer.to_string(), "ready", peer.tools, null]);
        assert_eq!(said, wanted, "{finished:#?}");
        assert_eq!(finished.status, Some(0), "{finished:#?}");
        assert_eq!(finished.stderr, "");
        let elapsed = Duration::from_millis(ready["elapsedMs"].as_u64().unwrap());
        times.push((own, elapsed));
        if elapsed <= own + MORE {
            eprintln!("{peer}: by itself {own:.2?}, started {elapsed:.2?}");
            return;
        }
    }
    panic!("{peer} takes too long (by itself, started): {times:.2?}");
}

/// What is written must not keep anything from being heard: here nothing is read, and so the program can't go on writing.
#[test]
fn the_number_of_tools_is_shown_also_where_the_reader_is_slow() {
    // More than fits into a pipe.
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
    // It has been asked for its tools, and is closed.
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

// --- programs that end, or do not -------------------------------------------------------------------------------------

#[test]
fn a_program_that_ends_says_with_what_and_why() {
    let mut user = User::new();
    let script = sources().join("stdio/exits_3.sh");
    user.program("exits", &[text_of(&script).to_owned()], "");
    let finished = user.check("json");
    let report = finished.report();
    let failed = &report["servers"][0];
    let said = json!([
        failed["status"],
        failed["failureReason"],
        failed["failure"]["kind"],
        failed["failure"]["evidence"]["process"]["exit"],
        failed["failure"]["evidence"]["process"]["stderr"],
    ]);
    let why = "cannot open the database: no such file";
    assert_eq!(
        said,
        json!(["failed", null, "exited", 3, why]),
        "{report:#}"
    );
    assert_eq!((finished.status, &*finished.stderr), (Some(1), ""));
}

#[test]
fn the_child_that_a_server_leaves_behind_ends_with_it() {
    let test = "the_child_that_a_server_leaves_behind_ends_with_it";
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
    assert!(soon(Duration::from_secs(5), || !lives(child)), "it is left");
}

#[test]
fn a_server_that_never_ends_is_ended() {
    let mut user = User::new();
    let files = [
        user.hanging("ready", Hanging::AnswersAndNeverEnds, NO_LIMIT),
        user.hanging("hangs", Hanging::NeverEnds, "startup_timeout_sec = 1"),
    ];
    let finished = user.check("json");
    let servers = &finished.report()["servers"];
    let said = json!([servers[0]["status"], servers[1]["failure"]["kind"]]);
    assert_eq!(said, json!(["ready", "timedOut"]), "{finished:#?}");
    assert_eq!((finished.status, &*finished.stderr), (Some(1), ""));
    for file in files {
        nothing_is_left(file.wait());
    }
}

fn nothing_is_left(group: u32) {
    let gone = soon(Duration::from_secs(5), || members(group).is_empty());
    assert!(gone, "of group {group} there are {:?}", members(group));
}

// --- what stands on stdout --------------------------------------------------------------------------------------------

/// The notifications of each server, in order: its states, and the last failure reason.
type Said = BTreeMap<String, (Vec<String>, Value)>;

/// What `--format ndjson` has said. Nothing but notifications may stand there.
fn said(finished: &Finished) -> Said {
    let mut said = Said::new();
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
        let entry = said.entry(name).or_default();
        entry.0.push(params["status"].as_str().unwrap().to_owned());
        entry.1 = params["failureReason"].clone();
    }
    said
}

/// What a server is to say: `starting`, the state, and nothing more.
fn wanted(name: &str, state: &str, reason: Option<&str>) -> (String, (Vec<String>, Value)) {
    let states = vec!["starting".to_owned(), state.to_owned()];
    (name.to_owned(), (states, json!(reason)))
}

const REAUTHENTICATE: &str = "reauthenticationRequired";

/// Checks servers of the lab and programs, and with them `others`, which must be ready.
fn each_says_what_it_came_to(configure_others: impl FnOnce(&mut User) -> Vec<String>) {
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
    let mut all = Said::new();
    for (name, state, reason) in ROWS {
        let row = lab.scenarios().iter().find(|row| row.name == name);
        user.scenario(&lab, row.unwrap());
        all.extend([wanted(name, state, reason)]);
    }
    user.program("missing", &["no-such-program-anywhere".to_owned()], "");
    let script = sources().join("stdio/exits_3.sh");
    user.program("exits-3", &[text_of(&script).to_owned()], "");
    all.extend(["missing", "exits-3"].map(|name| wanted(name, "failed", None)));
    let others = configure_others(&mut user);
    all.extend(others.iter().map(|name| wanted(name, "ready", None)));

    let finished = user.check("ndjson");
    assert_eq!(said(&finished), all, "{finished:#?}");
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
fn each_server_says_what_it_came_to() {
    each_says_what_it_came_to(|_| Vec::new());
}

#[test]
fn each_server_says_what_it_came_to_real_ones_among_them() {
    let test = "each_server_says_what_it_came_to_real_ones_among_them";
    let rows = [
        (Kit::Everything, Way::Stdio, Era::Legacy),
        (Kit::TypeScript, Way::Http, Era::Dual),
        (Kit::Python, Way::Http, Era::Modern),
        (Kit::Small("silent_at_unknown.py"), Way::Stdio, Era::Legacy),
    ];
    let Some(installed) = Installed::find(test, &rows.map(|(kit, ..)| kit)) else {
        return;
    };
    let servers = rows.map(|(kit, way, era)| {
        let tools = 0;
        let peer = Peer {
            kit,
            way,
            era,
            tools,
        };
        (peer.to_string(), installed.prepare(peer))
    });
    each_says_what_it_came_to(|user| {
        let configure = servers.iter().map(|(name, server)| {
            server.configure(user, name, NO_LIMIT);
            name.clone()
        });
        configure.collect()
    });
}

// --- interrupted ------------------------------------------------------------------------------------------------------

/// A user whose servers hang: one over HTTP, a program, and a program that can't be asked to end.
struct Waiting {
    lab: Lab,
    user: User,
    files: [user::GroupFile; 2],
}

const HANGING: [&str; 3] = ["hangs", "never-answers", "never-ends"];

impl Waiting {
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

    /// Waits until all of them hang. Returns the groups.
    fn all_hang(&self) -> [u32; 2] {
        let asked = || !self.lab.requests("hangs").is_empty();
        assert!(soon(processes::DEADLINE, asked));
        let groups = self.files.each_ref().map(user::GroupFile::wait);
        assert_eq!(groups.map(|group| members(group).is_empty()), [false; 2]);
        // It has a child.
        assert!(members(groups[1]).len() >= 2);
        groups
    }
}

#[test]
fn an_interrupted_check_says_cancelled_and_leaves_nothing() {
    let cases = [
        ("INT", "ndjson"),
        ("TERM", "ndjson"),
        ("HUP", "ndjson"),
        ("INT", "json"),
        ("INT", "table"),
    ];
    for (signal, format) in cases {
        let waiting = Waiting::new(NO_LIMIT);
        let running = waiting
            .user
            .start_check(&["--format", format], Reading::Everything);
        let groups = waiting.all_hang();
        running.signal(signal);
        let finished = running.finish_within(ENDS_WITHIN);
        groups.into_iter().for_each(nothing_is_left);
        let case = format!("{signal} {format}: {finished:#?}");
        assert_eq!(finished.status, Some(130), "{case}");
        assert_eq!(finished.stderr, "", "{case}");
        match format {
            "ndjson" => {
                let all = HANGING.map(|name| wanted(name, "cancelled", None));
                assert_eq!(said(&finished), Said::from(all), "{case}");
            }
            "json" => {
                let report = finished.report();
                assert_eq!(report["exitStatus"], 130, "{case}");
                let servers = report["servers"].as_array().unwrap().iter();
                let said: Vec<_> = servers
                    .map(|server| json!([server["name"], server["status"], server["failure"]]))
                    .collect();
                let all = HANGING.map(|name| json!([name, "cancelled", null]));
                assert_eq!(said, all, "{case}");
            }
            _ => {
                let lines = finished.stdout.lines();
                let cancelled = lines.filter(|line| line.contains("cancelled"));
                // One for each, and the closing line.
                assert_eq!(cancelled.count(), 4, "{case}");
            }
        }
    }
}

#[test]
fn what_has_not_begun_says_nothing_when_interrupted() {
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
    let finished = running.finish_within(ENDS_WITHIN);
    let said = said(&finished);
    let states: Vec<_> = said.values().map(|(states, _)| states.join(" ")).collect();
    assert_eq!(states, ["starting cancelled"], "{finished:#?}");
    assert_eq!((finished.status, &*finished.stderr), (Some(130), ""));
}

#[test]
fn a_second_interruption_waits_for_nothing() {
    // Left alone, what never ends is given more than two seconds after it was ready.
    const AT_ONCE: Duration = Duration::from_millis(1500);
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
        // It has heard the first.
        running.wait_for("cancelled");
        running.signal("INT");
        let finished = running.finish_within(ENDS_WITHIN);
        let elapsed = began.elapsed();
        groups.into_iter().for_each(nothing_is_left);
        assert_eq!((finished.status, &*finished.stderr), (Some(130), ""));
        let states = [("hangs", "cancelled"), ("ready", "ready")];
        let all = states.map(|(name, state)| wanted(name, state, None));
        assert_eq!(said(&finished), Said::from(all), "{finished:#?}");
        times.push(elapsed);
        if elapsed < AT_ONCE {
            return;
        }
    }
    panic!("it takes {times:.2?}");
}

#[test]
fn an_interruption_is_heard_while_the_reader_is_slow() {
    // More than fits into a pipe: in JSON each quote of a name takes two bytes.
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
    let finished = running.finish_within(ENDS_WITHIN);
    assert_eq!((finished.status, &*finished.stderr), (Some(130), ""));
    let said = said(&finished);
    assert_eq!(said.len(), SERVERS);
    for (name, (states, _)) in said {
        assert_eq!(states, ["starting", "cancelled"], "{name}");
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly_and_leaves_nothing() {
    // How many lines are read before nobody does any more, and the limit of each start: a report is written at the end.
    let cases = [
        ("ndjson", 4, NO_LIMIT),
        ("table", 0, NO_LIMIT),
        ("json", 0, "startup_timeout_sec = 2"),
    ];
    for (format, read, settings) in cases {
        let mut waiting = Waiting::new(settings);
        // What fails in a while makes it write.
        let fails = "startup_timeout_sec = 2";
        waiting.user.hanging("fails", Hanging::NeverAnswers, fails);
        ends_when_unread(&waiting, format, read);
    }
}

#[test]
fn a_closed_pipe_ends_it_also_while_there_is_nothing_to_write() {
    for (format, read) in [("ndjson", 3), ("ndjson", 1), ("table", 0), ("json", 0)] {
        ends_when_unread(&Waiting::new(NO_LIMIT), format, read);
    }
}

/// After `read` lines nobody reads on, and yet nothing is left, and nothing is said.
fn ends_when_unread(waiting: &Waiting, format: &str, read: usize) {
    let running = waiting
        .user
        .start_check(&["--format", format], Reading::Lines(read));
    let finished = running.finish_within(ENDS_WITHIN);
    let case = format!("{format} {read}: {finished:#?}");
    assert_eq!(finished.stderr, "", "{case}");
    assert_eq!(finished.status, Some(141), "{case}");
    // Those that were launched before it ended.
    let groups = waiting.files.iter().filter_map(user::GroupFile::read);
    groups.for_each(nothing_is_left);
}
