//! One case: a check of the hostile servers together with working ones, and its figures.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use mcp_startup_lab::{Lab, config_toml};
use serde_json::{Value, json};

use crate::attack::{Attack, Expect, Transport};
use crate::content::Placeholders;
use crate::harness::configuration::{FILE_STORE, entry, quoted, steps, url};
use crate::harness::lab::{lab, scenarios_named};
use crate::harness::output::Finished;
use crate::harness::run::{self, Run};
use crate::harness::time::now_ms;
use crate::harness::user::User;
use crate::hostile_program::serve;
use crate::hostile_server::{HostileServer, filled};

/// The working servers, from the lab.
const WORKING: [&str; 3] = ["ready", "ready-sse", "stdio-ready"];
/// The limits of time are for an optimized build on an idle machine. This build is not, and the cases share the machine.
const SLOWNESS: f64 = if cfg!(debug_assertions) { 4.0 } else { 1.5 };
/// The start of a hostile server ends after this time, unless its row has another one.
const TIMEOUT_SECONDS: u64 = 3;
/// The timeout of a start that must not time out: many cases run at once, and the machine can be slow.
const AMPLE_TIMEOUT_SECONDS: u64 = 15;
/// How long `login` waits for the browser.
const SIGN_IN_TIMEOUT_SECONDS: f64 = 2.0;

/// A hostile server of a case.
pub struct Hostile {
    pub attack: Attack,
    pub transport: Transport,
}

struct Figures {
    seconds: f64,
    /// Above the peak of a check of the working servers.
    peak_mb: f64,
    /// The most that one hostile server received.
    requests: usize,
    report_kb: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seconds,
            peak_mb,
            requests,
            report_kb,
        } = self;
        write!(
            f,
            "{seconds:.2} s\t{peak_mb:.0} MB\t{requests}\t{report_kb} kB"
        )
    }
}

/// Runs the case. Panics if what its rows expect does not hold.
pub fn run(name: &str, hostile: &[Hostile]) {
    let _place = place();
    let tried = catch_unwind(AssertUnwindSafe(|| try_once(hostile)));
    let Ok((figures, finished)) = tried else {
        record(name, "did not end in time");
        panic!("{name}: did not end in time");
    };
    let problems = problems(hostile, &figures, &finished);
    let verdicts: Vec<_> = names(hostile)
        .iter()
        .map(|name| kind_of(&finished.server(name)).unwrap_or_else(|| "ready".to_owned()))
        .collect();
    let mut distinct = verdicts.clone();
    distinct.dedup();
    record(
        name,
        &format!(
            "{figures}\t{}\t{}",
            distinct.join(", "),
            problems.join("; ")
        ),
    );
    assert!(problems.is_empty(), "{name}: {}", problems.join("\n"));
}

/// Waits until fewer than six cases run. The tests of a test program run at once, and each runs several cases, so that too many
/// programs would share the machine.
fn place() -> MutexGuard<'static, ()> {
    static PLACES: [Mutex<()>; 6] = [const { Mutex::new(()) }; 6];
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed) % PLACES.len();
    // A failed case holds its place while it panics.
    PLACES[next].lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_once(hostile: &[Hostile]) -> (Figures, Finished) {
    let idle_mb = idle_mb();
    let lab = lab();
    let user = working_user(&lab);
    let servers: Vec<Option<HostileServer>> = hostile
        .iter()
        .map(|hostile| {
            (hostile.transport == Transport::Http).then(|| HostileServer::start(&hostile.attack))
        })
        .collect();
    let mut config = std::fs::read_to_string(user.config()).unwrap();
    let mut records = Vec::new();
    for ((name, hostile), server) in names(hostile).iter().zip(hostile).zip(&servers) {
        let base = server
            .as_ref()
            .map(|server| server.server.base())
            .unwrap_or_default();
        let (body, url) = entry_of(hostile, &base);
        config.push_str(&entry(name, &body));
        if let Some(stored) = &hostile.attack.stored {
            records.push(record_of(name, &url, &base, stored));
        }
    }
    user.write("home/.codex/config.toml", config);
    user.store(records);
    let began = Instant::now();
    let finished = check(&user).finish();
    let figures = Figures {
        seconds: began.elapsed().as_secs_f64(),
        peak_mb: finished.peak_mb - idle_mb,
        requests: servers
            .iter()
            .flatten()
            .map(HostileServer::requests)
            .max()
            .unwrap_or_default(),
        report_kb: finished.stdout.len() / 1000,
    };
    (figures, finished)
}

/// Signs in to the hostile server. It never succeeds: no browser visits the authorization page.
pub fn run_sign_in(name: &str, attack: &Attack) {
    let _place = place();
    let idle_mb = idle_mb();
    let server = HostileServer::start(attack);
    let hostile = Hostile {
        attack: attack.clone(),
        transport: Transport::Http,
    };
    let (body, _) = entry_of(&hostile, &server.server.base());
    let user = User::with(&format!("{FILE_STORE}{}", entry("hostile", &body)));
    let began = Instant::now();
    let timeout = SIGN_IN_TIMEOUT_SECONDS.to_string();
    let arguments = ["login", "hostile", "--no-browser", "--timeout", &timeout];
    let finished = command_of(&user, &arguments).finish();
    let figures = Figures {
        seconds: began.elapsed().as_secs_f64(),
        peak_mb: finished.peak_mb - idle_mb,
        requests: server.requests(),
        report_kb: finished.all_output().len() / 1000,
    };
    let mut problems = exceeded(&figures, &[&attack.expect], SIGN_IN_TIMEOUT_SECONDS);
    if finished.code != Some(1) || finished.stderr.contains("panicked") {
        problems.push(format!("{finished:#?}"));
    }
    record(
        name,
        &format!("{figures}\tsign-in\t{}", problems.join("; ")),
    );
    assert!(problems.is_empty(), "{name}: {}", problems.join("\n"));
}

/// The limits that the figures exceed. `seconds` are allowed in addition.
fn exceeded(figures: &Figures, expected: &[&Expect], seconds: f64) -> Vec<String> {
    let most = |limit: fn(&Expect) -> f64| {
        let limits = expected.iter().map(|expect| limit(expect));
        limits.fold(0.0, f64::max)
    };
    let limits = [
        (
            "seconds",
            figures.seconds,
            SLOWNESS * (most(|expect| expect.max_seconds) + seconds),
        ),
        (
            "MB above an idle check",
            figures.peak_mb,
            most(|expect| expect.max_peak_mb),
        ),
        (
            "requests",
            figures.requests as f64,
            most(|expect| expect.max_requests as f64),
        ),
        (
            "kB of output",
            figures.report_kb as f64,
            most(|expect| expect.max_report_kb as f64),
        ),
    ];
    let limits = limits.iter().filter(|(_, found, limit)| found > limit);
    limits
        .map(|(what, found, limit)| {
            format!("{what}: {found:.1}, and at most {limit:.1} are allowed")
        })
        .collect()
}

fn problems(hostile: &[Hostile], figures: &Figures, finished: &Finished) -> Vec<String> {
    let expected: Vec<_> = hostile
        .iter()
        .map(|hostile| &hostile.attack.expect)
        .collect();
    let mut problems = exceeded(figures, &expected, 0.0);
    if finished.stderr.contains("panicked") {
        problems.push(finished.stderr.clone());
    }
    for name in WORKING {
        let server = finished.server(name);
        if server["status"] != "ready" {
            problems.push(format!("the working server is not ready: {server}"));
        }
        // None waits until a hostile server has used up its time. On two processors with a load of 40, they took 1.1 s at most.
        if server["elapsedMs"].as_u64() > Some(1000 * TIMEOUT_SECONDS) {
            problems.push(format!("the working server is delayed: {server}"));
        }
    }
    for (name, hostile) in names(hostile).iter().zip(hostile) {
        let server = finished.server(name);
        let kind = kind_of(&server);
        let expect = &hostile.attack.expect;
        let message = server["failure"]["message"].as_str().unwrap_or_default();
        let is_named = expect
            .message
            .as_ref()
            .is_none_or(|part| message.contains(part));
        if !expect.verdict.allows(kind.as_deref()) || !is_named {
            problems.push(format!("{name}: {kind:?}: {message}"));
        }
    }
    problems
}

/// The kind of the failure; `None` if the server is ready.
fn kind_of(server: &Value) -> Option<String> {
    let kind = || server["failure"]["kind"].as_str().unwrap().to_owned();
    (server["status"] != "ready").then(kind)
}

fn names(hostile: &[Hostile]) -> Vec<String> {
    (0..hostile.len()).map(|i| format!("hostile-{i}")).collect()
}

/// A user who has configured the working servers.
pub fn working_user(lab: &Lab) -> User {
    let config = config_toml(
        scenarios_named(lab, &WORKING),
        &lab.base_url(),
        &[program()],
    );
    User::with(&format!("{config}\n"))
}

/// The peak memory of a check of the working servers, in MB.
fn idle_mb() -> f64 {
    static IDLE_MB: OnceLock<f64> = OnceLock::new();
    *IDLE_MB.get_or_init(|| {
        let lab = lab();
        check(&working_user(&lab)).finish().peak_mb
    })
}

/// The body of the configuration entry, and the URL in it.
pub fn entry_of(hostile: &Hostile, base: &str) -> (String, String) {
    let configured = &hostile.attack.entry;
    let table = |name: &str, fields: BTreeMap<String, String>| match fields.is_empty() {
        true => String::new(),
        false => {
            let fields = fields.iter();
            let fields =
                fields.map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)));
            format!("\n{name} = {{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
    };
    let fields = |template: &Option<Value>| -> BTreeMap<String, String> {
        let placeholders = Placeholders::default();
        let fields = template.as_ref().map(|fields| placeholders.json(fields));
        fields.map_or_else(BTreeMap::new, |fields| {
            serde_json::from_value(fields).unwrap()
        })
    };
    let may_time_out = hostile.attack.expect.verdict.allows(Some("timedOut"));
    let timeout = configured.timeout_seconds.unwrap_or(match may_time_out {
        true => TIMEOUT_SECONDS,
        false => AMPLE_TIMEOUT_SECONDS,
    });
    let timeout = format!("\nstartup_timeout_sec = {timeout}");
    match hostile.transport {
        Transport::Http => {
            let at = match &configured.url {
                Some(text) => filled(text, base),
                None => format!("{base}/mcp"),
            };
            let headers = table("http_headers", fields(&configured.headers));
            (format!("{}{timeout}{headers}", url(&at)), at)
        }
        Transport::Stdio => {
            let env = table("env", fields(&configured.env));
            let program = steps(&["relay", &serve(&hostile.attack).to_string()]);
            (format!("{program}{timeout}{env}"), String::new())
        }
    }
}

/// A stored sign-in whose access token has expired.
fn record_of(name: &str, url: &str, base: &str, fields: &BTreeMap<String, Value>) -> Value {
    let mut record = json!({
        "server_name": name, "server_url": url, "issuer": base, "client_id": "client-1",
        "access_token": "expired-token", "expires_at": now_ms() - 3_600_000, "refresh_token": "good-refresh", "scopes": [],
    });
    for (name, value) in fields {
        record[name] = value.clone();
    }
    record
}

/// The build of the program to measure.
pub fn program() -> String {
    std::env::var("ATTACKS_PROGRAM").unwrap_or_else(|_| run::program().to_owned())
}

/// `check --format json` of the user's configuration.
pub fn check(user: &User) -> Run {
    command_of(user, &["check", "--format", "json"])
}

/// The program with these arguments and the user's configuration.
pub fn command_of(user: &User, arguments: &[&str]) -> Run {
    let run = user.run(&program(), arguments);
    run.arg("--config").arg(user.config())
}

/// Appends the figures of a case to the report, if there is one.
fn record(name: &str, figures: &str) {
    println!("{name}\t{figures}");
    if let Some(path) = std::env::var_os("ATTACKS_REPORT").map(PathBuf::from) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        writeln!(file, "{name}\t{figures}").unwrap();
    }
}
