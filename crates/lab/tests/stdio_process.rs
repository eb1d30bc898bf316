//! Rows on the stdin and stdout of a real process: this program, started again with the name of a row.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mcp_startup_lab::{scenarios, serve_stdio};

const ROW: &str = "MCP_STARTUP_LAB_ROW";
const INITIALIZE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Ok(name) = std::env::var(ROW) else {
        answers_and_ends_with_its_stdin();
        ends_with_the_code_of_the_row_while_stdin_is_open();
        ends_with_its_stdin_though_nobody_reads_its_endless_line();
        ends_with_its_reader();
        println!("stdio_process: 4 passed");
        return ExitCode::SUCCESS;
    };
    let row = scenarios().iter().find(|row| row.name == name).unwrap();
    serve_stdio(row.stdio.as_ref().unwrap()).await.into()
}

fn start(row: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .env(ROW, row)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The exit code; the process is killed and the test fails if it does not come in time.
fn ended(mut child: Child) -> Option<i32> {
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

fn answers_and_ends_with_its_stdin() {
    let mut child = start("stdio-banner-then-ready");
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    writeln!(stdin, "{INITIALIZE}").unwrap();
    assert!(lines.next().unwrap().unwrap().starts_with("Lab server"));
    assert!(lines.next().unwrap().unwrap().contains("protocolVersion"));
    // What was asked before stdin closed is still answered.
    write!(stdin, "{}", INITIALIZE.replace("initialize", "ping")).unwrap();
    drop(stdin);
    assert!(lines.next().unwrap().unwrap().contains(r#""result":{}"#));
    assert_eq!(ended(child), Some(0));
}

fn ends_with_the_code_of_the_row_while_stdin_is_open() {
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
    assert_eq!(ended(child), Some(3));
}

fn ends_with_its_stdin_though_nobody_reads_its_endless_line() {
    let mut child = start("stdio-endless-line");
    let _unread = child.stdout.take();
    drop(child.stdin.take());
    assert_eq!(ended(child), Some(0));
}

fn ends_with_its_reader() {
    let mut child = start("stdio-junk");
    let _stdin = child.stdin.take();
    drop(child.stdout.take());
    assert_eq!(ended(child), Some(1));
}
