//! Floods of servers that start: in a check, in a watch that keeps them, and in the app-server. `tests/attacks/flood.json` has the floods.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcp_startup::{LiveServer, Startup, StartupEvent, StartupOptions};
use serde_json::{Value, json};

use super::harness::configuration::{FILE_STORE, entry, quoted, url};
use super::harness::user::User;
use super::{
    FLOOD, HOSTILE, MAX_PEAK_KB, at_each_place, config, host_arguments, peak_kb, peak_of_host,
};

const QUIET: &str = "quiet";
const LIST: &str = "list";
/// The floods with the highest peaks in a check, for hosts that keep the servers.
const KEPT: [&str; 3] = ["large", "tools", "nested"];
/// How long a host keeps the servers that are ready.
const LIVE: Duration = Duration::from_secs(1);
/// Only a fault takes as long.
const LIMIT: Duration = Duration::from_secs(60);

/// How each server has ended its first start: `ready`, or the kind of the failure.
#[derive(Default)]
struct Ends(BTreeMap<String, String>);

impl Ends {
    fn add(&mut self, name: &str, end: &str) {
        if end != "starting" {
            self.0.entry(name.to_owned()).or_insert(end.to_owned());
        }
    }

    fn add_event(&mut self, event: &StartupEvent) {
        let status = serde_json::to_value(event.notification.status()).unwrap();
        let failure = event
            .failure
            .as_ref()
            .map(|failure| serde_json::to_value(failure).unwrap());
        let kind = failure
            .as_ref()
            .and_then(|failure| failure["kind"].as_str());
        self.add(event.notification.name(), kind.or(status.as_str()).unwrap());
    }

    fn are_all(&self) -> bool {
        self.0.len() == HOSTILE + 1
    }

    fn check(&self, expected: &[&str]) {
        for (name, end) in &self.0 {
            let is_expected = match &**name {
                "working" => end == "ready",
                _ => expected.contains(&&**end),
            };
            assert!(is_expected, "{name}: {end}, not {expected:?}");
        }
        assert!(self.are_all(), "{:?}", self.0);
    }
}

/// The host. As a test, it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn host() {
    let Some([kind, place, flood, when, ends]) = host_arguments() else {
        return;
    };
    let hostile =
        (0..HOSTILE).map(|i| config(&format!("hostile-{i}"), &place, &flood, &when).into());
    let servers = hostile
        .chain([config("working", &place, QUIET, LIST).into()])
        .collect();
    let startup = Startup::new(StartupOptions::default()).unwrap();
    let mut found = Ends::default();
    let mut live = Vec::new();
    if kind == "check" {
        let mut check = startup.check(servers);
        while let Some(event) = check.next().await {
            found.add_event(&event);
        }
    } else {
        let mut watch = startup.watch(servers);
        while !found.are_all() {
            let (event, server) = watch.next().await.unwrap();
            found.add_event(&event);
            live.extend(server);
        }
        tokio::time::sleep(LIVE).await;
        watch.cancel();
        live.extend(
            watch
                .filter_map(async |(_, server)| server)
                .collect::<Vec<_>>()
                .await,
        );
        LiveServer::close_all(live).await;
    }
    found.check(&ends.split(',').collect::<Vec<_>>());
    println!("peak: {} kB", peak_kb("self"));
}

/// The peak memory of the app-server, which starts the servers and keeps them.
fn peak_of_app_server(place: &str, flood: &str, when: &str, ends: &str) -> u64 {
    let body = |flood: &str, when: &str| match place {
        "stdio" => {
            let arguments = [FLOOD, "stdio", flood, when].map(quoted).join(", ");
            format!("command = \"python3\"\nargs = [{arguments}]")
        }
        base => url(&format!("{base}{flood}/{when}")),
    };
    let hostile = (0..HOSTILE).map(|i| format!("hostile-{i}"));
    let hostile = hostile.map(|name| entry(&name, &body(flood, when)));
    let working = entry("working", &body(QUIET, LIST));
    let servers = hostile.chain([working]).collect::<String>();
    let user = User::with(&[FILE_STORE, &servers].concat());
    let mut program = user.program(&["app-server"]).spawn_with(Stdio::piped());
    let process = &mut program.child;
    let mut stdin = process.stdin.take().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let client = json!({ "clientInfo": { "name": "test", "version": "1" } });
    writeln!(
        stdin,
        "{}",
        json!({ "id": 1, "method": "initialize", "params": client })
    )
    .unwrap();
    writeln!(stdin, "{}", json!({ "method": "initialized" })).unwrap();
    let (mut found, began) = (Ends::default(), Instant::now());
    // The app-server ends if nothing can read its output.
    for line in lines.by_ref() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let params = &message["params"];
        if let (Some(name), Some(status)) = (params["name"].as_str(), params["status"].as_str()) {
            found.add(name, status);
        }
        assert!(began.elapsed() < LIMIT);
        if found.are_all() {
            break;
        }
    }
    // The notification does not have the kind of the failure.
    let statuses = ends
        .split(',')
        .map(|end| if end == "ready" { end } else { "failed" });
    found.check(&statuses.collect::<Vec<_>>());
    std::thread::sleep(LIVE);
    let peak = peak_kb(&process.id().to_string());
    drop(lines);
    peak
}

fn peak_of(kind: &str, place: &str, (flood, when, ends): (&str, &str, &str)) -> u64 {
    match kind {
        "app-server" => peak_of_app_server(place, flood, when, ends),
        _ => peak_of_host("starts::host", [kind, place, flood, when, ends]),
    }
}

/// Checks the floods of `flood.json`, or only these.
fn check_floods(kind: &str, place: &str, only: Option<&[&str]>) {
    let rows = include_str!("../../../../tests/attacks/flood.json");
    let rows: Vec<Value> = serde_json::from_str(rows).unwrap();
    let quiet = peak_of(kind, place, (QUIET, LIST, "ready"));
    let transport = if place == "stdio" { "stdio" } else { "http" };
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap();
        let is_possible = row["over"].as_array().unwrap().contains(&transport.into());
        if !is_possible || only.is_some_and(|only| !only.contains(&text("flood"))) {
            continue;
        }
        let ends = row["ends"]
            .as_array()
            .unwrap()
            .iter()
            .map(|end| end.as_str().unwrap());
        let ends = ends.collect::<Vec<_>>().join(",");
        let peak = peak_of(kind, place, (text("flood"), text("when"), &ends));
        println!("{kind} {transport} {row}: {quiet} kB, {peak} kB");
        assert!(
            peak <= quiet + MAX_PEAK_KB,
            "{kind} {transport} {row}: {peak} kB, with quiet servers {quiet} kB"
        );
    }
}

#[test]
fn floods_of_a_check_take_bounded_memory_and_affect_no_other_server() {
    at_each_place(|place| check_floods("check", place, None));
}

#[test]
fn floods_of_a_watch_take_bounded_memory_and_affect_no_other_server() {
    at_each_place(|place| check_floods("watch", place, Some(&KEPT)));
}

#[test]
fn floods_of_the_app_server_take_bounded_memory_and_affect_no_other_server() {
    at_each_place(|place| check_floods("app-server", place, Some(&KEPT)));
}
