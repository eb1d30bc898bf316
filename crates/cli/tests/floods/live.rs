//! Floods of live servers: the host keeps ten hostile servers and a working one.

use std::time::{Duration, Instant};

use futures::StreamExt;
use mcp_startup::rmcp::model::CallToolRequestParams;
use mcp_startup::{LiveServer, Startup, StartupOptions};
use tokio::task::JoinSet;

use super::{HOSTILE, MAX_PEAK_KB, at_each_place, config, host_arguments, peak_kb, peak_of_host};

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

/// Whether a flood can exist over this transport.
fn is_possible(place: &str, (flood, when): (&str, &str)) -> bool {
    place != "stdio" || !(["split", "ids"].contains(&flood) || when == BODY)
}

/// The host. As a test, it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn host() {
    let Some([place, flood, when]) = host_arguments() else {
        return;
    };
    let (place, flood, when) = (&*place, &*flood, &*when);
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

fn peak_of(place: &str, (flood, when): (&str, &str)) -> u64 {
    peak_of_host("live::host", [place, flood, when])
}

fn check_floods(place: &str) {
    let quiet = peak_of(place, QUIET);
    for flood in FLOODS
        .into_iter()
        .filter(|flood| is_possible(place, *flood))
    {
        let peak = peak_of(place, flood);
        println!("{place} {flood:?}: {quiet} kB, {peak} kB");
        assert!(
            peak <= quiet + MAX_PEAK_KB,
            "{flood:?} over {place}: {peak} kB, with quiet servers {quiet} kB"
        );
    }
}

#[test]
fn floods_of_live_servers_take_bounded_memory_and_affect_no_other_server() {
    at_each_place(check_floods);
}
