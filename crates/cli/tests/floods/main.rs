//! Ten servers that flood their host take bounded memory and affect no other server. `tests/attacks/flood.py` has the servers. The packages
//! for Node and Python are tested with it too.
//!
//! The host is this test program, started again, or the app-server.
//!
//! It is a program of its own, because the limits of other attacks are times, and these floods take all processors.

// The peak memory of a process is read from /proc.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../harness/mod.rs"]
mod harness;
mod live;
mod starts;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use mcp_startup::config::ServerConfig;

use harness::cases::skip;
use harness::script_server::ScriptServer;

const FLOOD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/attacks/flood.py");
/// The environment variable of a host: its arguments, with spaces between them.
const HOST: &str = "FLOODED_HOST";
const HOSTILE: usize = 10;
/// Above the same host with servers that are quiet.
const MAX_PEAK_KB: u64 = 80_000;

fn config(name: &str, place: &str, flood: &str, when: &str) -> ServerConfig {
    match place {
        "stdio" => ServerConfig::stdio(name, "python3", [FLOOD, "stdio", flood, when]),
        base => ServerConfig::http(name, &format!("{base}{flood}/{when}")),
    }
    .unwrap()
}

/// The arguments of this host. `None` if this process is no host.
fn host_arguments<const N: usize>() -> Option<[String; N]> {
    let arguments = std::env::var(HOST).ok()?;
    let arguments: Vec<_> = arguments.split(' ').map(str::to_owned).collect();
    Some(arguments.try_into().unwrap())
}

/// The peak memory of the host that is this test.
fn peak_of_host<const N: usize>(test: &str, arguments: [&str; N]) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(HOST, arguments.join(" "))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut parts = printed.lines().filter_map(|line| line.split_once("peak: "));
    let peak = parts.next().and_then(|(_, peak)| peak.strip_suffix(" kB"));
    peak.unwrap_or_else(|| panic!("{test} {arguments:?}: {printed}"))
        .parse()
        .unwrap()
}

/// The peak memory of a process.
fn peak_kb(process: &str) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(process).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.unwrap().trim().strip_suffix(" kB");
    kb.unwrap().parse().unwrap()
}

/// Runs the checks with `stdio` and with the base URL of the servers over HTTP, at the same time. The tests take turns.
fn at_each_place(check: impl Fn(&str) + Sync) {
    static TURN: Mutex<()> = Mutex::new(());
    if Command::new("python3").arg("--version").output().is_err() {
        return skip("floods", "python3 is not on the PATH");
    }
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let servers = ScriptServer::start(FLOOD, &["http"]);
    std::thread::scope(|scope| {
        for place in ["stdio", &servers.url] {
            let check = &check;
            scope.spawn(move || check(place));
        }
    });
}
