//! A client that calls tools with large results and does not read them. `tests/attacks/large_results.py` has the server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::cases::skip;
use crate::harness::configuration::{FILE_STORE, entry, quoted, url};
use crate::harness::script_server::ScriptServer;
use crate::harness::user::User;

const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/attacks/large_results.py"
);
const RESULT_BYTES: usize = 8 * 1024 * 1024;
const CALLS: usize = 300;
/// How many results are read in the end.
const READ: usize = 6;
/// When the memory has not grown for so long, the app-server waits for its client. If it was only slow, the test checks less.
const QUIET: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(120);
/// Above the app-server before the calls.
const MAX_GROWTH_KB: u64 = 80_000;

/// The memory of a process, by its name in `/proc`.
fn kb(process: &Child, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let mut lines = status.lines().filter_map(|line| line.split_once(":\t"));
    let (_, kb) = lines.find(|(found, _)| *found == name).unwrap();
    kb.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// Returns how much the memory grows by calls whose results are not read, in kB.
fn growth(transport: &str) -> u64 {
    let (server, body);
    if transport == "stdio" {
        let bytes = RESULT_BYTES.to_string();
        let arguments = [SERVER, "stdio", &bytes].map(quoted).join(", ");
        body = format!("command = \"python3\"\nargs = [{arguments}]");
    } else {
        server = ScriptServer::start(SERVER, &[transport, &RESULT_BYTES.to_string()]);
        body = url(&server.url);
    }
    let user = User::with(&[FILE_STORE, &entry("large", &body)].concat());
    let mut program = user.program(&["app-server"]).spawn_with(Stdio::piped());
    let process = &mut program.child;
    let mut stdin = process.stdin.take().unwrap();
    let mut send = |message: Value| writeln!(stdin, "{message}").unwrap();
    let stdout = BufReader::new(process.stdout.take().unwrap());
    let mut lines = stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let mut find = |fits: &dyn Fn(&Value) -> bool| lines.find(|message| fits(message)).unwrap();

    let client = json!({ "clientInfo": { "name": "test", "version": "1" } });
    send(json!({ "id": "initialize", "method": "initialize", "params": client }));
    send(json!({ "method": "initialized" }));
    find(&|message| message["params"]["status"] == "ready");
    send(json!({ "id": "thread", "method": "thread/start", "params": {} }));
    let thread = find(&|message| message["id"] == "thread");
    let thread = thread["result"]["thread"]["id"].clone();
    let before = kb(process, "VmRSS");
    for id in 0..CALLS {
        let params = json!({ "threadId": thread, "server": "large", "tool": "large" });
        send(json!({ "id": id, "method": "mcpServer/tool/call", "params": params }));
    }
    let began = Instant::now();
    let (mut peak, mut grew) = (0, Instant::now());
    while grew.elapsed() < QUIET && peak <= before + MAX_GROWTH_KB {
        assert!(began.elapsed() < LIMIT, "the memory grows and grows");
        sleep(Duration::from_millis(50));
        let now = kb(process, "VmHWM");
        if now > peak + 1000 {
            (peak, grew) = (now, Instant::now());
        }
    }

    // When the client reads, it gets the results.
    for _ in 0..READ {
        let response = find(&|message| message["id"].is_u64());
        let text = response["result"]["content"][0]["text"].as_str();
        assert_eq!(text.map(str::len), Some(RESULT_BYTES), "{transport}");
    }
    peak.saturating_sub(before)
}

#[test]
fn results_that_are_not_read_take_bounded_memory() {
    if Command::new("python3").arg("--version").output().is_err() {
        return skip("unread_results", "python3 is not on the PATH");
    }
    for transport in ["stdio", "json", "events"] {
        let growth = growth(transport);
        println!("{transport}: {growth} kB");
        assert!(growth <= MAX_GROWTH_KB, "{transport}: {growth} kB");
    }
}
