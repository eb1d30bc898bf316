//! Scenarios on the stdin and stdout of a real process. The test starts itself again with the name of a scenario.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mcp_startup_lab::{scenarios, serve_stdio};

/// The environment variable that names the scenario to run.
const SCENARIO: &str = "MCP_STARTUP_LAB_ROW";
const INITIALIZE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Ok(name) = std::env::var(SCENARIO) else {
        answers_until_stdin_closes();
        exits_with_the_scenarios_code_while_stdin_is_open();
        ends_with_stdin_while_an_endless_line_is_unread();
        ends_when_stdout_closes();
        println!("stdio_process: 4 passed");
        return ExitCode::SUCCESS;
    };
    let row = scenarios().iter().find(|row| row.name == name).unwrap();
    serve_stdio(row.stdio.as_ref().unwrap()).await.into()
}

fn start(row: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .env(SCENARIO, row)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the exit code. If the process does not end in time, kills it and fails the test.
fn exit_code(mut child: Child) -> Option<i32> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    panic!("the process did not end");
}

fn answers_until_stdin_closes() {
    let mut child = start("stdio-banner-then-ready");
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    writeln!(stdin, "{INITIALIZE}").unwrap();
    assert!(lines.next().unwrap().unwrap().starts_with("Lab server"));
    assert!(lines.next().unwrap().unwrap().contains("protocolVersion"));
    // A request that was sent before stdin closed is still answered.
    write!(stdin, "{}", INITIALIZE.replace("initialize", "ping")).unwrap();
    drop(stdin);
    assert!(lines.next().unwrap().unwrap().contains(r#""result":{}"#));
    assert_eq!(exit_code(child), Some(0));
}

fn exits_with_the_scenarios_code_while_stdin_is_open() {
    let mut child = start("stdio-exits-3");
    let _stdin = child.stdin.take();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(stderr, "cannot open the database: no such file\n");
    assert_eq!(exit_code(child), Some(3));
}

fn ends_with_stdin_while_an_endless_line_is_unread() {
    let mut child = start("stdio-endless-line");
    let _unread = child.stdout.take();
    drop(child.stdin.take());
    assert_eq!(exit_code(child), Some(0));
}

fn ends_when_stdout_closes() {
    let mut child = start("stdio-junk");
    let _stdin = child.stdin.take();
    drop(child.stdout.take());
    assert_eq!(exit_code(child), Some(1));
}
