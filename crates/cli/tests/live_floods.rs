//! Floods of live servers: the host is this test program, started again, which keeps ten hostile servers and a working one.
//!
//! `tests/attacks/flood.py` has the servers. The packages for Node and Python are tested with it too.
//!
//! It is a program of its own, because the limits of other attacks are times, and these floods take all processors.

// The servers are a Python program.
#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod harness;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcp_startup::config::ServerConfig;
use mcp_startup::rmcp::model::CallToolRequestParams;
use mcp_startup::{LiveServer, Startup, StartupOptions};
use tokio::task::JoinSet;

use harness::cases::skip;
use harness::script_server::ScriptServer;

const FLOOD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/attacks/flood.py");
/// The environment variable of the host: `stdio` or the base URL, the flood, and when it begins.
const HOST: &str = "LIVE_HOST";
const HOSTILE: usize = 10;
/// Each flood, and when it begins.
const FLOODS: [(&str, &str); 13] = [
    ("pings", "live"),
    ("notifications", "live"),
    ("large", "live"),
    ("smaller", "live"),
    ("values", "live"),
    ("unended", "live"),
    ("split", "live"),
    ("ids", "live"),
    // Lists that stop in the middle. The working server has a large one.
    ("stopped", "list"),
    // Results of calls.
    ("unended", CALL),
    ("late", CALL),
    ("unended", BODY),
    ("late", BODY),
];
const QUIET: (&str, &str) = ("quiet", "live");
const CALL: &str = "call";
/// As JSON over HTTP, not in an event stream.
const BODY: &str = "body";
/// How long the host keeps the servers.
const LIVE: Duration = Duration::from_secs(4);
/// For all servers together, while those that flood never answer.
const MAX_CLOSING: Duration = Duration::from_secs(8);
/// Above the same host with servers that are quiet.
const MAX_PEAK_KB: u64 = 80_000;

/// Whether a flood can exist over this transport.
fn is_possible(place: &str, (flood, when): (&str, &str)) -> bool {
    place != "stdio" || !(["split", "ids"].contains(&flood) || when == BODY)
}

fn config(name: &str, place: &str, flood: &str, when: &str) -> ServerConfig {
    match place {
        "stdio" => ServerConfig::stdio(name, "python3", [FLOOD, "stdio", flood, when]),
        base => ServerConfig::http(name, &format!("{base}{flood}/{when}")),
    }
    .unwrap()
}

/// The host. As a test, it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn host() {
    let Ok(servers) = std::env::var(HOST) else {
        return;
    };
    let [place, flood, when] = servers.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{servers}");
    };
    let hostile = (0..HOSTILE).map(|i| config(&format!("hostile-{i}"), place, flood, when).into());
    let kind = if when == "live" { "quiet" } else { "long" };
    let working = config("working", place, kind, "live").into();
    let startup = Startup::new(StartupOptions::default()).unwrap();
    let mut start = startup.start(hostile.chain([working]).collect());
    let (mut live, mut failures) = (Vec::new(), Vec::new());
    while let Some((event, server)) = start.next().await {
        let name = event.notification.name().to_owned();
        failures.extend(event.failure);
        if name == "working" && server.is_some() {
            assert_eq!(event.tools, Some(1), "{:#?}", event.warning);
        }
        live.extend(server.map(|server| (name, server)));
    }
    assert_eq!(live.len(), HOSTILE + 1, "{failures:#?}");
    let mut calls = JoinSet::new();
    if [CALL, BODY].contains(&when) {
        for (_, server) in live.iter().filter(|(name, _)| name != "working") {
            let peer = server.peer().clone();
            calls.spawn(async move { peer.call_tool(CallToolRequestParams::new("one")).await });
        }
    }
    tokio::time::sleep(LIVE).await;
    let (_, working) = live.iter().find(|(name, _)| name == "working").unwrap();
    let listing = working.peer().list_tools(None);
    let tools = tokio::time::timeout(Duration::from_secs(20), listing).await;
    assert_eq!(tools.unwrap().unwrap().tools.len(), 1);
    if flood == "late" {
        let ends = tokio::time::timeout(Duration::from_secs(20), calls.join_all());
        let ended = ends.await.expect("each call ends");
        assert_eq!(ended.len(), HOSTILE);
    }
    let began = Instant::now();
    LiveServer::close_all(live.into_iter().map(|(_, server)| server)).await;
    let took = began.elapsed();
    assert!(took < MAX_CLOSING, "closing took {took:?}");
    println!("peak: {} kB", peak_kb("self"));
}

/// The peak memory of a process.
fn peak_kb(process: &str) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(process).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.unwrap().trim().strip_suffix(" kB");
    kb.unwrap().parse().unwrap()
}

fn peak_of_host(place: &str, (flood, when): (&str, &str)) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "host", "--nocapture"])
        .env(HOST, format!("{place} {flood} {when}"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut parts = printed.lines().filter_map(|line| line.split_once("peak: "));
    let peak = parts.next().and_then(|(_, peak)| peak.strip_suffix(" kB"));
    peak.unwrap_or_else(|| panic!("{place} {flood} {when}: {printed}"))
        .parse()
        .unwrap()
}

fn check_floods(place: &str) {
    let quiet = peak_of_host(place, QUIET);
    for flood in FLOODS
        .into_iter()
        .filter(|flood| is_possible(place, *flood))
    {
        let peak = peak_of_host(place, flood);
        println!("{place} {flood:?}: {quiet} kB, {peak} kB");
        assert!(
            peak <= quiet + MAX_PEAK_KB,
            "{flood:?} over {place}: {peak} kB, with quiet servers {quiet} kB"
        );
    }
}

#[test]
fn floods_of_live_servers_take_bounded_memory_and_affect_no_other_server() {
    const TEST: &str = "floods_of_live_servers_take_bounded_memory_and_affect_no_other_server";
    if !cfg!(target_os = "linux") {
        return skip(TEST, "the peak memory of a process is read from /proc");
    }
    if Command::new("python3").arg("--version").output().is_err() {
        return skip(TEST, "python3 is not on the PATH");
    }
    let servers = ScriptServer::start(FLOOD, &["http"]);
    std::thread::scope(|scope| {
        for place in ["stdio", &servers.url] {
            scope.spawn(move || check_floods(place));
        }
    });
}
